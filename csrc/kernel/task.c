#include "kernel/task.h"

#include <string.h>

#include "kernel/panic.h"
#include "kernel/probe.h"
#include "kernel/stack.h"
#include "kernel/text.h"
#include "kernel/threads.h"
#include "kernel/unhandled.h"

const char *task_name(const task *t, char buffer[TASK_NAME_SIZE]) {
  if (t->named) return t->name;
  static const char prefix[] = "task ";
  const size_t length = sizeof(prefix) - 1;
  _Static_assert(TASK_NAME_SIZE >= sizeof(prefix) - 1 + TEXT_NUMBER_SIZE, "room for any id");
  char *digits = text_digits(buffer + length, t->id);
  return memcpy(digits - length, prefix, length);
}

const uint8_t *task_trace_id(task *t) {
  return task_ended(t) ? t->ended.trace_id : trace_ids_of(&t->coroutine.context)->trace->trace_id;
}

const char *task_status_name(task_status status) {
  static const char *const names[] = {
      [TASK_READY] = "ready",   [TASK_RUNNING] = "running",   [TASK_WAITING] = "waiting",
      [TASK_DONE] = "done",     [TASK_PANICKED] = "panicked", [TASK_CANCELLED] = "cancelled",
      [TASK_EXITED] = "exited",
  };
  return names[status];
}

const char *wake_reason_name(wake_reason reason) {
  static const char *const names[] = {
      [WAKE_READY] = "ready",       [WAKE_TIMEOUT] = "timeout", [WAKE_CANCELLED] = "cancelled",
      [WAKE_DEADLOCK] = "deadlock", [WAKE_CLOSED] = "closed",   [WAKE_ABANDONED] = "abandoned",
      [WAKE_LEAKED] = "leaked",
  };
  return names[reason];
}

task *task_test(lua_State *L, int index) { return (task *)luaL_testudata(L, index, TASK_TYPE); }

void task_push(runtime *rt, lua_State *L, const task *t) {
  cp_assert(!task_ended(t));
  slot_values_push(&rt->slot_values, L, t->coroutine.slot, SLOT_TASK);
}

/* --- spawning --- */

/*
** Cuts the line of ancestors after the nearest RECORD_MAX_ANCESTORS, every so many generations, so
** that a task that spawns its successor for ever does not keep them all. Only ended ancestors are
** cut off, because the runtime holds the live ones anyway. The task is on top of the stack.
** [-0, +0, -]
*/
static void trim_ancestors(lua_State *L) {
  lua_pushvalue(L, -1);
  for (int i = 0; i < RECORD_MAX_ANCESTORS && lua_type(L, -1) == LUA_TUSERDATA; i++) {
    lua_getiuservalue(L, -1, TASK_UV_PARENT);
    lua_remove(L, -2);
  }
  const task *last = task_test(L, -1);
  if (last != NULL && task_ended(last)) {
    lua_pushnil(L);
    lua_setiuservalue(L, -2, TASK_UV_PARENT);
  }
  lua_pop(L, 1);
}

/* Sets whether observers hear of the new task, and whether it makes spans. */
static void set_hearing(const runtime *rt, task *t, spawn_spans spans) {
  const task *spawner = rt->current;
  bool spawner_is_silent = spawner != NULL && spawner->silent;
  t->muted = spans == SPANS_MUTED || (spans != SPANS_YES && task_is_muted(rt, spawner));
  t->silent = spans == SPANS_NO || (spans == SPANS_AS_SPAWNER && spawner_is_silent);
}

/* Returns how many user values the task needs: each lacking one saves 16 bytes. */
static int count_user_values(const runtime *rt, const spawn_options *options) {
  if (options->attributes != 0) return TASK_UV_ATTRIBUTES;
  return rt->current != NULL ? TASK_UV_PARENT : TASK_UV_RESULT;
}

