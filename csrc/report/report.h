/*
** A record as text: what a person reads first. Nothing here may fail: a throwing __tostring, a
** cyclic table, a huge string and a dead allocator all give a report.
*/
#ifndef CP_REPORT_REPORT_H
#define CP_REPORT_REPORT_H

#include <stdbool.h>

#include "kernel/record.h"
#include "kernel/text.h"

#pragma GCC visibility push(hidden)

/*
** Writes the whole report of the record at `index`.   [-0, +0, -]
** Calls the values' __tostring, protected and unable to suspend.
*/
void report_write(lua_State *L, int index, const text_sink *sink);

/* Pushes the report as a string, without the last newline.   [-0, +1, m] */
void report_push(lua_State *L, int index);

/* Writes the report to the descriptor 2, in one piece where it fits; colour only on a terminal that
** wants it (NO_COLOR, TERM=dumb).   [-0, +0, -] */
void report_to_stderr(lua_State *L, int index);

#pragma GCC visibility pop

#endif
