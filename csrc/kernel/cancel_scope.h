/*
** A cancel scope is a part of a task's code that can be cancelled by itself, from its own frame
** inwards. The entry of a task is its outermost cancel scope; cancelling the task cancels that. The
** inner ones are the bodies of scopes, time-outs and co.with: see csrc/scope.
**
**          cancelled            raised at a suspension point, or its code ends
**   OPEN ────────────▶ ASKED ────────────────────────────────────────────────▶ ANSWERED ──▶ CLOSED
**     │                                                                            ▲
**     └──────────────▶ LEFT ───────────────────────────────────────────────────────┘
**      its code ends    │                        cancelled
**                       └──▶ CLOSED
**
** "Asked" means: asked to end. Model: Trio's CancelScope. Waiting for tasks is another thing, as
** Trio's nursery is (scope/scope.h).
*/
#ifndef CP_KERNEL_CANCEL_SCOPE_H
#define CP_KERNEL_CANCEL_SCOPE_H

#include <stdbool.h>

#include "compat.h"
#include "kernel/cells.h"
#include "kernel/record.h"

#pragma GCC visibility push(hidden)

struct runtime;
struct task;
struct frame_stack;
struct inner_cancel_scope;

typedef enum cancel_scope_state {
  CANCEL_SCOPE_OPEN,
  CANCEL_SCOPE_LEFT,     /* its code has ended, and it was not asked to end */
  CANCEL_SCOPE_ASKED,    /* asked to end; that waits to be raised, and counts in task.asked */
  CANCEL_SCOPE_ANSWERED, /* it was asked, and there is nothing more to raise */
  CANCEL_SCOPE_CLOSED,   /* over */
} cancel_scope_state;

/* The type of an inner cancel scope: a constant of the file that opens it. */
typedef struct cancel_scope_type {
  /*
  ** Called when the cancel scope was asked to end, with the reason on top of the stack: cancels the
  ** other things that depend on it. Its own code is cancelled without this. NULL: nothing else
  ** depends on it.   [-0, +0, -]
  */
  void (*pass_on)(struct runtime *rt, lua_State *L, struct inner_cancel_scope *c,
                  cancel_source source);
  /*
  ** Called when the task has ended although the cancel scope, its innermost one, is open: closes it.
  ** Calls nothing of scripts.   [-0, +0, -]
  */
  void (*abandon)(struct runtime *rt, lua_State *L, struct inner_cancel_scope *c);
} cancel_scope_type;

/* What every cancel scope has. The entry of a task has no more; all others are inner ones. */
typedef struct cancel_scope {
  uint8_t source;        /* cancel_source; set when it was asked */
  uint8_t state : 4;     /* cancel_scope_state */
  bool has_deadline : 1; /* the context under which it runs has a deadline, which will end it */
  bool is_inner : 1;
} cancel_scope;

/*
** A cancel scope inside a task's entry. It is the first member of the object that can be cancelled.
*/
typedef struct inner_cancel_scope {
  cancel_scope base;
  uint8_t outcome; /* for its type: how its code has ended */
  uint32_t floor;  /* the index of its frame, above that of the entry */
  cell object;     /* anchors the object until cancel_scope_release */
  cell exit;       /* the record of the exit under way when it was opened; 0: none was */
  const cancel_scope_type *type;
  struct inner_cancel_scope *outer; /* the next open one further out; NULL: only the entry is */
  struct task *owner;               /* the task whose code it is */
} inner_cancel_scope;

/* The user value for the reason, of the task or of any other object that can be cancelled. */
#define CANCEL_SCOPE_UV_REASON 1

/* Returns the index of its frame; that of a task's entry is the outermost one. */
static inline uint32_t cancel_scope_floor(const cancel_scope *c) {
  return c->is_inner ? container_of(c, inner_cancel_scope, base)->floor : 0;
}

/* Whether the cancel scope was asked to end. */
static inline bool cancel_scope_is_cancelled(const cancel_scope *c) {
  return c->state == CANCEL_SCOPE_ASKED || c->state == CANCEL_SCOPE_ANSWERED;
}

/* So many cells must be free to open an inner cancel scope. */
enum { CANCEL_SCOPE_CELLS = 2 };

/*
** Opens an inner cancel scope, which is all zero, as the innermost one of the current task, in whose
** frames `s` the next frame will be the cancel scope's. The object is on top of the stack. That of a
** task's entry, all zero, is open.   [-0, +0, -]
*/
void cancel_scope_open(struct runtime *rt, lua_State *L, inner_cancel_scope *c,
                       const cancel_scope_type *type, const struct frame_stack *s);

/* Call it when the code of the cancel scope has ended: nothing is raised there any more. */
void cancel_scope_leave(cancel_scope *c);

/* Closes the innermost cancel scope of its task; or the entry, when the task ends. */
void cancel_scope_close(cancel_scope *c);

/* Anchors the object of an inner cancel scope no longer.   [-0, +0, -] */
void cancel_scope_release(struct runtime *rt, inner_cancel_scope *c);

/*
** Call it when the code of an inner cancel scope has ended in its frame: an exit that was under way
** before goes on.   [-0, +0, -]
*/
void cancel_scope_restore_exit(const struct runtime *rt, lua_State *L, const inner_cancel_scope *c,
                               struct frame_stack *s);

/*
** Pushes the object that can be cancelled: the live task, or that of an inner cancel scope that was
** not released.   [-0, +1, -]
*/
void cancel_scope_push(struct runtime *rt, lua_State *L, const cancel_scope *c);

/*
** Pops the reason, and asks the cancel scope's code, and what depends on it, to end. Returns false,
** and changes nothing, if it was asked already or is closed.   [-1, +0, -]
*/
bool cancel_scope_cancel(struct runtime *rt, lua_State *L, cancel_scope *c, cancel_source source);

/*
** The same for the entry of a new task, which is below the reason and not yet visible to other
** code.   [-1, +0, -]
*/
void cancel_scope_cancel_new(lua_State *L, cancel_scope *c, cancel_source source);

/* Call it when the request to end was raised. */
void cancel_scope_answer(cancel_scope *c);

/*
** Returns the task's outermost cancel scope that waits to be raised and whose frame is not below
** `shield`; NULL: none.
*/
cancel_scope *cancel_scope_find_asked(const struct task *t, uint32_t shield);

#pragma GCC visibility pop

#endif
