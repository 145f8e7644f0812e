/*
** A task: a coroutine that the scheduler owns. It is one userdata, collected like any other object
** once it has ended and nobody holds it; until then the runtime anchors it.
**
**            spawn            taken from the queue
**   (none) ────────▶ READY ───────────────────────▶ RUNNING ──▶ DONE, PANICKED, CANCELLED, EXITED
**                      ▲                              │
**                      └── task_wake ── WAITING ◀── task_park
**
** Every way to end goes through task_end (task.c).
*/
#ifndef CP_KERNEL_TASK_H
#define CP_KERNEL_TASK_H

#include <stdbool.h>

#include "compat.h"
#include "core/list.h"
#include "core/timer.h"
#include "kernel/cancel.h"
#include "kernel/runtime.h"
#include "kernel/wait.h"

#pragma GCC visibility push(hidden)

typedef enum task_status {
  TASK_READY,
  TASK_RUNNING,
  TASK_WAITING,
  TASK_DONE,     /* returned */
  TASK_PANICKED, /* by an unrecovered panic */
  TASK_CANCELLED,
  TASK_EXITED, /* by goexit */
} task_status;

/* Why a task was woken; what the suspended operation does next depends on this alone. */
typedef enum wake_reason {
  WAKE_READY,
  WAKE_TIMEOUT,
  WAKE_CANCELLED,
  WAKE_DEADLOCK,
  WAKE_CLOSED,   /* the channel that it sends on, or its descriptor, was closed */
  WAKE_ABANDONED /* who held the lock that it waits for has ended without unlocking it */
} wake_reason;

/*
** A place in the queue of something that tasks wait for. A task that waits for one thing stands in
** its queue itself; a select stands in as many as it has cases.
*/
typedef struct waiter {
  list link;
  uint32_t which; /* 0: embedded in its task; else the number of the select's case, from 1 */
} waiter;

/*
** Something that has to happen when a task ends, however it ends: embedded in what is to be told
** (a lock that the task holds, a member of a waitgroup), which may go before the task does.
*/
typedef struct task_exit {
  struct task_exit *next;
  struct task_exit **place; /* what points to this one; NULL: in no task's list */
  /* Runs once, after it has left the list; must not raise. [-0, +0, -] */
  void (*run)(runtime *rt, lua_State *L, struct task_exit *self);
} task_exit;

/*
** Who waits for tasks, its members, to end, and is given their panics when nobody comes for them: a scope.
*/
typedef struct panic_heir {
  const struct panic_heir_type *type;
  uint32_t
      awaited; /* panics of members that tasks, woken by the end, are on the way to: unhandled.c */
} panic_heir;

typedef struct panic_heir_type {
  /*
  ** Takes the panic of a member that has ended, by unhandled_give, unless it is not for the heir, or there is no
  ** memory. The member is at `index`, its record on top of the stack.   [-0, +0, -]
  */
  void (*take)(runtime *rt, lua_State *L, panic_heir *heir, int index);
  /* A member has ended, and its panic, if any, is with whom it concerns; or nothing is awaited any more. */
  void (*told)(runtime *rt, panic_heir *heir);
} panic_heir_type;

/*
** What a task is a member of. It is made, and its memory freed, by whoever knows more of it (scope/member.h); to the
** kernel it is what follows.
*/
typedef struct task_member {
  const struct task_member_type *type;
  panic_heir *heir; /* NULL: nobody waits for the task */
} task_member;

typedef struct task_member_type {
  /* The new task, on top of the stack, begins.   [-0, +0, -] Calls nothing of scripts. */
  void (*join)(runtime *rt, lua_State *L, struct task *t);
  /* It has ended, or is not to be after all: frees its `member`.   [-0, +0, -] Calls nothing of scripts. */
  void (*leave)(runtime *rt, lua_State *L, struct task *t);
} task_member_type;

/* The task's user values. */
enum {
  TASK_UV_RESULT =
      CANCEL_SCOPE_UV_REASON, /* before the end: why its entry was cancelled; after it: nil, the result,
                     a table of results with n, or the record */
  TASK_UV_PARENT,             /* the spawner, or nil */
  TASK_UV_COUNT = TASK_UV_PARENT
};

