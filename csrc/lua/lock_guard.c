#include "lua/lock_guard.h"

#include "lua/lib.h"
#include "sync/object.h"

/* Its user value is the lock or semaphore. */
typedef struct lock_guard {
  sync_object object;
  lock_guard_release release;
  int amount;
  bool armed; /* it holds the lock or permits, and has not given them back */
} lock_guard;

#define LOCK_GUARD_TYPE "coropanic.lock_guard"

static const sync_type lock_guard_type = {
    .name = "guard", .metatable = LOCK_GUARD_TYPE, .size = sizeof(lock_guard), .user_values = 1};

void lock_guard_push(runtime *rt, lua_State *L, lock_guard_release release, int amount) {
  lock_guard *g = sync_new(rt, L, &lock_guard_type);
  g->release = release;
  g->amount = amount;
  lua_pushvalue(L, 1);
  lua_setiuservalue(L, 2, 1);
}

int lock_guard_push_outcome(lua_State *L, bool taken) {
  lock_guard *g = lua_gettop(L) < 2 ? NULL : lua_touserdata(L, 2);
  if (g == NULL) {
    lua_pushboolean(L, taken);
  } else if (taken) {
    g->armed = true;
    lua_settop(L, 2);
  } else {
    lua_pushnil(L);
  }
  return 1;
}

static int guard_close(lua_State *L) {
  lock_guard *g = sync_check_self(L, &lock_guard_type, "__close");
  if (!g->armed) return 0;
  g->armed = false;
  lua_getiuservalue(L, 1, 1);
  g->release(g->object.runtime, L, lua_touserdata(L, -1), g->amount);
  return 0;
}

static int guard_tostring(lua_State *L) {
  const lock_guard *g = sync_check_self(L, &lock_guard_type, "__tostring");
  lua_getiuservalue(L, 1, 1);
  lua_pushfstring(L, "%s of %s", g->armed ? "guard" : "closed guard", luaL_tolstring(L, -1, NULL));
  return 1;
}

void lock_guard_open(lua_State *L, runtime *rt) {
  static const luaL_Reg methods[] = {{NULL, NULL}};
  static const luaL_Reg metamethods[] = {
      {"__close", guard_close},
      {"__tostring", guard_tostring},
      {NULL, NULL},
  };
  lib_new_type(L, rt, LOCK_GUARD_TYPE, methods, metamethods);
}
