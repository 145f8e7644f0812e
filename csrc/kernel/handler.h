/*
** Calls the functions that scripts have set: the panic handler, the hook on_start, and observers
** (observe.h). No error of theirs stops the loop.
*/
#ifndef CP_KERNEL_HANDLER_H
#define CP_KERNEL_HANDLER_H

#include "compat.h"
#include "kernel/runtime.h"

#pragma GCC visibility push(hidden)

/*
** The tasks that a handler spawns at the end of a run run too. If they panic, the handler is called
** again and may spawn again. After so many times in a row the next record goes to stderr; otherwise
** the run might never end.
*/
#define HANDLER_MAX_DEPTH 8

/*
** Pops a record and gives it to the panic handler: that of this run, else that of on_panic, else
** the default. The handler also gets the task at `index` (0: none). If the handler panics, its
** record and the given one go to stderr.   [-1, +0, -]
*/
void handler_report(runtime *rt, lua_State *L, int index);

/*
** The same for a record of kind warning: no panic is counted, and the process does not end with
** UNHANDLED_CRASH. Observers hear of it as "warning".   [-1, +0, -]
*/
void handler_warn(runtime *rt, lua_State *L, int index);

/*
** Pops a function and its arguments and calls it. If it panics, the record is reported with the
** task at the absolute index `index` (0: none).   [-(arguments + 1), +0, -]
*/
void handler_call(runtime *rt, lua_State *L, int arguments, int index);

/*
** Calls the hook on_start on `thread`, whose function is on its stack and has not begun. A debug
** hook, or the like, that on_start sets for the running coroutine therefore covers that function.
** If on_start panics, the record is reported.   [-0, +0, -]
*/
void handler_run_start(runtime *rt, lua_State *thread);

#pragma GCC visibility pop

#endif
