/* SPDX-License-Identifier: MIT */
/*
 * The driver for virtio-sound against a device half that answers as it is told, right or wrong. A
 * thread of its own answers control requests; messages and events are answered by the test itself.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <endian.h>
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <string.h>
#include <sys/eventfd.h>

#include "snd.h"
#include "snd_requests.h"
#include "wait.h"

#define MEMORY (16u << 20)
#define OK     VIRTIO_SND_S_OK

/* A chain: what is readable as bytes, and where the writable part is. */
struct chain {
	uint16_t head;
	uint8_t out[2048];
	uint32_t out_len, n_out, n_in;
	struct drv_seg in[8];
	bool indirect;
};

static struct fixture {
	struct guest guest;
	struct drv_ring rings[SND_DRIVER_RINGS];
	uint16_t avail[SND_DRIVER_RINGS], used[SND_DRIVER_RINGS];
	struct snd_driver snd;

	// the thread that answers control requests
	pthread_t thread;
	bool runs, stops;
	uint8_t answer[2048]; // to the next requests: so many bytes, of which used are said
	uint32_t answer_len, answer_used;
	struct chain request; // the last one
} fx;

/* The device half */

static void add(struct chain *c, const struct vring_desc *d)
{
	if (d->flags & VRING_DESC_F_WRITE) {
		c->in[c->n_in++] = (struct drv_seg){d->addr, d->len, true};
		return;
	}
	assert_true(c->out_len + d->len <= sizeof(c->out));
	guest_read(&fx.guest, d->addr, c->out + c->out_len, d->len);
	c->out_len += d->len;
	c->n_out++;
}

static bool pop(unsigned int queue, struct chain *c)
{
	struct drv_ring *r = &fx.rings[queue];
	const struct vring_desc *table = r->desc, *d;

	if (fx.avail[queue] == __atomic_load_n(&r->avail->idx, __ATOMIC_ACQUIRE))
		return false;
	*c = (struct chain){.head = r->avail->ring[fx.avail[queue]++ % r->num]};
	d = &table[c->head];
	c->indirect = d->flags & VRING_DESC_F_INDIRECT;
	if (c->indirect) {
		table = guest_ptr(&fx.guest, d->addr, d->len);
		d = table;
	}
	add(c, d);
	while (d->flags & VRING_DESC_F_NEXT) {
		d = &table[d->next];
		add(c, d);
	}
	return true;
}

static void push(unsigned int queue, const struct chain *c, uint32_t len)
{
	struct drv_ring *r = &fx.rings[queue];
	struct vring_used_elem *e = &r->used->ring[fx.used[queue]++ % r->num];

	e->id = c->head;
	e->len = len;
	__atomic_store_n(&r->used->idx, fx.used[queue], __ATOMIC_RELEASE);
	eventfd_write(r->call_fd, 1);
}

static void *serve(void *arg)
{
	struct pollfd p = {fx.rings[VIRTIO_SND_VQ_CONTROL].kick_fd, POLLIN, 0};
	struct chain c;
	eventfd_t n;

	while (!__atomic_load_n(&fx.stops, __ATOMIC_ACQUIRE)) {
		poll(&p, 1, 1000);
		eventfd_read(p.fd, &n);
		while (pop(VIRTIO_SND_VQ_CONTROL, &c)) {
			fx.request = c;
			if (c.n_in > 0)
				guest_write(&fx.guest, c.in[0].gpa, fx.answer, fx.answer_len);
			push(VIRTIO_SND_VQ_CONTROL, &c, fx.answer_used);
		}
	}
	return arg;
}

static int up(void **state)
{
	(void)state;
	memset(&fx, 0, sizeof(fx));
	assert_int_equal(guest_init_flat(&fx.guest, MEMORY), 0);
	for (int i = 0; i < SND_DRIVER_RINGS; i++)
		assert_int_equal(drv_ring_init(&fx.rings[i], &fx.guest, 64, DRV_INDIRECT), 0);
	snd_driver_init(&fx.snd, &fx.guest, fx.rings);
	return 0;
}

static int up_with_control(void **state)
{
	up(state);
	fx.runs = pthread_create(&fx.thread, NULL, serve, NULL) == 0;
	return fx.runs ? 0 : -1;
}

