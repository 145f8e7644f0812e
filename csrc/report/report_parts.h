/*
** The parts of a report that follow the chain: who panicked, where, who spawned it, who else waits.
*/
#ifndef CP_REPORT_REPORT_PARTS_H
#define CP_REPORT_REPORT_PARTS_H

#include "kernel/record.h"
#include "kernel/text.h"

#pragma GCC visibility push(hidden)

/* Free stack slots that each of these wants of its caller. */
#define REPORT_PART_SLOTS 12

/* `task 7 "price lookup" panicked, trace 4bf9..., span 00f0...` of the record at `index`. [-0, +0,
 * -] */
void report_write_head(lua_State *L, int index, text_writer *w);

/* The stack: one indented line a frame, what was called in one column. */
void report_write_frames(const record *r, text_writer *w);

/* `spawned at file:line by task 3 "x"`, up to the root.   [-0, +0, -] */
void report_write_ancestors(lua_State *L, int index, text_writer *w);

/*
** Who else waits, if the record tells: a deadlock's parked tasks, its cycle, the suspension points.
** [-0, +0, -] (report_waiting.c)
*/
void report_write_waiting(lua_State *L, int index, text_writer *w);

/* `task 7 "price lookup"`; `name` is empty for an unnamed task. */
void report_put_task(text_writer *w, uint64_t id, const char *name);

/* `... 3 tasks left out ...` */
void report_put_omitted(text_writer *w, uint64_t count, const char *what);

#pragma GCC visibility pop

#endif
