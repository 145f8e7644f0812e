/*
** Guards, for `local _ <close> = m:guard()`: at the end of the block a guard gives back the lock or
** the permits. A method that may return a guard makes it first, at index 2, and arms it when it has
** taken the lock or the permits.
*/
#ifndef CP_LUA_LOCK_GUARD_H
#define CP_LUA_LOCK_GUARD_H

#include "kernel/runtime.h"

#pragma GCC visibility push(hidden)

/* Gives `amount` of the object back.   [-0, +0, e] */
typedef void (*lock_guard_release)(runtime *rt, lua_State *L, void *object, int amount);

/* Makes the metatable of guards.   [-0, +0, m] */
void lock_guard_open(lua_State *L, runtime *rt);

/*
** Makes a guard of the object at 1, the only value on the stack. It is not armed yet.   [-0, +1, m]
*/
void lock_guard_push(runtime *rt, lua_State *L, lock_guard_release release, int amount);

/*
** Pushes a method's result: if there is a guard at 2, the guard, armed, or nil if nothing was
** taken; otherwise the boolean `taken`. Returns 1.   [-0, +1, -]
*/
int lock_guard_push_outcome(lua_State *L, bool taken);

#pragma GCC visibility pop

#endif
