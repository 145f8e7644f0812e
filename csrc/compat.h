/*
** The only file that knows which Lua it is compiled for. The rest is written against Lua 5.4's API.
*/
#ifndef CP_COMPAT_H
#define CP_COMPAT_H

#include <lauxlib.h>
#include <lua.h>

#if LUA_VERSION_NUM != 504
#error "coropanic is written for Lua 5.4; see docs/architecture.md for the versions to come"
#endif

/*
** Ends a coroutine's activations and makes the thread reusable. Returns the status of the
** to-be-closed variables that it ran. (lua_closethread is 5.4.6 and later; 5.4.0 to 5.4.5 have
** this one.)
*/
#if LUA_VERSION_RELEASE_NUM >= 50406
static inline int compat_close_thread(lua_State *thread, lua_State *from) {
  return lua_closethread(thread, from);
}
#else
static inline int compat_close_thread(lua_State *thread, lua_State *from) {
  (void)from;
  return lua_resetthread(thread);
}
#endif

/* Where a function that never returns, but does not say so in its type, would have returned. */
#define compat_unreachable() __builtin_unreachable()

/* Asks the processor to have the memory at hand soon. */
#define compat_prefetch(address) __builtin_prefetch(address)

/* The analyzer has to be told that these do not return. */
#if defined(__clang_analyzer__)
#define luaL_error(...) (luaL_error(__VA_ARGS__), __builtin_unreachable(), 0)
#define lua_error(L) (lua_error(L), __builtin_unreachable(), 0)
#endif

#endif
