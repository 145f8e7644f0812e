/*
** A scope waits for the tasks that were spawned in it, its members, so that no task outlives it.
** Its first half is its body, which can be cancelled by itself. A time-out is a scope whose body
** has a deadline.
**
**   the body runs ──▶ the scope waits for its members ──▶ it is closed, and its outcome is
**                                                         returned or raised
**
** Rules: docs/structured-concurrency.md. Models: Trio's nurseries, Kotlin's coroutineScope and
** supervisorScope.
*/
#ifndef CP_SCOPE_SCOPE_H
#define CP_SCOPE_SCOPE_H

#include <stdbool.h>

#include "compat.h"
#include "core/list.h"
#include "kernel/unhandled.h"
#include "scope/body.h"

#pragma GCC visibility push(hidden)

#define SCOPE_TYPE "coropanic.scope"

/* The most panics of members that are kept besides the first. */
#define SCOPE_MAX_SUPPRESSED 32

typedef enum scope_kind {
  SCOPE_PLAIN,
  SCOPE_SUPERVISE, /* members' panics do not end it */
  SCOPE_TIMEOUT,
} scope_kind;

/* The user value. */
enum {
  /*
  ** Once the scope is closed, instead of the reason: the record of the member's panic; an array if
  ** there are several. Before, these are in scope.records.
  */
  SCOPE_UV_PANICS = BODY_UV_REASON,
  SCOPE_UV_COUNT = SCOPE_UV_PANICS
};

enum { SCOPE_PANICS_BITS = 27, SCOPE_PANICS_MASK = (1 << SCOPE_PANICS_BITS) - 1 };

typedef struct scope {
  /*
  ** Under a context of its own, which ends with the scope. Most scopes are over before anybody asks
  ** for it, so it is made when it is needed: scope_context.
  */
  body body;
  panic_heir heir;
  uint32_t live;    /* the number of members */
  uint32_t daemons; /* of these, daemons */
  /* panics of members that the scope owns: so many tasks fit into no memory */
  uint32_t panics : SCOPE_PANICS_BITS;
  uint32_t kind : 2;  /* scope_kind */
  bool is_timed : 1;  /* it is a timed_scope */
  bool is_linked : 1; /* its context ends with the one around it; false: it inherits the values */
  bool context_ended : 1; /* before it was made; the cause is in BODY_UV_REASON */
  cell records;           /* of the first ones: as in SCOPE_UV_PANICS; 0: there are none */
  timer timer;            /* of a timed_scope */
  list *members;          /* a ring: the live ones, linked by member.sibling */
} scope;

/* So many bytes of a task that is parked in a scope are the scope's, besides its object's header. */
_Static_assert(sizeof(void *) != 8 || sizeof(scope) <= 104, "a scope has grown");

/*
** A time-out whose deadline is not that of its context, because no context around it ends. So it
** needs none, as other scopes do not. If that is made, it has the deadline, but not the timer.
*/
typedef struct timed_scope {
  scope scope;
  int64_t deadline_ns;
} timed_scope;

/*
** The frame of a scope's function, with the scope as its value. The frame is left only when the
** members have ended.
*/
extern const frame_type frame_scope;

/*
** Opens a scope in the current task, whose code runs on L, and pushes it. Call unwind_body at once.
** [-0, +1, m]
**   context  stack index of the scope's context, a new child of the current one; 0: it is made when
**            it is needed
*/
scope *scope_open(runtime *rt, lua_State *L, scope_kind kind, int context);

/*
** The same for a time-out in code whose context never ends, with a deadline that is still to come.
** [-0, +1, m]
*/
scope *scope_open_timed(runtime *rt, lua_State *L, int64_t deadline_ns);

/* Call it when the timer of a scope has fired.   [-0, +0, -] */
void scope_expire(runtime *rt, lua_State *L, timer *t);

static inline scope *scope_of_heir(panic_heir *heir) { return container_of(heir, scope, heir); }

/* Makes scopes the heirs of the panics of their members. */
void scope_register_heirs(runtime *rt);

/* Returns the open scope whose cancel scope this is; NULL if it is that of a co.with. */
scope *scope_of(inner_cancel_scope *c);

/*
** Returns the context of an open scope, and makes it if nobody has needed it before. It is pinned.
** [-0, +0, m]
*/
ctx *scope_context(runtime *rt, lua_State *L, scope *s);

/* Whether the scope's task waits for the members. */
bool scope_is_ending(const scope *s);

/*
** Closes a scope whose body was left and whose members are gone. Nothing refers to it any more.
** [-0, +0, -]
*/
void scope_close(runtime *rt, lua_State *L, scope *s);

/* Cancels the members, and closes the innermost scope without waiting for them.   [-0, +0, -] */
void scope_abandon(runtime *rt, lua_State *L, scope *s);

/* Pushes a text about the scope: `scope (2 tasks: "a", "b")`.   [-0, +1, m] */
void scope_push_text(runtime *rt, lua_State *L, const scope *s);

#pragma GCC visibility pop

#endif
