#define _POSIX_C_SOURCE 200809L /* open, O_CLOEXEC, ftruncate, getpid */

#include "telemetry/dump.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "kernel/task.h"

#define HEADER_SIZE 128
#define FLAG_VIRTUAL 1U

/* The tables of strings, by the kinds of events that refer to them. */
enum { STRING_PLACE = 1, STRING_WAIT, STRING_TEXT };

/* --- output in pieces --- */

/* Bytes that wait for the output. */
typedef struct staging {
  dump_output *output; /* NULL: only counts */
  size_t total;
  size_t used;
  bool failed;
  uint8_t bytes[8192];
} staging;

static void flush(staging *s) {
  if (s->output != NULL && !s->failed) s->failed = !s->output->write(s->output, s->bytes, s->used);
  s->used = 0;
}

static void put_bytes(staging *s, const void *bytes, size_t length) {
  s->total += length;
  if (s->output == NULL) return;
  if (s->used + length > sizeof(s->bytes)) flush(s);
  memcpy(s->bytes + s->used, bytes, length); /* no piece is longer than the room */
  s->used += length;
}

/* Little endian on every machine. */
static void put_number(staging *s, uint64_t value, int bytes) {
  uint8_t encoded[8];
  for (int i = 0; i < bytes; i++) encoded[i] = (uint8_t)(value >> (8 * i));
  put_bytes(s, encoded, (size_t)bytes);
}

/* --- trace ids of the virtual clock --- */

/*
** Trace ids are random. So that a seed's file is the same each time, those that the program has made by itself
** are numbered under the virtual clock, in the order in which they come.
*/
typedef struct trace_number {
  uint8_t id[16];
  uint64_t number; /* 0: the place is free */
} trace_number;

typedef struct trace_numbers {
  trace_number *at; /* NULL: ids stay as they are */
  size_t room;      /* a power of two */
  uint64_t count;
} trace_numbers;

static bool open_numbers(trace_numbers *n, runtime *rt) {
  *n = (trace_numbers){.at = NULL};
  if (!rt->telemetry->is_virtual) return true;
  size_t ids = (size_t)events_count(rt->telemetry->ring) + rt->live_count;
  n->room = 16;
  while (n->room < 2 * ids) n->room *= 2;
  n->at = mem_new(&rt->memory, n->room * sizeof(trace_number));
  if (n->at == NULL) {
    errno = ENOMEM;
    return false;
  }
  memset(n->at, 0, n->room * sizeof(trace_number));
  return true;
}

static void close_numbers(trace_numbers *n, runtime *rt) {
  mem_free(&rt->memory, n->at, n->room * sizeof(trace_number));
}

/* Replaces the id by its number. */
static void number_trace(trace_numbers *n, uint8_t id[16]) {
  if (n->at == NULL) return;
  uint64_t hash;
  memcpy(&hash, id + 8, sizeof(hash));
  hash *= UINT64_C(0x9e3779b97f4a7c15);
  trace_number *found = &n->at[(hash >> 32) & (n->room - 1)];
  while (found->number != 0 && memcmp(found->id, id, 16) != 0) {
    found = found + 1 == n->at + n->room ? n->at : found + 1;
  }
  if (found->number == 0) {
    memcpy(found->id, id, 16);
    found->number = ++n->count;
  }
  memset(id, 0, 16);
  for (int i = 0; i < 8; i++) id[15 - i] = (uint8_t)(found->number >> (8 * i));
}

/* --- events --- */

static void put_event(staging *s, trace_numbers *numbers, const event *e) {
  put_number(s, e->tick, 8);
  put_number(s, e->task, 4);
  put_number(s, e->kind, 1);
  put_number(s, e->detail, 1);
  put_number(s, e->text, 2);
  if (e->kind == EVENT_TRACE) {
    uint8_t id[16];
    memcpy(id, &e->a, 8);
    memcpy(id + 8, &e->b, 8);
    if (e->detail == 0) number_trace(numbers, id);
    put_bytes(s, id, sizeof(id));
    return;
  }
  put_number(s, e->a, 8);
  put_number(s, e->b, 8);
}

