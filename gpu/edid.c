/* SPDX-License-Identifier: MIT */
#include "edid.h"

#include <stdbool.h>
#include <string.h>

enum {
	BLOCK = 128,
	DESCRIPTOR = 18,
	FIRST_DESCRIPTOR = 54,
	CLOCK_UNIT_HZ = 10000, // of all timings here
	LEAST_CLOCK = 1000,    // no monitor takes less than 10 MHz, and readers doubt such a mode
	PRODUCT_CODE = 1,
	MODEL_YEAR = 2026,
};

struct timing {
	uint32_t width, height;
	uint32_t h_blank, h_front, h_sync;
	uint32_t v_blank, v_front, v_sync;
	uint64_t clock; // 10 kHz
	uint32_t refresh_mhz;
};

struct size {
	uint32_t width, height;
};

static uint32_t clamp(uint32_t v, uint32_t low, uint32_t high)
{
	return v < low ? low : v > high ? high : v;
}

static void put16(uint8_t *p, uint64_t v)
{
	p[0] = v & 0xff;
	p[1] = (v >> 8) & 0xff;
}

/* Sets the last byte so that all of them add up to 0. */
static void put_checksum(uint8_t *p, size_t n)
{
	uint8_t sum = 0;

	for (size_t i = 0; i + 1 < n; i++)
		sum = (uint8_t)(sum + p[i]);
	p[n - 1] = (uint8_t)-sum;
}

/* ---- timings ---- */

/* The aspect ratios that have a name: how DisplayID 1.3, 4.4.1 and VESA CVT, 3.4.2 number them. */
static const struct aspect {
	uint32_t w, h;
	uint8_t displayid, v_sync;
} aspects[] = {{1, 1, 0, 10}, {5, 4, 1, 7}, {4, 3, 2, 4}, {15, 9, 3, 7}, {16, 9, 4, 5},
	{16, 10, 5, 6}, {0, 0, 8, 10}};

static const struct aspect *aspect_of(uint32_t width, uint32_t height)
{
	const struct aspect *a = aspects;

	while (a->w && (uint64_t)width * a->h != (uint64_t)height * a->w)
		a++;
	return a;
}

static uint64_t pixel_clock(const struct timing *t)
{
	uint64_t mhz =
		(uint64_t)(t->width + t->h_blank) * (t->height + t->v_blank) * t->refresh_mhz;

	return (mhz + 500ull * CLOCK_UNIT_HZ) / (1000ull * CLOCK_UNIT_HZ);
}

/*
 * As VESA CVT 1.1 with reduced blanking has it, but for any width: 460 us without picture. Tiny
 * modes get more blanking, up to LEAST_CLOCK.
 */
static struct timing make_timing(struct size size, uint32_t refresh_mhz)
{
	struct timing t = {.width = size.width,
		.height = size.height,
		.h_blank = 160,
		.h_front = 48,
		.h_sync = 32,
		.v_front = 3,
		.v_sync = aspect_of(size.width, size.height)->v_sync,
		.refresh_mhz = refresh_mhz};
	uint64_t blank = 460ull * refresh_mhz; // parts of 10^9 of a frame
	uint32_t least = t.v_front + t.v_sync + 6;

	t.v_blank = (uint32_t)(blank * t.height / (1000000000 - blank)) + 1;
	t.v_blank = t.v_blank < least ? least : t.v_blank;
	while (pixel_clock(&t) < LEAST_CLOCK)
		*(t.h_blank < 2048 ? &t.h_blank : &t.v_blank) *= 2;
	t.clock = pixel_clock(&t);
	return t;
}

/* Does it fit into a detailed timing descriptor? (E-EDID 1.4, table 3.21) */
static bool fits_descriptor(const struct timing *t)
{
	return t->width <= 0xfff && t->height <= 0xfff && t->v_blank <= 0xfff && t->clock <= 0xffff;
}

