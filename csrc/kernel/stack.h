/*
** Walks over stacks, from the innermost activation outwards: over that of a coroutine, then over
** that of its resumer, and so on. Records, co.dump and locations are made by such walks.
*/
#ifndef CP_KERNEL_STACK_H
#define CP_KERNEL_STACK_H

#include <stdbool.h>

#include "compat.h"
#include "kernel/coroutine.h"
#include "kernel/location.h"

#pragma GCC visibility push(hidden)

/* The most activations that stack_count counts one by one. */
#define STACK_COUNTED 60

/* A place between two activations. The thread must stay alive while the walk is on it. */
typedef struct stack_walk {
  struct runtime *rt;         /* NULL: the coroutine is set */
  const coroutine *coroutine; /* that of the thread; NULL: not looked up yet */
  lua_State *thread;
  int level; /* of the next activation on the thread */
} stack_walk;

/* Begins a walk at `level` of the thread's stack; 0 is the innermost activation. */
static inline stack_walk stack_begin(struct runtime *rt, lua_State *thread, int level) {
  return (stack_walk){.rt = rt, .thread = thread, .level = level};
}

/* Begins a walk at the innermost activation of the coroutine. */
static inline stack_walk stack_begin_at(const coroutine *c) {
  return (stack_walk){.coroutine = c, .thread = c->thread};
}

/*
** Moves on to the stack of the coroutine's resumer. Returns false if there is none.   [-0, +0, -]
*/
static inline bool stack_outer(stack_walk *w) {
  if (w->coroutine == NULL) w->coroutine = coroutine_find(w->rt, w->thread);
  if (w->coroutine != NULL) w->coroutine = coroutine_outer(w->coroutine);
  if (w->coroutine == NULL) return false;
  w->thread = w->coroutine->thread;
  w->level = 0;
  return true;
}

/*
** Sets `ar`, as lua_getstack does, to the next activation of this stack or of one further out.
** Returns false if there is none.   [-0, +0, -]
*/
bool stack_next(stack_walk *w, lua_Debug *ar);

/* The same for the next activation of a Lua function, with its source and line. */
bool stack_next_line(stack_walk *w, lua_Debug *ar);

/*
** Returns how many activations this stack has from here outwards; if there are more than `deep`, a
** lower bound. Stores the first ones, at most STACK_COUNTED, in `kept` if that is not NULL.
** [-0, +0, -]
*/
int stack_count(const stack_walk *w, int deep, lua_Debug *kept);

/*
** Returns the location of the innermost Lua function at or above `level` of the running code's stack
** that is none of our own files; if all are, of the innermost. Never NULL, never raises: "?" if there
** is no Lua function or no memory.   [-0, +0, -]
*/
const location *stack_location(struct runtime *rt, lua_State *L, int level);

#pragma GCC visibility pop

#endif
