#include "kernel/runtime.h"

/* The address is the registry key; the value is never read. */
static const char registry_key = 0;

runtime *runtime_find(lua_State *L) {
  lua_rawgetp(L, LUA_REGISTRYINDEX, &registry_key);
  runtime *rt = lua_touserdata(L, -1);
  lua_pop(L, 1);
  return rt;
}

void runtime_register(lua_State *L) { lua_rawsetp(L, LUA_REGISTRYINDEX, &registry_key); }

void runtime_new_type(runtime *rt, lua_State *L, const char *type, const luaL_Reg *metamethods) {
  luaL_newmetatable(L, type);
  lua_pushlightuserdata(L, rt);
  luaL_setfuncs(L, metamethods, 1);
}

void runtime_push_value(runtime *rt, lua_State *L, int uv) {
  lua_rawgeti(L, LUA_REGISTRYINDEX, rt->self_ref);
  lua_getiuservalue(L, -1, uv);
  lua_remove(L, -2);
}

void runtime_set_value(runtime *rt, lua_State *L, int uv) {
  lua_rawgeti(L, LUA_REGISTRYINDEX, rt->self_ref);
  lua_insert(L, -2);
  lua_setiuservalue(L, -2, uv);
  lua_pop(L, 1);
}

/* --- closing --- */

void runtime_add_part(runtime *rt, runtime_part *part) {
  part->next = rt->parts;
  rt->parts = part;
}

int runtime_refuse_closed(lua_State *L) { return luaL_error(L, "the Lua state is being closed"); }

/* --- our C functions on the stack --- */

static const machinery *find_machinery(const runtime *rt, lua_CFunction f) {
  if (f == NULL) return NULL;
  for (size_t i = 0; i < rt->machinery_count; i++) {
    if (rt->machinery[i].function == f) return &rt->machinery[i];
  }
  return NULL;
}

void runtime_add_machinery(runtime *rt, machinery m) {
  if (find_machinery(rt, m.function) != NULL) return; /* the module is loaded once more */
  cp_assert(rt->machinery_count < RUNTIME_MACHINERY_MAX);
  rt->machinery[rt->machinery_count++] = m;
}

bool runtime_is_driver(const runtime *rt, lua_CFunction f) {
  const machinery *m = find_machinery(rt, f);
  return m != NULL && m->drives;
}

bool runtime_is_machinery(const runtime *rt, lua_CFunction f) {
  const machinery *m = find_machinery(rt, f);
  return m != NULL && m->hidden;
}

/* --- objects --- */

void runtime_note_alive(runtime *rt, lua_State *L, const void *part) {
  lua_rawgeti(L, LUA_REGISTRYINDEX, rt->alive_ref);
  lua_pushvalue(L, -2);
  lua_rawsetp(L, -2, part);
  lua_pop(L, 1);
}

void runtime_push_alive(const runtime *rt, lua_State *L, const void *part) {
  lua_rawgeti(L, LUA_REGISTRYINDEX, rt->alive_ref);
  lua_rawgetp(L, -1, part);
  lua_replace(L, -2);
}
