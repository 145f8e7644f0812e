#include "lua/guard.h"

#include "kernel/resume.h"
#include "lua/lib.h"

/*
** The upvalues of each guard: the runtime, the original function, and whether that is Lua's own. A
** C function without upvalues is taken for Lua's own. We do not call it but do its work, because a
** call more would be one of the 200 nested C calls that Lua allows coroutines.
*/
enum { UP_ORIGINAL = 2, UP_OF_LUA = 3, UP_COUNT = UP_OF_LUA };

static int return_all(lua_State *L, int status, lua_KContext context) {
  (void)status;
  (void)context;
  return lua_gettop(L);
}

static int call_original(lua_State *L) {
  lua_pushvalue(L, lua_upvalueindex(UP_ORIGINAL));
  lua_insert(L, 1);
  lua_callk(L, lua_gettop(L) - 1, LUA_MULTRET, 0, return_all);
  return lua_gettop(L);
}

/* Returns false and the value on top of the stack. */
static int fail(lua_State *L) {
  lua_pushboolean(L, 0);
  lua_insert(L, -2);
  return 2;
}

/* Does the same calls as Lua's resume, in the same order. */
static int resume(lua_State *L, lua_State *thread) {
  int arguments = lua_gettop(L) - 1;
  int values;
  if (!lua_checkstack(thread, arguments)) {
    lua_pushliteral(L, "too many arguments to resume");
    return fail(L);
  }
  lua_xmove(L, thread, arguments);
  int status = lua_resume(thread, L, arguments, &values);
  if (status != LUA_OK && status != LUA_YIELD) {
    lua_xmove(thread, L, 1);
    return fail(L);
  }
  if (!lua_checkstack(L, values + 1)) {
    lua_pop(thread, values);
    lua_pushliteral(L, "too many results to resume");
    return fail(L);
  }
  lua_pushboolean(L, 1);
  lua_xmove(thread, L, values);
  return values + 1;
}

/* Whether the first argument is a coroutine that belongs to a task. If so, pushes the refusal. */
static bool is_refused(lua_State *L) {
  lua_State *thread = lua_tothread(L, 1);
  runtime *rt = runtime_of_any(L); /* other coroutines work on after the runtime's end */
  if (thread == NULL || !resume_is_refused(rt, L, thread)) return false;
  lua_rawgeti(L, LUA_REGISTRYINDEX, rt->refusal_ref);
  return true;
}

static int guarded_resume(lua_State *L) {
  if (is_refused(L)) return fail(L);
  lua_State *thread = lua_tothread(L, 1);
  if (!lua_toboolean(L, lua_upvalueindex(UP_OF_LUA))) return call_original(L);
  if (thread == NULL) return luaL_typeerror(L, 1, "thread");
  return resume(L, thread);
}

static int guarded_close(lua_State *L) {
  if (is_refused(L)) return fail(L);
  if (lua_tothread(L, 1) == NULL) return luaL_typeerror(L, 1, "thread");
  return call_original(L);
}

static int guarded_running(lua_State *L) {
  guard_note_seen(runtime_of_any(L), L);
  if (!lua_toboolean(L, lua_upvalueindex(UP_OF_LUA))) return call_original(L);
  lua_pushboolean(L, lua_pushthread(L));
  return 2;
}

/*
** Replaces the function `name` in the table on top of the stack, unless it is one of the module's
** own: a guard, or co.coroutine's.   [-0, +0, m]
*/
static void replace(runtime *rt, lua_State *L, const char *name, lua_CFunction guarded) {
  int table = lua_gettop(L);
  lua_pushlightuserdata(L, rt);
  lua_pushstring(L, name);
  int type = lua_rawget(L, table);
  bool has_upvalue = type == LUA_TFUNCTION && lua_getupvalue(L, -1, 1) != NULL;
  bool is_ours = has_upvalue && lua_touserdata(L, -1) == rt;
  if (type == LUA_TFUNCTION && !is_ours) {
    lua_settop(L, table + UP_ORIGINAL);
    lua_pushboolean(L, lua_iscfunction(L, -1) && !has_upvalue);
    lua_pushcclosure(L, guarded, UP_COUNT);
    lua_pushstring(L, name);
    lua_insert(L, -2);
    lua_rawset(L, table);
  }
  lua_settop(L, table);
}

void guard_install(runtime *rt, lua_State *L) {
  int top = lua_gettop(L);
  lua_getfield(L, LUA_REGISTRYINDEX, LUA_LOADED_TABLE);
  if (lua_getfield(L, -1, "coroutine") == LUA_TTABLE) {
    replace(rt, L, "resume", guarded_resume);
    replace(rt, L, "close", guarded_close);
    replace(rt, L, "running", guarded_running);
  }
  lua_settop(L, top);
}