static task *new_task(const runtime *rt, lua_State *L, const spawn_options *options) {
  size_t name_length = options->name == NULL ? 0 : strlen(options->name);
  size_t room = name_length == 0 ? 0 : name_length + 1;
  size_t size = sizeof(task) + room;
  task *t = lua_newuserdatauv(L, size, count_user_values(rt, options));
  memset(t, 0, size); /* the C library's: the compiler's own, for a known size, is slower */
  t->named = name_length > 0;
  if (t->named) memcpy(t->name, options->name, room);
  list_init(&t->waiter.link);
  t->coroutine.kind = COROUTINE_OF_TASK;
  t->coroutine.top = &t->coroutine;
  t->live.timer.number = TIMER_IDLE;
  t->wait = &wait_none;
  t->before_turn = TURN_BEGINS;
  t->daemon = options->daemon || options->service;
  t->service = options->service;
  set_hearing(rt, t, (spawn_spans)options->spans);
  unsigned aftermath = rt->aftermath;
  if (aftermath == 0 && rt->current != NULL) aftermath = rt->current->aftermath;
  t->aftermath = aftermath & TASK_AFTERMATH_MAX;
  lua_pushvalue(L, options->type);
  lua_setmetatable(L, -2);
  return t;
}

/*
** Sets the trace that the child inherits from its spawner. Outside tasks it begins a trace of its own,
** with the baggage of the running code, unless that code continues a trace. Returns false if there is
** no trace.
*/
static bool inherit_trace(runtime *rt, task *t, const spawn_options *options) {
  const task *parent = rt->current;
  const trace_ids *given = options->trace;
  trace_ids *own = &t->coroutine.context.own;
  trace_ids *here = trace_here(rt);
  if (given == NULL && (parent != NULL || (here->trace != NULL && here->trace->continued))) {
    trace_go_on(rt, own, here);
    return true;
  }
  if (given == NULL) {
    own->trace = trace_new_with_baggage(rt, here->trace);
  } else if (given->trace == NULL) {
    own->trace = trace_new(rt);
  } else {
    own->trace = trace_retain(given->trace);
    own->parent_span_id = given->parent_span_id;
  }
  return own->trace != NULL;
}

void task_push_attributes(lua_State *L, int index) {
  lua_getiuservalue(L, index, TASK_UV_ATTRIBUTES);
}

/*
** Gets everything that a task needs besides its object, which is on top of the stack. Returns why
** that failed; NULL: it did not, and nothing that follows can fail.   [-0, +0, -]
*/
static const char *equip(runtime *rt, lua_State *L, task *t, int arguments,
                         const spawn_options *options, void **reserved) {
  if (!inherit_trace(rt, t, options)) return trace_why_none(rt);
  uint32_t slot = threads_take(rt, L);
  if (slot == 0) return "not enough memory";
  lua_State *thread = threads_at(rt, slot);
  t->coroutine.thread = thread;
  t->coroutine.slot = slot;
  const char *why = NULL;
  /* A few fit into what every thread has. */
  if (arguments > LUA_MINSTACK / 2 && !lua_checkstack(thread, arguments + LUA_MINSTACK)) {
    why = "too many arguments";
  } else if (options->group_type != NULL) {
    *reserved = options->group_type->reserve(rt, options->group);
    if (*reserved == NULL) why = "not enough memory";
  }
  if (why != NULL) threads_return(rt, slot);
  return why;
}

/* Takes the task out of its scope and context, if any.   [-0, +0, -] */
static void leave_member(runtime *rt, lua_State *L, task *t) {
  if (t->live.member != NULL) rt->member_type->leave(rt, L, t);
  t->live.member = NULL;
}

/* Gives back everything that was got for a task that can't be made, and raises.   [-0, +0, e] */
static void discard(runtime *rt, lua_State *L, task *t, const char *why) {
  leave_member(rt, L, t);
  trace_context_clear(rt, &t->coroutine.context);
  luaL_error(L, "%s", why);
}

