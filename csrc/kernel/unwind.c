#include "kernel/unwind.h"

#include "kernel/args.h"
#include "kernel/c_stack.h"
#include "kernel/handler.h"
#include "kernel/panic.h"
#include "kernel/task.h"

/* Here, where their fields are constants. */
const frame_type frame_func = {0};
const frame_type frame_deferred = {.shields = true};

/*
** The stack of a C function that runs frames, from the bottom: [the frame's value,] [the coroutine,
** if it is no task's,] handler, then the arguments or results of the call in progress. Returns the
** index of the handler.
**   type  of the frame for which the C function was called
*/
static inline int handler_index(const frame_stack *s, const frame_type *type) {
  return 1 + type->has_object + s->foreign;
}

static int after_call(lua_State *L, int status, lua_KContext frames_address);

/*
** Call it when the innermost frame's body has ended with an error, on top of the stack.
** [-1, +0, -]
*/
static void end_with_error(runtime *rt, frame_stack *s, lua_State *L, int status) {
  panic_settle(rt, L, status);
  const record *r = record_test(L, -1);
  if (r->exits) {
    frames_exit(s, L);
  } else {
    frames_unwind(s, L, STATE_PANICKING);
    /* A deferred call in a `<close>` variable recovered it on the way here. */
    if (r->recovered) frames_recovered(s);
  }
}

/*
** Call it when the innermost frame's body has returned; its results are all the values above
** `handler`.   [-results, +0, -]
*/
static void end_with_results(runtime *rt, frame_stack *s, lua_State *L, int handler) {
  if (frames_is_exiting(s)) {
    /* A pcall further in swallowed the exit. */
    lua_settop(L, handler);
    frames_push_exit(s, L);
    frames_unwind(s, L, STATE_EXITING);
    return;
  }
  int results = frames_top(s)->type == &frame_deferred ? 0 : lua_gettop(L) - handler;
  int status = frames_return(s, L, L, results);
  if (status == LUA_ERRMEM) {
    lua_settop(L, handler);
    record_make_safe(rt, L, L, 0, RECORD_MEMORY, "not enough memory for the results");
    frames_unwind(s, L, STATE_PANICKING);
  } else if (status != LUA_OK) {
    end_with_error(rt, s, L, status); /* of a debug hook */
  }
}

/*
** Call it when a frame has returned to the innermost one, which the same C function runs.
** [-0, +0, -]
*/
static void return_to(frame_stack *s, lua_State *L) {
  frame_state state = frames_top(s)->state;
  if (state == STATE_BODY) {
    /* Its activation is gone (the thread was closed), so there is nowhere to return to. */
    frames_push_exit(s, L);
    frames_unwind(s, L, STATE_EXITING);
  } else if (state == STATE_PANICKING) {
    frames_push_record(s, L, s->depth - 1);
    if (record_test(L, -1)->recovered) frames_recovered(s);
    lua_pop(L, 1);
  }
}

/*
** Whether the innermost frame is a deferred call that was unwound by force while its frame was
** unwinding already. Then that unwinding goes on, and its record says what happened.   [-0, +0, -]
*/
static bool is_cut_short(const frame_stack *s, lua_State *L) {
  const frame *outer = frames_top(s) - 1;
  if (frames_top(s)->type != &frame_deferred || frames_top(s)->state != STATE_EXITING) return false;
  if (outer->state != STATE_EXITING && outer->state != STATE_PANICKING) return false;
  frames_push_record(s, L, s->depth - 1);
  bool forced = record_test(L, -1)->forced;
  lua_pop(L, 1);
  if (!forced) return false;
  frames_push_record(s, L, s->depth - 2);
  record_test(L, -1)->forced = true;
  lua_pop(L, 1);
  return true;
}

/*
** Call it when the innermost frame is done and the same C function runs the frame below it: passes
** its outcome on.   [-0, +0, -]
*/
static void merge_outcome(frame_stack *s, lua_State *L) {
  frame_state state = frames_top(s)->state;
  if (state == STATE_RETURNING || is_cut_short(s, L)) {
    frames_drop_outcome(s);
    frames_pop_frame(s);
    return_to(s, L);
  } else {
    frames_take_outcome(s, L);
    frames_pop_frame(s);
    frames_unwind(s, L, state);
  }
}

