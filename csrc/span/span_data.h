/* The table of a span, which listeners get when the span ends: docs/spans.md has its fields. */
#ifndef CP_SPAN_SPAN_DATA_H
#define CP_SPAN_SPAN_DATA_H

#include "compat.h"
#include "kernel/runtime.h"
#include "kernel/task.h"

#pragma GCC visibility push(hidden)

/* Bounds of one span. Everything beyond a bound is counted. */
#define SPAN_MAX_ATTRIBUTES 128
#define SPAN_MAX_EVENTS 128

/*
** Pops a name, a string, and pushes the table of a span that begins now.   [-1, +1, m]
**   ids   those of the span
**   kind  "internal", "server", ...
**   t     the task whose code it is; NULL: outside tasks
*/
void span_data_push(lua_State *L, const trace_ids *ids, const char *kind, const task *t);

/* Sets the span id in the table on top of the stack.   [-0, +0, m] */
void span_data_set_id(lua_State *L, uint64_t span_id);

/*
** Copies the attributes of the table at `attributes` into the table of a span or event at `owner`.
** Invalid attributes, and those beyond the bound, are left out and counted.   [-0, +0, m]
*/
void span_data_set(lua_State *L, int owner, int attributes);

/*
** Adds an event to the span's table at `data`: its name is the string at `name`, its attributes are
** the table at `attributes` (0: none). Returns false if the span has too many events.   [-0, +0, m]
*/
bool span_data_add_event(lua_State *L, int data, int name, int attributes);

/*
** Notes that the span ended now, and how: with the value that was raised, at `raised`, or nil.
** Returns whether a panic ended it.   [-0, +0, m]
*/
bool span_data_end(lua_State *L, int data, int raised);

#pragma GCC visibility pop

#endif
