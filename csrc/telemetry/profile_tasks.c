/*
** The profile of tasks: where each live task stands when the profile ends, in one walk over them. If
** they are many, those with equal stacks, waits and labels of the program's are one sample, without the
** labels of a task, so that 100,000 of them have room and take little time.
*/
#include <string.h>

#include "telemetry/profile_parks.h"
#include "telemetry/profile_stack.h"

/* The most tasks whose samples have the labels of their task. */
#define PROFILE_TASKS_LABELLED 1000

typedef struct tasks_profile {
  profile base;
  profile_parks parks;
} tasks_profile;

static void add_word(tasks_profile *p, profile_key *k, const char *name, const char *word) {
  profile_add_text(&p->base.store, k, name, word, strlen(word));
}

static void add_task(tasks_profile *p, const task *t) {
  int64_t waited_ns = 0;
  profile_key k;
  profile_key_begin(&k);
  profile_add_stack(&p->base, &k, t->coroutine.top);
  if (p->base.rt->live_count <= PROFILE_TASKS_LABELLED) {
    profile_add_labels(&p->base, &k, t, t->coroutine.top);
  } else {
    profile_add_own_labels(&p->base, &k, t);
  }
  add_word(p, &k, "status", task_status_name(t->status));
  if (t->status == TASK_WAITING) {
    park waited = parks_of(&p->parks, t);
    waited_ns = parks_waited(p->base.rt, &waited);
    add_word(p, &k, "wait", t->wait->name);
    parks_add_object(&waited, &p->base, &k);
  }
  profile_store_add(&p->base.store, &k, 1, waited_ns);
}

/* Calls nothing that makes Lua objects, so no task begins or ends meanwhile. */
static void finish(profile *base, lua_State *L) {
  const slot_values *values = &base->rt->slot_values;
  if (!lua_checkstack(L, 1)) {
    base->store.dropped += base->rt->live_count;
    return;
  }
  for (uint32_t slot = 1; slot < values->count; slot++) {
    slot_values_push(values, L, slot, SLOT_TASK);
    const task *t = lua_touserdata(L, -1);
    if (t != NULL && !task_ended(t)) add_task((tasks_profile *)base, t);
    lua_pop(L, 1);
  }
}

static void begin(profile *base, lua_State *L) {
  (void)L;
  parks_begin(&((tasks_profile *)base)->parks, base->rt);
}

static void end(profile *base) { parks_end(&((tasks_profile *)base)->parks, base->rt); }

const profile_type profile_tasks = {
    .name = "tasks",
    .values = {{"tasks", "count"}, {"blocked", "nanoseconds"}},
    .size = sizeof(tasks_profile),
    .begin = begin,
    .finish = finish,
    .end = end,
};