/* ---- the base block's descriptors (E-EDID 1.4, 3.10) ---- */

/* Detailed timing, 3.10.2. */
static void put_timing(uint8_t *p, const struct timing *t, struct size mm)
{
	put16(p, t->clock);
	p[2] = t->width & 0xff;
	p[3] = t->h_blank & 0xff;
	p[4] = (uint8_t)((t->width >> 8) << 4 | t->h_blank >> 8);
	p[5] = t->height & 0xff;
	p[6] = t->v_blank & 0xff;
	p[7] = (uint8_t)((t->height >> 8) << 4 | t->v_blank >> 8);
	p[8] = (uint8_t)t->h_front;
	p[9] = (uint8_t)t->h_sync;
	p[10] = (uint8_t)(t->v_front << 4 | t->v_sync);
	p[11] = 0; // the high bits of these four
	p[12] = mm.width & 0xff;
	p[13] = mm.height & 0xff;
	p[14] = (uint8_t)((mm.width >> 8) << 4 | mm.height >> 8);
	p[17] = 0x1a; // digital separate sync, horizontal positive, vertical negative
}

/* Product name, 3.10.3.4. */
static void put_name(uint8_t *p, const char *name)
{
	size_t len = strnlen(name, DESCRIPTOR - 5);

	p[3] = 0xfc;
	memset(p + 5, ' ', DESCRIPTOR - 5);
	memcpy(p + 5, name, len);
	if (len < DESCRIPTOR - 5)
		p[5 + len] = '\n';
}

/* A rate of up to 510 in a byte, with its offset flag (3.10.3.3.1). */
static uint8_t rate_byte(uint64_t rate, uint8_t *flags, unsigned flag)
{
	if (rate <= 255)
		return (uint8_t)rate;
	*flags = (uint8_t)(*flags | flag);
	return (uint8_t)(rate - 255);
}

static uint64_t line_rate_hz(const struct timing *t)
{
	return (uint64_t)(t->height + t->v_blank) * t->refresh_mhz / 1000;
}

/*
 * Display range limits, 3.10.3.3: what the smaller modes need, widened to t. False, and nothing
 * written, when t is beyond all that the descriptor can say.
 */
static bool put_range(uint8_t *p, const struct timing *t)
{
	uint64_t khz = line_rate_hz(t) / 1000, hz = t->refresh_mhz / 1000;
	uint64_t tens_mhz = t->clock / 1000 + 1;
	uint8_t flags = 0;

	if (!khz || khz + 1 > 510 || hz + 1 > 510 || tens_mhz > 255)
		return false;
	p[3] = 0xfd;
	p[6] = rate_byte(hz + 1 > 75 ? hz + 1 : 75, &flags, 0x02);
	p[5] = (uint8_t)(hz < 50 ? hz : 50);
	p[8] = rate_byte(khz + 1 > 80 ? khz + 1 : 80, &flags, 0x08);
	p[7] = (uint8_t)(khz < 30 ? khz : 30);
	p[9] = (uint8_t)(tens_mhz > 20 ? tens_mhz : 20);
	p[4] = flags;
	p[10] = 0x01; // range limits only, no formula
	p[11] = '\n';
	memset(p + 12, ' ', 6);
	return true;
}

/* ---- the smaller modes ---- */

static bool is_smaller(struct size a, uint32_t width, uint32_t height)
{
	return a.width <= width && a.height <= height && !(a.width == width && a.height == height);
}

/* Established timings I and II, 3.8: the three at 60 Hz. */
static void put_established(uint8_t *p, const struct timing *t)
{
	if (is_smaller((struct size){640, 480}, t->width, t->height))
		p[0] |= 0x20;
	if (is_smaller((struct size){800, 600}, t->width, t->height))
		p[0] |= 0x01;
	if (is_smaller((struct size){1024, 768}, t->width, t->height))
		p[1] |= 0x08;
}

