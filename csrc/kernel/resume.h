/*
** Coroutines inside a task, made or resumed by co.coroutine. Their code may suspend the task; their
** own yields go to their resumer. If the task parks in such a coroutine, that yields to its
** resumer, which yields too, up to the task's own thread and the loop. On waking the task goes back
** down the same way. `task.coroutine.top` is the innermost of them, in which the task's code may
** suspend.
*/
#ifndef CP_KERNEL_RESUME_H
#define CP_KERNEL_RESUME_H

#include <stdbool.h>

#include "compat.h"
#include "kernel/coroutine.h"
#include "kernel/task.h"

#pragma GCC visibility push(hidden)

/*
** Closes the coroutine as compat_close_thread does; its code runs in its own trace meanwhile.
** [-0, +0, -]
*/
int resume_close(runtime *rt, lua_State *L, lua_State *thread);

/*
** Whether only the scheduler may resume or close `thread`, because it belongs to a live task, or a
** task waits in it. False for a thread that runs or has resumed another: Lua itself refuses that.
** [-0, +0, -]
*/
bool resume_is_refused(runtime *rt, lua_State *L, lua_State *thread);

/*
** Call it when the current task will never go on where it is: closes the coroutines that it is in,
** the innermost first, so that their deferred calls run. These can't suspend, and their errors go
** to the panic handler.   [-0, +0, -]
*/
void resume_close_all(runtime *rt, lua_State *L, task *t);

/* The kind of function that resumes: co.coroutine.resume, or a function of wrap. */
typedef struct resume_caller {
  /*
  ** Called at the coroutine's end or yield, at once or after the task has waited, with its status.
  ** Above index 1 are the values that it yielded or returned, or its error. Returns the results of
  ** the C function.
  */
  int (*finish)(runtime *rt, lua_State *L, lua_State *thread, int status, int values);
} resume_caller;

/*
** Resumes the coroutine, whose thread is at index 1, with the values above that. Return the result
** from a C function of the module. An exit of the task does not go to the caller's `finish`, but is
** raised.
*/
int resume_coroutine(runtime *rt, lua_State *L, coroutine *c, const resume_caller *caller);

#pragma GCC visibility pop

#endif