static void put_events(staging *s, const event_ring *r, trace_numbers *numbers) {
  uint64_t count = events_count(r);
  for (uint64_t i = r->written - count; i < r->written; i++) put_event(s, numbers, events_at(r, i));
}

/* --- strings --- */

/* The places that events and live tasks name, a bit each. */
typedef struct place_set {
  uint8_t bits[(LOCATION_MAX + 8) / 8];
} place_set;

static void add_place(place_set *set, uint64_t number) {
  if (number <= LOCATION_MAX) set->bits[number / 8] |= (uint8_t)(1U << (number % 8));
}

static void add_places_of_events(place_set *set, const event_ring *r) {
  uint64_t count = events_count(r);
  for (uint64_t i = r->written - count; i < r->written; i++) {
    const event *e = events_at(r, i);
    if (e->kind == EVENT_SPAWN) add_place(set, e->text);
    if (e->kind == EVENT_PARK || e->kind == EVENT_YIELD) add_place(set, e->a);
  }
}

static void put_string(staging *s, size_t *bytes, int table, uint32_t number, const char *text,
                       size_t length) {
  if (length > UINT8_MAX) length = UINT8_MAX;
  if (*bytes + length + 4 > DUMP_MAX_STRINGS) return;
  *bytes += length + 4;
  put_number(s, (uint64_t)table, 1);
  put_number(s, length, 1);
  put_number(s, number, 2);
  put_bytes(s, text, length);
}

/* Returns their size. */
static size_t put_strings(staging *s, const runtime *rt, const place_set *places) {
  const telemetry *m = rt->telemetry;
  size_t bytes = 0;
  for (uint32_t number = 1; number < WAIT_NAMES; number++) {
    const wait_type *wait = m->waits.at[number];
    if (wait != NULL) put_string(s, &bytes, STRING_WAIT, number, wait->name, strlen(wait->name));
  }
  for (uint32_t number = 1; number <= m->texts->count; number++) {
    const text_name *name = &m->texts->at[number];
    put_string(s, &bytes, STRING_TEXT, number, m->texts->text + name->offset, name->length);
  }
  for (uint32_t number = 1; number <= rt->locations.count; number++) {
    if ((places->bits[number / 8] & (1U << (number % 8))) == 0) continue;
    const char *text = location_numbered(&rt->locations, (uint16_t)number)->text;
    put_string(s, &bytes, STRING_PLACE, number, text, strlen(text));
  }
  return bytes;
}

/* --- live tasks --- */

/* Returns the live task of a slot; NULL: it has none. */
static const task *task_at(const runtime *rt, uint32_t slot) {
  slot_values_load(&rt->slot_values, slot, SLOT_TASK);
  const task *t = lua_touserdata(rt->slot_values.holder, -1);
  lua_pop(rt->slot_values.holder, 1);
  return t != NULL && t->id != 0 && !task_ended(t) ? t : NULL;
}

typedef struct task_table {
  uint32_t count;
  uint32_t omitted;
  size_t bytes;
} task_table;

static void put_task(staging *s, trace_numbers *numbers, const task *t, size_t length) {
  uint8_t id[16] = {0};
  const trace *of = t->coroutine.context.own.trace;
  if (of != NULL) memcpy(id, of->trace_id, sizeof(id));
  if (of != NULL && !of->continued) number_trace(numbers, id);
  put_number(s, t->id, 8);
  put_bytes(s, id, sizeof(id));
  put_number(s, t->location, 2);
  put_number(s, t->status, 1);
  put_number(s, length, 1);
  put_bytes(s, task_given_name(t), length);
}

