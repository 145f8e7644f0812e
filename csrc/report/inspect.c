#include "report/inspect.h"

#include <stdlib.h>

#include "kernel/task.h"

typedef struct task_order {
  uint64_t id;
  int slot;
} task_order;

static int compare_ids(const void *a, const void *b) {
  uint64_t x = ((const task_order *)a)->id;
  uint64_t y = ((const task_order *)b)->id;
  return (x > y) - (x < y);
}

void inspect_push_tasks(runtime *rt, lua_State *L) {
  luaL_checkstack(L, 6, NULL);
  /*
  ** Finalizers may run here: they may spawn tasks, and outside tasks they may let tasks end. The
  ** list is of the tasks that there are now, and have not ended then.
  */
  size_t room = rt->live_count;
  uint64_t newest = rt->next_task_id;
  lua_createtable(L, (int)room, 0);
  task_order *order = lua_newuserdatauv(L, room * sizeof(task_order) + 1, 0);
  lua_rawgeti(L, LUA_REGISTRYINDEX, rt->tasks_ref);
  int last = (int)lua_rawlen(L, -1);
  size_t count = 0;
  for (int slot = 1; slot <= last && count < room; slot++) {
    lua_rawgeti(L, -1, slot);
    const task *t = lua_touserdata(L, -1);
    if (t != NULL && t->id <= newest && !task_ended(t)) order[count++] = (task_order){t->id, slot};
    lua_pop(L, 1);
  }
  qsort(order, count, sizeof(task_order), compare_ids);
  for (size_t i = 0; i < count; i++) {
    lua_rawgeti(L, -1, order[i].slot);
    lua_rawseti(L, -4, (lua_Integer)i + 1);
  }
  lua_pop(L, 2);
}
