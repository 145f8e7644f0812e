/*
** Coroutines inside a task, made or resumed by co.coroutine: their code may suspend the task, while
** their own yields stay theirs. A park on such a coroutine yields to whoever resumed it, who yields on
** in turn, up to the task's own thread and the loop; on waking the same way is gone back down.
** `task.live.top` is the innermost of them, on which the task's code runs.
*/
#ifndef CP_KERNEL_NESTED_H
#define CP_KERNEL_NESTED_H

#include <stdbool.h>

#include "compat.h"
#include "kernel/task.h"

#pragma GCC visibility push(hidden)

/*
** Makes the thread at `index` known: in runtime.nested_ref, its resumer while it is active (it runs,
** has resumed another, or its task waits in it), else false.   [-0, +0, m]
*/
void nested_register(runtime *rt, lua_State *L, int index);

/* Makes the metatable of what coroutines carry.   [-0, +0, m] */
void nested_open(runtime *rt, lua_State *L);

/*
** Lets the coroutine at `index` work for the request of the code that runs now, whoever resumes it.
** [-0, +0, m]
*/
void nested_carry_trace(runtime *rt, lua_State *L, int index);

/*
** Closes the coroutine at index 1, as compat_close_thread does, while its code is in its own trace.
** [-0, +0, -]
*/
int nested_close(runtime *rt, lua_State *L, lua_State *thread);

/* The thread that has resumed `thread`, which is active; NULL: none that we know of.   [-0, +0, -] */
lua_State *nested_resumer(runtime *rt, lua_State *L, lua_State *thread);

/* Whether the task that `thread` belongs to waits in it.   [-0, +0, -] */
bool nested_is_parked(runtime *rt, lua_State *L, lua_State *thread);

/* The live task that waits in L, a thread of its own or of a coroutine inside it; NULL: none.   [-0, +0, -] */
task *nested_waiting_in(runtime *rt, lua_State *L);

/*
** Whether `thread` belongs to a live task, or its task waits in it, so that nobody else may resume or
** close it. False for one that runs or has resumed another: Lua itself refuses that.   [-0, +0, -]
*/
bool nested_is_refused(runtime *rt, lua_State *L, lua_State *thread);

/*
** The task never goes on where it is: closes the coroutines that it is in, the innermost first, so that their deferred
** calls run. These can't suspend; what they raise goes to the panic handler.   [-0, +0, -]
*/
void nested_close_all(runtime *rt, lua_State *L, task *t);

/* The task has ended: lets go of what its coroutines needed.   [-0, +0, -] */
void nested_release_top(runtime *rt, lua_State *L, task *t);

/* What resumes coroutines: co.coroutine.resume, or what wrap has returned. */
typedef struct nested_caller {
  /*
  ** Called at the coroutine's end or yield, at once or after the task has waited, with its status, and
  ** the values that it yielded or returned, or its error, above index 1. Returns from the C function.
  */
  int (*finish)(runtime *rt, lua_State *L, lua_State *thread, int status, int values);
} nested_caller;

/*
** Resumes the coroutine at index 1 with the values above it; to be returned from a C function of the
** module. An exit of the task is not for the caller's `finish`, but raised.
*/
int nested_resume(runtime *rt, lua_State *L, const nested_caller *caller);

#pragma GCC visibility pop

#endif
