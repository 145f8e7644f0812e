#define _GNU_SOURCE 1 /* SIGEV_THREAD_ID, syscall */

#include "core/ticker.h"

#include <errno.h>
#include <string.h>

const char *ticker_why(int refusal) {
  if (refusal == ENOTSUP) return "this system has no timers that signal a thread";
  if (refusal == EINVAL) return "the signal SIGURG is blocked in this thread";
  return strerror(refusal);
}

#if defined(__linux__) && !defined(CP_NO_TICKER)

#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <ucontext.h>
#include <unistd.h>

#include "core/stay_loaded.h"

#if !defined(sigev_notify_thread_id) /* glibc has no name for it */
#define sigev_notify_thread_id _sigev_un._tid
#endif

/* The part of an open ticker that the signal handler finds. It is never freed, but used again. */
typedef struct ticker_slot {
  struct ticker_slot *next; /* set once, before the handler sees the slot */
  ticker *owner;            /* NULL: the slot is free */
  timer_t timer;
  pid_t process; /* timers do not exist in a forked child */
  pid_t thread;
  _Atomic(pid_t) waiting; /* the thread, if the owner waits for a tick; else 0 */
} ticker_slot;

static struct {
  /* for all but what the handler reads: the process whose thread has it; 0: it is free */
  _Atomic(pid_t) lock;
  _Atomic(ticker_slot *) slots;
  unsigned open;
  bool installed;            /* the handler is, or another one that calls it */
  struct sigaction previous; /* the handler that was there before */
} process;

/*
** Of a thread that had the lock when the process forked, there is none in the child: the child takes the
** lock over. What that thread had not finished is of its own ticker, or is done by the next one.
*/
static void lock(void) {
  pid_t self = getpid();
  pid_t holder = 0;
  while (!atomic_compare_exchange_weak(&process.lock, &holder, self)) {
    if (holder == self) holder = 0;
  }
}

static void unlock(void) { atomic_store(&process.lock, 0); }

static pid_t this_thread(void) { return (pid_t)syscall(SYS_gettid); }

/* --- the handler --- */

/* Returns the slot at this address; NULL: there is none, the timer is somebody else's. */
static ticker_slot *find_slot(const void *address) {
  ticker_slot *s = atomic_load(&process.slots);
  while (s != NULL && s != address) s = s->next;
  return s;
}

static void call_previous(int signal, siginfo_t *info, void *context) {
  const struct sigaction *previous = &process.previous;
  if ((previous->sa_flags & SA_SIGINFO) != 0) {
    previous->sa_sigaction(signal, info, context);
  } else if (previous->sa_handler != SIG_DFL && previous->sa_handler != SIG_IGN) {
    previous->sa_handler(signal);
  }
}

/* Returns the address of the interrupted instruction; 0: not known. */
static uintptr_t program_counter(const void *context) {
#if defined(__x86_64__)
  return (uintptr_t)((const ucontext_t *)context)->uc_mcontext.gregs[REG_RIP];
#elif defined(__aarch64__)
  return (uintptr_t)((const ucontext_t *)context)->uc_mcontext.pc;
#else
  (void)context;
  return 0;
#endif
}

/*
** A late signal of a ticker that is closed may find that its slot has been taken again, also by another
** thread, even while this runs. So whether a tick is due, and in this thread, is one question.
*/
static void on_signal(int signal, siginfo_t *info, void *context) {
  int saved = errno;
  pid_t thread = this_thread();
  ticker_slot *s = info->si_code == SI_TIMER ? find_slot(info->si_value.sival_ptr) : NULL;
  if (s == NULL) {
    call_previous(signal, info, context);
  } else if (atomic_compare_exchange_strong(&s->waiting, &thread, 0)) {
    s->owner->tick(s->owner, program_counter(context));
  }
  errno = saved;
}

/* The function as stay_loaded wants it. */
static void here(void) {}

static bool is_ours(const struct sigaction *action) {
  return (action->sa_flags & SA_SIGINFO) != 0 && action->sa_sigaction == on_signal;
}

