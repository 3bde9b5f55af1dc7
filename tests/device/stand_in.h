/* SPDX-License-Identifier: MIT */
#pragma once
/* What the first word of a command stream tells the stand-in renderer to do. */
enum stand_in {
	STAND_IN_NOTHING,
	STAND_IN_SLEEP, // so many ms
	STAND_IN_CRASH,
	STAND_IN_END,
	STAND_IN_FAIL,    // with this result
	STAND_IN_GARBAGE, // says so many bytes of the stream
	STAND_IN_LIE,     // answers what was not asked, twice, and before its time
	STAND_IN_RING,    // claims to have read what was not written
	STAND_IN_ESCAPE,  // opens a file or a socket; INVALID_PARAMETER: it could not
	STAND_IN_EXEC,
	STAND_IN_PTRACE,
	STAND_IN_SUM, // all other words; INVALID_PARAMETER when that is not 0
};
