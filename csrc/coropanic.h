/*
** coropanic for C hosts: tasks, waiting, panics and traces from C.
**
** A host that has a loop (a game, a server) never calls co.run. It spawns tasks, calls cp_step once
** each time round, does its own work, and then waits for its own events, but no longer than
** cp_timeout. C functions that scripts call may park their task and be woken by a callback of the
** host, by another thread, or by a signal handler.
**
** Each comment ends with the stack effect as the Lua manual writes it: [-pops, +pushes, errors].
** Errors: `-` the function never raises; `m` it may raise for want of memory; `e` it may raise other
** errors, which its comment names. Functions that raise must be called in a protected call
** (lua_pcall), as those of Lua itself; cp_open, cp_pspawn and cp_pstep are protected themselves.
** Like the functions of lua.h, each needs free stack slots for what it pushes.
**
** Threads. A Lua state and its runtime belong to one thread at a time. Only cp_wake_from_thread,
** cp_wake_from_thread_p, cp_version and cp_version_num may be called from any other thread, and from
** signal handlers. Two runtimes in two threads do not see each other.
**
** Versions follow semantic versioning (semver.org), for the sources and for the binary interface:
** within a major version no function is removed or changes its signature, no constant changes its
** value, and structs only grow at their end. Structs that begin with `size` tell the library how
** much of them the program knows: set it to sizeof. A library that is newer than the program leaves
** out what the program does not know. A library that is older refuses fields that it does not know
** unless they are 0.
*/
#ifndef COROPANIC_H
#define COROPANIC_H

#include <lua.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* The version of this header and of the module: co._VERSION. Makefile reads it here. */
#define CP_VERSION "1.0.0"
#define CP_VERSION_NUM 10000 /* major * 10000 + minor * 100 + patch */

#define CP_API __attribute__((visibility("default")))

/* === opening ================================================================================ */

/*
** Opens the module and pushes its table.   [-0, +1, m]
** Static hosts: luaL_requiref(L, "coropanic.core", luaopen_coropanic_core, 0), or cp_open.
*/
CP_API int luaopen_coropanic_core(lua_State *L);

/*
** Opens the module, so that scripts find it by require "coropanic", without files.   [-0, +(0|1), -]
** Returns LUA_OK, or another status of lua_pcall, and then pushes the error. Harmless if it is open.
** The functions below open the module themselves, without telling `require`.
*/
CP_API int cp_open(lua_State *L);

/* Return the version of the library that runs; CP_VERSION is that of the header.   [-0, +0, -] */
CP_API const char *cp_version(void);
CP_API int cp_version_num(void);

/*
** Closes the state, as lua_close, and returns 1. Returns 0, and does nothing, while code of the state
** runs that would come back to it: cp_step, a task, a handler, a finalizer, or any function that Lua
** has called. Then stop stepping, and close the state when you are out of these.   [-?, +0, -]
** Live tasks are dropped without running their deferred calls: use cp_shutdown before.
*/
CP_API int cp_close(lua_State *L);

/* === tasks ================================================================================== */

/*
** Makes a task of the function and its `arguments` on top of the stack, and pushes the task.
**   [-(arguments + 1), +1, e]
** It is a child of the running task, if there is one, and runs at the next cp_step. Errors: not
** enough memory; the value to run is not callable.
*/
CP_API void cp_spawn(lua_State *L, int arguments);

/* Options of cp_spawn_with. What is 0 or NULL is not given. */
typedef struct cp_spawn_options {
  size_t size;      /* sizeof(cp_spawn_options) */
  const char *name; /* copied */
  int daemon;       /* co.run does not wait for it */
  int context;      /* stack index of a context; else the running code's */
  int attributes;   /* stack index of a table, for task.attributes */
  /*
  ** The request that the task works for: the values of its headers. Without a valid traceparent a
  ** trace begins. NULL: the trace of the running code.
  */
  const char *traceparent;
  const char *tracestate;
  int detached_trace; /* begins a trace of its own, if there is no traceparent */
  /*
  ** The host's pointer, for cp_data. `free` is called once with it: when the task has ended, when
  ** cp_setdata replaces it, or when the state is closed. It must not call Lua. If the task can not be
  ** made, it is not called.
  */
  void *data;
  void (*free)(void *data);
} cp_spawn_options;

