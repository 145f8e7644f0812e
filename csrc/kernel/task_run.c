#include "kernel/task_run.h"

#include <string.h>

#include "kernel/cpu_budget.h"
#include "kernel/handler.h"
#include "kernel/interrupt.h"
#include "kernel/panic.h"
#include "kernel/probe.h"
#include "kernel/resume.h"
#include "kernel/unwind.h"

/*
** A task's thread has the task's function at its bottom, not a protected call of ours. That would
** cost nothing per switch, but about 340 instructions per task (lua_pcallk of Lua 5.4.4), an eighth
** of a spawn. The price is that the end of the entry frame is handled here, after the thread has
** died or returned. The stack of a thread that died of an error still stands, so it can be
** captured. The deferred calls of the entry frame then run when the same thread is started again
** (unwind_finish).
*/

/* How often to try to begin the deferred calls of a task's entry; see run_epilogue. */
#define EPILOGUE_ATTEMPTS 16

/* The levels of a dead thread's stack in which a debug hook is searched. */
#define HOOK_LEVELS 60

#define LOST "the task's coroutine was closed or resumed by somebody else"

/* Returns the status of a task that ended with this record. */
static task_status status_of(const record *r) {
  if (!r->exits) return TASK_PANICKED;
  return r->kind == RECORD_GOEXIT ? TASK_EXITED : TASK_CANCELLED;
}

/* --- the cause of a thread's end --- */

/* Call it if an error in a __close has replaced the record below it on L's stack.   [-2, +1, -] */
static void replace_by_close_error(runtime *rt, lua_State *L) {
  if (!panic_is_in_flight(rt, L, -1))
    record_wrap_safe(rt, L, rt->current->coroutine.thread, 0, RECORD_ERROR);
  record *r = record_test(L, -1);
  if (!lua_rawequal(L, -1, -2) && r->chain_length == 0) {
    r->chain_length = record_test(L, -2)->chain_length + 1;
    lua_pushvalue(L, -2);
    lua_setiuservalue(L, -2, RECORD_UV_LINK);
  }
  lua_remove(L, -2);
}

/*
** Resets the task's dead or suspended thread, and closes its variables, whatever they raise. The
** record is on top of L; below it is the value that the thread died of.   [-2, +1, -]
*/
static void reset_thread(runtime *rt, lua_State *L, task *t) {
  lua_State *thread = t->coroutine.thread;
  if (t->coroutine.frames != NULL) t->coroutine.frames->resetting = true;
  int status = compat_close_thread(thread, L);
  if (t->coroutine.frames != NULL) t->coroutine.frames->resetting = false;
  if (status != LUA_OK) {
    lua_xmove(thread, L, 1);
    /*
    ** The variables got the value that the thread died of, except for a lack of memory, for which
    ** the VM has a value of its own.
    */
    if (lua_rawequal(L, -1, -2) || lua_rawequal(L, -1, -3)) {
      lua_pop(L, 1);
    } else {
      replace_by_close_error(rt, L);
    }
  }
  lua_settop(thread, 0);
  lua_remove(L, -2);
}

/*
** Whether a debug hook was running when the thread died: Lua never runs a hook in it again. The error
** is on top of its stack. Only our hook (cancel_raise_in_hook) raises an exit in a Lua function.
** [-0, +0, -]
*/
static bool died_in_hook(lua_State *thread) {
  lua_Debug ar;
  const record *r = record_test(thread, -1);
  if (r != NULL && r->exits && lua_getstack(thread, 0, &ar)) {
    lua_getinfo(thread, "S", &ar);
    if (*ar.what != 'C') return true;
  }
  for (int level = 0; level < HOOK_LEVELS && lua_getstack(thread, level, &ar); level++) {
    lua_getinfo(thread, "n", &ar);
    if (strcmp(ar.namewhat, "hook") == 0) return true;
  }
  return false;
}

/* Makes the record of the error that has ended the thread, then resets the thread.   [-0, +1, -] */
static void capture_error(runtime *rt, lua_State *L, task *t, int status) {
  lua_State *thread = t->coroutine.thread;
  if (died_in_hook(thread)) t->lost = true;
  lua_xmove(thread, L, 1); /* a dead thread has room for this one value */
  lua_pushvalue(L, -1);
  if (!panic_is_in_flight(rt, L, -1)) {
    record_wrap_safe(rt, L, thread, 0, status == LUA_ERRMEM ? RECORD_MEMORY : RECORD_ERROR);
  }
  /* The to-be-closed variables get the record, as in a frame. */
  lua_pushvalue(L, -1);
  lua_xmove(L, thread, 1);
  reset_thread(rt, L, t);
}

