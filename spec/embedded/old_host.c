/*
** A host that plays another release of Lua 5.4: old_host ident work|forget|stay-dead.
** It has what the module looks at, under the same names, before Lua's library has it: lua_ident, and
** the function that closes a thread. "forget" is how 5.4.0 to 5.4.2 have it: the error is lost;
** "stay-dead" is 5.4.3: a thread that an error had ended can not be used again.
*/
#define _GNU_SOURCE
#include <dlfcn.h>
#include <lauxlib.h>
#include <lualib.h>
#include <stdio.h>
#include <string.h>

extern char ident[64] __asm__("lua_ident");
char ident[64];

static const char *threads;

int other_reset(lua_State *L) __asm__("lua_resetthread");
int other_close(lua_State *L, lua_State *from) __asm__("lua_closethread");

static int as_other_release(int status) { return strcmp(threads, "forget") == 0 ? LUA_OK : status; }

int other_reset(lua_State *L) {
  if (strcmp(threads, "stay-dead") == 0) return lua_status(L);
  int (*reset)(lua_State *);
  *(void **)&reset = dlsym(RTLD_NEXT, "lua_resetthread");
  return as_other_release(reset(L));
}

int other_close(lua_State *L, lua_State *from) {
  if (strcmp(threads, "stay-dead") == 0) return lua_status(L);
  int (*close)(lua_State *, lua_State *);
  *(void **)&close = dlsym(RTLD_NEXT, "lua_closethread");
  return as_other_release(close(L, from));
}

int main(int argc, char **argv) {
  if (argc != 3) return 2;
  if (argv[1][0] != '\0') snprintf(ident, sizeof(ident), "$LuaVersion: %s  $", argv[1]);
  threads = argv[2];
  lua_State *L = luaL_newstate();
  if (L == NULL) return 1;
  luaL_openlibs(L);
  lua_getglobal(L, "require");
  lua_pushliteral(L, "coropanic");
  int status = lua_pcall(L, 1, 0, 0);
  puts(status == LUA_OK ? "works" : lua_tostring(L, -1));
  lua_close(L);
  return status;
}
