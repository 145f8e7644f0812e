#include "telemetry/telemetry.h"

#include <string.h>

#include "kernel/probe.h"
#include "kernel/record.h"
#include "kernel/stack.h"
#include "kernel/task.h"
#include "telemetry/last_events.h"

#define UNKNOWN UINT64_MAX

static inline bool is_rare(bool condition) { return __builtin_expect(condition, 0) != 0; }

static inline uint64_t now_of(const telemetry *m, const runtime *rt) {
  return is_rare(rt->clock->is_virtual) ? (uint64_t)rt->clock->virtual_now_ns
                                        : ticks_read(&m->clock);
}

tick_moment telemetry_moment(const telemetry *m, const runtime *rt) {
  if (m->is_virtual) {
    uint64_t now = rt->clock->is_virtual ? (uint64_t)rt->clock->virtual_now_ns : 0;
    return (tick_moment){now, now, now};
  }
  tick_moment moment = {.tick = ticks_read(&m->clock)};
  moment.monotonic_ns = ticks_monotonic_ns();
  moment.wall_ns = (uint64_t)clock_wall_ns();
  return moment;
}

/* --- the time of each task's state --- */

static void forget_times(telemetry *m) {
  if (m->since_count > 0) memset(m->since, 0xff, m->since_count * sizeof(uint64_t));
}

/* Makes room for what the tasks of so many slots use. Those that live are counted from now on. */
static void reserve_uses(const telemetry *m, runtime *rt, uint32_t count) {
  accounting *a = m->accounting;
  if (a == NULL || count <= a->use_count) return;
  task_use *uses =
      mem_resize(&rt->memory, a->uses, a->use_count * sizeof(task_use), count * sizeof(task_use));
  if (uses == NULL) return;
  uint64_t now = now_of(m, rt);
  for (uint32_t slot = a->use_count; slot < count; slot++) uses[slot] = (task_use){.since = now};
  a->uses = uses;
  a->use_count = count;
}

/* Makes room for the slot. Without memory, its times stay unknown. */
static bool reserve_slot(telemetry *m, runtime *rt, uint32_t slot) {
  uint32_t count = m->since_count == 0 ? 64 : m->since_count;
  while (count <= slot) count *= 2;
  if (count == m->since_count) return true;
  uint64_t *since = mem_resize(&rt->memory, m->since, m->since_count * sizeof(uint64_t),
                               count * sizeof(uint64_t));
  if (since == NULL) return false;
  memset(since + m->since_count, 0xff, (count - m->since_count) * sizeof(uint64_t));
  m->since = since;
  m->since_count = count;
  reserve_uses(m, rt, count);
  return true;
}

/*
** Sets the time at which the state of the task in the slot began. Returns the ticks that the former one took, or
** UNKNOWN.
*/
static inline uint64_t turn_over(telemetry *m, uint32_t slot, uint64_t now) {
  if (is_rare(slot >= m->since_count)) return UNKNOWN;
  uint64_t since = m->since[slot];
  m->since[slot] = now;
  return since == UNKNOWN ? UNKNOWN : now - since;
}

/* Makes the trace of the task the exemplar, if it is sampled. */
__attribute__((noinline, cold)) static void note_exemplar(exemplar *e, const task *t, uint64_t ns,
                                                          uint64_t now) {
  const trace_ids *ids = trace_ids_of((trace_context *)&t->coroutine.context);
  bool ended = task_ended(t);
  bool sampled = ended ? t->sampled : (ids->trace->flags & TRACE_FLAG_SAMPLED) != 0;
  if (!sampled) return;
  *e = (exemplar){.tick = now,
                  .wall_ns = (uint64_t)clock_wall_ns(),
                  .ns = ns,
                  .span_id = ended ? t->coroutine.context.own.span_id : ids->span_id};
  memcpy(e->trace_id, ended ? t->ended.trace_id : ids->trace->trace_id, sizeof(e->trace_id));
}

/*
** Counts a duration in ticks, if it is known, which has ended at `now`. `t` is its task.
*/
static inline void count(const telemetry *m, histogram *h, uint64_t ticks, const task *t,
                         uint64_t now) {
  if (ticks == UNKNOWN) return;
  uint64_t ns = telemetry_ns(m, ticks);
  exemplar *e = histogram_exemplar(h, histogram_add(h, ns));
  if (is_rare(now - e->tick >= m->second)) note_exemplar(e, t, ns, now);
}

