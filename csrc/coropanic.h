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
** A token names one wait of one task. It is a plain number: keep it where you like, also in the
** `void *` of a callback. It may be used at any time, also after the wait is over, the task has
** ended, or the state was closed; then the answer is CP_LATE. 0 is never a token.
*/
typedef uint64_t cp_token;

/* The answers of cp_wake and its like. */
enum {
  CP_WOKEN = 1,         /* the task goes on with the values */
  CP_LATE = 0,          /* harmless: it goes on for another reason, or has gone on */
  CP_BAD_TOKEN = -1,    /* no such token was made in this runtime */
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
** Wakes the task with the `values` on top of the stack, which are popped whatever the answer is. Call
** it in the runtime's thread, from any callback, also inside a task.   [-values, +0, -]
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
** It is short while a task waits for a descriptor, unless the host polls co.pollfd(), which stands
** for all descriptors. It knows nothing of wake-ups that other threads will make.
*/
CP_API double cp_timeout(lua_State *L);

#ifdef __cplusplus
}
#endif

#endif
