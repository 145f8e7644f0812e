/* Tasks as hosts see them. */
#include "coropanic.h"
#include "host/host.h"
#include "kernel/unhandled.h"

_Static_assert(CP_READY == (int)TASK_READY && CP_RUNNING == (int)TASK_RUNNING &&
                   CP_WAITING == (int)TASK_WAITING && CP_DONE == (int)TASK_DONE &&
                   CP_PANICKED == (int)TASK_PANICKED && CP_CANCELLED == (int)TASK_CANCELLED &&
                   CP_EXITED == (int)TASK_EXITED,
               "hosts see the kernel's numbers");

int cp_current(lua_State *L) {
  runtime *rt = host_find(L);
  if (rt == NULL || rt->current == NULL) return 0;
  task_push(rt, L, rt->current);
  return 1;
}

int cp_is_task(lua_State *L, int index) { return host_task(L, index) != NULL; }

void cp_check_task(lua_State *L, int arg) {
  if (host_task(L, arg) == NULL) luaL_typeerror(L, arg, "task");
}

int cp_status(lua_State *L, int index) {
  const task *t = host_task(L, index);
  return t == NULL ? -1 : t->status;
}

uint64_t cp_id(lua_State *L, int index) {
  const task *t = host_task(L, index);
  return t == NULL ? 0 : t->id;
}

size_t cp_live(lua_State *L) {
  const runtime *rt = host_find(L);
  return rt == NULL ? 0 : rt->live_count;
}

int cp_cancel(lua_State *L, int index) {
  index = lua_absindex(L, index);
  task *t = host_task(L, index);
  if (t == NULL || task_ended(t)) {
    lua_pop(L, 1);
    return 0;
  }
  runtime *rt = host_find(L);
  if (t->entry.state == CANCEL_SCOPE_OPEN) cancel_note_asker(rt, L, index);
  cancel_scope_cancel(rt, L, &t->entry, CANCEL_EXPLICIT);
  return 1;
}

int cp_outcome(lua_State *L, int index) {
  index = lua_absindex(L, index);
  task *t = host_task(L, index);
  if (t == NULL || !task_ended(t)) return -1;
  if (t->status == TASK_DONE) return task_push_results(L, t, index);
  task_push_record(L, index);
  unhandled_give(host_find(L), L, t, PANIC_JOINERS);
  return 1;
}
