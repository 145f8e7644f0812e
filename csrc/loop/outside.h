/*
** Waits that code outside the scheduler ends: a callback of the host, another thread, or a signal
** handler. A task first asks for a token, which names its next such wait, and starts the operation
** with it; then it parks on the token. A wake-up may come at any time, also before the task parks,
** and wins at most once. The token is the task's until the wait is over, or the task ends.
**
** Nobody can know whether a wake-up will come, so such a task is never part of a deadlock.
*/
#ifndef CP_LOOP_OUTSIDE_H
#define CP_LOOP_OUTSIDE_H

#include "compat.h"
#include "core/mailbox.h"
#include "kernel/task.h"
#include "loop/loop.h"

#pragma GCC visibility push(hidden)

/* The status with which the continuation of a wait runs. */
enum { OUTSIDE_WOKEN = LUA_YIELD, OUTSIDE_TIMED_OUT = 64 };

/*
** Returns a new token of the current task, whose code runs on L and must be able to suspend.
** [-0, +0, e]
**   name  the API function, for messages
*/
uint64_t outside_open(runtime *rt, lua_State *L, const char *name);

/* Gives up a token on which no task is parked. False: the token has no wait.   [-0, +0, -] */
bool outside_close(runtime *rt, lua_State *L, uint64_t token);

/*
** Parks the current task on its token. Return the result from a C function. `resumed` runs, at once
** if the wake-up has come already, with the values of the wake-up above those on the stack.
** [-0, +0, e]
**   deadline_ns  TIME_FOREVER for none
*/
int outside_park(runtime *rt, lua_State *L, uint64_t token, int64_t deadline_ns, lua_KContext ctx,
                 lua_KFunction resumed);

typedef enum outside_answer {
  OUTSIDE_TAKEN,    /* the task goes on with the values */
  OUTSIDE_LATE,     /* it goes on for another reason, or has gone on */
  OUTSIDE_UNKNOWN,  /* no such token was issued, or it is of another runtime */
  OUTSIDE_NO_MEMORY /* and the task goes on waiting */
} outside_answer;

/* Pops the values and wakes the token's task with them.   [-values, +0, -] */
outside_answer outside_wake(runtime *rt, lua_State *L, uint64_t token, int values);

/* Whether any task is parked on a token. */
static inline bool outside_is_awaited(const runtime *rt) {
  return loop_of(rt)->outside_waiting > 0;
}

/* Whether other threads have posted what the next round will deliver. */
static inline bool outside_has_mail(const runtime *rt) {
  const mailbox *m = loop_of(rt)->mailbox;
  return m != NULL && mailbox_has_mail(m);
}

/* Wakes the tasks for which other threads, or signal handlers, have posted. */
void outside_deliver(runtime *rt);

/* Call it when the thread that calls begins to drive the loop. */
static inline void outside_enter(const runtime *rt) {
  if (loop_of(rt)->mailbox != NULL) mailbox_own(loop_of(rt)->mailbox);
}

#pragma GCC visibility pop

#endif
