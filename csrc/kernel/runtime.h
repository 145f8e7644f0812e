/*
** The runtime: everything that belongs to one Lua universe. It is a userdata in that universe's
** registry and (as its address) upvalue 1 of every function of the module. There are no C globals
** and no thread-locals.
**
** Re-entry. Scripts may call every function of the module wherever the collector may run
** (finalizers), in hooks, handlers and listeners, in metamethods, and in debug hooks at every call;
** also while the universe is being closed, and after that. Three rules keep half-made objects out
** of their sight:
** - Made before it is shown. All calls that allocate or call scripts come first. Then a section
**   links the new object, with functions that say "calls nothing of scripts". Of Lua's API these
**   use only functions that neither collect nor call: raw access to tables, user values,
**   references, metatables, lua_checkstack, lua_xmove. This is how these are made: a task
**   (task_spawn: equip, then begin) and its end (task_end), its `member`, a park and a wake-up, a
**   deferred call, a scope, a child of a context, a held panic, a callback of ctx:after.
** - Looked at again. A value that was read before an allocation may have changed. So it is read
**   again after it (a frame stack or done channel that was missing, a channel's ring, the cases of
**   a select, co.dump, the text of a scope), or found before it and held on the stack (awaiters,
**   members).
** - Lists from which other code may take elements are not walked; their heads are taken
**   (context_end, exits, waiters). The collector is never stopped: restarting it would change its
**   pace, and debug hooks run all the same. Memory that C points to outlives the object without a
**   finalizer: see runtime_note_alive. For the end see runtime_of.
*/
#ifndef CP_KERNEL_RUNTIME_H
#define CP_KERNEL_RUNTIME_H

#include <stdbool.h>

#include "compat.h"
#include "core/base.h"
#include "core/clock.h"
#include "core/fifo.h"
#include "core/id.h"
#include "core/list.h"
#include "core/owned_memory.h"
#include "core/random.h"
#include "core/sampling.h"
#include "core/slots.h"
#include "kernel/backend.h"
#include "kernel/frames.h"
#include "kernel/frames_pool.h"
#include "kernel/location.h"
#include "kernel/preemption.h"
#include "kernel/sink.h"
#include "kernel/slot_values.h"

#pragma GCC visibility push(hidden)

struct task;

/* What happens to unhandled panics. */
typedef enum unhandled_mode {
  UNHANDLED_REPORT, /* the handler of on_panic, or the report on stderr */
  UNHANDLED_CRASH,  /* as in Go: report, then the process ends with status 2 */
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
  RUNTIME_UV_CANCELED,  /* the texts of context_error, which can be pushed without memory */
  RUNTIME_UV_EXCEEDED,
  RUNTIME_UV_USED_UP,   /* the reason of those who have used up their CPU budget */
  RUNTIME_UV_EMPTY,     /* a function that does nothing (interrupt.c) */
  RUNTIME_UV_INTERRUPT, /* the value that a signal handler has raised */
  RUNTIME_UV_COUNT = RUNTIME_UV_INTERRUPT
};

/* The pools of selections, by size. */
#define SELECTION_POOLS 3

/* The objects in which timers are embedded. */
enum { TIMER_OF_TASK, TIMER_OF_CONTEXT, TIMER_OF_SCOPE };

/* The hook of a thread when a run began (interrupt.h). */
typedef struct watched_hook {
  lua_State *thread; /* NULL: there is none to watch */
  lua_Hook hook;
  int mask;
} watched_hook;

/* The user's hooks that interrupt.c can tell apart, one more. */
#define INTERRUPT_HOOKS 8

/* A C function of the module that runs frames, or is not worth a line in a report. */
typedef struct machinery {
  lua_CFunction function;
  bool drives; /* it opens frames, or runs their deferred calls */
  bool hidden; /* reports do not show it */
} machinery;

#define RUNTIME_MACHINERY_MAX 16

