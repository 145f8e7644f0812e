#include "telemetry/lanes.h"

#include <string.h>

#include "kernel/task.h"

/* --- the window --- */

static size_t room_for(uint64_t events) {
  size_t room = 64;
  while (room < 2 * LANES_MAX_TASKS && room < 2 * events) room *= 2;
  return room;
}

/* Sets the window to the last `ns`, or what is known of them. */
static void set_window(lanes *l, const telemetry *m, const runtime *rt, uint64_t ns) {
  tick_moment now = telemetry_moment(m, rt);
  uint64_t ticks = m->is_virtual ? ns : ticks_from_ns(&m->clock, ns);
  uint64_t known = l->oldest > 0 ? events_at(m->ring, l->oldest)->tick : m->start.tick;
  l->to = now.tick;
  l->from = l->to > ticks ? l->to - ticks : 0;
  if (l->from < known) {
    l->from = known;
    l->lost = l->oldest;
  }
  l->to_wall = (double)now.wall_ns / (double)NS_PER_SECOND;
  l->from_wall = l->to_wall - (double)telemetry_ns(m, l->to - l->from) / (double)NS_PER_SECOND;
}

lanes *lanes_new(runtime *rt, lua_State *L, uint64_t ns) {
  uint64_t read = events_count(rt->telemetry->ring);
  if (read > LANES_MAX_EVENTS) read = LANES_MAX_EVENTS;
  size_t room = room_for(read);
  lanes *l = lua_newuserdatauv(L, sizeof(lanes) + room * sizeof(lane_task), 0);
  memset(l, 0, sizeof(lanes));
  memset(l->tasks, 0, room * sizeof(lane_task));
  l->room = (uint32_t)room;
  l->newest_task = rt->next_task_id;
  l->phase = LANES_DONE;
  telemetry *m = rt->telemetry;
  if (m->ring == NULL) return l; /* a finalizer has stopped the recorder */
  telemetry_settle(m, rt);
  l->phase = LANES_WEIGHS;
  l->ring = m->ring;
  l->is_virtual = m->is_virtual;
  l->end = m->ring->written;
  read = events_count(m->ring);
  l->oldest = l->end - (read > LANES_MAX_EVENTS ? LANES_MAX_EVENTS : read);
  l->next = l->known = l->oldest;
  set_window(l, m, rt, ns);
  return l;
}

/* Returns the later of two ticks. */
static inline uint64_t later(uint64_t a, uint64_t b) { return a > b ? a : b; }

/* Returns the earlier of two ticks or events. */
static inline uint64_t earlier(uint64_t a, uint64_t b) { return a < b ? a : b; }

/* --- the tasks that ran longest --- */

/* Returns the place of the task with this low half of its id; NULL: too many tasks, or not a task. */
static lane_task *find(lanes *l, uint64_t id) {
  uint32_t low = (uint32_t)id;
  if (low == 0) return NULL;
  uint32_t at = (low * UINT32_C(2654435761)) & (l->room - 1);
  while (l->tasks[at].low != 0 && l->tasks[at].low != low) at = (at + 1) & (l->room - 1);
  lane_task *t = &l->tasks[at];
  if (t->low == 0) {
    if (l->phase != LANES_WEIGHS || l->task_count >= l->room / 2) return NULL;
    t->low = low;
    l->task_count++;
  }
  return t;
}

/* The running task has stopped at `tick`. */
static void weigh_stop(lanes *l, uint64_t tick) {
  lane_task *t = find(l, l->running);
  uint64_t began = later(l->began, l->from);
  if (t != NULL && tick > began) t->run += tick - began;
  l->running = 0;
}

static void weigh(lanes *l, const event *e) {
  switch (e->kind) {
    case EVENT_START:
      weigh_stop(l, e->tick);
      find(l, e->task);
      l->running = e->task;
      l->began = e->tick;
      break;
    case EVENT_PARK:
    case EVENT_YIELD: weigh_stop(l, e->tick); break;
    case EVENT_SPAWN:
    case EVENT_WAKE: find(l, e->task); break;
    case EVENT_END: {
      if (l->running == e->task) weigh_stop(l, e->tick);
      lane_task *t = find(l, e->task);
      if (t != NULL) t->gone = e->tick < l->from;
      break;
    }
    default: break;
  }
}

/* Whether the first of two lanes comes first: that of the task that ran longer. */
static bool is_before(const lane *a, const lane *b) {
  return a->run != b->run ? a->run > b->run : a->id < b->id;
}

