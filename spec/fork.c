/*
** For the specs: fork, which Lua has not. `fork()` returns 0 in the child, and the child's process id in the
** parent; `wait(pid)` waits for its end and returns its status, or minus the signal that has ended it.
*/
#define _DEFAULT_SOURCE 1 /* fork */

#include <lauxlib.h>
#include <lua.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

static int fork_here(lua_State *L) {
  fflush(NULL); /* or the child would write it once more */
  pid_t pid = fork();
  if (pid < 0) return luaL_error(L, "fork has failed");
  lua_pushinteger(L, pid);
  return 1;
}

static int wait_for(lua_State *L) {
  int status = 0;
  if (waitpid((pid_t)luaL_checkinteger(L, 1), &status, 0) < 0)
    return luaL_error(L, "no such child");
  lua_pushinteger(L, WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status));
  return 1;
}

__attribute__((visibility("default"))) int luaopen_spec_fork(lua_State *L);

int luaopen_spec_fork(lua_State *L) {
  static const luaL_Reg functions[] = {{"fork", fork_here}, {"wait", wait_for}, {NULL, NULL}};
  luaL_newlib(L, functions);
  return 1;
}
