/* Preemption for hosts. */
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "api.h"

static const double FRAME = 0.002;
static const double LONGEST = 3600;

/* ThreadSanitizer calls signal handlers only in calls of the C library. */
static int let_signals_in(lua_State *L) {
  (void)L;
#if defined(__SANITIZE_THREAD__)
  usleep(1);
#endif
  return 0;
}

static lua_State *open_state(void) {
  lua_State *L = api_open();
  lua_register(L, "compute", let_signals_in);
  return L;
}

/* Two tasks: one never suspends until `stop` is set, one counts its turns in `turns`. */
static void spawn_hog(lua_State *L) {
  api_run(L,
          "stop, turns = false, 0\n"
          "hog = co.spawn(function() while not stop do compute() end end)\n"
          "co.spawn(function() while not stop do turns = turns + 1 co.yield() end end)");
}

static void end_hog(lua_State *L) {
  api_run(L, "stop = true");
  api_settle(L);
  api_check(L, "return hog:status() == 'done' and #co.tasks() == 0");
}

static bool holds(lua_State *L, const char *condition) {
  api_run(L, condition);
  lua_getglobal(L, "held");
  bool held = lua_toboolean(L, -1);
  lua_pop(L, 1);
  return held;
}

/*
** Steps until the condition, a chunk that sets `held`, is true: how much of a frame a busy machine leaves
** for the tasks is not known.
*/
static void step_until(lua_State *L, const char *condition) {
  do {
    check_int(cp_step(L, FRAME), 1);
  } while (!holds(L, condition));
}

static void a_step_is_cut_at_the_end_of_its_budget(void) {
  lua_State *L = open_state();
  cp_preempt(L, LONGEST);
  spawn_hog(L);
  step_until(L, "held = turns > 1 and co.stats().preemptions >= 5");
  end_hog(L);
  api_close(L);
}

static int64_t monotonic_ns(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return now.tv_sec * INT64_C(1000000000) + now.tv_nsec;
}

/* The clock of a host, which goes on when it is read, and is so slow that a frame is over meanwhile. */
static int64_t slow_now(void *host) {
  int64_t *time_ns = host;
  int64_t frame_ns = (int64_t)(FRAME * 1e9);
  int64_t end_ns = monotonic_ns() + 2 * frame_ns;
  while (monotonic_ns() < end_ns) usleep(1000);
  return *time_ns += frame_ns / 4;
}

static int no_timer(void *host, cp_timer timer, int64_t deadline_ns, void **object) {
  (void)host, (void)timer, (void)deadline_ns, (void)object;
  return 0;
}

static int no_fd(void *host, cp_fd_wait wait, int fd, int events, void **object) {
  (void)host, (void)wait, (void)fd, (void)events, (void)object;
  return CP_FD_ALWAYS;
}

static void no_stop(void *host, void *object) { (void)host, (void)object; }

static void no_notify(void *host) { (void)host; }

static void a_step_is_cut_though_its_budget_ended_before_a_task_began(void) {
  static const cp_backend slow = {
      sizeof(cp_backend), slow_now, no_timer, no_stop, no_fd, no_stop, no_notify,
  };
  int64_t time_ns = 0;
  lua_State *L = open_state();
  cp_set_backend(L, &slow, &time_ns);
  cp_preempt(L, LONGEST);
  api_run(L, "hog = co.spawn(function() while not stop do compute() end end)");
  check_int(cp_step(L, FRAME), 1);
  api_check(L, "return co.stats().preemptions > 0");
  end_hog(L);
  api_close(L);
}

static void a_slice_ends_a_turn_in_a_step_without_a_budget(void) {
  lua_State *L = open_state();
  cp_preempt(L, 0.0005);
  spawn_hog(L);
  check_int(cp_step(L, 0), 1);
  api_check(L, "return turns == 1 and co.stats().preemptions == 1");
  end_hog(L);
  api_close(L);
}