/*
** Anchors the task, and makes the current one its parent. Moves it from the top of the stack to that of
** the values' holder, where this takes the fewest steps.   [-1, +0, -]
*/
static void anchor(runtime *rt, lua_State *L, task *t) {
  const slot_values *v = &rt->slot_values;
  const task *parent = rt->current;
  lua_xmove(L, v->holder, 1);
  if (parent != NULL) {
    slot_values_load(v, parent->coroutine.slot, SLOT_TASK);
    lua_setiuservalue(v->holder, -2, TASK_UV_PARENT);
    t->generation = parent->generation + 1;
  }
  lua_pushvalue(v->holder, -1);
  slot_values_store(v, t->coroutine.slot, SLOT_TASK);
}

/*
** Begins the task, which is on top of the stack with everything that it needs: from here on other
** code sees it. Calls nothing of scripts.   [-(arguments + 2), +1, -]
*/
static void begin(runtime *rt, lua_State *L, task *t, int arguments, const spawn_options *options,
                  void *reserved) {
  if (t->live.member != NULL) rt->member_type->join(rt, L, t);
  if (reserved != NULL) options->group_type->join(rt, L, t, reserved);
  t->location = stack_location(rt, L, 1)->number;
  anchor(rt, L, t);
  lua_xmove(L, t->coroutine.thread, arguments + 1);
  lua_xmove(rt->slot_values.holder, L, 1);
  if (rt->current != NULL && t->generation % RECORD_MAX_ANCESTORS == 0) trim_ancestors(L);
  rt->live_count++;
  if (t->daemon) rt->daemon_count++;
  if (t->service) rt->service_count++;
  task_enqueue(rt, t);
}

int task_push_type(runtime *rt, lua_State *L, int arguments) {
  luaL_checkstack(L, LUA_MINSTACK, NULL);
  lua_rawgeti(L, LUA_REGISTRYINDEX, rt->task_type_ref);
  lua_insert(L, -(arguments + 2));
  return lua_gettop(L) - (arguments + 1);
}

task *task_spawn(runtime *rt, lua_State *L, int arguments, const spawn_options *options) {
  task *t = new_task(rt, L, options);
  if (options->attributes != 0) {
    lua_pushvalue(L, options->attributes);
    lua_setiuservalue(L, -2, TASK_UV_ATTRIBUTES);
  }
  if (options->become_member != NULL) t->live.member = options->become_member(rt, L, t, options);
  void *reserved = NULL;
  const char *why = equip(rt, L, t, arguments, options, &reserved);
  if (why != NULL) discard(rt, L, t, why);
  t->id = ++rt->next_task_id;
  if (probe_hears_spans(&rt->probes)) rt->begin_span(rt, L, t);
  begin(rt, L, t, arguments, options, reserved);
  if (probe(&rt->probes, PROBE_SPAWN)) {
    probe_tell(rt,
               &(probe_event){
                   .kind = PROBE_SPAWN, .calls = true, .task = t, .L = L, .object = lua_gettop(L)});
  }
  return t;
}

/* --- parking and waking --- */

/*
** Takes a task that waits, or was about to, out of all its queues. Returns the object that it
** waited for; NULL: it waits for none any more.
*/
static void *leave_queues(runtime *rt, task *t) {
  void *left = t->waits_on;
  if (t->wait->leave != NULL && t->status != TASK_READY) {
    t->wait->leave(rt, t);
  } else {
    list_remove(&t->waiter.link);
  }
  t->waits_on = NULL;
  return left;
}

/* Tells the object that the task has left it without being served. */
static inline void note_unserved(runtime *rt, const task *t, void *left) {
  if (left != NULL && t->wait->left_unserved != NULL) t->wait->left_unserved(rt, left);
}