/*
** As cp_spawn, with options; NULL: none.   [-(arguments + 1), +1, e]
** Errors also: an option is not as it should be.
*/
CP_API void cp_spawn_with(lua_State *L, int arguments, const cp_spawn_options *options);

/*
** The same, protected: returns LUA_OK, and pushes the task, or a status of lua_pcall, and pushes the
** error.   [-(arguments + 1), +1, -]
** Needs four free stack slots.
*/
CP_API int cp_pspawn(lua_State *L, int arguments, const cp_spawn_options *options);

/* The status of a task. The first three are of live tasks. */
typedef enum cp_task_status {
  CP_READY,
  CP_RUNNING,
  CP_WAITING,
  CP_DONE,      /* returned */
  CP_PANICKED,  /* by an unrecovered panic */
  CP_CANCELLED, /* by cp_cancel, the end of its context, of its scope, or of the run */
  CP_EXITED     /* by co.goexit */
} cp_task_status;

/* Pushes the running task and returns 1. Returns 0, and pushes nothing, if none runs.
**   [-0, +(0|1), -] */
CP_API int cp_current(lua_State *L);

/* Whether the value at `index` is a task.   [-0, +0, -] */
CP_API int cp_is_task(lua_State *L, int index);

/* Raises `bad argument #arg (task expected, got ...)` unless the argument is a task.   [-0, +0, e] */
CP_API void cp_check_task(lua_State *L, int arg);

/* Returns a cp_task_status; -1: the value at `task` is no task.   [-0, +0, -] */
CP_API int cp_status(lua_State *L, int task);

/* Returns the task's id, from 1 and never used again; 0: the value is no task.   [-0, +0, -] */
CP_API uint64_t cp_id(lua_State *L, int task);

/* Returns the number of tasks that have not ended.   [-0, +0, -] */
CP_API size_t cp_live(lua_State *L);

/*
** Pops the reason, any value, and asks the task at `task` to end: its next suspension point, or the
** present one, raises, and its deferred calls run. Returns 1; 0: it has ended, or is no task.
**   [-1, +0, m]
*/
CP_API int cp_cancel(lua_State *L, int task);

/*
** Pushes the outcome of the task at `task` if it has ended: its results, or its panic record.
** Returns the number of values; -1, and pushes nothing: it has not ended, or is no task. Does not
** wait. A record that was pushed is the caller's to tell of: it does not go to the panic handler.
**   [-0, +n, e]
** Errors: there is no room on the stack.
*/
CP_API int cp_outcome(lua_State *L, int task);

/*
** Returns the host's pointer of the task at `task`; NULL: it has none, has ended, or is no task.
**   [-0, +0, -]
*/
CP_API void *cp_data(lua_State *L, int task);

/*
** Sets the host's pointer; see cp_spawn_options. Frees the former one. Returns 1; 0, and frees
** nothing: the task has ended, there is no memory, or the value is no task.   [-0, +0, -]
**   free  NULL: nothing is called
*/
CP_API int cp_setdata(lua_State *L, int task, void *data, void (*free)(void *data));

/* === waiting ================================================================================ */

/*
** A token names one wait of one task. It is a plain number: keep it where you like, also in a callback's
** `void *` if that has 64 bits. It may be used at any time, also after the wait is over, the task has
** ended, or the state was closed; then the answer is CP_LATE. 0 is never a token.
*/
typedef uint64_t cp_token;

/* The answers of cp_wake and its like. */
enum {
  CP_WOKEN = 1,         /* the task goes on with the values */
  CP_LATE = 0,          /* harmless: it goes on for another reason, or has gone on */
  CP_BAD_TOKEN = -1,    /* no such token was made in this state's runtime, or the state has none */
  CP_WRONG_THREAD = -2, /* cp_wake in another thread than the runtime's: use cp_wake_from_thread */
  CP_NO_MEMORY = -3     /* and the task goes on waiting */
};

/* The status with which the continuation of cp_park runs, besides LUA_YIELD: it was woken. */
#define CP_TIMED_OUT 64

/*
** Returns a token for the next wait of the running task. Get it before you start the operation that
** will wake the task, then call cp_park: the wake-up may come in between.   [-0, +0, e]
** Errors: the running code can not suspend; the task was cancelled; not enough memory.
*/
CP_API cp_token cp_open_token(lua_State *L);

