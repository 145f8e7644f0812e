#include "telemetry/schedtrace.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "kernel/probe.h"
#include "kernel/task.h"
#include "telemetry/telemetry.h"

/* So many different waits are named; the tasks in others are counted as "other". */
#define MAX_WAITS 16

typedef struct schedtrace {
  probe_sink sink;
  int64_t every_ns;
  int64_t opened_ns; /* by the system's clock */

  /* At the line before. */
  bool is_virtual;
  int64_t since_ns;
  uint64_t switches;
  uint64_t spawned;
  uint64_t idle_ns;
  histogram delay;
} schedtrace;

/* --- the text --- */

typedef struct line {
  size_t used;
  char text[1024]; /* MAX_WAITS names of up to about 20 bytes, and the numbers */
} line;

__attribute__((format(printf, 2, 3))) static void add(line *l, const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  int length = vsnprintf(l->text + l->used, sizeof(l->text) - l->used, format, arguments);
  va_end(arguments);
  if (length > 0) l->used += (size_t)length;
  if (l->used >= sizeof(l->text)) l->used = sizeof(l->text) - 1;
}

/* Adds a duration as "410us" or, with one decimal below ten, "3.1ms". */
static void add_duration(line *l, const char *name, uint64_t ns) {
  static const char *const units[] = {"ns", "us", "ms", "s"};
  int unit = 0;
  uint64_t size = 1;
  while (unit < 3 && ns / size >= 1000) {
    size *= 1000;
    unit++;
  }
  unsigned long long whole = ns / size;
  if (unit == 0 || whole >= 10) {
    add(l, " %s=%llu%s", name, whole, units[unit]);
  } else {
    add(l, " %s=%llu.%llu%s", name, whole, (unsigned long long)(ns % size * 10 / size),
        units[unit]);
  }
}

/* --- the tasks --- */

typedef struct wait_count {
  const char *name;
  uint64_t count;
} wait_count;

typedef struct task_counts {
  uint64_t live;
  uint64_t ready;
  uint64_t waiting;
  int waits;
  wait_count by_wait[MAX_WAITS + 1]; /* the last one: all others */
} task_counts;

static void count_wait(task_counts *c, const char *name) {
  int i = 0;
  while (i < c->waits && strcmp(c->by_wait[i].name, name) != 0) i++;
  if (i == c->waits) {
    if (c->waits <= MAX_WAITS) c->waits++;
    if (i >= MAX_WAITS) i = MAX_WAITS;
    c->by_wait[i].name = i == MAX_WAITS ? "other" : name;
  }
  c->by_wait[i].count++;
}

static task_counts count_tasks(const runtime *rt) {
  task_counts c = {.live = 0};
  for (uint32_t slot = 1; slot < rt->slot_values.count; slot++) {
    slot_values_load(&rt->slot_values, slot, SLOT_TASK);
    const task *t = lua_touserdata(rt->slot_values.holder, -1);
    lua_pop(rt->slot_values.holder, 1);
    if (t == NULL || t->id == 0 || task_ended(t)) continue;
    c.live++;
    if (t->status == TASK_READY) c.ready++;
    if (t->status != TASK_WAITING) continue;
    c.waiting++;
    count_wait(&c, t->wait->name);
  }
  return c;
}

/* The most frequent wait first; those of equal counts as they were found. */
static void sort_waits(task_counts *c) {
  for (int i = 1; i < c->waits; i++) {
    wait_count moved = c->by_wait[i];
    int at = i;
    for (; at > 0 && c->by_wait[at - 1].count < moved.count; at--)
      c->by_wait[at] = c->by_wait[at - 1];
    c->by_wait[at] = moved;
  }
}

