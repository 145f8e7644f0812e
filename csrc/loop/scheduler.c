#include "loop/scheduler.h"

#include <math.h>

#include "kernel/c_stack.h"
#include "kernel/handler.h"
#include "kernel/interrupt.h"
#include "kernel/observe.h"
#include "kernel/preempt.h"
#include "kernel/probe.h"
#include "kernel/task_run.h"
#include "kernel/unhandled.h"
#include "loop/ahead.h"
#include "loop/io.h"
#include "loop/outside.h"
#include "loop/polling.h"
#include "loop/shutdown.h"
#include "loop/watchers.h"

/*
** In seeded order a task is taken from so many at the head of the queue: enough to reorder them,
** few enough to stay cheap.
*/
#define SHUFFLE_WINDOW 64

/* If there are fewer ready tasks than this, so many turns pass between two looks at the clock. */
#define SMALL_BATCH 64

/*
** The C calls that the loop needs around a task, so that it can tell of the task's end and a frame
** can run deferred calls.
*/
#define LOOP_C_LEVELS 32

static bool always(const task *t) {
  (void)t;
  return true;
}

const wait_type wait_yield = {.name = "yield", .gave_way = always};

/* --- one round --- */

static inline task *take_ready(runtime *rt) {
  if (!rt->shuffled) {
    ahead_of_ready(rt);
    return fifo_take(&rt->ready);
  }
  uint64_t window = fifo_count(&rt->ready);
  if (window > SHUFFLE_WINDOW) window = SHUFFLE_WINDOW;
  return fifo_take_at(&rt->ready, rng_below(&rt->order, window));
}

static void fire_timers(runtime *rt, lua_State *L) {
  timer_heap *timers = &loop_of(rt)->timers;
  if (timers->count == 0) return;
  int64_t now = runtime_now(rt);
  timer *due;
  while ((due = timer_heap_take_due(timers, now)) != NULL) {
    ahead_of_timers(timers, due);
    loop_timer_fired(rt, L, due);
  }
}

/*
** Descriptors come first: a task whose descriptor became ready while the loop was too busy to look
** is woken for that, even if its time has run out meanwhile. So is one that another thread wakes.
*/
static void look_around(runtime *rt, lua_State *L) {
  io_poll(rt);
  if (outside_has_mail(rt)) outside_deliver(rt);
  fire_timers(rt, L);
}

static collector_time time_until(const runtime *rt, int64_t until_ns) {
  bool is_virtual = loop_of(rt)->clock.is_virtual;
  int64_t ns = until_ns == TIME_FOREVER ? TIME_FOREVER : until_ns - runtime_now(rt);
  return (collector_time){.is_virtual = is_virtual, .ns = ns};
}

/*
** Makes a pause for Lua's collector before the next batch, if co.collector says so. Returns whether
** another one is due before it.   [-0, +0, -]
*/
static inline bool collect_between(const runtime *rt, lua_State *L, int64_t until_ns) {
  collector *c = &loop_of(rt)->collector;
  return collector_is_ours(c) && collector_pace(L, c, time_until(rt, until_ns));
}

/* The same while nothing is ready. Returns whether it has made one.   [-0, +0, -] */
static inline bool collect_at_rest(const runtime *rt, lua_State *L, int64_t until_ns) {
  collector *c = &loop_of(rt)->collector;
  return collector_is_ours(c) && collector_rest(L, c, time_until(rt, until_ns));
}

/* Returns the sum, or TIME_FOREVER if it is beyond all time. */
static int64_t later(int64_t now_ns, int64_t duration_ns) {
  return duration_ns > TIME_FOREVER - now_ns ? TIME_FOREVER : now_ns + duration_ns;
}

/* Tells that the task at `index`, which may be nil by now, has overrun the budget.   [-0, +0, -] */
static void tell_overrun(runtime *rt, lua_State *L, int64_t duration_ns, int index) {
  probe_tell(rt, &(probe_event){.kind = PROBE_OVERRUN,
                                .calls = true,
                                .task = task_test(L, index),
                                .L = L,
                                .object = index,
                                .seconds = (double)duration_ns / (double)NS_PER_SECOND});
}