static int down(void **state)
{
	(void)state;
	if (fx.runs) {
		__atomic_store_n(&fx.stops, true, __ATOMIC_RELEASE);
		drv_ring_kick_now(&fx.rings[VIRTIO_SND_VQ_CONTROL]);
		pthread_join(fx.thread, NULL);
	}
	for (int i = 0; i < SND_DRIVER_RINGS; i++)
		drv_ring_finish(&fx.rings[i]);
	guest_finish(&fx.guest);
	return 0;
}

/* Control requests */

static void answer_with(uint32_t status, uint32_t payload)
{
	__le32 code = htole32(status);

	for (uint32_t i = 0; i < payload; i++)
		fx.answer[4 + i] = (uint8_t)(i + 1);
	memcpy(fx.answer, &code, 4);
	fx.answer_len = fx.answer_used = 4 + payload;
}

/* The last request was this code, and then these words. */
static void assert_request(uint32_t code, const uint32_t *words, uint32_t n)
{
	__le32 word;

	assert_int_equal(fx.request.out_len, 4 + 4 * n);
	memcpy(&word, fx.request.out, 4);
	assert_int_equal(le32toh(word), code);
	for (uint32_t i = 0; i < n; i++) {
		memcpy(&word, fx.request.out + 4 + 4 * i, 4);
		assert_int_equal(le32toh(word), words[i]);
	}
}

static void infos(void **state)
{
	struct virtio_snd_pcm_info pcm[3] = {0};
	struct virtio_snd_jack_info jack = {0};
	struct virtio_snd_chmap_info chmap = {0};
	struct virtio_snd_ctl_info control = {0};
	struct snd_driver *d = &fx.snd;

	(void)state;
	answer_with(OK, 3 * sizeof(*pcm));
	assert_int_equal(snd_pcm_info(d, 7, 3, pcm), OK);
	assert_request(VIRTIO_SND_R_PCM_INFO, (uint32_t[]){7, 3, sizeof(*pcm)}, 3);
	assert_int_equal(fx.request.in[0].len, 4 + 3 * sizeof(*pcm));
	assert_memory_equal(pcm, fx.answer + 4, sizeof(pcm));
	answer_with(OK, sizeof(jack));
	assert_int_equal(snd_jack_info(d, 0, 1, &jack), OK);
	assert_request(VIRTIO_SND_R_JACK_INFO, (uint32_t[]){0, 1, 24}, 3);
	answer_with(OK, sizeof(chmap));
	assert_int_equal(snd_chmap_info(d, 1, 1, &chmap), OK);
	assert_request(VIRTIO_SND_R_CHMAP_INFO, (uint32_t[]){1, 1, 24}, 3);
	answer_with(OK, sizeof(control));
	assert_int_equal(snd_ctl_info(d, 2, 1, &control), OK);
	assert_request(VIRTIO_SND_R_CTL_INFO, (uint32_t[]){2, 1, sizeof(control)}, 3);
	assert_memory_equal(&control, fx.answer + 4, sizeof(control));
	answer_with(VIRTIO_SND_S_NOT_SUPP, 0);
	assert_int_equal(snd_query(d, 0x999, 1, UINT32_MAX, 1000), VIRTIO_SND_S_NOT_SUPP);
	assert_request(0x999, (uint32_t[]){1, UINT32_MAX, 1000}, 3);
	assert_int_equal(fx.request.in[0].len, SND_DRIVER_RESPONSE);
}

static void streams_and_jacks(void **state)
{
	static const struct snd_params p = {.buffer_bytes = 4096,
		.period_bytes = 1024,
		.features = 4,
		.channels = 2,
		.format = 5,
		.rate = 7};
	struct snd_driver *d = &fx.snd;

	(void)state;
	answer_with(OK, 0);
	assert_int_equal(snd_set_params(d, 9, &p), OK);
	assert_request(VIRTIO_SND_R_PCM_SET_PARAMS, (uint32_t[]){9, 4096, 1024, 4, 0x070502}, 5);
	assert_int_equal(snd_prepare(d, 1), OK);
	assert_request(VIRTIO_SND_R_PCM_PREPARE, (uint32_t[]){1}, 1);
	assert_int_equal(snd_start(d, 2), OK);
	assert_request(VIRTIO_SND_R_PCM_START, (uint32_t[]){2}, 1);
	assert_int_equal(snd_stop(d, 3), OK);
	assert_request(VIRTIO_SND_R_PCM_STOP, (uint32_t[]){3}, 1);
	answer_with(VIRTIO_SND_S_IO_ERR, 0);
	assert_int_equal(snd_release(d, 4), VIRTIO_SND_S_IO_ERR);
	assert_request(VIRTIO_SND_R_PCM_RELEASE, (uint32_t[]){4}, 1);
	answer_with(VIRTIO_SND_S_BAD_MSG, 0);
	assert_int_equal(snd_jack_remap(d, 5, 6, 7), VIRTIO_SND_S_BAD_MSG);
	assert_request(VIRTIO_SND_R_JACK_REMAP, (uint32_t[]){5, 6, 7}, 3);
}

