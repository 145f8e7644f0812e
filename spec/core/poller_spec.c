#define _DEFAULT_SOURCE 1 /* setitimer, mkstemp, setrlimit */

#include "core/poller.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/clock.h"
#include "harness.h"
#include "memory.h"

#define MILLISECOND INT64_C(1000000)
#define NOT_WOKEN 99U

/* A waiter that keeps what it was woken with. */
typedef struct client {
  list link;
  unsigned ready;
} client;

static test_memory memory;
static poller subject;
static client a, b, c;
static int ends[2]; /* of a pipe: reading, writing */
static int pair[2]; /* of sockets */
static int woken;

static void wake(void *ud, list *waiter, unsigned ready) {
  check_pointer(ud, &subject);
  check(list_empty(waiter));
  container_of(waiter, client, link)->ready = ready;
  woken++;
}

static void reset(client *waiter) {
  list_init(&waiter->link);
  waiter->ready = NOT_WOKEN;
}

static void set_up(void) {
  test_memory_init(&memory);
  poller_init(&subject, &memory.allocator, wake, &subject);
  reset(&a);
  reset(&b);
  reset(&c);
  woken = 0;
  check_int(pipe(ends), 0);
  check_int(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
}

static void tear_down(void) {
  poller_close(&subject);
  for (int i = 0; i < 2; i++) {
    close(ends[i]);
    close(pair[i]);
  }
  check_int(memory.bytes, 0);
  check_int(memory.mismatches, 0);
}

static void put(int fd) { check_int(write(fd, "x", 1), 1); }

static void take(int fd) {
  char byte;
  check_int(read(fd, &byte, 1), 1);
}

static void add(client *waiter, int fd, unsigned asked) {
  check_int(poller_add(&subject, &waiter->link, fd, asked), POLLER_WAITING);
}

static int64_t now_ns(void) {
  task_clock clock = {.is_virtual = false};
  return clock_now_ns(&clock);
}

static void a_new_poller_owns_nothing(void) {
  set_up();
  check_int(poller_fd(&subject), -1);
  check_int(subject.waiting, 0);
  check_int(memory.bytes, 0);
  tear_down();
}

static void a_waiter_is_woken_when_its_descriptor_is_ready_and_not_before(void) {
  set_up();
  add(&a, ends[0], POLLER_READ);
  check_int(subject.waiting, 1);
  poller_wait(&subject, 0);
  check_int(a.ready, NOT_WOKEN);
  put(ends[1]);
  poller_wait(&subject, -1);
  check_int(a.ready, POLLER_READ);
  check_int(subject.waiting, 0);
  tear_down();
}

static void readiness_is_a_level(void) {
  set_up();
  put(ends[1]);
  for (int i = 0; i < 3; i++) {
    reset(&a);
    add(&a, ends[0], POLLER_READ);
    poller_wait(&subject, 0);
    check_int(a.ready, POLLER_READ);
  }
  tear_down();
}

static void only_what_was_asked_for_is_reported(void) {
  set_up();
  put(pair[1]);
  add(&a, pair[0], POLLER_READ);
  add(&b, pair[0], POLLER_WRITE);
  add(&c, pair[0], POLLER_BOTH);
  poller_wait(&subject, 0);
  check_int(a.ready, POLLER_READ);
  check_int(b.ready, POLLER_WRITE);
  check_int(c.ready, POLLER_BOTH);
  tear_down();
}

static void who_asks_for_both_is_woken_by_either(void) {
  set_up();
  add(&a, pair[0], POLLER_BOTH);
  poller_wait(&subject, 0);
  check_int(a.ready, POLLER_WRITE);
  tear_down();
}

static void all_that_wait_for_the_same_are_woken(void) {
  set_up();
  add(&a, ends[0], POLLER_READ);
  add(&b, ends[0], POLLER_READ);
  add(&c, ends[0], POLLER_READ);
  put(ends[1]);
  poller_wait(&subject, 0);
  check_int(woken, 3);
  check_int(subject.waiting, 0);
  tear_down();
}

static void who_asks_for_something_else_goes_on_waiting(void) {
  set_up();
  add(&a, pair[0], POLLER_READ);
  add(&b, pair[0], POLLER_WRITE);
  poller_wait(&subject, 0);
  check_int(a.ready, NOT_WOKEN);
  check_int(b.ready, POLLER_WRITE);
  put(pair[1]);
  poller_wait(&subject, -1);
  check_int(a.ready, POLLER_READ);
  tear_down();
}

static void a_removed_waiter_is_not_woken(void) {
  set_up();
  add(&a, ends[0], POLLER_READ);
  add(&b, ends[0], POLLER_READ);
  poller_remove(&subject, &a.link);
  poller_remove(&subject, &a.link);
  check_int(subject.waiting, 1);
  put(ends[1]);
  poller_wait(&subject, 0);
  check_int(a.ready, NOT_WOKEN);
  check_int(b.ready, POLLER_READ);
  tear_down();
}

/* What nobody waits for any more ends at most one wait. */
static void what_nobody_waits_for_is_forgotten(void) {
  set_up();
  add(&a, ends[0], POLLER_READ);
  poller_remove(&subject, &a.link);
  put(ends[1]);
  poller_wait(&subject, -1);
  int64_t deadline = now_ns() + 5 * MILLISECOND;
  poller_wait(&subject, 5 * MILLISECOND);
  check(now_ns() >= deadline);
  check_int(woken, 0);
  tear_down();
}

static void a_hang_up_is_readiness_for_everything(void) {
  set_up();
  add(&a, pair[0], POLLER_READ);
  add(&b, pair[0], POLLER_BOTH);
  close(pair[1]);
  poller_wait(&subject, -1);
  check_int(a.ready, POLLER_READ);
  check_int(b.ready, POLLER_BOTH);
  pair[1] = dup(0);
  tear_down();
}

static void a_pipe_that_nobody_reads_is_ready_for_writing(void) {
  set_up();
  add(&a, ends[1], POLLER_WRITE);
  close(ends[0]);
  poller_wait(&subject, -1);
  check_int(a.ready, POLLER_WRITE);
  ends[0] = dup(0);
  tear_down();
}

static void a_regular_file_is_ready(void) {
  char path[] = "/tmp/poller_spec_XXXXXX";
  set_up();
  int fd = mkstemp(path);
  check(fd >= 0);
  if (poller_add(&subject, &a.link, fd, POLLER_BOTH) == POLLER_WAITING) {
    poller_wait(&subject, -1);
    check_int(a.ready, POLLER_BOTH);
  }
  check(list_empty(&a.link));
  check_int(subject.waiting, 0);
  check_int(poller_check(fd, POLLER_READ), POLLER_READ);
  close(fd);
  unlink(path);
  tear_down();
}

static void what_is_no_descriptor_is_refused(void) {
  const int numbers[] = {-1, 1000, INT32_MAX};
  set_up();
  for (int i = 0; i < 3; i++) {
    note("%d", numbers[i]);
    errno = 0;
    check_int(poller_add(&subject, &a.link, numbers[i], POLLER_READ), POLLER_REFUSED);
    check_int(errno, EBADF);
    check(list_empty(&a.link));
    check_int(poller_check(numbers[i], POLLER_READ), -1);
    check_int(errno, EBADF);
  }
  check_int(subject.waiting, 0);
  tear_down();
}

static void checking_does_not_wait(void) {
  set_up();
  check_int(poller_check(pair[0], POLLER_BOTH), POLLER_WRITE);
  check_int(poller_check(ends[0], POLLER_READ), 0);
  put(ends[1]);
  check_int(poller_check(ends[0], POLLER_READ), POLLER_READ);
  tear_down();
}

/* Puts another pipe in place of `ends`, under the same number for reading. */
static void reopen_reading_end(void) {
  int fresh[2];
  int number = ends[0];
  close(ends[0]);
  close(ends[1]);
  check_int(pipe(fresh), 0);
  if (fresh[0] != number) {
    check_int(dup2(fresh[0], number), number);
    if (fresh[1] != number) close(fresh[0]);
  }
  ends[0] = number;
  ends[1] = fresh[1] == number ? dup(fresh[1]) : fresh[1];
}

static void a_number_that_means_another_file_is_registered_anew(void) {
  set_up();
  put(ends[1]);
  add(&a, ends[0], POLLER_READ);
  poller_wait(&subject, 0);
  reopen_reading_end();
  add(&b, ends[0], POLLER_READ);
  poller_wait(&subject, 0);
  check_int(b.ready, NOT_WOKEN);
  put(ends[1]);
  poller_wait(&subject, -1);
  check_int(b.ready, POLLER_READ);
  tear_down();
}

/* Only epoll knows the file behind a number. */
static void who_waited_for_the_former_file_of_a_number_is_told(void) {
  set_up();
  add(&a, ends[0], POLLER_READ);
  reopen_reading_end();
  add(&b, ends[0], POLLER_READ);
  bool by_file = poller_fd(&subject) >= 0;
  check_int(a.ready, by_file ? 0 : NOT_WOKEN);
  check_int(subject.waiting, by_file ? 1 : 2);
  tear_down();
}

static void who_waits_for_a_number_that_was_closed_is_told_at_the_next_waiting(void) {
  set_up();
  add(&a, ends[0], POLLER_READ);
  int number = ends[0];
  close(number);
  check_int(poller_add(&subject, &b.link, number, POLLER_READ), POLLER_REFUSED);
  check_int(errno, EBADF);
  check_int(a.ready, 0);
  check_int(subject.waiting, 0);
  poller_wait(&subject, 0);
  ends[0] = dup(0);
  tear_down();
}

static void who_waits_can_be_told_that_the_descriptor_is_closed(void) {
  set_up();
  add(&a, ends[0], POLLER_READ);
  add(&b, ends[0], POLLER_BOTH);
  add(&c, pair[0], POLLER_READ);
  poller_lose(&subject, ends[0]);
  poller_lose(&subject, -1);
  poller_lose(&subject, INT32_MAX);
  check_int(a.ready, 0);
  check_int(b.ready, 0);
  check_int(c.ready, NOT_WOKEN);
  check_int(subject.waiting, 1);
  tear_down();
}

static void who_waits_for_any_closed_descriptor_can_be_told(void) {
  set_up();
  add(&a, ends[0], POLLER_READ);
  add(&b, ends[1], POLLER_BOTH);
  add(&c, pair[0], POLLER_READ);
  poller_lose_closed(&subject);
  check_int(woken, 0);
  close(ends[0]);
  close(ends[1]);
  poller_lose_closed(&subject);
  check_int(a.ready, 0);
  check_int(b.ready, 0);
  check_int(c.ready, NOT_WOKEN);
  check_int(subject.waiting, 1);
  check_int(pipe(ends), 0);
  tear_down();
}

/* The old file lives on under another number, and still reports under the first. */
static void reports_of_a_former_file_wake_nobody(void) {
  set_up();
  int copy = dup(ends[0]);
  int old_writer = dup(ends[1]);
  add(&a, ends[0], POLLER_READ);
  reopen_reading_end();
  add(&b, ends[0], POLLER_READ);
  put(old_writer);
  poller_wait(&subject, 0);
  check_int(b.ready, NOT_WOKEN);
  close(copy);
  close(old_writer);
  tear_down();
}

static void the_watched_descriptor_ends_the_wait(void) {
  set_up();
  check(poller_watch(&subject, ends[0]));
  check(poller_watch(&subject, ends[0]));
  add(&a, pair[0], POLLER_READ);
  put(ends[1]);
  poller_wait(&subject, -1);
  poller_wait(&subject, -1);
  check_int(a.ready, NOT_WOKEN);
  take(ends[0]);
  put(pair[1]);
  poller_wait(&subject, -1);
  check_int(a.ready, POLLER_READ);
  tear_down();
}

/* Where there is a descriptor, a host may poll it. */
static void its_own_descriptor_is_readable_for_both(void) {
  set_up();
  check(poller_watch(&subject, ends[0]));
  int own = poller_fd(&subject);
  if (own >= 0) {
    add(&a, pair[0], POLLER_READ);
    check_int(poller_check(own, POLLER_READ), 0);
    put(ends[1]);
    check_int(poller_check(own, POLLER_READ), POLLER_READ);
    take(ends[0]);
    check_int(poller_check(own, POLLER_READ), 0);
    put(pair[1]);
    check_int(poller_check(own, POLLER_READ), POLLER_READ);
    poller_wait(&subject, 0);
    check_int(poller_check(own, POLLER_READ), 0);
    check((fcntl(own, F_GETFD) & FD_CLOEXEC) != 0);
  }
  tear_down();
}

static void waiting_ends_when_the_time_has_passed(void) {
  set_up();
  add(&a, ends[0], POLLER_READ);
  int64_t deadline = now_ns() + 5 * MILLISECOND;
  poller_wait(&subject, 5 * MILLISECOND);
  check(now_ns() >= deadline);
  check_int(a.ready, NOT_WOKEN);
  tear_down();
}

static volatile sig_atomic_t alarms;

static void on_alarm(int number) {
  (void)number;
  alarms++;
}

/* Without SA_RESTART, which would not matter: neither way of waiting is ever restarted. */
static void a_signal_is_no_readiness(void) {
  struct sigaction action = {.sa_handler = on_alarm};
  struct itimerval interval = {{0, 1000}, {0, 1000}};
  set_up();
  alarms = 0;
  add(&a, ends[0], POLLER_READ);
  sigaction(SIGALRM, &action, NULL);
  setitimer(ITIMER_REAL, &interval, NULL);
  while (alarms < 3) poller_wait(&subject, -1);
  interval = (struct itimerval){{0, 0}, {0, 0}};
  setitimer(ITIMER_REAL, &interval, NULL);
  check_int(a.ready, NOT_WOKEN);
  put(ends[1]);
  poller_wait(&subject, -1);
  check_int(a.ready, POLLER_READ);
  tear_down();
}

static void many_descriptors_are_served_in_one_wait_or_a_few(void) {
  enum { COUNT = 300 };
  static client clients[COUNT];
  static int pipes[COUNT][2];
  set_up();
  for (int i = 0; i < COUNT; i++) {
    check_int(pipe(pipes[i]), 0);
    reset(&clients[i]);
    add(&clients[i], pipes[i][0], POLLER_READ);
    if (i % 2 == 0) put(pipes[i][1]);
  }
  for (int i = 0; i < COUNT; i++) poller_wait(&subject, 0);
  check_int(woken, COUNT / 2);
  for (int i = 0; i < COUNT; i++) {
    note("pipe %d", i);
    check_int(clients[i].ready, i % 2 == 0 ? POLLER_READ : NOT_WOKEN);
    poller_remove(&subject, &clients[i].link);
    close(pipes[i][0]);
    close(pipes[i][1]);
  }
  check_int(subject.waiting, 0);
  tear_down();
}

static void waiters_follow_when_the_table_grows(void) {
  set_up();
  add(&a, ends[0], POLLER_READ);
  int high = fcntl(pair[0], F_DUPFD, 900);
  check(high >= 900);
  add(&b, high, POLLER_READ);
  put(ends[1]);
  put(pair[1]);
  poller_wait(&subject, -1);
  check_int(a.ready, POLLER_READ);
  check_int(b.ready, POLLER_READ);
  close(high);
  tear_down();
}

static void without_memory_the_waiter_is_refused(void) {
  set_up();
  int64_t succeeding = 0;
  poller_answer answer = POLLER_REFUSED;
  for (; answer == POLLER_REFUSED && succeeding < 10; succeeding++) {
    memory.fail_after = succeeding;
    errno = 0;
    answer = poller_add(&subject, &a.link, ends[0], POLLER_READ);
    if (answer != POLLER_REFUSED) break;
    check_int(errno, ENOMEM);
    check(list_empty(&a.link));
    check_int(subject.waiting, 0);
  }
  check(succeeding > 0);
  check_int(answer, POLLER_WAITING);
  tear_down();
}

/* In the child: 0 if it is served, and its parent's instance is left alone. */
static int serve_child(void) {
  reset(&b);
  if (poller_add(&subject, &b.link, pair[0], POLLER_READ) != POLLER_WAITING) return 1;
  if (write(ends[1], "x", 1) != 1) return 2;
  poller_wait(&subject, -1);
  if (a.ready != POLLER_READ) return 3;
  if (write(pair[1], "x", 1) != 1) return 4;
  poller_wait(&subject, -1);
  return b.ready == POLLER_READ ? 0 : 5;
}

static void a_forked_child_goes_on_without_disturbing_its_parent(void) {
  int status = -1;
  set_up();
  add(&a, ends[0], POLLER_READ);
  pid_t child = fork();
  if (child == 0) _exit(serve_child());
  check(child > 0);
  check_int(waitpid(child, &status, 0), child);
  check_int(WIFEXITED(status) ? WEXITSTATUS(status) : -1, 0);
  poller_wait(&subject, -1);
  check_int(a.ready, POLLER_READ);
  check_int(poller_check(pair[0], POLLER_READ), POLLER_READ);
  tear_down();
}

static void a_closed_poller_may_be_used_again(void) {
  set_up();
  add(&a, ends[0], POLLER_READ);
  poller_close(&subject);
  check_int(memory.bytes, 0);
  check(list_empty(&a.link));
  put(ends[1]);
  add(&a, ends[0], POLLER_READ);
  poller_wait(&subject, -1);
  check_int(a.ready, POLLER_READ);
  tear_down();
}

/* Were it to spin or to sleep, the test would fail or hang. */
static void an_instance_that_somebody_closed_is_replaced(void) {
  set_up();
  add(&a, ends[0], POLLER_READ);
  put(ends[1]);
  if (poller_fd(&subject) >= 0) close(poller_fd(&subject));
  for (int i = 0; i < 2 && woken == 0; i++) poller_wait(&subject, -1);
  check_int(a.ready, POLLER_READ);
  tear_down();
}

/* In a child, so that this process keeps its descriptors. */
static int open_without_descriptors(void) {
  struct rlimit limit = {64, 64};
  setrlimit(RLIMIT_NOFILE, &limit);
  while (dup(0) >= 0) continue;
  errno = 0;
  poller_answer answer = poller_add(&subject, &a.link, ends[0], POLLER_READ);
  if (answer == POLLER_WAITING) return poller_fd(&subject) < 0 ? 0 : 1;
  return errno == EMFILE && list_empty(&a.link) ? 0 : 2;
}

static void without_descriptors_it_says_why(void) {
  int status = -1;
  set_up();
  pid_t child = fork();
  if (child == 0) _exit(open_without_descriptors());
  check(child > 0);
  check_int(waitpid(child, &status, 0), child);
  check_int(WIFEXITED(status) ? WEXITSTATUS(status) : -1, 0);
  tear_down();
}

static const test tests[] = {
    TEST(a_new_poller_owns_nothing),
    TEST(a_waiter_is_woken_when_its_descriptor_is_ready_and_not_before),
    TEST(readiness_is_a_level),
    TEST(only_what_was_asked_for_is_reported),
    TEST(who_asks_for_both_is_woken_by_either),
    TEST(all_that_wait_for_the_same_are_woken),
    TEST(who_asks_for_something_else_goes_on_waiting),
    TEST(a_removed_waiter_is_not_woken),
    TEST(what_nobody_waits_for_is_forgotten),
    TEST(a_hang_up_is_readiness_for_everything),
    TEST(a_pipe_that_nobody_reads_is_ready_for_writing),
    TEST(a_regular_file_is_ready),
    TEST(what_is_no_descriptor_is_refused),
    TEST(checking_does_not_wait),
    TEST(a_number_that_means_another_file_is_registered_anew),
    TEST(who_waited_for_the_former_file_of_a_number_is_told),
    TEST(who_waits_for_a_number_that_was_closed_is_told_at_the_next_waiting),
    TEST(who_waits_can_be_told_that_the_descriptor_is_closed),
    TEST(who_waits_for_any_closed_descriptor_can_be_told),
    TEST(reports_of_a_former_file_wake_nobody),
    TEST(the_watched_descriptor_ends_the_wait),
    TEST(its_own_descriptor_is_readable_for_both),
    TEST(waiting_ends_when_the_time_has_passed),
    TEST(a_signal_is_no_readiness),
    TEST(many_descriptors_are_served_in_one_wait_or_a_few),
    TEST(waiters_follow_when_the_table_grows),
    TEST(without_memory_the_waiter_is_refused),
    TEST(a_forked_child_goes_on_without_disturbing_its_parent),
    TEST(a_closed_poller_may_be_used_again),
    TEST(an_instance_that_somebody_closed_is_replaced),
    TEST(without_descriptors_it_says_why),
};

SUITE(poller);
