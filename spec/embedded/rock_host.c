/*
** A host that has functions of the names that the module uses inside, and that exports them, as
** hosts of C modules do with all that they have: rock_host script.lua
*/
#include <lauxlib.h>
#include <lualib.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

/* The host's own. Whoever calls one of them from the module has mistaken it for its own. */
int64_t clock_now_ns(const void *clock);
void runtime_open(void);
void scheduler_step(void);
void task_spawn(void);
void list_init(void);

int64_t clock_now_ns(const void *clock) { return clock == NULL; }
void runtime_open(void) { abort(); }
void scheduler_step(void) { abort(); }
void task_spawn(void) { abort(); }
void list_init(void) { abort(); }

int main(int argc, char **argv) {
  if (argc != 2) return 2;
  lua_State *L = luaL_newstate();
  if (L == NULL) return 1;
  luaL_openlibs(L);
  int status = luaL_dofile(L, argv[1]);
  if (status != LUA_OK) fprintf(stderr, "%s\n", lua_tostring(L, -1));
  lua_close(L);
  return status == LUA_OK ? 0 : 1;
}
