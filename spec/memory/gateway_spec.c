/*
** The example gateway with an allocator that has a limit: gateway.lua sets the limit and judges
** the answers.
** Closing the state must free every byte.
*/
#include <dlfcn.h>
#include <lauxlib.h>
#include <lualib.h>
#include <stdio.h>
#include <stdlib.h>

#include "coropanic.h"

typedef struct account {
  size_t bytes; /* allocated now */
  size_t limit;
  lua_Integer refused; /* allocations */
} account;

static void *allocate(void *ud, void *pointer, size_t old_size, size_t new_size) {
  account *a = ud;
  if (pointer == NULL) old_size = 0;
  if (new_size == 0) {
    free(pointer);
    a->bytes -= old_size;
    return NULL;
  }
  if (new_size > old_size && a->bytes + (new_size - old_size) > a->limit) {
    a->refused++;
    return NULL;
  }
  void *result = realloc(pointer, new_size);
  if (result != NULL) a->bytes += new_size - old_size;
  return result;
}

/* limit([bytes]) → allocations refused so far. From here on so many bytes more can be had; without bytes, all.
 * [-0, +1, -] */
static int set_limit(lua_State *L) {
  void *ud;
  (void)lua_getallocf(L, &ud);
  account *a = ud;
  a->limit = lua_isnoneornil(L, 1) ? SIZE_MAX : a->bytes + (size_t)lua_tointeger(L, 1);
  lua_pushinteger(L, a->refused);
  return 1;
}

/*
** lua-cjson allocates the buffer of a text that it decodes with malloc, and loses it when Lua has no
** memory for the values (lua_cjson.c, json_decode: strbuf_new). spec/valgrind.supp tells valgrind;
** this tells LeakSanitizer, which calls it.
*/
#pragma GCC visibility push(default)
const char *__lsan_default_suppressions(void);
const char *__lsan_default_suppressions(void) { return "leak:cjson.so"; }
#pragma GCC visibility pop

/* Keeps lua-cjson in memory when the state is closed: LeakSanitizer has to know whose code it was.   [-0, +0, e] */
static void keep_cjson(lua_State *L) {
  if (luaL_dostring(L, "return package.searchpath('cjson', package.cpath)") != LUA_OK) lua_error(L);
  if (dlopen(luaL_checkstring(L, -1), RTLD_NOW) == NULL) luaL_error(L, "%s", dlerror());
  lua_pop(L, 1);
}

/* [-0, +0, e] */
static int run_script(lua_State *L) {
  luaL_openlibs(L);
  luaL_requiref(L, "coropanic.core", luaopen_coropanic_core, 0);
  lua_register(L, "limit", set_limit);
  keep_cjson(L);
  if (luaL_dofile(L, "spec/memory/gateway.lua") != LUA_OK) return lua_error(L);
  return 0;
}

int main(void) {
  account a = {.limit = SIZE_MAX};
  lua_State *L = lua_newstate(allocate, &a);
  if (L == NULL) return 1;
  lua_pushcfunction(L, run_script);
  int failures = 0;
  if (lua_pcall(L, 0, 0, 0) != LUA_OK) {
    printf("gateway: %s\n", luaL_tolstring(L, -1, NULL));
    failures = 1;
  }
  a.limit = SIZE_MAX;
  lua_close(L);
  if (a.bytes != 0) {
    printf("gateway: %zu bytes are left\n", a.bytes);
    failures = 1;
  }
  printf("gateway: %d passed, %d failed\n", 1 - failures, failures);
  return failures;
}