/*
** Runs the next ready task, which starts at `start_ns`. Returns the time at which it suspended or
** ended.   [-0, +0, -]
*/
static int64_t run_timed(runtime *rt, lua_State *L, int64_t start_ns) {
  task *t = take_ready(rt);
  int top = lua_gettop(L);
  if (probe_is_wanted(&rt->probes, PROBE_OVERRUN)) task_push(rt, L, t);
  task_run_resume(rt, L, t);
  int64_t end_ns = runtime_now(rt);
  bool is_overrun = rt->budget_ns != 0 && end_ns - start_ns > rt->budget_ns;
  if (is_overrun && probe(&rt->probes, PROBE_OVERRUN)) {
    if (lua_gettop(L) == top) lua_pushnil(L); /* no sink wanted the event when the task started */
    tell_overrun(rt, L, end_ns - start_ns, top + 1);
  }
  lua_settop(L, top);
  return end_ns;
}

/* Runs each task that is ready now once; fewer if `until_ns` comes first.   [-0, +0, -] */
static void run_round(runtime *rt, lua_State *L, int64_t until_ns) {
  size_t count = fifo_count(&rt->ready);
  if (rt->budget_ns == 0 && until_ns == TIME_FOREVER) {
    while (count-- > 0) task_run_resume(rt, L, take_ready(rt));
    return;
  }
  int64_t now = runtime_now(rt);
  int64_t round_end = rt->budget_ns == 0 ? TIME_FOREVER : later(now, rt->budget_ns);
  while (count-- > 0 && now < until_ns && now < round_end) {
    now = run_timed(rt, L, now);
  }
}

/*
** Runs a batch of tasks of a run. It is like a round, but if there are few tasks they take several
** turns before the loop looks at the clock again. Ends early if the run may be over: task_end sets
** rt->batch to 0.   [-0, +0, -]
*/
static void run_batch(runtime *rt, lua_State *L) {
  if (collect_between(rt, L, TIME_FOREVER)) return;
  preempt_resume(rt);
  if (rt->budget_ns != 0) {
    run_round(rt, L, TIME_FOREVER);
    return;
  }
  rt->batch = fifo_count(&rt->ready) < SMALL_BATCH ? SMALL_BATCH : fifo_count(&rt->ready);
  while (fifo_count(&rt->ready) > 0 && rt->batch > 0) {
    rt->batch--;
    task_run_resume(rt, L, take_ready(rt));
  }
}

/* --- sleeping --- */

static int64_t earlier(int64_t a, int64_t b) { return a < b ? a : b; }

static int64_t next_deadline(const runtime *rt) {
  return earlier(timer_heap_next_deadline(&loop_of(rt)->timers), unhandled_next_deadline(rt));
}

int64_t scheduler_next_deadline(const runtime *rt) {
  if (fifo_count(&rt->ready) > 0 || outside_has_mail(rt)) return runtime_now(rt);
  return earlier(next_deadline(rt), io_next_look(rt));
}

/*
** Tells that the loop sleeps until the next deadline, or until a descriptor is ready.   [-0, +0, -]
*/
static void tell_sleep(runtime *rt, lua_State *L) {
  int64_t next = next_deadline(rt);
  int64_t left = next - runtime_now(rt);
  double seconds = next == TIME_FOREVER ? HUGE_VAL : (double)left / (double)NS_PER_SECOND;
  probe_tell(rt, &(probe_event){.kind = PROBE_SLEEP, .calls = true, .L = L, .seconds = seconds});
}

/* As io_wait; nobody can be preempted meanwhile. */
static void sleep_for(runtime *rt, int64_t timeout_ns) {
  rt->preemption.asleep = true;
  io_wait(rt, timeout_ns);
  rt->preemption.asleep = false;
}

/*
** Sleeps until the next deadline, or until a descriptor is ready. The virtual clock jumps to the
** deadline instead.   [-0, +0, -]
*/
static void sleep_until_next(runtime *rt, lua_State *L) {
  if (probe(&rt->probes, PROBE_SLEEP)) tell_sleep(rt, L);
  int64_t next = next_deadline(rt);
  int64_t now = runtime_now(rt);
  if (fifo_count(&rt->ready) > 0) {
    /* An observer has made a task ready. */
  } else if (next == TIME_FOREVER) {
    sleep_for(rt, -1);
  } else if (next > now && !loop_of(rt)->clock.is_virtual) {
    sleep_for(rt, next - now);
  } else if (next > now) {
    loop_of(rt)->clock.virtual_now_ns = next;
  }
  if (probe(&rt->probes, PROBE_AWAKE)) {
    probe_tell(rt, &(probe_event){.kind = PROBE_AWAKE, .calls = true, .L = L});
  }
}

