/*
** Code that a signal makes run in the middle of other code, by a hook: first, ours; then that of others.
**
** A signal handler of ours, or an allocator, may set a hook on the running coroutine (Lua allows
** lua_sethook there), and do no more. The hook is called before the next instruction of Lua's VM, where
** all is in order, and calls what wants to interrupt the code: the clients, which only look, then
** preemption. So it is the one place that sets such hooks.
**
** A hook of the user's (a debugger's, a coverage tool's) keeps preemption out. A client may put our
** hook over it for the time until the next instruction: ours calls it for each event of its own, and
** puts it back. The thread itself says which one that is: by the count of our hook, with which a new
** coroutine inherits it. A hook that counts instructions is left alone, because to set it again would
** begin its count anew.
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

/* What a client does with the interrupted code. It is in its owner's memory. */
typedef struct interrupt_client {
  struct interrupt_client *next;
  /*
  ** Called in the hook, for whatever reason it was set, on any thread: also on one that is not the
  ** running coroutine's. Must not raise, suspend, or call scripts; may use all free slots of
  ** L's stack.   [-0, +0, -]
  */
  void (*serve)(struct interrupt_client *self, runtime *rt, lua_State *L);
} interrupt_client;

/* Adds a client, or takes one out that was added. */
void interrupt_add(runtime *rt, interrupt_client *client);
void interrupt_remove(runtime *rt, interrupt_client *client);

/*
** Call it in a signal handler of the thread that runs the loop, while a task runs: the running code
** will be interrupted, unless it has a hook of the user's.
*/
void interrupt_arm(const runtime *rt);

/*
** The same for clients, also outside tasks, and also over a hook of the user's. Returns false if that
** hook has to be left alone.
*/
bool interrupt_arm_over(runtime *rt);

/* Takes our hook off the thread, if it is there, and puts the user's back.   [-0, +0, -] */
void interrupt_disarm(const runtime *rt, lua_State *L);

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