/* Standard timings, 3.9, at 60 Hz. */
static void put_standard(uint8_t *p, const struct timing *t)
{
	static const struct {
		struct size size;
		uint8_t aspect; // 0 16:10, 1 4:3, 2 5:4, 3 16:9
	} modes[] = {{{1920, 1200}, 0}, {{1920, 1080}, 3}, {{1680, 1050}, 0}, {{1600, 1200}, 1},
		{{1440, 900}, 0}, {{1280, 1024}, 2}, {{1280, 800}, 0}, {{1280, 720}, 3}};

	memset(p, 0x01, 16); // unused
	for (size_t i = 0; i < sizeof(modes) / sizeof(*modes); i++) {
		if (!is_smaller(modes[i].size, t->width, t->height))
			continue;
		*p++ = (uint8_t)(modes[i].size.width / 8 - 31);
		*p++ = (uint8_t)(modes[i].aspect << 6);
	}
}

/* ---- the blocks ---- */

/*
 * The size of the screen. 0x0, undefined, when the base block could not tell it in cm, 3.6.2: then
 * nothing else may either.
 */
static struct size screen_mm(const struct edid_info *info, const struct timing *t)
{
	struct size mm = {info->width_mm, info->height_mm};

	if (!mm.width || !mm.height)
		mm = (struct size){t->width * 254 / 1000, t->height * 254 / 1000};
	if (mm.width < 5 || mm.height < 5 || mm.width > 2550 || mm.height > 2550)
		mm = (struct size){0};
	return mm;
}

/* Header, vendor, version and colours, 3.3 to 3.7. */
static void put_identity(uint8_t *p, uint32_t serial)
{
	static const uint8_t header[8] = {0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0};
	static const uint8_t srgb[10] = {
		0xee, 0x91, 0xa3, 0x54, 0x4c, 0x99, 0x26, 0x0f, 0x50, 0x54};
	const unsigned vendor = ('V' - '@') << 10 | ('R' - '@') << 5 | ('G' - '@');

	memcpy(p, header, sizeof(header));
	p[8] = (uint8_t)(vendor >> 8);
	p[9] = (uint8_t)(vendor & 0xff);
	put16(p + 10, PRODUCT_CODE);
	put16(p + 12, serial & 0xffff);
	put16(p + 14, serial >> 16);
	p[16] = 0xff; // what follows is the model's year
	p[17] = MODEL_YEAR - 1990;
	p[18] = 1;
	p[19] = 4;
	p[20] = 0xa0; // digital, 8 bits a colour, interface undefined
	p[23] = 120;  // gamma 2.2
	p[24] = 0x06; // RGB 4:4:4, sRGB, the preferred mode is the native one
	memcpy(p + 25, srgb, sizeof(srgb));
}

static void put_base(
	uint8_t *p, const struct edid_info *info, const struct timing *t, struct size mm)
{
	uint8_t *d = p + FIRST_DESCRIPTOR;
	struct timing fallback = make_timing((struct size){1024, 768}, 60000);

	put_identity(p, info->serial);
	p[21] = (uint8_t)((mm.width + 5) / 10);
	p[22] = (uint8_t)((mm.height + 5) / 10);
	put_established(p + 35, t);
	put_standard(p + 38, t);
	put_timing(d, fits_descriptor(t) ? t : &fallback, mm);
	put_name(d + DESCRIPTOR, info->name ? info->name : "Virga");
	if (!put_range(d + 2 * DESCRIPTOR, t))
		d[2 * DESCRIPTOR + 3] = 0x10; // a dummy, 3.10.3.11
	d[3 * DESCRIPTOR + 3] = 0x10;
	p[126] = fits_descriptor(t) ? 0 : 1;
	put_checksum(p, BLOCK);
}

