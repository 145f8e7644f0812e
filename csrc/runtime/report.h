/*
** A record as text: what a person reads first. Nothing here may fail: a throwing __tostring, a
** cyclic table, a huge string and a dead allocator all give a report.
*/
#ifndef CP_RUNTIME_REPORT_H
#define CP_RUNTIME_REPORT_H

#include <stdbool.h>

#include "runtime/record.h"
#include "runtime/text.h"

/*
** Writes the whole report of the record at `index`.   [-0, +0, -]
** Calls the values' __tostring, protected and unable to suspend.
*/
void report_write(lua_State *L, int index, const text_sink *sink);

/* Writes only the chain as Go prints it, each line ended by "\n".   [-0, +0, -] */
void report_write_chain(lua_State *L, int index, const text_sink *sink);

/* Pushes the report as a string, without the last newline.   [-0, +1, m] */
void report_push(lua_State *L, int index);

/* Writes the report to the descriptor 2, in one piece where it fits; colour only on a terminal that
** wants it (NO_COLOR, TERM=dumb).   [-0, +0, -] */
void report_to_stderr(lua_State *L, int index);

/*
** Pushes the text of the value at `index`, at most RECORD_MAX_TEXT bytes of it (then says how many
** were left out).   [-0, +1, m] Strings as they are; tables and userdata through __tostring;
** without one by type, with no address. Returns false when __tostring failed; the text is then
** "panic while printing panic value: <why>".
*/
bool report_push_value(lua_State *L, int index);

/* Pushes the record's message: its value's text, cached in the record.   [-0, +1, m] */
bool report_push_message(lua_State *L, int index);

#endif
