/*
** Calling what scripts have set: the panic handler, the hook on_start, and observers (observe.h). Nothing that they do
** takes the loop down.
*/
#ifndef CP_KERNEL_HANDLER_H
#define CP_KERNEL_HANDLER_H

#include "compat.h"
#include "kernel/runtime.h"

#pragma GCC visibility push(hidden)

/*
** At the end of a run what a handler spawns runs too, and may panic; the handler is told, and may spawn again. Where
** that has happened so many times in a row the next record goes to stderr: else the run would never end.
*/
#define HANDLER_MAX_DEPTH 8

/*
** Gives a record to the handler that this run, or on_panic, or else the default has set. The task
** at `index` (0: none) comes with it. The record is on top of the stack.   [-1, +0, -] A handler
** that panics is reported on stderr, and so is what it was given.
*/
void handler_report(runtime *rt, lua_State *L, int index);

/*
** Calls the function and its arguments on top of the stack. A panic of it is reported, with the task at the absolute
** index, 0: none.   [-(arguments + 1), +0, -]
*/
void handler_call(runtime *rt, lua_State *L, int arguments, int index);

/*
** Calls the hook on_start on a thread whose function, already on its stack, has not begun: so what the hook sets for
** the running coroutine, such as a debug hook, holds for that function. A panic of it is reported.   [-0, +0, -]
*/
void handler_run_start(runtime *rt, lua_State *thread);

#pragma GCC visibility pop

#endif
