/*
** Lua's own coroutine library, with three functions that know of tasks: resume and close refuse a
** coroutine that belongs to one, and running notes that code knows it. To every other coroutine they do
** what those did that were there.
*/
#ifndef CP_LUA_GUARD_H
#define CP_LUA_GUARD_H

#include "runtime/task.h"

#pragma GCC visibility push(hidden)

/* Puts the three in the place of those of the loaded library, unless they are there.   [-0, +0, e] */
void guard_install(runtime *rt, lua_State *L);

/* The code that runs on L is about to know its thread. */
static inline void guard_note_seen(const runtime *rt, const lua_State *L) {
  task *t = rt->current;
  if (t != NULL && t->live.thread == L) t->seen = true;
}

#pragma GCC visibility pop

#endif
