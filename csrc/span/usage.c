#include "span/usage.h"

#include "kernel/probe.h"
#include "kernel/task.h"

/* --- the table --- */

/* The ids are random, or at least their ends differ. (Fibonacci hashing, for those that count up.) */
static uint32_t bucket_of(const uint8_t trace_id[16]) {
  uint64_t high, low;
  memcpy(&high, trace_id, sizeof(high));
  memcpy(&low, trace_id + sizeof(high), sizeof(low));
  return (uint32_t)(((high ^ low) * UINT64_C(0x9e3779b97f4a7c15)) >> 32) % USAGE_BUCKETS;
}

/* Returns the bucket of the id, or the free one where it would be. */
static uint16_t *place_of(usage *u, const uint8_t trace_id[16]) {
  uint32_t i = bucket_of(trace_id);
  while (u->buckets[i] != 0 && memcmp(u->traces[u->buckets[i] - 1].trace_id, trace_id,
                                      sizeof(u->traces[0].trace_id)) != 0) {
    i = (i + 1) % USAGE_BUCKETS;
  }
  return &u->buckets[i];
}

trace_usage *usage_find(usage *u, const uint8_t trace_id[16]) {
  uint16_t place = *place_of(u, trace_id);
  return place == 0 ? NULL : &u->traces[place - 1];
}

static trace_usage *add(usage *u, const uint8_t trace_id[16]) {
  trace_usage *made = &u->traces[u->count++];
  *made = (trace_usage){.live = false};
  memcpy(made->trace_id, trace_id, sizeof(made->trace_id));
  *place_of(u, trace_id) = (uint16_t)u->count;
  return made;
}

static void mark(usage *u, const uint8_t trace_id[16]) {
  trace_usage *found = usage_find(u, trace_id);
  if (found != NULL) found->live = true;
}

/* Returns the live task in the slot; NULL: none.   [-0, +0, -] */
static task *task_in(const runtime *rt, uint32_t slot) {
  lua_State *holder = rt->slot_values.holder;
  slot_values_load(&rt->slot_values, slot, SLOT_TASK);
  task *t = lua_touserdata(holder, -1);
  lua_pop(holder, 1);
  return t != NULL && !task_ended(t) ? t : NULL;
}

void usage_sweep(usage *u) {
  const runtime *rt = u->rt;
  for (uint32_t i = 0; i < u->count; i++) u->traces[i].live = false;
  for (uint32_t slot = 1; slot < rt->slot_values.count; slot++) {
    task *t = task_in(rt, slot);
    if (t == NULL) continue;
    mark(u, t->coroutine.context.own.trace->trace_id);
    mark(u, task_trace_id(t));
  }
  uint32_t kept = 0;
  for (uint32_t i = 0; i < u->count; i++) {
    if (u->traces[i].live) u->traces[kept++] = u->traces[i];
  }
  u->count = 0;
  memset(u->buckets, 0, sizeof(u->buckets));
  for (uint32_t i = 0; i < kept; i++) {
    *place_of(u, u->traces[i].trace_id) = (uint16_t)(i + 1);
    u->count++;
  }
}

/* Returns what the trace has used; NULL: there are too many traces. */
static trace_usage *usage_of(usage *u, const uint8_t trace_id[16]) {
  trace_usage *found = usage_find(u, trace_id);
  if (found != NULL) return found;
  if (u->count == USAGE_MAX_TRACES && u->patience > 0) {
    u->patience--;
    return NULL;
  }
  if (u->count == USAGE_MAX_TRACES) {
    usage_sweep(u);
    u->patience = USAGE_MAX_TRACES;
  }
  return u->count == USAGE_MAX_TRACES ? NULL : add(u, trace_id);
}

/* --- events --- */

