/*
** A coroutine is a line of execution with a stack of its own. The coroutine of a task is part of
** the task, and that of the universe's main thread is part of the runtime. The others are known to
** the runtime once co.coroutine has made or resumed them, or code in them needs frames: these are
** userdata, in one table, weak by thread.
**
** `runtime.running` is the coroutine whose code runs. If code outside co.coroutine resumes a
** coroutine, that runs for its resumer: it has frames of its own, but the resumer's position in the
** trace.
**
**              co.coroutine resumes it            it yields or ends
**   RESTING ─────────────────────────────▶ ACTIVE ───────────────────▶ RESTING
**                                            │ its resumer, or the task that waits in it, is closed
**                                            └────────────────────────▶ LOST
**
** A coroutine is active while it runs, has resumed another, or its task waits in it. resume.c
** changes the states.
*/
#ifndef CP_KERNEL_COROUTINE_H
#define CP_KERNEL_COROUTINE_H

#include <stdbool.h>

#include "compat.h"
#include "kernel/frames.h"
#include "kernel/runtime.h"
#include "kernel/trace.h"

#pragma GCC visibility push(hidden)

typedef enum coroutine_kind { COROUTINE_MAIN, COROUTINE_OF_TASK, COROUTINE_OTHER } coroutine_kind;

/* The states of a coroutine that is neither a task's nor the main thread's. */
typedef enum coroutine_state {
  COROUTINE_RESTING,
  COROUTINE_ACTIVE,
  COROUTINE_CLOSING, /* its to-be-closed variables are being closed */
  COROUTINE_LOST     /* its continuation is gone, so it must not be resumed */
} coroutine_state;

typedef struct coroutine {
  lua_State *thread;
  frame_stack *frames; /* NULL until a call is deferred */
  union {
    /* of a task's: the one in which the task's code may suspend: itself, or one inside it; pinned */
    struct coroutine *top;
    /* of the others: the resumer, while it is active; NULL: not known. Read it by coroutine_outer */
    struct coroutine *outer;
  };
  trace_context context; /* its own; without a trace it shares its resumer's */
  uint32_t slot;         /* of a task's thread (threads.h) */
  uint8_t kind;          /* coroutine_kind */
  uint8_t state;         /* coroutine_state */
} coroutine;

/* A coroutine that is neither a task's nor the main thread's. */
typedef struct other_coroutine {
  coroutine base;
  trace_context *trace; /* while its code runs: its own, or that of the coroutine around it */
  bool collected;       /* it was garbage once, with open frames */
} other_coroutine;

static inline other_coroutine *coroutine_other(coroutine *c) {
  cp_assert(c->kind == COROUTINE_OTHER);
  return container_of(c, other_coroutine, base);
}

/* Returns the coroutine that has resumed this one; NULL: none, or it is not known. */
static inline coroutine *coroutine_outer(const coroutine *c) {
  return c->kind == COROUTINE_OTHER ? c->outer : NULL;
}

/* The user value of the others. */
enum {
  COROUTINE_UV_FRAMES = 1, /* the frame stack */
  COROUTINE_UV_COUNT = COROUTINE_UV_FRAMES
};

/*
** Makes the metatable and the table of the others.   [-0, +0, m]
**   close  their __close: unwind_close_foreign
*/
void coroutine_open(runtime *rt, lua_State *L, lua_CFunction close);

/*
** Returns the coroutine of a thread; NULL: it is not known. Of tasks it finds only the current
** one's.   [-0, +0, -]
*/
coroutine *coroutine_find(runtime *rt, lua_State *thread);

/* The same, for the others only.   [-0, +0, -] */
coroutine *coroutine_find_other(const runtime *rt, lua_State *thread);

/*
** Pushes the coroutine of the thread at `index`, one of the others; makes it if it is not known.
** [-0, +1, m]
*/
coroutine *coroutine_push(runtime *rt, lua_State *L, int index);

/* Pushes the coroutine whose thread is L; nil if it is not known.   [-0, +1, -] */
coroutine *coroutine_push_known(const runtime *rt, lua_State *L);

/*
** Returns the coroutine of the running code, whose thread is L; makes it if it is not known.
** [-0, +0, m]
*/
coroutine *coroutine_of(runtime *rt, lua_State *L);

/* Returns the frame stack of the code that runs on L; NULL if it has none yet.   [-0, +0, -] */
frame_stack *coroutine_find_frames(runtime *rt, lua_State *L);

/* The same, made when first needed; see coroutine_frames_of.   [-0, +0, m] */
frame_stack *coroutine_make_frames(runtime *rt, lua_State *L);

/* Gives a task's frame stack back to the pool; no code runs in its frames any more.   [-0, +0, -] */
void coroutine_release_frames(runtime *rt, lua_State *L, coroutine *c);

/*
** Returns the trace context of the running code: of its coroutine, its task, or the code outside
** tasks.
*/
static inline trace_context *trace_current(const runtime *rt) {
  coroutine *c = rt->running;
  return c->kind == COROUTINE_OTHER ? coroutine_other(c)->trace : &c->context;
}

/* Returns the ids under which the running code works; see trace_ids_of. */
static inline trace_ids *trace_here(const runtime *rt) { return trace_ids_of(trace_current(rt)); }

/* Returns the frame stack of the code that runs on L; makes it if needed.   [-0, +0, m] */
static inline frame_stack *coroutine_frames_of(runtime *rt, lua_State *L) {
  const coroutine *c = rt->running;
  return c->thread == L && c->frames != NULL ? c->frames : coroutine_make_frames(rt, L);
}

#pragma GCC visibility pop

#endif