/* Whether the frame, whose body has returned, has no results and nothing else to do. */
static bool is_done(const frame_stack *s, const frame *f) {
  return f->type == &frame_deferred && f->deferred == 0 && !frames_is_exiting(s);
}

/* Calls the innermost frame's newest deferred call in a frame of its own. Returns its status. */
static int call_deferred(runtime *rt, frame_stack *s, lua_State *L, int handler, uint32_t base) {
  int count = frames_next_deferred(s);
  /* Every C function has stack for a few values. */
  int room = count <= LUA_MINSTACK / 2 || lua_checkstack(L, count + LUA_MINSTACK);
  if (room) {
    frames_take_deferred(s, L);
  } else {
    lua_settop(L, handler);
    frames_drop_deferred(s);
  }
  bool pushed = frames_push_frame(s, &rt->memory, &frame_deferred, base);
  cp_assert(pushed); /* frames_defer has reserved it */
  (void)pushed;
  if (!room) {
    lua_pushliteral(L, "stack overflow: no room for the arguments of a deferred call");
    return LUA_ERRRUN;
  }
  return lua_pcallk(L, count - 1, 0, handler, (lua_KContext)s, after_call);
}

/*
** Call it when the C function that ran the innermost frame is gone. May not return
** (frame_type.lost). Except for thin frames, only a task's entry comes across such a frame.
** [-0, +0, e]
*/
static void finish_lost(runtime *rt, frame_stack *s, lua_State *L) {
  const frame_type *type = frames_top(s)->type;
  type->lost(rt, L, s);
  if (type->is_thin) {
    frames_drop_object(s);
    return;
  }
  lua_settop(L, 0);
  lua_pushcfunction(L, panic_handler);
}

/*
** Whether the innermost frame, which is about to be closed, has lost its C function. That of a thin
** frame does not come here.
*/
static bool is_lost(const frame_stack *s, uint32_t base) {
  const frame_type *type = frames_top(s)->type;
  return type->lost != NULL && (s->depth - 1 > base || type->is_thin);
}

/*
** Runs the frame stack from the innermost frame, whose call has just ended with `status`, down to
** the frame `base`. Leaves the outcome of that frame on top of the stack, and returns the frame's
** state.   [-?, +outcome, -]
*/
static frame_state drive(runtime *rt, frame_stack *s, lua_State *L, int status, uint32_t base) {
  int handler = handler_index(s, frames_array(s)[base].type);
  for (;;) {
    frame *f = frames_top(s);
    if (f->state == STATE_BODY) {
      bool returned = status == LUA_OK || status == LUA_YIELD;
      if (returned && is_done(s, f)) {
        frames_pop_frame(s);
        return_to(s, L);
      } else {
        if (returned) {
          end_with_results(rt, s, L, handler);
        } else {
          end_with_error(rt, s, L, status);
        }
        lua_settop(L, handler);
      }
    } else {
      lua_settop(L, handler);
    }
    if (frames_next_deferred(s) != 0) {
      status = call_deferred(rt, s, L, handler, base);
      continue;
    }
    if (is_lost(s, base)) finish_lost(rt, s, L);
    if (s->depth - 1 > base) {
      merge_outcome(s, L);
    } else {
      frame_state state = frames_top(s)->state;
      if (!lua_checkstack(L, frames_outcome_size(s) + 1)) {
        record_make_safe(rt, L, L, 0, RECORD_MEMORY, "stack overflow: no room for the results");
        frames_unwind(s, L, STATE_PANICKING);
        continue;
      }
      frames_take_outcome(s, L);
      frames_pop_frame(s);
      return state;
    }
  }
}

int unwind_results(const frame_stack *s, lua_State *L, const frame_type *type) {
  return lua_gettop(L) - handler_index(s, type);
}

/* Ends the C function that ran a frame: returns the outcome on top as results, or raises it. */
static inline int leave(frame_stack *s, lua_State *L, const frame_type *type, frame_state state) {
  s->leaving = s->foreign;
  if (state == STATE_RETURNING) return lua_gettop(L) - handler_index(s, type);
  return lua_error(L);
}

