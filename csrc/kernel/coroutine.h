/*
** A coroutine: a line of execution, with a stack of its own. The runtime knows those of tasks and that of the
** universe's main thread, which are part of a task and of the runtime, and others once co.coroutine has made or
** resumed them, or code in them needs frames: these are userdata, in one table, weak by thread.
**
** `runtime.running` is the one whose code runs. Code in a coroutine that others have resumed runs for its resumer:
** it has frames of its own, but is where the resumer is in its trace.
**
**              co.coroutine resumes it            it yields or ends
**   RESTING ─────────────────────────────▶ ACTIVE ───────────────────▶ RESTING
**                                             │ its resumer, or the task that waits in it, has been closed
**                                             └───────────────────────▶ LOST
** While it is active it runs, has resumed another, or its task waits in it. resume.c does that.
*/
#ifndef CP_KERNEL_COROUTINE_H
#define CP_KERNEL_COROUTINE_H

#include <stdbool.h>

#include "compat.h"
#include "kernel/frames.h"
#include "kernel/trace.h"

#pragma GCC visibility push(hidden)

struct runtime;

typedef enum coroutine_kind { COROUTINE_MAIN, COROUTINE_OF_TASK, COROUTINE_OTHER } coroutine_kind;

/* Of the others. */
typedef enum coroutine_state {
  COROUTINE_RESTING,
  COROUTINE_ACTIVE,
  COROUTINE_CLOSING, /* its to-be-closed variables are being closed */
  COROUTINE_LOST     /* what it was to go on with is gone: nobody may resume it */
} coroutine_state;

typedef struct coroutine {
  lua_State *thread;
  struct coroutine
      *outer; /* the one that has resumed it, while it is active; NULL: none that we know of */
  frame_stack *frames;   /* NULL until something is deferred */
  trace_context context; /* its own; without a trace it shares its resumer's */
  trace_context *trace;  /* while its code runs: `context`, or that of the coroutine around it */
  uint8_t kind;          /* coroutine_kind */
  uint8_t state;         /* coroutine_state */
  bool collected;        /* it was garbage once, with frames open */
} coroutine;

/* The user value of the others. */
enum {
  COROUTINE_UV_FRAMES = 1, /* its frame stack */
  COROUTINE_UV_COUNT = COROUTINE_UV_FRAMES
};

/*
** Makes the metatable and the table of the others. `close` is their __close: unwind_close_foreign.   [-0, +0, m]
*/
void coroutine_open(struct runtime *rt, lua_State *L, lua_CFunction close);

/*
** The coroutine of a thread; NULL: nothing is known of it. Of tasks only the current one's is found.   [-0, +0, -]
*/
coroutine *coroutine_find(struct runtime *rt, lua_State *thread);

/* The same, but only one of the others.   [-0, +0, -] */
coroutine *coroutine_find_other(const struct runtime *rt, lua_State *thread);

/*
** Pushes the coroutine of the thread at `index`, one of the others, and makes it if nothing is known of the thread.
** [-0, +1, m]
*/
coroutine *coroutine_push(struct runtime *rt, lua_State *L, int index);

/* Pushes the coroutine whose thread is L, nil if nothing is known of that.   [-0, +1, -] */
coroutine *coroutine_push_known(const struct runtime *rt, lua_State *L);

/* The coroutine on whose thread L the running code is; made if nothing is known of it.   [-0, +0, m] */
coroutine *coroutine_of(struct runtime *rt, lua_State *L);

/* The frame stack of the code that runs on L, NULL when it has none yet.   [-0, +0, -] */
frame_stack *coroutine_find_frames(struct runtime *rt, lua_State *L);

/* The same, made when needed; see coroutine_frames_of in runtime.h.   [-0, +0, m] */
frame_stack *coroutine_make_frames(struct runtime *rt, lua_State *L);

/* Gives the frame stack of a task, which has no frames any more, back to the pool.   [-0, +0, -] */
void coroutine_release_frames(struct runtime *rt, lua_State *L, coroutine *c);

#pragma GCC visibility pop

#endif
