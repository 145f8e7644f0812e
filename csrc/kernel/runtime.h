/*
** The runtime: everything that belongs to one Lua universe. It is a userdata in that universe's
** registry and (as its address) upvalue 1 of every function of the module; there are no C globals
** and no thread-locals.
**
** Re-entry. Scripts may call every function of the module wherever the collector may run (finalizers), in
** hooks, handlers and listeners, in metamethods, and in debug hooks at every call; also while the universe is
** being closed, and after that. What keeps them from seeing what is half made:
** - Made before it is shown. Everything that allocates or calls comes first, then a section that links what was
**   made, of functions that say "calls nothing of scripts". Of Lua's API these use what neither collects nor
**   calls: raw access to tables, user values, references, metatables, lua_checkstack, lua_xmove. So are made:
**   a task (task_spawn: equip, then begin) and its end (task_end), what it is a member of, a park and a wake-up, what is
**   deferred, a scope, a context's child, what is held of a panic, a callback of ctx:after.
** - Looked at again. What was read before an allocation may have changed: it is read after it once more (a
**   frame stack or done channel that was missing, a channel's ring, the cases of a select, co.dump, the text of a
**   scope), or found before it and held on the stack (awaiters, members).
** - Lists from which others may take are not walked, their heads are taken (context_end, exits, waiters).
** The collector is not stopped anywhere: to restart it changes its pace, and debug hooks run all the same.
** What C points to outlives it without a finalizer: see runtime_note_alive. The end: see runtime_of.
*/
#ifndef CP_KERNEL_RUNTIME_H
#define CP_KERNEL_RUNTIME_H

#include <stdbool.h>

#include "compat.h"
#include "core/base.h"
#include "core/clock.h"
#include "core/id.h"
#include "core/list.h"
#include "core/owned_memory.h"
#include "core/random.h"
#include "core/sampling.h"
#include "kernel/backend.h"
#include "kernel/coroutine.h"
#include "kernel/location.h"
#include "kernel/probe.h"
#include "kernel/trace.h"

#pragma GCC visibility push(hidden)

struct task;

/* Frame stacks kept likewise, each with its thread of values. */
#define FRAMES_POOL_MAX 1024

/* How tasks' unrecovered panics that nobody claims are handled. */
typedef enum unhandled_mode {
  UNHANDLED_REPORT, /* the on_panic hook, or the report on stderr */
  UNHANDLED_CRASH,  /* as Go: report, then the process ends with status 2 */
  UNHANDLED_CALL,   /* the function given to run_with */
} unhandled_mode;

/* The user values of the runtime's userdata. */
enum {
  RUNTIME_UV_ON_PANIC = 1,
  RUNTIME_UV_ON_START,
  RUNTIME_UV_UNHANDLED, /* the function given to run_with */
  RUNTIME_UV_SPARE,     /* the spare record for times without memory */
  RUNTIME_UV_FINISH,    /* unwind_finish, as a closure */
  RUNTIME_UV_INNER,     /* the stack of a coroutine that has just died, see record_keep_inner */
  RUNTIME_UV_LEASE,     /* of the machine id in trace ids, or nil */
  RUNTIME_UV_CANCELED,  /* the texts of context_error, to be pushed without memory */
  RUNTIME_UV_EXCEEDED,
  RUNTIME_UV_EMPTY,     /* a function that does nothing (interrupt.c) */
  RUNTIME_UV_INTERRUPT, /* what a signal handler has raised */
  RUNTIME_UV_COUNT = RUNTIME_UV_INTERRUPT
};

/* What a timer is embedded in. */
enum { TIMER_OF_TASK, TIMER_OF_CONTEXT };

/* A pooled coroutine: anchored in `threads` at `slot` for as long as it is in use or pooled. */
typedef struct pooled_thread {
  lua_State *thread;
  int slot;
} pooled_thread;

/* The hook of a thread when a run began (interrupt.h). */
typedef struct watched_hook {
  lua_State *thread; /* NULL: there is none to watch */
  lua_Hook hook;
  int mask;
} watched_hook;

/* A C function of the module that runs frames, or is not worth a line in a report. */
typedef struct machinery {
  lua_CFunction function;
  bool drives; /* it opens frames, or runs their deferred calls */
  bool hidden; /* reports do not show it */
} machinery;

#define RUNTIME_MACHINERY_MAX 16

/* What another folder adds to a runtime: embedded in memory that lives as long as that. */
typedef struct runtime_part {
  struct runtime_part *next;
  /* The universe is being closed. Calls nothing of Lua. */
  void (*close)(struct runtime *rt);
} runtime_part;