typedef struct task {
  waiter waiter; /* the one queue that it is in: ready, or of what it waits for */
  union {
    struct {
      coroutine *top; /* in which its code may suspend: its own, or one inside it; pinned */
      list waiters;   /* tasks parked in join or await of this one, by waiter.link */
      /* While it is parked: what its C function goes on with, and how many values that has. */
      lua_KFunction continuation;
      lua_KContext context;
      int height;
    } live;
    struct {
      uint32_t comers; /* tasks that were woken to come for its panic and have not run yet */
      uint8_t trace_id[16];
    } ended;
  };
  coroutine coroutine;      /* its trace context is without a trace once ended */
  uint64_t id;              /* from 1, never reused */
  const location *location; /* where it was spawned */
  const wait_type *wait;    /* what it waits for, or waited for last */
  void *waits_on;     /* while WAITING: the task, waitlist, ... of `wait`; NULL: there is none */
  cancel_scope entry; /* the outermost of its cancel scopes */
  cancel_scope *innermost; /* of those that are open */
  task_member *member;     /* of what it is one; NULL: of nothing */
  task_exit *exits;        /* what happens at its end, the newest first */
  timer timer;
  int slot; /* in runtime.tasks and runtime.threads */
  union {
    int results; /* DONE: how many */
    int permits; /* waits for a semaphore: how many it wants */
  };
  uint32_t generation;  /* ancestors, kept or not */
  uint32_t wait_serial; /* counts parks, so that a late wake-up finds nobody */
  uint8_t status;       /* task_status */
  uint8_t wake;         /* wake_reason of the last wake-up */
  uint16_t fired;       /* what woke it: the case of a select, or what a descriptor is ready for */
  uint16_t asked;       /* how many of its cancel scopes are: something waits to be raised */
  uint8_t raises;       /* of an exit, one after the other, while the task did not suspend */
  bool forced; /* parked for good, to be unwound from outside; TASK_UV_RESULT has the record */
  uint8_t epilogues; /* attempts to run the entry frame's deferred calls */
  uint8_t aftermath; /* handlers at the end of a run that led to it, one by one */
  bool daemon;
  bool service; /* a daemon that ends last, when every other task of the run has */
  bool started;
  bool muted;  /* spawned by an observer, or by such a task: observers hear nothing of it */
  bool silent; /* a service, or spawned by such a task: it makes no spans */
  bool lost; /* its thread was closed while it ran, or yielded by itself, and is not to be reused */
  bool seen; /* code may know its thread, which is not to be reused either */
  bool leaked;   /* it was found asleep with nothing left to wake it */
  uint8_t owner; /* panic_owner: who answers for its panic (unhandled.h) */
  char name[];   /* "": unnamed, shown as "task <id>" */
} task;

static inline bool task_ended(const task *t) { return t->status >= TASK_DONE; }

/* The live task's code runs now. */
static inline void task_enter(runtime *rt, task *t) {
  rt->current = t;
  rt->running = t->live.top;
}

/* Now that which drives the loop goes on. */
static inline void task_leave(runtime *rt) {
  rt->current = NULL;
  rt->running = rt->driver;
}

/* Room for the name of an unnamed task. */
#define TASK_NAME_SIZE 32

/* The task's name; `buffer` is used when it has none of its own. */
const char *task_name(const task *t, char buffer[TASK_NAME_SIZE]);

/* "ready", "running", ... as `t:status()` gives it. */
const char *task_status_name(task_status status);

/* "ready", "timeout", ... for observers. */
const char *wake_reason_name(wake_reason reason);

/* The task at `index`, or NULL when there is something else.   [-0, +0, -] */
task *task_test(lua_State *L, int index);

/* Pushes a live task.   [-0, +1, -] */
void task_push(runtime *rt, lua_State *L, const task *t);

/* Whether a task makes spans, while somebody listens, and whether observers hear of it. */
typedef enum spawn_spans {
  SPANS_AS_SPAWNER, /* unless that is a task that makes none */
  SPANS_YES,
  SPANS_NO,
  SPANS_MUTED /* nor do observers hear of anything that it does */
} spawn_spans;

/* What keeps count of the tasks that are spawned in it, such as a waitgroup: how a new task joins it. */
typedef struct spawn_group_type {
  /* Gets the memory for one more task. NULL: there is none. The task that is being made may still come to nothing. */
  void *(*reserve)(runtime *rt, void *group);
  /* The task, for which this was reserved, belongs to the group.   [-0, +0, -] Calls nothing of scripts. */
  void (*join)(runtime *rt, lua_State *L, struct task *t, void *reserved);
} spawn_group_type;

typedef struct spawn_options {
  const char *name; /* NULL or "": unnamed */
  bool daemon;
  bool service;   /* a daemon, which ends last */
  int attributes; /* stack index of a table; 0: none */
  uint8_t spans;  /* spawn_spans */
  /*
  ** Makes the new task a member: returns what its `member` is to be; NULL: nothing.   [-0, +0, m]
  ** NULL: it is one of nothing.
  */
  task_member *(*become_member)(runtime *rt, lua_State *L, struct task *t,
                                const struct spawn_options *options);
  /* The ids under which it goes on. NULL: the spawner's; without a trace: it begins one. */
  const trace_ids *trace;
  const spawn_group_type *group_type; /* NULL: it joins no group */
  void *group;
} spawn_options;