/*
** Call it if no task and no descriptor is ready: collects garbage for a while, or waits for the next
** event. Returns false if no event can wake a task.
*/
static bool wait_for_work(runtime *rt, lua_State *L) {
  bool may_come = io_is_awaited(rt) || outside_is_awaited(rt);
  if (timer_heap_next_deadline(&loop_of(rt)->timers) == TIME_FOREVER && !may_come) return false;
  if (watchers_are_alone(rt)) return false;
  int64_t next = next_deadline(rt);
  if (next > runtime_now(rt)) {
    if (collect_at_rest(rt, L, next)) return true;
    sleep_until_next(rt, L);
  }
  unhandled_expire(rt, L, runtime_now(rt));
  return true;
}

/* --- a run --- */

static bool only_daemons_left(const runtime *rt) { return rt->live_count == rt->daemon_count; }

/* Whether main has ended in a way that ends the run. */
static bool main_failed(const task *main) {
  return main->status == TASK_PANICKED || main->status == TASK_CANCELLED;
}

/*
** Runs rounds until the run is over. Returns false if every task is asleep for ever, or no virtual
** time passes any more.   [-0, +0, -]
*/
static bool run_until_done(runtime *rt, lua_State *L, const task *main) {
  while (!only_daemons_left(rt) && !main_failed(main)) {
    if (interrupt_is_due(rt)) interrupt_serve(rt, L);
    if (rt->interrupted && task_ended(main)) return true;
    look_around(rt, L);
    if (fifo_count(&rt->ready) > 0) {
      if (polling_is_endless(rt)) return false;
      run_batch(rt, L);
      if (!list_empty(&rt->unhandled_panics)) unhandled_expire(rt, L, runtime_now(rt));
    } else if (!wait_for_work(rt, L)) {
      return false;
    }
  }
  return true;
}

/* Ends the tasks that the run leaves, except for services, which go on meanwhile.   [-0, +0, -] */
static void end_others(runtime *rt, lua_State *L) {
  uint64_t cancelled = 0; /* the id of the newest task cancelled: deferred calls may spawn more */
  for (;;) {
    /* With nobody left, a look would still pass the slots of all tasks that ever lived at once. */
    if (rt->live_count > rt->service_count && cancelled != rt->next_task_id) {
      cancelled = rt->next_task_id;
      shutdown_cancel_others(rt, L);
    }
    if (rt->live_count == rt->service_count) {
      if (list_empty(&rt->unhandled_panics)) return;
      unhandled_flush(rt, L); /* the handler may spawn */
      continue;
    }
    look_around(rt, L);
    if (fifo_count(&rt->ready) > 0) {
      if (polling_is_endless(rt)) return; /* end_all wakes the sleeping tasks */
      run_batch(rt, L);
    } else if (!shutdown_others_may_go_on(rt, L) || !wait_for_work(rt, L)) {
      return; /* the end of the services may wake them */
    }
  }
}

/*
** Call it if the deferred calls of all tasks that are left are stuck: acts harder in later rounds.
** [-0, +0, -]
*/
static void end_stuck(runtime *rt, lua_State *L, int round) {
  if (round < SHUTDOWN_ROUNDS) {
    shutdown_wake_all(rt, L);
  } else if (round < 2 * SHUTDOWN_ROUNDS) {
    shutdown_give_up_all(rt, L);
  } else {
    shutdown_abandon_all(rt, L);
  }
}

/* Ends all tasks that are left and runs their deferred calls.   [-0, +0, -] */
static void end_all(runtime *rt, lua_State *L) {
  uint64_t cancelled = 0;
  int rounds = 0;
  int polled = 0;
  while (rt->live_count > 0) {
    if (cancelled != rt->next_task_id) {
      cancelled = rt->next_task_id;
      shutdown_cancel_all(rt, L);
    }
    if (interrupt_is_due(rt)) interrupt_serve(rt, L);
    look_around(rt, L);
    if (fifo_count(&rt->ready) > 0 && polling_is_endless(rt)) {
      end_stuck(rt, L, polled++ == 0 ? SHUTDOWN_ROUNDS : 2 * SHUTDOWN_ROUNDS);
      rt->polled_rounds = 0;
    } else if (fifo_count(&rt->ready) > 0) {
      run_batch(rt, L);
    } else if (!wait_for_work(rt, L)) {
      end_stuck(rt, L, rounds++);
    }
  }
}