/* Counts a delay of the task, if it is known. */
static inline void count_delay(const telemetry *m, const task *t, uint64_t ticks, uint64_t now) {
  accounting *a = m->accounting;
  if (a == NULL || ticks == UNKNOWN) return;
  count(m, &a->delay, ticks, t, now);
  if (t->coroutine.slot < a->use_count) a->uses[t->coroutine.slot].delay += ticks;
}

/* Counts a slice of the task. */
static inline void count_run(const telemetry *m, const task *t, uint64_t ticks, uint64_t now) {
  accounting *a = m->accounting;
  if (a == NULL) return;
  count(m, &a->run, ticks, t, now);
  if (t->coroutine.slot < a->use_count) a->uses[t->coroutine.slot].run += ticks;
}

/* --- writing events --- */

static inline event *put(event_ring *r, event_kind kind, uint64_t task_id, uint64_t tick) {
  event *e = events_next(r);
  *e = (event){.tick = tick, .task = (uint32_t)task_id, .kind = (uint8_t)kind};
  return e;
}

static void set_trace(event *e, const uint8_t id[16], bool from_outside) {
  e->detail = from_outside;
  memcpy(&e->a, id, sizeof(e->a));
  memcpy(&e->b, id + sizeof(e->a), sizeof(e->b));
}

static uint16_t place_of(runtime *rt, const task *t) {
  lua_Debug ar;
  stack_walk w = stack_begin_at(t->coroutine.top);
  bool found = stack_next_line(&w, &ar);
  return found ? location_intern(&rt->locations, &ar)->number : 0;
}

/* The end of a slice that is not told with the next START. */
static void write_stop(telemetry *m, uint64_t now, uint16_t place) {
  event_kind kind = m->left == LEFT_PARKED ? EVENT_PARK : EVENT_YIELD;
  event *e = put(m->ring, kind, m->left_task->id, now);
  e->text = m->left_wait;
  e->a = place;
}

/* The slice has ended at `now`. */
static inline void end_slice(telemetry *m, uint64_t now) {
  const task *t = m->left_task;
  turn_over(m, t->coroutine.slot, now);
  count_run(m, t, now - m->began, now);
}

static inline void forget_left(telemetry *m) {
  m->left = LEFT_NOT;
  m->left_wait = 0;
  m->left_task = NULL;
}

void telemetry_settle(telemetry *m, runtime *rt) {
  if (m->left == LEFT_NOT) return;
  uint64_t now = now_of(m, rt);
  end_slice(m, now);
  if (m->ring != NULL) write_stop(m, now, 0);
  forget_left(m);
}

/* Call it when the clock or the triggers have changed. */
static void set_durations(telemetry *m) {
  m->second = m->is_virtual ? NS_PER_SECOND : ticks_from_ns(&m->clock, NS_PER_SECOND);
  const triggers *t = m->triggers;
  bool is_wanted = t != NULL && (t->wants & TRIGGER_DELAY) != 0;
  m->slow = !is_wanted      ? UINT64_MAX
            : m->is_virtual ? t->delay_ns
                            : ticks_from_ns(&m->clock, t->delay_ns);
}

/*
** Call it when tasks run by the other clock: what was recorded by the former one is dropped, because
** events of two clocks have no order.
*/
static void change_clock(telemetry *m, runtime *rt) {
  m->is_virtual = rt->clock->is_virtual;
  set_durations(m);
  forget_left(m);
  m->running = 0;
  forget_times(m);
  accounting *a = m->accounting;
  uint64_t now = now_of(m, rt);
  for (uint32_t slot = 0; a != NULL && slot < a->use_count; slot++) {
    a->uses[slot] = (task_use){.since = now};
  }
  m->start = telemetry_moment(m, rt);
  if (m->ring != NULL) m->ring->written = 0;
}

/*
** Returns the place for an event of now; NULL: nothing is recorded, or it is by the other clock, outside all runs.
*/
static event *write_event(telemetry *m, runtime *rt, event_kind kind, const task *t) {
  if (m->is_virtual != rt->clock->is_virtual) return NULL;
  telemetry_settle(m, rt);
  return m->ring == NULL ? NULL : put(m->ring, kind, t == NULL ? 0 : t->id, now_of(m, rt));
}