/*
** A part that another folder adds to the runtime, embedded in memory that lives as long as the
** runtime.
*/
typedef struct runtime_part {
  struct runtime_part *next;
  /* Called when the universe is being closed. Must call nothing of Lua. */
  void (*close)(struct runtime *rt);
} runtime_part;

typedef struct runtime {
  owned_memory owned; /* all memory that is not Lua's; freed when the universe is closed */
  allocator memory;   /* of `owned` */
  bool closed;        /* the universe is being closed, and nothing may start any more */

  runtime_part *parts; /* the parts to close with the runtime, the newest first */

  /* The loop: ours, or a host's. */
  const loop_backend *backend;
  struct event_loop *loop;
  struct host *host; /* what C hosts have added (host/host.h); NULL: nothing yet */
  struct telemetry
      *telemetry;          /* what records and measures (telemetry/telemetry.h); NULL: nothing */
  const task_clock *clock; /* of our loop; it may be virtual */

  /*
  ** Scheduling. `current` is set while a task runs, `driver` while the loop runs, and `running`
  ** always.
  */
  struct coroutine *main;    /* of the universe's main thread */
  struct coroutine *running; /* the coroutine whose code runs; see coroutine.h */
  struct task *current;
  struct coroutine *driver; /* its code drives the loop; NULL: the loop is not running */
  /* Ready tasks, first in first out. It has room for as many as there are slots in `threads`. */
  fifo ready;
  size_t batch;           /* turns left before a run looks at the clock */
  size_t live_count;      /* tasks that have not ended */
  size_t daemon_count;    /* of these, daemons */
  size_t service_count;   /* of these, services */
  size_t afters;          /* functions given to ctx:after that wait for the end of their context */
  list ending;            /* contexts that have ended, whose children and tasks must be told */
  int64_t polled_at_ns;   /* the time of the virtual clock */
  uint64_t polled_rounds; /* rounds since then in which tasks only yielded */
  bool inner_kept;        /* RUNTIME_UV_INNER has a stack */
  bool has_others;        /* the table of coroutines that are no task's has, or had, entries */
  bool spare_used;        /* the spare record was given away and must be renewed */
  bool shuffled;          /* run_with{seed=}: take ready tasks in random order */
  rng order;              /* of ready tasks, and of the ready cases of a select */
  struct selection *free_selections[SELECTION_POOLS]; /* see sync/select.c */
  int64_t budget_ns;                                  /* of one round; 0: none was given */
  uint64_t next_task_id;
  struct task *main_task; /* of the present run */
  /* of the run's host, and of the universe's main thread if that is another one */
  watched_hook watched[2];
  preemption preemption;
  struct interrupt_client *interrupt_clients; /* NULL: none */
  lua_Hook covered_hooks[INTERRUPT_HOOKS];    /* from 1: hooks of the user's that ours may cover */

  /* Panics without an owner yet (unhandled.c), the oldest first. */
  list unhandled_panics;
  unhandled_mode unhandled;
  unsigned hooks;    /* handlers, hooks and observers that are running */
  bool finishing;    /* the run's own tasks have ended, and handlers get the panics that are left */
  uint8_t aftermath; /* for tasks that the running handler spawns; 0: none runs */
  bool has_start_hook; /* RUNTIME_UV_ON_START is a function */
  bool interrupted;    /* a signal handler has ended the last run: RUNTIME_UV_INTERRUPT */
  bool ctrl_c;         /* the handler was that of lua.c */
  /*
  ** Writes the record at `index` to stderr: report_to_stderr, because the kernel knows no texts.
  ** [-0, +0, -]
  */
  void (*report)(lua_State *L, int index);

  const struct panic_heir_type *heir_type;    /* of scopes (scope/scope.c) */
  const struct task_member_type *member_type; /* of tasks in scopes and contexts (scope/spawn.c) */

  /* Frames. */
  const frame_type *entry_type; /* of tasks' outermost frames: frame_entry */
  frames_pool frames;
  cells cells;          /* of these */
  uint64_t last_serial; /* of a deferred call */
  uint64_t next_record;

  /* Identity. */
  id_source *ids;
  id_generator generator; /* of trace ids */
  sampler sampler;        /* of traces */
  const void *lease;      /* the lease of the generator's machine id, RUNTIME_UV_LEASE; or NULL */
  uint64_t uses;          /* the number of calls of trace.use so far */
  uint64_t in_use;        /* the number of the call that has set the generator */
  location_table locations;
  id_status no_id; /* the reason why the last trace id could not be made */

  /* The threads of tasks (threads.h). */
  uint32_t pool;    /* the slot of the first thread at rest, by slot_entry.next; 0: none rests */
  slot_table slots; /* of all threads, in use or at rest */
  slot_values slot_values;
  size_t pool_count;
  size_t pool_max; /* the most threads at rest */

  const void *task_metatable; /* the address of that of tasks, which the registry keeps */

  /* Registry references. */
  int self_ref;           /* this userdata */
  int defer_type_ref;     /* the metatable of deferred_handle */
  int record_type_ref;    /* the metatable of records */
  int task_type_ref;      /* the metatable of tasks */
  int slot_values_ref;    /* the holder of `slot_values` */
  int refusal_ref;        /* the error for code that resumes or closes a task's coroutine */
  int anchors_ref;        /* slabs of frame stacks */
  int cells_ref;          /* the holder of `cells` */
  int coroutines_ref;     /* weak: thread -> its coroutine, except for tasks and the main thread */
  int coroutine_type_ref; /* the metatable of these */
  int askers_ref;         /* weak: task -> the task that has cancelled it */
  int background_ref;     /* the root of all contexts */
  int alive_ref;          /* weak values: address of an object's part in C memory -> the object */
  /* Address -> a pinned context, table of a task's span, or thread of a coroutine. */
  int pinned_ref;
  int leaks_ref;      /* weak: the lists that co.leaks has returned */
  int bounded_ref;    /* weak: the objects of sync/bounded.h */
  int held_ref;       /* number -> held panic (unhandled.c); the numbers are luaL_ref's */
  int held_tasks_ref; /* weak values: the same number -> its task */

  /* Functions of the base library that let code suspend, or are not worth a frame in a report. */
  lua_CFunction base_error;
  lua_CFunction base_assert;
  lua_CFunction base_pcall;
  lua_CFunction base_xpcall;
  /* these turn errors of the parser, and of the functions that it calls, into results */
  lua_CFunction base_load;
  lua_CFunction base_loadfile;
  lua_CFunction base_dofile;

  lua_CFunction resume;  /* co.coroutine.resume */
  lua_CFunction wrapped; /* the functions that co.coroutine.wrap returns */
  /* the functions that end a context, which is their upvalue CANCELLER_CONTEXT */
  lua_CFunction canceller;
  machinery machinery[RUNTIME_MACHINERY_MAX];
  size_t machinery_count;

  probes probes;
  struct observers *observers;
  struct profiler *profiler; /* profiles and their labels (telemetry/profile.h); NULL: none yet */
  struct usage *usage;       /* of traces (span/usage.h); NULL: it is not counted */
  uint64_t allocated;        /* bytes, while a profile of allocations runs */
  bool notes_makers;         /* objects that tasks wait for note where they are made */
  struct order *lock_order;  /* of co.order (sync/order.h), while it is on; NULL: off */
  struct order *lock_order_made; /* the same, on or off; NULL: it was not needed yet */
  uint32_t bounded_count;        /* objects in bounded_ref; the collector may have taken some */
  uint64_t bounded_omitted;      /* objects for which there was no room there */
  /*
  ** Begins the span of the new task on top of the stack, which no script has seen yet. Called while
  ** a listener of spans is set. It is span_begin_task, which the kernel does not know. Never
  ** raises.   [-0, +0, -]
  */
  void (*begin_span)(struct runtime *rt, lua_State *L, struct task *t);
  struct ended_list
      *ended; /* the last tasks that have ended (telemetry/ended.h); NULL: none asked */
  /*
  ** Hears that code has got the outcome of an ended task: telemetry/ended.c. NULL while nobody has
  ** asked for the ended tasks.
  */
  void (*outcome_claimed)(struct runtime *rt, const struct task *t);
  uint64_t cancelled_count; /* tasks that have ended as cancelled */
  uint64_t leaked_count;    /* tasks found asleep with nothing left to wake them */
} runtime;

