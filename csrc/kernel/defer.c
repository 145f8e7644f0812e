#include "kernel/defer.h"

#include "kernel/task.h"

frame_stack *defer_find_frame(runtime *rt, lua_State *L, const char *name) {
  frame_stack *s = coroutine_find_frames(rt, L);
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

int defer_refuse(lua_State *L, const frame_stack *s, int count) {
  if (s->values + (uint32_t)count > FRAMES_MAX_VALUES) {
    return luaL_error(
        L, "too many deferred calls are pending: they and their arguments are at most %d values",
        FRAMES_MAX_VALUES);
  }
  return luaL_error(L, "not enough memory");
}
