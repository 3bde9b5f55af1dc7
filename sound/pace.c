/* SPDX-License-Identifier: MIT */
#define LOG_TOPIC "sound"
#include "pace.h"

#include "common/bytes.h"
#include "common/iov.h"
#include "common/log.h"

#define MS INT64_C(1000000)

enum {
	QUANTUM_GUESS_US = 21333, // of a graph that has not been seen: 1024 frames at 48 kHz
	QUANTUM_MOST_US = 170667, // 8192
	MARGIN_LEAST_US = 5000,   // for our own waking up late
	MARGIN_FIRST_US = 20000,  // half a quantum, for cycles that are early or late, but no more
	MARGIN_MOST_US = 40000,   // even where both are worse than that
	PIECE_US = 25000,         // of a long period is moved at a time
	EXCESS_US = 250000,       // by which a graph may begin late without a loss
	ROOM_US = 500000,
};

#define GRACE (20 * MS)  // a stream that starts waits so long for its graph's first cycle
#define WAIT  (300 * MS) // and keeps sound so long for it
#define STALL (50 * MS)  // a graph without a cycle for so long (and two cycles) is gone
#define HOLD  (40 * MS)  // the last message out is held back by this: see complete()
#define SLACK (1 * MS)   // what is due by then is done now: streams are served together
#define REST  (MS / 5)   // at least between two runs

static uint32_t frames_in(const struct pcm_format *f, uint32_t us)
{
	return (uint32_t)((uint64_t)us * f->rate / 1000000);
}

static int64_t ns_of(const struct pcm *p, double frames)
{
	return (int64_t)(frames * 1e9 / p->format.rate);
}

static bool is_playback(const struct pcm *p)
{
	return p->format.direction == VIRTIO_SND_D_OUTPUT;
}

uint32_t pace_room(const struct pcm_format *f)
{
	return frames_in(f, ROOM_US + QUANTUM_MOST_US + 2 * PIECE_US);
}

static int64_t seconds(int64_t ns, int64_t *rest)
{
	*rest = ns % (1000 * MS) / 1000;
	return ns / (1000 * MS);
}

/* A guest decides how often. */
#define log_at(time, fmt, ...)                                                                     \
	do {                                                                                       \
		static struct log_limit limit_;                                                    \
		int64_t us_, s_ = seconds(time, &us_);                                             \
		if (log_enabled(LOG_TOPIC, LOG_INFO) && log_limit_pass(&limit_, LOG_TOPIC))        \
			log_info("stream %u: " fmt " (%lld.%06lld s)", p->id, __VA_ARGS__,         \
				(long long)s_, (long long)us_);                                    \
	} while (0)

/* ---- how much lies ready ---- */

static void set_quantum(struct pcm *p, uint32_t quantum)
{
	uint32_t margin = (uint32_t)min_u64(quantum / 2, frames_in(&p->format, MARGIN_FIRST_US));
	uint32_t least = frames_in(&p->format, MARGIN_LEAST_US);

	p->quantum = quantum;
	if (margin < least)
		margin = least;
	if (p->margin < margin)
		p->margin = margin;
	atomic_store(&p->feed->margin, p->margin);
}

/* The feed ran dry though the guest had given enough: we were late. */
static void grow_margin(struct pcm *p)
{
	uint32_t most = frames_in(&p->format, MARGIN_MOST_US);

	if (p->margin >= most)
		return;
	p->margin = p->margin * 2 > most ? most : p->margin * 2;
	log_info("stream %u: the margin grows to %u frames", p->id, p->margin);
	set_quantum(p, p->quantum);
}

void pace_prepare(struct pcm *p)
{
	clock_init(&p->clock, p->format.rate);
	p->ticking = p->live = p->gone = p->opened = p->starved = false;
	p->most_ios = p->margin = 0;
	feed_resume(p->feed);
	p->offset = -(int64_t)atomic_load(&p->feed->written);
	p->seen = feed_last_report(p->feed);
	set_quantum(p, frames_in(&p->format, QUANTUM_GUESS_US));
}

