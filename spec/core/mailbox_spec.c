#define _DEFAULT_SOURCE 1 /* fork */

/* core/mailbox.h: posts from threads and signal handlers, and tokens that are late or made up. */
#include "core/mailbox.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "harness.h"
#include "memory.h"

typedef struct token_slot {
  mail_slot base;
  uint64_t token;
} token_slot;

static test_memory memory;
static wakeup bell;

static mailbox *open_box(void) {
  test_memory_init(&memory);
  wakeup_init(&bell);
  check(wakeup_open(&bell));
  return mailbox_open(&memory.allocator, &bell, sizeof(token_slot));
}

static void close_box(mailbox *m) {
  mailbox_close(m);
  wakeup_close(&bell);
  check_int(memory.bytes, 0);
  check_int(memory.mismatches, 0);
}

static mail number(int64_t n) { return (mail){.integer = n}; }

static void a_post_reaches_the_owner_once(void) {
  mailbox *m = open_box();
  uint64_t token;
  mail_slot *s = mailbox_issue(m, &token);
  check_pointer(mailbox_find(m, token), s);
  check_int(mailbox_phase(s), MAIL_OPEN);
  check_int(mailbox_post(token, number(42)), MAIL_TAKEN);
  check_int(mailbox_post(token, number(43)), MAIL_LATE);
  check_int(mailbox_phase(s), MAIL_CLAIMED);
  check(!mailbox_settle(s));
  check(mailbox_has_mail(m));
  check_pointer(mailbox_take(m), s);
  check(!mailbox_has_mail(m));
  check_int(s->mail.integer, 42);
  check_int(mailbox_phase(s), MAIL_SETTLED);
  mailbox_release(m, s);
  check_int(mailbox_post(token, number(44)), MAIL_LATE);
  check_pointer(mailbox_find(m, token), NULL);
  close_box(m);
  check_int(mailbox_post(token, number(45)), MAIL_LATE);
}

static void posts_make_the_wakeup_readable(void) {
  mailbox *m = open_box();
  uint64_t tokens[2];
  struct pollfd fd = {.fd = bell.read_fd, .events = POLLIN};
  for (int i = 0; i < 2; i++) mailbox_issue(m, &tokens[i]);
  check_int(poll(&fd, 1, 0), 0);
  for (int i = 0; i < 2; i++) {
    mailbox_post(tokens[i], number(i));
    check_int(poll(&fd, 1, 0), 1);
  }
  close_box(m);
}

static void mail_comes_in_the_order_of_the_posts(void) {
  mailbox *m = open_box();
  uint64_t tokens[5];
  for (int i = 0; i < 5; i++) mailbox_issue(m, &tokens[i]);
  for (int i = 4; i >= 0; i--) mailbox_post(tokens[i], number(i));
  int64_t expected = 4;
  for (const mail_slot *s = mailbox_take(m); s != NULL; s = s->next) {
    check_int(s->mail.integer, expected--);
  }
  check_int(expected, -1);
  close_box(m);
}

static void what_is_settled_first_wins(void) {
  mailbox *m = open_box();
  uint64_t token;
  mail_slot *s = mailbox_issue(m, &token);
  check(mailbox_settle(s));
  check(!mailbox_settle(s));
  check_int(mailbox_post(token, number(1)), MAIL_LATE);
  check(!mailbox_has_mail(m));
  close_box(m);
}

static void tokens_that_were_never_issued_are_unknown(void) {
  mailbox *m = open_box();
  uint64_t token;
  mailbox_issue(m, &token);
  static const uint64_t made_up[] = {0, 1, 77, UINT64_MAX, UINT64_MAX >> 1, UINT64_C(1) << 34};
  for (size_t i = 0; i < sizeof made_up / sizeof made_up[0]; i++) {
    note("number %zu", i);
    if (made_up[i] == token) continue;
    check(mailbox_post(made_up[i], number(1)) != MAIL_TAKEN);
    check(mailbox_look(made_up[i]) != MAIL_TAKEN);
    check_pointer(mailbox_find(m, made_up[i]), NULL);
  }
  check_int(mailbox_post(token + 1, number(1)), MAIL_UNKNOWN); /* of the next generation */
  check_int(mailbox_post(token + (UINT64_C(1) << 34), number(1)) == MAIL_TAKEN, 0);
  close_box(m);
}