void task_tell_wake(runtime *rt, const task *t) {
  if (rt->probes.tap != NULL) rt->probes.tap->wake(rt->probes.tap, rt, t);
  if (!probe_is_told(&rt->probes, PROBE_WAKE)) return;
  probe_tell(
      rt,
      &(probe_event){
          .kind = PROBE_WAKE, .task = t, .object = PROBE_TASK, .word = wake_reason_name(t->wake)});
}

void task_wake(runtime *rt, task *t, wake_reason reason) {
  cp_assert(t->status == TASK_WAITING);
  void *left = leave_queues(rt, t);
  runtime_stop_timer(rt, &t->live.timer);
  task_make_ready(rt, t, reason);
  if (reason != WAKE_READY) note_unserved(rt, t, left);
}

bool task_is_closed(runtime *rt, task *t) {
  if (t->status != TASK_WAITING || lua_status(t->coroutine.thread) == LUA_YIELD) return false;
  task_wake(rt, t, WAKE_READY);
  return true;
}

/* The thread of a waiting task was resumed: by the scheduler, or by code that may not do so. */
static int after_park(lua_State *L, int status, lua_KContext runtime_address) {
  runtime *rt = (runtime *)runtime_address;
  if (!task_is_resumed(rt, L)) return task_refuse_resumption(rt, L, after_park);
  const task *t = rt->current;
  task_tidy_stack(t, L);
  return t->wait->continuation(L, status, runtime_address);
}

int task_park(runtime *rt, lua_State *L, const wait_type *wait, int64_t deadline_ns) {
  task *t = rt->current;
  t->wait = wait;
  if (deadline_ns != TIME_FOREVER) {
    if (!rt->backend->timer_set(rt, &t->live.timer, deadline_ns)) {
      leave_queues(rt, t);
      return luaL_error(L, "not enough memory");
    }
    if (probe(&rt->probes, PROBE_TIMER)) {
      double seconds = (double)deadline_ns / (double)NS_PER_SECOND;
      probe_tell(rt, &(probe_event){
                         .kind = PROBE_TIMER, .task = t, .object = PROBE_TASK, .seconds = seconds});
    }
  }
  return task_park_plainly(rt, L, wait, lua_gettop(L), after_park);
}

int task_refuse_resumption(runtime *rt, lua_State *L, lua_KFunction continuation) {
  const task *t = task_waiting_in(rt, L);
  lua_settop(L, t == NULL ? 0 : t->live.height);
  if (!lua_checkstack(L, 2)) return lua_yieldk(L, 0, (lua_KContext)rt, continuation);
  lua_pushnil(L);
  lua_rawgeti(L, LUA_REGISTRYINDEX, rt->refusal_ref);
  return lua_yieldk(L, 2, (lua_KContext)rt, continuation);
}

task *task_check_wake(runtime *rt, lua_State *L) {
  task *t = rt->current;
  if (task_needs_unwinding(t)) cancel_raise(rt, L, t);
  if (task_is_hopeless(t)) {
    bool leaked = t->wake == WAKE_LEAKED;
    t->wake = WAKE_READY;
    lua_pushstring(L, leaked ? TASK_LEAKED_TEXT : "all tasks are asleep - deadlock!");
    record_wrap_safe(rt, L, L, 1, RECORD_DEADLOCK);
    if (leaked) record_test(L, -1)->kind = RECORD_LEAKED;
    lua_error(L);
  }
  return t;
}

int task_after_wait(lua_State *L, int status, lua_KContext runtime_address) {
  (void)status;
  runtime *rt = (runtime *)runtime_address;
  const task *t = rt->current;
  if (!task_is_resumed(rt, L)) return task_refuse_resumption(rt, L, task_after_wait);
  if (task_needs_unwinding(t) || task_is_hopeless(t)) task_check_wake(rt, L);
  return 0;
}

/* --- ending --- */

