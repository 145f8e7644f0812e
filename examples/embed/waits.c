/*
** C functions that wait, as scripts see them: the task is parked, the others go on. `download` is
** done by a thread, which wakes the task with a pointer; `ask` by a callback of the host's loop, which
** wakes it with Lua values.
*/
#define _POSIX_C_SOURCE 200809L
#include <coropanic.h>
#include <lauxlib.h>
#include <lualib.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

/* --- a thread wakes --- */

typedef struct job {
  cp_token token;
  char name[32];
  int size; /* the result */
} job;

static void *work(void *argument) {
  job *j = argument;
  nanosleep(&(struct timespec){.tv_nsec = 2000000}, NULL);
  j->size = snprintf(NULL, 0, "contents of %s", j->name);
  /* If the task does not wait any more, nobody else frees the job. */
  if (cp_wake_from_thread_p(j->token, j) != CP_WOKEN) free(j);
  return NULL;
}

/* The task goes on: the job is on top of the stack. */
static int downloaded(lua_State *L, int status, lua_KContext context) {
  (void)context;
  if (status == CP_TIMED_OUT) return luaL_error(L, "download: no answer in time");
  job *j = lua_touserdata(L, -1);
  lua_pushinteger(L, j->size);
  free(j);
  return 1;
}

/* (name, [seconds]) → the size of what was downloaded */
static int download(lua_State *L) {
  const char *name = luaL_checkstring(L, 1);
  double seconds = luaL_optnumber(L, 2, -1);
  cp_token token = cp_open_token(L);
  job *j = calloc(1, sizeof *j);
  pthread_t thread;
  if (j != NULL) {
    j->token = token;
    snprintf(j->name, sizeof j->name, "%s", name);
  }
  if (j == NULL || pthread_create(&thread, NULL, work, j) != 0) {
    cp_close_token(L, token); /* nobody will wake it */
    free(j);
    return luaL_error(L, "download: no thread for it");
  }
  pthread_detach(thread);
  return cp_park(L, token, seconds, 0, downloaded);
}

/* --- a callback wakes --- */

static cp_token questions[8];
static int asked;

static int answered(lua_State *L, int status, lua_KContext values_below) {
  (void)status;
  return lua_gettop(L) - (int)values_below; /* what the callback gives */
}

/* () → the answers, when the host comes to it */
static int ask(lua_State *L) {
  if (asked == 8) return luaL_error(L, "ask: too many questions");
  questions[asked] = cp_open_token(L);
  return cp_park(L, questions[asked++], -1, lua_gettop(L), answered);
}

/* An event of the host's. */
static void answer_all(lua_State *L) {
  for (int i = 0; i < asked; i++) {
    lua_pushliteral(L, "answer");
    lua_pushinteger(L, i + 1);
    cp_wake(L, questions[i], 2);
  }
  asked = 0;
}

/* --- a thread that needs no answer but a number --- */

static void *tick(void *token) {
  cp_wake_from_thread((cp_token)(uintptr_t)token, 3);
  return NULL;
}

static int ticked(lua_State *L, int status, lua_KContext context) {
  (void)L;
  (void)status;
  (void)context;
  return 1;
}

static int wait_for_tick(lua_State *L) {
  pthread_t thread;
  cp_token token = cp_open_token(L);
  if (pthread_create(&thread, NULL, tick, (void *)(uintptr_t)token) == 0) pthread_detach(thread);
  return cp_park(L, token, 1, 0, ticked);
}

static const char script[] =
    "local co = require 'coropanic'\n"
    "local function print_all(name, f, ...) print(name, f(...)) end\n"
    "local a = co.spawn(print_all, 'download', download, 'a')\n"
    "a:join()\n"
    "print_all('ask', ask)\n"
    "print_all('tick', tick)\n"
    "print_all('late', pcall, download, 'b', 0)\n";

int main(void) {
  lua_State *L = luaL_newstate();
  if (L == NULL || cp_open(L) != LUA_OK) return 1;
  luaL_openlibs(L);
  lua_register(L, "download", download);
  lua_register(L, "ask", ask);
  lua_register(L, "tick", wait_for_tick);
  if (luaL_loadstring(L, script) != LUA_OK || cp_pspawn(L, 0, NULL) != LUA_OK) return 1;
  struct pollfd fd = {.fd = cp_pollfd(L), .events = POLLIN};
  while (cp_live(L) > 0) {
    double timeout = cp_timeout(L);
    poll(&fd, 1, timeout < 0 ? 100 : (int)(timeout * 1e3)); /* a wake-up ends it at once */
    cp_step_until(L, cp_now(L) + 0.001);
    answer_all(L);
  }
  nanosleep(&(struct timespec){.tv_nsec = 20000000}, NULL); /* the late thread */
  return cp_close(L) ? 0 : 1;
}
