#define _GNU_SOURCE 1 /* usleep, sigqueue, pthread_sigmask */

#include "core/ticker.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "harness.h"

#if defined(__linux__) && !defined(CP_NO_TICKER)

/* A ticker that counts its ticks, spoils errno, and sets itself again as long as `left` is above 0. */
typedef struct counter {
  ticker ticker;
  volatile sig_atomic_t ticks;
  volatile sig_atomic_t left;
  pthread_t thread;      /* of the last tick */
  volatile uintptr_t pc; /* likewise */
} counter;

static const int64_t SOON_NS = 20000;

static void count(ticker *self, uintptr_t pc) {
  counter *c = container_of(self, counter, ticker);
  c->pc = pc;
  c->ticks = c->ticks + 1;
  errno = EDOM;
  c->thread = pthread_self();
  if (c->left <= 0) return;
  c->left = c->left - 1;
  ticker_set(self, SOON_NS);
}

static counter closed(void) {
  counter c;
  memset(&c, 0, sizeof(c));
  c.ticker.tick = count;
  return c;
}

/* ThreadSanitizer calls signal handlers only in calls of the C library. */
static void let_signals_in(void) { usleep(1); }

static void wait_for_ticks(const counter *c, int ticks) {
  while (c->ticks < ticks) let_signals_in();
}

static struct sigaction action_of(int number) {
  struct sigaction action;
  sigaction(number, NULL, &action);
  return action;
}

static void a_ticker_ticks_once_for_each_time_that_it_is_set(void) {
  counter c = closed();
  check_int(ticker_open(&c.ticker), 0);
  check(ticker_is_here(&c.ticker));
  for (int i = 1; i <= 3; i++) {
    ticker_set(&c.ticker, 1);
    wait_for_ticks(&c, i);
    check_int(c.ticks, i);
  }
  ticker_close(&c.ticker);
  check(!ticker_is_here(&c.ticker));
}

static void one_of_the_processors_time_does_not_tick_while_the_thread_sleeps(void) {
  counter c = closed();
  c.ticker.counts_cpu = true;
  check_int(ticker_open(&c.ticker), 0);
  ticker_set(&c.ticker, 40000000);
  usleep(100000);
  check_int(c.ticks, 0);
  wait_for_ticks(&c, 1);
  ticker_close(&c.ticker);
}

#if defined(__x86_64__) || defined(__aarch64__)
static void the_tick_gets_the_address_of_the_interrupted_instruction(void) {
  counter c = closed();
  check_int(ticker_open(&c.ticker), 0);
  ticker_set(&c.ticker, 1);
  wait_for_ticks(&c, 1);
  check(c.pc != 0);
  ticker_close(&c.ticker);
}
#endif

static void it_may_set_itself_again(void) {
  counter c = closed();
  check_int(ticker_open(&c.ticker), 0);
  c.left = 99;
  ticker_set(&c.ticker, SOON_NS);
  wait_for_ticks(&c, 100);
  check_int(c.left, 0);
  ticker_close(&c.ticker);
}

static void a_stopped_ticker_does_not_tick_although_its_signal_is_pending(void) {
  counter c = closed();
  sigset_t urgent;
  sigset_t pending;
  sigemptyset(&urgent);
  sigaddset(&urgent, SIGURG);
  check_int(ticker_open(&c.ticker), 0);
  pthread_sigmask(SIG_BLOCK, &urgent, NULL);
  ticker_set(&c.ticker, 1);
  do {
    sigpending(&pending);
  } while (sigismember(&pending, SIGURG) == 0);
  ticker_set(&c.ticker, 0);
  pthread_sigmask(SIG_UNBLOCK, &urgent, NULL);
  check_int(c.ticks, 0);

  /* The same for one that is closed, and whose memory is gone: the signal comes to another one. */
  pthread_sigmask(SIG_BLOCK, &urgent, NULL);
  ticker_set(&c.ticker, 1);
  do {
    sigpending(&pending);
  } while (sigismember(&pending, SIGURG) == 0);
  ticker_close(&c.ticker);
  memset(&c, 0xff, sizeof(c));
  pthread_sigmask(SIG_UNBLOCK, &urgent, NULL);
}

static volatile sig_atomic_t heard;
static volatile sig_atomic_t heard_value;

static void hear(int number) {
  (void)number;
  heard = heard + 1;
}

static void hear_info(int number, siginfo_t *info, void *context) {
  (void)context;
  hear(number);
  heard_value = info->si_value.sival_int;
}

