/* SPDX-License-Identifier: MIT */
#pragma once
/* The GPUs of this machine, as far as one may use them. */
#include <stdbool.h>

enum { NODE_DRIVER_MAX = 32 };

/*
 * Opens a render node: the descriptor, and the name of its driver; or negative errno, -ENOTTY for what is
 * none.
 */
int node_open(const char *path, char driver[NODE_DRIVER_MAX]);

/* Why it cannot be used and what to do about it, in words that follow its path. */
const char *node_advice(int error);

/* Whether there is one in `dir` (/dev/dri), of use or not. */
bool nodes_exist(const char *dir);

/* Prints a line for each render node in `dir` (/dev/dri), or that there is none. */
void nodes_print(const char *dir);