/*
** Makes a record for a thread that can not go on, because it yielded to us by itself, or other code
** has closed it. Open frames lose their activations and only run their deferred calls.
** [-0, +1, -]
*/
static void capture_loss(runtime *rt, lua_State *L, task *t, const char *message) {
  task_lose_coroutines(rt, L, t);
  lua_pushnil(L);
  record_make_safe(rt, L, t->coroutine.thread, 0, RECORD_ERROR, message);
  t->lost = true;
  reset_thread(rt, L, t);
}

/*
** Call it when the task is parked for good, because pcall has swallowed its exit too often
** (cancel.h): closes its coroutines and its thread where they are, as coroutine.close does.
** [-0, +1, -]
*/
static void capture_forced(runtime *rt, lua_State *L, task *t) {
  t->forced = false;
  t->epilogues = 0;
  t->lost = true; /* the handler of an xpcall around it stays in the thread (Lua 5.4.0 to 5.4.4) */
  resume_close_all(rt, L, t);
  task_push(rt, L, t);
  lua_getiuservalue(L, -1, TASK_UV_RESULT);
  lua_pushnil(L);
  lua_setiuservalue(L, -3, TASK_UV_RESULT);
  reset_thread(rt, L, t);
}

/* --- the end --- */

static void end_with_record(runtime *rt, lua_State *L, task *t) {
  task_leave(rt);
  task_end(rt, L, t, status_of(record_test(L, -1)), 1);
}

/* --- the entry frame's end --- */

/* Whether the entry frame has work to do after its body. */
static inline bool has_epilogue(const frame_stack *s) {
  if (s == NULL || s->depth == 0) return false;
  return s->depth > 1 || frames_array(s)[0].deferred > 0 || frames_is_exiting(s);
}

/*
** Starts unwind_finish on the task's thread; the outcome that it begins with is in the frame stack.
** It does not raise. If it comes back with an error, the VM had no memory to begin it. A passing
** shortage is over at the next attempt. A dead allocator can run nothing any more; then the task
** ends without running its deferred calls, as its record says.   [-0, +0, -]
*/
static void run_epilogue(runtime *rt, lua_State *L, task *t) {
  lua_State *thread = t->coroutine.thread;
  if (t->epilogues++ == EPILOGUE_ATTEMPTS) {
    record_make_safe(rt, L, thread, 0, RECORD_MEMORY, "not enough memory to run deferred calls");
    coroutine_release_frames(rt, L, &t->coroutine);
    end_with_record(rt, L, t);
    return;
  }
  runtime_push_value(rt, L, RUNTIME_UV_FINISH);
  lua_xmove(L, thread, 1);
  int values;
  t->status = TASK_RUNNING;
  int status = lua_resume(thread, L, 0, &values);
  if (status == LUA_YIELD && t->status != TASK_RUNNING) {
    task_run_suspend(rt, L, t);
  } else {
    task_run_finish(rt, L, t, status, values);
  }
}

/*
** Call it when the entry frame's function has returned `values` results and the frame has more to
** do.
*/
static void return_from_entry(runtime *rt, lua_State *L, task *t, int values) {
  frame_stack *s = t->coroutine.frames;
  lua_State *thread = t->coroutine.thread;
  if (frames_is_exiting(s)) {
    lua_settop(thread, 0);
    frames_push_exit(s, L);
    frames_unwind(s, L, STATE_EXITING);
    run_epilogue(rt, L, t);
    return;
  }
  int status = frames_return(s, L, thread, values);
  if (status == LUA_ERRMEM) {
    lua_settop(thread, 0);
    record_make_safe(rt, L, thread, 0, RECORD_MEMORY, "not enough memory");
    frames_unwind(s, L, STATE_PANICKING);
  } else if (status != LUA_OK) { /* of a debug hook */
    lua_settop(thread, 0);
    panic_settle(rt, L, status);
    frames_unwind(s, L, STATE_PANICKING);
  }
  run_epilogue(rt, L, t);
}

/*
** Pops the record on top of L, with which the innermost frame ends and more has to be done. Frames
** further in have no activation left to return to.   [-1, +0, -]
*/
static void unwind_entry(runtime *rt, lua_State *L, task *t, bool lost) {
  frame_stack *s = t->coroutine.frames;
  if (lost || s->depth > 1 || record_test(L, -1)->exits) {
    frames_exit(s, L);
  } else {
    frames_unwind(s, L, STATE_PANICKING);
  }
  run_epilogue(rt, L, t);
}

