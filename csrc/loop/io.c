#include "loop/io.h"

#include <errno.h>
#include <string.h>

#define NS_PER_MILLISECOND INT64_C(1000000)

void io_leave(runtime *rt, task *t) { rt->backend->fd_stop(rt, t); }

bool io_push_text(lua_State *L, const task *t) {
  if (!wait_push_local(L, t, IO_INDEX_FD)) return false;
  wait_push_local(L, t, IO_INDEX_MODE);
  lua_pushfstring(L, "wait_fd of %d (%s)", (int)lua_tointeger(L, -2), lua_tostring(L, -1));
  lua_replace(L, -3);
  lua_pop(L, 1);
  return true;
}

int io_refuse(lua_State *L, int fd, int refusal) {
  if (refusal == ENOMEM) return luaL_error(L, "not enough memory");
  return luaL_error(L, "co.wait_fd: descriptor %d: %s", fd, strerror(refusal));
}

int io_park(runtime *rt, lua_State *L, int fd, unsigned asked, int64_t deadline_ns,
            const wait_type *wait) {
  task *t = rt->current;
  switch (rt->backend->fd_wait(rt, t, fd, asked)) {
    case FD_WAITING: return task_park(rt, L, wait, deadline_ns);
    case FD_ALWAYS:
      t->wake = WAKE_READY;
      t->waiter.fired = asked;
      return wait->continuation(L, LUA_OK, (lua_KContext)rt);
    default: return io_refuse(L, fd, errno);
  }
}

/* The wakeup is drained at once, because the loop goes on now and looks at everything. */
void io_wait(runtime *rt, int64_t timeout_ns) {
  event_loop *loop = loop_of(rt);
  loop_own_wakeup(rt);
  if (io_is_awaited(rt)) {
    poller_wait(&loop->poller, timeout_ns);
  } else {
    wakeup_wait(&loop->wakeup, timeout_ns);
  }
  wakeup_drain(&loop->wakeup);
}

int io_pollfd(runtime *rt) {
  event_loop *loop = loop_of(rt);
  loop_own_wakeup(rt);
  bool was_open = loop->wakeup.read_fd >= 0;
  if (!wakeup_open(&loop->wakeup)) return -1;
  if (!poller_watch(&loop->poller, loop->wakeup.read_fd)) return -1;
  if (!was_open && fifo_count(&rt->ready) > 0) wakeup_signal(&loop->wakeup);
  int fd = poller_fd(&loop->poller);
  return fd >= 0 ? fd : loop->wakeup.read_fd;
}

int64_t io_next_look(const runtime *rt) {
  const poller *p = &loop_of(rt)->poller;
  bool told = p->watched >= 0 && poller_fd(p) >= 0;
  if (!io_is_awaited(rt) || told) return TIME_FOREVER;
  return runtime_now(rt) + IO_LOOK_MS * NS_PER_MILLISECOND;
}