int unwind_leave(frame_stack *s, lua_State *L, const frame_type *type, frame_state state) {
  return leave(s, L, type, state);
}

/*
** Returns, for a task's entry, whether it returned, then the outcome. It never raises, because a
** thread that was closed inside a protected call keeps a stale message handler (Lua 5.4.0 to
** 5.4.4).
*/
static int leave_entry(runtime *rt, lua_State *L, frame_stack *s, frame_state state) {
  (void)rt;
  (void)s;
  lua_pushboolean(L, state == STATE_RETURNING);
  lua_replace(L, 1);
  return lua_gettop(L);
}

/*
** The end of a block goes on by itself, unless its deferred call panicked or had no panic to stop.
*/
static int leave_block(runtime *rt, lua_State *L, frame_stack *s, frame_state state) {
  (void)rt;
  (void)s;
  return state == STATE_RETURNING ? 0 : lua_error(L);
}

const frame_type frame_entry = {.shields = true, .leave = leave_entry};
const frame_type frame_block = {.shields = true, .leave = leave_block};

/* Closes the innermost frame, a thin one whose call has ended: its only outcome is on the stack. */
static int finish_thin(runtime *rt, lua_State *L, int status, frame_stack *s) {
  const frame_type *type = frames_top(s)->type;
  frames_drop_object(s);
  frames_pop_frame(s);
  if (status == LUA_OK || status == LUA_YIELD) return type->leave(rt, L, s, STATE_RETURNING);
  panic_settle(rt, L, status);
  return type->leave(rt, L, s, record_test(L, -1)->exits ? STATE_EXITING : STATE_PANICKING);
}

/* Call it when the innermost frame's call has ended, and more has to be done than to return. */
static int finish_call(lua_State *L, int status, frame_stack *s) {
  uint32_t base = frames_top(s)->base;
  const frame_type *type = frames_array(s)[base].type;
  runtime *rt = runtime_of(L);
  if (type->is_thin) return finish_thin(rt, L, status, s);
  frame_state state = drive(rt, s, L, status, base);
  return type->leave == NULL ? leave(s, L, type, state) : type->leave(rt, L, s, state);
}

/*
** Raises because the frames are gone: the coroutine was garbage, or the Lua state is being closed.
** [-0, +0, e]
*/
static int refuse_without_frames(lua_State *L, const frame_stack *s) {
  if (s->cells->runtime->closed) return runtime_refuse_closed(L);
  return luaL_error(L, "this coroutine was garbage, and can't go on");
}

/*
** Runs when the innermost frame's call has ended, at once or after it had yielded. The frame stack
** comes with the continuation, so that it is the right one even if other code resumed a task's
** coroutine.
*/
static int after_call(lua_State *L, int status, lua_KContext frames_address) {
  frame_stack *s = (frame_stack *)frames_address;
  if (s->depth == 0 || s->cells->runtime->closed) return refuse_without_frames(L, s);
  const frame *f = frames_top(s);
  bool returned = status == LUA_OK || status == LUA_YIELD;
  if (returned && f->deferred == 0 && f->type == &frame_func && !frames_is_exiting(s)) {
    frames_pop_frame(s);
    return leave(s, L, &frame_func, STATE_RETURNING);
  }
  return finish_call(L, status, s);
}

/* Opens a frame. Its handler, and the values below that, are on the stack.   [-0, +0, e] */
static inline void open_frame(runtime *rt, frame_stack *s, lua_State *L, const frame_type *type) {
  if (s->foreign) lua_toclose(L, handler_index(s, type) - 1);
  if (frames_push_frame(s, &rt->memory, type, s->depth)) {
    if (!type->is_thin || frames_set_object(s, L, 1)) return;
    frames_pop_frame(s);
  }
  s->leaving = s->foreign;
  luaL_error(L, "not enough memory");
}

/* Calls the frame's function, which is on top of the stack with its arguments. */
static inline int call_body(frame_stack *s, lua_State *L, int arguments, const frame_type *type) {
  lua_KContext context = (lua_KContext)s;
  int handler = handler_index(s, type);
  return after_call(L, lua_pcallk(L, arguments, LUA_MULTRET, handler, context, after_call),
                    context);
}