static inline void end_with_results(runtime *rt, lua_State *L, task *t, int values) {
  lua_State *thread = t->coroutine.thread;
  if (values > 0 && !lua_checkstack(L, values + LUA_MINSTACK)) {
    lua_settop(thread, 0);
    record_make_safe(rt, L, thread, 0, RECORD_MEMORY, "not enough memory for a task's results");
    task_leave(rt);
    task_end(rt, L, t, TASK_PANICKED, 1);
    return;
  }
  if (values > 0) lua_xmove(thread, L, values);
  task_leave(rt);
  task_end(rt, L, t, TASK_DONE, values);
}

/* Call it when unwind_finish has returned true and the results, or false and the record. */
static void end_epilogue(runtime *rt, lua_State *L, task *t, int values) {
  lua_State *thread = t->coroutine.thread;
  bool returned = lua_toboolean(thread, -values);
  lua_remove(thread, -values);
  if (returned) {
    end_with_results(rt, L, t, values - 1);
  } else {
    lua_xmove(thread, L, 1);
    end_with_record(rt, L, t);
  }
}

void task_run_finish(runtime *rt, lua_State *L, task *t, int status, int values) {
  lua_State *thread = t->coroutine.thread;
  bool lost = false;
  /*
  ** Serve it now: an error of a signal handler in one of the protected calls below would be taken
  ** for theirs.
  */
  if (interrupt_is_due(rt)) interrupt_serve(rt, L);
  if (status == LUA_OK) {
    if (has_epilogue(t->coroutine.frames)) {
      return_from_entry(rt, L, t, values);
    } else if (t->coroutine.frames != NULL && t->coroutine.frames->depth == 0) {
      end_epilogue(rt, L, t, values);
    } else {
      end_with_results(rt, L, t, values);
    }
    return;
  }
  if (status == LUA_YIELD && t->forced) {
    lost = true;
    capture_forced(rt, L, t);
  } else if (status == LUA_YIELD) {
    lost = true;
    lua_pop(thread, values);
    capture_loss(rt, L, t, "coroutine.yield in a task: use co.yield to let other tasks run");
  } else if (lua_status(thread) != status) { /* the thread did not run */
    lost = true;
    capture_loss(rt, L, t, lua_status(thread) == LUA_OK ? LOST : "C stack overflow");
  } else {
    capture_error(rt, L, t, status);
  }
  if (has_epilogue(t->coroutine.frames)) {
    unwind_entry(rt, L, t, lost);
  } else {
    end_with_record(rt, L, t);
  }
}

/*
** The call in which the task waits will never go on. It is closed where it is, and fails with this
** record. The task's other deferred calls run, so that it may park again.
*/
void task_run_give_up(runtime *rt, lua_State *L, task *t) {
  if (t->status == TASK_WAITING) task_wake(rt, t, WAKE_CANCELLED);
  fifo_remove(&rt->ready, t);
  task_enter(rt, t);
  resume_close_all(rt, L, t);
  lua_pushnil(L);
  record_make_safe(rt, L, t->coroutine.thread, 0, RECORD_DEADLOCK,
                   "given up: still asleep after every attempt to end it");
  t->lost = true;
  reset_thread(rt, L, t);
  frame_stack *s = t->coroutine.frames;
  if (!has_epilogue(s)) {
    end_with_record(rt, L, t);
    return;
  }
  /* If it is recovered, there is no body to return to; then the other frames exit. */
  lua_pushvalue(L, -1);
  frames_begin_exit(s, L, 0);
  frames_unwind(s, L, STATE_PANICKING);
  t->epilogues = 0;
  run_epilogue(rt, L, t);
}

/* Ends a task that was cancelled before it ran, and so has nothing to unwind.   [-0, +0, -] */
static void end_unstarted(runtime *rt, lua_State *L, task *t) {
  lua_settop(t->coroutine.thread, 0);
  cancel_push_record(rt, L, t->coroutine.thread, 0, &t->entry);
  end_with_record(rt, L, t);
}

/* Returns the number of deferred calls that wait in any frame. */
static size_t count_pending(const frame_stack *s) {
  size_t count = 0;
  for (uint32_t i = 0; s != NULL && i < s->call_count; i++) {
    if (frames_calls(s)[i].count != 0) count++; /* else it was taken out of the middle */
  }
  return count;
}

