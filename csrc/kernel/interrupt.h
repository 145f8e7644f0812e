/*
** Signal handlers that run as Lua hooks, as those of lua.c (Ctrl-C) and luaposix do: at the signal they set a
** hook on the thread that was running Lua, and expect that to run Lua code soon. The loop does not, so
** that it calls an empty function on that thread, once a round and after a signal has ended its sleep.
*/
#ifndef CP_KERNEL_INTERRUPT_H
#define CP_KERNEL_INTERRUPT_H

#include "compat.h"
#include "kernel/runtime.h"

#pragma GCC visibility push(hidden)

/* Makes the empty function.   [-0, +0, m] */
void interrupt_open(runtime *rt, lua_State *L);

/* A run begins, driven by L: notes the hooks that are there, which are nobody's handlers.   [-0, +0, -] */
void interrupt_begin(runtime *rt, lua_State *L);

/* Whether the thread has a hook that it had not when the run began. */
static inline bool interrupt_has_new_hook(const watched_hook *w) {
  if (w->thread == NULL) return false;
  int mask = lua_gethookmask(w->thread);
  return mask != 0 && (mask != w->mask || lua_gethook(w->thread) != w->hook);
}

/* Whether a signal handler waits to be run. */
static inline bool interrupt_is_due(const runtime *rt) {
  return interrupt_has_new_hook(&rt->watched[0]) || interrupt_has_new_hook(&rt->watched[1]);
}

/*
** Runs the handlers that wait. An error of one cancels main, with the error as the reason, and ends
** the run.   [-0, +0, -]
*/
void interrupt_serve(runtime *rt, lua_State *L);

/*
** The run has ended. True: it was interrupted, and main has not ended by that; then what co.run raises for it is on top
** of the stack.   [-0, +(0|1), -]
*/
bool interrupt_end(runtime *rt, lua_State *L);

/*
** The universe is being closed. If Ctrl-C has interrupted its last run, and the process ends with the
** status of a failed script, it dies of the signal, as the shell expects.
*/
void interrupt_close(const runtime *rt);

#pragma GCC visibility pop

#endif