static void a_handler_of_the_host_is_called_for_its_signals_and_put_back(void) {
  struct sigaction plain = {.sa_handler = hear};
  struct sigaction with_info = {.sa_flags = SA_SIGINFO, .sa_sigaction = hear_info};
  const struct sigaction *handlers[] = {&plain, &with_info};
  for (int i = 0; i < 2; i++) {
    note("handler %d", i);
    sigaction(SIGURG, handlers[i], NULL);
    heard = 0;
    counter first = closed();
    counter second = closed();
    check_int(ticker_open(&first.ticker), 0);
    check_int(ticker_open(&second.ticker), 0);
    ticker_set(&first.ticker, 1);
    wait_for_ticks(&first, 1);
    check_int(heard, 0);
    raise(SIGURG);
    check_int(heard, 1);
    sigqueue(getpid(), SIGURG, (union sigval){.sival_int = 7});
    let_signals_in();
    check_int(heard, 2);
    if (i == 1) check_int(heard_value, 7);
    ticker_close(&first.ticker);
    check(action_of(SIGURG).sa_handler != hear);
    ticker_close(&second.ticker);
    struct sigaction now = action_of(SIGURG);
    check(i == 0 ? now.sa_handler == hear : now.sa_sigaction == hear_info);
  }
  signal(SIGURG, SIG_DFL);
}

static struct sigaction under;

static void hear_and_pass_on(int number, siginfo_t *info, void *context) {
  hear(number);
  if ((under.sa_flags & SA_SIGINFO) != 0) under.sa_sigaction(number, info, context);
}

static void a_handler_installed_later_stays_on_top(void) {
  counter c = closed();
  check_int(ticker_open(&c.ticker), 0);
  struct sigaction later = {.sa_flags = SA_SIGINFO, .sa_sigaction = hear_and_pass_on};
  sigaction(SIGURG, &later, &under);
  ticker_close(&c.ticker);
  check(action_of(SIGURG).sa_sigaction == hear_and_pass_on);
  heard = 0;
  raise(SIGURG);
  check_int(heard, 1);
  check_int(ticker_open(&c.ticker), 0);
  check(action_of(SIGURG).sa_sigaction == hear_and_pass_on);
  ticker_set(&c.ticker, 1);
  wait_for_ticks(&c, 1);
  check_int(heard, 2);
  sigaction(SIGURG, &under, NULL); /* the host takes its handler away */
  ticker_close(&c.ticker);
  check(action_of(SIGURG).sa_handler == SIG_DFL);
}

static void errno_is_the_same_after_a_tick(void) {
  counter c = closed();
  check_int(ticker_open(&c.ticker), 0);
  errno = ENOENT;
  ticker_set(&c.ticker, 1);
  wait_for_ticks(&c, 1);
  check_int(errno, ENOENT);
  ticker_close(&c.ticker);
}

static void a_thread_that_blocks_the_signal_has_no_ticker(void) {
  counter c = closed();
  sigset_t urgent;
  sigemptyset(&urgent);
  sigaddset(&urgent, SIGURG);
  pthread_sigmask(SIG_BLOCK, &urgent, NULL);
  check_int(ticker_open(&c.ticker), EINVAL);
  pthread_sigmask(SIG_UNBLOCK, &urgent, NULL);
  check(c.ticker.slot == NULL);
  ticker_close(&c.ticker);
}

static void *tick_in_a_thread(void *made) {
  counter *c = made;
  let_signals_in(); /* GCC 12's ThreadSanitizer loses a signal that comes in a thread's first such call */
  check_int(ticker_open(&c->ticker), 0);
  c->left = 50;
  ticker_set(&c->ticker, SOON_NS);
  wait_for_ticks(c, 51);
  check(pthread_equal(c->thread, pthread_self()));
  ticker_close(&c->ticker);
  return NULL;
}

static void each_thread_has_the_ticks_of_its_tickers(void) {
  enum { THREADS = 4 };
  pthread_t threads[THREADS];
  counter counters[THREADS];
  for (int i = 0; i < THREADS; i++) counters[i] = closed();
  counter elsewhere = closed();
  check_int(ticker_open(&elsewhere.ticker), 0);
  for (int i = 0; i < THREADS; i++) {
    check_int(pthread_create(&threads[i], NULL, tick_in_a_thread, &counters[i]), 0);
  }
  for (int i = 0; i < THREADS; i++) pthread_join(threads[i], NULL);
  check_int(elsewhere.ticks, 0);
  ticker_close(&elsewhere.ticker);
  check(action_of(SIGURG).sa_handler == SIG_DFL);
}