/*
** Pushes the values at the bottom of the stack of a C function that runs frames. Returns their
** number.
*/
static inline int push_bottom(const runtime *rt, const frame_stack *s, lua_State *L) {
  /* If the coroutine is no task's, other code may close it: then it runs the pending calls. */
  if (s->foreign) coroutine_push_known(rt, L);
  lua_pushcfunction(L, panic_handler);
  return s->foreign ? 2 : 1;
}

/* Returns the frame stack in which the running code opens a frame.   [-0, +0, m] */
static inline frame_stack *prepare_frames(runtime *rt, lua_State *L) {
  frame_stack *s = coroutine_frames_of(rt, L);
  frames_check_spares(s, L);
  return s;
}

int unwind_func(lua_State *L) {
  runtime *rt = runtime_of(L);
  frame_stack *s = prepare_frames(rt, L);
  int arguments = lua_gettop(L);
  int bottom = push_bottom(rt, s, L);
  lua_pushvalue(L, lua_upvalueindex(2));
  if (arguments > 0) lua_rotate(L, 1, bottom + 1);
  open_frame(rt, s, L, &frame_func);
  return call_body(s, L, arguments, &frame_func);
}

int unwind_call(lua_State *L) {
  arg_check_function(L, 1, "call");
  runtime *rt = runtime_of(L);
  frame_stack *s = prepare_frames(rt, L);
  int arguments = lua_gettop(L) - 1;
  lua_rotate(L, 1, push_bottom(rt, s, L));
  open_frame(rt, s, L, &frame_func);
  return call_body(s, L, arguments, &frame_func);
}

frame_stack *unwind_open_body(runtime *rt, lua_State *L, const frame_type *type) {
  frame_stack *s = prepare_frames(rt, L);
  if (type->is_thin) frames_reserve_object(s, L);
  lua_rotate(L, 2, push_bottom(rt, s, L));
  open_frame(rt, s, L, type);
  return s;
}

int unwind_call_body(frame_stack *s, lua_State *L, const frame_type *type) {
  return call_body(s, L, unwind_results(s, L, type) - 1, type);
}

int unwind_body(runtime *rt, lua_State *L, const frame_type *type) {
  return unwind_call_body(unwind_open_body(rt, L, type), L, type);
}

int unwind_call_closing(lua_State *L, int slot, int arguments, int results, lua_KContext context,
                        lua_KFunction continuation) {
  lua_toclose(L, slot);
  lua_callk(L, arguments, results, context, continuation);
  return continuation(L, LUA_OK, context);
}

/* Runs the task's frame stack down to its entry.   [-?, +outcome, e] */
static int finish_entry(runtime *rt, lua_State *L, frame_stack *s) {
  lua_settop(L, 0);
  lua_pushcfunction(L, panic_handler);
  return leave_entry(rt, L, s, drive(rt, s, L, LUA_OK, 0));
}

int unwind_after_lost(lua_State *L, int status, lua_KContext runtime_address) {
  (void)status;
  runtime *rt = (runtime *)runtime_address;
  return finish_entry(rt, L, rt->current->coroutine.frames);
}

int unwind_finish(lua_State *L) {
  runtime *rt = runtime_of(L);
  return finish_entry(rt, L, coroutine_frames_of(rt, L));
}

/*
** Moves the deferred call to a frame of its own, which ends as the block ends: with the block's
** error in flight, so that recover works, or returning. If the call recovers, the error still
** unwinds to the frame, which finds it recovered (end_with_error) and returns to its caller, as in
** Go.
*/
int unwind_close_deferred(lua_State *L) {
  runtime *rt = runtime_of_any(L);
  const deferred_handle *handle = luaL_checkudata(L, 1, DEFER_TYPE);
  frame_stack *s = coroutine_find_frames(rt, L);
  /*
  ** While a task's thread is reset no code can suspend. The task's frame runs the call just
  ** afterwards.
  */
  if (s == NULL || s->resetting) return 0;
  if (!frames_is_pending(s, handle->serial)) return 0;
  bool panicking = panic_is_in_flight(rt, L, 2) && !record_test(L, 2)->exits;
  /*
  ** Room for the block's frame and for that of the call. If that fails, the call stays with the
  ** frame in which it was deferred.
  */
  if (!frames_reserve_frames(s, &rt->memory, s->depth + 2))
    return luaL_error(L, "not enough memory");
  frames_check_spares(s, L);
  c_stack_check(L, 1);
  /* A finalizer or a debug hook may have closed it meanwhile. */
  if (!frames_is_pending(s, handle->serial)) return 0;
  frames_push_frame(s, &rt->memory, &frame_block, s->depth);
  frames_move_deferred(s, &rt->memory, handle->serial);
  if (panicking) {
    lua_settop(L, 2);
    frames_unwind(s, L, STATE_PANICKING);
  } else {
    (void)frames_return(s, L, L, 0); /* without results it needs no room */
  }
  lua_settop(L, 0);
  if (s->foreign) lua_pushnil(L);
  lua_pushcfunction(L, panic_handler);
  return leave_block(rt, L, s, drive(rt, s, L, LUA_OK, s->depth - 1));
}