/*
** Parks the running task on its token. As with lua_yieldk, return the result at once, and the C
** function goes on in `k`. Its stack is as it was, with the values of the wake-up on top.
**   [-0, +n, e]
**   seconds  negative: for ever. If they have passed, `k` runs with the status CP_TIMED_OUT
**   k        runs with LUA_YIELD if the task was woken, at once if that has happened already
** Errors: as cp_open_token; the token is none of the running task. If the task is cancelled while it
** waits, `k` does not run: the wait raises, as every suspension point. What must be undone then is
** a to-be-closed variable of the C function (lua_toclose), or a deferred call.
*/
CP_API int cp_park(lua_State *L, cp_token token, double seconds, lua_KContext ctx, lua_KFunction k);

/*
** Gives up a token on which no task is parked, because the operation could not be started. Returns
** 1; 0: the token has no such wait. The end of its task does it too.   [-0, +0, -]
*/
CP_API int cp_close_token(lua_State *L, cp_token token);

/*
** Wakes the task with the `values` on top of the stack, which are popped whatever the answer is, but
** for CP_WRONG_THREAD, when `L` is not touched. Call it in the runtime's thread, from any callback, also
** inside a task.   [-values, +0, -]
** The thread is that which has last stepped. `L` is any thread of the token's state; a state that is
** closed must not be touched, so use cp_wake_from_thread if that may be so.
*/
CP_API int cp_wake(lua_State *L, cp_token token, int values);

/*
** Wakes the task with one integer, or one light userdata, from any thread, or from a signal handler.
** Allocates nothing, takes no lock, never blocks and keeps errno. Answers CP_WOKEN, CP_LATE or
** CP_BAD_TOKEN. The host that polls cp_pollfd, or co.run, learns of it at once; others at the next
** cp_step.
** Of all wake-ups of a token, the first one wins. If it won, `k` runs with its value, unless the
** task is ended by force or the state is closed before.
*/
CP_API int cp_wake_from_thread(cp_token token, lua_Integer value);
CP_API int cp_wake_from_thread_p(cp_token token, void *pointer);

/* === panics and deferred calls ============================================================== */

/* Raises the value on top of the stack, as co.panic. Does not return.   [-1, +0, e] */
CP_API int cp_panic(lua_State *L);

/*
** Raises a table {code = code, message = the value on top of the stack}. The record has the code as
** its error_code, and its message is "code: message". Does not return.   [-1, +0, e]
*/
CP_API int cp_panic_code(lua_State *L, const char *code);

/*
** Defers the function and its `arguments` on top of the stack in the innermost frame of the running
** code: a task, or a call of co.func or co.call. The C function that runs is no frame.
**   [-(arguments + 1), +0, e]
** Errors: no frame is open; not enough memory; the value is not callable.
*/
CP_API void cp_defer(lua_State *L, int arguments);

/* The same for a C function that needs no Lua state. It must not raise.   [-0, +0, e] */
CP_API void cp_defer_c(lua_State *L, void (*fn)(void *data), void *data);

/*
** Ends the task at `task` here and now, and runs its pending deferred calls, in which nothing can
** suspend. For hosts that lose the owner of a task at a moment at which they can not step. The task
** ends as cancelled; members of its scopes are cancelled and not waited for.   [-0, +0, -]
** Returns the number of calls; -1, and does nothing: the task has ended, a task, a handler or cp_step
** is running, or the value is no task.
*/
CP_API int cp_run_pending_defers(lua_State *L, int task);

/*
** A handler of unrecovered panics.
**   record  stack index of the panic record, for cp_get_record and cp_record_text
**   task    stack index of the task; 0: none
** It runs protected, in the runtime's thread. It may spawn, wake and cancel; it can not suspend, step
** or close the state. If it raises, that is reported on stderr.
*/
typedef void (*cp_panic_handler)(lua_State *L, int record, int task, void *data);

/*
** Sets the handler, in the place of that of co.on_panic; NULL: reports on stderr.   [-0, +0, m]
** It is called for a panic that no task has joined and no scope has raised: when the task's handle is
** collected, a second after the task's end, when cp_shutdown has ended the last task, or when the state
** is closed, whatever comes first.
*/
CP_API void cp_on_panic(lua_State *L, cp_panic_handler fn, void *data);

