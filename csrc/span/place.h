/*
** Where in its trace the running code is: inside spans (span.h) and calls of co.trace.continue. Each is a
** place, entered and left, whose value stands in a frame as a to-be-closed one. What a place changes is the
** trace context of its owner, whose code it was: a task, what a coroutine of co.coroutine carries (nested.h),
** or the code outside tasks. Other coroutines share their task's context, so that a generator that yields
** leaves it inside: places may be left in any order, from anywhere, and be dropped.
*/
#ifndef CP_SPAN_PLACE_H
#define CP_SPAN_PLACE_H

#include "compat.h"
#include "kernel/runtime.h"
#include "kernel/task.h"

#pragma GCC visibility push(hidden)

#define PLACE_TYPE "coropanic.place"

enum {
  PLACE_UV_DATA = 1, /* the table of the span that it is, until that has ended; nil: none */
  PLACE_UV_OUTER,    /* the place around it, or nil */
  PLACE_UV_OWNER, /* a task, a userdata that begins with a trace_context, or nil: outside tasks */
  PLACE_UV_COUNT = PLACE_UV_OWNER
};

/* What has to be known of a place that was dropped; it is the runtime's memory. */
typedef struct way_back {
  list link;           /* in runtime.places while the place is open */
  trace_context saved; /* where the code goes back to */
  uint64_t key;
  bool is_open;
  bool continues; /* another trace: `saved.trace` is counted until it is gone back to */
} way_back;

typedef struct place {
  task_exit exit;   /* of a task's own span, which is anchored while it is open */
  way_back *back;   /* NULL: a task's own span, or it was garbage */
  uint64_t key;     /* trace_context.place of the code inside, and the span's id */
  bool is_open;     /* a task's own span */
  bool is_recorded; /* it is, or was, a span that the listener is told of */
  bool is_known;    /* of co.trace.continue: somebody has its span id, or has written to its span */
  bool passed_over; /* it was left while its code was further inside: leaving that leaves both */
} place;

/* Makes the metatable, whose __close is `close`.   [-0, +0, m] */
void place_open(runtime *rt, lua_State *L, lua_CFunction close);

/* Pushes a new place with this key, which is in no other, and of nobody.   [-0, +1, m] */
place *place_new(const runtime *rt, lua_State *L, uint64_t key);

/*
** Pushes a new place of the running code, inside the one that it is in, with a key of its own. It is not
** entered yet.   [-0, +1, e]
*/
place *place_new_here(runtime *rt, lua_State *L);

/* The new place of the running code is in another trace, a reference of which it takes. */
void place_continue(place *p, trace *t);

/* The running code enters the place: its context is `inner`, whose place is set.   [-0, +0, -] */
void place_enter(runtime *rt, place *p, const trace_context *inner);

/*
** The code leaves the open place at `index`; whoever is inside it still goes back to what is around
** it.   [-0, +0, -]
*/
void place_leave(runtime *rt, lua_State *L, int index);

/* Pushes the place of the context, or nil.   [-0, +1, -] */
void place_push(const runtime *rt, lua_State *L, const trace_context *context);

/* Pushes the place of the running code, or nil; it leaves those that have been dropped.   [-0, +1, -] */
void place_push_current(runtime *rt, lua_State *L);

/* Lets the userdata at `index`, which begins with a trace_context, be an owner of places.   [-0, +0, m] */
void place_register_owner(const runtime *rt, lua_State *L, int index);

#pragma GCC visibility pop

#endif