static void a_forked_child_has_to_open_it_again(void) {
  counter c = closed();
  check_int(ticker_open(&c.ticker), 0);
  pid_t child = fork();
  if (child == 0) {
    bool was_here = ticker_is_here(&c.ticker);
    ticker_close(&c.ticker);
    bool opened = ticker_open(&c.ticker) == 0;
    ticker_set(&c.ticker, 1);
    wait_for_ticks(&c, 1);
    _exit(!was_here && opened ? 0 : 1);
  }
  int status;
  waitpid(child, &status, 0);
  check_int(status, 0);
  ticker_set(&c.ticker, 1);
  wait_for_ticks(&c, 1);
  ticker_close(&c.ticker);
}

/* The number of the parent's timer may be that of one of the child's. */
static void a_forked_child_keeps_its_own_timers(void) {
  enum { TIMERS = 200 };
  counter c = closed();
  check_int(ticker_open(&c.ticker), 0);
  pid_t child = fork();
  if (child == 0) {
    timer_t timers[TIMERS];
    struct sigevent event = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGALRM};
    struct itimerspec when = {.it_value.tv_sec = 3600};
    int failures = 0;
    for (int i = 0; i < TIMERS; i++) {
      failures += timer_create(CLOCK_MONOTONIC, &event, &timers[i]) != 0;
      failures += timer_settime(timers[i], 0, &when, NULL) != 0;
    }
    ticker_set(&c.ticker, 0);
    for (int i = 0; i < TIMERS; i++) {
      timer_gettime(timers[i], &when);
      failures += when.it_value.tv_sec == 0;
    }
    _exit(failures == 0 ? 0 : 1);
  }
  int status;
  waitpid(child, &status, 0);
  check_int(status, 0);
  ticker_close(&c.ticker);
}

static atomic_bool storm_is_over;

static void *open_again_and_again(void *unused) {
  (void)unused;
  while (!atomic_load(&storm_is_over)) {
    counter c = closed();
    if (ticker_open(&c.ticker) == 0) ticker_close(&c.ticker);
  }
  return NULL;
}

/* Were the child to wait for a thread that it does not have, SIGALRM would end it. */
static void a_child_that_is_forked_in_a_storm_can_open_one(void) {
  enum { FORKS = 50 };
  pthread_t threads[2];
  counter c = closed(); /* keeps the handler installed */
  check_int(ticker_open(&c.ticker), 0);
  atomic_store(&storm_is_over, false);
  for (int i = 0; i < 2; i++) pthread_create(&threads[i], NULL, open_again_and_again, NULL);
  int status = 0;
  for (int i = 0; i < FORKS && status == 0; i++) {
    pid_t child = fork();
    if (child == 0) {
      counter own = closed();
      alarm(10);
      _exit(ticker_open(&own.ticker) == 0 ? 0 : 1);
    }
    waitpid(child, &status, 0);
  }
  atomic_store(&storm_is_over, true);
  for (int i = 0; i < 2; i++) pthread_join(threads[i], NULL);
  ticker_close(&c.ticker);
  check_int(status, 0);
}

static const test tests[] = {
    TEST(a_ticker_ticks_once_for_each_time_that_it_is_set),
    TEST(one_of_the_processors_time_does_not_tick_while_the_thread_sleeps),
#if defined(__x86_64__) || defined(__aarch64__)
    TEST(the_tick_gets_the_address_of_the_interrupted_instruction),
#endif
    TEST(it_may_set_itself_again),
    TEST(a_stopped_ticker_does_not_tick_although_its_signal_is_pending),
    TEST(a_handler_of_the_host_is_called_for_its_signals_and_put_back),
    TEST(a_handler_installed_later_stays_on_top),
    TEST(errno_is_the_same_after_a_tick),
    TEST(a_thread_that_blocks_the_signal_has_no_ticker),
    TEST(each_thread_has_the_ticks_of_its_tickers),
    TEST(a_forked_child_has_to_open_it_again),
    TEST(a_forked_child_keeps_its_own_timers),
    TEST(a_child_that_is_forked_in_a_storm_can_open_one),
};

#else

static void a_system_without_such_timers_says_so(void) {
  ticker t = {.slot = NULL};
  check_int(ticker_open(&t), ENOTSUP);
  check(!ticker_is_here(&t));
  ticker_close(&t);
}

static const test tests[] = {TEST(a_system_without_such_timers_says_so)};

#endif

SUITE(ticker);
