#include "loop/polling.h"

#include <stdio.h>

#include "loop/io.h"
#include "loop/outside.h"
#include "loop/shutdown.h"

/* Whether the ready task only let others run: no event has woken it. */
static bool has_given_way(const task *t) {
  return t->wait->gave_way != NULL && t->wait->gave_way(t);
}

static bool all_have_given_way(const runtime *rt) {
  for (size_t i = 0; i < fifo_count(&rt->ready); i++) {
    if (!has_given_way(fifo_at(&rt->ready, i))) return false;
  }
  return true;
}

bool polling_is_endless(runtime *rt) {
  if (!loop_of(rt)->clock.is_virtual) return false;
  int64_t now = runtime_now(rt);
  /* Descriptors become ready, and other threads wake tasks, without virtual time passing. */
  bool may_come = io_is_awaited(rt) || outside_is_awaited(rt);
  if (now != rt->polled_at_ns || may_come || !all_have_given_way(rt)) {
    rt->polled_at_ns = now;
    rt->polled_rounds = 0;
  }
  return ++rt->polled_rounds > POLLING_MAX_ROUNDS;
}

void polling_push_deadlock(runtime *rt, lua_State *L) {
  char name[TASK_NAME_SIZE];
  char message[256];
  const task *t = fifo_at(&rt->ready, 0);
  snprintf(message, sizeof(message),
           "task %llu \"%.64s\" polls, so the virtual clock stands still: it has yielded for %d "
           "rounds; wait for what "
           "happens, or sleep - deadlock!",
           (unsigned long long)t->id, task_name(t, name), POLLING_MAX_ROUNDS);
  rt->polled_rounds = 0;
  shutdown_push_deadlock(rt, L, message);
}