/* (task, results...) → a table of the results; called protected. */
static int pack_results(lua_State *L) {
  int results = lua_gettop(L) - 1;
  lua_createtable(L, results, 0);
  lua_insert(L, 2);
  for (int i = results; i >= 1; i--) lua_rawseti(L, 2, i);
  return 1;
}

/*
** Pops the `values` results on top of L and stores them in the task at `index`. Returns false if
** there is no memory, and pushes a record that says so.   [-values, +(0|1), -]
*/
static bool keep_results(lua_State *L, int index, int values) {
  if (values == 0) {
    lua_pushnil(L);
  } else if (values > 1) {
    int first = lua_gettop(L) - values + 1;
    lua_pushcfunction(L, pack_results);
    lua_insert(L, first);
    lua_pushvalue(L, index);
    lua_insert(L, first + 1);
    if (lua_pcall(L, values + 1, 1, 0) != LUA_OK) return false;
  }
  lua_setiuservalue(L, index, TASK_UV_RESULT);
  return true;
}

/* Wakes the tasks that join or await the task. Returns their number. */
static uint32_t wake_waiters(runtime *rt, task *t) {
  uint32_t count = 0;
  list *link;
  while ((link = ring_next(t->live.joiners, NULL)) != NULL) {
    task_wake(rt, container_of(link, task, waiter.link), WAKE_READY);
    count++;
  }
  return count;
}

/* --- calls at the end --- */

void task_on_end(task *t, task_exit *exit) {
  cp_assert(!task_ended(t) && exit->place == NULL);
  exit->next = t->exits;
  if (exit->next != NULL) exit->next->place = &exit->next;
  exit->place = &t->exits;
  t->exits = exit;
}

void task_exit_remove(task_exit *exit) {
  if (exit->place == NULL) return;
  *exit->place = exit->next;
  if (exit->next != NULL) exit->next->place = exit->place;
  exit->place = NULL;
}

static void run_exits(runtime *rt, lua_State *L, task *t) {
  task_exit *exit;
  while ((exit = t->exits) != NULL) {
    task_exit_remove(exit);
    exit->run(rt, L, exit);
  }
}

/*
** Ends the cancel scopes that are still open, from the innermost one outwards. No code of theirs will
** run any more.   [-0, +0, -]
*/
static void abandon_scopes(runtime *rt, lua_State *L, inner_cancel_scope *c) {
  while (c != NULL) {
    inner_cancel_scope *outer = c->outer;
    c->type->abandon(rt, L, c);
    c = outer;
  }
}

/*
** A task that is ended while it waits (given up, or a script has closed its coroutine) leaves its
** queue as any other does. A running task stands in no queue, although it may have been
** about to: if there was no memory to tell of a deadlock, `waits_on` is still set, and may be
** garbage.
*/
static void leave_unserved(runtime *rt, task *t) {
  if (t->status == TASK_RUNNING) {
    t->waits_on = NULL;
    return;
  }
  note_unserved(rt, t, leave_queues(rt, t));
}

/*
** Takes the task out of everything that runs; only its account is left. Calls nothing of scripts.
** [-0, +0, -]
*/
static void retire(runtime *rt, lua_State *L, task *t) {
  slot_values_clear(&rt->slot_values, t->coroutine.slot, SLOT_TASK);
  runtime_stop_timer(rt, &t->live.timer);
  leave_member(rt, L, t);
  cancel_scope_close(&t->entry);
  if (t->coroutine.top != &t->coroutine) task_lose_coroutines(rt, L, t);
  if (t->coroutine.frames != NULL) coroutine_release_frames(rt, L, &t->coroutine);
  if (t->lost || t->seen) {
    threads_drop(rt, t->coroutine.slot);
  } else {
    threads_return(rt, t->coroutine.slot);
  }
  t->ended.comers = 0;
  const trace *of = t->coroutine.context.own.trace;
  memcpy(t->ended.trace_id, of->trace_id, sizeof(t->ended.trace_id));
  t->sampled = (of->flags & TRACE_FLAG_SAMPLED) != 0;
  trace_context_clear(rt, &t->coroutine.context);
  rt->live_count--;
  if (t->daemon) rt->daemon_count--;
  if (t->service) rt->service_count--;
}