/* What a panic record says. The strings live as long as the record. */
typedef struct cp_record {
  size_t size;      /* sizeof(cp_record), set by the caller */
  const char *kind; /* "panic", "error", "timeout", "cancelled", "goexit", "deadlock", "memory" */
  const char *message;
  size_t message_length;
  const char *type;     /* of the raised value */
  const char *code;     /* record.error_code */
  uint8_t trace_id[16]; /* all zero: none */
  uint8_t span_id[8];
  int sampled;
  int recovered;
  int64_t time_ns;       /* since 1970 */
  uint64_t task_id;      /* 0: it was outside tasks */
  const char *task_name; /* "": none */
} cp_record;

/*
** Fills `record` from the panic record at `index` and returns 1. Returns 0, and changes nothing, if
** another value is there.   [-0, +0, m]
*/
CP_API int cp_get_record(lua_State *L, int index, cp_record *record);

/*
** Pushes the whole report of the panic record at `index`, as tostring gives it, and returns it. NULL,
** and pushes nothing: another value is there.   [-0, +(0|1), m]
**   length  NULL: it is not asked for
*/
CP_API const char *cp_record_text(lua_State *L, int index, size_t *length);

/* === trace ================================================================================== */

/*
** Switches the running code to the trace of a request, and pushes a to-be-closed value: mark it by
** lua_toclose. The code is in that trace until the value is closed (lua_closeslot, or the end of the
** C function).   [-0, +1, e]
**   traceparent, tracestate, baggage  the values of the headers; NULL: there is none. Without a valid
**     traceparent a new trace begins, as W3C Trace Context asks
*/
CP_API void cp_trace_continue(lua_State *L, const char *traceparent, const char *tracestate,
                              const char *baggage);

/*
** Writes the ids of the running code's trace and span. Returns whether it is sampled.   [-0, +0, e]
**   trace_id, span_id  16 and 8 bytes; NULL: not asked for
*/
CP_API int cp_trace_ids(lua_State *L, uint8_t *trace_id, uint8_t *span_id);

#define CP_TRACEPARENT_SIZE 56
#define CP_TRACESTATE_SIZE 513
#define CP_BAGGAGE_SIZE 8193

/* The headers of an outgoing request, each ended by 0; "": leave it out. */
typedef struct cp_trace_headers {
  char traceparent[CP_TRACEPARENT_SIZE];
  char tracestate[CP_TRACESTATE_SIZE];
  char baggage[CP_BAGGAGE_SIZE];
} cp_trace_headers;

/* Writes the headers with which a request continues the running code's trace.   [-0, +0, e] */
CP_API void cp_trace_inject(lua_State *L, cp_trace_headers *headers);

/* === stepping =============================================================================== */

/*
** Runs tasks that are ready, and never blocks.   [-0, +0, e]
**   budget  seconds after which it returns, between two tasks; 0 for one round. With cp_preempt, the
**           task that runs then is suspended where it is
** Returns 1 if a task is still ready: the budget is used up, or the round is over. Do your own work
** before you call it again, since a task that yields for ever is always ready; cp_timeout is 0
** then, so that you do not sleep. Otherwise returns 0. Raises an error inside a task or another
** step. It does not raise the panics of tasks: they go to the tasks that join, or to the panic
** handler.
*/
CP_API int cp_step(lua_State *L, double budget);

/* The same until a time of cp_now: one round if that is over.   [-0, +0, e] */
CP_API int cp_step_until(lua_State *L, double deadline);

/*
** The same, protected: returns LUA_OK and sets `more`, or a status of lua_pcall, and then pushes the
** error.   [-0, +(0|1), -]
**   more  NULL: it is not asked for
** Needs two free stack slots.
*/
CP_API int cp_pstep(lua_State *L, double budget, int *more);

/* Returns the time of the runtime's clock in seconds, as co.now.   [-0, +0, m] */
CP_API double cp_now(lua_State *L);

/*
** Turns preemption on or off, as co.preempt does, and returns the slice before; 0: it was off.
**   [-0, +0, e]
**   slice  seconds of a turn after which a task that has not suspended is suspended where it is, from
**          0.00001 to 3600 (others are taken for the nearest); 0 or less: off
** A cp_step with a budget is cut at its end whatever the slice is. So a host that wants no more than
** that, for its frames, gives 3600. While tasks run, a timer sends SIGURG to the thread that steps, so
** the host's system calls in tasks may be interrupted. Its handler of SIGURG is called for all other
** such signals, and is put back when preemption is turned off or the state is closed. If the thread
** that steps changes, the next cp_step makes a timer for it.
** Errors: not Linux; SIGURG is blocked in this thread; no resources for a timer. cp_step raises the
** same if it can't have its timer.
*/
CP_API double cp_preempt(lua_State *L, double slice);