/* Returns where the thread has its hook, by looking for it. The kernel copies also what is not initialised. */
static size_t find_hook(lua_State *L, lua_Hook hook) {
  char state[256];
  int memory = open("/proc/self/mem", O_RDONLY);
  ssize_t size = pread(memory, state, sizeof(state), (off_t)(uintptr_t)L);
  close(memory);
  size_t place = 0;
  while (memcmp(state + place, &hook, sizeof(hook)) != 0) place += sizeof(hook);
  check(place + sizeof(hook) <= (size_t)size);
  return place;
}

/*
** Leaves the thread as a tick does that comes while lua_sethook takes the hook off, between two of its stores:
** with the hook, but without its mask and count.
*/
static int tear_hook(lua_State *L) {
  lua_Hook hook;
  while ((hook = lua_gethook(L)) == NULL) let_signals_in(L);
  size_t place = find_hook(L, hook);
  lua_sethook(L, NULL, 0, 0);
  memcpy((char *)L + place, &hook, sizeof(hook));
  return 0;
}

static void a_tick_while_a_hook_is_taken_off_does_not_end_preemption(void) {
  lua_State *L = open_state();
  lua_register(L, "tear_hook", tear_hook);
  cp_preempt(L, 0.0005);
  api_run(L,
          "co.run(function()\n"
          "  local done\n"
          "  co.spawn(function()\n"
          "    tear_hook()\n"
          "    for _ = 1, 3e8 do compute() saw = done if saw then return end end\n"
          "  end)\n"
          "  co.spawn(function() done = true end)\n"
          "end)");
  api_check(L, "return saw");
  api_close(L);
}

static void it_returns_the_slice_before_and_takes_the_nearest(void) {
  lua_State *L = open_state();
  check(cp_preempt(L, 0.5) == 0);
  check(cp_preempt(L, 1e-9) == 0.5);
  check(cp_preempt(L, 1e9) == 0.00001);
  check(cp_preempt(L, -1) == LONGEST);
  check(cp_preempt(L, 0) == 0);
  api_check(L, "return co.preempt() == false");
  api_close(L);
}

static int preempt(lua_State *L) {
  cp_preempt(L, luaL_checknumber(L, 1));
  return 0;
}

static int step(lua_State *L) {
  lua_pushboolean(L, cp_step(L, FRAME));
  return 1;
}

static void set_blocked(bool blocked) {
  sigset_t urgent;
  sigemptyset(&urgent);
  sigaddset(&urgent, SIGURG);
  pthread_sigmask(blocked ? SIG_BLOCK : SIG_UNBLOCK, &urgent, NULL);
}

static void wait_until_pending(void) {
  sigset_t pending;
  do {
    sigpending(&pending);
  } while (sigismember(&pending, SIGURG) == 0);
}

static void a_thread_that_blocks_the_signal_is_told_so(void) {
  lua_State *L = open_state();
  set_blocked(true);
  lua_pushcfunction(L, preempt);
  lua_pushnumber(L, LONGEST);
  api_raises(L, 1, "cp_preempt: the signal SIGURG is blocked in this thread");
  set_blocked(false);
  api_check(L, "return co.preempt() == false");
  api_close(L);
}

static int block_until_a_tick_is_pending(lua_State *L) {
  (void)L;
  set_blocked(true);
  wait_until_pending();
  return 0;
}

static void a_state_may_be_closed_while_a_tick_is_pending(void) {
  lua_State *L = open_state();
  lua_register(L, "block", block_until_a_tick_is_pending);
  cp_preempt(L, 0.0001);
  api_run(L, "co.spawn(block)");
  cp_step(L, 0);
  api_close(L);
  set_blocked(false);
}

static volatile sig_atomic_t heard;

static void hear(int number) {
  (void)number;
  heard = heard + 1;
}

static void the_hosts_handler_hears_its_own_signals_and_is_put_back(void) {
  struct sigaction ours = {.sa_handler = hear};
  struct sigaction now;
  sigaction(SIGURG, &ours, NULL);
  heard = 0;
  lua_State *L = open_state();
  cp_preempt(L, LONGEST);
  spawn_hog(L);
  cp_step(L, FRAME);
  check_int(heard, 0);
  raise(SIGURG);
  check_int(heard, 1);
  cp_preempt(L, 0);
  sigaction(SIGURG, NULL, &now);
  check(now.sa_handler == hear);
  cp_preempt(L, LONGEST);
  end_hog(L);
  api_close(L);
  sigaction(SIGURG, NULL, &now);
  check(now.sa_handler == hear);
  signal(SIGURG, SIG_DFL);
}

