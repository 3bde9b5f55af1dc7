/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * Makes the EDID of a monitor that likes one mode best. Pure: a struct in, bytes out.
 *
 * The base block follows VESA E-EDID 1.4. A mode that its detailed timing cannot hold (more than
 * 4095 pixels a side or 655.35 MHz) comes in a VESA DisplayID 1.3 extension block, and the base
 * block names 1024x768 in its place for those who cannot read the other.
 */
#include <stddef.h>
#include <stdint.h>

enum { EDID_MAX = 1024, EDID_MAX_PIXELS = 16384 };

struct edid_info {
	uint32_t width, height;       // pixels; held within 1 and EDID_MAX_PIXELS
	uint32_t width_mm, height_mm; // one of them 0: as of 100 dots an inch
	uint32_t refresh_mhz;         // 0: 60 Hz; held within 10 and 480 Hz
	const char *name;             // printable ASCII, cut to 13 characters; NULL: "Virga"
	uint32_t serial;
};

/* Returns how many bytes there are: 128, or 256. The rest of edid[] is zeroed. */
size_t edid_generate(const struct edid_info *info, uint8_t edid[EDID_MAX]);
