/*
** Signal handlers that run as Lua hooks, as those of lua.c (Ctrl-C) and luaposix do. At the signal
** such a handler sets a hook on the thread that was running Lua, and expects that thread to run Lua
** code soon. Our loop might not run Lua there; so it calls an empty Lua function on that thread,
** once a round and after a signal has ended its sleep.
*/
#ifndef CP_KERNEL_INTERRUPT_H
#define CP_KERNEL_INTERRUPT_H

#include "compat.h"
#include "kernel/runtime.h"

#pragma GCC visibility push(hidden)

/* Makes the empty function.   [-0, +0, m] */
void interrupt_open(runtime *rt, lua_State *L);

/*
** Call it when L begins a run: notes the hooks that exist already, because they are no signal
** handlers.   [-0, +0, -]
*/
void interrupt_begin(runtime *rt, lua_State *L);

/* Whether the thread has a hook that it did not have when the run began. */
static inline bool interrupt_has_new_hook(const watched_hook *w) {
  if (w->thread == NULL) return false;
  int mask = lua_gethookmask(w->thread);
  return mask != 0 && (mask != w->mask || lua_gethook(w->thread) != w->hook);
}

/* Whether a signal handler waits to run. */
static inline bool interrupt_is_due(const runtime *rt) {
  return interrupt_has_new_hook(&rt->watched[0]) || interrupt_has_new_hook(&rt->watched[1]);
}

/*
** Runs the waiting handlers. If one raises an error, cancels main with the error as the reason,
** which ends the run.   [-0, +0, -]
*/
void interrupt_serve(runtime *rt, lua_State *L);

/*
** Call it when the run has ended. Returns true if the run was interrupted but main returned all the
** same; then pushes the record that co.run must raise.   [-0, +(0|1), -]
*/
bool interrupt_end(runtime *rt, lua_State *L);

/*
** Call it when the universe is being closed. If Ctrl-C interrupted the last run and the process
** exits with the status of a failed script, the process dies of the signal, as the shell expects.
*/
void interrupt_close(const runtime *rt);

#pragma GCC visibility pop

#endif