static bool is_none(const struct sigaction *action) {
  bool has_info = (action->sa_flags & SA_SIGINFO) != 0;
  return !has_info && (action->sa_handler == SIG_DFL || action->sa_handler == SIG_IGN);
}

/* If a handler was installed over ours, ours stays under it, and must not be put on top. */
static void install(void) {
  struct sigaction now;
  sigaction(SIGURG, NULL, &now);
  if (process.installed && !is_none(&now)) return;
  process.previous = now;
  struct sigaction ours = {.sa_flags = SA_SIGINFO | SA_RESTART | SA_ONSTACK,
                           .sa_mask = now.sa_mask};
  ours.sa_sigaction = on_signal;
  process.installed = sigaction(SIGURG, &ours, NULL) == 0;
  stay_loaded(here);
}

static void uninstall(void) {
  struct sigaction now;
  sigaction(SIGURG, NULL, &now);
  if (!is_ours(&now)) return;
  sigaction(SIGURG, &process.previous, NULL);
  process.installed = false;
}

/* --- slots --- */

static ticker_slot *take_slot(void) {
  ticker_slot *s = atomic_load(&process.slots);
  while (s != NULL && s->owner != NULL) s = s->next;
  if (s != NULL) return s;
  s = calloc(1, sizeof(ticker_slot));
  if (s == NULL) return NULL;
  s->next = atomic_load(&process.slots);
  atomic_store(&process.slots, s);
  return s;
}

/* Makes the slot's timer. Returns 0 or the errno. */
static int make_timer(ticker_slot *s, bool counts_cpu) {
  struct sigevent event = {.sigev_notify = SIGEV_THREAD_ID, .sigev_signo = SIGURG};
  event.sigev_value.sival_ptr = s;
  event.sigev_notify_thread_id = this_thread();
  clockid_t clock = counts_cpu ? CLOCK_THREAD_CPUTIME_ID : CLOCK_MONOTONIC;
  if (timer_create(clock, &event, &s->timer) != 0) return errno;
  s->process = getpid();
  s->thread = this_thread();
  return 0;
}

static int open_locked(ticker *t) {
  ticker_slot *s = take_slot();
  if (s == NULL) return ENOMEM;
  int refusal = make_timer(s, t->counts_cpu);
  if (refusal != 0) return refusal;
  s->owner = t;
  t->slot = s;
  process.open++;
  install();
  return 0;
}

int ticker_open(ticker *t) {
  cp_assert(t->slot == NULL);
  sigset_t blocked;
  int failure = pthread_sigmask(SIG_BLOCK, NULL, &blocked);
  if (failure != 0) return failure;
  if (sigismember(&blocked, SIGURG) == 1) return EINVAL;
  lock();
  int refusal = open_locked(t);
  unlock();
  return refusal;
}

bool ticker_is_here(const ticker *t) {
  const ticker_slot *s = t->slot;
  return s != NULL && s->thread == this_thread() && s->process == getpid();
}

void ticker_set(ticker *t, int64_t delay_ns) {
  ticker_slot *s = t->slot;
  if (s->process != getpid()) return; /* the number may be that of another timer here */
  struct itimerspec when = {.it_value = {.tv_sec = (time_t)(delay_ns / NS_PER_SECOND),
                                         .tv_nsec = (long)(delay_ns % NS_PER_SECOND)}};
  atomic_store(&s->waiting, delay_ns > 0 ? s->thread : 0);
  timer_settime(s->timer, 0, &when, NULL);
}

void ticker_close(ticker *t) {
  ticker_slot *s = t->slot;
  if (s == NULL) return;
  lock();
  atomic_store(&s->waiting, 0);
  if (s->process == getpid()) timer_delete(s->timer);
  s->owner = NULL;
  t->slot = NULL;
  if (--process.open == 0) uninstall();
  unlock();
}

#else

int ticker_open(ticker *t) {
  (void)t;
  return ENOTSUP;
}

bool ticker_is_here(const ticker *t) {
  (void)t;
  return false;
}

void ticker_set(ticker *t, int64_t delay_ns) {
  (void)t;
  (void)delay_ns;
}

void ticker_close(ticker *t) { (void)t; }

#endif
