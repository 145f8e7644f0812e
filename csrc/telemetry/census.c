#include "telemetry/census.h"

#include <stdlib.h>
#include <string.h>

census *census_new(runtime *rt, lua_State *L, uint32_t limit) {
  census *c = lua_newuserdatauv(L, sizeof(census) + limit * sizeof(census_task), 0);
  memset(c, 0, sizeof(census));
  c->next_slot = 1;
  c->limit = limit;
  c->newest = rt->next_task_id;
  return c;
}

/* --- the oldest ones --- */

/* Lets the task at `at` sink to its place in the heap: no task is older than those below it. */
static void sink_down(census *c, uint32_t at) {
  census_task moved = c->tasks[at];
  for (;;) {
    uint32_t child = 2 * at + 1;
    if (child >= c->kept) break;
    if (child + 1 < c->kept && c->tasks[child + 1].id > c->tasks[child].id) child++;
    if (c->tasks[child].id < moved.id) break;
    c->tasks[at] = c->tasks[child];
    at = child;
  }
  c->tasks[at] = moved;
}

static void rise(census *c, uint32_t at) {
  census_task moved = c->tasks[at];
  while (at > 0 && c->tasks[(at - 1) / 2].id < moved.id) {
    c->tasks[at] = c->tasks[(at - 1) / 2];
    at = (at - 1) / 2;
  }
  c->tasks[at] = moved;
}

static void keep(census *c, uint64_t id, uint32_t slot) {
  if (c->kept < c->limit) {
    c->tasks[c->kept] = (census_task){id, slot};
    rise(c, c->kept++);
  } else if (c->limit > 0 && id < c->tasks[0].id) {
    c->tasks[0] = (census_task){id, slot};
    sink_down(c, 0);
  }
}

/* --- groups --- */

static uint64_t hash_of(const census_group *g) {
  uint64_t hash = g->parent * UINT64_C(0x9E3779B97F4A7C15);
  hash ^= (uint64_t)(uintptr_t)g->wait + ((uint64_t)g->location << 8) + g->status;
  hash *= UINT64_C(0xBF58476D1CE4E5B9);
  return hash ^ (hash >> 29);
}

static bool is_same(const census_group *a, const census_group *b) {
  return a->parent == b->parent && a->wait == b->wait && a->location == b->location &&
         a->status == b->status;
}

static void count_in_group(census *c, const census_group *found) {
  size_t bucket = (size_t)(hash_of(found) % CENSUS_BUCKETS);
  while (c->buckets[bucket] != 0) {
    census_group *g = &c->groups[c->buckets[bucket] - 1];
    if (is_same(g, found)) {
      g->count++;
      if (found->first < g->first) g->first = found->first;
      return;
    }
    bucket = (bucket + 1) % CENSUS_BUCKETS;
  }
  if (c->group_count == CENSUS_MAX_GROUPS) {
    c->others++;
    return;
  }
  c->groups[c->group_count++] = *found;
  c->buckets[bucket] = c->group_count;
}

/* --- counting --- */

/* Counts the task on top of the stack.   [-0, +0, -] */
static void count_task(census *c, lua_State *L, const task *t, uint32_t slot) {
  census_group found = {.first = t->id, .count = 1, .location = t->location, .status = t->status};
  if (t->status == TASK_WAITING) found.wait = t->wait;
  lua_getiuservalue(L, -1, TASK_UV_PARENT);
  const task *parent = lua_touserdata(L, -1);
  if (parent != NULL) found.parent = parent->id;
  lua_pop(L, 1);
  c->live++;
  count_in_group(c, &found);
  keep(c, t->id, slot);
}

bool census_step(runtime *rt, lua_State *L, census *c, uint32_t slots) {
  luaL_checkstack(L, 2, NULL);
  const slot_values *values = &rt->slot_values;
  for (; slots > 0 && c->next_slot < values->count; slots--, c->next_slot++) {
    slot_values_push(values, L, c->next_slot, SLOT_TASK);
    const task *t = lua_touserdata(L, -1);
    if (t != NULL && t->id <= c->newest && !task_ended(t)) count_task(c, L, t, c->next_slot);
    lua_pop(L, 1);
  }
  return c->next_slot < values->count;
}

static int compare_ids(const void *a, const void *b) {
  uint64_t x = ((const census_task *)a)->id;
  uint64_t y = ((const census_task *)b)->id;
  return (x > y) - (x < y);
}

void census_push_tasks(const runtime *rt, lua_State *L, census *c) {
  luaL_checkstack(L, 2, NULL);
  lua_createtable(L, (int)c->kept, 0);
  qsort(c->tasks, c->kept, sizeof(census_task), compare_ids);
  lua_Integer count = 0;
  for (uint32_t i = 0; i < c->kept; i++) {
    slot_values_push(&rt->slot_values, L, c->tasks[i].slot, SLOT_TASK);
    const task *t = lua_touserdata(L, -1);
    if (t != NULL && t->id == c->tasks[i].id && !task_ended(t)) {
      lua_rawseti(L, -2, ++count);
    } else {
      lua_pop(L, 1);
    }
  }
}

bool census_find(const runtime *rt, lua_State *L, census *c, uint64_t id, uint32_t slots) {
  luaL_checkstack(L, 1, NULL);
  const slot_values *values = &rt->slot_values;
  uint32_t slot = c->find_slot + 1;
  c->find_slot = 0;
  for (; slots > 0 && slot < values->count; slots--, slot++) {
    slot_values_push(values, L, slot, SLOT_TASK);
    const task *t = lua_touserdata(L, -1);
    if (t != NULL && t->id == id && !task_ended(t)) return true;
    lua_pop(L, 1);
  }
  if (slot < values->count) c->find_slot = slot - 1;
  return false;
}
