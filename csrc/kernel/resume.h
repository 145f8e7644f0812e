/*
** Coroutines inside a task, made or resumed by co.coroutine: their code may suspend the task, while
** their own yields stay theirs. A park on such a coroutine yields to whoever resumed it, who yields on
** in turn, up to the task's own thread and the loop; on waking the same way is gone back down.
** `task.live.top` is the innermost of them, in which the task's code may suspend.
*/
#ifndef CP_KERNEL_RESUME_H
#define CP_KERNEL_RESUME_H

#include <stdbool.h>

#include "compat.h"
#include "kernel/coroutine.h"
#include "kernel/task.h"

#pragma GCC visibility push(hidden)

/* Closes the coroutine, as compat_close_thread does, while its code is in its own trace.   [-0, +0, -] */
int resume_close(runtime *rt, lua_State *L, lua_State *thread);

/* The live task that waits in L, a thread of its own or of a coroutine inside it; NULL: none.   [-0, +0, -] */
task *resume_waiting_in(runtime *rt, lua_State *L);

/*
** Whether `thread` belongs to a live task, or its task waits in it, so that nobody else may resume or
** close it. False for one that runs or has resumed another: Lua itself refuses that.   [-0, +0, -]
*/
bool resume_is_refused(runtime *rt, lua_State *L, lua_State *thread);

/*
** The current task never goes on where it is: closes the coroutines that it is in, the innermost first, so that their
** deferred calls run. These can't suspend; what they raise goes to the panic handler.   [-0, +0, -]
*/
void resume_close_all(runtime *rt, lua_State *L, task *t);

/* The task has come back from the coroutines that it is in without their end: these are lost.   [-0, +0, -] */
void resume_lose_all(runtime *rt, lua_State *L, task *t);

/* What resumes coroutines: co.coroutine.resume, or what wrap has returned. */
typedef struct resume_caller {
  /*
  ** Called at the coroutine's end or yield, at once or after the task has waited, with its status, and
  ** the values that it yielded or returned, or its error, above index 1. Returns from the C function.
  */
  int (*finish)(runtime *rt, lua_State *L, lua_State *thread, int status, int values);
} resume_caller;

/*
** Resumes the coroutine, whose thread is at index 1, with the values above that; to be returned from a C function of
** the module. An exit of the task is not for the caller's `finish`, but raised.
*/
int resume_coroutine(runtime *rt, lua_State *L, coroutine *c, const resume_caller *caller);

#pragma GCC visibility pop

#endif
