/*
 * SPDX-License-Identifier: ISC
 *
 * out - printing for people: nothing of a peer reaches a terminal as a command to it.
 */
#ifndef ARKEN_OUT_H
#define ARKEN_OUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "buf.h"

enum out_colour { OUT_PLAIN, OUT_BOLD, OUT_DIM, OUT_RED, OUT_GREEN, OUT_YELLOW, OUT_BLUE };

/* Ask once whether stdout is a terminal that may have colours (NO_COLOR, TERM). */
void out_open(void);

/* Columns of the terminal, 0 if there is none. */
size_t out_columns(void);

/* Begin and end a colour; nothing at all where there are none. */
void out_colour(enum out_colour colour);
void out_plain(void);

/* Printable ASCII as it is, any other byte as \xNN.  Returns how many columns that took. */
size_t out_text(const char *p, size_t n);
size_t out_str(const char *text);

/* As out_str, cut to width columns (0: not cut). */
void out_cut(const char *text, size_t width);

/*
 * JSON text: as it is, but what could steer a terminal or turn the direction of writing
 * becomes \uNNNN, which means the same.
 */
void out_json(const struct buf *b);

/* The same for several lines that are not JSON: newlines and tabs stay, all else as out_text.
 */
void out_lines(const char *p, size_t n);

/* Flush; false: stdout did not take it all. */
bool out_close(void);

#endif
