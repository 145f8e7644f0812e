#include "kernel/panic.h"

#include <string.h>

#include "kernel/probe.h"
#include "kernel/task.h"

int panic_raise_kind(runtime *rt, lua_State *L, record_kind kind) {
  record_wrap_safe(rt, L, L, 1, kind);
  return lua_error(L);
}

int panic_raise(runtime *rt, lua_State *L) { return panic_raise_kind(rt, L, RECORD_PANIC); }

int panic_exit(runtime *rt, lua_State *L, uint32_t floor) {
  frame_stack *s = coroutine_frames_of(rt, L);
  if (s->depth > 0) {
    lua_pushvalue(L, -1);
    frames_begin_exit(s, L, floor);
  }
  return lua_error(L);
}

/* Whether the activation is that of a finalizer.   [-0, +0, -] */
static bool is_finalizer(lua_State *L, lua_Debug *activation) {
  lua_getinfo(L, "n", activation);
  return *activation->namewhat == 'm' && strcmp(activation->name, "__gc") == 0;
}

/* Whether a finalizer has called the running code; false in Lua 5.4.0 to 5.4.3.   [-0, +0, -] */
static bool is_in_finalizer(lua_State *L) {
  lua_Debug ar;
  if (lua_gc(L, LUA_GCCOUNT) >= 0) return false; /* the collector does not answer in finalizers */
  for (int level = 0; lua_getstack(L, level, &ar); level++) {
    if (is_finalizer(L, &ar)) return true;
  }
  return false;
}

int panic_goexit(runtime *rt, lua_State *L) {
  if (is_in_finalizer(L)) {
    return luaL_error(
        L, "co.goexit in a finalizer: the task that it runs in has nothing to do with it");
  }
  lua_pushnil(L);
  record_wrap_safe(rt, L, L, 1, RECORD_GOEXIT);
  record *r = record_test(L, -1);
  r->kind = RECORD_GOEXIT; /* even where there was no memory for more */
  r->exits = true;
  task *t = rt->current;
  if (t != NULL && t->coroutine.top->thread == L && rt->hooks == 0) cancel_count_raise(rt, L, t);
  return panic_exit(rt, L, 0);
}

static bool is_in_flight(const runtime *rt, const record *r) {
  if (r == NULL || r->recovered) return false;
  return r->task_id == (rt->current == NULL ? 0 : rt->current->id);
}

bool panic_is_in_flight(const runtime *rt, lua_State *L, int index) {
  return is_in_flight(rt, record_test(L, index));
}

/*
** Whether the text is an error that Lua's `load`, or the like, raises while it parses, and catches.
** Its other errors, about its arguments for example, go to its caller.
*/
static bool is_of_parser(const char *text) {
  return strncmp(text, "C stack overflow", strlen("C stack overflow")) == 0 ||
         strstr(text, "reader function must return a string") != NULL;
}

/*
** Whether Lua's `load`, or the like, will catch the error whose record is on top of the stack, and
** return it: an error of a reader, of an object that the reader has returned, or of the parser
** itself if C calls nest too deep. Lua's parser has no message handler of its own, so ours is
** called.   [-0, +0, -]
*/
static bool is_caught_by_load(lua_State *L, const record *r) {
  if (r->caught != CAUGHT_IN_LOADER) return r->caught == CAUGHT_BY_LOAD;
  lua_getiuservalue(L, -1, RECORD_UV_VALUE);
  const char *text = lua_type(L, -1) == LUA_TSTRING ? lua_tostring(L, -1) : "";
  lua_pop(L, 1);
  return is_of_parser(text);
}

int panic_handler(lua_State *L) {
  const record *r = record_test(L, -1);
  runtime *rt = r != NULL ? r->runtime : runtime_find(L);
  const frame_stack *s = coroutine_find_frames(rt, L);
  /*
  ** If a frame further out is unwinding with this record, raising it again is a panic of its own,
  ** as in Go.
  */
  bool again = s != NULL && frames_holds_record(s, L, -1);
  if (!again && is_in_flight(rt, r)) return 1;
  lua_pushvalue(L, -1);
  record_wrap_untold(rt, L, L, 1, RECORD_ERROR);
  if (is_caught_by_load(L, record_test(L, -1))) {
    lua_pop(L, 1); /* the raised value as it was: the record may explain it */
  } else {
    record_tell(rt, L);
  }
  return 1;
}