/* What the guest was not told to be played is not, when it stops: it may not even be sound. */
void pace_stop(struct pcm *p)
{
	if (p->starved) // the end of its sound, or it has seen its own underrun: it does not say
		log_at(p->starved_at, "stopped at frame %llu: nothing more was queued",
			(unsigned long long)p->completed);
	if (is_playback(p))
		feed_drain(p->feed, (uint64_t)((int64_t)p->completed - p->offset));
}

/* It goes on behind what was played. */
static void resume(struct pcm *p)
{
	struct pcm_io *io;

	feed_resume(p->feed);
	p->moved = (uint64_t)((int64_t)atomic_load(&p->feed->written) + p->offset);
	p->next = NULL;
	TAILQ_FOREACH (io, &p->ios, link) {
		uint64_t begin = io->end - io->frames;

		io->moved = p->moved <= begin ? 0
			: p->moved >= io->end ? io->frames
					      : (uint32_t)(p->moved - begin);
		if (!p->next && io->moved < io->frames)
			p->next = io;
	}
}

void pace_start(struct pcm *p, int64_t now)
{
	p->ticking = p->live = p->gone = p->opened = p->starved = false;
	p->most_ios = p->n_ios;
	p->started_at = now;
	p->seen = feed_last_report(p->feed);
	atomic_store(&p->feed->ready_at, now + WAIT);
	if (is_playback(p))
		resume(p);
	else
		feed_skip(p->feed, 0);
	feed_want_event(p->feed, true);
}

/* ---- what the graph did ---- */

/* `moved` was at this position at this time. */
static void tick_from(struct pcm *p, int64_t time, double position)
{
	p->ticking = true;
	clock_set(&p->clock, time, position);
}

/* From now on nothing is kept for the graph; the guest's clock goes on. */
static void give_up(struct pcm *p, int64_t now)
{
	clock_coast(&p->clock, now);
	p->live = p->opened = false;
	p->gone = true;
	if (is_playback(p))
		atomic_fetch_add(&p->feed->flush, 1);
	feed_want_event(p->feed, true);
	log_info("stream %u: the graph is away", p->id);
}

/* The graph's first cycle has come so late that what has been put in since is of the past: it is lost. */
static bool lose_beginning(struct pcm *p, const struct feed_report *r, double excess)
{
	if (excess <= frames_in(&p->format, EXCESS_US))
		return false;
	log_at(r->time, "the graph began %.0f frames late: the first are lost", excess);
	p->opened = false;
	atomic_fetch_add(&p->feed->flush, 1);
	return true;
}

/* Playback has begun in this cycle. */
static void begin_playback(struct pcm *p, const struct feed_report *r, double excess)
{
	if (p->opened)
		log_at(r->time, "gap of %llu frames at frame %lld", (unsigned long long)r->gap,
			(long long)((int64_t)r->gap_at + p->offset));
	p->opened = true;
	if (!lose_beginning(p, r, excess) && excess > 0)
		clock_owe(&p->clock, r->time, excess);
}

static void follow_playback(struct pcm *p, const struct feed_report *r)
{
	double target = (double)(r->position + p->offset) + (double)r->frames + p->margin;
	double excess = clock_at(&p->clock, r->time) - target;

	if (r->flushed != atomic_load(&p->feed->flush))
		return;
	if (r->opened != p->seen.opened)
		begin_playback(p, r, excess);
	else if (r->open)
		clock_follow(&p->clock, r->time, excess, (double)(r->position - p->seen.position));
	else if (!p->opened
		&& lose_beginning(p, r, excess + (double)r->frames)) // in the next cycle
		return;
	else if (p->seen.open && p->next && p->next->queued_at < r->time)
		grow_margin(p);
	else if (p->seen.open)
		p->owner->xrun(p);
}

/* What is recorded in this cycle is the next that the guest gets, when the margin has passed. */
static void begin_capture(struct pcm *p, const struct feed_report *r)
{
	uint64_t written = atomic_load(&p->feed->written);

	p->offset = (int64_t)p->moved - r->position;
	feed_skip(p->feed, (uint32_t)(written - (uint64_t)r->position));
	tick_from(p, r->time, (double)p->moved - p->margin);
}

