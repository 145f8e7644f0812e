/*
** A task as a member: of the context that it runs under, and of the scope that waits for it. Most tasks have neither,
** so that this is allocated apart (spawn.c).
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
  context_binding under; /* its context is NULL: the background */
  list sibling;          /* in scope->members */
  struct scope *scope;   /* NULL: none, or its owner was lost */
} member;

/* What the live task is a member of; NULL: of nothing. */
static inline member *member_of(const task *t) { return (member *)t->member; }

/* The scope is gone: nobody waits for the member any more. */
static inline void member_lose_scope(member *m) {
  m->scope = NULL;
  m->base.heir = NULL;
}

#pragma GCC visibility pop

#endif