/* Returns the place for the time of the task; NULL: there is no memory. */
static int64_t *since(usage *u, const task *t) {
  uint32_t slot = t->coroutine.slot;
  if (slot < u->slots) return &u->since_ns[slot];
  uint32_t before = u->slots;
  int64_t *grown = mem_reserve(&u->rt->memory, u->since_ns, &u->slots, slot + 1, sizeof(int64_t));
  if (grown == NULL) return NULL;
  memset(grown + before, 0, (u->slots - before) * sizeof(int64_t));
  u->since_ns = grown;
  return &u->since_ns[slot];
}

/* Returns the time since the task's last event, which is now; 0 if that is not known. */
static int64_t lap(usage *u, const task *t) {
  int64_t *at = since(u, t);
  if (at == NULL) return 0;
  int64_t now = runtime_now(u->rt);
  int64_t spent = *at == 0 ? 0 : now - (*at - 1);
  *at = now + 1;
  return spent;
}

static void forget(usage *u, const task *t) {
  int64_t *at = since(u, t);
  if (at != NULL) *at = 0;
}

/* Counts the time of the slice that has ended now, and what was allocated in it. */
static void end_slice(const usage *u, trace_usage *used, int64_t spent) {
  used->run_ns += spent;
  used->allocated += u->rt->allocated - u->allocated;
}

const trace_usage *usage_settle(usage *u, const uint8_t trace_id[16], const task *t) {
  trace_usage *used = usage_find(u, trace_id);
  if (used == NULL || t == NULL) return used;
  end_slice(u, used, lap(u, t));
  u->allocated = u->rt->allocated;
  return used;
}

static void write(probe_sink *self, runtime *rt, const probe_event *event) {
  usage *u = container_of(self, usage, sink);
  task *t = (task *)event->task;
  if (t == NULL) return;
  trace_usage *used = usage_of(u, task_trace_id(t));
  int64_t spent = event->kind == PROBE_SPAN_BEGIN ? 0 : lap(u, t);
  if (event->kind == PROBE_SPAWN || event->kind == PROBE_END) forget(u, t);
  if (event->kind == PROBE_START) u->allocated = rt->allocated;
  if (used == NULL) return;
  switch (event->kind) {
    case PROBE_SPAWN: used->tasks++; break;
    case PROBE_START: used->switches++; break;
    case PROBE_STOP: end_slice(u, used, spent); break;
    case PROBE_WAKE: used->wait_ns += spent; break;
    case PROBE_END: end_slice(u, used, spent); break;
    case PROBE_SPAN_BEGIN: used->spans++; break;
    default: break;
  }
}

/* --- beginning and ending --- */

usage *usage_begin(runtime *rt) {
  if (rt->usage != NULL) return rt->usage;
  usage *u = mem_new(&rt->memory, sizeof(usage));
  if (u == NULL) return NULL;
  memset(u, 0, sizeof(usage));
  u->rt = rt;
  u->allocated = rt->allocated;
  u->sink = (probe_sink){.write = write,
                         .wants = PROBE_BIT(PROBE_SPAWN) | PROBE_BIT(PROBE_START) |
                                  PROBE_BIT(PROBE_STOP) | PROBE_BIT(PROBE_WAKE) |
                                  PROBE_BIT(PROBE_END) | PROBE_BIT(PROBE_SPAN_BEGIN)};
  for (uint32_t slot = 1; slot < rt->slot_values.count; slot++) {
    task *t = task_in(rt, slot);
    trace_usage *used = t == NULL ? NULL : usage_of(u, t->coroutine.context.own.trace->trace_id);
    if (used != NULL) used->tasks++;
    if (t != NULL && t->status != TASK_READY) lap(u, t);
  }
  rt->usage = u;
  probe_add_sink(&rt->probes, &u->sink);
  return u;
}

void usage_end(runtime *rt) {
  usage *u = rt->usage;
  if (u == NULL) return;
  rt->usage = NULL;
  probe_remove_sink(&rt->probes, &u->sink);
  if (u->since_ns != NULL) mem_free(&rt->memory, u->since_ns, u->slots * sizeof(int64_t));
  mem_free(&rt->memory, u, sizeof(usage));
}