static void tokens_of_a_closed_mailbox_are_not_of_the_next_one(void) {
  uint64_t former[200];
  mailbox *m = open_box();
  for (int i = 0; i < 200; i++) mailbox_issue(m, &former[i]);
  close_box(m);
  m = open_box();
  for (int i = 0; i < 200; i++) {
    uint64_t token;
    mailbox_issue(m, &token);
    for (int j = 0; j < 200; j++) check(token != former[j]);
  }
  for (int j = 0; j < 200; j++) check_int(mailbox_post(former[j], number(1)), MAIL_LATE);
  close_box(m);
}

static void there_are_many_slots_at_once(void) {
  mailbox *m = open_box();
  enum { MANY = 5000 };
  static uint64_t tokens[MANY];
  for (int i = 0; i < MANY; i++)
    ((token_slot *)(void *)mailbox_issue(m, &tokens[i]))->token = tokens[i];
  for (int i = 0; i < MANY; i++) {
    const mail_slot *s = mailbox_find(m, tokens[i]);
    check(((const token_slot *)(const void *)s)->token == tokens[i]);
  }
  close_box(m);
}

static void without_memory_there_is_none(void) {
  test_memory_init(&memory);
  wakeup_init(&bell);
  for (int n = 0; n < 2; n++) {
    memory.fail_after = n;
    mailbox *m = mailbox_open(&memory.allocator, &bell, sizeof(token_slot));
    uint64_t token;
    check(n == 1 ? mailbox_issue(m, &token) == NULL : m == NULL);
    memory.fail_after = -1;
    if (m == NULL) continue;
    check(mailbox_issue(m, &token) != NULL);
    mailbox_close(m);
  }
  check_int(memory.bytes, 0);
}

static void more_than_the_table_has_are_refused(void) {
  test_memory_init(&memory);
  wakeup_init(&bell);
  static mailbox *all[MAILBOX_MAX];
  for (unsigned i = 0; i < MAILBOX_MAX; i++) {
    all[i] = mailbox_open(&memory.allocator, &bell, sizeof(token_slot));
    check(all[i] != NULL);
  }
  check_pointer(mailbox_open(&memory.allocator, &bell, sizeof(token_slot)), NULL);
  for (unsigned i = 0; i < MAILBOX_MAX; i++) mailbox_close(all[i]);
  check_int(memory.bytes, 0);
}

/* --- threads --- */

static uint64_t shared_token;
static _Atomic(int) taken;

static void *post_once(void *unused) {
  (void)unused;
  if (mailbox_post(shared_token, number(1)) == MAIL_TAKEN) atomic_fetch_add(&taken, 1);
  return NULL;
}

static void of_many_threads_one_wins(void) {
  mailbox *m = open_box();
  for (int round = 0; round < 50; round++) {
    pthread_t threads[4];
    mail_slot *s = mailbox_issue(m, &shared_token);
    taken = 0;
    for (int i = 0; i < 4; i++) check_int(pthread_create(&threads[i], NULL, post_once, NULL), 0);
    for (int i = 0; i < 4; i++) pthread_join(threads[i], NULL);
    check_int(taken, 1);
    check_pointer(mailbox_take(m), s);
    mailbox_release(m, s);
  }
  close_box(m);
}

static void *look(void *answer) {
  *(mail_answer *)answer = mailbox_look(shared_token);
  return NULL;
}

static void a_look_tells_another_thread_from_the_owner(void) {
  mailbox *m = open_box();
  mailbox_issue(m, &shared_token);
  check_int(mailbox_look(shared_token), MAIL_TAKEN);
  pthread_t thread;
  mail_answer answer;
  pthread_create(&thread, NULL, look, &answer);
  pthread_join(thread, NULL);
  check_int(answer, MAIL_FOREIGN);
  close_box(m);
}

static volatile sig_atomic_t answer_in_handler;

static void post_in_handler(int signal) {
  (void)signal;
  answer_in_handler = mailbox_post(shared_token, number(7));
}

static void a_signal_handler_posts_and_keeps_errno(void) {
  mailbox *m = open_box();
  const mail_slot *s = mailbox_issue(m, &shared_token);
  signal(SIGUSR1, post_in_handler);
  errno = ENOENT;
  raise(SIGUSR1);
  check_int(errno, ENOENT);
  check_int(answer_in_handler, MAIL_TAKEN);
  check_pointer(mailbox_take(m), s);
  check_int(s->mail.integer, 7);
  signal(SIGUSR1, SIG_DFL);
  close_box(m);
}

static atomic_bool storm_is_over;

