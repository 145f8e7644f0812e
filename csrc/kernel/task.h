/*
** A task: a coroutine that the scheduler owns. It is one userdata, collected like any other object
** once it has ended and nothing refers to it; until then the runtime anchors it.
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
#include <stddef.h>

#include "compat.h"
#include "core/list.h"
#include "core/timer.h"
#include "kernel/cancel.h"
#include "kernel/coroutine.h"
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

/* Why a task was woken. The suspended operation decides by this alone what to do next. */
typedef enum wake_reason {
  WAKE_READY,
  WAKE_TIMEOUT,
  WAKE_CANCELLED,
  WAKE_DEADLOCK,
  WAKE_LEAKED,   /* co.leaks ends it, and it waits where a cancellation is not raised */
  WAKE_CLOSED,   /* the channel or descriptor that it waits for was closed */
  WAKE_ABANDONED /* the owner of the lock that it waits for has ended without unlocking it */
} wake_reason;

/*
** A waiter stands in a queue of waiting tasks. A task that waits for one thing is one waiter; a
** select has one for each of its cases.
*/
typedef struct waiter {
  list link;
  uint16_t which; /* 0: embedded in its task; else the number of the select's case, from 1 */
  uint16_t place; /* of a select's case: its index in the selection (sync/chan.h) */
  union {
    /* of a select's case: index of the value to send, with the channel above; 0: it receives */
    int value;
    int permits; /* that the task wants from a semaphore, or was given by it */
    /* what woke the task: the number of a select's case, or the ready directions of a descriptor */
    uint32_t fired;
  };
} waiter;

/*
** A call that must be made when a task ends, however it ends. It is embedded in the object to be
** told (a lock that the task holds, a member of a waitgroup), which may be freed before the task
** ends.
*/
typedef struct task_exit {
  struct task_exit *next;
  struct task_exit **place; /* the pointer to this one; NULL: in no task's list */
  /* Runs once, after it has left the list; must not raise.   [-0, +0, -] */
  void (*run)(runtime *rt, lua_State *L, struct task_exit *self);
} task_exit;

/*
** The heir of the panics of tasks: the scope that waits for them, its members. It gets a panic if
** no task comes for it.
*/
typedef struct panic_heir {
  uint32_t awaited : 31; /* members' panics for which woken tasks are on the way: see unhandled.c */
  bool asked : 1; /* the program has asked it to cancel its members, and so knows their end */
} panic_heir;

/* There is one such type, runtime.heir_type. */
typedef struct panic_heir_type {
  /*
  ** Takes the panic of a member that has ended, by unhandled_give; does not if the panic is not for
  ** the heir, or there is no memory. The member is at `index`, and its record on top of the stack.
  ** [-0, +0, -]
  */
  void (*take)(runtime *rt, lua_State *L, panic_heir *heir, int index);
  /*
  ** Called when a member has ended and its panic, if any, has an owner; or when no panic is awaited
  ** any more.
  */
  void (*told)(runtime *rt, panic_heir *heir);
} panic_heir_type;

/*
** A task as a member of a scope or a context. scope/member.h knows more of it; csrc/scope makes and
** frees it. The kernel knows only this part.
*/
typedef struct task_member {
  panic_heir *heir; /* NULL: no scope waits for the task */
} task_member;

/* There is one such type, runtime.member_type. */
typedef struct task_member_type {
  /*
  ** Called when the new task, on top of the stack, begins. Calls nothing of scripts.   [-0, +0, -]
  */
  void (*join)(runtime *rt, lua_State *L, struct task *t);
  /*
  ** Called when the task has ended, or could not be made: frees its `member`. Calls nothing of
  ** scripts.   [-0, +0, -]
  */
  void (*leave)(runtime *rt, lua_State *L, struct task *t);
} task_member_type;

/* The task's user values. It has only as many as it needs (task.c). */
enum {
  /*
  ** Before the end: the reason for which its entry was cancelled. After it: nil, the result, a
  ** table of results with n, or the record.
  */
  TASK_UV_RESULT = CANCEL_SCOPE_UV_REASON,
  TASK_UV_PARENT,    /* the spawner; lacking or nil: none, or none any more */
  TASK_UV_ATTRIBUTES /* with which it was spawned; lacking: none */
};

