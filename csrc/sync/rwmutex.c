#include "sync/rwmutex.h"

bool rwmutex_try_lock(runtime *rt, lua_State *L, rwmutex *rw, int index) {
  return rw->readers == 0 && mutex_try_lock(rt, L, &rw->writer, index);
}

bool rwmutex_try_read_lock(runtime *rt, rwmutex *rw) {
  if (rw->writer.locked || waitlist_first(rt, &rw->writer.waitlist) != NULL) return false;
  rw->readers++;
  return true;
}

static void end_reading(runtime *rt, rwmutex *rw) {
  rw->readers--;
  waitlist_serve(rt, &rw->writer.waitlist);
}

void rwmutex_read_unlock(runtime *rt, lua_State *L, rwmutex *rw) {
  if (rw->readers == 0) luaL_error(L, "runlock of unlocked rwmutex");
  end_reading(rt, rw);
}

static void serve(runtime *rt, waitlist *w) {
  rwmutex *rw = (rwmutex *)w;
  task *next;
  while (!rw->writer.locked && (next = waitlist_first(rt, w)) != NULL) {
    if (next->wait->reads) {
      rw->readers++;
    } else if (rw->readers == 0) {
      mutex_give(rt, &rw->writer, next, next->coroutine.top->thread);
    } else {
      return;
    }
    task_wake(rt, next, WAKE_READY);
  }
}

/*
** A script may close the coroutine of a reader after the reader was let in and before it runs. That
** reader stays counted, like one that ends without runlock.
*/
static void take_back(runtime *rt, waitlist *w, const task *t) {
  rwmutex *rw = (rwmutex *)w;
  if (t->wait->reads) {
    end_reading(rt, rw);
  } else {
    mutex_release(rt, &rw->writer);
  }
}

const waitlist_type rwmutex_type = {
    .object = {.name = "rwmutex",
               .metatable = RWMUTEX_TYPE,
               .size = sizeof(rwmutex),
               .user_values = MUTEX_UV_COUNT},
    .serve = serve,
    .take_back = take_back,
    .close = mutex_close,
};