/*
** Whether the object of the task, which ends in this way, is still needed when the runtime does not
** anchor it any more: it gets a value, or code is told of it.
*/
static bool is_needed_at_end(const runtime *rt, const task *t, task_status status, int values) {
  bool has_reason = t->entry.state > CANCEL_SCOPE_LEFT;
  return status != TASK_DONE || values > 0 || has_reason || t->exits != NULL ||
         task_innermost(t) != NULL || probe_is_wanted(&rt->probes, PROBE_END);
}

/* Whether the program has asked the task's scope, if any, for the cancellation that has ended it. */
static bool is_asked_by(const panic_heir *heir, const task *t) {
  cancel_source source = t->entry.source;
  bool by_scope =
      source == CANCEL_SCOPE || source == CANCEL_DEADLINE || cancel_source_is_policy(source);
  return heir != NULL && heir->asked && by_scope;
}

/*
** First come the calls that need memory. Then comes the end itself, which calls nothing of scripts,
** so that no code sees a task that has half ended. Last, all that must hear of it are told.
*/
void task_end(runtime *rt, lua_State *L, task *t, task_status status, int values) {
  int index = 0; /* of its object, if it is needed */
  if (is_needed_at_end(rt, t, status, values)) {
    task_push(rt, L, t);
    index = lua_gettop(L) - values;
    if (values > 0) lua_insert(L, index);
    if (status == TASK_DONE && !keep_results(L, index, values)) {
      record_wrap_safe(rt, L, L, 0, RECORD_MEMORY);
      status = TASK_PANICKED;
    }
  }
  panic_heir *heir = t->live.member == NULL ? NULL : t->live.member->heir;
  uint32_t comers = wake_waiters(rt, t);
  inner_cancel_scope *open = task_innermost(t);
  leave_unserved(rt, t);
  retire(rt, L, t);
  t->status = (uint8_t)status;
  if (status == TASK_DONE) {
    t->ended.results = values;
  } else {
    t->ended.owner = PANIC_NOBODYS;
    t->ended.held = 0;
    record_test(L, -1)->task_status = (uint8_t)status;
    lua_pushvalue(L, -1);
    lua_setiuservalue(L, index, TASK_UV_RESULT);
  }
  if (status == TASK_CANCELLED) rt->cancelled_count++;
  if (t == rt->main_task || rt->live_count == rt->daemon_count) rt->batch = 0;
  abandon_scopes(rt, L, open);
  run_exits(rt, L, t);
  if (status == TASK_PANICKED) unhandled_pass_on(rt, L, t, index, heir, comers);
  if (heir != NULL) rt->heir_type->told(rt, heir);
  if (probe(&rt->probes, PROBE_END)) {
    const char *word = task_status_name(status);
    probe_tell(
        rt,
        &(probe_event){
            .kind = PROBE_END, .calls = true, .task = t, .L = L, .object = index, .word = word});
  }
  if (status == TASK_CANCELLED && is_asked_by(heir, t)) task_claim(rt, t);
  if (index != 0) lua_settop(L, index - 1);
}

void task_push_record(lua_State *L, int index) { lua_getiuservalue(L, index, TASK_UV_RESULT); }

int task_push_results(lua_State *L, const task *t, int index) {
  int results = t->ended.results;
  if (results == 0) return 0;
  index = lua_absindex(L, index);
  luaL_checkstack(L, results + 1, "too many results");
  lua_getiuservalue(L, index, TASK_UV_RESULT);
  if (results == 1) return 1;
  int table = lua_gettop(L);
  for (int i = 1; i <= results; i++) lua_rawgeti(L, table, i);
  lua_remove(L, table);
  return results;
}