/* Bits of task.before_turn. */
enum {
  TURN_BEGINS = 1, /* its first turn; cleared then */
  TURN_METERED = 2 /* it has a CPU budget (cpu_budget.h) */
};

/* task.aftermath has room for more than HANDLER_MAX_DEPTH. */
#define TASK_AFTERMATH_MAX 15u

typedef struct task {
  /* What a switch and a wake-up need comes first, so that it is on as few cache lines as can be. */
  waiter waiter;         /* in the queue of the object that it waits for */
  const wait_type *wait; /* the type of its wait, or of its last one */
  void *waits_on;        /* while WAITING: the task, waitlist, ... that it waits for; NULL: none */
  union {
    struct {
      list *joiners; /* a ring: tasks that wait in join or await of this one, by waiter.link */
      task_member *member; /* NULL: it is in no scope, and under no context */
      int height;          /* while it waits: the number of values on the stack of its C function */
      timer timer;
    } live;
    struct {
      uint32_t comers; /* tasks that were woken to come for its panic and have not run yet */
      union {
        int results; /* DONE: their number */
        struct {
          uint32_t owner : 2; /* PANICKED: panic_owner, the owner of its panic (unhandled.h) */
          uint32_t held : 30; /* its held panic's number; 0, or one that is not its own: none */
        };
      };
      uint8_t trace_id[16];
    } ended;
  };
  cancel_scope entry;  /* its outermost cancel scope */
  uint16_t location;   /* number of the place where it was spawned */
  uint32_t generation; /* ancestors, kept or not */
  uint8_t status;      /* task_status */
  uint8_t wake;        /* wake_reason of the last wake-up */
  uint16_t asked;      /* how many of its cancel scopes were asked to end and wait to be raised */
  uint8_t raises;      /* raises of an exit in a row, without a suspension */
  uint8_t epilogues;   /* attempts to run the entry frame's deferred calls */
  /* the number of handlers in the chain that led to it, at the end of a run */
  uint8_t aftermath : 4;
  bool daemon : 1;
  bool service : 1;        /* a daemon that ends last, when every other task of the run has */
  uint8_t before_turn : 2; /* what has to be done before its next turn: TURN_BEGINS, TURN_METERED */
  /* parked for good, and must be unwound from outside; TASK_UV_RESULT has the record */
  bool forced : 1;
  bool muted : 1;  /* spawned by an observer, or by such a task: observers hear nothing of it */
  bool silent : 1; /* a service, or spawned by such a task: it makes no spans */
  /* its thread was closed while it ran, yielded by itself, or died in a hook: it is not reused */
  bool lost : 1;
  bool seen : 1;       /* code may know its thread, so it must not be reused */
  bool leaked : 1;     /* it was found asleep, with nothing left to wake it */
  bool sampled : 1;    /* after its end: its trace was */
  bool named : 1;      /* else it has no room for a name, and is shown as "task <id>" */
  coroutine coroutine; /* its trace context is without a trace once it has ended */
  task_exit *exits;    /* the calls to make at its end, the newest first */
  uint64_t id;         /* from 1, never reused */
  char name[];
} task;

/* So many bytes of a parked task are ours, besides its object's header and user values. */
_Static_assert(sizeof(void *) != 8 || sizeof(task) <= 160, "a parked task has grown");

/* Whether the task has had a turn, so that it has frames, and code that can be unwound. */
static inline bool task_has_begun(const task *t) { return (t->before_turn & TURN_BEGINS) == 0; }

static inline bool task_ended(const task *t) { return t->status >= TASK_DONE; }

/* Whether an observer is running, or the task `t` (NULL: none) was spawned by one. */
static inline bool task_is_muted(const runtime *rt, const task *t) {
  return rt->probes.muted > 0 || (t != NULL && t->muted);
}

/* Whether the task was woken although what it waits for will never happen. */
static inline bool task_is_hopeless(const task *t) {
  return t->wake == WAKE_DEADLOCK || t->wake == WAKE_LEAKED;
}

