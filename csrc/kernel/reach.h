/*
** What Lua code can still reach: a walk over the values of the universe, as the collector's, but with
** the parked tasks held by nothing. Lua's collector can not be asked: to learn that an object is
** reachable only through a parked task, it would have to finalize the object, which the task still
** has. This walk changes nothing and calls nothing of scripts.
**
** The walk knows keys, which are addresses: those of objects (lua_topointer), and of parts in C memory
** that stand for an event. Its owner adds edges: when one key is reached, so is another, or a task goes
** on. A task also goes on when it is reached itself, or its thread. When a task goes on, its values are
** reached.
**
** Weak tables count as strong, because a parked task keeps its objects in them. Only tasks in a weak
** place are not reached by it: a weak table of tasks is a list of tasks, as co.tasks() is.
*/
#ifndef CP_KERNEL_REACH_H
#define CP_KERNEL_REACH_H

#include <stdbool.h>

#include "compat.h"
#include "core/base.h"
#include "kernel/runtime.h"

#pragma GCC visibility push(hidden)

typedef struct reach_mark {
  const void *key; /* NULL: the place is free */
  uint32_t edges;  /* the first edge; 0: none */
  bool reached;
} reach_mark;

/* Bits of reach.tasks. */
enum {
  REACH_GOES_ON = 1,
  REACH_HAS_EDGES = 2 /* something follows from the task's going on */
};

/* The target of an edge. */
typedef enum reach_target {
  REACH_KEY,
  REACH_TASK,  /* a task, which goes on */
  REACH_PINNED /* the object that is pinned under this address, if any: runtime.pinned_ref */
} reach_target;

typedef struct reach_edge {
  const void *target;
  uint32_t next;    /* of the same key; 0: none */
  uint32_t pending; /* the next edge whose key was reached and that must be followed; 0: none */
  uint8_t kind;     /* reach_target */
} reach_edge;

typedef struct reach {
  runtime *rt;
  lua_State *L;
  /* Called when a task goes on, after its stacks and frames were reached.   [-0, +0, m] */
  void (*task_goes_on)(struct reach *r, const struct task *t);
  /*
  ** Returns the number of the user value of the userdata on top of the stack that is not reached with
  ** it; 0: all are.   [-0, +0, -]
  */
  int (*hidden_value)(struct reach *r);
  /*
  ** Called when a function is reached that ends the context on top of the stack.   [-0, +0, m]
  */
  void (*context_may_end)(struct reach *r);
  reach_mark *marks; /* by hash */
  size_t room;       /* for marks; a power of two */
  size_t used;
  uint8_t *tasks;    /* by slot: REACH_GOES_ON, REACH_HAS_EDGES */
  uint32_t slots;    /* room in `tasks` */
  reach_edge *edges; /* the first is not used */
  uint32_t edge_room;
  uint32_t edge_count;
  uint32_t pending;  /* the first edge to follow */
  lua_Integer queue; /* values that must still be looked into */
  lua_Integer again; /* tables that must be looked into again */
  int base;          /* stack index of the first of the walk's own values */
} reach;

/* The number of the walk's own values. */
enum { REACH_VALUES = 3 };

/*
** Pushes the walk's own values. May run finalizers: no other function here does.   [-0, +3, m]
*/
void reach_push_values(lua_State *L);

/* Sets the walk's fields. It owns no memory yet.   [-0, +0, -] */
void reach_init(reach *r, runtime *rt, lua_State *L);

/* Frees the walk's memory; call it also after an error. */
void reach_free(reach *r);

/* Begins the walk, whose own values stand at `base` on the stack.   [-0, +0, m] */
void reach_begin(reach *r, int base);

/* When `from` is reached, so is the target.   [-0, +0, m] */
void reach_add_edge(reach *r, const void *from, reach_target kind, const void *target);

/* Reaches the object that is pinned under this address, if any.   [-0, +0, m] */
void reach_pinned(reach *r, const void *address);

/* When the task goes on, so that it may end or panic, the target is reached.   [-0, +0, m] */
void reach_add_task_edge(reach *r, const struct task *t, reach_target kind, const void *target);

/*
** Reaches a key, which may be that of no object. Returns whether it was not reached before.
** [-0, +0, m]
*/
bool reach_key(reach *r, const void *key);

/* Pops a value and reaches it.   [-1, +0, m] */
void reach_value(reach *r);

/* The task goes on.   [-0, +0, m] */
void reach_task(reach *r, const struct task *t);

/*
** Reaches everything that is reached from what was reached so far and from the registry, the types'
** metatables and the code that runs on L.   [-0, +0, m]
*/
void reach_all(reach *r);

/* Whether the task goes on. */
bool reach_task_goes_on(const reach *r, const struct task *t);

/* Whether the key was reached, or edges from it were added. */
bool reach_is_known(const reach *r, const void *key);

#pragma GCC visibility pop

#endif
