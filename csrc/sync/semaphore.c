#include "sync/semaphore.h"

bool semaphore_try_acquire(runtime *rt, semaphore *s, int permits) {
  if (s->free < permits || waitlist_first(rt, &s->waitlist) != NULL) return false;
  s->free -= permits;
  return true;
}

void semaphore_release(runtime *rt, semaphore *s, int permits) {
  cp_assert(permits <= s->total - s->free);
  s->free += permits;
  waitlist_serve(rt, &s->waitlist);
}

static void serve(runtime *rt, waitlist *w) {
  semaphore *s = (semaphore *)w;
  task *next;
  while ((next = waitlist_first(rt, w)) != NULL && next->waiter.permits <= s->free) {
    s->free -= next->waiter.permits;
    task_wake(rt, next, WAKE_READY);
  }
}

/*
** Permits have no owner. A task that ends without releasing its permits keeps them taken; so does
** one whose coroutine a script closes after the task was served and before it runs.
*/
static void take_back(runtime *rt, waitlist *w, const task *t) {
  semaphore_release(rt, (semaphore *)w, t->waiter.permits);
}

const waitlist_type semaphore_type = {
    .object = {.name = "semaphore", .metatable = SEMAPHORE_TYPE, .size = sizeof(semaphore)},
    .serve = serve,
    .take_back = take_back,
};