/*
** Ends what is left of a run: first the daemons and the tasks that a failed main leaves, then the
** services. After each step the handler gets the panics. The tasks that it spawns after the first
** step run; those that it spawns after the services' end are cancelled. HANDLER_MAX_DEPTH bounds
** how often that repeats.   [-0, +0, -]
*/
static void shut_down(runtime *rt, lua_State *L) {
  end_others(rt, L);
  do {
    end_all(rt, L);
    unhandled_flush(rt, L);
    observe_flush(rt, L);
  } while (rt->live_count > 0);
}

static void apply_options(runtime *rt, lua_State *L, const run_options *options) {
  loop_of(rt)->clock = (task_clock){.is_virtual = options->virtual_clock};
  rt->shuffled = options->seeded;
  rng_seed(&rt->order, options->seeded ? options->seed : id_source_next(rt->ids));
  rt->budget_ns = options->budget_ns;
  rt->unhandled = options->unhandled;
  if (options->unhandled == UNHANDLED_CALL) {
    lua_pushvalue(L, options->unhandled_index);
  } else {
    lua_pushnil(L);
  }
  runtime_set_value(rt, L, RUNTIME_UV_UNHANDLED);
}

static void reset_options(runtime *rt, lua_State *L) {
  static const run_options defaults = {.unhandled = UNHANDLED_REPORT};
  apply_options(rt, L, &defaults);
}

static void check_not_running(const runtime *rt, lua_State *L, const char *name,
                              const char *inside_task) {
  if (rt->current != NULL) luaL_error(L, "%s", inside_task);
  if (rt->driver != NULL || rt->hooks > 0)
    luaL_error(L, "co.%s while the loop is running: not in a handler or hook", name);
  c_stack_check_host(L, LOOP_C_LEVELS);
}

/* Pushes a record that says why the run can't go on.   [-0, +1, -] */
static void push_deadlock(runtime *rt, lua_State *L) {
  if (fifo_count(&rt->ready) > 0) {
    polling_push_deadlock(rt, L);
  } else {
    shutdown_push_deadlock(rt, L, "all tasks are asleep - deadlock!");
  }
}

/* Pushes main's results, or raises its record.   [-0, +results, e] */
static int deliver(lua_State *L, const task *main, int index) {
  if (main->status != TASK_DONE) {
    task_push_record(L, index);
    return lua_error(L);
  }
  return task_push_results(L, main, index);
}

/* (function, arguments..., name of the main task) → that task; called protected. */
static int spawn_main(lua_State *L) {
  const char *name = lua_touserdata(L, -1);
  lua_pop(L, 1);
  spawn_options options = {.name = name};
  runtime *rt = runtime_find(L);
  int arguments = lua_gettop(L) - 1;
  options.type = task_push_type(rt, L, arguments);
  task_spawn(rt, L, arguments, &options);
  return 1;
}

/*
** Pops a function and its `arguments` and pushes a task of them. The loop counts as running
** meanwhile, so that a finalizer can not run it.   [-(arguments + 1), +1, e]
*/
static task *make_main(runtime *rt, lua_State *L, int arguments, const char *name) {
  lua_pushcfunction(L, spawn_main);
  lua_insert(L, -(arguments + 2));
  lua_pushlightuserdata(L, (void *)name);
  rt->driver = rt->running;
  outside_enter(rt);
  if (lua_pcall(L, arguments + 2, 1, 0) != LUA_OK) {
    rt->driver = NULL;
    loop_of(rt)->clock = (task_clock){.is_virtual = false};
    lua_error(L);
  }
  return task_test(L, -1);
}