typedef struct runtime {
  owned_memory owned; /* all memory that is not Lua's; it is freed when the universe is closed */
  allocator memory;   /* of `owned` */
  bool closed;        /* the universe is being closed: nothing may start any more */

  runtime_part *parts; /* what is closed with the runtime, the newest first */

  /* The loop: ours, or a host's. */
  const loop_backend *backend;
  struct event_loop *loop;

  /* Scheduling. `current` and `driver` are set while a task, or the loop, runs; `running` always is. */
  coroutine main;     /* of the universe's main thread */
  coroutine *running; /* the one whose code runs; see coroutine.h */
  struct task *current;
  coroutine *driver; /* the one whose code drives the loop; NULL: the loop is not running */
  list ready;        /* tasks in FIFO order, by task.link */
  size_t ready_count;
  size_t batch;         /* turns left before a run looks at the clock */
  size_t live_count;    /* tasks that have not ended */
  size_t daemon_count;  /* of these, daemons */
  size_t service_count; /* of these, services */
  size_t afters;        /* functions given to ctx:after that wait for the end of their context */
  list ending;          /* contexts that have ended, and whose children and tasks are to be told */
  int64_t polled_at_ns; /* where the virtual clock stands */
  uint64_t polled_rounds; /* since then, of tasks that only yield */
  bool inner_kept;        /* RUNTIME_UV_INNER has a stack */
  bool has_others;        /* coroutines that are no task's: the table has, or had, entries */
  bool spare_used;        /* the spare record was given away and is to be renewed */
  bool shuffled;          /* run_with{seed=}: take ready tasks in random order */
  rng order;              /* of ready tasks, and of the ready cases of a select */
  struct selection *free_selections;
  int64_t budget_ns; /* of one round; 0: none was given */
  uint64_t next_task_id;
  struct task *main_task;  /* of the run under way */
  watched_hook watched[2]; /* of its host, and of the universe's main thread if that is another */
  bool interrupted;        /* a signal handler has ended the last run: RUNTIME_UV_INTERRUPT */
  bool ctrl_c;             /* that of lua.c */

  /* Panics that nobody has claimed yet (unhandled.c), the oldest first. */
  list unhandled_panics;
  unhandled_mode unhandled;
  bool finishing;      /* the run's own tasks have ended: handlers are told of what is left */
  uint8_t aftermath;   /* of the tasks that the handler spawns which runs now; 0: of none */
  unsigned hooks;      /* handlers, hooks and observers that are running */
  bool has_start_hook; /* RUNTIME_UV_ON_START is a function */
  /* Writes the record at `index` on stderr: report_to_stderr, as the kernel knows no texts.   [-0, +0, -] */
  void (*report)(lua_State *L, int index);

  /* Frames. */
  const frame_type *entry_type; /* of tasks' outermost frames: frame_entry */
  frame_stack *free_frames;
  size_t free_frames_count;
  uint64_t next_serial; /* of deferred calls */
  uint64_t next_record;

  /* Identity. */
  id_source *ids;
  id_generator generator; /* of trace ids */
  sampler sampler;        /* of traces */
  id_status no_id;        /* why the last trace id could not be made */
  const void *lease;      /* the lease of the generator's machine id, RUNTIME_UV_LEASE; or NULL */
  uint64_t uses;          /* calls of trace.use so far */
  uint64_t in_use;        /* which of them the generator is from */
  location_table locations;

  /* Pooled threads (threads.h). */
  pooled_thread *pool;
  size_t pool_count;
  size_t pool_capacity;
  size_t pool_max; /* how many are kept at rest */

  /* Registry references. */
  int self_ref;           /* this userdata */
  int defer_type_ref;     /* the metatable of deferred_handle */
  int record_type_ref;    /* the metatable of records */
  int task_type_ref;      /* the metatable of tasks */
  int tasks_ref;          /* slot -> task: anchors live tasks */
  int threads_ref;        /* slot -> thread */
  int slots_ref;          /* address of a thread in that table -> its slot */
  int refusal_ref;        /* what is said to whoever resumes or closes a task's coroutine */
  int anchors_ref;        /* frame stacks, but for those of others' coroutines */
  int coroutines_ref;     /* weak: thread -> its coroutine, but for tasks and the main thread */
  int coroutine_type_ref; /* the metatable of these */
  int attributes_ref;     /* weak: task -> attributes */
  int askers_ref;         /* weak: task -> the task that has cancelled it */
  int background_ref;     /* the root of all contexts */
  int alive_ref;          /* weak values: address of what C keeps of an object -> the object */
  /*
  ** Address -> context, scope, table of a task's span, or thread of a coroutine that is needed; id of an ended task ->
  ** what is held of its panic.
  */
  int pinned_ref;

  /* Functions of the base library that are in the way of nobody, or not worth a frame. */
  lua_CFunction base_error;
  lua_CFunction base_assert;
  lua_CFunction base_pcall;
  lua_CFunction base_xpcall;
  lua_CFunction base_load; /* these make errors of the parser, and of what it calls, results */
  lua_CFunction base_loadfile;
  lua_CFunction base_dofile;

  lua_CFunction resume;  /* co.coroutine.resume */
  lua_CFunction wrapped; /* what co.coroutine.wrap returns */
  machinery machinery[RUNTIME_MACHINERY_MAX];
  size_t machinery_count;

  probes probes;
  struct observers *observers;
  /*
  ** Begins the span of the new task on top of the stack, which nobody has seen yet; called while somebody listens to
  ** spans. It is span_begin_task, which the kernel doesn't know. Never raises.   [-0, +0, -]
  */
  void (*begin_span)(struct runtime *rt, lua_State *L, struct task *t);
  uint64_t cancelled_count; /* tasks that have ended so */
  uint64_t leaked_count;    /* tasks found asleep with nothing left to wake them */
} runtime;

