#include "lua/sync_options.h"

#include <stdio.h>
#include <string.h>

#include "lua/options.h"

uint16_t sync_check_name(runtime *rt, lua_State *L, int arg, const char *function) {
  static const char *const names[] = {"name", NULL};
  if (lua_isnoneornil(L, arg)) return 0;
  options_check_names(L, arg, function, names);
  const char *name = options_string(L, arg, function, "name");
  if (name == NULL) return 0;
  size_t length = strlen(name);
  if (length == 0 || length > ORDER_MAX_NAME || length != lua_rawlen(L, -1)) {
    options_refuse_value(L, arg, function, "name", "a text of 1 to 64 bytes");
  }
  uint16_t number = order_number_name(rt, L, name);
  lua_pop(L, 1);
  return number;
}
