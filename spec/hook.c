/*
** For the specs: what hosts and C libraries do with Lua's hooks.
**   limit(count)           every `count` instructions raise "the host's limit", in the calling coroutine and
**                          those that are made in it, as a host does with a sandbox
**   limit()                takes that back
**   on_signal(number, fn)  calls fn(number) at the signal: as luaposix does, by a hook on the state that was
**                          given
*/
#define _DEFAULT_SOURCE 1 /* sigaction */

#include <lauxlib.h>
#include <lua.h>
#include <signal.h>

static void exceed(lua_State *L, lua_Debug *ar) {
  (void)ar;
  luaL_error(L, "the host's limit");
}

static int limit(lua_State *L) {
  int count = (int)luaL_optinteger(L, 1, 0);
  lua_sethook(L, count > 0 ? exceed : NULL, count > 0 ? LUA_MASKCOUNT : 0, count);
  return 0;
}

static lua_State *state;
static lua_Hook hook_before;
static int mask_before;
static int count_before;
static volatile sig_atomic_t caught;

static void call_handler(lua_State *L, lua_Debug *ar) {
  (void)ar;
  lua_sethook(L, hook_before, mask_before, count_before);
  lua_getfield(L, LUA_REGISTRYINDEX, "spec_hook.handler");
  lua_pushinteger(L, caught);
  lua_call(L, 1, 0);
}

static void catch_signal(int number) {
  caught = number;
  hook_before = lua_gethook(state);
  mask_before = lua_gethookmask(state);
  count_before = lua_gethookcount(state);
  lua_sethook(state, call_handler, LUA_MASKCALL | LUA_MASKRET | LUA_MASKCOUNT, 1);
}

static int on_signal(lua_State *L) {
  struct sigaction action = {.sa_handler = catch_signal};
  state = L;
  luaL_checktype(L, 2, LUA_TFUNCTION);
  lua_pushvalue(L, 2);
  lua_setfield(L, LUA_REGISTRYINDEX, "spec_hook.handler");
  sigaction((int)luaL_checkinteger(L, 1), &action, NULL);
  return 0;
}

__attribute__((visibility("default"))) int luaopen_spec_hook(lua_State *L);

int luaopen_spec_hook(lua_State *L) {
  static const luaL_Reg functions[] = {{"limit", limit}, {"on_signal", on_signal}, {NULL, NULL}};
  luaL_newlib(L, functions);
  return 1;
}
