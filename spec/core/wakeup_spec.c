#define _DEFAULT_SOURCE 1 /* setitimer, sigaction, setrlimit */

#include "core/wakeup.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/clock.h"
#include "harness.h"

#define MILLISECOND INT64_C(1000000)

static int64_t now_ns(void) {
  task_clock clock = {.is_virtual = false};
  return clock_now_ns(&clock);
}

static bool is_readable(const wakeup *w) {
  struct pollfd fd = {.fd = w->read_fd, .events = POLLIN};
  return poll(&fd, 1, 0) == 1 && (fd.revents & POLLIN) != 0;
}

static wakeup opened(void) {
  wakeup w;
  wakeup_init(&w);
  check(wakeup_open(&w));
  return w;
}

static void a_new_wakeup_is_closed(void) {
  wakeup w;
  wakeup_init(&w);
  check_int(w.read_fd, -1);
  check_int(w.write_fd, -1);
}

static void an_open_one_is_not_readable_until_it_is_signalled(void) {
  wakeup w = opened();
  check(w.read_fd >= 0);
  check(!is_readable(&w));
  wakeup_signal(&w);
  check(is_readable(&w));
  wakeup_close(&w);
}

static void draining_takes_all_signals(void) {
  wakeup w = opened();
  for (int i = 0; i < 1000; i++) wakeup_signal(&w);
  wakeup_drain(&w);
  check(!is_readable(&w));
  wakeup_signal(&w);
  check(is_readable(&w));
  wakeup_close(&w);
}

static void draining_what_is_not_readable_does_not_block(void) {
  wakeup w = opened();
  wakeup_drain(&w);
  check(!is_readable(&w));
  wakeup_close(&w);
}

/* More than a pipe holds. */
static void signalling_never_blocks(void) {
  wakeup w = opened();
  for (int i = 0; i < 20000; i++) wakeup_signal(&w);
  check(is_readable(&w));
  wakeup_drain(&w);
  check(!is_readable(&w));
  wakeup_close(&w);
}

static void opening_again_is_harmless(void) {
  wakeup w = opened();
  int read_fd = w.read_fd, write_fd = w.write_fd;
  check(wakeup_open(&w));
  check_int(w.read_fd, read_fd);
  check_int(w.write_fd, write_fd);
  wakeup_close(&w);
}

static void closing_gives_the_descriptors_back(void) {
  wakeup w = opened();
  int read_fd = w.read_fd, write_fd = w.write_fd;
  wakeup_close(&w);
  check_int(w.read_fd, -1);
  check_int(fcntl(read_fd, F_GETFD), -1);
  check_int(fcntl(write_fd, F_GETFD), -1);
  wakeup_close(&w);
  check_int(w.write_fd, -1);
}

static void a_closed_one_may_be_opened_again(void) {
  wakeup w = opened();
  wakeup_close(&w);
  check(wakeup_open(&w));
  wakeup_signal(&w);
  check(is_readable(&w));
  wakeup_close(&w);
}

static void both_ends_are_non_blocking_and_close_on_exec(void) {
  wakeup w = opened();
  check((fcntl(w.read_fd, F_GETFL) & O_NONBLOCK) != 0);
  check((fcntl(w.write_fd, F_GETFL) & O_NONBLOCK) != 0);
  check((fcntl(w.read_fd, F_GETFD) & FD_CLOEXEC) != 0);
  check((fcntl(w.write_fd, F_GETFD) & FD_CLOEXEC) != 0);
  wakeup_close(&w);
}

static void signalling_and_draining_a_closed_one_do_nothing(void) {
  wakeup w;
  wakeup_init(&w);
  errno = 0;
  wakeup_signal(&w);
  wakeup_drain(&w);
  check_int(errno, 0);
}