static bool count_cycle(gc_listener *listener, runtime *rt, lua_State *L) {
  telemetry *m = container_of(listener, telemetry, gc);
  (void)L;
  if (!m->listens) return false;
  m->cycles++;
  /* The virtual clock's runs are alike, but the collector's cycles are not. */
  event *e = m->is_virtual ? NULL : write_event(m, rt, EVENT_GC, NULL);
  if (e != NULL) e->a = m->cycles;
  return true;
}

/* --- the tap --- */

/* A task has begun a slice after so long a delay that this may trigger a dump. */
__attribute__((noinline, cold)) static void tell_delay(telemetry *m, runtime *rt, uint64_t delay) {
  if (delay == UNKNOWN) return;
  triggers_fire(m->triggers, rt, TRIGGER_DELAY);
  m->began = now_of(m, rt); /* the time of a dump is not the task's */
}

/* plain: the ring alone listens, by the processor's counter. That copy calls nothing. */
cp_inline void start_slice(telemetry *m, runtime *rt, const task *t, const bool plain) {
  uint64_t now = plain ? ticks_read(&m->clock) : now_of(m, rt);
  if (m->left != LEFT_NOT) {
    if (plain) {
      turn_over(m, m->left_task->coroutine.slot, now);
    } else {
      end_slice(m, now);
    }
  }
  uint64_t delay = turn_over(m, t->coroutine.slot, now);
  if (!plain) count_delay(m, t, delay, now);
  event_ring *r = m->ring;
  if (plain || r != NULL) {
    event *e = events_next(r);
    e->tick = now;
    e->task = (uint32_t)t->id;
    e->kind = EVENT_START;
    e->detail = (uint8_t)m->left;
    e->text = m->left_wait;
    e->a = delay == UNKNOWN ? 0 : delay;
    e->b = m->left_task == NULL ? 0 : m->left_task->id;
  }
  forget_left(m);
  m->began = now;
  m->running = t->id;
  if (!plain && is_rare(delay >= m->slow)) tell_delay(m, rt, delay);
}

cp_apart void start_heard_by_all(telemetry *m, runtime *rt, const task *t) {
  if (rt->clock->is_virtual != m->is_virtual) change_clock(m, rt);
  start_slice(m, rt, t, false);
}

static inline bool is_plain(const telemetry *m, const runtime *rt) {
  return m->clock.source == TICKS_COUNTER && !m->is_virtual && !rt->clock->is_virtual &&
         m->accounting == NULL && m->ring != NULL && m->slow == UINT64_MAX;
}

static void on_start(probe_tap *tap, runtime *rt, const task *t) {
  telemetry *m = container_of(tap, telemetry, tap);
  if (is_plain(m, rt)) {
    start_slice(m, rt, t, true);
  } else {
    start_heard_by_all(m, rt, t);
  }
}

/* Notes how the task has left. */
static inline void leave(telemetry *m, const task *t, bool parked, uint16_t wait) {
  m->left = parked ? LEFT_PARKED : LEFT_YIELDED;
  m->left_wait = wait;
  m->left_task = t;
  m->running = 0;
}

static inline bool is_told_by_start(const telemetry *m, const runtime *rt) {
  return rt->batch > 0 && fifo_count(&rt->ready) > 0 && !m->stacks;
}

cp_apart void stop_slice(telemetry *m, runtime *rt, const task *t, bool parked) {
  leave(m, t, parked, parked ? wait_names_number(&m->waits, t->wait) : 0);
  if (is_told_by_start(m, rt)) return;
  uint64_t now = now_of(m, rt);
  end_slice(m, now);
  if (m->ring != NULL) write_stop(m, now, m->stacks ? place_of(rt, t) : 0);
  forget_left(m);
}

/*
** If the next task starts at once, its START tells this too: one event and one look at the clock for a
** switch.
*/
static void on_stop(probe_tap *tap, runtime *rt, const task *t) {
  telemetry *m = container_of(tap, telemetry, tap);
  bool parked = t->status != TASK_READY;
  uint16_t wait = parked ? wait_names_known(&m->waits, t->wait) : 0;
  if ((parked && wait == 0) || !is_told_by_start(m, rt)) {
    stop_slice(m, rt, t, parked);
  } else {
    leave(m, t, parked, wait);
  }
}