/*
** As run_epilogue, but in a protected call, in which no code can suspend. If the VM has no memory to
** begin it after several attempts, the calls are lost, as the record says.   [-0, +0, -]
*/
static void run_epilogue_here(runtime *rt, lua_State *L, task *t) {
  lua_State *thread = t->coroutine.thread;
  t->status = TASK_RUNNING;
  for (int attempt = 0; attempt < EPILOGUE_ATTEMPTS; attempt++) {
    runtime_push_value(rt, L, RUNTIME_UV_FINISH);
    lua_xmove(L, thread, 1);
    if (lua_pcall(thread, 0, LUA_MULTRET, 0) == LUA_OK) {
      end_epilogue(rt, L, t, lua_gettop(thread));
      return;
    }
    lua_settop(thread, 0);
  }
  record_make_safe(rt, L, thread, 0, RECORD_MEMORY, "not enough memory to run deferred calls");
  coroutine_release_frames(rt, L, &t->coroutine);
  end_with_record(rt, L, t);
}

size_t task_run_pending(runtime *rt, lua_State *L, task *t) {
  lua_pushnil(L);
  cancel_scope_cancel(rt, L, &t->entry, CANCEL_EXPLICIT);
  if (t->status == TASK_WAITING) task_wake(rt, t, WAKE_CANCELLED);
  fifo_remove(&rt->ready, t);
  task_enter(rt, t);
  size_t pending = count_pending(t->coroutine.frames);
  resume_close_all(rt, L, t);
  lua_pushnil(L);
  cancel_push_record(rt, L, t->coroutine.thread, 0, &t->entry);
  record_test(L, -1)->forced = true;
  cancel_scope_answer(&t->entry);
  t->forced = false;
  t->lost = true;
  reset_thread(rt, L, t);
  frame_stack *s = t->coroutine.frames;
  if (has_epilogue(s)) {
    frames_exit(s, L);
    run_epilogue_here(rt, L, t);
  } else {
    end_with_record(rt, L, t);
  }
  return pending;
}

/*
** Returns the number of arguments on a thread that is as task_spawn has left it, which it may be no
** more; then -1.   [-0, +0, -]
*/
static int count_arguments(lua_State *thread) {
  lua_Debug ar;
  bool is_untouched = lua_status(thread) == LUA_OK && !lua_getstack(thread, 0, &ar);
  return is_untouched ? lua_gettop(thread) - 1 : -1;
}

/*
** Call it if other code has started or closed the task's coroutine before the scheduler came to it.
** The coroutine may run, or wait for that code, and so belongs to it now.   [-0, +0, -]
*/
static void lose_unstarted(runtime *rt, lua_State *L, task *t) {
  record_make_safe(rt, L, t->coroutine.thread, 0, RECORD_ERROR, LOST);
  t->lost = true;
  end_with_record(rt, L, t);
}

/* Prepares the first turn.   [-0, +0, -] */
static int start(runtime *rt, lua_State *L, task *t) {
  t->before_turn = t->before_turn & TURN_METERED;
  int arguments = count_arguments(t->coroutine.thread);
  if (arguments < 0) {
    lose_unstarted(rt, L, t);
    return -1;
  }
  if (t->entry.state == CANCEL_SCOPE_ASKED) {
    end_unstarted(rt, L, t);
    return -1;
  }
  handler_run_start(rt, t->coroutine.thread);
  return arguments;
}

int task_run_prepare(runtime *rt, lua_State *L, task *t) {
  int arguments = task_has_begun(t) ? 0 : start(rt, L, t);
  if (arguments >= 0 && (t->before_turn & TURN_METERED) != 0) cpu_budget_begin_turn(rt, L, t);
  return arguments;
}

int task_run_tell_start(runtime *rt, lua_State *L, task *t, int arguments) {
  if (rt->probes.tap != NULL) rt->probes.tap->start(rt->probes.tap, rt, t);
  if (!probe_is_told(&rt->probes, PROBE_START)) return arguments;
  lua_State *thread = t->coroutine.thread;
  bool is_first = lua_status(thread) == LUA_OK;
  task_leave(rt);
  probe_tell(rt, &(probe_event){
                     .kind = PROBE_START, .calls = true, .task = t, .object = PROBE_TASK, .L = L});
  task_enter(rt, t);
  if (!is_first) return 0;
  arguments = count_arguments(thread);
  if (arguments < 0) lose_unstarted(rt, L, t);
  return arguments;
}

void task_run_tell_stop(runtime *rt, lua_State *L, task *t) {
  if (rt->probes.tap != NULL) rt->probes.tap->stop(rt->probes.tap, rt, t);
  if (!probe_is_told(&rt->probes, PROBE_STOP)) return;
  probe_tell(rt, &(probe_event){
                     .kind = PROBE_STOP, .calls = true, .task = t, .object = PROBE_TASK, .L = L});
}
