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

struct scope;

typedef struct member {
  task_member base;
  task *task;
  context_binding under; /* with a NULL context: the background */
  list sibling;          /* in scope->members */
  struct scope *scope;   /* NULL: none, or the scope is gone */
} member;

/* Returns the live task as a member; NULL: it is in no scope, and under no context. */
static inline member *member_of(const task *t) { return (member *)t->live.member; }

/* Call it when the scope is gone: no scope waits for the member any more. */
static inline void member_lose_scope(member *m) {
  m->scope = NULL;
  m->base.heir = NULL;
}

#pragma GCC visibility pop

#endif
