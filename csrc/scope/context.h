/*
** Contexts: immutable chains of values, deadlines and cancellation, as Go's package context has them.
** A context is one userdata. A child holds its parent by a user value; a parent has its children in
** a list that they leave when they are collected, so that a context nobody refers to any more costs
** nothing and its timer goes with it. Timer and lists are the runtime's memory (context_links), so that
** nothing depends on that; C finds the object by them (runtime_push_alive). While a task or scope depends
** on a context it is pinned: anchored in runtime.pinned_ref, where C finds the object by its address.
*/
#ifndef CP_SCOPE_CONTEXT_H
#define CP_SCOPE_CONTEXT_H

#include <stdbool.h>

#include "compat.h"
#include "core/list.h"
#include "core/timer.h"
#include "kernel/cancel.h"
#include "kernel/cancel_scope.h"
#include "kernel/runtime.h"

#pragma GCC visibility push(hidden)

#define CONTEXT_TYPE "coropanic.context"

struct chan;

typedef enum context_state {
  CONTEXT_LIVE,
  CONTEXT_CANCELLED,
  CONTEXT_EXPIRED, /* its deadline has passed */
} context_state;

/* The user values. */
enum {
  CONTEXT_UV_PARENT = 1,
  CONTEXT_UV_KEY,    /* of with_value */
  CONTEXT_UV_VALUE,  /* of with_value */
  CONTEXT_UV_CAUSE,  /* given to cancel, or for the deadline; nil: none was given */
  CONTEXT_UV_DONE,   /* the channel, once asked for */
  CONTEXT_UV_AFTERS, /* array of what is called at the end (context_after.h), or nil */
  CONTEXT_UV_COUNT = CONTEXT_UV_AFTERS
};

typedef struct context_links {
  timer timer;
  list sibling;  /* in the parent's children, if it ends with the parent; in runtime.ending */
  list children; /* by context_links.sibling */
} context_links;

typedef struct ctx {
  context_links *links; /* NULL: it was garbage, and has neither timer nor children any more */
  struct ctx *parent;   /* NULL: the background */
  list bound;           /* what ends with it: context_binding; it is pinned meanwhile */
  void *done;           /* the object in CONTEXT_UV_DONE, or NULL */
  void (*close_done)(runtime *rt, void *done); /* is called once, when the context has ended */
  /* Starts the callbacks of ctx:after (context_after.c); NULL: there never was one.   [-0, +0, -] */
  void (*start_callbacks)(runtime *rt, lua_State *L, struct ctx *c);
  int64_t deadline_ns; /* its own or an ancestor's; TIME_FOREVER: none */
  uint32_t pins;       /* users that need it anchored */
  uint32_t stopped;    /* callbacks of ctx:after that were stopped: gaps in their array */
  uint8_t state;       /* context_state */
  bool has_value;
  bool can_end; /* false: the background, values on top of it, and without_cancel's */
  bool muted;   /* an observer has made it */
  bool own_end; /* it ended by itself, not with its parent: it has the cause */
} ctx;

/* Code that runs under a context: a task's, or that of another cancel scope. */
typedef struct context_binding {
  list link;           /* in context->bound, if it ends with that */
  ctx *context;        /* pinned; NULL: the background */
  cancel_scope *scope; /* what is cancelled */
} context_binding;

/* Makes the background.   [-0, +0, m] */
void context_open(runtime *rt, lua_State *L);

/* The context at `index`, or NULL when there is something else.   [-0, +0, -] */
ctx *context_test(lua_State *L, int index);

/*
** Pushes a new child of the context at `parent`.   [-0, +1, m]
**   linked  it ends with its parent; else it only has its values
*/
ctx *context_new(runtime *rt, lua_State *L, int parent, bool linked);

/* Gives a new context a deadline, unless an ancestor's comes first.   [-0, +0, m] */
void context_set_deadline(runtime *rt, lua_State *L, ctx *c, int64_t deadline_ns);

/* Pushes a pinned context; NULL: the background.   [-0, +1, -] */
void context_push(runtime *rt, lua_State *L, const ctx *c);

/* Anchors the context at `index` until as many unpins.   [-0, +0, m] */
void context_pin(runtime *rt, lua_State *L, int index);
void context_unpin(runtime *rt, lua_State *L, ctx *c);

/* Cancels the code when its context ends, if ever. False: it has ended already, and nothing is done. */
bool context_bind(context_binding *binding);

/*
** Ends a context and all that depends on it, parents before children.   [-0, +0, -]
** It is anchored, or on the stack; its cause is in CONTEXT_UV_CAUSE already. Nothing happens when it has ended.
*/
void context_end(runtime *rt, lua_State *L, ctx *c, context_state state);

/* The timer of a context has fired.   [-0, +0, -] */
void context_expire(runtime *rt, lua_State *L, timer *t);

/*
** Pushes the cause of the end of the context at `index`, nil while it is live.   [-0, +1, -]
** Calls nothing of scripts.
*/
void context_push_cause(runtime *rt, lua_State *L, int index);

/* The same for a pinned context.   [-0, +1, -] */
void context_push_reason(runtime *rt, lua_State *L, const ctx *c);

/* As what the end of the context arrives in a task. */
static inline cancel_source context_cancel_source(const ctx *c) {
  return c->state == CONTEXT_EXPIRED ? CANCEL_DEADLINE : CANCEL_PARENT;
}

/* "context canceled", "context deadline exceeded"; NULL while it is live. */
const char *context_error(const ctx *c);

/* Whether `c` is `ancestor` or descends from it. */
bool context_descends(const ctx *c, const ctx *ancestor);

/* __gc.   [-0, +0, -] */
void context_collect(runtime *rt, ctx *c);

#pragma GCC visibility pop

#endif
