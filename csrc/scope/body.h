/*
** The body of a scope, a time-out or a co.with: a cancel scope whose code runs under a context, in
** a frame of its own. It is the first half of a scope (scope.h); a co.with has no second half.
*/
#ifndef CP_SCOPE_BODY_H
#define CP_SCOPE_BODY_H

#include "compat.h"
#include "kernel/probe.h"
#include "kernel/task.h"
#include "scope/context.h"

#pragma GCC visibility push(hidden)

typedef enum body_outcome {
  BODY_RUNS,
  BODY_RETURNED,
  BODY_PANICKED,
  BODY_EXITED,    /* by an exit that goes on further out */
  BODY_CANCELLED, /* by the cancellation of this cancel scope alone */
} body_outcome;

/* The user value of the object of which the body is the first half. */
enum { BODY_UV_REASON = CANCEL_SCOPE_UV_REASON, BODY_UV_COUNT = BODY_UV_REASON };

/* The stack while the body ends, from the bottom: [its object] [handler] [outcome ...]. */
enum { BODY_INDEX = 1, BODY_OUTCOME_INDEX = 3 };

typedef struct body {
  inner_cancel_scope cancel; /* its outcome is a body_outcome */
  context_binding under;     /* its context is NULL while it was not needed (scope.h) */
} body;

/*
** Opens a body, all zero, in the current task, whose code runs on L. Before, push the object that
** begins with the body. Afterwards tell the sinks and call the function at once.   [-0, +0, m]
**   context       stack index of the context under which the body runs; 0: it is made when it is
**                 needed
**   has_deadline  whether that context has a deadline
*/
void body_open(runtime *rt, lua_State *L, body *b, const cancel_scope_type *type, int context,
               bool has_deadline);

/*
** Lets the end of the context cancel the body; cancels it now if the context has ended.
** [-0, +0, -]
*/
void body_bind(runtime *rt, lua_State *L, body *b);

/* Cancels the body, and what depends on it, without a reason.   [-0, +0, -] */
void body_cancel(runtime *rt, lua_State *L, body *b, cancel_source source);

/*
** Call it when the body's frame, the innermost one, is closed, and its outcome is on L's stack.
** Unless the body has returned, cancels what depends on it.   [-0, +0, -]
*/
void body_leave(runtime *rt, lua_State *L, body *b, frame_stack *s, frame_state state);

/*
** Returns the innermost body of the current task if its activation is lost and its frame must be
** closed; NULL if the frame is closed already. Empties the stack, pushes the body's object, and
** cancels what depends on it.   [-?, +(0|1), -]
*/
body *body_leave_lost(runtime *rt, lua_State *L, const frame_stack *s);

/*
** body_close ends a body that was left, and tells the sinks. Its object and context stay anchored
** until body_release.   [-0, +0, -]
*/
void body_close(runtime *rt, lua_State *L, body *b);
void body_release(runtime *rt, lua_State *L, body *b);

/*
** Returns the number of results on the stack, for a body that has returned. Raises a cancellation
** of the task that has come meanwhile.   [-0, +0, e]
*/
int body_return(runtime *rt, lua_State *L);

/* Tells the sinks the event, with the body's object.   [-0, +0, -] */
void body_tell(runtime *rt, lua_State *L, const body *b, const probe_event *event);

#pragma GCC visibility pop

#endif