static void controls(void **state)
{
	struct virtio_snd_ctl_enum_item items[2];
	struct virtio_snd_ctl_value value;
	uint32_t words[5] = {1, 2, 3, 4, 5};
	struct snd_driver *d = &fx.snd;

	(void)state;
	answer_with(OK, sizeof(items));
	assert_int_equal(snd_ctl_enum_items(d, 1, 2, items), OK);
	assert_request(VIRTIO_SND_R_CTL_ENUM_ITEMS, (uint32_t[]){1}, 1);
	assert_memory_equal(items, fx.answer + 4, sizeof(items));
	answer_with(OK, 8);
	assert_int_equal(snd_ctl_read(d, 2, &value), OK);
	assert_request(VIRTIO_SND_R_CTL_READ, (uint32_t[]){2}, 1);
	assert_int_equal(fx.request.in[0].len, 516);
	assert_memory_equal(&value, fx.answer + 4, 8);
	assert_int_equal(value.value.integer[2], 0);
	answer_with(OK, 0);
	assert_int_equal(snd_ctl_read(d, 2, &value), -EBADMSG);
	assert_int_equal(snd_ctl_write(d, 3, words, 8), OK);
	assert_request(VIRTIO_SND_R_CTL_WRITE, (uint32_t[]){3, 1, 2}, 3);
	assert_int_equal(snd_ctl_tlv_write(d, 4, words, 12), OK);
	assert_request(VIRTIO_SND_R_CTL_TLV_WRITE, (uint32_t[]){4, 1, 2, 3}, 4);
	assert_int_equal(snd_ctl_tlv_command(d, 5, NULL, 0), OK);
	assert_request(VIRTIO_SND_R_CTL_TLV_COMMAND, (uint32_t[]){5}, 1);
	answer_with(OK, 12);
	assert_int_equal(snd_ctl_tlv_read(d, 6, words, sizeof(words)), OK);
	assert_request(VIRTIO_SND_R_CTL_TLV_READ, (uint32_t[]){6}, 1);
	assert_int_equal(fx.request.in[0].len, 24);
	assert_memory_equal(words, fx.answer + 4, 12);
	assert_int_equal(d->resp_len, 16);
}

/* What is no answer is noticed. */
static void bad_answers(void **state)
{
	struct virtio_snd_pcm_info pcm[2];
	struct snd_driver *d = &fx.snd;

	(void)state;
	answer_with(OK, 0);
	assert_int_equal(snd_pcm_info(d, 0, 2, pcm), -EBADMSG); // nothing behind the status
	answer_with(OK, 31);
	assert_int_equal(snd_pcm_info(d, 0, 1, pcm), -EBADMSG);
	answer_with(0x7fff, 0);
	assert_int_equal(snd_start(d, 0), -EBADMSG);
	answer_with(0x8004, 0);
	assert_int_equal(snd_start(d, 0), -EBADMSG);
	answer_with(OK, 0);
	fx.answer_used = 3;
	assert_int_equal(snd_start(d, 0), -EBADMSG);
	fx.answer_used = 4;
	fx.answer_len = 0; // says it wrote, and did not
	assert_int_equal(snd_start(d, 0), -EBADMSG);
	fx.answer_used = 5;
	assert_int_equal(snd_start(d, 0), -EPROTO); // more than there was room for
}

