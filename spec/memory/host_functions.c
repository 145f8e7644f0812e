#include "host_functions.h"

#include <errno.h>
#include <lauxlib.h>

#include "coropanic.h"

static cp_token last;
static int balance; /* of the hosts' pointers */

static void free_data(void *data) { --*(int *)data; }

/* --- tasks --- */

/* (function, attributes) → a task with every option */
static int spawn(lua_State *L) {
  cp_spawn_options o = {
      .size = sizeof o,
      .name = "named",
      .attributes = 2,
      .traceparent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
      .tracestate = "a=1",
      .data = &balance,
      .free = free_data,
  };
  lua_settop(L, 2);
  lua_pushvalue(L, 1);
  balance++;
  if (cp_pspawn(L, 0, &o) == LUA_OK) return 1;
  balance--; /* it is the caller's */
  return lua_error(L);
}

/* (task) Gives it another pointer; → its outcome, if it has ended */
static int inspect(lua_State *L) {
  lua_settop(L, 1);
  balance++;
  if (!cp_setdata(L, 1, &balance, free_data)) balance--;
  if (cp_current(L)) lua_pop(L, 1);
  int count = cp_outcome(L, 1);
  return count < 0 ? 0 : count;
}

static int cancel(lua_State *L) {
  lua_settop(L, 2);
  lua_pushboolean(L, cp_cancel(L, 1));
  return 1;
}

static int run_pending(lua_State *L) {
  lua_pushinteger(L, cp_run_pending_defers(L, 1));
  return 1;
}

/* --- waiting --- */

static int woken(lua_State *L, int status, lua_KContext context) {
  (void)status;
  return lua_gettop(L) - (int)context;
}

/* ([seconds]) */
static int wait(lua_State *L) {
  lua_settop(L, 1);
  last = cp_open_token(L);
  return cp_park(L, last, luaL_optnumber(L, 1, -1), 1, woken);
}

/* (...) Is woken with the arguments before it parks. */
static int wait_early(lua_State *L) {
  last = cp_open_token(L);
  if (cp_wake(L, last, lua_gettop(L)) != CP_WOKEN) {
    cp_close_token(L, last);
    return luaL_error(L, "not enough memory");
  }
  return cp_park(L, last, -1, 0, woken);
}

static int wait_posted(lua_State *L) {
  lua_settop(L, 0);
  last = cp_open_token(L);
  cp_wake_from_thread_p(last, &last);
  return cp_park(L, last, -1, 0, woken);
}

/* (...) Wakes the last that has parked, if need be without the values. */
static int wake(lua_State *L) {
  if (cp_wake(L, last, lua_gettop(L)) == CP_NO_MEMORY) cp_wake_from_thread(last, 0);
  return 0;
}

/* --- panics and traces --- */

static void count_up(void *unused) { (void)unused; }

static int defer(lua_State *L) {
  cp_defer_c(L, count_up, NULL);
  lua_settop(L, 1);
  cp_defer(L, 0);
  return 0;
}

static int fail(lua_State *L) {
  lua_settop(L, 1);
  return cp_panic_code(L, "E42");
}

/* (record) → its text */
static int record_text(lua_State *L) {
  cp_record r = {.size = sizeof r};
  lua_settop(L, 1);
  cp_get_record(L, 1, &r);
  return cp_record_text(L, 1, NULL) != NULL;
}

static void handle(lua_State *L, int record, int task, void *data) {
  (void)task;
  (void)data;
  cp_record r = {.size = sizeof r};
  cp_get_record(L, record, &r);
}

static int on_panic(lua_State *L) {
  cp_on_panic(L, handle, NULL);
  return 0;
}

static int trace(lua_State *L) {
  static cp_trace_headers headers;
  lua_settop(L, 0);
  cp_trace_continue(L, "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", "a=1", "k=v");
  lua_toclose(L, 1);
  cp_trace_inject(L, &headers);
  cp_trace_ids(L, NULL, NULL);
  return 0;
}

/* --- the loop --- */

static int shut_down(lua_State *L) {
  while (cp_shutdown(L, 0)) {
  }
  return 0;
}

static int step(lua_State *L) {
  int more = 0;
  if (cp_pstep(L, 0, &more) != LUA_OK) return lua_error(L);
  cp_collect(L, 0);
  lua_pushboolean(L, more);
  return 1;
}

/* A back end with two timers, which are due when the host says so. */
static cp_timer timers[2];

static int64_t now(void *host) {
  (void)host;
  return 0;
}

static int timer_set(void *host, cp_timer timer, int64_t deadline_ns, void **object) {
  (void)host;
  (void)deadline_ns;
  int i = timers[0] != 0;
  timers[i] = timer;
  *object = &timers[i];
  return 0;
}

static void timer_stop(void *host, void *object) {
  (void)host;
  *(cp_timer *)object = 0;
}

static int fd_wait(void *host, cp_fd_wait wait_number, int fd, int events, void **object) {
  (void)host;
  (void)wait_number;
  (void)fd;
  (void)events;
  (void)object;
  return ENOSYS;
}

static void fd_stop(void *host, void *object) {
  (void)host;
  (void)object;
}

static void notify(void *host) { (void)host; }

/* (on) Installs the back end, or takes it away. */
static int use_backend(lua_State *L) {
  static const cp_backend backend = {
      sizeof(cp_backend), now, timer_set, timer_stop, fd_wait, fd_stop, notify,
  };
  timers[0] = timers[1] = 0;
  cp_set_backend(L, lua_toboolean(L, 1) ? &backend : NULL, NULL);
  return 0;
}

static int fire(lua_State *L) {
  for (int i = 0; i < 2; i++) {
    cp_timer_fired(L, timers[i]);
    timers[i] = 0;
  }
  return 0;
}

void host_functions_open(lua_State *L) {
  static const luaL_Reg functions[] = {
      {"spawn", spawn},
      {"inspect", inspect},
      {"cancel", cancel},
      {"run_pending", run_pending},
      {"wait", wait},
      {"wait_early", wait_early},
      {"wait_posted", wait_posted},
      {"wake", wake},
      {"defer", defer},
      {"fail", fail},
      {"record_text", record_text},
      {"on_panic", on_panic},
      {"trace", trace},
      {"shut_down", shut_down},
      {"step", step},
      {"use_backend", use_backend},
      {"fire", fire},
      {NULL, NULL},
  };
  balance = 0;
  last = 0;
  luaL_newlib(L, functions);
  lua_setglobal(L, "host");
}

int host_functions_balance(void) { return balance; }
