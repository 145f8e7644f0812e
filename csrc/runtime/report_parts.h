/*
** The parts of a report that follow the chain: who panicked, where, who spawned it, who else waits.
*/
#ifndef CP_RUNTIME_REPORT_PARTS_H
#define CP_RUNTIME_REPORT_PARTS_H

#include "runtime/record.h"
#include "runtime/text.h"

/* Free stack slots that each of these wants of its caller. */
#define REPORT_PART_SLOTS 12

/* `task 7 "price lookup" panicked, trace 4bf9..., span 00f0...` of the record at `index`. [-0, +0,
 * -] */
void report_write_head(lua_State *L, int index, text_writer *w);

/* The stack: one indented line a frame, what was called in one column. */
void report_write_frames(const record *r, text_writer *w);

/* `spawned at file:line by task 3 "x"`, up to the root.   [-0, +0, -] */
void report_write_ancestors(lua_State *L, int index, text_writer *w);

/* A deadlock's parked tasks, if the record has any.   [-0, +0, -] */
void report_write_parked(lua_State *L, int index, text_writer *w);

#endif
