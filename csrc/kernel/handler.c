#include "kernel/handler.h"

#include <stdlib.h>

#include "kernel/panic.h"
#include "kernel/probe.h"
#include "kernel/task.h"

/* The exit status of a process that an unrecovered panic ends, as in Go. */
#define CRASH_STATUS 2

/*
** An exit in a hook ends with the hook, and an exit of the code that called the hook does not
** unwind it.
*/
static const frame_type frame_hook = {.shields = true, .stops = true, .is_thin = true};

/*
** Call it after a hook: exits in the hook have ended, and the exit at `exit` goes on; nil: none.
** [-0, +0, -]
*/
static void leave_hook(runtime *rt, lua_State *L, frame_stack *s, int exit) {
  if (s != NULL) {
    cp_assert(frames_top(s)->type == &frame_hook);
    frames_pop_frame(s);
    lua_pushvalue(L, exit);
    frames_restore_exit(s, L);
    return;
  }
  /*
  ** The hook itself may have made this frame stack; then nothing in it has stopped the hook's
  ** exits.
  */
  const frame_stack *made = coroutine_find_frames(rt, L);
  for (uint32_t i = 0; made != NULL && i < made->depth; i++) frames_array(made)[i].exiting = false;
}

/*
** Pops a function and its `arguments` and calls it, protected. Returns false if it panicked, and
** pushes its record.   [-(arguments + 1), +(0|1), -]
*/
static bool call_protected(runtime *rt, lua_State *L, int arguments) {
  int exit = lua_gettop(L) - arguments;
  frame_stack *s = coroutine_find_frames(rt, L);
  if (s != NULL && !frames_push_frame(s, &rt->memory, &frame_hook, s->depth)) {
    lua_settop(L, exit - 1);
    record_make_safe(rt, L, L, 0, RECORD_MEMORY, "not enough memory to call a handler");
    return false;
  }
  if (s != NULL) {
    frames_save_exit(s, L);
  } else {
    lua_pushnil(L);
  }
  lua_pushcfunction(L, panic_handler);
  lua_rotate(L, exit, 2);
  rt->hooks++;
  int status = lua_pcall(L, arguments, 0, exit + 1);
  rt->hooks--;
  leave_hook(rt, L, s, exit);
  lua_rotate(L, exit, -2);
  lua_pop(L, 2);
  if (status == LUA_OK) return true;
  panic_settle(rt, L, status);
  return false;
}

/* Tells the sinks of the record at `given`, of the task at `index` (0: none).   [-0, +0, -] */
static void tell(runtime *rt, lua_State *L, probe_kind kind, int given, int index) {
  probe_tell(rt, &(probe_event){.kind = kind,
                                .calls = true,
                                .task = index == 0 ? NULL : task_test(L, index),
                                .L = L,
                                .object = given,
                                .extra = index});
}

/*
** Pushes the function that gets the records of a task that stands so deep in the aftermath of a run;
** nil: stderr.   [-0, +1, -]
*/
static void push_handler(runtime *rt, lua_State *L, unsigned depth) {
  /* The handler's tasks panic each time; writing to stderr ends that. */
  bool is_called = depth < HANDLER_MAX_DEPTH;
  if (is_called && rt->unhandled == UNHANDLED_CALL) {
    runtime_push_value(rt, L, RUNTIME_UV_UNHANDLED);
  } else if (is_called && rt->unhandled == UNHANDLED_REPORT) {
    runtime_push_value(rt, L, RUNTIME_UV_ON_PANIC);
  } else {
    lua_pushnil(L);
  }
}

/* Gives the record on top of the stack to the handler, or to stderr.   [-?, +?, -] */
static void give(runtime *rt, lua_State *L, int index) {
  int given = lua_gettop(L);
  const task *of = index == 0 ? NULL : task_test(L, index);
  unsigned depth = of == NULL ? 0 : of->aftermath;
  push_handler(rt, L, depth);
  bool custom = !lua_isnil(L, -1);
  if (custom) {
    lua_pushvalue(L, given);
    if (index != 0) {
      lua_pushvalue(L, index);
    } else {
      lua_pushnil(L);
    }
    uint8_t outer = rt->aftermath;
    if (rt->finishing) rt->aftermath = (uint8_t)(depth + 1);
    bool returned = call_protected(rt, L, 2);
    rt->aftermath = outer;
    if (!returned) {
      rt->report(L, -1);
      custom = false;
    }
  }
  if (!custom) rt->report(L, given);
}

/* handler_report and handler_warn.   [-1, +0, -] */
static void hand_on(runtime *rt, lua_State *L, probe_kind kind, int index) {
  bool is_wanted = probe(&rt->probes, kind);
  if (!lua_checkstack(L, LUA_MINSTACK)) { /* nothing can be called or written */
    lua_pop(L, 1);
    return;
  }
  int given = lua_gettop(L);
  if (is_wanted) tell(rt, L, kind, given, index);
  give(rt, L, index);
  if (kind == PROBE_UNHANDLED && rt->unhandled == UNHANDLED_CRASH) exit(CRASH_STATUS);
  lua_settop(L, given - 1);
}

void handler_report(runtime *rt, lua_State *L, int index) {
  hand_on(rt, L, PROBE_UNHANDLED, index);
}

void handler_warn(runtime *rt, lua_State *L, int index) { hand_on(rt, L, PROBE_WARNING, index); }

void handler_run_start(runtime *rt, lua_State *thread) {
  if (!rt->has_start_hook || !lua_checkstack(thread, LUA_MINSTACK)) return;
  runtime_push_value(rt, thread, RUNTIME_UV_ON_START);
  if (!call_protected(rt, thread, 0)) handler_report(rt, thread, 0);
}

void handler_call(runtime *rt, lua_State *L, int arguments, int index) {
  if (call_protected(rt, L, arguments)) return;
  if (record_test(L, -1)->exits) {
    lua_pop(L, 1); /* an exit of the task in which the hook runs: not reported */
  } else {
    handler_report(rt, L, index);
  }
}