static void raw_requests(void **state)
{
	uint8_t bytes[1000] = {1, 2, 3};
	struct snd_driver *d = &fx.snd;
	int tickets[3];

	(void)state;
	answer_with(OK, 0);
	d->piece = 7;
	assert_int_equal(snd_driver_run(d, bytes, 20, 4), OK);
	assert_int_equal(fx.request.n_out, 3);
	assert_memory_equal(fx.request.out, bytes, 20);
	d->indirect = true;
	d->piece = 0;
	assert_int_equal(snd_driver_run(d, bytes, 1000, 4), OK);
	assert_true(fx.request.indirect);
	assert_int_equal(fx.request.n_out, 1);
	for (int i = 0; i < 3; i++)
		tickets[i] = snd_driver_submit(d, bytes, 4, 4);
	for (int i = 2; i >= 0; i--)
		assert_int_equal(snd_driver_collect(d, tickets[i]), OK);
	assert_int_equal(snd_driver_run(d, NULL, 0, 4), OK);
	assert_int_equal(fx.request.out_len, 0);
	fx.answer_len = fx.answer_used = 0;
	assert_int_equal(snd_driver_run(d, bytes, 8, 0), 0);
	assert_int_equal(fx.request.n_in, 0);
	assert_int_equal(snd_driver_run(d, bytes, 8, 3), 0);
	assert_int_equal(snd_driver_submit(d, bytes, 8, SND_DRIVER_RESPONSE + 1), -EINVAL);
}

/* Messages */

static void write_status(const struct chain *c, uint32_t status, uint32_t latency)
{
	struct virtio_snd_pcm_status s = {htole32(status), htole32(latency)};

	guest_write(&fx.guest, c->in[c->n_in - 1].gpa, &s, c->in[c->n_in - 1].len);
}

static void playing(void **state)
{
	static const uint32_t pieces[] = {3, 100, 50};
	uint8_t data[400];
	struct snd_io io = {.queue = VIRTIO_SND_VQ_TX,
		.stream = 6,
		.data = data,
		.bytes = sizeof(data),
		.pieces = pieces,
		.n_pieces = 3};
	struct snd_done done;
	struct chain c;
	int ticket;

	(void)state;
	for (size_t i = 0; i < sizeof(data); i++)
		data[i] = (uint8_t)i;
	ticket = snd_driver_send(&fx.snd, &io);
	assert_int_equal(fx.rings[VIRTIO_SND_VQ_TX].nkicks, 1);
	assert_true(pop(VIRTIO_SND_VQ_TX, &c));
	assert_int_equal(c.n_out, 1 + 2 + 6); // 3, 100, five of 50 and one of 47
	assert_int_equal(c.n_in, 1);
	assert_int_equal(c.in[0].len, 8);
	assert_int_equal(c.out[0], 6);
	assert_memory_equal(c.out + 4, data, sizeof(data));
	assert_int_equal(snd_driver_take(&fx.snd, ticket, &done), -EAGAIN);
	write_status(&c, VIRTIO_SND_S_OK, 1234);
	push(VIRTIO_SND_VQ_TX, &c, 8);
	assert_false(snd_driver_is_back(&fx.snd, ticket)); // nobody has looked
	assert_int_equal(snd_driver_finish(&fx.snd, ticket, &done), OK);
	assert_int_equal(done.latency_bytes, 1234);
	assert_int_equal(done.len, 8);
	assert_int_equal(done.bytes, 0);
	assert_int_equal(done.order, 1);
	assert_true(done.when > 0);
}

static void recording(void **state)
{
	struct snd_done done;
	struct chain c;
	int ticket = snd_driver_rx(&fx.snd, 2, 500);

	(void)state;
	assert_true(pop(VIRTIO_SND_VQ_RX, &c));
	assert_int_equal(c.n_out, 1);
	assert_int_equal(c.out_len, 4);
	assert_int_equal(c.n_in, 2);
	assert_int_equal(c.in[0].len, 500);
	guest_write(&fx.guest, c.in[0].gpa, "sound", 5);
	write_status(&c, VIRTIO_SND_S_OK, 0);
	push(VIRTIO_SND_VQ_RX, &c, 508);
	assert_int_equal(snd_driver_wait(&fx.snd, WAIT_DEFAULT), 1);
	assert_true(snd_driver_is_back(&fx.snd, ticket));
	assert_int_equal(snd_driver_take(&fx.snd, ticket, &done), OK);
	assert_int_equal(done.bytes, 500);
	assert_memory_equal(done.data, "sound", 5);
}

