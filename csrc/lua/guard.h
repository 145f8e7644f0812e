/*
** Replaces three functions of Lua's own coroutine library by functions that know of tasks. resume
** and close refuse a task's coroutine, and running notes that code has seen it. For every other
** coroutine they call the functions that they replaced.
*/
#ifndef CP_LUA_GUARD_H
#define CP_LUA_GUARD_H

#include "kernel/task.h"

#pragma GCC visibility push(hidden)

/* Replaces the three functions in the loaded library, unless that was done before.   [-0, +0, e] */
void guard_install(runtime *rt, lua_State *L);

/* Call it when the code that runs on L gets its thread: notes that a task's thread was seen. */
static inline void guard_note_seen(const runtime *rt, const lua_State *L) {
  task *t = rt->current;
  if (t != NULL && t->coroutine.thread == L) t->seen = true;
}

#pragma GCC visibility pop

#endif