/* See runtime.canceller. */
enum { CANCELLER_CONTEXT = 2 };

/* Returns the universe's runtime; NULL before runtime_open.   [-0, +0, -] */
runtime *runtime_find(lua_State *L);

/* Makes the runtime on top of the stack the universe's.   [-1, +0, m] */
void runtime_register(lua_State *L);

/*
** Returns the runtime of the module's running C function, from a light upvalue, which is faster to
** read. The registry keeps the userdata until the universe is closed. For finalizers and the
** closing of variables, which are called also after the runtime's own end.   [-0, +0, -]
*/
static inline runtime *runtime_of_any(lua_State *L) {
  return (runtime *)lua_touserdata(L, lua_upvalueindex(1));
}

/* Raises "the Lua state is being closed".   [-0, +0, e] */
int runtime_refuse_closed(lua_State *L);

/* The same for functions that scripts call: raises after the runtime's end.   [-0, +0, e] */
static inline runtime *runtime_of(lua_State *L) {
  runtime *rt = runtime_of_any(L);
  if (rt->closed) runtime_refuse_closed(L);
  return rt;
}

/* Returns the time by the runtime's clock. */
static inline int64_t runtime_now(const runtime *rt) { return rt->backend->now(rt); }

/*
** Returns the time `seconds` from now; TIME_FOREVER if it is negative, as arg_check_timeout returns
** it.
*/
static inline int64_t runtime_deadline(const runtime *rt, double seconds) {
  return seconds < 0 ? TIME_FOREVER : clock_deadline_ns(runtime_now(rt), seconds);
}