static void add_tasks(line *l, const runtime *rt) {
  task_counts c = count_tasks(rt);
  sort_waits(&c);
  add(l, "tasks=%llu ready=%llu waiting=%llu", (unsigned long long)c.live,
      (unsigned long long)c.ready, (unsigned long long)c.waiting);
  for (int i = 0; i < c.waits; i++) {
    add(l, "%s%s=%llu", i == 0 ? " (" : " ", c.by_wait[i].name,
        (unsigned long long)c.by_wait[i].count);
  }
  if (c.waits > 0) add(l, ")");
}

/* --- a line --- */

/* Returns what was counted since `before`; its longest duration is exact to a factor of two. */
static histogram since(const histogram *now, const histogram *before) {
  histogram h = {.count = now->count - before->count};
  for (int k = 0; k < HISTOGRAM_BUCKETS; k++) {
    h.buckets[k] = now->buckets[k] - before->buckets[k];
    if (h.buckets[k] > 0) h.longest_ns = k == 0 ? 0 : UINT64_MAX >> (64 - k);
  }
  if (h.longest_ns > now->longest_ns) h.longest_ns = now->longest_ns;
  return h;
}

/* Counts begin anew. */
static void note(schedtrace *s, const runtime *rt) {
  const accounting *a = rt->telemetry->accounting;
  s->switches = rt->probes.counts[PROBE_START];
  s->spawned = rt->probes.counts[PROBE_SPAWN];
  s->idle_ns = a->idle_ns;
  s->delay = a->delay;
}

static void write_line(schedtrace *s, const runtime *rt, int64_t now_ns) {
  const accounting *a = rt->telemetry->accounting;
  line l = {.used = 0};
  int64_t at_ns = s->is_virtual ? now_ns : now_ns - s->opened_ns;
  add(&l, "SCHED %lldms: ", (long long)(at_ns / 1000000));
  add_tasks(&l, rt);
  double idle = (double)(a->idle_ns - s->idle_ns) * 100 / (double)(now_ns - s->since_ns);
  add(&l, " switches=%llu spawned=%llu idle=%.0f%% delay",
      (unsigned long long)(rt->probes.counts[PROBE_START] - s->switches),
      (unsigned long long)(rt->probes.counts[PROBE_SPAWN] - s->spawned), idle);
  histogram delay = since(&a->delay, &s->delay);
  add_duration(&l, "p50", histogram_quantile(&delay, 0.5));
  add_duration(&l, "p99", histogram_quantile(&delay, 0.99));
  add_duration(&l, "max", delay.longest_ns);
  fprintf(stderr, "%s\n", l.text);
}

static void hear(probe_sink *sink, runtime *rt, const probe_event *told) {
  schedtrace *s = container_of(sink, schedtrace, sink);
  /* The batch goes on. */
  if (told->kind != PROBE_SLEEP && rt->batch > 0 && fifo_count(&rt->ready) > 0) return;
  int64_t now_ns = runtime_now(rt);
  if (s->is_virtual != rt->clock->is_virtual || now_ns < s->since_ns) {
    s->is_virtual = rt->clock->is_virtual;
    s->since_ns = s->is_virtual ? 0 : now_ns;
    s->idle_ns = rt->telemetry->accounting->idle_ns; /* by the other clock */
  }
  if (now_ns - s->since_ns < s->every_ns) return;
  write_line(s, rt, now_ns);
  s->since_ns = now_ns;
  note(s, rt);
}

bool schedtrace_begin(runtime *rt, int64_t every_ns) {
  schedtrace *s = mem_new(&rt->memory, sizeof(schedtrace));
  if (s == NULL || telemetry_account(rt) == NULL) {
    mem_free(&rt->memory, s, sizeof(schedtrace));
    return false;
  }
  const uint32_t wants = PROBE_BIT(PROBE_STOP) | PROBE_BIT(PROBE_END) | PROBE_BIT(PROBE_SLEEP);
  int64_t now_ns = runtime_now(rt);
  *s = (schedtrace){.sink = {.wants = wants, .write = hear},
                    .every_ns = every_ns,
                    .opened_ns = now_ns,
                    .since_ns = now_ns};
  probe_add_sink(&rt->probes, &s->sink);
  return true;
}