static void signalling_and_draining_keep_errno(void) {
  wakeup w = opened();
  errno = ENOENT;
  for (int i = 0; i < 20000; i++) wakeup_signal(&w);
  check_int(errno, ENOENT);
  wakeup_drain(&w);
  wakeup_drain(&w);
  check_int(errno, ENOENT);
  wakeup_close(&w);
}

/* Of a renewed wakeup: what the child finds, by bits; 0: all is as it should be. */
static int use_in_child(wakeup *w) {
  int number = w->read_fd;
  bool was_own = wakeup_is_own(w);
  int failures =
      was_own | !wakeup_renew(w) << 1 | !wakeup_is_own(w) << 2 | (w->read_fd != number) << 3;
  failures |= !is_readable(w) << 4; /* a signal may have been meant for it */
  wakeup_drain(w);
  failures |= is_readable(w) << 5;
  wakeup_signal(w);
  failures |= !is_readable(w) << 6;
  failures |= (fcntl(w->read_fd, F_GETFD) != FD_CLOEXEC) << 7;
  return failures;
}

static void a_forked_child_that_renews_it_leaves_its_parents_alone(void) {
  for (int signals = 0; signals < 2; signals++) {
    note("%d signals", signals);
    int status = -1;
    wakeup w = opened();
    check(wakeup_is_own(&w));
    if (signals > 0) wakeup_signal(&w);
    pid_t child = fork();
    if (child == 0) _exit(use_in_child(&w));
    check_int(waitpid(child, &status, 0), child);
    check_int(WIFEXITED(status) ? WEXITSTATUS(status) : -1, 0);
    check_int(is_readable(&w), signals);
    wakeup_close(&w);
  }
}

/* As daemons do: then the new descriptor gets the number of the old one. */
static void a_child_that_has_closed_its_descriptors_may_renew_it(void) {
  int status = -1;
  wakeup w = opened();
  pid_t child = fork();
  if (child == 0) {
    for (int fd = 3; fd < 64; fd++) close(fd);
    _exit(use_in_child(&w));
  }
  check_int(waitpid(child, &status, 0), child);
  check_int(WIFEXITED(status) ? WEXITSTATUS(status) : -1, 0);
  wakeup_close(&w);
}

static void a_wakeup_that_can_not_be_renewed_stays_as_it_is(void) {
  int status = -1;
  wakeup w = opened();
  wakeup_signal(&w);
  pid_t child = fork();
  if (child == 0) {
    struct rlimit limit = {64, 64};
    setrlimit(RLIMIT_NOFILE, &limit);
    while (dup(0) >= 0) continue;
    _exit(wakeup_renew(&w) || wakeup_is_own(&w) || !is_readable(&w));
  }
  check_int(waitpid(child, &status, 0), child);
  check_int(WIFEXITED(status) ? WEXITSTATUS(status) : -1, 0);
  wakeup_close(&w);
}

/* In a child, so that this process keeps its descriptors. */
static int open_without_descriptors(void) {
  struct rlimit limit = {64, 64};
  wakeup w;
  wakeup_init(&w);
  setrlimit(RLIMIT_NOFILE, &limit);
  while (dup(0) >= 0) continue;
  errno = 0;
  if (wakeup_open(&w) || errno != EMFILE) return 1;
  return w.read_fd == -1 && w.write_fd == -1 ? 0 : 2;
}

static void without_descriptors_opening_fails_and_says_why(void) {
  int status = -1;
  pid_t child = fork();
  if (child == 0) _exit(open_without_descriptors());
  check(child > 0);
  check_int(waitpid(child, &status, 0), child);
  check_int(WIFEXITED(status) ? WEXITSTATUS(status) : -1, 0);
}

/* Were it to wait, the test would hang. */
static void waiting_for_what_is_readable_returns(void) {
  wakeup w = opened();
  wakeup_signal(&w);
  wakeup_wait(&w, -1);
  wakeup_wait(&w, INT64_MAX);
  check(is_readable(&w));
  wakeup_close(&w);
}

