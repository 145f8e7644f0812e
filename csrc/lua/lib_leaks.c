/* co.leaks */
#include "loop/leaks.h"
#include "lua/lib.h"
#include "lua/options.h"

/* ([options]) → an array of the leaked tasks */
static int leaks_leaks(lua_State *L) {
  static const char *const names[] = {"leaked", NULL};
  static const char *const words[] = {"report", "cancel", NULL};
  enum { REPORT, CANCEL };
  runtime *rt = runtime_of(L);
  int wanted = REPORT;
  lua_settop(L, 1);
  if (!lua_isnil(L, 1)) {
    options_check_names(L, 1, "leaks", names);
    wanted = options_word(L, 1, "leaks", "leaked", words);
  }
  leaks_push(rt, L);
  int found = lua_gettop(L);
  leaks_tell(rt, L, found);
  if (wanted == CANCEL) leaks_cancel(rt, L, found);
  lua_settop(L, found);
  return 1;
}

void lib_leaks_open(lua_State *L, runtime *rt) {
  static const luaL_Reg functions[] = {{"leaks", leaks_leaks}, {NULL, NULL}};
  lib_register(L, rt, functions);
}
