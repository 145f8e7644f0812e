#include "api.h"

#include <stdlib.h>
#include <string.h>

static void *count(void *bytes, void *pointer, size_t old_size, size_t new_size) {
  size_t *total = bytes;
  if (pointer == NULL) old_size = 0;
  if (new_size == 0) {
    free(pointer);
    *total -= old_size;
    return NULL;
  }
  void *result = realloc(pointer, new_size);
  if (result != NULL) *total += new_size - old_size;
  return result;
}

lua_State *api_open(void) {
  size_t *bytes = calloc(1, sizeof(size_t));
  lua_State *L = lua_newstate(count, bytes);
  luaL_openlibs(L);
  check_int(cp_open(L), LUA_OK);
  api_run(L, "co = require 'coropanic'");
  return L;
}

void api_close(lua_State *L) {
  void *bytes;
  lua_getallocf(L, &bytes);
  lua_close(L);
  size_t left = *(size_t *)bytes;
  free(bytes);
  check_int(left, 0);
}

void api_check_error(const char *file, int line, lua_State *L, int status, const char *text) {
  if (status == LUA_OK) {
    check_same_text(file, line, "error", "no error", strlen("no error"), text);
    return;
  }
  const char *message = luaL_tolstring(L, -1, NULL);
  if (strstr(message, text) == NULL) {
    check_same_text(file, line, "error", message, strlen(message), text);
  }
  lua_pop(L, 2);
}

void api_run(lua_State *L, const char *program) {
  if (luaL_dostring(L, program) == LUA_OK) return;
  api_check_error(__FILE__, __LINE__, L, LUA_ERRRUN, "nothing raised");
}

void api_settle(lua_State *L) {
  while (cp_step(L, 0)) {
  }
}

void api_holds(const char *file, int line, lua_State *L, const char *program) {
  if (luaL_dostring(L, program) != LUA_OK) {
    api_check_error(file, line, L, LUA_ERRRUN, "nothing raised");
  }
  bool holds = lua_toboolean(L, -1);
  lua_settop(L, 0);
  check_true(file, line, program, holds);
}
