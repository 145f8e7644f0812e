/*
** A cancel scope is a stretch of a task's code that can be asked to end by itself, from its own frame inwards. A task's
** entry is its outermost one, so that to cancel a task is to cancel that. Those further in are the bodies of scopes,
** time-outs and co.with: csrc/scope.
**
**           asked             raised at a suspension point, or its code ends
**   OPEN ────────▶ ASKED ───────────────────────────────────▶ ANSWERED ──▶ CLOSED
**     └────────────▶ LEFT ────────────────────────────────────▶─┘ └─▶ CLOSED
**       its code ends                   asked
**
** Model: Trio's CancelScope; what waits for tasks is the nursery, which is another thing (scope/scope.h).
*/
#ifndef CP_KERNEL_CANCEL_SCOPE_H
#define CP_KERNEL_CANCEL_SCOPE_H

#include <stdbool.h>

#include "compat.h"
#include "kernel/record.h"

#pragma GCC visibility push(hidden)

struct runtime;
struct task;
struct cancel_scope;

typedef enum cancel_scope_state {
  CANCEL_SCOPE_OPEN,
  CANCEL_SCOPE_LEFT,     /* its code has ended, and it was not asked yet */
  CANCEL_SCOPE_ASKED,    /* to end; that waits to be raised, and is counted in task.asked */
  CANCEL_SCOPE_ANSWERED, /* it was asked, and there is nothing more to raise */
  CANCEL_SCOPE_CLOSED,   /* it is over */
} cancel_scope_state;

/* What a cancel scope that is not a task's entry is part of: a constant of the file that opens it. */
typedef struct cancel_scope_type {
  /*
  ** It was asked to end, and its own code will be: asks what else depends on it. The reason is on top of the stack.
  **   [-0, +0, -] NULL: nothing does.
  */
  void (*pass_on)(struct runtime *rt, lua_State *L, struct cancel_scope *c, cancel_source source);
} cancel_scope_type;

/* The first member of the object that is asked. Its first user value is the reason. */
typedef struct cancel_scope {
  const cancel_scope_type *type; /* NULL: the entry of its task */
  struct cancel_scope *outer;    /* the next open one of the same task; NULL: this is the entry */
  struct task *owner;            /* whose code it is */
  uint32_t floor;                /* index of its frame */
  uint8_t state;                 /* cancel_scope_state */
  uint8_t source;                /* cancel_source, once it was asked */
  bool has_deadline; /* one that is to end it some day, of the context that it runs under */
} cancel_scope;

/* The user value of a task, or of any other object that begins with a cancel scope. */
#define CANCEL_SCOPE_UV_REASON 1

/* Whether it was asked to end. */
static inline bool cancel_scope_is_cancelled(const cancel_scope *c) {
  return c->state == CANCEL_SCOPE_ASKED || c->state == CANCEL_SCOPE_ANSWERED;
}

/* Opens it, all zero, in the task, as the innermost one, with its frame at index `floor`. */
void cancel_scope_open(cancel_scope *c, const cancel_scope_type *type, struct task *owner,
                       uint32_t floor);

/* Its code has ended: nothing is raised there any more. */
void cancel_scope_leave(cancel_scope *c);

/* The innermost one of its task, which was left, is over. */
void cancel_scope_close(cancel_scope *c);

/* Pushes the object that it is part of: the live task, or what is anchored for its address.   [-0, +1, -] */
void cancel_scope_push(struct runtime *rt, lua_State *L, const cancel_scope *c);

/*
** Asks its code, and what depends on it, to end. The reason is on top of the stack.   [-1, +0, -]
** False: it was asked already, or is over, and nothing has changed.
*/
bool cancel_scope_cancel(struct runtime *rt, lua_State *L, cancel_scope *c, cancel_source source);

/* The same for the entry of a new task, which is below the reason and nobody has seen yet.   [-1, +0, -] */
void cancel_scope_cancel_new(lua_State *L, cancel_scope *c, cancel_source source);

/* What was asked has been raised. */
void cancel_scope_answer(cancel_scope *c);

/*
** The outermost one of the task that waits to be raised, of those whose frame is not below `shield`. NULL: there is
** none.
*/
cancel_scope *cancel_scope_find_asked(const struct task *t, uint32_t shield);

#pragma GCC visibility pop

#endif
