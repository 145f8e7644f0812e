/* co.func, co.call, co.defer, co.panic, co.recover, co.results, co.set_results, co.goexit, co.pcall
 */
#include "kernel/args.h"
#include "kernel/defer.h"
#include "kernel/panic.h"
#include "kernel/task.h"
#include "kernel/unwind.h"
#include "lua/lib.h"

static int panic_func(lua_State *L) {
  arg_check_function(L, 1, "func");
  lua_pushvalue(L, lua_upvalueindex(1));
  lua_pushvalue(L, 1);
  lua_pushcclosure(L, unwind_func, 2);
  return 1;
}

static int panic_defer(lua_State *L) {
  runtime *rt = runtime_of(L);
  arg_check_function(L, 1, "defer");
  frame_stack *s = defer_check_frame(rt, L, "co.defer");
  int count = lua_gettop(L);
  /* Every C function has stack for a few arguments. */
  if (count > LUA_MINSTACK / 2) luaL_checkstack(L, count + LUA_MINSTACK, "too many arguments");
  deferred_handle *handle = lua_newuserdatauv(L, sizeof(deferred_handle), 0);
  handle->serial = 0;
  lua_pushvalue(L, lua_upvalueindex(2));
  lua_setmetatable(L, -2);
  for (int i = 1; i <= count; i++) lua_pushvalue(L, i);
  handle->serial = defer_call(rt, L, s, count);
  return 1;
}

static int panic_panic(lua_State *L) {
  lua_settop(L, 1);
  return panic_raise(runtime_of(L), L);
}

static int panic_recover_binding(lua_State *L) { return panic_recover(runtime_of(L), L); }

/* Returns the index of the frame whose deferred call is running; raises if there is none. */
static uint32_t check_deferring_frame(const frame_stack *s, lua_State *L, const char *function) {
  uint32_t depth = s == NULL ? 0 : frames_deferring(s);
  if (depth < 2 || frames_array(s)[depth - 1].type != &frame_deferred) {
    luaL_error(L, "co.%s outside a deferred call", function);
  }
  return depth - 2;
}

static int panic_results(lua_State *L) {
  const frame_stack *s = coroutine_find_frames(runtime_of(L), L);
  uint32_t index = check_deferring_frame(s, L, "results");
  int count = frames_count_results(s, index);
  luaL_checkstack(L, count, "too many results");
  frames_push_results(s, L, index);
  return count;
}

static int panic_set_results(lua_State *L) {
  frame_stack *s = coroutine_find_frames(runtime_of(L), L);
  uint32_t index = check_deferring_frame(s, L, "set_results");
  if (frames_array(s)[index].type == &frame_block) {
    return luaL_error(L,
                      "co.set_results at the end of a block: only the end of a frame has results, "
                      "so do not hold this deferred call in a <close> variable");
  }
  frames_set_results(s, L, index, lua_gettop(L));
  return 0;
}

static int panic_goexit_binding(lua_State *L) {
  lua_settop(L, 0);
  return panic_goexit(runtime_of(L), L);
}

void lib_panic_open(lua_State *L, runtime *rt) {
  static const luaL_Reg functions[] = {
      {"func", panic_func},
      {"call", unwind_call},
      {"panic", panic_panic},
      {"recover", panic_recover_binding},
      {"results", panic_results},
      {"set_results", panic_set_results},
      {"goexit", panic_goexit_binding},
      {"pcall", unwind_pcall},
      {NULL, NULL},
  };
  lib_register(L, rt, functions);
  lua_pushlightuserdata(L, rt);
  lua_rawgeti(L, LUA_REGISTRYINDEX, rt->defer_type_ref);
  lua_pushcclosure(L, panic_defer, 2);
  lua_setfield(L, -2, "defer");
}
