/*
** Contexts: immutable chains of values, deadlines and cancellation, as in Go's package context. A
** context is one userdata. A child holds its parent by a user value. A parent lists its children,
** and each leaves the list when it is collected, so that a context without references costs
** nothing, and its timer goes with it. The timer and the lists are in the runtime's memory
** (context_links), so that no code depends on the collection; C finds the object by them
** (runtime_push_alive). While a task or scope depends on a context it is pinned: anchored in
** runtime.pinned_ref, where C finds it by its address.
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
  CONTEXT_UV_CAUSE,  /* the cause given to cancel, or for the deadline; nil: none */
  CONTEXT_UV_DONE,   /* the channel of ctx:done(); nil until it is called */
  CONTEXT_UV_AFTERS, /* array of the callbacks of ctx:after (context_after.h), or nil */
  CONTEXT_UV_COUNT = CONTEXT_UV_AFTERS,
  /* of with_value only */
  CONTEXT_UV_KEY,
  CONTEXT_UV_VALUE,
  CONTEXT_UV_COUNT_WITH_VALUE = CONTEXT_UV_VALUE
};

typedef struct context_links {
  timer timer;
  list sibling;  /* in the parent's children, if it ends with the parent; or in runtime.ending */
  list children; /* linked by context_links.sibling */
} context_links;

typedef struct ctx {
  context_links *links; /* NULL: it is garbage, without timer and children */
  struct ctx *parent;   /* NULL: the background */
  list bound;           /* the bindings that end with it; it is pinned meanwhile */
  void *done;           /* the object in CONTEXT_UV_DONE, or NULL */
  void (*close_done)(runtime *rt, void *done); /* called once, when the context has ended */
  /* Starts the callbacks of ctx:after (context_after.c); NULL: there were none.   [-0, +0, -] */
  void (*start_callbacks)(runtime *rt, lua_State *L, struct ctx *c);
  int64_t deadline_ns; /* its own or an ancestor's; TIME_FOREVER: none */
  uint32_t pins;       /* how many times it is pinned */
  uint32_t stopped;    /* callbacks of ctx:after that were stopped: gaps in their array */
  uint8_t state;       /* context_state */
  bool has_value;
  bool can_end; /* false: the background, values on top of it, and without_cancel's */
  bool muted;   /* an observer made it */
  bool own_end; /* it ended by itself and not with its parent, so it has the cause */
} ctx;

/* The binding of code to a context: the code of a task, or of another cancel scope. */
typedef struct context_binding {
  list link;           /* in context->bound, if it ends with the context */
  ctx *context;        /* pinned; NULL: the background */
  cancel_scope *scope; /* the cancel scope to cancel */
} context_binding;

/* Makes the background.   [-0, +0, m] */
void context_open(runtime *rt, lua_State *L);

/* Returns the context at `index`, or NULL if another value is there.   [-0, +0, -] */
ctx *context_test(lua_State *L, int index);

/*
** Pushes a new child of the context at `parent`.   [-0, +1, m]
**   linked  the child ends with its parent; false: it only inherits the values
*/
ctx *context_new(runtime *rt, lua_State *L, int parent, bool linked);

/*
** Pushes a new child, which ends with its parent, for a key and a value that the caller sets.
** [-0, +1, m]
*/
ctx *context_new_with_value(runtime *rt, lua_State *L, int parent);

/* Sets the deadline of a new context, unless an ancestor's deadline comes first.   [-0, +0, m] */
void context_set_deadline(runtime *rt, lua_State *L, ctx *c, int64_t deadline_ns);

/* Pushes a pinned context; NULL: the background.   [-0, +1, -] */
void context_push(runtime *rt, lua_State *L, const ctx *c);

/*
** context_pin anchors the context at `index`, until there were as many calls of context_unpin.
** [-0, +0, m]
*/
void context_pin(runtime *rt, lua_State *L, int index);
void context_unpin(runtime *rt, lua_State *L, ctx *c);

/* The same for a context that is pinned already; needs neither its index nor memory. */
static inline void context_pin_again(ctx *c) {
  cp_assert(c->pins > 0);
  c->pins++;
}

/*
** Lets the end of the context cancel the code. Returns false, and does nothing, if the context has
** ended.
*/
bool context_bind(context_binding *binding);

/*
** Ends a context and what depends on it, parents before children. The context must be anchored or
** on the stack, and its cause be in CONTEXT_UV_CAUSE. Harmless if it has ended.   [-0, +0, -]
*/
void context_end(runtime *rt, lua_State *L, ctx *c, context_state state);

/* Call it when the timer of a context has fired.   [-0, +0, -] */
void context_expire(runtime *rt, lua_State *L, timer *t);

/*
** Pushes the cause of the end of the context at `index`; nil while it is live. Calls nothing of
** scripts.   [-0, +1, -]
*/
void context_push_cause(runtime *rt, lua_State *L, int index);

/* The same for a pinned context.   [-0, +1, -] */
void context_push_reason(runtime *rt, lua_State *L, const ctx *c);

/* Returns the cancel source with which the end of the context reaches a task. */
static inline cancel_source context_cancel_source(const ctx *c) {
  return c->state == CONTEXT_EXPIRED ? CANCEL_DEADLINE : CANCEL_PARENT;
}

/* Returns "context canceled" or "context deadline exceeded"; NULL while the context is live. */
const char *context_error(const ctx *c);

/* Whether `c` is `ancestor` or descends from it. */
bool context_descends(const ctx *c, const ctx *ancestor);

/* The __gc of a context.   [-0, +0, -] */
void context_collect(runtime *rt, ctx *c);

#pragma GCC visibility pop

#endif