static void *make_steps(void *state) {
  lua_State *L = state;
  step_until(L, "held = co.stats().preemptions >= before + 3");
  return NULL;
}

static void the_thread_that_steps_may_change(void) {
  lua_State *L = open_state();
  cp_preempt(L, LONGEST);
  spawn_hog(L);
  pthread_t thread;
  step_until(L, "before = co.stats().preemptions held = turns > 0 and before > 0");
  pthread_create(&thread, NULL, make_steps, L);
  pthread_join(thread, NULL);
  api_run(L, "before = turns");
  step_until(L, "held = turns > before");
  end_hog(L);
  api_close(L);
}

static void *begin_blocked(void *state) {
  lua_State *L = state;
  set_blocked(true);
  lua_pushcfunction(L, step);
  api_raises(L, 0, "preemption: the signal SIGURG is blocked in this thread");
  return NULL;
}

static void a_step_in_a_thread_that_blocks_the_signal_raises(void) {
  lua_State *L = open_state();
  cp_preempt(L, LONGEST);
  pthread_t thread;
  pthread_create(&thread, NULL, begin_blocked, L);
  pthread_join(thread, NULL);
  check_int(cp_step(L, FRAME), 0);
  api_close(L);
}

static void *run_apart(void *unused) {
  (void)unused;
  lua_State *L = open_state();
  cp_preempt(L, 0.0001);
  spawn_hog(L);
  api_run(L,
          "local n = 0\n"
          "co.spawn(function() repeat n = n + 1 co.yield() until n == 100 stop = true end)\n"
          "co.run(function() end)");
  api_check(L, "return turns > 0 and hog:status() == 'done' and co.stats().preemptions > 0");
  api_close(L);
  return NULL;
}

static void runtimes_in_threads_preempt_their_own_tasks(void) {
  enum { THREADS = 3 };
  pthread_t threads[THREADS];
  for (int i = 0; i < THREADS; i++) pthread_create(&threads[i], NULL, run_apart, NULL);
  for (int i = 0; i < THREADS; i++) pthread_join(threads[i], NULL);
}

static void a_cpu_budget_holds_in_the_steps_of_a_host(void) {
  lua_State *L = open_state();
  api_run(
      L, "script = co.spawn_with({cpu_budget = 0.01}, function() while true do compute() end end)");
  api_settle(L);
  api_check(L, "return script:status() == 'cancelled'");
  api_close(L);
}

static void a_cpu_budget_leaves_no_ticks_behind(void) {
  struct sigaction ours = {.sa_handler = hear};
  struct sigaction now;
  sigaction(SIGURG, &ours, NULL);
  lua_State *L = open_state();
  api_run(L, "co.spawn_with({cpu_budget = 1}, function() end)");
  api_settle(L);
  cp_preempt(L, 0);
  sigaction(SIGURG, NULL, &now);
  check(now.sa_handler == hear);
  api_close(L);
  signal(SIGURG, SIG_DFL);
}

static const test tests[] = {
    TEST(a_step_is_cut_at_the_end_of_its_budget),
    TEST(a_step_is_cut_though_its_budget_ended_before_a_task_began),
    TEST(a_slice_ends_a_turn_in_a_step_without_a_budget),
    TEST(a_tick_while_a_hook_is_taken_off_does_not_end_preemption),
    TEST(it_returns_the_slice_before_and_takes_the_nearest),
    TEST(a_thread_that_blocks_the_signal_is_told_so),
    TEST(a_state_may_be_closed_while_a_tick_is_pending),
    TEST(the_hosts_handler_hears_its_own_signals_and_is_put_back),
    TEST(the_thread_that_steps_may_change),
    TEST(a_step_in_a_thread_that_blocks_the_signal_raises),
    TEST(runtimes_in_threads_preempt_their_own_tasks),
    TEST(a_cpu_budget_holds_in_the_steps_of_a_host),
    TEST(a_cpu_budget_leaves_no_ticks_behind),
};

SUITE(preempt);
