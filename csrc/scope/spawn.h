/* Spawns tasks in scopes and under contexts. */
#ifndef CP_SCOPE_SPAWN_H
#define CP_SCOPE_SPAWN_H

#include "compat.h"
#include "kernel/task.h"
#include "scope/context.h"

#pragma GCC visibility push(hidden)

struct scope;

/* Tells the runtime how tasks join and leave scopes and contexts. */
void scope_register_members(runtime *rt);

typedef struct scope_spawn_options {
  spawn_options task;
  int context;         /* stack index; 0: the scope's if one is given, else the current one */
  struct scope *scope; /* NULL: the innermost one */
} scope_spawn_options;

/*
** Spawns a task as task_spawn does, and makes it a member of the context and the scope. If a given
** context does not descend from that of the innermost scope, the task does not join that scope. If
** the context or the scope has ended, the task is cancelled at once, unless the spawner is
** shielded.   [-(arguments + 1), +1, m]
*/
task *scope_spawn(runtime *rt, lua_State *L, int arguments, scope_spawn_options *options);

/*
** Returns the context of the running code, which a task spawned now inherits; NULL: the background.
** Makes it if it is a scope's that nobody has needed before.   [-0, +0, m]
*/
ctx *scope_current_context(runtime *rt, lua_State *L);

/* Whether the context of the running code of a task can end.   [-0, +0, -] */
bool scope_context_can_end(const task *t);

#pragma GCC visibility pop

#endif