/* The universe's runtime, or NULL before open_runtime has made it.   [-0, +0, -] */
runtime *runtime_find(lua_State *L);

/* Makes the runtime on top of the stack the universe's.   [-1, +0, m] */
void runtime_register(lua_State *L);

/*
** The runtime of the module's running C function. It is a light upvalue, which is quicker to read;
** the registry keeps the userdata until the universe is closed.   [-0, +0, -]
** For finalizers and the closing of variables: they are called also after the runtime's own end.
*/
static inline runtime *runtime_of_any(lua_State *L) {
  return (runtime *)lua_touserdata(L, lua_upvalueindex(1));
}

/* Raises "the Lua state is being closed".   [-0, +0, e] */
int runtime_refuse_closed(lua_State *L);

/* The same for what scripts call: after the runtime's end it raises.   [-0, +0, e] */
static inline runtime *runtime_of(lua_State *L) {
  runtime *rt = runtime_of_any(L);
  if (rt->closed) runtime_refuse_closed(L);
  return rt;
}

/* The runtime's clock. */
static inline int64_t runtime_now(const runtime *rt) { return rt->backend->now(rt); }

/* The time `seconds` from now; TIME_FOREVER when negative, as arg_check_timeout has it. */
static inline int64_t runtime_deadline(const runtime *rt, double seconds) {
  return seconds < 0 ? TIME_FOREVER : clock_deadline_ns(runtime_now(rt), seconds);
}

/* Takes back a timer that may be set. */
static inline void runtime_stop_timer(runtime *rt, timer *t) {
  if (t->number != TIMER_IDLE) rt->backend->timer_stop(rt, t);
}

/* Closes the part with the runtime, before what was there is closed. */
void runtime_add_part(runtime *rt, runtime_part *part);

/* Notes it, while the runtime is being opened. */
void runtime_add_machinery(runtime *rt, machinery m);

/* Whether `f` opens frames, or runs their deferred calls. NULL: no C function, and false. */
bool runtime_is_driver(const runtime *rt, lua_CFunction f);

/* Whether reports do not show `f`. NULL: no C function, and false. */
bool runtime_is_machinery(const runtime *rt, lua_CFunction f);

/* Pushes user value `uv` of the runtime.   [-0, +1, -] */
void runtime_push_value(runtime *rt, lua_State *L, int uv);

/* Takes the top of the stack into user value `uv`.   [-1, +0, -] */
void runtime_set_value(runtime *rt, lua_State *L, int uv);

/* The trace context of the code that runs now: of its coroutine, its task, or the one outside tasks. */
static inline trace_context *trace_current(const runtime *rt) { return rt->running->trace; }

/* The ids under which it works; see trace_ids_of. */
static inline trace_ids *trace_here(const runtime *rt) { return trace_ids_of(trace_current(rt)); }

/* The frame stack of the code that runs on L; made when needed.   [-0, +0, m] */
static inline frame_stack *coroutine_frames_of(runtime *rt, lua_State *L) {
  const coroutine *c = rt->running;
  return c->thread == L && c->frames != NULL ? c->frames : coroutine_make_frames(rt, L);
}

/*
** What C points to is never an object itself, which may be garbage, but the runtime's memory, or an object
** that is anchored meanwhile. `part` is such memory, the part of the object on top of the stack that lists
** and timers have: runtime_push_alive finds the object by it.   [-0, +0, m]
*/
void runtime_note_alive(runtime *rt, lua_State *L, const void *part);

/*
** Pushes the object that `part` is of, nil once that is garbage; its finalizer may still be to come, or may
** never.   [-0, +1, -]
*/
void runtime_push_alive(const runtime *rt, lua_State *L, const void *part);

/* Names of the metatables in the registry. */
#define RECORD_TYPE "coropanic.record"
#define TASK_TYPE "coropanic.task"

#pragma GCC visibility pop

#endif
