#include "host/host.h"

#include "coropanic.h"

runtime *host_find(lua_State *L) {
  runtime *rt = runtime_find(L);
  return rt == NULL || rt->closed ? NULL : rt;
}

runtime *host_open(lua_State *L) {
  runtime *rt = runtime_find(L);
  if (rt == NULL) {
    luaL_requiref(L, "coropanic.core", luaopen_coropanic_core, 0);
    lua_pop(L, 1);
    rt = runtime_find(L);
  }
  if (rt->closed) runtime_refuse_closed(L);
  return rt;
}

host *host_of(runtime *rt) {
  if (rt->host != NULL) return rt->host;
  host *h = mem_new(&rt->memory, sizeof(host));
  if (h == NULL) return NULL;
  *h = (host){.data_part = {.close = NULL}};
  list_init(&h->data);
  rt->host = h;
  return h;
}

task *host_task(lua_State *L, int index) {
  return host_find(L) == NULL ? NULL : task_test(L, index);
}

/* () Opens the module under both names. */
static int open_module(lua_State *L) {
  host_open(L);
  luaL_requiref(L, "coropanic.core", luaopen_coropanic_core, 0);
  luaL_getsubtable(L, LUA_REGISTRYINDEX, LUA_LOADED_TABLE);
  if (lua_getfield(L, -1, "coropanic") == LUA_TNIL) {
    lua_pushvalue(L, 1);
    lua_setfield(L, -3, "coropanic");
  }
  return 0;
}

int cp_open(lua_State *L) {
  lua_pushcfunction(L, open_module);
  return lua_pcall(L, 0, 0, 0);
}

const char *cp_version(void) { return CP_VERSION; }

int cp_version_num(void) { return CP_VERSION_NUM; }
