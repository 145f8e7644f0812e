/*
** Preemption: a task that does not suspend by itself is suspended when its slice is over, as if it
** had called co.yield there, so that it does not stop the others. Off until co.preempt turns it on.
**
**   ticker (core/ticker.h)            in the signal handler              in the task's code
**   ───────────────────────▶ the same turn as at the last tick? ──▶ interrupt_arm: a hook, which
**   every slice while tasks   or the step's deadline over?           calls preempt_serve at the
**   run                                                              next instruction of Lua
**
** A switch pays nothing for it: the handler sees by the count of turns, which is kept anyway, whether
** a task has run for a whole slice. So a task is preempted between one and two slices after it began.
** While the loop sleeps, the next tick finds that and is the last one; the loop starts them again.
**
** A task with a CPU budget (cpu_budget.h) needs the same ticks.
*/
#ifndef CP_KERNEL_PREEMPT_H
#define CP_KERNEL_PREEMPT_H

#include <stdbool.h>

#include "compat.h"
#include "kernel/runtime.h"

#pragma GCC visibility push(hidden)

/* The slice that co.preempt(true) sets, and that tasks with a CPU budget have when it is off. */
#define PREEMPT_SLICE_NS (NS_PER_SECOND / 100)

/* The shortest and the longest slice. */
#define PREEMPT_SLICE_MIN_NS INT64_C(10000)
#define PREEMPT_SLICE_MAX_NS (3600 * NS_PER_SECOND)

/* The time between two ticks in a step that has not ended at its deadline; less with a shorter slice. */
#define PREEMPT_LATE_NS (NS_PER_SECOND / 1000)

/*
** Where code can't be preempted, because a C function is in the way, the hook looks again after so
** many instructions.
*/
#define PREEMPT_RETRY 10000

/* Whether ticks are wanted while tasks run. */
static inline bool preempt_is_wanted(const preemption *p) {
  return p->slice_ns != 0 || p->metered > 0;
}

void preempt_init(runtime *rt);

/*
** Declares the file of the Lua function at `level` of L's stack cooperative: its code is not preempted.
** Returns false if there is no such function.   [-0, +0, m]
*/
bool preempt_spare(runtime *rt, lua_State *L, int level);

/* Sets the slice; 0 turns preemption off. Else call preempt_require before. */
void preempt_set_slice(runtime *rt, int64_t slice_ns);

/*
** Opens the ticker for the calling thread, if it is not open, or is open for another thread. Raises if
** it can't be had.   [-0, +0, e]
**   what  for the message: "co.preempt"
*/
void preempt_require(runtime *rt, lua_State *L, const char *what);

/* Call it when the loop begins to run, before anything else: the same, if ticks are wanted. */
static inline void preempt_check(runtime *rt, lua_State *L) {
  if (preempt_is_wanted(&rt->preemption)) preempt_require(rt, L, "preemption");
}

/*
** Starts the ticks for a run or step of the loop.
**   budget_ns  after so long every tick ends a turn; TIME_FOREVER: only those that find a whole slice
**              used up
*/
void preempt_start(runtime *rt, int64_t budget_ns);

/* Call it before tasks run: starts the ticks if they are wanted and were stopped. */
static inline void preempt_resume(runtime *rt) {
  preemption *p = &rt->preemption;
  if (preempt_is_wanted(p) && !p->ticks) preempt_start(rt, TIME_FOREVER);
}

/* Stops the ticks: call it when the loop has run. */
void preempt_stop(runtime *rt);

/* Call it when the universe is being closed. */
void preempt_close(runtime *rt);

/*
** Suspends the running task, whose slice is over and whose code runs on L, or asks for the hook to be
** called again later. Called in the hook; does nothing if the slice is not over.   [-0, +0, e]
*/
void preempt_serve(runtime *rt, lua_State *L);

#pragma GCC visibility pop

#endif
