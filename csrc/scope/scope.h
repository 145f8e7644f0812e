/*
** A scope waits for the tasks that were spawned in it, its members, so that nothing outlives it. Its first half is its
** body, which can be cancelled by itself; a time-out is a scope whose body has a deadline.
**
**   the body runs ──▶ the members are waited for ──▶ closed, and what it comes to is returned or raised
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

/* The wait of its owner for its members. */
extern const wait_type wait_scope;

/* Panics of members that are kept besides the first. */
#define SCOPE_MAX_SUPPRESSED 32

typedef enum scope_kind {
  SCOPE_PLAIN,
  SCOPE_SUPERVISE, /* members' panics are not its business */
  SCOPE_TIMEOUT,
} scope_kind;

/* The user values. */
enum {
  SCOPE_UV_PANICS = BODY_UV_COUNT +
                    1, /* the record of the member that panicked; an array, if there are several */
  SCOPE_UV_COUNT = SCOPE_UV_PANICS
};

typedef struct scope {
  body body; /* under a context of its own, which ends with it */
  panic_heir heir;
  list members;     /* live tasks, by member.sibling */
  uint32_t live;    /* how many these are */
  uint32_t daemons; /* of these, daemons */
  uint32_t panics;  /* of members, that are the scope's; the first of them are in SCOPE_UV_PANICS */
  uint8_t kind;     /* scope_kind */
} scope;

/* The frame of a scope's function, with the scope as its value: it is left when the members have ended too. */
extern const frame_type frame_scope;

/*
** Opens a scope in the current task, whose code runs on L, and pushes it.   [-0, +1, m]
**   context  stack index of the context that it runs under, a new child of the current one
** The caller goes on with unwind_body at once.
*/
scope *scope_open(runtime *rt, lua_State *L, scope_kind kind, int context);

/* The open scope that the cancel scope is a half of; NULL: it is of a co.with, or a task's entry. */
scope *scope_of(cancel_scope *c);

/* The scope is over, its body left and its members gone: nothing refers to it any more.   [-0, +0, -] */
void scope_close(runtime *rt, lua_State *L, scope *s);

/* Pushes what the scope is doing: `scope (2 tasks: "a", "b")`.   [-0, +1, m] */
void scope_push_text(runtime *rt, lua_State *L, const scope *s);

#pragma GCC visibility pop

#endif