void panic_settle(runtime *rt, lua_State *L, int status) {
  if (record_test(L, -1) != NULL) return;
  record_kind kind = status == LUA_ERRMEM ? RECORD_MEMORY : RECORD_ERROR;
  record_wrap_safe(rt, L, L, 0, kind);
}

/*
** Whether the activation at `level` is a C function that opens frames and runs their deferred
** calls; false if there is no such level. Sets `tail_called`: its caller is no longer on the stack.
** [-0, +0, -]
*/
static bool is_driver(const runtime *rt, lua_State *L, int level, bool *tail_called) {
  lua_Debug activation;
  *tail_called = false;
  if (!lua_getstack(L, level, &activation)) return false;
  lua_getinfo(L, "ft", &activation);
  *tail_called = activation.istailcall;
  lua_CFunction f = lua_tocfunction(L, -1);
  lua_pop(L, 1);
  return runtime_is_driver(rt, f);
}

/*
** Returns the frame of the function that has called recover, and sets the level of the C function
** that runs that frame; -1: there is none. A deferred recover counts as called by the function that
** has deferred it, once that has returned.   [-0, +0, -]
*/
static int find_caller(const runtime *rt, lua_State *L, const frame_stack *s, int *driver) {
  int top = (int)s->depth - 1;
  bool caller_is_tail_called, ignored;
  if (is_driver(rt, L, 1, &caller_is_tail_called)) {
    *driver = 1;
    bool deferred = frames_array(s)[top].type == &frame_deferred && top > 0;
    return deferred && frames_array(s)[top - 1].state == STATE_RETURNING ? top - 1 : -1;
  }
  *driver = 2;
  return is_driver(rt, L, 2, &ignored) && !caller_is_tail_called ? top : -1;
}

/*
** Returns the frame whose panic recover sees: the one in which the caller of recover is a deferred
** call; -1: there is none. A deferred function may be one of co.func. Then its frame stands on that
** of the call, and likewise the C functions that run them.
*/
static int find_panicking(const runtime *rt, lua_State *L, const frame_stack *s) {
  lua_Debug ar;
  if (s == NULL || s->depth < 2) return -1;
  /*
  ** An allocation of the C function that runs the frame may run a finalizer, which is no deferred
  ** call. The collector does not answer in finalizers.
  */
  for (int level = 0; level <= 1 && lua_gc(L, LUA_GCCOUNT) < 0; level++) {
    if (lua_getstack(L, level, &ar) && is_finalizer(L, &ar)) return -1;
  }
  int driver;
  bool ignored;
  int index = find_caller(rt, L, s, &driver);
  bool is_func = index > 1 && frames_array(s)[index].type == &frame_func;
  if (is_func && is_driver(rt, L, driver + 1, &ignored)) index--;
  if (index < 1 || frames_array(s)[index].type != &frame_deferred) return -1;
  return frames_array(s)[index - 1].state == STATE_PANICKING ? index - 1 : -1;
}

int panic_recover(runtime *rt, lua_State *L) {
  const frame_stack *s = coroutine_find_frames(rt, L);
  lua_settop(L, 0);
  lua_pushnil(L);
  int panicking = find_panicking(rt, L, s);
  if (panicking < 0) return 1;
  frames_push_record(s, L, (uint32_t)panicking);
  record *r = record_test(L, -1);
  if (r->recovered) {
    lua_settop(L, 1);
    return 1;
  }
  r->recovered = true;
  if (probe(&rt->probes, PROBE_RECOVER)) {
    probe_tell(rt, &(probe_event){.kind = PROBE_RECOVER,
                                  .calls = true,
                                  .task = rt->current,
                                  .L = L,
                                  .object = 2,
                                  .extra = PROBE_TASK});
  }
  lua_getiuservalue(L, -1, RECORD_UV_VALUE);
  lua_replace(L, 1);
  return 2;
}
