/*
** Spawning in scopes and under contexts: what a new task is a member of.
*/
#ifndef CP_SCOPE_SPAWN_H
#define CP_SCOPE_SPAWN_H

#include "compat.h"
#include "kernel/task.h"
#include "scope/context.h"

#pragma GCC visibility push(hidden)

struct scope;

typedef struct scope_spawn_options {
  spawn_options task;
  int context;         /* stack index; 0: the scope's, or the current one */
  struct scope *scope; /* NULL: the innermost one */
} scope_spawn_options;

/*
** As task_spawn. The task becomes a member of context and scope, unless a given context has nothing to do with the
** innermost scope's: that takes it out of the scope. What has ended, perhaps since, cancels it, unless the code that
** spawns is shielded.   [-(arguments + 1), +1, m]
*/
task *scope_spawn(runtime *rt, lua_State *L, int arguments, scope_spawn_options *options);

/* The context that a task spawned now inherits, or that co.ctx() gives; NULL: the background. */
ctx *scope_current_context(const runtime *rt);

#pragma GCC visibility pop

#endif
