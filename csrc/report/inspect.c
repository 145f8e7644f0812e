#include "report/inspect.h"

#include <stdlib.h>

#include "kernel/task.h"

typedef struct task_order {
  uint64_t id;
  uint32_t slot;
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
  const slot_values *values = &rt->slot_values;
  size_t count = 0;
  for (uint32_t slot = 1; slot < values->count && count < room; slot++) {
    slot_values_push(values, L, slot, SLOT_TASK);
    const task *t = lua_touserdata(L, -1);
    if (t != NULL && t->id <= newest && !task_ended(t)) order[count++] = (task_order){t->id, slot};
    lua_pop(L, 1);
  }
  qsort(order, count, sizeof(task_order), compare_ids);
  for (size_t i = 0; i < count; i++) {
    slot_values_push(values, L, order[i].slot, SLOT_TASK);
    lua_rawseti(L, -3, (lua_Integer)i + 1);
  }
  lua_pop(L, 1);
}
