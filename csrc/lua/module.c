/* luaopen_coropanic_core: the module's table. */
#include "coropanic.h"
#include "kernel/open.h"
#include "loop/loop.h"
#include "lua/debug_variable.h"
#include "lua/lib.h"
#include "lua/lib_trace.h"
#include "lua/version.h"
#include "report/report.h"

int luaopen_coropanic_core(lua_State *L) {
  version_check(L);
  runtime *rt = runtime_find(L);
  if (rt == NULL) rt = open_runtime(L, report_to_stderr);
  if (rt->closed) return runtime_refuse_closed(L);
  bool is_new = rt->loop == NULL;
  if (is_new) loop_open(rt, L);
  lua_newtable(L);
  lua_pushliteral(L, CP_VERSION);
  lua_setfield(L, -2, "_VERSION");
#define OPEN(name) lib_##name##_open(L, rt);
  LIB_FILES(OPEN)
#undef OPEN
  lua_pushlightuserdata(L, rt);
  lua_pushcclosure(L, lib_trace_open, 1);
  lua_call(L, 0, 1);
  lua_setfield(L, -2, "trace");
  if (is_new) debug_variable_apply(L, rt);
  return 1;
}