static void on_wake(probe_tap *tap, runtime *rt, const task *t) {
  telemetry *m = container_of(tap, telemetry, tap);
  if (is_rare(m->is_virtual != rt->clock->is_virtual)) return;
  if (is_rare(m->left != LEFT_NOT)) telemetry_settle(m, rt);
  uint64_t now = now_of(m, rt);
  uint64_t waited = turn_over(m, t->coroutine.slot, now);
  if (m->accounting != NULL) {
    count(m, &m->accounting->waits[wait_names_number(&m->waits, t->wait)], waited, t, now);
  }
  if (m->ring == NULL) return;
  event *e = put(m->ring, EVENT_WAKE, t->id, now);
  e->detail = t->wake;
  e->a = rt->current == NULL ? 0 : rt->current->id;
}

static uint64_t on_mark(probe_tap *tap, runtime *rt, probe_mark mark, const char *text,
                        size_t length, uint64_t of) {
  static const event_kind kinds[] = {[MARK_EVENT] = EVENT_LOG,
                                     [MARK_SPAN_BEGIN] = EVENT_SPAN_BEGIN,
                                     [MARK_SPAN_END] = EVENT_SPAN_END,
                                     [MARK_TRACE] = EVENT_TRACE};
  telemetry *m = container_of(tap, telemetry, tap);
  event *e = write_event(m, rt, kinds[mark], rt->current);
  if (e == NULL) return 0;
  uint64_t number = m->ring->written;
  switch (mark) {
    case MARK_EVENT: e->text = text_names_number(m->texts, text, length); break;
    case MARK_SPAN_BEGIN:
      e->text = text_names_number(m->texts, text, length);
      e->a = number;
      break;
    case MARK_SPAN_END:
      e->a = of;
      e->detail = length > 0;
      break;
    case MARK_TRACE: set_trace(e, (const uint8_t *)text, true); break;
  }
  return number;
}

/* --- the sink --- */

static void write_spawn(telemetry *m, runtime *rt, const task *t) {
  if (m->is_virtual != rt->clock->is_virtual) change_clock(m, rt);
  telemetry_settle(m, rt);
  uint64_t now = now_of(m, rt);
  uint32_t slot = t->coroutine.slot;
  if (reserve_slot(m, rt, slot)) m->since[slot] = now;
  accounting *a = m->accounting;
  if (a != NULL && slot < a->use_count) a->uses[slot] = (task_use){.since = now};
  if (m->ring == NULL) return;
  event *e = put(m->ring, EVENT_SPAWN, t->id, now);
  e->detail = t->daemon ? 1 : 0;
  e->text = t->location;
  e->a = rt->current == NULL ? 0 : rt->current->id;
  const trace *of = t->coroutine.context.own.trace;
  if (of != NULL) set_trace(put(m->ring, EVENT_TRACE, t->id, now), of->trace_id, of->continued);
}

static void write_end(telemetry *m, runtime *rt, const task *t) {
  if (m->is_virtual != rt->clock->is_virtual) return;
  telemetry_settle(m, rt);
  uint64_t now = now_of(m, rt);
  if (m->running == t->id) {
    count_run(m, t, now - m->began, now);
    m->running = 0;
  }
  if (m->ring != NULL) put(m->ring, EVENT_END, t->id, now)->detail = t->status;
}

/* Returns the event's record, or NULL. */
static const record *write_panic(telemetry *m, runtime *rt, const probe_event *told,
                                 event_kind kind) {
  const record *r = record_test(told->L, told->object);
  event *e = write_event(m, rt, kind, told->task);
  if (e == NULL || r == NULL) return r;
  e->detail = r->kind;
  e->a = r->sequence;
  return r;
}

/* Gives the record of a panic the events before it. */
static void keep_events(const telemetry *m, runtime *rt, const probe_event *told) {
  bool is_written = m->ring != NULL && m->is_virtual == rt->clock->is_virtual;
  if (m->keep == 0 || !is_written || told->task == NULL) return;
  last_events_source source = {.ring = m->ring,
                               .waits = &m->waits,
                               .texts = m->texts,
                               .clock = m->is_virtual ? NULL : &m->clock};
  last_events_keep(rt, told, &source, m->keep);
}

