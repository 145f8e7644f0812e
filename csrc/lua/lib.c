#include "lua/lib.h"

#include "coropanic.h"
#include "lua/lib_record.h"
#include "lua/lib_trace.h"

void lib_register(lua_State *L, runtime *rt, const luaL_Reg *functions) {
  lua_pushlightuserdata(L, rt);
  luaL_setfuncs(L, functions, 1);
}

int luaopen_coropanic_core(lua_State *L) {
  luaL_checkversion(L);
  runtime *rt = runtime_open(L);
  lua_newtable(L);
  lib_record_open(L, rt);
  lib_task_open(L, rt);
  lib_run_open(L, rt);
  lib_inspect_open(L, rt);
  lib_panic_open(L, rt);
  lua_pushvalue(L, -2);
  lua_pushcclosure(L, lib_trace_open, 1);
  lua_call(L, 0, 1);
  lua_setfield(L, -2, "trace");
  return 1;
}
