#include "loop/io.h"

#include <errno.h>
#include <string.h>

#define NS_PER_MILLISECOND INT64_C(1000000)

void io_wake(void *rt, list *link, unsigned ready) {
  task *t = container_of(link, task, waiter.link);
  t->fired = (uint16_t)ready;
  task_wake(rt, t, ready == 0 ? WAKE_CLOSED : WAKE_READY);
}

static void leave(runtime *rt, task *t) { poller_remove(&rt->poller, &t->waiter.link); }

static bool push_text(lua_State *L, const task *t) {
  if (!wait_push_local(L, t, IO_INDEX_FD)) return false;
  wait_push_local(L, t, IO_INDEX_MODE);
  lua_pushfstring(L, "wait_fd of %d (%s)", (int)lua_tointeger(L, -2), lua_tostring(L, -1));
  lua_replace(L, -3);
  lua_pop(L, 1);
  return true;
}

static const wait_type wait_fd = {
    .name = "wait_fd",
    .push_object = wait_push_self,
    .push_text = push_text,
    .leave = leave,
    .from_outside = true,
};

int io_refuse(lua_State *L, int fd, int refusal) {
  if (refusal == ENOMEM) return luaL_error(L, "not enough memory");
  return luaL_error(L, "co.wait_fd: descriptor %d: %s", fd, strerror(refusal));
}

int io_park(runtime *rt, lua_State *L, int fd, unsigned asked, int64_t deadline_ns,
            lua_KFunction continuation) {
  task *t = rt->current;
  switch (poller_add(&rt->poller, &t->waiter.link, fd, asked)) {
    case POLLER_WAITING: return task_park(rt, L, &wait_fd, deadline_ns, 0, continuation);
    case POLLER_ALWAYS:
      t->wake = WAKE_READY;
      t->fired = (uint16_t)asked;
      return continuation(L, LUA_OK, 0);
    default: return io_refuse(L, fd, errno);
  }
}

/* Whatever signalled the wakeup is seen to by the loop that goes on now. */
void io_wait(runtime *rt, int64_t timeout_ns) {
  if (io_is_awaited(rt)) {
    poller_wait(&rt->poller, timeout_ns);
  } else {
    wakeup_wait(&rt->wakeup, timeout_ns);
  }
  wakeup_drain(&rt->wakeup);
}

int io_pollfd(runtime *rt) {
  bool was_open = rt->wakeup.read_fd >= 0;
  if (!wakeup_open(&rt->wakeup)) return -1;
  if (!poller_watch(&rt->poller, rt->wakeup.read_fd)) return -1;
  if (!was_open && rt->ready_count > 0) wakeup_signal(&rt->wakeup);
  int fd = poller_fd(&rt->poller);
  return fd >= 0 ? fd : rt->wakeup.read_fd;
}

int64_t io_next_look(const runtime *rt) {
  bool told = rt->poller.watched >= 0 && poller_fd(&rt->poller) >= 0;
  if (!io_is_awaited(rt) || told) return TIME_FOREVER;
  return runtime_now(rt) + IO_LOOK_MS * NS_PER_MILLISECOND;
}