/* Call it when the code of a live task begins to run. */
static inline void task_enter(runtime *rt, task *t) {
  cp_assert(rt->current == NULL && rt->running == rt->driver);
  rt->current = t;
  rt->running = t->coroutine.top;
}

/* Call it when the code of the task stops, and the code that drives the loop goes on. */
static inline void task_leave(runtime *rt) {
  rt->current = NULL;
  rt->running = rt->driver;
}

/* Returns the innermost open cancel scope inside the task's entry; NULL: none. */
static inline inner_cancel_scope *task_innermost(const task *t) {
  const frame_stack *s = t->coroutine.frames; /* a cancel scope has a frame */
  return s == NULL ? NULL : s->innermost;
}

/* Room for the name of an unnamed task. */
#define TASK_NAME_SIZE 32

/* Returns the name that the task was given; "": none. */
static inline const char *task_given_name(const task *t) { return t->named ? t->name : ""; }

/* Returns the place where the task was spawned, "file.lua:12" or "?". */
static inline const char *task_spawned_at(const runtime *rt, const task *t) {
  return location_numbered(&rt->locations, t->location)->text;
}

/* Returns the task's name; writes one to `buffer` if the task has none. */
const char *task_name(const task *t, char buffer[TASK_NAME_SIZE]);

/* Returns the name as in `t:status()`: "ready", "running", ... */
const char *task_status_name(task_status status);

/* Returns the name for observers: "ready", "timeout", ... */
const char *wake_reason_name(wake_reason reason);

/* Returns the task at `index`, or NULL if another value is there.   [-0, +0, -] */
task *task_test(lua_State *L, int index);

/* Pushes a live task.   [-0, +1, -] */
void task_push(runtime *rt, lua_State *L, const task *t);

/* Whether a new task makes spans while a listener is set, and whether observers hear of it. */
typedef enum spawn_spans {
  SPANS_AS_SPAWNER, /* as the spawner, which may make none */
  SPANS_YES,
  SPANS_NO,
  SPANS_MUTED /* and observers hear nothing of it */
} spawn_spans;

/* The type of an object that counts the tasks spawned in it, such as a waitgroup. */
typedef struct spawn_group_type {
  /*
  ** Reserves the memory for one more task; NULL: there is none. The task may still fail to be made.
  */
  void *(*reserve)(runtime *rt, void *group);
  /*
  ** Adds the task, for which `reserved` was reserved, to the group. Calls nothing of scripts.
  ** [-0, +0, -]
  */
  void (*join)(runtime *rt, lua_State *L, struct task *t, void *reserved);
} spawn_group_type;

/*
** The stack index of the metatable of tasks in functions that are registered with it as an upvalue
** (lib_register_spawners), so that a spawn looks nothing up.
*/
#define TASK_TYPE_OF_UPVALUE lua_upvalueindex(2)

/*
** In other code: pushes the metatable below the function and its `arguments` on top of the stack,
** ensures LUA_MINSTACK slots, and returns its index.   [-0, +1, e]
*/
int task_push_type(runtime *rt, lua_State *L, int arguments);

typedef struct spawn_options {
  int type;         /* stack index of runtime.task_type_ref, the metatable of tasks */
  const char *name; /* NULL or "": unnamed */
  bool daemon;
  bool service;   /* a daemon that ends last */
  int attributes; /* stack index of a table; 0: none */
  uint8_t spans;  /* spawn_spans */
  /*
  ** Makes the new task's `member` and returns it, or returns NULL if the task needs none. The field is
  ** NULL if the task can need none.   [-0, +0, m]
  */
  task_member *(*become_member)(runtime *rt, lua_State *L, struct task *t,
                                const struct spawn_options *options);
  /* The ids under which it runs. NULL: the spawner's; without a trace: it begins one. */
  const trace_ids *trace;
  const spawn_group_type *group_type; /* NULL: it joins no group */
  void *group;
} spawn_options;

