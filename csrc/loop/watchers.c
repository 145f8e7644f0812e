#include "loop/watchers.h"

#include "loop/loop.h"
#include "loop/outside.h"

/* A watcher is one from its spawn to its end. */
typedef struct watcher {
  task_exit exit;
  list link; /* in event_loop.watchers */
  const task *task;
} watcher;

static void *reserve(runtime *rt, void *group) {
  (void)group;
  return mem_new(&rt->memory, sizeof(watcher));
}

static void leave(runtime *rt, lua_State *L, task_exit *exit) {
  (void)L;
  watcher *w = container_of(exit, watcher, exit);
  list_remove(&w->link);
  mem_free(&rt->memory, w, sizeof(watcher));
}

static void join(runtime *rt, lua_State *L, task *t, void *reserved) {
  (void)L;
  watcher *w = reserved;
  *w = (watcher){.exit = {.run = leave}, .task = t};
  list_init(&w->link);
  list_append(&loop_of(rt)->watchers, &w->link);
  task_on_end(t, &w->exit);
}

const spawn_group_type watcher_type = {.reserve = reserve, .join = join};

bool watchers_are_alone(const runtime *rt) {
  const event_loop *loop = loop_of(rt);
  if (list_empty(&loop->watchers) || outside_is_awaited(rt)) return false;
  size_t watchers = 0;
  size_t descriptors = 0;
  uint32_t timers = 0;
  for (list *link = loop->watchers.next; link != &loop->watchers; link = link->next) {
    const task *t = container_of(link, watcher, link)->task;
    watchers++;
    if (t->status != TASK_WAITING) continue;
    if (t->wait->from_outside) descriptors++;
    if (t->live.timer.number != TIMER_IDLE) timers++;
  }
  return rt->live_count > watchers && loop->poller.waiting == descriptors &&
         loop->timers.count == timers;
}
