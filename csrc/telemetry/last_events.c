#include "telemetry/last_events.h"

#include <string.h>

#include "kernel/probe.h"
#include "kernel/record.h"
#include "kernel/task.h"

/* The stack slots that the search takes. */
#define SLOTS 8

/* --- whose events are wanted --- */

typedef struct wanted_task {
  uint64_t id;
  last_relation relation;
} wanted_task;

typedef struct wanted_tasks {
  uint64_t filter; /* the bit of each id, modulo 64: most events are of other tasks */
  int count;
  wanted_task at[1 + RECORD_MAX_ANCESTORS + SUSPENSION_MAX_POINTS];
} wanted_tasks;

/* Whether the event may tell of a wanted task: its own, or in a START the one before, whose id is b. */
static inline bool may_be_wanted(const wanted_tasks *w, const event *e) {
  return ((w->filter >> (e->task % 64) | w->filter >> (e->b % 64)) & 1) != 0;
}

/* Returns the task whose id has the low half `low`; NULL: it is not wanted. */
static const wanted_task *find_task(const wanted_tasks *w, uint32_t low) {
  for (int i = 0; i < w->count; i++) {
    if ((uint32_t)w->at[i].id == low) return &w->at[i];
  }
  return NULL;
}

static void want(wanted_tasks *w, const task *t, last_relation relation) {
  if (find_task(w, (uint32_t)t->id) != NULL) return;
  w->filter |= UINT64_C(1) << (t->id % 64);
  w->at[w->count++] = (wanted_task){.id = t->id, .relation = relation};
}

/* The task, its ancestors, and the tasks that wait for it.   [-0, +0, -] */
static void find_wanted(wanted_tasks *w, runtime *rt, lua_State *L, const task *t) {
  want(w, t, LAST_OF_SELF);
  task_push(rt, L, t);
  for (int i = 0; i < RECORD_MAX_ANCESTORS; i++) {
    lua_getiuservalue(L, -1, TASK_UV_PARENT);
    lua_remove(L, -2);
    const task *ancestor = task_test(L, -1);
    if (ancestor == NULL) break;
    want(w, ancestor, LAST_OF_PARENT);
  }
  lua_pop(L, 1);
  list *link = NULL;
  for (int i = 0; i < SUSPENSION_MAX_POINTS; i++) {
    link = ring_next(t->live.joiners, link);
    if (link == NULL) break;
    want(w, container_of(link, task, waiter.link), LAST_OF_AWAITER);
  }
}

/* --- the search --- */

/* What was found, the newest first. It is copied before anything is allocated, which may run scripts. */
typedef struct found_events {
  int keep;
  int count;
  uint16_t text_bytes;
  last_event at[LAST_EVENTS_MAX];
  char texts[LAST_EVENTS_MAX * TEXT_NAME_LENGTH];
} found_events;

static last_event *add(found_events *f, const wanted_task *of, event_kind kind, uint64_t age_ns) {
  last_event *e = &f->at[f->count++];
  *e = (last_event){
      .age_ns = age_ns, .task = of->id, .kind = (uint8_t)kind, .relation = (uint8_t)of->relation};
  return e;
}

static inline uint64_t to_ns(const last_events_source *s, uint64_t ticks) {
  return s->clock == NULL ? ticks : ticks_to_ns(s->clock, ticks);
}

static const char *wait_named(const last_events_source *s, uint16_t number) {
  const wait_type *wait = s->waits->at[number % WAIT_NAMES];
  return wait == NULL ? "?" : wait->name;
}

static void add_text(found_events *f, const last_events_source *s, last_event *to,
                     uint16_t number) {
  const text_name *name = &s->texts->at[number];
  const char *text = number == 0 ? "?" : s->texts->text + name->offset;
  to->text_length = number == 0 ? 1 : name->length;
  to->text = f->text_bytes;
  memcpy(f->texts + f->text_bytes, text, to->text_length);
  f->text_bytes = (uint16_t)(f->text_bytes + to->text_length);
}