/*
** Pops a function and its `arguments`, makes a task of them that is ready to run, and pushes it.
** Its parent is the current task. Unless the options say otherwise, its trace is the current one.
** There must be half of LUA_MINSTACK free slots.   [-(arguments + 1), +1, m]
*/
task *task_spawn(runtime *rt, lua_State *L, int arguments, const spawn_options *options);

/*
** Ends the task; every way to end goes through this. Pops from L's stack what the status asks for:
** the `values` results (DONE), or the record (else). Wakes the tasks that wait for it, and passes
** its panic on. Never raises. L is the thread that drives the loop, in the function that drives it.
** [-values, +0, -]
*/
void task_end(runtime *rt, lua_State *L, task *t, task_status status, int values);

/*
** Returns the 16 bytes of the id of the trace in which the task's code is; of its own trace once it
** has ended.
*/
const uint8_t *task_trace_id(task *t);

/* Pushes the attributes with which the task at `index` was spawned, or nil.   [-0, +1, -] */
void task_push_attributes(lua_State *L, int index);

/* Tells whoever watches ended tasks that code has got, or knows, the outcome of this one. */
static inline void task_claim(runtime *rt, const task *t) {
  if (rt->outcome_claimed != NULL) rt->outcome_claimed(rt, t);
}

/* Makes `exit` run when the live task ends. Its `run` must be set, and it must be in no list. */
void task_on_end(task *t, task_exit *exit);

/* Takes `exit` out of its list; harmless if it is in none. */
void task_exit_remove(task_exit *exit);

/* Pushes the record of the task at `index`, which has not returned.   [-0, +1, -] */
void task_push_record(lua_State *L, int index);

/*
** Pushes the results of the task at `index`, which is DONE, and returns their number.   [-0, +n, e]
*/
int task_push_results(lua_State *L, const task *t, int index);

/* Puts a READY task at the end of the queue, and notifies a host that polls between two steps. */
static inline void task_enqueue(runtime *rt, task *t) {
  cp_assert(list_empty(&t->waiter.link));
  fifo_add(&rt->ready, t);
  if (rt->driver == NULL) rt->backend->notify(rt);
}

/* Whether a cancellation or exit may have to be raised at the task's next suspension point. */
static inline bool task_needs_unwinding(const task *t) {
  return t->asked > 0 || (t->coroutine.frames != NULL && frames_is_exiting(t->coroutine.frames));
}

/*
** Raises an error that says why the code on L can't suspend.
**   name  the API function
*/
int task_refuse_suspension(runtime *rt, lua_State *L, const char *name);

/*
** Returns the current task. Raises unless the code that runs on L may suspend: it must be a task's
** own, with no C function in the way. Raises the pending cancellation, if any, as every suspension
** point does.   [-0, +0, e]
**   name  the API function, for the message
*/
static inline task *task_check_suspend(runtime *rt, lua_State *L, const char *name) {
  task *t = rt->current;
  if (t == NULL || t->coroutine.top->thread != L || !lua_isyieldable(L)) {
    task_refuse_suspension(rt, L, name);
    compat_unreachable();
  }
  if (task_needs_unwinding(t)) cancel_raise(rt, L, t);
  return t;
}

/*
** Raises the pending cancellation, if any, if the running code is a task's; for operations that may
** not have to suspend.   [-0, +0, e]
*/
static inline void task_raise_pending(runtime *rt, lua_State *L) {
  task *t = rt->current;
  if (t != NULL && task_needs_unwinding(t) && t->coroutine.top->thread == L) cancel_raise(rt, L, t);
}

/*
** Parks the current task, which goes on in the continuation of `wait`. Return the result from a C
** function. Before, put the task's waiter into a queue, or also set `waits_on`, as `wait` needs. If
** other code resumes the thread, it is refused, and the task goes on waiting.   [-0, +0, e]
**   deadline_ns  TIME_FOREVER for none
*/
int task_park(runtime *rt, lua_State *L, const wait_type *wait, int64_t deadline_ns);

