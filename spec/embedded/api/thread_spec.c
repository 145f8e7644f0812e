/* Wake-ups from other threads and from signal handlers, and runtimes in threads of their own. */
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "api.h"

static int push_woken(lua_State *L, int status, lua_KContext ctx) {
  (void)L;
  (void)status;
  (void)ctx;
  return 1;
}

/* --- one task and one thread --- */

static _Atomic(cp_token) shared;

static int wait_for_thread(lua_State *L) {
  cp_token token = cp_open_token(L);
  atomic_store(&shared, token);
  return cp_park(L, token, -1, 0, push_woken);
}

static void nap(long ns) {
  struct timespec time = {.tv_nsec = ns};
  nanosleep(&time, NULL);
}

static void *wake_later(void *answer) {
  while (atomic_load(&shared) == 0) nap(100000);
  nap(2000000); /* the loop is asleep by now, most of the time */
  *(int *)answer = cp_wake_from_thread(atomic_load(&shared), 99);
  return NULL;
}

/* co.run sleeps in poll, with nothing else that could wake it; once more while descriptors are awaited. */
static void a_run_that_sleeps_is_woken(void) {
  lua_State *L = api_open();
  lua_register(L, "wait", wait_for_thread);
  for (int i = 0; i < 2; i++) {
    pthread_t thread;
    int answer;
    atomic_store(&shared, 0);
    pthread_create(&thread, NULL, wake_later, &answer);
    api_run(L, i == 0 ? "got = co.run(wait)"
                      : "got = co.run(function() co.spawn_with({daemon = true}, co.wait_fd, 0, 'r')"
                        " return wait() end)");
    pthread_join(thread, NULL);
    check_int(answer, CP_WOKEN);
    api_check(L, "return got == 99");
  }
  api_close(L);
}

static void on_alarm(int signal) {
  (void)signal;
  (void)cp_wake_from_thread(atomic_load(&shared), 14);
}

static void a_signal_handler_wakes(void) {
  lua_State *L = api_open();
  lua_register(L, "wait", wait_for_thread);
  signal(SIGALRM, on_alarm);
  timer_t timer;
  struct sigevent event = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGALRM};
  check_int(timer_create(CLOCK_MONOTONIC, &event, &timer), 0);
  struct itimerspec when = {.it_value.tv_nsec = 1000000, .it_interval.tv_nsec = 1000000};
  timer_settime(timer, 0, &when, NULL);
  api_run(L, "sum = 0 co.run(function() for _ = 1, 20 do sum = sum + wait() end end)");
  timer_delete(timer);
  signal(SIGALRM, SIG_DFL);
  api_check(L, "return sum == 280");
  api_close(L);
}

static void *wake_with_values(void *L) {
  return (void *)(intptr_t)(cp_wake(L, atomic_load(&shared), 0) == CP_WRONG_THREAD);
}

static void a_wake_up_with_values_in_the_wrong_thread_is_refused(void) {
  lua_State *L = api_open();
  lua_register(L, "wait", wait_for_thread);
  api_run(L, "t = co.spawn(function() got = wait() end)");
  api_settle(L);
  pthread_t thread;
  void *refused;
  pthread_create(&thread, NULL, wake_with_values, L);
  pthread_join(thread, &refused);
  check(refused != NULL);
  lua_pushinteger(L, 3);
  check_int(cp_wake(L, atomic_load(&shared), 1), CP_WOKEN);
  api_settle(L);
  api_check(L, "return got == 3");
  api_close(L);
}

/* --- a storm --- */

enum { TASKS = 20, WAITS = 100, WAKERS = 3 };

/* A world: a runtime in a thread of its own, and the tokens that its tasks wait for. */
typedef struct world {
  _Atomic(cp_token) tokens[TASKS];
  atomic_bool over;
  long woken; /* by the wakers, each for itself */
  lua_Integer got;
  bool leaked;
} world;

/* (world, number) Waits for any waker. */
static int wait_in_storm(lua_State *L) {
  world *w = lua_touserdata(L, 1);
  cp_token token = cp_open_token(L);
  atomic_store(&w->tokens[lua_tointeger(L, 2)], token);
  return cp_park(L, token, -1, 0, push_woken);
}

typedef struct waker {
  world *worlds;
  long answered;
} waker;

/* Wakes whatever it finds, late or not, with made-up tokens in between. */
static void *wake_all(void *argument) {
  waker *self = argument;
  for (uint64_t made_up = 1;; made_up += 977) {
    bool over = true;
    for (int i = 0; i < 2; i++) {
      world *w = &self->worlds[i];
      over = over && atomic_load(&w->over);
      for (int t = 0; t < TASKS; t++) {
        self->answered += cp_wake_from_thread(atomic_load(&w->tokens[t]), 1) == CP_WOKEN;
      }
    }
    (void)cp_wake_from_thread(made_up << 54, 1);
    if (over) return NULL;
  }
}

