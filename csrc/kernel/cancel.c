#include "kernel/cancel.h"

#include "kernel/panic.h"
#include "kernel/task.h"

const char *cancel_source_name(cancel_source source) {
  static const char *const names[] = {
      [CANCEL_EXPLICIT] = "explicit",     [CANCEL_DEADLINE] = "deadline",
      [CANCEL_SCOPE] = "scope",           [CANCEL_PARENT] = "parent",
      [CANCEL_SHUTDOWN] = "shutdown",     [CANCEL_INTERRUPT] = "interrupt",
      [CANCEL_CPU_BUDGET] = "cpu_budget", [CANCEL_LEAKED] = "leaked",
      [CANCEL_BOUNDARY] = "boundary",     [CANCEL_HEDGE] = "hedge",
      [CANCEL_SUPERVISOR] = "supervisor",
  };
  return names[source];
}

/*
** Returns the frame stack of the innermost coroutine inside the task in which anything is
** unwinding; NULL: none.
*/
static const frame_stack *find_unwinding(const task *t) {
  for (const coroutine *c = t->coroutine.top; c != &t->coroutine; c = c->outer) {
    if (c->frames != NULL && frames_shield(c->frames) > 0) return c->frames;
  }
  return NULL;
}

/*
** Returns the index of the outermost frame of the task's frame stack that may be exited now. While
** a coroutine is unwinding by itself, none may.
*/
static uint32_t shield_of(const task *t) {
  if (t->coroutine.top != &t->coroutine && find_unwinding(t) != NULL) return UINT32_MAX;
  return t->coroutine.frames == NULL ? 0 : frames_shield(t->coroutine.frames);
}

bool cancel_is_shielded(const task *t, uint32_t floor) { return floor < shield_of(t); }

/* --- raising --- */

void cancel_note_asker(runtime *rt, lua_State *L, int victim) {
  if (rt->current == NULL) return;
  lua_rawgeti(L, LUA_REGISTRYINDEX, rt->askers_ref);
  lua_pushvalue(L, victim);
  task_push(rt, L, rt->current);
  lua_rawset(L, -3);
  lua_pop(L, 1);
}

/*
** (task, record): notes in the record which task asked this one to end, and the waiting tasks;
** called protected.
*/
static int describe(lua_State *L) {
  runtime *rt = record_test(L, 2)->runtime;
  lua_rawgeti(L, LUA_REGISTRYINDEX, rt->askers_ref);
  lua_pushvalue(L, 1);
  lua_rawget(L, -2);
  record_set_detail(L, 2, DETAIL_CANCELLED_BY);
  lua_settop(L, 2);
  wait_note_suspensions(rt, L, rt->current);
  return 0;
}

void cancel_make_record(runtime *rt, lua_State *L, lua_State *thread, int level,
                        cancel_source source) {
  record_kind kind = source == CANCEL_DEADLINE ? RECORD_TIMEOUT
                     : source == CANCEL_LEAKED ? RECORD_LEAKED
                                               : RECORD_CANCELLED;
  record_wrap_safe(rt, L, thread, level, kind);
  record *r = record_test(L, -1);
  r->kind = (uint8_t)kind; /* even if there was no memory for more */
  r->exits = true;
  r->cancel_source = (uint8_t)source;
  if (source != CANCEL_EXPLICIT && !cancel_source_is_policy(source)) return;
  lua_pushcfunction(L, describe);
  lua_pushvalue(L, -3);
  lua_pushvalue(L, -3);
  if (lua_pcall(L, 2, 0, 0) != LUA_OK) lua_pop(L, 1);
}

void cancel_push_record(runtime *rt, lua_State *L, lua_State *thread, int level,
                        const cancel_scope *c) {
  cancel_scope_push(rt, L, c);
  lua_getiuservalue(L, -1, CANCEL_SCOPE_UV_REASON);
  cancel_make_record(rt, L, thread, level, c->source);
  lua_replace(L, -2);
}

/*
** Returns the cancel scope whose request may be raised in the task now; NULL: none.   [-0, +0, -]
*/
static cancel_scope *find_due(const task *t) { return cancel_scope_find_asked(t, shield_of(t)); }

bool cancel_is_due(const runtime *rt, const task *t) {
  return t->asked > 0 && rt->hooks == 0 && find_due(t) != NULL;
}

bool cancel_will_raise(const runtime *rt, const task *t) {
  const frame_stack *s = find_unwinding(t);
  if (s == NULL) s = t->coroutine.frames;
  return (s != NULL && frames_is_exiting(s)) || cancel_is_due(rt, t);
}

/*
** Replaces the record of the exit, on top of the stack, by the record with which the task must end.
** That of a request to the task itself comes first.   [-1, +1, -]
*/
static void choose_record(runtime *rt, lua_State *L, const task *t, int level) {
  if (t->entry.state != CANCEL_SCOPE_ASKED) return;
  lua_pop(L, 1);
  cancel_push_record(rt, L, L, level, &t->entry);
}

/*
** Pops a record of the exit and parks the task for good, when the code on L yields, which it must do next. The
** task is never resumed: its coroutines yield up to the loop, which ends it.   [-1, +0, e]
**   level      of the code's activation on its stack
**   swallowed  whether it has swallowed its exit too often
*/
static void force(runtime *rt, lua_State *L, task *t, int level, bool swallowed) {
  luaL_checkstack(L, LUA_MINSTACK, NULL);
  choose_record(rt, L, t, level);
  record_test(L, -1)->forced = swallowed;
  frame_stack *s = t->coroutine.frames;
  if (s != NULL && s->depth > 0) {
    lua_pushvalue(L, -1);
    frames_begin_exit(s, L, 0);
  }
  task_push(rt, L, t);
  lua_insert(L, -2);
  lua_setiuservalue(L, -2, TASK_UV_RESULT);
  cancel_scope_answer(&t->entry);
  t->raises = 0;
  t->forced = true;
}

