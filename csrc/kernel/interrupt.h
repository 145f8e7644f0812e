/*
** Code that a signal makes run in the middle of other code, by a hook: first, ours; then that of others.
**
** A signal handler of ours may set a hook on the running coroutine (Lua allows lua_sethook there), and
** do no more. The hook is called before the next instruction of Lua's VM, where all is in order, and
** calls what wants to interrupt the code. A hook of the user's (a debugger's, a coverage tool's) is
** left alone, and then nothing interrupts the code.
**
** Signal handlers of others that run as Lua hooks, as those of lua.c (Ctrl-C) and luaposix do. At the signal
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
** Call it in a signal handler of the thread that runs the loop, while a task runs: the running code
** will be interrupted.
*/
void interrupt_arm(const runtime *rt);

/* Call it where the code on L is interrupted: it will be again after so many instructions. */
void interrupt_again(lua_State *L, int instructions);

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