static void *live(void *argument) {
  world *w = argument;
  lua_State *L = luaL_newstate();
  luaL_openlibs(L);
  cp_open(L);
  lua_register(L, "wait", wait_in_storm);
  lua_pushlightuserdata(L, w);
  lua_setglobal(L, "world");
  lua_pushinteger(L, TASKS);
  lua_setglobal(L, "TASKS");
  lua_pushinteger(L, WAITS);
  lua_setglobal(L, "WAITS");
  int status = luaL_dostring(
      L,
      "local co = require 'coropanic'\n"
      "local sum = 0\n"
      "co.run(function() for i = 0, TASKS - 1 do co.spawn(function()\n"
      "  for _ = 1, WAITS do local one = wait(world, i) sum = sum + one end end) end end)\n"
      "return sum");
  w->got = status == LUA_OK ? lua_tointeger(L, -1) : -1;
  lua_close(L);
  atomic_store(&w->over, true);
  return NULL;
}

static void runtimes_in_threads_are_woken_in_a_storm(void) {
  static world worlds[2];
  pthread_t lives[2], threads[WAKERS];
  waker wakers[WAKERS];
  for (int i = 0; i < 2; i++) pthread_create(&lives[i], NULL, live, &worlds[i]);
  for (int i = 0; i < WAKERS; i++) {
    wakers[i] = (waker){.worlds = worlds};
    pthread_create(&threads[i], NULL, wake_all, &wakers[i]);
  }
  long answered = 0;
  for (int i = 0; i < 2; i++) pthread_join(lives[i], NULL);
  for (int i = 0; i < WAKERS; i++) {
    pthread_join(threads[i], NULL);
    answered += wakers[i].answered;
  }
  check_int(worlds[0].got, TASKS * WAITS);
  check_int(worlds[1].got, TASKS * WAITS);
  check_int(answered, 2 * TASKS * WAITS); /* each wait was won once */
}

/* A universe may go to another thread: that which steps it is its thread from then on. */
static void *step_elsewhere(void *L) {
  api_settle(L);
  return (void *)(intptr_t)(cp_wake(L, atomic_load(&shared), 0) == CP_WOKEN);
}

static void a_universe_may_move_to_another_thread(void) {
  lua_State *L = api_open();
  lua_register(L, "wait", wait_for_thread);
  api_run(L, "t = co.spawn(function() wait() moved = true end)");
  api_settle(L);
  pthread_t thread;
  void *woken;
  pthread_create(&thread, NULL, step_elsewhere, L);
  pthread_join(thread, &woken);
  check(woken != NULL);
  api_settle(L);
  api_check(L, "return moved");
  api_close(L);
}

/* --- forks --- */

static bool is_readable(int fd) {
  struct pollfd polled = {.fd = fd, .events = POLLIN};
  return poll(&polled, 1, 0) == 1;
}

/* The child of a host that polls: it takes no signal of its parent's, and gives it none. */
static void a_forked_child_leaves_its_parents_descriptor_alone(void) {
  for (int i = 0; i < 2; i++) {
    note("%s", i == 0 ? "the parent is woken" : "the child is woken");
    lua_State *L = api_open();
    lua_register(L, "wait", wait_for_thread);
    int fd = cp_pollfd(L);
    int ends[2];
    check_int(pipe(ends), 0);
    lua_pushinteger(L, ends[0]);
    lua_setglobal(L, "pipe");
    api_run(L, "t = co.spawn(function() wait() end) co.spawn(co.wait_fd, pipe, 'r')");
    api_settle(L);
    if (i == 0) (void)cp_wake_from_thread(atomic_load(&shared), 1);
    int status = -1;
    pid_t child = fork();
    if (child == 0) {
      int failures = cp_pollfd(L) != fd;
      (void)cp_wake_from_thread(atomic_load(&shared), 1);
      failures |= !is_readable(fd) << 1;
      api_settle(L);
      failures |= is_readable(fd) << 2 | (cp_live(L) != 1) << 3;
      _exit(failures);
    }
    waitpid(child, &status, 0);
    check_int(WIFEXITED(status) ? WEXITSTATUS(status) : -1, 0);
    check_int(is_readable(fd), i == 0);
    api_settle(L);
    api_check(L, i == 0 ? "return t:status() == 'done'" : "return t:status() == 'waiting'");
    api_close(L);
    close(ends[0]);
    close(ends[1]);
  }
}

static const test tests[] = {
    TEST(a_run_that_sleeps_is_woken),
    TEST(a_signal_handler_wakes),
    TEST(a_wake_up_with_values_in_the_wrong_thread_is_refused),
    TEST(runtimes_in_threads_are_woken_in_a_storm),
    TEST(a_universe_may_move_to_another_thread),
    TEST(a_forked_child_leaves_its_parents_descriptor_alone),
};

SUITE(thread);