static void follow_capture(struct pcm *p, const struct feed_report *r, bool begins)
{
	double target = (double)(r->position + p->offset) - p->margin;

	if (r->dropped != p->seen.dropped)
		p->owner->xrun(p);
	if (begins || r->dropped != p->seen.dropped)
		begin_capture(p, r);
	else
		clock_follow(&p->clock, r->time, clock_at(&p->clock, r->time) - target,
			(double)(r->position - p->seen.position));
}

static void observe(struct pcm *p, int64_t now)
{
	struct feed_report r = feed_last_report(p->feed);
	bool begins = !p->live, old = now - r.time > STALL + 2 * ns_of(p, p->quantum);

	/* Behind a stall some graphs have the cycles that they missed all at once: those are of the past. */
	if (r.cycles == p->seen.cycles || old) {
		if (p->live && old)
			give_up(p, now);
		else if (!p->live && !p->gone && now - p->started_at > WAIT)
			give_up(p, now);
		return;
	}
	p->live = true;
	p->gone = false;
	if (r.frames != p->quantum
		&& (r.frames > p->quantum || r.frames < p->quantum / 2 || begins))
		set_quantum(p, (uint32_t)r.frames);
	if (!p->ticking)
		tick_from(p, r.time, (double)p->completed);
	if (is_playback(p))
		follow_playback(p, &r);
	else
		follow_capture(p, &r, begins);
	p->seen = r;
}

/* ---- frames ---- */

static uint32_t move_piece(struct pcm *p, struct pcm_io *io, uint32_t frames)
{
	size_t skip = io->skip + (size_t)io->moved * p->format.frame;

	if (p->gone) {
		p->offset += frames;
		return frames;
	}
	return feed_put(p->feed, io->iov, io->n_iov, skip, frames);
}

/* Playback: moves what begins at or before `until`. */
static void move_out(struct pcm *p, double until)
{
	uint32_t piece = frames_in(&p->format, PIECE_US), n;
	struct pcm_io *io;

	if (piece > p->format.period)
		piece = p->format.period;
	while ((io = p->next) && (double)p->moved <= until) {
		n = io->frames - io->moved < piece ? io->frames - io->moved : piece;
		n = move_piece(p, io, n);
		if (!n)
			return;
		io->moved += n;
		p->moved += n;
		if (io->moved == io->frames)
			p->next = TAILQ_NEXT(io, link);
	}
}

static void write_silence(struct pcm *p, struct pcm_io *io)
{
	uint8_t silence[64 * FORMAT_FRAME_MAX];
	uint32_t n;

	format_silence(&p->format, silence, 64);
	for (; io->moved < io->frames; io->moved += n) {
		n = io->frames - io->moved < 64 ? io->frames - io->moved : 64;
		iov_write(io->iov, io->n_iov, io->skip + (size_t)io->moved * p->format.frame,
			silence, (size_t)n * p->format.frame);
	}
}

/* Capture: fills the messages whose time has come. Returns when the next one's is. */
static int64_t move_in(struct pcm *p, int64_t now)
{
	struct pcm_io *io;
	uint32_t before;
	int64_t due;

	while ((io = p->next)) {
		due = clock_when(&p->clock, (double)io->end);
		if (due > now)
			return due;
		before = io->moved;
		if (!p->live)
			write_silence(p, io);
		else
			io->moved += feed_take(p->feed, io->iov, io->n_iov,
				io->skip + (size_t)io->moved * p->format.frame,
				io->frames - io->moved);
		p->moved += io->moved - before;
		if (io->moved < io->frames) // the cycle is late: it comes or the graph is given up
			return now + SLACK;
		p->next = TAILQ_NEXT(io, link);
	}
	return clock_when(&p->clock, (double)p->queued);
}

/* ---- messages ---- */