static void hear_panic(telemetry *m, runtime *rt, const probe_event *told) {
  const record *r = write_panic(m, rt, told, EVENT_PANIC);
  if (r != NULL) keep_events(m, rt, told);
  bool is_deadlock = r != NULL && r->kind == RECORD_DEADLOCK;
  triggers_fire(m->triggers, rt, TRIGGER_PANIC | (is_deadlock ? TRIGGER_DEADLOCK : 0U));
}

static void hear_unhandled(telemetry *m, runtime *rt, const probe_event *told) {
  write_panic(m, rt, told, EVENT_UNHANDLED);
  triggers_fire(m->triggers, rt,
                TRIGGER_UNHANDLED | (rt->unhandled == UNHANDLED_CRASH ? TRIGGER_CRASH : 0U));
}

static void write_cancel(telemetry *m, runtime *rt, const probe_event *told) {
  event *e = write_event(m, rt, EVENT_CANCEL, told->task);
  if (e == NULL) return;
  e->text = text_names_number(m->texts, told->word, strlen(told->word));
  e->a = rt->current == NULL ? 0 : rt->current->id;
}

static void begin_idle(telemetry *m, runtime *rt) {
  m->idle_since = now_of(m, rt);
  write_event(m, rt, EVENT_IDLE_BEGIN, NULL);
}

static void end_idle(telemetry *m, runtime *rt) {
  if (m->accounting != NULL && m->idle_since != UNKNOWN) {
    m->accounting->idle_ns += telemetry_ns(m, now_of(m, rt) - m->idle_since);
  }
  m->idle_since = UNKNOWN;
  write_event(m, rt, EVENT_IDLE_END, NULL);
}

static void write_rare(probe_sink *sink, runtime *rt, const probe_event *told) {
  telemetry *m = container_of(sink, telemetry, sink);
  switch (told->kind) {
    case PROBE_SPAWN: write_spawn(m, rt, told->task); break;
    case PROBE_END: write_end(m, rt, told->task); break;
    case PROBE_PANIC: hear_panic(m, rt, told); break;
    case PROBE_RECOVER: write_panic(m, rt, told, EVENT_RECOVER); break;
    case PROBE_UNHANDLED: hear_unhandled(m, rt, told); break;
    case PROBE_CANCEL: write_cancel(m, rt, told); break;
    case PROBE_SLEEP: begin_idle(m, rt); break;
    case PROBE_AWAKE: end_idle(m, rt); break;
    default: break;
  }
}

/* --- on and off --- */

static void stop_listening(runtime *rt) {
  telemetry *m = rt->telemetry;
  if (!m->listens) return;
  m->listens = false;
  probe_remove_sink(&rt->probes, &m->sink);
  probe_set_tap(&rt->probes, NULL);
}

/* The universe is being closed, and the memory is freed with it. */
static void close_telemetry(runtime *rt) {
  stop_listening(rt);
  rt->telemetry = NULL;
}

static void listen(telemetry *m, runtime *rt) {
  if (m->listens) return;
  m->listens = true;
  m->is_virtual = rt->clock->is_virtual;
  forget_left(m);
  m->running = 0;
  m->began = now_of(m, rt);
  m->idle_since = UNKNOWN;
  m->cycles = 0;
  set_durations(m);
  forget_times(m);
  probe_add_sink(&rt->probes, &m->sink);
  probe_set_tap(&rt->probes, &m->tap);
}

static void stop_if_unused(runtime *rt) {
  const telemetry *m = rt->telemetry;
  if (m->ring == NULL && m->accounting == NULL) stop_listening(rt);
}

telemetry *telemetry_of(runtime *rt) {
  if (rt->telemetry != NULL) return rt->telemetry;
  telemetry *m = mem_new(&rt->memory, sizeof(telemetry));
  if (m == NULL) return NULL;
  *m = (telemetry){
      .part = {.close = close_telemetry},
      .sink = {.wants = PROBE_BIT(PROBE_SPAWN) | PROBE_BIT(PROBE_END) | PROBE_BIT(PROBE_PANIC) |
                        PROBE_BIT(PROBE_RECOVER) | PROBE_BIT(PROBE_UNHANDLED) |
                        PROBE_BIT(PROBE_CANCEL) | PROBE_BIT(PROBE_SLEEP) | PROBE_BIT(PROBE_AWAKE),
               .write = write_rare},
      .slow = UINT64_MAX,
      .gc = {.hear = count_cycle},
      .tap = {.start = on_start, .stop = on_stop, .wake = on_wake, .mark = on_mark}};
  ticks_open(&m->clock);
  rt->telemetry = m;
  runtime_add_part(rt, &m->part);
  return m;
}

