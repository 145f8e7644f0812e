#include "lua/version.h"

#include <stdbool.h>
#include <stdio.h>

#define NEEDS "coropanic needs PUC Lua 5.4.4 or later, but not 5.4.5; this is "

/*
** "$LuaVersion: Lua 5.4.4 Copyright ...". A host may hide this symbol, as it may all that it does
** not need.
*/
#pragma weak lua_ident

/* Returns the release's number as LUA_VERSION_RELEASE_NUM has it; 0 if it is unknown. */
static int running_release(void) {
  int major, minor, release;
  const char *ident = lua_ident;
  if (ident == NULL) return 0;
  if (sscanf(ident, "$LuaVersion: Lua %d.%d.%d", &major, &minor, &release) != 3) return 0;
  return major * 10000 + minor * 100 + release;
}

static int fail(lua_State *L) {
  lua_pushnil(L);
  return lua_error(L);
}

static int suspend(lua_State *L) { return lua_yield(L, 0); }

/* Runs `fn` on the thread and returns the status.   [-0, +0, m] */
static int start(lua_State *L, lua_State *thread, lua_CFunction fn) {
  int results;
  lua_settop(thread, 0);
  lua_pushcfunction(thread, fn);
  return lua_resume(thread, L, 0, &results);
}

/*
** Whether this Lua closes a thread that has died of an error properly: it returns the error, which
** 5.4.0 to 5.4.2 forget, and makes the thread fit for reuse, which 5.4.3 does not.   [-0, +0, m]
*/
static bool closes_threads(lua_State *L) {
  lua_State *thread = lua_newthread(L);
  bool works = start(L, thread, fail) == LUA_ERRRUN &&
               compat_close_thread(thread, L) == LUA_ERRRUN &&
               start(L, thread, suspend) == LUA_YIELD;
  lua_pop(L, 1);
  return works;
}

void version_check(lua_State *L) {
  int version = (int)lua_version(L);
  if (version != LUA_VERSION_NUM) {
    luaL_error(L, "coropanic was built for " LUA_VERSION "; this is Lua %d.%d", version / 100,
               version % 100);
  }
  int release = running_release();
  if (release != 0 && !compat_release_works(release)) {
    luaL_error(L, NEEDS "Lua %d.%d.%d", release / 10000, release / 100 % 100, release % 100);
  }
  if (!closes_threads(L)) luaL_error(L, NEEDS "an earlier Lua 5.4");
  luaL_checkversion(L);
}
