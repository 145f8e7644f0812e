/*
** A region is a stretch of a task's code that can be ended by itself, from its own frame inwards:
** the body of a scope, of a time-out, or of a co.with. All but the last are scopes too: they wait for
** the tasks that were spawned in them, so that nothing outlives them.
**
**             the body ends             the last member ends
**   BODY ──────────────────▶ WAITING ──────────────────────▶ ended, and its outcome is delivered
**
** Rules: docs/structured-concurrency.md. Models: Trio's nurseries, Kotlin's coroutineScope and
** supervisorScope.
*/
#ifndef CP_SCOPE_REGION_H
#define CP_SCOPE_REGION_H

#include <stdbool.h>

#include "compat.h"
#include "core/list.h"
#include "kernel/frames.h"
#include "kernel/task.h"
#include "scope/context.h"

#pragma GCC visibility push(hidden)

#define REGION_TYPE "coropanic.scope"

/* The wait of its owner for its members. */
extern const wait_type wait_scope;

/* Panics of members that are kept besides the first. */
#define REGION_MAX_SUPPRESSED 32

typedef enum region_kind {
  REGION_SCOPE,
  REGION_SUPERVISE, /* members' panics are not its business */
  REGION_TIMEOUT,
  REGION_WITH, /* no scope */
} region_kind;

/* The user values. */
enum {
  REGION_UV_REASON = 1, /* of the request to end the body */
  REGION_UV_PANIC,      /* the record of the first member that panicked */
  REGION_UV_SUPPRESSED, /* array of the records of the others */
  REGION_UV_EXIT,       /* the exit record of the deferred call that the region is in */
  REGION_UV_COUNT = REGION_UV_EXIT
};

typedef struct region {
  struct region *outer; /* the next open one of the same task */
  task *owner;          /* whose code the body is */
  list members;         /* live tasks, by membership.sibling */
  list held;            /* panics of members that somebody is on the way to: unhandled.c */
  uint32_t live;        /* members that have not ended */
  uint32_t daemons;     /* of these, daemons */
  uint32_t suppressed;  /* panics that came second */
  uint32_t floor;       /* index of its frame */
  ctx *context;         /* pinned; what the body and its tasks run under */
  context_binding binding;
  uint8_t request; /* cancel_source: that the body end, not yet raised */
  uint8_t kind;    /* region_kind */
  uint8_t outcome; /* frame_state with which the body ended */
  bool body_ended;
  bool own_exit;  /* the body was unwound by the region's own request */
  bool cancelled; /* body and members were asked to end */
  bool panicked;  /* a member did; its record is in REGION_UV_PANIC */
  bool ended;
} region;

/*
** Opens a region in the current task, whose code runs on L, and pushes it.   [-0, +1, m]
**   context  stack index of the context that it runs under: for REGION_WITH the one given, else a
**            new child of the current one, which ends with the region
** The caller goes on with unwind_body at once.
*/
region *region_open(runtime *rt, lua_State *L, region_kind kind, int context);

/* Pushes an open region.   [-0, +1, -] */
void region_push(runtime *rt, lua_State *L, const region *r);

/*
** Asks body and members to end. The reason is on top of the stack.   [-1, +0, -]
** False: they had been asked already, or it has ended.
*/
bool region_cancel(runtime *rt, lua_State *L, region *r, cancel_source source);

/* The frame of a region's body, with the region as its value: it is left when the members have ended too. */
extern const frame_type frame_region;

/*
** Offers the panic of a member that has ended to its scope. The member is at `index`, its record on top
** of the stack.   [-0, +0, -] False: it is not for the scope.
*/
bool region_offer_panic(runtime *rt, lua_State *L, region *r, int index);

/*
** Keeps the record on top of the stack as the first panic, or as a suppressed one.   [-0, +0, -]
** False: there is no memory.
*/
bool region_take_panic(runtime *rt, lua_State *L, region *r);

/* A member has ended, and its panic is with whom it concerns.   [-0, +0, -] */
void region_member_ended(runtime *rt, region *r);

/* The region is over, or its body's activation is lost: nothing refers to it any more.   [-0, +0, -] */
void region_close(runtime *rt, lua_State *L, region *r);

/*
** The task is gone with this region open, and those outside it: their members are asked to end.
** [-0, +0, -]
*/
void region_abandon_all(runtime *rt, lua_State *L, region *innermost);

/* Pushes what the region is doing: `scope (2 tasks: "a", "b")`.   [-0, +1, m] */
void region_push_text(runtime *rt, lua_State *L, const region *r);

#pragma GCC visibility pop

#endif