void telemetry_watch_collector(lua_State *L, runtime *rt) {
  telemetry *m = telemetry_of(rt);
  if (m == NULL) luaL_error(L, "not enough memory");
  gc_cycles_listen(L, rt, &m->gc);
}

/* Makes room for the slots of the tasks that live, before it listens. */
static bool prepare(telemetry *m, runtime *rt) {
  return reserve_slot(m, rt, rt->slot_values.count);
}

accounting *telemetry_account(runtime *rt) {
  telemetry *m = telemetry_of(rt);
  if (m == NULL || !prepare(m, rt)) return NULL;
  if (m->accounting == NULL) {
    m->accounting = mem_new(&rt->memory, sizeof(accounting));
    if (m->accounting == NULL) return NULL;
    accounting_init(m->accounting, telemetry_moment(m, rt).monotonic_ns);
    listen(m, rt);
    reserve_uses(m, rt, m->since_count);
  }
  m->accounting->users++;
  return m->accounting;
}

void telemetry_unaccount(runtime *rt) {
  telemetry *m = rt->telemetry;
  cp_assert(m != NULL && m->accounting != NULL);
  if (--m->accounting->users > 0) return;
  accounting *a = m->accounting;
  if (a->uses != NULL) mem_free(&rt->memory, a->uses, a->use_count * sizeof(task_use));
  mem_free(&rt->memory, a, sizeof(accounting));
  m->accounting = NULL;
  stop_if_unused(rt);
}

bool telemetry_use(const telemetry *m, const runtime *rt, const task *t, task_use *use) {
  uint32_t slot = t->coroutine.slot;
  const accounting *a = m == NULL || m->is_virtual != rt->clock->is_virtual ? NULL : m->accounting;
  if (a == NULL || slot >= a->use_count || task_ended(t)) return false;
  uint64_t now = now_of(m, rt);
  *use = a->uses[slot];
  if (m->running == t->id) use->run += now - m->began;
  bool is_delayed = t->status == TASK_READY && slot < m->since_count && m->since[slot] != UNKNOWN;
  if (is_delayed) use->delay += now - m->since[slot];
  return true;
}

static void free_ring(telemetry *m, runtime *rt) {
  if (m->ring != NULL) mem_free(&rt->memory, m->ring, events_size(m->ring->mask + 1));
  mem_free(&rt->memory, m->texts, sizeof(text_names));
  mem_free(&rt->memory, m->triggers, sizeof(triggers));
  m->ring = NULL;
  m->texts = NULL;
  m->triggers = NULL;
  set_durations(m);
}

bool telemetry_record(runtime *rt, const recording *options) {
  telemetry *m = telemetry_of(rt);
  if (m == NULL || !prepare(m, rt)) return false;
  size_t size = events_size(options->events);
  bool dumps = options->triggers != NULL;
  text_names *texts = mem_new(&rt->memory, sizeof(text_names));
  event_ring *ring = mem_new(&rt->memory, size);
  triggers *copy = dumps ? mem_new(&rt->memory, sizeof(triggers)) : NULL;
  if (texts == NULL || ring == NULL || (dumps && copy == NULL)) {
    mem_free(&rt->memory, texts, sizeof(text_names));
    mem_free(&rt->memory, ring, size);
    mem_free(&rt->memory, copy, sizeof(triggers));
    return false;
  }
  memset(texts, 0, sizeof(text_names));
  telemetry_settle(m, rt);
  free_ring(m, rt);
  /* Pages are got now, not by the code that is recorded. */
  memset(ring, 0, size);
  ring->mask = options->events - 1;
  if (dumps) *copy = *options->triggers;
  m->texts = texts;
  m->ring = ring;
  m->triggers = copy;
  m->stacks = options->stacks;
  m->keep = options->keep;
  listen(m, rt);
  set_durations(m);
  m->start = telemetry_moment(m, rt);
  return true;
}

void telemetry_stop(runtime *rt) {
  telemetry *m = rt->telemetry;
  if (m == NULL) return;
  free_ring(m, rt);
  stop_if_unused(rt);
}
