/* A host with timers and a poller of its own: what spec/loop/backend_spec.c does, by the public API. */
#include <errno.h>
#include <string.h>

#include "api.h"

enum { MOST = 8, REFUSED_FD = 7, ALWAYS_FD = 6 };

typedef struct alarm_clock {
  cp_timer number;
  int64_t deadline_ns;
  bool set;
} alarm_clock;

typedef struct watch {
  cp_fd_wait number;
  int fd;
  int events;
  bool set;
} watch;

static struct host {
  int64_t now_ns;
  alarm_clock timers[MOST];
  watch watches[MOST];
  int notified;
} host;

static int64_t now(void *h) { return ((struct host *)h)->now_ns; }

static int timer_set(void *h, cp_timer timer, int64_t deadline_ns, void **object) {
  struct host *self = h;
  for (int i = 0; i < MOST; i++) {
    if (self->timers[i].set) continue;
    self->timers[i] = (alarm_clock){timer, deadline_ns, true};
    *object = &self->timers[i];
    return 0;
  }
  return ENOMEM;
}

static void timer_stop(void *h, void *object) {
  (void)h;
  ((alarm_clock *)object)->set = false;
}

static int fd_wait(void *h, cp_fd_wait wait, int fd, int events, void **object) {
  struct host *self = h;
  if (fd == ALWAYS_FD) return CP_FD_ALWAYS;
  if (fd == REFUSED_FD) return EPERM;
  for (int i = 0; i < MOST; i++) {
    if (self->watches[i].set) continue;
    self->watches[i] = (watch){wait, fd, events, true};
    *object = &self->watches[i];
    return 0;
  }
  return EMFILE;
}

static void fd_stop(void *h, void *object) {
  (void)h;
  ((watch *)object)->set = false;
}

static void notify(void *h) { ((struct host *)h)->notified++; }

static const cp_backend functions = {
    sizeof(cp_backend), now, timer_set, timer_stop, fd_wait, fd_stop, notify,
};

static lua_State *open_hosted(void) {
  memset(&host, 0, sizeof host);
  lua_State *L = api_open();
  cp_set_backend(L, &functions, &host);
  api_run(L, "log = '' function say(x) log = log .. tostring(x) .. ' ' end");
  return L;
}

static void turn(lua_State *L, int64_t seconds) {
  host.now_ns += seconds * 1000000000;
  for (int i = 0; i < MOST; i++) {
    alarm_clock *c = &host.timers[i];
    if (!c->set || c->deadline_ns > host.now_ns) continue;
    c->set = false;
    check_int(cp_timer_fired(L, c->number), 1);
    check_int(cp_timer_fired(L, c->number), 0); /* twice is harmless */
  }
  api_settle(L);
}

static bool has_logged(lua_State *L, const char *text) {
  lua_getglobal(L, "log");
  bool same = strcmp(lua_tostring(L, -1), text) == 0;
  if (!same) note("logged \"%s\"", lua_tostring(L, -1));
  lua_pop(L, 1);
  lua_pushliteral(L, "");
  lua_setglobal(L, "log");
  return same;
}

static watch *find_watch(int fd) {
  for (int i = 0; i < MOST; i++) {
    if (host.watches[i].set && host.watches[i].fd == fd) return &host.watches[i];
  }
  return NULL;
}

static int pending(void) {
  int count = 0;
  for (int i = 0; i < MOST; i++) count += host.timers[i].set;
  return count;
}

static void times_are_the_hosts(void) {
  lua_State *L = open_hosted();
  api_run(L, "co.spawn(function() co.sleep(5) say(co.now()) end)");
  turn(L, 0);
  turn(L, 4);
  check(has_logged(L, ""));
  turn(L, 1);
  check(has_logged(L, "5.0 "));
  api_run(L, "t = co.spawn(function() say(co.with_timeout(2, co.sleep, 9)) end)");
  turn(L, 0);
  check_int(pending(), 2);
  turn(L, 2);
  check(has_logged(L, "false "));
  check_int(pending(), 0);
  check(cp_timeout(L) < 0);
  check(cp_now(L) == 7);
  api_close(L);
}

static void descriptors_are_watched_by_the_host(void) {
  lua_State *L = open_hosted();
  api_run(L, "function wait(fd, mode) say(co.wait_fd(fd, mode)) end co.spawn(wait, 3, 'rw')");
  turn(L, 0);
  watch *w = find_watch(3);
  check(w != NULL);
  check_int(w->events, CP_READABLE | CP_WRITABLE);
  w->set = false;
  check_int(cp_fd_ready(L, w->number, CP_WRITABLE), 1);
  check_int(cp_fd_ready(L, w->number, CP_WRITABLE), 0);
  turn(L, 0);
  check(has_logged(L, "w "));
  api_run(L, "t = co.spawn(wait, 3, 'r')");
  turn(L, 0);
  cp_fd_wait cancelled = find_watch(3)->number;
  api_run(L, "t:cancel()");
  check_pointer(find_watch(3), NULL);
  check_int(cp_fd_ready(L, cancelled, CP_READABLE), 0);
  api_run(L, "co.spawn(wait, 3, 'r')");
  turn(L, 0);
  w = find_watch(3);
  w->set = false;
  check_int(cp_fd_ready(L, w->number, 0), 1);
  turn(L, 0);
  check(has_logged(L, "nil "));
  api_run(L, "co.spawn(wait, 6, 'r')");
  turn(L, 0);
  check(has_logged(L, "r "));
  api_run(L,
          "co.spawn(function() say(select(2, co.pcall(co.wait_fd, 7, 'r')).message:match '7: .*') "
          "end)");
  turn(L, 0);
  check(has_logged(L, "7: Operation not permitted "));
  api_close(L);
}

