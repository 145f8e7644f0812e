#include "loop/loop.h"

#include "kernel/task.h"
#include "scope/context.h"
#include "scope/scope.h"

void loop_timer_fired(runtime *rt, lua_State *L, timer *t) {
  switch (t->owner) {
    case TIMER_OF_TASK: task_wake(rt, container_of(t, task, live.timer), WAKE_TIMEOUT); break;
    case TIMER_OF_CONTEXT: context_expire(rt, L, t); break;
    default: scope_expire(rt, L, t);
  }
}

void loop_fd_ready(runtime *rt, task *t, unsigned ready) {
  t->waiter.fired = ready;
  task_wake(rt, t, ready == 0 ? WAKE_CLOSED : WAKE_READY);
}

/* --- our back end --- */

static int64_t now(const runtime *rt) { return clock_now_ns(&loop_of(rt)->clock); }

static bool timer_set(runtime *rt, timer *t, int64_t deadline_ns) {
  return timer_heap_add(&loop_of(rt)->timers, t, deadline_ns);
}

static void timer_stop(runtime *rt, timer *t) { timer_heap_remove(&loop_of(rt)->timers, t); }

/* The links in the poller's queues are waiters of tasks. */
static void wake_waiter(void *rt, list *link, unsigned ready) {
  loop_fd_ready(rt, container_of(link, task, waiter.link), ready);
}

static fd_answer fd_wait(runtime *rt, task *t, int fd, unsigned asked) {
  switch (poller_add(&loop_of(rt)->poller, &t->waiter.link, fd, asked)) {
    case POLLER_WAITING: return FD_WAITING;
    case POLLER_ALWAYS: return FD_ALWAYS;
    default: return FD_REFUSED;
  }
}

static void fd_stop(runtime *rt, task *t) { poller_remove(&loop_of(rt)->poller, &t->waiter.link); }

static void notify(runtime *rt) {
  loop_own_wakeup(rt);
  wakeup_signal(&loop_of(rt)->wakeup);
}

static const loop_backend own_backend = {
    .now = now,
    .timer_set = timer_set,
    .timer_stop = timer_stop,
    .fd_wait = fd_wait,
    .fd_stop = fd_stop,
    .notify = notify,
};

void loop_own_wakeup(const runtime *rt) {
  event_loop *loop = loop_of(rt);
  if (wakeup_is_own(&loop->wakeup)) return;
  bool was_watched = loop->poller.watched >= 0;
  poller_unwatch(&loop->poller);
  wakeup_renew(&loop->wakeup);
  if (was_watched) poller_watch(&loop->poller, loop->wakeup.read_fd);
}

bool loop_is_own(const runtime *rt) { return rt->backend == &own_backend; }

void loop_use_own(runtime *rt) { rt->backend = &own_backend; }

static void close_loop(runtime *rt) {
  if (loop_of(rt)->mailbox != NULL) mailbox_close(loop_of(rt)->mailbox);
  poller_close(&loop_of(rt)->poller);
  wakeup_close(&loop_of(rt)->wakeup);
}

void loop_open(runtime *rt, lua_State *L) {
  event_loop *loop = mem_new(&rt->memory, sizeof(event_loop));
  if (loop == NULL) luaL_error(L, "not enough memory");
  *loop = (event_loop){.part = {.close = close_loop}};
  list_init(&loop->watchers);
  timer_heap_init(&loop->timers, &rt->memory);
  wakeup_init(&loop->wakeup);
  collector_init(&loop->collector);
  poller_init(&loop->poller, &rt->memory, wake_waiter, rt);
  rt->loop = loop;
  rt->clock = &loop->clock;
  rt->generator.lease_clock = &loop->clock;
  loop_use_own(rt);
  runtime_add_part(rt, &loop->part);
}
