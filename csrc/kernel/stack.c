#include "kernel/stack.h"

#include "kernel/runtime.h"

bool stack_next(stack_walk *w, lua_Debug *ar) {
  do {
    if (lua_getstack(w->thread, w->level, ar)) {
      w->level++;
      return true;
    }
  } while (stack_outer(w));
  return false;
}

bool stack_next_line(stack_walk *w, lua_Debug *ar) {
  do {
    while (lua_getstack(w->thread, w->level, ar)) {
      w->level++;
      lua_getinfo(w->thread, "Sl", ar);
      if (ar->currentline > 0) return true;
    }
  } while (stack_outer(w));
  return false;
}

/*
** A stack with more than STACK_COUNTED activations is bisected, because lua_getstack costs as much
** as the level. If it has a million (an overflow), each walk to the end takes some 20 ms.
*/
int stack_count(const stack_walk *w, int deep, lua_Debug *kept) {
  lua_Debug room;
  int known = 0; /* levels from w->level on that exist */
  lua_Debug *ar = kept == NULL ? &room : kept;
  for (; known < STACK_COUNTED; known++) {
    if (!lua_getstack(w->thread, w->level + known, ar)) return known;
    if (kept != NULL) ar++;
  }
  known += w->level;
  int beyond = known;
  while (lua_getstack(w->thread, beyond, &room)) {
    known = beyond + 1;
    beyond *= 2;
  }
  if (known - w->level > deep) return known - w->level;
  while (known < beyond) {
    int middle = known + (beyond - known) / 2;
    if (lua_getstack(w->thread, middle, &room)) {
      known = middle + 1;
    } else {
      beyond = middle;
    }
  }
  return known - w->level;
}

/*
** The same if there is none on this stack: the coroutine runs a C function, or code of ours alone, whose
** innermost location is `ours`; NULL: none.
*/
static const location *location_further_out(runtime *rt, lua_State *L, int level,
                                            const location *ours) {
  lua_Debug ar;
  stack_walk w = stack_begin(rt, L, level);
  while (stack_next_line(&w, &ar)) {
    const location *here = location_intern(&rt->locations, &ar);
    if (!here->is_library) return here;
    if (ours == NULL) ours = here;
  }
  return ours != NULL ? ours : location_intern(&rt->locations, NULL);
}

const location *stack_location(runtime *rt, lua_State *L, int level) {
  lua_Debug ar;
  const location *ours = NULL;
  for (; lua_getstack(L, level, &ar); level++) {
    lua_getinfo(L, "Sl", &ar);
    if (ar.currentline <= 0) continue;
    const location *here = location_intern(&rt->locations, &ar);
    if (!here->is_library) return here;
    if (ours == NULL) ours = here;
  }
  return location_further_out(rt, L, level, ours);
}
