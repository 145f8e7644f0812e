/*
** A host with timers and a poller of its own puts six functions in the place of our loop's (csrc/kernel/backend.h),
** and steps. This one has a clock that it sets by hand, a few timers, and descriptors that are ready when it says so.
*/
#include <errno.h>
#include <lauxlib.h>
#include <lualib.h>
#include <stdio.h>
#include <string.h>

#include "coropanic.h"
#include "loop/loop.h"
#include "loop/scheduler.h"

enum { MOST = 8, REFUSED_FD = 7, ALWAYS_FD = 8 };

static struct host {
  int64_t now_ns;
  timer *timers[MOST];
  int64_t deadlines[MOST];
  task *waiting[MOST]; /* by descriptor */
  int notified;
} host;

static int64_t now(const runtime *rt) {
  (void)rt;
  return host.now_ns;
}

static bool timer_set(runtime *rt, timer *t, int64_t deadline_ns) {
  (void)rt;
  uint32_t free = 0;
  while (free < MOST && host.timers[free] != NULL) free++;
  if (free == MOST) return false;
  host.timers[free] = t;
  host.deadlines[free] = deadline_ns;
  t->number = free & TIMER_IDLE;
  return true;
}

static void timer_stop(runtime *rt, timer *t) {
  (void)rt;
  host.timers[t->number] = NULL;
  t->number = TIMER_IDLE;
}

static fd_answer fd_wait(runtime *rt, task *t, int fd, unsigned asked) {
  (void)rt;
  (void)asked;
  if (fd == ALWAYS_FD) return FD_ALWAYS;
  if (fd == REFUSED_FD) {
    errno = EPERM;
    return FD_REFUSED;
  }
  host.waiting[fd] = t;
  return FD_WAITING;
}

static void fd_stop(runtime *rt, task *t) {
  (void)rt;
  for (int fd = 0; fd < MOST; fd++) {
    if (host.waiting[fd] == t) host.waiting[fd] = NULL;
  }
}

static void notify(runtime *rt) {
  (void)rt;
  host.notified++;
}

static const loop_backend backend = {now, timer_set, timer_stop, fd_wait, fd_stop, notify};

/* What a host does in a turn of its loop: fires the timers that are due, and steps. */
static void turn(lua_State *L, int64_t seconds) {
  runtime *rt = runtime_find(L);
  host.now_ns += seconds * NS_PER_SECOND;
  for (int i = 0; i < MOST; i++) {
    timer *t = host.timers[i];
    if (t == NULL || host.deadlines[i] > host.now_ns) continue;
    host.timers[i] = NULL;
    t->number = TIMER_IDLE;
    loop_timer_fired(rt, L, t);
  }
  while (scheduler_step(rt, L, 0)) {
  }
}

static void make_ready(lua_State *L, int fd, unsigned ready) {
  task *t = host.waiting[fd];
  host.waiting[fd] = NULL;
  if (t != NULL) loop_fd_ready(runtime_find(L), t, ready);
  turn(L, 0);
}

static int pending(void) {
  int count = 0;
  for (int i = 0; i < MOST; i++) count += host.timers[i] != NULL;
  return count;
}

static int passed, failed;

static void check(bool holds, const char *name) {
  if (holds) {
    passed++;
  } else {
    failed++;
    printf("back end: not so: %s\n", name);
  }
}

static void run(lua_State *L, const char *program) {
  if (luaL_dostring(L, program) != LUA_OK) {
    failed++;
    printf("back end: %s\n", lua_tostring(L, -1));
    lua_pop(L, 1);
  }
  turn(L, 0);
}

/* Whether the program's log is this. */
static bool has_logged(lua_State *L, const char *text) {
  lua_getglobal(L, "log");
  bool same = strcmp(lua_tostring(L, -1), text) == 0;
  if (!same) printf("back end: logged \"%s\"\n", lua_tostring(L, -1));
  lua_pop(L, 1);
  lua_pushliteral(L, "");
  lua_setglobal(L, "log");
  return same;
}

static lua_State *open_state(void) {
  memset(&host, 0, sizeof(host));
  lua_State *L = luaL_newstate();
  luaL_openlibs(L);
  luaL_requiref(L, "co", luaopen_coropanic_core, 1);
  lua_pop(L, 1);
  runtime_find(L)->backend = &backend;
  run(L, "log = '' function say(x) log = log .. tostring(x) .. ' ' end");
  return L;
}

static void times_by_the_hosts_clock(lua_State *L) {
  run(L, "co.spawn(function() co.sleep(5) say(co.now()) end)");
  turn(L, 4);
  check(has_logged(L, ""), "nothing fires before its time");
  turn(L, 1);
  check(has_logged(L, "5.0 "), "a sleep ends by the host's timer and clock");
  run(L, "co.spawn(function() say(co.with_timeout(2, co.sleep, 9)) end)");
  check(pending() == 2, "a time-out and the sleep in it have a timer each");
  turn(L, 2);
  check(has_logged(L, "false "), "a time-out ends by the host's timer");
  check(pending() == 0, "the timer of a sleep that was cut short is stopped");
}

static void waits_for_the_hosts_descriptors(lua_State *L) {
  run(L, "function wait(fd, mode, t) say(co.wait_fd(fd, mode, t)) end co.spawn(wait, 3, 'rw')");
  make_ready(L, 3, POLLER_WRITE);
  check(has_logged(L, "w "), "a descriptor is ready when the host says so");
  run(L, "t = co.spawn(wait, 3, 'r')");
  run(L, "t:cancel()");
  check(host.waiting[3] == NULL, "a task that is cancelled waits no longer");
  run(L, "co.spawn(wait, 3, 'r')");
  make_ready(L, 3, 0);
  check(has_logged(L, "nil "), "a descriptor that is closed ends the wait");
  run(L, "co.spawn(wait, 8, 'r')");
  check(has_logged(L, "r "), "one that is always ready is not waited for");
  run(L,
      "co.spawn(function() local _, r = co.pcall(co.wait_fd, 7, 'r') "
      "say(r.message:match('descriptor 7')) end)");
  check(has_logged(L, "descriptor 7 "), "what the host refuses is raised");
}

static void tells_the_host_of_work(lua_State *L) {
  int before = host.notified;
  check(luaL_dostring(L, "co.spawn(say, 'hello')") == LUA_OK, "a host spawns");
  check(host.notified > before, "the host is told of work that arrives between two steps");
  turn(L, 0);
  check(has_logged(L, "hello "), "and its step does it");
}

static void survives_a_full_host(lua_State *L) {
  run(L, "for _ = 1, 8 do co.spawn(co.sleep, 1) end");
  run(L, "co.spawn(function() local _, r = co.pcall(co.sleep, 1) say(r.message) end)");
  check(has_logged(L, "not enough memory "), "a timer that the host has no room for is an error");
  turn(L, 1);
}

int main(void) {
  lua_State *L = open_state();
  times_by_the_hosts_clock(L);
  waits_for_the_hosts_descriptors(L);
  tells_the_host_of_work(L);
  survives_a_full_host(L);
  lua_close(L);
  printf("backend: %d passed, %d failed\n", passed, failed);
  return failed > 0;
}
