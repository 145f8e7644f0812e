/*
** A task as a member: of the context under which it runs, and of the scope that waits for it. Most
** tasks have neither, so this is allocated apart (spawn.c).
*/
#ifndef CP_SCOPE_MEMBER_H
#define CP_SCOPE_MEMBER_H

#include "compat.h"
#include "kernel/task.h"
#include "scope/context.h"

#pragma GCC visibility push(hidden)

typedef struct member {
  task_member base;      /* its heir is its scope; NULL: none, or the scope is gone */
  context_binding under; /* of the task's entry; with a NULL context: the background */
  list sibling;          /* in scope->members; all NULL: in none yet */
} member;

/* Returns the task of the member. */
static inline task *member_task(const member *m) {
  return container_of(m->under.scope, task, entry);
}

/* Returns the live task as a member; NULL: it is in no scope, and under no context. */
static inline member *member_of(const task *t) { return (member *)t->live.member; }

/* Call it when the scope is gone: no scope waits for the member any more. */
static inline void member_lose_scope(member *m) { m->base.heir = NULL; }

#pragma GCC visibility pop

#endif
