/*
** Tells of the cycles of Lua's collector. There is one object to which nothing refers: its finalizer is called once
** a cycle, because it sets the object's metatable again. Lua drops a finalizer where the C stack is at its limit; then
** the object is made anew when a task ends.
*/
#ifndef CP_TELEMETRY_GC_CYCLES_H
#define CP_TELEMETRY_GC_CYCLES_H

#include <stdbool.h>

#include "compat.h"
#include "core/list.h"

#pragma GCC visibility push(hidden)

struct runtime;

typedef struct gc_listener {
  list link;
  bool listens;
  /*
  ** A cycle has ended. Returns whether to go on listening. It runs in a finalizer, and must not raise, allocate, or
  ** call scripts.   [-0, +0, -]
  */
  bool (*hear)(struct gc_listener *self, struct runtime *rt, lua_State *L);
} gc_listener;

/*
** Begins to listen, if the listener does not do so yet. It must live as long as it listens, or as the runtime.
** [-0, +0, m]
*/
void gc_cycles_listen(lua_State *L, struct runtime *rt, gc_listener *listener);

#pragma GCC visibility pop

#endif
