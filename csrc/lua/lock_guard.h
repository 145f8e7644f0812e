/*
** What `local _ <close> = m:guard()` holds: a guard gives back, at the end of the block, what a lock or semaphore was
** taken for. Methods that may return a guard make it first, at index 2, and arm it when they have what they want.
*/
#ifndef CP_LUA_LOCK_GUARD_H
#define CP_LUA_LOCK_GUARD_H

#include "runtime/runtime.h"

#pragma GCC visibility push(hidden)

/* Gives `amount` of the object back.   [-0, +0, e] */
typedef void (*lock_guard_release)(runtime *rt, lua_State *L, void *object, int amount);

/* The type of guards.   [-0, +0, m] */
void lock_guard_open(lua_State *L, runtime *rt);

/* Makes a guard of the object at 1, which is all of the stack. It is not armed yet.   [-0, +1, m] */
void lock_guard_push(lua_State *L, lock_guard_release release, int amount);

/*
** What a method returns when it has taken what it wants, or not: the guard at 2, armed, or nil; without a guard there
** a boolean. Returns 1.   [-0, +1, -]
*/
int lock_guard_push_outcome(lua_State *L, bool taken);

#pragma GCC visibility pop

#endif