/* Stops a timer, if it is set. */
static inline void runtime_stop_timer(runtime *rt, timer *t) {
  if (t->number != TIMER_IDLE) rt->backend->timer_stop(rt, t);
}

/* Adds a part, which is closed with the runtime, before the parts that were added earlier. */
void runtime_add_part(runtime *rt, runtime_part *part);

/* Notes it, while the runtime is being opened. */
void runtime_add_machinery(runtime *rt, machinery m);

/* Whether `f` opens frames, or runs their deferred calls. NULL: no C function, and false. */
bool runtime_is_driver(const runtime *rt, lua_CFunction f);

/* Whether reports do not show `f`. NULL: no C function, and false. */
bool runtime_is_machinery(const runtime *rt, lua_CFunction f);

/*
** Makes the metatable `type`, or finds it, with these metamethods, whose upvalue 1 is the runtime, and
** pushes it.   [-0, +1, m]
*/
void runtime_new_type(runtime *rt, lua_State *L, const char *type, const luaL_Reg *metamethods);

/* Pushes user value `uv` of the runtime.   [-0, +1, -] */
void runtime_push_value(runtime *rt, lua_State *L, int uv);

/* Pops a value and makes it user value `uv`.   [-1, +0, -] */
void runtime_set_value(runtime *rt, lua_State *L, int uv);

/*
** Notes that `part` is C memory of the object on top of the stack, by which runtime_push_alive then
** finds the object. C code does not point to an object, which may be garbage, but to such a part,
** or to an object that is anchored meanwhile.   [-0, +0, m]
*/
void runtime_note_alive(runtime *rt, lua_State *L, const void *part);

/*
** Pushes the object of which `part` is a part; nil once the object is garbage. Its finalizer may
** not have run yet, or may never run.   [-0, +1, -]
*/
void runtime_push_alive(const runtime *rt, lua_State *L, const void *part);

/* Names of the metatables in the registry. */
#define RECORD_TYPE "coropanic.record"
#define TASK_TYPE "coropanic.task"

#pragma GCC visibility pop

#endif