/* Frames between the end of this message and what is heard, or was recorded, now. */
static uint32_t latency(const struct pcm *p, const struct pcm_io *io, int64_t now)
{
	const struct feed_report *r = &p->seen;
	double at =
		(double)(r->position + p->offset) + (double)(now - r->time) * p->format.rate / 1e9;
	double delay = (double)r->delay * p->format.rate / 1e9, frames;

	if (!p->live)
		return 0;
	if (is_playback(p))
		frames = (double)io->end - at + delay;
	else
		frames = at + (double)r->frames - (double)io->end + delay;
	return frames > 0 ? (uint32_t)frames : 0;
}

/*
 * Ends the messages whose time has come, and says when the next one's is.
 *
 * Linux keeps its pointer modulo the buffer: if all of a guest's messages came back before it looks, it
 * would see no progress, and its program an I/O error. So the last one that is out waits for
 * another to be queued, for as long as no driver gives up.
 */
static int64_t complete(struct pcm *p, int64_t now)
{
	struct pcm_io *io;
	int64_t due;

	while ((io = TAILQ_FIRST(&p->ios)) && io->moved == io->frames) {
		due = clock_when(&p->clock, (double)io->end);
		if (p->n_ios == 1 && p->most_ios > 1)
			due += HOLD;
		if (due > now)
			return due;
		pcm_finish(p, io, VIRTIO_SND_S_OK, latency(p, io, now));
	}
	return INT64_MAX;
}

/* The guest has nothing where it should have. That is not heard as long as the feed holds out. */
static void starve(struct pcm *p, int64_t now)
{
	if (!p->starved)
		p->starved_at = now;
	p->starved = true;
}

/* A guest that is late is one that goes on: at the end of its sound it has nothing, either. */
void pace_arrival(struct pcm *p, int64_t now)
{
	if (!p->starved)
		return;
	p->starved = false;
	log_at(p->starved_at, "%s at frame %llu: the guest had no period queued for %lld us",
		is_playback(p) ? "underrun" : "overrun",
		(unsigned long long)(is_playback(p) ? p->moved : p->completed),
		(long long)(now - p->starved_at) / 1000);
	if (!p->ticking || !is_playback(p))
		return;
	observe(p, now);
	if (!p->seen.open && clock_at(&p->clock, now) > (double)p->moved)
		clock_set(&p->clock, now, (double)p->moved); // the time that was missed is over
}

static int64_t earlier(int64_t a, int64_t b)
{
	return a < b ? a : b;
}

/* `soon`: what is due by then is done now. */
static int64_t run_playback(struct pcm *p, int64_t now, int64_t soon)
{
	int64_t next, move;

	move_out(p, clock_at(&p->clock, soon));
	if (!p->next && clock_at(&p->clock, now) >= (double)p->moved)
		starve(p, now);
	next = complete(p, soon);
	move = clock_when(&p->clock, (double)p->moved);
	atomic_store(&p->feed->ready_at, move);
	if (p->starved) // whether the feed held out is seen behind the next cycle
		move = p->seen.open ? now + ns_of(p, p->quantum) : INT64_MAX;
	return earlier(next, move);
}

static int64_t run_capture(struct pcm *p, int64_t now, int64_t soon)
{
	int64_t next = move_in(p, soon);

	if (!p->next && next <= now)
		starve(p, now);
	if (p->starved)
		next = now + ns_of(p, p->quantum);
	return earlier(next, complete(p, soon));
}

int64_t pace_run(struct pcm *p, int64_t now)
{
	int64_t slack = earlier(ns_of(p, p->format.period) / 8, SLACK), next;

	observe(p, now);
	if (!p->ticking && now < p->started_at + GRACE)
		return p->started_at + GRACE;
	if (!p->ticking)
		tick_from(p, now, (double)p->completed);
	if (p->crowded)
		slack = ns_of(p, p->format.period) / 4;
	next = is_playback(p) ? run_playback(p, now, now + slack)
			      : run_capture(p, now, now + slack);
	if (p->polling && (p->starved || p->n_ios < 2))
		next = earlier(next, now + ns_of(p, p->format.period) / 2);
	return next < now + REST ? now + REST : next;
}