/* A type I detailed timing (DisplayID 1.3, 4.4.1); every count is one less than what it means. */
static void put_displayid_timing(uint8_t *p, const struct timing *t)
{
	const uint32_t fields[] = {t->width, t->h_blank, t->h_front, t->h_sync, t->height,
		t->v_blank, t->v_front, t->v_sync};
	uint64_t clock = t->clock < 1u << 24 ? t->clock : 1u << 24;

	put16(p, clock - 1);
	p[2] = (uint8_t)((clock - 1) >> 16);
	p[3] = 0x80 | aspect_of(t->width, t->height)->displayid; // preferred
	for (size_t i = 0; i < sizeof(fields) / sizeof(*fields); i++)
		put16(p + 4 + 2 * i, fields[i] - 1);
	p[9] |= 0x80; // horizontal sync is positive
}

/* Product identification (DisplayID 1.3, 4.1); no string, the base block has the name. */
static void put_displayid_product(uint8_t *p, uint32_t serial)
{
	memcpy(p, "VRG", 3);
	put16(p + 3, PRODUCT_CODE);
	put16(p + 5, serial & 0xffff);
	put16(p + 7, serial >> 16);
	p[9] = 0xff; // what follows is the model's year
	p[10] = MODEL_YEAR - 2000;
}

/* Display parameters (DisplayID 1.3, 4.2): sizes, gamma, aspect ratio, depth. */
static void put_displayid_display(uint8_t *p, const struct timing *t, struct size mm)
{
	uint32_t longer = t->width > t->height ? t->width : t->height;
	uint32_t aspect = 100 * longer / (t->width + t->height - longer) - 100;

	put16(p, 10 * mm.width);
	put16(p + 2, 10 * mm.height);
	put16(p + 4, t->width);
	put16(p + 6, t->height);
	p[9] = 120; // gamma 2.2
	p[10] = (uint8_t)(aspect < 255 ? aspect : 255);
	p[11] = 7 << 4 | 7; // 8 bits a colour, natively too
}

/* A data block's header; returns where its payload begins, and moves *p behind it. */
static uint8_t *put_block(uint8_t **p, uint8_t tag, uint8_t len)
{
	uint8_t *payload = *p + 3;

	(*p)[0] = tag;
	(*p)[2] = len;
	*p = payload + len;
	return payload;
}

/* An EDID extension that holds a DisplayID section (DisplayID 1.3, 2 and appendix B). */
static void put_extension(uint8_t *p, uint32_t serial, const struct timing *t, struct size mm)
{
	uint8_t *section = p + 1, *at = section + 4, *interface;

	section[0] = 0x13; // version 1.3
	section[2] = 3;    // a display that stands alone
	put_displayid_product(put_block(&at, 0x00, 12), serial);
	put_displayid_display(put_block(&at, 0x01, 12), t, mm);
	interface = put_block(&at, 0x0f, 10);
	interface[0] = 10 << 4 | 1; // DisplayPort, one link
	interface[2] = 0x02;        // 8 bits of RGB
	put_displayid_timing(put_block(&at, 0x03, 20), t);
	section[1] = (uint8_t)(at - section - 4);
	put_checksum(section, (size_t)(at + 1 - section));
	p[0] = 0x70;
	put_checksum(p, BLOCK);
}

size_t edid_generate(const struct edid_info *info, uint8_t edid[EDID_MAX])
{
	const struct size size = {
		clamp(info->width, 1, EDID_MAX_PIXELS), clamp(info->height, 1, EDID_MAX_PIXELS)};
	uint32_t refresh = info->refresh_mhz ? info->refresh_mhz : 60000;
	struct timing t = make_timing(size, clamp(refresh, 10000, 480000));
	struct size mm = screen_mm(info, &t);

	memset(edid, 0, EDID_MAX);
	put_base(edid, info, &t, mm);
	if (fits_descriptor(&t))
		return BLOCK;
	put_extension(edid + BLOCK, info->serial, &t, mm);
	return 2 * BLOCK;
}