/* Posts to slots of mailboxes that come and go. */
static void *storm(void *counter) {
  while (!atomic_load(&storm_is_over)) {
    for (uint64_t slot = 0; slot < 4; slot++) {
      for (uint64_t generation = 1; generation < 3000; generation += 7) {
        uint64_t token = slot << MAIL_GENERATION_BITS | generation;
        if (mailbox_post(token, number((int64_t)token)) == MAIL_TAKEN) (*(int64_t *)counter)++;
      }
    }
  }
  return NULL;
}

static void a_mailbox_may_be_closed_in_a_storm_of_posts(void) {
  pthread_t threads[3];
  int64_t posted[3] = {0};
  atomic_store(&storm_is_over, false);
  for (int i = 0; i < 3; i++) pthread_create(&threads[i], NULL, storm, &posted[i]);
  for (int round = 0; round < 300; round++) {
    mailbox *m = open_box();
    uint64_t token;
    for (int i = 0; i < 4; i++) mailbox_issue(m, &token);
    mail_slot *next;
    for (mail_slot *s = mailbox_take(m); s != NULL; s = next) {
      next = s->next;
      check_int(s->mail.integer & 0x3ffffffff,
                (int64_t)(atomic_load(&s->state) >> 2)); /* its own mail */
      mailbox_release(m, s);
    }
    close_box(m);
  }
  atomic_store(&storm_is_over, true);
  for (int i = 0; i < 3; i++) pthread_join(threads[i], NULL);
}

static void *post_for_ever(void *token) {
  while (!atomic_load(&storm_is_over)) mailbox_post(*(uint64_t *)token, number(1));
  return NULL;
}

/* Were the child to wait for the posts of threads that it does not have, SIGALRM would end it. */
static void a_child_that_is_forked_in_a_storm_can_close_it(void) {
  enum { FORKS = 50 };
  mailbox *m = open_box();
  uint64_t token;
  pthread_t threads[2];
  mailbox_issue(m, &token);
  atomic_store(&storm_is_over, false);
  for (int i = 0; i < 2; i++) pthread_create(&threads[i], NULL, post_for_ever, &token);
  int status = 0;
  for (int i = 0; i < FORKS && status == 0; i++) {
    pid_t child = fork();
    if (child == 0) {
      alarm(10);
      mailbox_close(m);
      _exit(0);
    }
    waitpid(child, &status, 0);
  }
  atomic_store(&storm_is_over, true);
  for (int i = 0; i < 2; i++) pthread_join(threads[i], NULL);
  close_box(m);
  check_int(status, 0);
}

/* What a child finds: bit 0: it settles the slot that was being posted; 1: the one that was posted. */
static int settle_in_child(mail_slot *claimed, mail_slot *posted) {
  int status = -1;
  pid_t child = fork();
  if (child == 0) _exit(mailbox_settle(claimed) | mailbox_settle(posted) << 1);
  waitpid(child, &status, 0);
  return WEXITSTATUS(status);
}

static void a_post_that_has_not_ended_has_not_happened_in_a_forked_child(void) {
  mailbox *m = open_box();
  uint64_t token;
  mail_slot *posted = mailbox_issue(m, &token);
  mailbox_post(token, number(1));
  mail_slot *claimed = mailbox_issue(m, &token);
  atomic_fetch_or(&claimed->state, MAIL_OPEN | MAIL_CLAIMED); /* as by a thread that is posting */
  atomic_fetch_and(&claimed->state, ~(uint64_t)MAIL_OPEN);
  check_int(mailbox_phase(claimed), MAIL_CLAIMED);
  check_int(settle_in_child(claimed, posted), 1);
  check_int(mailbox_phase(claimed), MAIL_CLAIMED);
  check_int(mailbox_phase(posted), MAIL_CLAIMED);
  close_box(m);
}

static const test tests[] = {
    TEST(a_post_reaches_the_owner_once),
    TEST(posts_make_the_wakeup_readable),
    TEST(mail_comes_in_the_order_of_the_posts),
    TEST(what_is_settled_first_wins),
    TEST(tokens_that_were_never_issued_are_unknown),
    TEST(tokens_of_a_closed_mailbox_are_not_of_the_next_one),
    TEST(there_are_many_slots_at_once),
    TEST(without_memory_there_is_none),
    TEST(more_than_the_table_has_are_refused),
    TEST(of_many_threads_one_wins),
    TEST(a_look_tells_another_thread_from_the_owner),
    TEST(a_signal_handler_posts_and_keeps_errno),
    TEST(a_mailbox_may_be_closed_in_a_storm_of_posts),
    TEST(a_child_that_is_forked_in_a_storm_can_close_it),
    TEST(a_post_that_has_not_ended_has_not_happened_in_a_forked_child),
};

SUITE(mailbox);
