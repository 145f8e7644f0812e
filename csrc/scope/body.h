/*
** The body of a scope, a time-out or a co.with: a cancel scope whose code runs under a context, in a frame of its own.
** It is the first half of a scope (scope.h); a co.with has no second one.
*/
#ifndef CP_SCOPE_BODY_H
#define CP_SCOPE_BODY_H

#include "compat.h"
#include "kernel/task.h"
#include "scope/context.h"

#pragma GCC visibility push(hidden)

typedef enum body_outcome {
  BODY_RUNS,
  BODY_RETURNED,
  BODY_PANICKED,
  BODY_EXITED,    /* by an exit that goes on further out */
  BODY_CANCELLED, /* by what this cancel scope alone was asked */
} body_outcome;

/* The user values of the object that it is the first half of. */
enum {
  BODY_UV_REASON = CANCEL_SCOPE_UV_REASON,
  BODY_UV_EXIT, /* the exit record of the deferred call that it is in */
  BODY_UV_COUNT = BODY_UV_EXIT
};

/* The C stack while it ends, from the bottom: [its object] [handler] [outcome ...]. */
enum { BODY_INDEX = 1, BODY_OUTCOME_INDEX = 3 };

typedef struct body {
  cancel_scope cancel;
  context_binding under;
  task_exit exit;  /* its task has ended while it was open */
  uint8_t outcome; /* body_outcome */
} body;

/*
** Opens a body, all zero but for `exit.run`, in the current task, whose code runs on L. Its object, which it begins, is
** on top of the stack. It is to be told to sinks, and its function to be called, at once.   [-0, +0, m]
**   context  stack index of the context that it runs under
*/
void body_open(runtime *rt, lua_State *L, body *b, const cancel_scope_type *type, int context);

/* Cancels it with its context, or now.   [-0, +0, -] */
void body_bind(runtime *rt, lua_State *L, body *b);

/*
** Its frame, which was the innermost one, is closed, and its outcome is on L's stack. What depends on it is cancelled
** unless it has returned.   [-0, +0, -]
*/
void body_leave(runtime *rt, lua_State *L, body *b, frame_stack *s, frame_state state);

/*
** The innermost body of the current task if it has lost its activation, and its frame is about to be closed; NULL: it
** is closed already. Pushes its object, for which it empties the stack, and cancels what depends on it.   [-?, +(0|1), -]
*/
body *body_leave_lost(runtime *rt, lua_State *L, const frame_stack *s);

/*
** The body, which has been left, is over, and says so to sinks. Its object and context stay anchored until the second
** call.   [-0, +0, -]
*/
void body_close(runtime *rt, lua_State *L, body *b);
void body_release(runtime *rt, lua_State *L, const body *b);

/*
** The results on the stack, as it has returned.   [-0, +0, e] Raises what is asked of the task meanwhile.
*/
int body_return(runtime *rt, lua_State *L);

/* Tells sinks of it, with its object.   [-0, +0, -] */
void body_tell(runtime *rt, lua_State *L, const body *b, const probe_event *event);

#pragma GCC visibility pop

#endif
