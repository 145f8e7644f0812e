/*
** A record as text for people. No function fails: a __tostring that raises, a cyclic table, a huge
** string or a lack of memory still give a report.
*/
#ifndef CP_REPORT_REPORT_H
#define CP_REPORT_REPORT_H

#include <stdbool.h>

#include "kernel/record.h"
#include "kernel/text.h"

#pragma GCC visibility push(hidden)

/*
** Writes the whole report of the record at `index`, or of any other value.   [-0, +0, -]
** Calls the values' __tostring; an error in it is caught, and it can not suspend.
*/
void report_write(lua_State *L, int index, const text_sink *sink);

/* Pushes the report as a string, without the last newline.   [-0, +1, m] */
void report_push(lua_State *L, int index);

/*
** Writes the report to stderr, in one write if it fits into 8 kB. Uses colour only if stderr is a
** terminal that wants it (NO_COLOR, TERM=dumb).   [-0, +0, -]
*/
void report_to_stderr(lua_State *L, int index);

#pragma GCC visibility pop

#endif