/*
** Makes a task of the function and its `arguments` on top of the stack, ready to run, and pushes
** it.
**   [-(arguments + 1), +1, m]
** Its parent is the current task, and its trace the current one's unless the options say otherwise.
*/
task *task_spawn(runtime *rt, lua_State *L, int arguments, const spawn_options *options);

/*
** Ends the task: the one way out, however it came to its end.   [-values, +0, -]
** Takes from L's stack what the status asks for: the `values` results (DONE), or the record (else).
** Wakes whoever waits for it; passes on what nobody waits for. Never raises.
*/
void task_end(runtime *rt, lua_State *L, task *t, task_status status, int values);

/* The id of the trace in which the task's code is, or its own trace once it has ended: 16 bytes. */
const uint8_t *task_trace_id(task *t);

/* Pushes the attributes that the task at `index` was spawned with, or nil.   [-0, +1, -] */
void task_push_attributes(const runtime *rt, lua_State *L, int index);

/* Lets `exit`, whose `run` is set and which is in no list, happen when the live task ends. */
void task_on_end(task *t, task_exit *exit);

/* Takes `exit` out of the list that it is in; harmless when it is in none. */
void task_exit_remove(task_exit *exit);

/* Pushes the record of the task at `index`, which did not end well.   [-0, +1, -] */
void task_push_record(lua_State *L, int index);

/* Pushes the results of the task at `index`, which is DONE, and returns their count.   [-0, +n, e]
 */
int task_push_results(lua_State *L, const task *t, int index);

/* Puts a READY task at the end of the queue, and tells a host that polls between two steps. */
static inline void task_enqueue(runtime *rt, task *t) {
  list_append(&rt->ready, &t->waiter.link);
  rt->ready_count++;
  if (rt->driver == NULL) rt->backend->notify(rt);
}

/* Whether a cancellation or exit may have to be raised at the task's next suspension point. */
static inline bool task_needs_unwinding(const task *t) {
  return t->asked > 0 || (t->coroutine.frames != NULL && frames_is_exiting(t->coroutine.frames));
}

/* Raises why the code that runs on L can't suspend. */
int task_refuse_suspension(runtime *rt, lua_State *L, const char *name);

/*
** Raises unless the code that runs on L may suspend: it must be a task's own and no C function may
** be in the way. Returns the task. Raises the pending cancellation, if any, as every suspension
** point does.
**   name  the API function, for the message
*/
static inline task *task_check_suspend(runtime *rt, lua_State *L, const char *name) {
  task *t = rt->current;
  if (t == NULL || t->live.top->thread != L || !lua_isyieldable(L)) {
    task_refuse_suspension(rt, L, name);
    compat_unreachable();
  }
  if (task_needs_unwinding(t)) cancel_raise(rt, L, t);
  return t;
}

/*
** Raises the pending cancellation, if any, in code that may or may not have to suspend: the code of
** a task, that is.   [-0, +0, e]
*/
static inline void task_raise_pending(runtime *rt, lua_State *L) {
  task *t = rt->current;
  if (t != NULL && t->live.top->thread == L && task_needs_unwinding(t)) cancel_raise(rt, L, t);
}

/*
** Parks the current task; to be returned from a C function.   [-0, +0, e]
** The caller has put the task's waiter into a queue, or set `waits_on` besides, as `wait` needs.
**   deadline_ns   TIME_FOREVER for none
**   continuation  runs on wake, with what is on the stack now and what the waker has pushed; it must
**                 call task_check_wake, or look at `wake` itself
** Whoever else resumes the thread is refused, and the task goes on waiting.
*/
int task_park(runtime *rt, lua_State *L, const wait_type *wait, int64_t deadline_ns,
              lua_KContext context, lua_KFunction continuation);

/* What is said to whoever resumes or closes the coroutine of a task. */
#define TASK_REFUSAL \
  "this coroutine belongs to a task of coropanic: only its scheduler may resume or close it"

/*
** A parked thread was resumed by somebody who may not do it: it yields again, nil and the refusal, and
** goes on waiting as it was. To be returned from the continuation, which is called with the runtime as
** its context when the thread is resumed once more.   [-?, +2, -]
*/
int task_refuse_resumption(runtime *rt, lua_State *L, lua_KFunction continuation);

/* The current task, on waking: raises what it was woken with (cancellation, deadlock). */
task *task_check_wake(runtime *rt, lua_State *L);

/* The continuation of waits that return nothing. The context is the runtime. */
int task_after_wait(lua_State *L, int status, lua_KContext runtime_address);

/*
** Whether the task waits although its coroutine is dead, because somebody has closed it: then it is
** made ready, and ends at its next turn.
*/
bool task_is_closed(runtime *rt, task *t);

/* Makes a parked task ready. Never raises. */
void task_wake(runtime *rt, task *t, wake_reason reason);

#pragma GCC visibility pop

#endif