/*
** The same in fewer instructions, for waits without a deadline. Lua itself calls `resumed`, whose
** context is the runtime. It must begin by returning task_refuse_resumption unless task_is_resumed.
** Of the stack it may then rely on the values that the task has left, and on top on those that the
** waker has pushed: a host that has resumed the thread, against the rules, may have left others
** between them (task_tidy_stack).
**   height  the number of values on the stack
*/
static inline int task_park_plainly(runtime *rt, lua_State *L, const wait_type *wait, int height,
                                    lua_KFunction resumed) {
  task *t = rt->current;
  t->wait = wait;
  t->status = TASK_WAITING;
  t->live.height = height;
  return lua_yieldk(L, 0, (lua_KContext)rt, resumed);
}

/* Whether the scheduler has resumed the parked thread, and no other code. */
static inline bool task_is_resumed(const runtime *rt, const lua_State *L) {
  return rt->running->thread == L;
}

/* Takes away what other code has left on the stack of the task, which has parked. */
static inline void task_tidy_stack(const task *t, lua_State *L) {
  if (lua_gettop(L) != t->live.height) lua_settop(L, t->live.height);
}

/* The reason for which co.leaks ends a task. */
#define TASK_LEAKED_TEXT "nothing that is still in use can wake the task"

/* The error for code that resumes or closes the coroutine of a task. */
#define TASK_REFUSAL \
  "this coroutine belongs to a task of coropanic: only its scheduler may resume or close it"

/*
** Call it in the continuation of a parked thread that other code has resumed: the thread yields
** again, with nil and the refusal, and goes on waiting. Return the result from the continuation,
** which is called again, with the runtime as its context, when the thread is resumed once more.
** [-?, +2, -]
*/
int task_refuse_resumption(runtime *rt, lua_State *L, lua_KFunction continuation);

/*
** Returns the current task after it was woken. Raises the cancellation or deadlock with which it
** was woken.   [-0, +0, e]
*/
task *task_check_wake(runtime *rt, lua_State *L);

/* Returns the live task whose own thread it is; NULL: none.   [-0, +0, -] */
task *task_owning(runtime *rt, lua_State *L, const lua_State *thread);

/*
** Returns the live task that waits in L, its own thread or that of a coroutine inside it; NULL:
** none.   [-0, +0, -]
*/
task *task_waiting_in(runtime *rt, lua_State *L);

/* Takes the task out of its innermost coroutine, which is then in this state.   [-0, +0, -] */
void task_leave_innermost(runtime *rt, lua_State *L, task *t, coroutine_state state);

/*
** Call it when the task has come back from the coroutines that it is in although they have not
** ended: they are lost.   [-0, +0, -]
*/
void task_lose_coroutines(runtime *rt, lua_State *L, task *t);

/* The continuation of waits that return nothing. Its context is the runtime. */
int task_after_wait(lua_State *L, int status, lua_KContext runtime_address);

/*
** Whether the task waits although its coroutine is dead, because a script has closed it. If so,
** makes the task ready, and it ends at its next turn.
*/
bool task_is_closed(runtime *rt, task *t);

/* Makes a waiting task ready. Never raises. */
void task_wake(runtime *rt, task *t, wake_reason reason);

/* Tells the sinks that the task was woken.   [-0, +0, -] */
void task_tell_wake(runtime *rt, const task *t);

/* The last step of a wake-up: the task has left its queues, and its timer is stopped. */
static inline void task_make_ready(runtime *rt, task *t, wake_reason reason) {
  t->waits_on = NULL;
  t->status = TASK_READY;
  t->wake = (uint8_t)reason;
  if (probe_is_wanted(&rt->probes, PROBE_WAKE)) task_tell_wake(rt, t);
  task_enqueue(rt, t);
}

/*
** The same as task_wake for a task that waits in one queue, without a deadline, and is served.
** Inline, because a message costs little more than this.
*/
static inline void task_wake_served(runtime *rt, task *t) {
  cp_assert(t->status == TASK_WAITING && t->wait->leave == NULL &&
            t->live.timer.number == TIMER_IDLE);
  list_remove(&t->waiter.link);
  task_make_ready(rt, t, WAKE_READY);
}

#pragma GCC visibility pop

#endif