static void waiting_ends_when_the_time_has_passed(void) {
  wakeup w = opened();
  int64_t deadline = now_ns() + 5 * MILLISECOND;
  wakeup_wait(&w, 5 * MILLISECOND);
  check(now_ns() >= deadline);
  check(!is_readable(&w));
  wakeup_wait(&w, 0);
  wakeup_close(&w);
}

static void waiting_on_a_closed_one_takes_the_whole_time(void) {
  wakeup w;
  wakeup_init(&w);
  int64_t deadline = now_ns() + 5 * MILLISECOND;
  wakeup_wait(&w, 5 * MILLISECOND);
  check(now_ns() >= deadline);
  wakeup_wait(&w, 0);
}

static void waiting_on_a_descriptor_that_somebody_closed_does_not_spin(void) {
  wakeup w = opened();
  close(w.read_fd);
  int64_t deadline = now_ns() + 5 * MILLISECOND;
  wakeup_wait(&w, 5 * MILLISECOND);
  check(now_ns() >= deadline);
  if (w.write_fd != w.read_fd) close(w.write_fd);
}

static wakeup alarm_target;
static volatile sig_atomic_t alarms;

static void on_alarm(int number) {
  (void)number;
  alarms++;
  wakeup_signal(&alarm_target);
}

/* Sends SIGALRM every `us` microseconds, or never again for 0. */
static void set_alarms(int us) {
  struct sigaction action = {.sa_handler = on_alarm};
  struct itimerval interval = {{0, us}, {0, us}};
  if (us > 0) sigaction(SIGALRM, &action, NULL);
  setitimer(ITIMER_REAL, &interval, NULL);
}

static void a_signal_handler_ends_the_wait(void) {
  alarm_target = opened();
  alarms = 0;
  set_alarms(2000);
  while (!is_readable(&alarm_target)) wakeup_wait(&alarm_target, -1);
  set_alarms(0);
  check(alarms > 0);
  wakeup_close(&alarm_target);
}

/* Its handler may have something to do for the loop. */
static void a_signal_ends_the_wait_on_a_closed_one(void) {
  wakeup w;
  wakeup_init(&w);
  wakeup_init(&alarm_target);
  alarms = 0;
  int64_t deadline = now_ns() + 3600 * INT64_C(1000) * MILLISECOND;
  set_alarms(2000);
  wakeup_wait(&w, 3600 * INT64_C(1000) * MILLISECOND);
  int64_t end = now_ns();
  set_alarms(0);
  check(alarms > 0);
  check(end < deadline);
}

static const test tests[] = {
    TEST(a_new_wakeup_is_closed),
    TEST(an_open_one_is_not_readable_until_it_is_signalled),
    TEST(draining_takes_all_signals),
    TEST(draining_what_is_not_readable_does_not_block),
    TEST(signalling_never_blocks),
    TEST(opening_again_is_harmless),
    TEST(closing_gives_the_descriptors_back),
    TEST(a_closed_one_may_be_opened_again),
    TEST(both_ends_are_non_blocking_and_close_on_exec),
    TEST(signalling_and_draining_a_closed_one_do_nothing),
    TEST(signalling_and_draining_keep_errno),
    TEST(without_descriptors_opening_fails_and_says_why),
    TEST(a_forked_child_that_renews_it_leaves_its_parents_alone),
    TEST(a_child_that_has_closed_its_descriptors_may_renew_it),
    TEST(a_wakeup_that_can_not_be_renewed_stays_as_it_is),
    TEST(waiting_for_what_is_readable_returns),
    TEST(waiting_ends_when_the_time_has_passed),
    TEST(waiting_on_a_closed_one_takes_the_whole_time),
    TEST(waiting_on_a_descriptor_that_somebody_closed_does_not_spin),
    TEST(a_signal_handler_ends_the_wait),
    TEST(a_signal_ends_the_wait_on_a_closed_one),
};

SUITE(wakeup);
