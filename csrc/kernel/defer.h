/* Deferring calls in running code, for co.defer and for hosts. */
#ifndef CP_KERNEL_DEFER_H
#define CP_KERNEL_DEFER_H

#include "compat.h"
#include "kernel/coroutine.h"
#include "kernel/runtime.h"

#pragma GCC visibility push(hidden)

/* As defer_check_frame, for code whose frame stack is not at hand, or that may have no frame yet. */
frame_stack *defer_find_frame(runtime *rt, lua_State *L, const char *name);

/*
** Returns the frame stack of the code that runs on L. Raises unless a call can be deferred in it: a
** frame is open.   [-0, +0, e]
**   name  the API function
*/
static inline frame_stack *defer_check_frame(runtime *rt, lua_State *L, const char *name) {
  const coroutine *c = rt->running;
  bool is_at_hand = c->thread == L && c->frames != NULL && frames_deferring(c->frames) > 0;
  return is_at_hand ? c->frames : defer_find_frame(rt, L, name);
}

/* Says why frames_defer has refused a call of `count` values.   [-0, +0, e] */
int defer_refuse(lua_State *L, const frame_stack *s, int count);

/*
** Moves a function and its arguments, the top `count` values, to the innermost frame of that frame
** stack, as a deferred call. Returns its serial. Raises if there is no memory, or are too many.
** [-count, +0, e]
*/
static inline uint64_t defer_call(runtime *rt, lua_State *L, frame_stack *s, int count) {
  uint64_t serial = frames_defer(s, &rt->memory, L, count, &rt->last_serial);
  if (serial == 0) defer_refuse(L, s, count);
  return serial;
}

#pragma GCC visibility pop

#endif
