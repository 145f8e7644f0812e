/*
** The driver makes the calls that frame stacks ask for. Every call is protected and continues after a
** yield, so that everything in a frame may suspend, deferred calls too.
*/
#ifndef CP_KERNEL_UNWIND_H
#define CP_KERNEL_UNWIND_H

#include <stdbool.h>

#include "compat.h"
#include "kernel/runtime.h"

#pragma GCC visibility push(hidden)

/* The frames of the driver itself. */
extern const frame_type frame_entry; /* a task's first activation */
extern const frame_type
    frame_block; /* the end of a block that holds a deferred call in a `<close>` variable */

/* Gives the runtime what it needs of the functions below.   [-0, +0, m] */
void unwind_open(runtime *rt, lua_State *L);

/*
** co.func's result: calls the function in upvalue 2 in a frame of its own; as everywhere, the
** runtime is upvalue 1.   [-args, +results, e]
*/
int unwind_func(lua_State *L);

/*
** co.call: (fn, ...) → its results, in a frame of its own.
*/
int unwind_call(lua_State *L);

/*
** Calls the function at index 2, with what is above it, in a frame of this type, which has a value: that at index 1. To
** be returned from a C function of the module.   [-args, +results, e] That is the two below: opening the frame, which may
** raise, and calling the function, to which the frame's code may have added something to undo when it is left.
** Frames that are not thin are opened in a task's own code alone.
*/
int unwind_body(runtime *rt, lua_State *L, const frame_type *type);
frame_stack *unwind_open_body(runtime *rt, lua_State *L, const frame_type *type);
int unwind_call_body(frame_stack *s, lua_State *L, const frame_type *type);

/* For frame_type.leave: how many results there are, where it has returned. */
int unwind_results(const frame_stack *s, lua_State *L, const frame_type *type);

/* The same: returns or raises the outcome, which is on top. To be returned; nothing may be called between.   [-0, +?, e] */
int unwind_leave(frame_stack *s, lua_State *L, const frame_type *type, frame_state state);

/*
** Calls as lua_callk does, and returns what the continuation returns. In whatever way the running C function of the
** module ends from now on, also by an error or because its coroutine is closed, the value at `slot` is closed then: its
** __close is called. This is no frame: what is raised passes as it is.   [-(arguments + 1), +?, e]
*/
int unwind_call_closing(lua_State *L, int slot, int arguments, int results, lua_KContext context,
                        lua_KFunction continuation);

/*
** A task's deferred calls, after its entry has ended: the frame stack's innermost frame has its outcome.
** Returns true and the results, or false and the record.
*/
int unwind_finish(lua_State *L);

/*
** The __close of what co.defer returns: runs that deferred call now, if it is still pending.
** (handle, error).
*/
int unwind_close_deferred(lua_State *L);

/*
** The __close of a coroutine that is no task's: it is being closed while frames are open; runs
** their deferred calls. (coroutine, error).
*/
int unwind_close_foreign(lua_State *L);

/* co.pcall: (fn, ...) → true, results... or false, record. */
int unwind_pcall(lua_State *L);

/* What co.defer returns: identifies the deferred call. Its metatable is DEFER_TYPE. */
typedef struct deferred_handle {
  uint64_t serial;
} deferred_handle;

#define DEFER_TYPE "coropanic.deferred"

#pragma GCC visibility pop

#endif
