#include "kernel/defer.h"

#include "kernel/coroutine.h"
#include "kernel/task.h"

frame_stack *defer_check_frame(runtime *rt, lua_State *L, const char *name) {
  const coroutine *c = rt->running;
  frame_stack *s = c->thread == L ? c->frames : coroutine_find_frames(rt, L);
  bool in_task = rt->current != NULL && rt->current->coroutine.thread == L;
  if (s == NULL && in_task) s = coroutine_make_frames(rt, L); /* they begin with its entry */
  if (s == NULL || frames_deferring(s) == 0) {
    luaL_error(L,
               "%s outside any frame: call it in a task, or in a function made by co.func "
               "or called by co.call",
               name);
  }
  return s;
}

uint64_t defer_call(runtime *rt, lua_State *L, frame_stack *s, int count) {
  uint64_t serial = frames_defer(s, &rt->memory, L, count, &rt->last_serial);
  if (serial != 0) return serial;
  if (s->values + (uint32_t)count > FRAMES_MAX_VALUES) {
    luaL_error(
        L, "too many deferred calls are pending: they and their arguments are at most %d values",
        FRAMES_MAX_VALUES);
  }
  luaL_error(L, "not enough memory");
  return 0;
}