/* Whether the frame's C function has a to-be-closed slot, if the coroutine is no task's. */
static bool has_slot(const frame *f) {
  return f->type != &frame_deferred && f->type != &frame_block;
}

int unwind_close_foreign(lua_State *L) {
  runtime *rt = runtime_of_any(L);
  frame_stack *s = coroutine_find_frames(rt, L);
  if (s == NULL || s->depth == 0) return 0;
  if (s->leaving) {
    s->leaving = false;
    return 0;
  }
  lua_settop(L, 0);
  uint32_t base = s->depth - 1;
  while (!has_slot(&frames_array(s)[base])) base--;
  lua_settop(L, handler_index(s, frames_array(s)[base].type) - 1);
  lua_pushcfunction(L, panic_handler);
  record_make_safe(rt, L, L, 1, RECORD_CANCELLED, "coroutine closed");
  record *r = record_test(L, -1);
  r->exits = true;
  r->cancel_source = CANCEL_EXPLICIT;
  lua_pushvalue(L, -1);
  frames_begin_exit(s, L, 0);
  frames_unwind(s, L, STATE_EXITING);
  frame_state state = drive(rt, s, L, LUA_OK, base);
  /* Not raised, because the closed thread keeps a stale message handler (Lua 5.4.0 to 5.4.4). */
  if (state == STATE_PANICKING) handler_report(rt, L, 0);
  return 0;
}

/*
** Runs when the call of co.pcall has ended: true and the handler stand below its results, and there
** may be no room behind them.
*/
static int after_pcall(lua_State *L, int status, lua_KContext context) {
  (void)context;
  runtime *rt = runtime_of(L);
  if (status == LUA_OK || status == LUA_YIELD) {
    lua_copy(L, 1, 2);
    return lua_gettop(L) - 1;
  }
  panic_settle(rt, L, status);
  if (record_test(L, -1)->exits) return lua_error(L);
  lua_pushboolean(L, 0);
  lua_insert(L, -2);
  return 2;
}

int unwind_pcall(lua_State *L) {
  arg_check_function(L, 1, "pcall");
  int arguments = lua_gettop(L) - 1;
  lua_pushboolean(L, 1);
  lua_pushcfunction(L, panic_handler);
  lua_rotate(L, 1, 2);
  return after_pcall(L, lua_pcallk(L, arguments, LUA_MULTRET, 2, 0, after_pcall), 0);
}

void unwind_open(runtime *rt, lua_State *L) {
  static const machinery all[] = {
      {unwind_func, true, true},          {unwind_call, true, true},
      {unwind_finish, true, true},        {unwind_close_deferred, true, true},
      {unwind_close_foreign, true, true}, {unwind_pcall, false, true},
      {panic_handler, false, true},
  };
  for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) runtime_add_machinery(rt, all[i]);
  rt->entry_type = &frame_entry;
  static const luaL_Reg metamethods[] = {{"__close", unwind_close_deferred}, {NULL, NULL}};
  runtime_new_type(rt, L, DEFER_TYPE, metamethods);
  rt->defer_type_ref = luaL_ref(L, LUA_REGISTRYINDEX);
  lua_pushlightuserdata(L, rt);
  lua_pushcclosure(L, unwind_finish, 1);
  runtime_set_value(rt, L, RUNTIME_UV_FINISH);
}