static task_table put_tasks(staging *s, const runtime *rt, trace_numbers *numbers,
                            place_set *places) {
  task_table table = {.count = 0};
  for (uint32_t slot = 1; slot < rt->slot_values.count; slot++) {
    const task *t = task_at(rt, slot);
    if (t == NULL) continue;
    size_t length = strlen(task_given_name(t));
    if (length > UINT8_MAX) length = UINT8_MAX;
    if (table.bytes + 28 + length > DUMP_MAX_TASKS) {
      table.omitted++;
      continue;
    }
    table.count++;
    table.bytes += 28 + length;
    if (places != NULL) add_place(places, t->location);
    put_task(s, numbers, t, length);
  }
  return table;
}

/* --- the file --- */

static void put_moment(staging *s, tick_moment moment) {
  put_number(s, moment.tick, 8);
  put_number(s, moment.monotonic_ns, 8);
  put_number(s, moment.wall_ns, 8);
}

static void put_header(staging *s, const runtime *rt, size_t strings, task_table tasks) {
  const telemetry *m = rt->telemetry;
  bool is_virtual = m->is_virtual;
  put_bytes(s, "cpev\0\0\0\1", 8);
  put_number(s, HEADER_SIZE, 4);
  put_number(s, is_virtual ? 0 : (uint64_t)getpid(), 4);
  put_number(s, is_virtual ? FLAG_VIRTUAL : 0, 2);
  put_number(s, is_virtual ? TICKS_NS : (uint64_t)m->clock.source, 2);
  put_number(s, events_count(m->ring), 4);
  put_number(s, events_lost(m->ring), 8);
  put_moment(s, m->start);
  put_moment(s, telemetry_moment(m, rt));
  put_number(s, rt->next_task_id, 8);
  put_number(s, strings, 4);
  put_number(s, tasks.bytes, 4);
  put_number(s, tasks.count, 4);
  put_number(s, tasks.omitted, 4);
  put_number(s, is_virtual ? UINT64_C(1) << 32 : m->clock.scale, 8);
  static const uint8_t reserved[HEADER_SIZE - 112] = {0};
  put_bytes(s, reserved, sizeof(reserved));
}

/* The whole file, or, without an output, its size. */
static void put_file(staging *s, runtime *rt, trace_numbers *numbers) {
  telemetry_settle(rt->telemetry, rt);
  place_set places = {{0}};
  add_places_of_events(&places, rt->telemetry->ring);
  trace_numbers none = {.at = NULL};
  staging counted = {.output = NULL};
  task_table tasks = put_tasks(&counted, rt, &none, &places);
  size_t strings = put_strings(&counted, rt, &places);
  put_header(s, rt, strings, tasks);
  put_events(s, rt->telemetry->ring, numbers);
  put_strings(s, rt, &places);
  put_tasks(s, rt, numbers, NULL);
  flush(s);
}

size_t dump_size(runtime *rt) {
  staging s = {.output = NULL};
  trace_numbers none = {.at = NULL};
  put_file(&s, rt, &none);
  return s.total;
}

bool dump_write(runtime *rt, dump_output *output) {
  staging s = {.output = output};
  trace_numbers numbers;
  if (!open_numbers(&numbers, rt)) return false;
  put_file(&s, rt, &numbers);
  close_numbers(&numbers, rt);
  return !s.failed;
}

/* --- to a file --- */

typedef struct file_output {
  dump_output output;
  int fd;
} file_output;

static bool write_file(dump_output *self, const void *bytes, size_t length) {
  const file_output *file = container_of(self, file_output, output);
  const char *from = bytes;
  while (length > 0) {
    ssize_t written = write(file->fd, from, length);
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return false;
    from += written;
    length -= (size_t)written;
  }
  return true;
}

bool dump_to_file(runtime *rt, const char *path) {
  file_output file = {.output = {.write = write_file}};
  file.fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  if (file.fd < 0) return false;
  bool ok = dump_write(rt, &file.output);
  int why = errno;
  if (!ok && ftruncate(file.fd, 0) != 0) {
    /* A device: there is nothing to empty. */
  }
  if (close(file.fd) != 0 && ok) {
    ok = false;
    why = errno;
  }
  errno = why;
  return ok;
}