void cancel_count_raise(runtime *rt, lua_State *L, task *t) {
  if (t->raises < CANCEL_MAX_RAISES) t->raises++;
  if (t->raises == CANCEL_MAX_RAISES && lua_isyieldable(L)) {
    force(rt, L, t, 1, true);
    lua_yield(L, 0);
  }
}

/*
** In a coroutine inside the task the request stays: it is raised again in the resumer of the
** coroutine, and counts as raised when it gets to the task's own thread (cancel_raise_outwards).
*/
static int raise_inside(runtime *rt, lua_State *L) {
  frame_stack *s = coroutine_find_frames(rt, L);
  if (s != NULL && s->depth > 0) {
    lua_pushvalue(L, -1);
    frames_begin_exit(s, L, 0);
  }
  return lua_error(L);
}

/*
** What cancel_raise would raise: pushes the record, and sets `due` to the request that is answered by
** raising it, NULL: that of the exit under way. Returns false, and pushes nothing, if there is none.
**   level  of the code's activation on its stack
** [-0, +(0|1), e]
*/
static bool push_pending(runtime *rt, lua_State *L, const task *t, int level, cancel_scope **due) {
  *due = NULL;
  /* Hooks and handlers run inside the task, but were not asked to end. */
  if (rt->hooks > 0) return false;
  const frame_stack *unwinding = t->coroutine.thread != L ? find_unwinding(t) : NULL;
  const frame_stack *s = unwinding != NULL ? unwinding : t->coroutine.frames;
  if (s != NULL && frames_is_exiting(s)) {
    frames_push_exit(s, L);
    return true;
  }
  if (unwinding != NULL || t->asked == 0) return false;
  luaL_checkstack(L, LUA_MINSTACK, NULL);
  *due = find_due(t);
  if (*due == NULL) return false;
  cancel_push_record(rt, L, L, level, *due);
  return true;
}

/* Pops and raises what push_pending has pushed.   [-1, +0, e] */
static void raise_pending(runtime *rt, lua_State *L, const task *t, cancel_scope *due) {
  if (due == NULL) {
    lua_error(L);
  } else if (t->coroutine.thread != L) {
    raise_inside(rt, L);
  } else {
    cancel_scope_answer(due);
    panic_exit(rt, L, cancel_scope_floor(due));
  }
}

void cancel_raise(runtime *rt, lua_State *L, task *t) {
  cancel_scope *due;
  if (!push_pending(rt, L, t, 1, &due)) return;
  cancel_count_raise(rt, L, t);
  raise_pending(rt, L, t, due);
}

/*
** Whether the stack of L has a C function, such as pcall or one that runs frames, within so many levels
** (lua_getstack costs as much as the level), or is deeper.   [-0, +0, -]
*/
static bool may_catch(lua_State *L) {
  enum { LEVELS = 200 };
  lua_Debug ar;
  for (int level = 0; level < LEVELS; level++) {
    if (!lua_getstack(L, level, &ar)) return false;
    lua_getinfo(L, "S", &ar);
    if (*ar.what == 'C') return true;
  }
  return true;
}

/*
** A hook has no activation of its own: that of the code is the innermost one. If an error ends a thread
** while a hook runs, Lua never calls a hook in that thread again, and the task's deferred calls could
** not be interrupted. So an exit that nothing on the stack would catch is not raised here: the task is
** unwound from outside, with the same result.
*/
bool cancel_raise_in_hook(runtime *rt, lua_State *L, task *t) {
  cancel_scope *due;
  if (!task_needs_unwinding(t) || !push_pending(rt, L, t, 0, &due)) return false;
  bool swallowed = t->raises > CANCEL_MAX_RAISES - CANCEL_RAISES_OF_HOOK;
  bool is_own_thread = t->coroutine.thread == L;
  if (lua_isyieldable(L) && (swallowed || (is_own_thread && !may_catch(L)))) {
    force(rt, L, t, 0, swallowed);
    lua_yield(L, 0);
    return true;
  }
  if (!swallowed) t->raises += CANCEL_RAISES_OF_HOOK;
  raise_pending(rt, L, t, due);
  return true;
}

/* Where the code can't yield, the exit is raised at least. */
void cancel_cut_short(runtime *rt, lua_State *L, task *t) {
  luaL_checkstack(L, LUA_MINSTACK, NULL);
  cancel_push_record(rt, L, L, 0, &t->entry);
  if (lua_isyieldable(L)) {
    force(rt, L, t, 0, true);
    lua_yield(L, 0);
  } else {
    record_test(L, -1)->forced = true;
    raise_inside(rt, L);
  }
}

int cancel_raise_outwards(runtime *rt, lua_State *L) {
  task *t = rt->current;
  if (t == NULL || t->coroutine.thread != L) return lua_error(L);
  if (t->coroutine.frames != NULL && frames_is_exiting(t->coroutine.frames)) return lua_error(L);
  luaL_checkstack(L, LUA_MINSTACK, NULL);
  cancel_scope *c = NULL;
  if (record_is_cancellation(record_test(L, -1))) c = find_due(t);
  if (c == NULL) return panic_exit(rt, L, 0);
  cancel_scope_answer(c);
  return panic_exit(rt, L, cancel_scope_floor(c));
}
