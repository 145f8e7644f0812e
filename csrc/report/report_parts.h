/*
** The parts of a report behind the chain: the task that panicked, its stack, its spawners, and the
** tasks that wait.
*/
#ifndef CP_REPORT_REPORT_PARTS_H
#define CP_REPORT_REPORT_PARTS_H

#include "kernel/record.h"
#include "kernel/text.h"

#pragma GCC visibility push(hidden)

/* The free stack slots that each function needs. */
#define REPORT_PART_SLOTS 12

/*
** Writes `task 7 "price lookup" panicked, trace 4bf9..., span 00f0...` for the record at `index`.
** [-0, +0, -]
*/
void report_write_head(lua_State *L, int index, text_writer *w);

/*
** Writes the stack: one indented line for each frame, with the functions in one column.
** [-0, +0, -]
*/
void report_write_frames(lua_State *L, int index, text_writer *w);

/* Writes `spawned at file:line by task 3 "x"` for the task and each ancestor.   [-0, +0, -] */
void report_write_ancestors(lua_State *L, int index, text_writer *w);

/*
** Writes the waiting tasks that the record lists: those of a deadlock, those of its cycle, and the
** suspension points. (report_waiting.c)   [-0, +0, -]
*/
void report_write_waiting(lua_State *L, int index, text_writer *w);

/*
** Writes the last events of the task, its ancestors and awaiters, if the recorder has kept them.
** (report_events.c)   [-0, +0, -]
*/
void report_write_events(lua_State *L, int index, text_writer *w);

/* Writes `task 7 "price lookup"`; `name` is empty for an unnamed task. */
void report_put_task(text_writer *w, uint64_t id, const char *name);

/* Writes `... 3 tasks left out ...`. */
void report_put_omitted(text_writer *w, uint64_t count, const char *what);

#pragma GCC visibility pop

#endif