/*
** Returns the seconds until cp_step has work: 0 if a task is ready, negative if nothing is pending.
**   [-0, +0, -]
** It is short while a task waits for a descriptor, unless the host polls cp_pollfd. It knows nothing
** of wake-ups that are still to come. cp_live tells whether tasks are left.
*/
CP_API double cp_timeout(lua_State *L);

/*
** Returns a descriptor that is readable when cp_step has work that cp_timeout could not foretell: a
** descriptor for which a task waits is ready, or another thread has woken a task. Poll it for
** reading, and never read it.   [-0, +0, -]
** Returns -1, with errno set: the system has none left, or the module is not open.
*/
CP_API int cp_pollfd(lua_State *L);

/*
** Cancels all tasks, also those that have come since the last call, and steps. Returns 1 if tasks are
** left, because deferred calls wait or the budget is used up: call it again.   [-0, +0, e]
** The budget bounds the step, not the cancelling. Errors as cp_step.
*/
CP_API int cp_shutdown(lua_State *L, double budget);

/*
** Steps Lua's collector for so many seconds, or until a cycle is over; returns 1 then. It is for what
** is left of a frame, also while the collector is stopped (LUA_GCSTOP).   [-0, +0, -]
** In generational mode a step is a whole young collection. Finalizers may run.
*/
CP_API int cp_collect(lua_State *L, double seconds);

/* === a back end of the host's ================================================================ */

/*
** A host with timers and a poller of its own can lend them to a runtime. The runtime knows a timer,
** and a task's wait for a descriptor, by a number, and keeps the pointer `object` with which the host
** finds its own.
*/
typedef uint64_t cp_timer;
typedef uint64_t cp_fd_wait;

enum { CP_READABLE = 1, CP_WRITABLE = 2 }; /* sets of events */

#define CP_FD_ALWAYS (-1) /* an answer of fd_wait: the descriptor is always ready, as a file is */

/*
** The functions of a back end. All are called in the runtime's thread, with the `host` of
** cp_set_backend, and must call neither Lua nor coropanic.
*/
typedef struct cp_backend {
  size_t size; /* sizeof(cp_backend) */
  /* Returns nanoseconds since any start; never goes back. */
  int64_t (*now)(void *host);
  /* Starts a timer that calls cp_timer_fired once, at the deadline or later. Returns 0, or not if
  ** there is no memory. */
  int (*timer_set)(void *host, cp_timer timer, int64_t deadline_ns, void **object);
  /* Stops it, before it has fired. */
  void (*timer_stop)(void *host, void *object);
  /* Watches a descriptor, and calls cp_fd_ready once, when one of the events is there. Returns 0,
  ** CP_FD_ALWAYS, or an errno. */
  int (*fd_wait)(void *host, cp_fd_wait wait, int fd, int events, void **object);
  /* Ceases to watch, before it was ready. */
  void (*fd_stop)(void *host, void *object);
  /* Called when a task became ready between two steps: step soon. */
  void (*notify)(void *host);
} cp_backend;

/*
** Installs the functions, which are copied; NULL: the runtime's own back end.   [-0, +0, e]
** Errors: a function is missing; there are tasks, or contexts with a deadline. Under a host's back
** end co.run is refused: the host steps. Wake-ups from other threads still come by cp_pollfd. When
** the state is closed nothing is stopped: the host forgets its timers and watches itself.
*/
CP_API void cp_set_backend(lua_State *L, const cp_backend *backend, void *host);

/*
** Call them, between two steps, when a timer is due or a descriptor is ready; then step. Return 1; 0,
** and do nothing: the number names nothing that waits any more.   [-0, +0, -]
**   events  the events that are there; 0: the descriptor was closed
*/
CP_API int cp_timer_fired(lua_State *L, cp_timer timer);
CP_API int cp_fd_ready(lua_State *L, cp_fd_wait wait, int events);

#ifdef __cplusplus
}
#endif

#endif
