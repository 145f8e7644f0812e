/*
** Makes the calls that frame stacks ask for. Every call is protected and continues after a yield,
** so that all code in a frame may suspend, deferred calls too.
*/
#ifndef CP_KERNEL_UNWIND_H
#define CP_KERNEL_UNWIND_H

#include <stdbool.h>

#include "compat.h"
#include "kernel/runtime.h"

#pragma GCC visibility push(hidden)

/* The types of frames that unwind.c opens itself. */
extern const frame_type frame_entry; /* the entry of a task */
extern const frame_type frame_block; /* ends a block with a deferred call in a `<close>` variable */

/*
** The continuation of waits in frame_type.lost: runs when the wait is over, or the task was woken
** for another reason.
*/
int unwind_after_lost(lua_State *L, int status, lua_KContext runtime_address);

/* Registers the functions below that the runtime needs.   [-0, +0, m] */
void unwind_open(runtime *rt, lua_State *L);

/*
** The function that co.func returns: calls the function in upvalue 2 in a frame of its own; the
** runtime is upvalue 1, as everywhere.   [-args, +results, e]
*/
int unwind_func(lua_State *L);

/*
** co.call: (fn, ...) → its results, in a frame of its own.
*/
int unwind_call(lua_State *L);

/*
** Calls the function at index 2, with the arguments above it, in a frame of this type; the value at
** index 1 is the frame's. Return the result from a C function of the module.   [-args, +results, e]
** It does the work of the next two functions. unwind_open_body opens the frame and may raise.
** unwind_call_body calls the function; before it the caller may have done something that the frame
** undoes when it is left. Frames that are not thin may be opened only in a task's own code.
*/
int unwind_body(runtime *rt, lua_State *L, const frame_type *type);
frame_stack *unwind_open_body(runtime *rt, lua_State *L, const frame_type *type);
int unwind_call_body(frame_stack *s, lua_State *L, const frame_type *type);

/* For frame_type.leave: returns the number of results of a frame that has returned. */
int unwind_results(const frame_stack *s, lua_State *L, const frame_type *type);

/*
** For frame_type.leave: returns or raises the outcome, which is on top. Return the result at once,
** with no other call between.   [-0, +?, e]
*/
int unwind_leave(frame_stack *s, lua_State *L, const frame_type *type, frame_state state);

/*
** Calls as lua_callk does, and returns the results of the continuation. However the running C
** function of the module ends from now on, also by an error or because its coroutine is closed, the
** __close of the value at `slot` is called then. This is no frame: errors pass unchanged.
** [-(arguments + 1), +?, e]
*/
int unwind_call_closing(lua_State *L, int slot, int arguments, int results, lua_KContext context,
                        lua_KFunction continuation);

/*
** Runs a task's deferred calls after its entry has ended; the outcome is in the innermost frame of
** the frame stack. Returns true and the results, or false and the record.
*/
int unwind_finish(lua_State *L);

/*
** The __close of a handle of co.defer: (handle, error). Runs the deferred call now, if it is still
** pending.
*/
int unwind_close_deferred(lua_State *L);

/*
** The __close of a coroutine that is no task's: (coroutine, error). The coroutine is being closed
** while frames are open; runs their deferred calls.
*/
int unwind_close_foreign(lua_State *L);

/* co.pcall: (fn, ...) → true, results... or false, record. */
int unwind_pcall(lua_State *L);

/*
** The handle that co.defer returns: it identifies the deferred call. Its metatable is DEFER_TYPE.
*/
typedef struct deferred_handle {
  uint64_t serial;
} deferred_handle;

#define DEFER_TYPE "coropanic.deferred"

#pragma GCC visibility pop

#endif