/* Puts the task into the sorted lanes, if it is one of those that ran longest. */
static void choose(lanes *l, const lane_task *t) {
  lane found = {.id = t->low, .run = t->run, .first = LANES_NONE, .last = LANES_NONE};
  if (l->count == LANES_MAX && !is_before(&found, &l->lanes[LANES_MAX - 1])) return;
  uint32_t at = l->count < LANES_MAX ? l->count++ : LANES_MAX - 1;
  for (; at > 0 && is_before(&found, &l->lanes[at - 1]); at--) l->lanes[at] = l->lanes[at - 1];
  l->lanes[at] = found;
}

static void choose_all(lanes *l) {
  uint32_t seen = 0;
  weigh_stop(l, l->to);
  for (uint32_t i = 0; i < l->room; i++) {
    const lane_task *t = &l->tasks[i];
    if (t->low == 0 || t->gone) continue;
    seen++;
    choose(l, t);
  }
  l->omitted = seen - l->count;
  l->phase = LANES_DRAWS;
  for (uint32_t i = 0; i < l->count; i++) find(l, l->lanes[i].id)->lane = (uint16_t)(i + 1);
}

/* --- spans --- */

/* Makes the span a part of the one before it in its lane, if both are short. */
static bool merge(lanes *l, const lane_span *s) {
  uint32_t last = l->lanes[s->lane].last;
  if (last == LANES_NONE) return false;
  lane_span *before = &l->spans[last];
  bool is_next = before->start_ns + before->ns == s->start_ns;
  bool is_short = s->ns < l->resolution_ns && before->ns < l->resolution_ns;
  if (!is_next || !(is_short || before->kind == s->kind)) return false;
  if (s->ns > before->ns) before->kind = s->kind; /* what took the longer part of it */
  before->ns += s->ns;
  l->merged++;
  return true;
}

static void append(lanes *l, const lane_span *s) {
  lane *of = &l->lanes[s->lane];
  uint32_t at = l->span_count++;
  l->spans[at] = *s;
  l->spans[at].next = LANES_NONE;
  if (of->last == LANES_NONE) {
    of->first = at;
  } else {
    l->spans[of->last].next = at;
  }
  of->last = at;
}

/* Doubles the resolution until there is room again. */
static void coarsen(lanes *l, uint64_t window_ns) {
  while (l->span_count > LANES_MAX_SPANS / 2 && l->resolution_ns <= window_ns) {
    l->resolution_ns = l->resolution_ns == 0 ? 1 + window_ns / 65536 : 2 * l->resolution_ns;
    uint32_t count = l->span_count;
    l->span_count = 0;
    for (uint32_t i = 0; i < l->count; i++) l->lanes[i].first = l->lanes[i].last = LANES_NONE;
    for (uint32_t i = 0; i < count; i++) {
      lane_span s = l->spans[i];
      if (!merge(l, &s)) append(l, &s);
    }
  }
}

/* Adds what the task did from one tick to another. */
static void add_span(lanes *l, const telemetry *m, uint32_t at, uint64_t begin, uint64_t end,
                     uint16_t kind) {
  begin = later(begin, l->from);
  end = earlier(end, l->to);
  if (kind == LANE_UNKNOWN || end <= begin) return;
  uint64_t start = telemetry_ns(m, begin - l->from);
  lane_span s = {.start_ns = start, .kind = kind, .lane = (uint16_t)at};
  s.ns = telemetry_ns(m, end - l->from) - start;
  if (s.ns == 0 || merge(l, &s)) return;
  if (l->span_count == LANES_MAX_SPANS) {
    coarsen(l, telemetry_ns(m, l->to - l->from));
    if (l->span_count == LANES_MAX_SPANS) {
      l->merged++;
      return;
    }
  }
  append(l, &s);
}

/* The task begins something at `tick`. */
static void turn(lanes *l, const telemetry *m, uint64_t id, uint64_t tick, uint16_t kind) {
  const lane_task *t = find(l, id);
  if (t == NULL || t->lane == 0) return;
  uint32_t at = t->lane - 1U;
  lane *of = &l->lanes[at];
  add_span(l, m, at, of->since, tick, of->kind);
  of->kind = kind;
  of->since = tick;
}

