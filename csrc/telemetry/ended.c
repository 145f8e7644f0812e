#include "telemetry/ended.h"

#include <stdio.h>
#include <string.h>

#include "core/base.h"
#include "kernel/probe.h"
#include "kernel/unhandled.h"

/* The list is made in rt->memory, which is freed when the universe is closed. */

static ended_task *ended_of_link(list *link) { return container_of(link, ended_task, link); }

/* Returns a free place, or that of the oldest task of the list that has to make room. */
static ended_task *take_place(ended_list *e) {
  if (e->count < ENDED_MAX) return &e->tasks[e->count++];
  bool from_failed = e->failed_count > ENDED_MAX_FAILED || list_empty(&e->returned);
  if (from_failed) e->failed_count--;
  e->forgotten++;
  return ended_of_link(list_take_first(from_failed ? &e->failed : &e->returned));
}

/* The id of the task on top of the stack, which it pops; 0: it is none.   [-1, +0, -] */
static uint64_t pop_id(lua_State *L) {
  const task *t = task_test(L, -1);
  lua_pop(L, 1);
  return t == NULL ? 0 : t->id;
}

static uint64_t parent_of(lua_State *L, int index) {
  lua_getiuservalue(L, index, TASK_UV_PARENT);
  return pop_id(L);
}

static uint64_t asker_of(const runtime *rt, lua_State *L, int index) {
  lua_rawgeti(L, LUA_REGISTRYINDEX, rt->askers_ref);
  lua_pushvalue(L, index);
  lua_rawget(L, -2);
  lua_replace(L, -2);
  return pop_id(L);
}

/* Adds the task that has ended; sinks have room on the stack.   [-0, +0, -] */
static void hear_end(probe_sink *sink, runtime *rt, const probe_event *event) {
  const task *t = event->task;
  if (event->kind != PROBE_END || event->muted || t->silent) return;
  if (!lua_checkstack(event->L, 3)) return;
  ended_list *e = container_of(sink, ended_list, sink);
  char buffer[TASK_NAME_SIZE];
  bool cancelled = t->status == TASK_CANCELLED;
  bool shut_down = cancelled && t->entry.source == CANCEL_SHUTDOWN;
  bool inherited = t->status == TASK_PANICKED && t->ended.owner == PANIC_HEIRS;
  ended_task *made = take_place(e);
  *made = (ended_task){
      .number = ++e->ends,
      .id = t->id,
      .parent = parent_of(event->L, event->object),
      .ended_ns = runtime_now(rt),
      .location = t->location,
      .status = t->status,
      .source = cancelled ? t->entry.source : CANCEL_NONE,
      .claimed = t == rt->main_task || shut_down || inherited,
  };
  if (made->source == CANCEL_EXPLICIT) {
    made->cancelled_by = asker_of(rt, event->L, event->object);
  }
  memcpy(made->trace_id, t->ended.trace_id, sizeof(made->trace_id));
  snprintf(made->name, sizeof(made->name), "%s", task_name(t, buffer));
  list_init(&made->link);
  bool failed = t->status != TASK_DONE && !shut_down;
  list_append(failed ? &e->failed : &e->returned, &made->link);
  if (failed) e->failed_count++;
}

static ended_task *find(list *head, uint64_t id) {
  for (list *link = head->prev; link != head; link = link->prev) {
    if (ended_of_link(link)->id == id) return ended_of_link(link);
  }
  return NULL;
}

/* runtime.outcome_claimed */
static void note_claim(runtime *rt, const task *t) {
  ended_task *ended = find(&rt->ended->failed, t->id);
  if (ended == NULL) ended = find(&rt->ended->returned, t->id);
  if (ended == NULL) return;
  if (ended->claimed_by == 0 && rt->current != NULL) ended->claimed_by = rt->current->id;
  ended->claimed = true;
}

ended_list *ended_watch(runtime *rt, lua_State *L) {
  if (rt->ended != NULL) return rt->ended;
  ended_list *e = mem_new(&rt->memory, sizeof(ended_list));
  if (e == NULL) luaL_error(L, "not enough memory");
  memset(e, 0, sizeof(ended_list));
  list_init(&e->failed);
  list_init(&e->returned);
  e->sink.wants = PROBE_BIT(PROBE_END);
  e->sink.write = hear_end;
  probe_add_sink(&rt->probes, &e->sink);
  rt->ended = e;
  rt->outcome_claimed = note_claim;
  return e;
}

/* The element after `link`; NULL: it was the last one. */
static const ended_task *after(const list *head, const list *link) {
  return link->next == head ? NULL : ended_of_link(link->next);
}

size_t ended_list_all(const ended_list *e, const ended_task *tasks[ENDED_MAX]) {
  const ended_task *failed = after(&e->failed, &e->failed);
  const ended_task *returned = after(&e->returned, &e->returned);
  size_t count = 0;
  while (failed != NULL || returned != NULL) {
    bool is_failed = returned == NULL || (failed != NULL && failed->number < returned->number);
    const ended_task *t = is_failed ? failed : returned;
    if (is_failed) {
      failed = after(&e->failed, &t->link);
    } else {
      returned = after(&e->returned, &t->link);
    }
    tasks[count++] = t;
  }
  return count;
}
