/*
** What a task belongs to: the context that it runs under, the scope that waits for it, and the
** regions that its own code has opened. Most tasks have none of these, so that it is allocated apart.
*/
#ifndef CP_SCOPE_MEMBERSHIP_H
#define CP_SCOPE_MEMBERSHIP_H

#include "compat.h"
#include "kernel/task.h"
#include "scope/context.h"

#pragma GCC visibility push(hidden)

struct region;

typedef struct membership {
  context_binding binding; /* ends the task with its ctx */
  ctx *context;            /* pinned; NULL: the background */
  list sibling;            /* in scope->members */
  struct region *scope;    /* NULL: none, or its owner was lost */
  struct region *regions;  /* the innermost open one */
} membership;

/* The task's membership, made when it has none.   [-0, +0, m] */
membership *membership_ensure(runtime *rt, lua_State *L, task *t);

/*
** The context that a task spawned now inherits, or that co.ctx() gives; NULL: the background.
*/
ctx *membership_current_context(const runtime *rt);

/* The scope that a task spawned now joins; NULL: none. */
struct region *membership_current_scope(const runtime *rt);

/*
** Makes what the new task needs to be a member of a context, which stands at `index` (0: it is `c`,
** pinned, NULL: the background), and of a scope (NULL: none). Neither knows of it yet.   [-0, +0, m]
** Nothing is changed when it raises.
*/
void membership_prepare(runtime *rt, lua_State *L, task *t, int index, ctx *c,
                        struct region *scope);

/*
** The new task, on top of the stack, becomes a member of what was prepared. What has ended, perhaps
** since, cancels it, unless the code that spawns is shielded.   [-0, +0, -] Calls nothing of scripts.
*/
void membership_join(runtime *rt, lua_State *L, task *t);

/*
** The same task is not to run after all, or has ended: takes it out of everything.   [-0, +0, -]
** Calls nothing of scripts. Returns the innermost of the regions that it has left open, or NULL:
** they are to be abandoned.
*/
struct region *membership_leave(runtime *rt, lua_State *L, task *t);

/* Says anew whether the task has a request that waits to be raised. */
void membership_update_unwind(task *t);

#pragma GCC visibility pop

#endif