static void draw_start(lanes *l, const telemetry *m, const event *e) {
  if (e->detail == LEFT_YIELDED) turn(l, m, e->b, e->tick, LANE_READY);
  if (e->detail == LEFT_PARKED) turn(l, m, e->b, e->tick, (uint16_t)(LANE_WAITS + e->text));
  const lane_task *t = find(l, e->task);
  if (t != NULL && t->lane != 0 && l->lanes[t->lane - 1U].kind == LANE_UNKNOWN) {
    add_span(l, m, t->lane - 1U, e->tick > e->a ? e->tick - e->a : 0, e->tick, LANE_READY);
  }
  turn(l, m, e->task, e->tick, LANE_RUNS);
}

static void draw(lanes *l, const telemetry *m, const event *e) {
  switch (e->kind) {
    case EVENT_SPAWN:
    case EVENT_YIELD:
    case EVENT_WAKE: turn(l, m, e->task, e->tick, LANE_READY); break;
    case EVENT_START: draw_start(l, m, e); break;
    case EVENT_PARK: turn(l, m, e->task, e->tick, (uint16_t)(LANE_WAITS + e->text)); break;
    case EVENT_END: turn(l, m, e->task, e->tick, LANE_UNKNOWN); break;
    default: break;
  }
}

/* What tasks still do goes on until the end of the window. */
static void draw_rest(lanes *l, const telemetry *m) {
  for (uint32_t i = 0; i < l->count; i++) {
    const lane *of = &l->lanes[i];
    add_span(l, m, i, of->since, l->to, of->kind);
  }
  l->phase = LANES_FINDS;
}

/* --- steps --- */

/* Events were overwritten before they were read: what the tasks did meanwhile is not known. */
static void skip_lost(lanes *l, const event_ring *r) {
  uint64_t first = earlier(r->written - events_count(r), l->end);
  if (first <= l->next) return;
  if (first > l->known) {
    l->lost += first - l->known;
    l->known = first;
  }
  l->next = first;
  l->running = 0;
  for (uint32_t i = 0; i < l->count; i++) l->lanes[i].kind = LANE_UNKNOWN;
}

/* Reads events; returns how many of `count` are left when the phase has ended, or 0. */
static uint32_t read_events(lanes *l, const telemetry *m, uint32_t count) {
  skip_lost(l, m->ring);
  for (; count > 0 && l->next < l->end; count--, l->next++) {
    const event *e = events_at(m->ring, l->next);
    if (l->phase == LANES_WEIGHS) {
      weigh(l, e);
    } else {
      draw(l, m, e);
    }
  }
  if (l->next < l->end) return 0;
  l->next = l->oldest;
  if (l->phase == LANES_WEIGHS) {
    choose_all(l);
  } else {
    draw_rest(l, m);
  }
  return count;
}

/* Returns the id of which `low` is the low half: the greatest that the program has given. */
static uint64_t whole_id(const lanes *l, uint64_t low) {
  uint64_t id = (l->newest_task & ~(uint64_t)UINT32_MAX) | low;
  return id > l->newest_task && id > UINT32_MAX ? id - (UINT64_C(1) << 32) : id;
}

/* Finds the slots of the tasks that still live, for their names. */
static void find_slots(runtime *rt, lua_State *L, lanes *l, uint32_t count) {
  const slot_values *values = &rt->slot_values;
  if (l->next_slot == 0) {
    l->next_slot = 1;
    for (uint32_t i = 0; i < l->count; i++) l->lanes[i].id = whole_id(l, l->lanes[i].id);
  }
  for (; count > 0 && l->next_slot < values->count; count--, l->next_slot++) {
    slot_values_push(values, L, l->next_slot, SLOT_TASK);
    const task *t = lua_touserdata(L, -1);
    const lane_task *known = t == NULL || task_ended(t) ? NULL : find(l, t->id);
    if (known != NULL && known->lane != 0) l->lanes[known->lane - 1].slot = l->next_slot;
    lua_pop(L, 1);
  }
  if (l->next_slot >= values->count) l->phase = LANES_DONE;
}

bool lanes_step(runtime *rt, lua_State *L, lanes *l, uint32_t count) {
  luaL_checkstack(L, 2, NULL);
  const telemetry *m = rt->telemetry;
  bool reads = l->phase == LANES_WEIGHS || l->phase == LANES_DRAWS;
  if (reads &&
      (m->ring != l->ring || m->is_virtual != l->is_virtual || m->ring->written < l->end)) {
    l->phase = LANES_FINDS;
  }
  while (count > 0 && (l->phase == LANES_WEIGHS || l->phase == LANES_DRAWS)) {
    count = read_events(l, m, count);
  }
  if (count > 0 && l->phase == LANES_FINDS) find_slots(rt, L, l, count);
  return l->phase != LANES_DONE;
}