static void add_event(found_events *f, const last_events_source *s, const event *e,
                      const wanted_task *of, uint64_t age_ns) {
  if (e->kind == EVENT_TRACE) return; /* the record has the trace id */
  last_event *to = add(f, of, e->kind, age_ns);
  to->detail = e->detail;
  to->a = e->a;
  switch (e->kind) {
    case EVENT_SPAWN: to->place = e->text; break;
    case EVENT_START: to->a = to_ns(s, e->a); break;
    case EVENT_PARK: to->wait = wait_named(s, e->text); /* fall through */
    case EVENT_YIELD: to->place = (uint16_t)e->a; break;
    case EVENT_CANCEL:
    case EVENT_SPAN_BEGIN:
    case EVENT_LOG: add_text(f, s, to, e->text); break;
    default: break;
  }
}

/* Adds how the task before a START has left. */
static void add_leaving(found_events *f, const last_events_source *s, const event *e,
                        const wanted_task *of, uint64_t age_ns) {
  bool parked = e->detail == LEFT_PARKED;
  last_event *to = add(f, of, parked ? EVENT_PARK : EVENT_YIELD, age_ns);
  if (parked) to->wait = wait_named(s, e->text);
}

/* Finds the newest events of these tasks, from the end of the ring backwards. */
static void search(found_events *f, const last_events_source *s, const wanted_tasks *w) {
  const event_ring *r = s->ring;
  uint64_t count = events_count(r);
  uint64_t end = r->written - (count < LAST_EVENTS_SEARCHED ? count : LAST_EVENTS_SEARCHED);
  uint64_t now = events_at(r, r->written - 1)->tick;
  for (uint64_t i = r->written; i > end && f->count < f->keep; i--) {
    const event *e = events_at(r, i - 1);
    if (!may_be_wanted(w, e)) continue;
    uint64_t age_ns = to_ns(s, now > e->tick ? now - e->tick : 0);
    const wanted_task *of = find_task(w, e->task);
    if (of != NULL && e->task != 0) add_event(f, s, e, of, age_ns);
    bool tells_of_two = e->kind == EVENT_START && e->detail != LEFT_NOT;
    const wanted_task *left = tells_of_two ? find_task(w, (uint32_t)e->b) : NULL;
    if (left != NULL && f->count < f->keep) add_leaving(f, s, e, left, age_ns);
  }
}

/* --- in the record --- */

/* (record, found) makes the found events a detail of the record; called protected. */
static int store(lua_State *L) {
  const found_events *f = lua_touserdata(L, 2);
  size_t size = sizeof(last_events) + (size_t)f->count * sizeof(last_event);
  last_events *all = lua_newuserdatauv(L, size + f->text_bytes, 0);
  all->count = f->count;
  for (int i = 0; i < f->count; i++) all->at[i] = f->at[f->count - 1 - i];
  memcpy((char *)all + size, f->texts, f->text_bytes);
  record_set_detail(L, 1, DETAIL_LAST_EVENTS);
  return 0;
}

void last_events_keep(runtime *rt, const probe_event *told, const last_events_source *source,
                      int keep) {
  lua_State *L = told->L;
  if (!lua_checkstack(L, SLOTS)) return;
  wanted_tasks wanted = {.count = 0};
  find_wanted(&wanted, rt, L, told->task);
  found_events found;
  found.keep = keep;
  found.count = 0;
  found.text_bytes = 0;
  search(&found, source, &wanted);
  lua_pushcfunction(L, store);
  lua_pushvalue(L, told->object);
  lua_pushlightuserdata(L, &found);
  if (lua_pcall(L, 2, 0, 0) != LUA_OK) lua_pop(L, 1);
}

/* --- from the record --- */

const last_events *last_events_push(lua_State *L, int index) {
  record_push_detail(L, index, DETAIL_LAST_EVENTS);
  return lua_touserdata(L, -1);
}

const char *last_event_relation(const last_event *e) {
  static const char *const names[] = {
      [LAST_OF_SELF] = "self", [LAST_OF_PARENT] = "parent", [LAST_OF_AWAITER] = "awaiter"};
  return names[e->relation];
}
