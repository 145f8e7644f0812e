/*
** The table of a span, which its listener is given in the end: docs/spans.md has its fields.
*/
#ifndef CP_SPAN_SPAN_DATA_H
#define CP_SPAN_SPAN_DATA_H

#include "compat.h"
#include "kernel/runtime.h"
#include "kernel/task.h"

#pragma GCC visibility push(hidden)

/* Bounds of one span; what is left out is counted. */
#define SPAN_MAX_ATTRIBUTES 128
#define SPAN_MAX_EVENTS 128

/*
** Pushes the table of a span that begins now, named by the string on top of the stack.   [-1, +1, m]
**   ids   a span id of 0 is set later, by span_data_set_id
**   kind  "internal", "server", ...
**   t     whose code it is; NULL: outside tasks
*/
void span_data_push(lua_State *L, const trace_ids *ids, const char *kind, const task *t);

/* Sets the span id in the table on top of the stack.   [-0, +0, m] */
void span_data_set_id(lua_State *L, uint64_t span_id);

/*
** Sets the attributes of the table at `attributes` in the span, or event, whose table is at `owner`. What
** is no attribute, or too many, is left out and counted.   [-0, +0, m]
*/
void span_data_set(lua_State *L, int owner, int attributes);

/*
** Adds an event, named by the string at `name`, whose attributes are a table at `attributes` or 0, to the
** span's table at `data`. False: it has too many.   [-0, +0, m]
*/
bool span_data_add_event(lua_State *L, int data, int name, int attributes);

/*
** How the piece of work ended: with the value that was raised at `raised`, or nil, and now. Whether by a
** panic.   [-0, +0, m]
*/
bool span_data_end(lua_State *L, int data, int raised);

#pragma GCC visibility pop

#endif
