/*
** A host with timers and a poller of its own, over poll(2), lends them to the runtime: all that waits
** in the program waits in one loop.
*/
#define _POSIX_C_SOURCE 200809L
#include <coropanic.h>
#include <errno.h>
#include <lauxlib.h>
#include <lualib.h>
#include <poll.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

enum { MOST = 16 };

typedef struct timer {
  cp_timer number; /* 0: free */
  int64_t deadline_ns;
} timer;

typedef struct loop {
  timer timers[MOST];
  struct pollfd fds[MOST]; /* fd -1: free */
  cp_fd_wait waits[MOST];
  int woken; /* the runtime has work */
} loop;

static int64_t now(void *host) {
  (void)host;
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return (int64_t)time.tv_sec * 1000000000 + time.tv_nsec;
}

static int timer_set(void *host, cp_timer number, int64_t deadline_ns, void **object) {
  loop *l = host;
  for (int i = 0; i < MOST; i++) {
    if (l->timers[i].number != 0) continue;
    l->timers[i] = (timer){number, deadline_ns};
    *object = &l->timers[i];
    return 0;
  }
  return ENOMEM;
}

static void timer_stop(void *host, void *object) {
  (void)host;
  ((timer *)object)->number = 0;
}

static int fd_wait(void *host, cp_fd_wait number, int fd, int events, void **object) {
  loop *l = host;
  for (int i = 0; i < MOST; i++) {
    if (l->fds[i].fd >= 0) continue;
    short asked =
        (short)((events & CP_READABLE ? POLLIN : 0) | (events & CP_WRITABLE ? POLLOUT : 0));
    l->fds[i] = (struct pollfd){.fd = fd, .events = asked};
    l->waits[i] = number;
    *object = &l->fds[i];
    return 0;
  }
  return EMFILE;
}

static void fd_stop(void *host, void *object) {
  (void)host;
  ((struct pollfd *)object)->fd = -1;
}

static void notify(void *host) { ((loop *)host)->woken = 1; }

static const cp_backend backend = {
    sizeof backend, now, timer_set, timer_stop, fd_wait, fd_stop, notify,
};

/* Returns the milliseconds until the first timer; 0 if there is work, -1 if there is no timer. */
static int time_left(const loop *l) {
  int64_t first = INT64_MAX;
  for (int i = 0; i < MOST; i++) {
    if (l->timers[i].number != 0 && l->timers[i].deadline_ns < first)
      first = l->timers[i].deadline_ns;
  }
  if (l->woken) return 0;
  if (first == INT64_MAX) return -1;
  int64_t left = first - now(NULL);
  return left <= 0 ? 0 : (int)(left / 1000000) + 1;
}

/* One turn of the loop: waits, tells the runtime what has happened, and steps it. */
static void turn(loop *l, lua_State *L) {
  poll(l->fds, MOST, time_left(l));
  for (int i = 0; i < MOST; i++) {
    short happened = l->fds[i].revents;
    if (l->fds[i].fd < 0 || happened == 0) continue;
    l->fds[i].fd = -1;
    int events = (happened & ~POLLOUT ? CP_READABLE : 0) | (happened & ~POLLIN ? CP_WRITABLE : 0);
    cp_fd_ready(L, l->waits[i], happened & POLLNVAL ? 0 : events);
  }
  for (int i = 0; i < MOST; i++) {
    if (l->timers[i].number == 0 || l->timers[i].deadline_ns > now(NULL)) continue;
    cp_timer number = l->timers[i].number;
    l->timers[i].number = 0;
    cp_timer_fired(L, number);
  }
  l->woken = 0;
  cp_step(L, 0);
}

static const char script[] =
    "local co = require 'coropanic'\n"
    "local reader = co.spawn(function() print('ready for', co.wait_fd(read_end, 'r')) end)\n"
    "co.sleep(0.002)\n"
    "print(co.with_timeout(0.002, co.sleep, 60))\n"
    "write()\n"
    "reader:join()\n";

static int ends[2];

static int write_byte(lua_State *L) {
  lua_pushinteger(L, write(ends[1], "x", 1));
  return 1;
}

/* (): runs the script; raises its errors. */
static int run(lua_State *L) {
  static loop l;
  for (int i = 0; i < MOST; i++) l.fds[i].fd = -1;
  cp_set_backend(L, &backend, &l);
  lua_pushinteger(L, ends[0]);
  lua_setglobal(L, "read_end");
  lua_register(L, "write", write_byte);
  if (luaL_loadstring(L, script) != LUA_OK) return lua_error(L);
  cp_spawn(L, 0);
  while (cp_live(L) > 0) turn(&l, L);
  return 0;
}

int main(void) {
  lua_State *L = luaL_newstate();
  if (L == NULL || pipe(ends) != 0) return 1;
  luaL_openlibs(L);
  luaL_requiref(L, "coropanic", luaopen_coropanic_core, 0); /* as cp_open does */
  lua_pop(L, 1);
  lua_pushcfunction(L, run);
  int status = lua_pcall(L, 0, 0, 0);
  if (status != LUA_OK) fprintf(stderr, "%s\n", lua_tostring(L, -1));
  lua_close(L);
  return status;
}