static void work_between_steps_is_notified(void) {
  lua_State *L = open_hosted();
  int before = host.notified;
  api_run(L, "co.spawn(say, 'hello')");
  check(host.notified > before);
  turn(L, 0);
  check(has_logged(L, "hello "));
  api_close(L);
}

static void a_host_without_room_is_an_error(void) {
  lua_State *L = open_hosted();
  api_run(L, "for _ = 1, 8 do co.spawn(co.sleep, 1) end");
  turn(L, 0);
  api_run(L, "co.spawn(function() say(select(2, co.pcall(co.sleep, 1)).message) end)");
  turn(L, 0);
  check(has_logged(L, "not enough memory "));
  turn(L, 1);
  check_int(cp_live(L), 0);
  api_close(L);
}

static void more_timers_than_the_first_table_has(void) {
  lua_State *L = api_open();
  static cp_backend counting;
  counting = functions;
  memset(&host, 0, sizeof host);
  cp_set_backend(L, &counting, &host);
  for (int round = 0; round < 5; round++) {
    api_run(L, "ts = {} for i = 1, 8 do ts[i] = co.spawn(co.sleep, i % 3) end");
    turn(L, 0);
    api_run(L, "for i = 1, 8, 2 do ts[i]:cancel() end");
    turn(L, 5);
    check_int(cp_live(L), 0);
  }
  api_close(L);
}

/* (): installs the back end that is given as light userdata */
static int install(lua_State *L) {
  cp_set_backend(L, lua_touserdata(L, 1), &host);
  return 0;
}

static void install_raises(lua_State *L, cp_backend *given, const char *text) {
  lua_pushcfunction(L, install);
  lua_pushlightuserdata(L, given);
  api_raises(L, 1, text);
}

static void a_bad_back_end_is_refused(void) {
  lua_State *L = open_hosted();
  cp_backend bad = functions;
  bad.size = 8;
  install_raises(L, &bad, "cp_set_backend: size is 8: set it to sizeof(cp_backend)");
  bad.size = sizeof bad + 8;
  install_raises(L, &bad, "does not know all of the functions");
  bad = functions;
  bad.fd_stop = NULL;
  install_raises(L, &bad, "the function 'fd_stop' is missing");
  bad = functions;
  api_run(L, "t = co.spawn(co.sleep, 1)");
  install_raises(L, &bad, "install it before there are tasks");
  turn(L, 0);
  turn(L, 1);
  api_run(L, "ctx, cancel = co.context.with_timeout(co.context.background(), 60)");
  install_raises(L, &bad, "or contexts with a deadline");
  install_raises(L, NULL, "or contexts with a deadline");
  api_run(L, "cancel()");
  lua_pushcfunction(L, install);
  lua_pushnil(L);
  check_int(lua_pcall(L, 1, 0, 0), LUA_OK);
  api_check(L, "return co.run(function() co.sleep(0) return true end)"); /* our own again */
  check_int(cp_timer_fired(L, 1), 0);
  check_int(cp_fd_ready(L, 1, CP_READABLE), 0);
  api_close(L);
}

static void numbers_that_are_made_up_name_nothing(void) {
  lua_State *L = open_hosted();
  static const uint64_t numbers[] = {
      0, 1, 2, UINT64_MAX, UINT64_C(1) << 32 | 1, UINT64_C(2) << 32 | 1};
  api_run(L, "co.spawn(co.sleep, 1) co.spawn(co.wait_fd, 3, 'r')");
  turn(L, 0);
  for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
    if (numbers[i] != host.timers[0].number) check_int(cp_timer_fired(L, numbers[i]), 0);
    if (numbers[i] != find_watch(3)->number) check_int(cp_fd_ready(L, numbers[i], 1), 0);
  }
  check_int(cp_live(L), 2);
  api_close(L);
}

static void a_run_is_refused(void) {
  lua_State *L = open_hosted();
  api_check(L,
            "local ok, e = pcall(co.run, print)"
            "return not ok and e:find 'co.run under a back end of the host'");
  api_close(L);
}

static const test tests[] = {
    TEST(times_are_the_hosts),
    TEST(descriptors_are_watched_by_the_host),
    TEST(work_between_steps_is_notified),
    TEST(a_host_without_room_is_an_error),
    TEST(more_timers_than_the_first_table_has),
    TEST(a_bad_back_end_is_refused),
    TEST(numbers_that_are_made_up_name_nothing),
    TEST(a_run_is_refused),
};

SUITE(backend);