int scheduler_run(runtime *rt, lua_State *L, int arguments, const run_options *options) {
  check_not_running(
      rt, L, "run",
      "co.run inside a task: use a scope to wait for tasks here, or spawn them and join them");
  if (!loop_is_own(rt)) {
    return luaL_error(L, "co.run under a back end of the host (cp_set_backend): the host steps");
  }
  if (options->virtual_clock && rt->live_count > 0) {
    return luaL_error(L, "co.run_with: clock = \"virtual\" needs a runtime without tasks");
  }
  preempt_check(rt, L);
  luaL_checkstack(L, LUA_MINSTACK, NULL);
  loop_of(rt)->clock = (task_clock){.is_virtual = options->virtual_clock};
  task *main = make_main(rt, L, arguments, options->name);
  int index = lua_gettop(L);
  apply_options(rt, L, options);
  rt->main_task = main;
  interrupt_begin(rt, L);
  bool stuck = !run_until_done(rt, L, main);
  rt->finishing = true;
  while (!stuck && !main_failed(main) && !list_empty(&rt->unhandled_panics)) {
    unhandled_flush(rt, L); /* the tasks that the handler spawns run beside the daemons */
    stuck = !run_until_done(rt, L, main);
  }
  if (stuck) push_deadlock(rt, L);
  shut_down(rt, L);
  rt->finishing = false;
  if (!stuck && main->status == TASK_EXITED) {
    shutdown_push_deadlock(rt, L, "no tasks (main called goexit) - deadlock!");
    stuck = true;
  }
  if (!stuck) stuck = interrupt_end(rt, L);
  if (stuck && rt->unhandled == UNHANDLED_CRASH) handler_report(rt, L, 0);
  preempt_stop(rt);
  collector_leave(L, &loop_of(rt)->collector);
  rt->main_task = NULL;
  rt->driver = NULL;
  reset_options(rt, L);
  if (stuck) return lua_error(L);
  return deliver(L, main, index);
}

bool scheduler_step(runtime *rt, lua_State *L, int64_t budget_ns) {
  check_not_running(rt, L, "step",
                    "co.step inside a task: its loop makes the steps, so use co.yield");
  preempt_check(rt, L);
  luaL_checkstack(L, LUA_MINSTACK, NULL);
  rt->driver = rt->running;
  outside_enter(rt);
  loop_own_wakeup(rt);
  wakeup_drain(&loop_of(rt)->wakeup);
  int64_t until = budget_ns == 0 ? TIME_FOREVER : later(runtime_now(rt), budget_ns);
  if (preempt_is_wanted(&rt->preemption)) {
    preempt_start(rt, budget_ns == 0 ? TIME_FOREVER : budget_ns);
  }
  bool goes_on;
  do {
    bool owes = collect_between(rt, L, until);
    look_around(rt, L);
    if (!owes || budget_ns == 0) run_round(rt, L, until);
    goes_on = fifo_count(&rt->ready) > 0 || collect_at_rest(rt, L, until);
  } while (goes_on && budget_ns != 0 && runtime_now(rt) < until);
  if (!list_empty(&rt->unhandled_panics)) unhandled_expire(rt, L, runtime_now(rt));
  observe_flush(rt, L);
  preempt_stop(rt);
  rt->driver = NULL;
  bool more = fifo_count(&rt->ready) > 0 || outside_has_mail(rt);
  if (more) rt->backend->notify(rt);
  return more;
}

/* --- for hosts --- */

bool scheduler_is_idle(const runtime *rt) {
  return rt->current == NULL && rt->driver == NULL && rt->hooks == 0;
}

long scheduler_run_pending(runtime *rt, lua_State *L, task *t) {
  if (!scheduler_is_idle(rt) || !lua_checkstack(L, LUA_MINSTACK)) return -1;
  int top = lua_gettop(L);
  rt->driver = rt->running;
  outside_enter(rt);
  size_t count = task_run_pending(rt, L, t);
  observe_flush(rt, L);
  rt->driver = NULL;
  lua_settop(L, top);
  return (long)count;
}

bool scheduler_shut_down(runtime *rt, lua_State *L, int64_t budget_ns) {
  if (scheduler_is_idle(rt) && lua_checkstack(L, LUA_MINSTACK)) shutdown_cancel_all(rt, L);
  scheduler_step(rt, L, budget_ns);
  if (rt->live_count == 0) unhandled_flush(rt, L);
  return rt->live_count > 0;
}