/* Data where it lies is read when the device likes; and nothing is kicked where it polls. */
static void placed_and_polled(void **state)
{
	uint64_t gpa = guest_alloc(&fx.guest, 4096, 64);
	struct snd_io io = {
		.queue = VIRTIO_SND_VQ_TX, .bytes = 64, .placed = true, .gpa = gpa + 64};
	struct chain c;

	(void)state;
	fx.snd.polling = true;
	fx.snd.indirect = true;
	assert_true(snd_driver_send(&fx.snd, &io) >= 0);
	assert_int_equal(fx.rings[VIRTIO_SND_VQ_TX].nkicks, 0);
	guest_write(&fx.guest, gpa + 64, "late", 4);
	assert_true(pop(VIRTIO_SND_VQ_TX, &c));
	assert_true(c.indirect);
	assert_memory_equal(c.out + 4, "late", 4);
}

static void odd_messages(void **state)
{
	struct snd_io io = {.queue = VIRTIO_SND_VQ_TX, .header = "odd", .header_len = 3};
	struct snd_done done;
	struct chain c;
	int ticket;

	(void)state;
	io.status_lacks = 1;
	ticket = snd_driver_send(&fx.snd, &io);
	assert_true(pop(VIRTIO_SND_VQ_TX, &c));
	assert_int_equal(c.out_len, 3);
	assert_int_equal(c.in[0].len, 7);
	push(VIRTIO_SND_VQ_TX, &c, 0);
	assert_int_equal(snd_driver_finish(&fx.snd, ticket, &done), 0);
	io.status_lacks = 8;
	io.header_len = 1;
	assert_true(snd_driver_send(&fx.snd, &io) >= 0);
	assert_true(pop(VIRTIO_SND_VQ_TX, &c));
	assert_int_equal(c.n_in, 0);
	io.header_len = 0;
	assert_int_equal(snd_driver_send(&fx.snd, &io), -EINVAL); // nothing at all
	io.status_lacks = 9;
	assert_int_equal(snd_driver_send(&fx.snd, &io), -EINVAL);
}

static void bad_status(uint32_t len, uint32_t status, int expected)
{
	struct snd_done done;
	struct chain c;
	int ticket = snd_driver_tx(&fx.snd, 0, "0123", 4);

	assert_true(ticket >= 0);
	assert_true(pop(VIRTIO_SND_VQ_TX, &c));
	if (status)
		write_status(&c, status, 0);
	push(VIRTIO_SND_VQ_TX, &c, len);
	assert_int_equal(snd_driver_finish(&fx.snd, ticket, &done), expected);
}

static void bad_statuses(void **state)
{
	(void)state;
	bad_status(8, VIRTIO_SND_S_IO_ERR, VIRTIO_SND_S_IO_ERR);
	bad_status(8, 0, -EBADMSG); // says it wrote, and did not
	bad_status(8, 0x8004, -EBADMSG);
	bad_status(7, OK, -EBADMSG);
	bad_status(0, OK, -EBADMSG);
	bad_status(9, OK, -EPROTO);
}

/* Each ticket has its own answer, in whatever order they come. */
static void many_messages(void **state)
{
	struct chain chains[20];
	struct snd_done done;
	int tickets[20];

	(void)state;
	for (int round = 0; round < 100; round++) {
		for (int i = 0; i < 20; i++)
			tickets[i] = snd_driver_tx(&fx.snd, 0, "abcdefgh", 8);
		for (int i = 0; i < 20; i++)
			assert_true(pop(VIRTIO_SND_VQ_TX, &chains[i]));
		for (int i = 0; i < 20; i++) {
			int k = (i * 7 + round) % 20;

			write_status(&chains[k], OK, (uint32_t)k);
			push(VIRTIO_SND_VQ_TX, &chains[k], 8);
		}
		assert_int_equal(snd_driver_poll(&fx.snd), 20);
		for (int i = 0; i < 20; i++) {
			assert_int_equal(snd_driver_take(&fx.snd, tickets[i], &done), OK);
			assert_int_equal(done.latency_bytes, i);
		}
	}
	assert_int_equal(fx.snd.reaped, 2000);
}

/* Events */

