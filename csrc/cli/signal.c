/*
** coropanic.cli.signal: what the command `coropanic` needs to know of signals. Handlers belong to
** the process, and so does the state of this file: it is for a program that owns its process, and
** no part of the runtime.
*/
#define _POSIX_C_SOURCE 200809L /* sigaction */

#include <signal.h>

#include "compat.h"

/* The key of the handler's function in the registry. */
static const char handler_key;

/* The hook of the state's main thread that the signal has pushed aside. */
typedef struct pushed_hook {
  lua_Hook hook;
  int mask;
  int count;
} pushed_hook;

static lua_State *main_thread;
static pushed_hook pushed;

static void arm(void);

/* Runs as a hook, where Lua code may be called: kernel/interrupt.h has it run between tasks, too. */
static void call_handler(lua_State *L, lua_Debug *ar) {
  (void)ar;
  lua_sethook(L, pushed.hook, pushed.mask, pushed.count);
  arm();
  if (lua_rawgetp(L, LUA_REGISTRYINDEX, &handler_key) == LUA_TFUNCTION) {
    lua_call(L, 0, 0);
  } else {
    lua_pop(L, 1);
  }
}

/* At the signal itself: lua_sethook is the one function that may be called then. */
static void catch_signal(int number) {
  (void)number;
  pushed = (pushed_hook){lua_gethook(main_thread), lua_gethookmask(main_thread),
                         lua_gethookcount(main_thread)};
  lua_sethook(main_thread, call_handler, LUA_MASKCALL | LUA_MASKRET | LUA_MASKCOUNT, 1);
}

/* Until the handler has run, the signal has its default action: a second SIGQUIT kills. */
static void arm(void) {
  struct sigaction action = {.sa_handler = catch_signal, .sa_flags = (int)SA_RESETHAND};
  sigemptyset(&action.sa_mask);
  sigaction(SIGQUIT, &action, NULL);
}

/*
** on_quit(fn): calls fn() at each SIGQUIT, when the main thread runs Lua code or a task has
** suspended. A second SIGQUIT before that kills the process. fn must not raise.   [-0, +0, e]
*/
static int on_quit(lua_State *L) {
  luaL_checktype(L, 1, LUA_TFUNCTION);
  lua_settop(L, 1);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &handler_key);
  lua_rawgeti(L, LUA_REGISTRYINDEX, LUA_RIDX_MAINTHREAD);
  main_thread = lua_tothread(L, -1);
  arm();
  return 0;
}

/*
** default_interrupt(): gives SIGINT its default action. If Ctrl-C ended the last run and the process
** then exits with status 1, it dies of SIGINT: see kernel/interrupt.h.   [-0, +0, -]
*/
static int default_interrupt(lua_State *L) {
  struct sigaction action = {.sa_handler = SIG_DFL};
  (void)L;
  sigemptyset(&action.sa_mask);
  sigaction(SIGINT, &action, NULL);
  return 0;
}

__attribute__((visibility("default"))) int luaopen_coropanic_cli_signal(lua_State *L);

int luaopen_coropanic_cli_signal(lua_State *L) {
  static const luaL_Reg functions[] = {
      {"on_quit", on_quit},
      {"default_interrupt", default_interrupt},
      {NULL, NULL},
  };
  luaL_newlib(L, functions);
  return 1;
}
