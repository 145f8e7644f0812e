/* co.preempt, co.cooperative */
#include "kernel/args.h"
#include "kernel/preempt.h"
#include "lua/lib.h"
#include "lua/options.h"

/* Reads the option `slice`.   [-0, +0, e] */
static int64_t read_slice(lua_State *L) {
  static const char *const names[] = {"slice", NULL};
  static const char expected[] = "seconds from 0.00001 to 3600";
  options_check_names(L, 1, "preempt", names);
  int64_t slice_ns = PREEMPT_SLICE_NS;
  if (lua_getfield(L, 1, "slice") != LUA_TNIL) {
    if (lua_type(L, -1) != LUA_TNUMBER) options_error(L, 1, "preempt", "slice", expected);
    double seconds = lua_tonumber(L, -1);
    slice_ns = seconds > 0 ? clock_deadline_ns(0, seconds) : 0;
    if (slice_ns < PREEMPT_SLICE_MIN_NS || slice_ns > PREEMPT_SLICE_MAX_NS)
      options_refuse_value(L, 1, "preempt", "slice", expected);
  }
  lua_pop(L, 1);
  return slice_ns;
}

/* Pushes a setting as co.preempt takes it.   [-0, +1, m] */
static void push_setting(lua_State *L, int64_t slice_ns) {
  if (slice_ns == 0) {
    lua_pushboolean(L, 0);
    return;
  }
  lua_createtable(L, 0, 1);
  lua_pushnumber(L, (lua_Number)slice_ns / (lua_Number)NS_PER_SECOND);
  lua_setfield(L, -2, "slice");
}

/* Everything that may raise comes before the change, so that an error changes nothing. */
static int preempt_preempt(lua_State *L) {
  runtime *rt = runtime_of(L);
  lua_settop(L, 1);
  int64_t slice_ns = rt->preemption.slice_ns;
  if (lua_istable(L, 1)) {
    slice_ns = read_slice(L);
  } else if (lua_isboolean(L, 1)) {
    slice_ns = lua_toboolean(L, 1) ? PREEMPT_SLICE_NS : 0;
  } else if (!lua_isnil(L, 1)) {
    arg_type_error(L, 1, "preempt", "table or boolean");
  }
  push_setting(L, rt->preemption.slice_ns);
  if (lua_isnil(L, 1)) return 1;
  if (slice_ns != 0) preempt_require(rt, L, "co.preempt");
  preempt_set_slice(rt, slice_ns);
  return 1;
}

static int preempt_cooperative(lua_State *L) {
  if (!preempt_spare(runtime_of(L), L, 1)) {
    return luaL_error(L, "co.cooperative: call it in the file, outside pcall and tail calls");
  }
  return 0;
}

void lib_preempt_open(lua_State *L, runtime *rt) {
  static const luaL_Reg functions[] = {
      {"preempt", preempt_preempt}, {"cooperative", preempt_cooperative}, {NULL, NULL}};
  lib_register(L, rt, functions);
}