static void send_event(uint32_t code, uint32_t data, uint32_t len)
{
	struct virtio_snd_event e = {.hdr.code = htole32(code), .data = htole32(data)};
	struct chain c;

	assert_true(pop(VIRTIO_SND_VQ_EVENT, &c));
	assert_int_equal(c.n_in, 1);
	assert_int_equal(c.in[0].len, 8);
	guest_write(&fx.guest, c.in[0].gpa, &e, sizeof(e));
	push(VIRTIO_SND_VQ_EVENT, &c, len);
}

static void events(void **state)
{
	struct chain c;
	uint32_t data;

	(void)state;
	assert_int_equal(snd_driver_fill(&fx.snd, 2), 0);
	assert_int_equal(snd_driver_event(&fx.snd, &data, 0), -ETIMEDOUT);
	for (uint32_t i = 0; i < 100; i++) {
		send_event(VIRTIO_SND_EVT_PCM_XRUN, i, 8);
		send_event(VIRTIO_SND_EVT_JACK_CONNECTED, i, 8);
		assert_int_equal(snd_driver_event(&fx.snd, &data, -1), VIRTIO_SND_EVT_PCM_XRUN);
		assert_int_equal(data, i);
		assert_int_equal(
			snd_driver_event(&fx.snd, &data, -1), VIRTIO_SND_EVT_JACK_CONNECTED);
	}
	fx.snd.refill = false;
	send_event(VIRTIO_SND_EVT_PCM_XRUN, 1, 0);
	assert_int_equal(snd_driver_poll(&fx.snd), 1);
	assert_int_equal(fx.snd.events_empty, 1);
	assert_int_equal(snd_driver_event(&fx.snd, &data, 0), -ETIMEDOUT);
	send_event(VIRTIO_SND_EVT_PCM_XRUN, 1, 7);
	assert_int_equal(snd_driver_poll(&fx.snd), -EBADMSG);
	assert_int_equal(fx.snd.event_buffers, 0);
	assert_false(pop(VIRTIO_SND_VQ_EVENT, &c));
	assert_int_equal(snd_driver_fill(&fx.snd, SND_DRIVER_EVENTS), 0);
	assert_int_equal(snd_driver_fill(&fx.snd, 1), -EBUSY);
}

/* Those that nobody fetches are counted when there is no room for them. */
static void events_lost(void **state)
{
	uint32_t data;

	(void)state;
	assert_int_equal(snd_driver_fill(&fx.snd, 1), 0);
	for (uint32_t i = 0; i < SND_DRIVER_EVENTS + 3; i++) {
		send_event(VIRTIO_SND_EVT_PCM_XRUN, i, 8);
		assert_int_equal(snd_driver_poll(&fx.snd), 1);
	}
	assert_int_equal(fx.snd.events_lost, 3);
	assert_int_equal(snd_driver_event(&fx.snd, &data, -1), VIRTIO_SND_EVT_PCM_XRUN);
	assert_int_equal(data, 0);
}

/* Rings that were reset: all is forgotten, and begins again. */
static void begun_again(void **state)
{
	(void)state;
	assert_int_equal(snd_driver_fill(&fx.snd, 4), 0);
	for (int i = 0; i < 10; i++)
		assert_true(snd_driver_tx(&fx.snd, 0, "abcd", 4) >= 0);
	for (int i = 0; i < SND_DRIVER_RINGS; i++) {
		drv_ring_reset(&fx.rings[i], 0);
		fx.avail[i] = fx.used[i] = 0;
		fx.rings[i].used->idx = 0;
	}
	snd_driver_reset(&fx.snd);
	assert_int_equal(fx.snd.event_buffers, 0);
	bad_status(8, OK, OK);
	events(state);
}

#define CONTROL(name) cmocka_unit_test_setup_teardown(name, up_with_control, down)
#define TEST(name)    cmocka_unit_test_setup_teardown(name, up, down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CONTROL(infos),
		CONTROL(streams_and_jacks),
		CONTROL(controls),
		CONTROL(bad_answers),
		CONTROL(raw_requests),
		TEST(playing),
		TEST(recording),
		TEST(placed_and_polled),
		TEST(odd_messages),
		TEST(bad_statuses),
		TEST(many_messages),
		TEST(events),
		TEST(events_lost),
		TEST(begun_again),
	};

	return cmocka_run_group_tests_name("driver_snd", tests, NULL, NULL);
}
