#include <stdio.h>
#include <string.h>

#include "kernel/task.h"
#include "report/report_parts.h"
#include "telemetry/event.h"
#include "telemetry/last_events.h"

/* The most events that a report shows, the newest. */
#define MAX_EVENTS_SHOWN 16

#define AGE_SIZE 32

/* Writes an age in the unit that suits it. */
static void format_age(char age[AGE_SIZE], uint64_t ns) {
  double value = (double)ns;
  if (ns < 1000) {
    snprintf(age, AGE_SIZE, "%d ns", (int)ns);
  } else if (ns < 1000000) {
    snprintf(age, AGE_SIZE, "%.1f us", value / 1e3);
  } else if (ns < 1000000000) {
    snprintf(age, AGE_SIZE, "%.1f ms", value / 1e6);
  } else {
    snprintf(age, AGE_SIZE, "%.2f s", value / 1e9);
  }
}

static void put_by(text_writer *w, const char *what, const last_event *e) {
  if (e->a == 0) return;
  text_put(w, what);
  text_put_number(w, e->a);
}

static void put_place(lua_State *L, text_writer *w, const last_event *e) {
  if (e->place == 0) return;
  const char *place = location_numbered(&runtime_find(L)->locations, e->place)->text;
  text_put(w, " at ");
  text_put_name(w, place, strlen(place));
}

static void put_record(text_writer *w, const char *what, const last_event *e) {
  text_put(w, what);
  text_put_number(w, e->a);
}

/* Writes what has happened to the task. */
static void put_event(lua_State *L, text_writer *w, const last_events *all, const last_event *e) {
  char delay[AGE_SIZE];
  switch (e->kind) {
    case EVENT_SPAWN: text_put(w, "is spawned"); break;
    case EVENT_START:
      format_age(delay, e->a);
      text_put(w, "runs, ready for ");
      text_put(w, delay);
      break;
    case EVENT_PARK:
      text_put(w, "waits: ");
      text_put(w, e->wait);
      break;
    case EVENT_YIELD: text_put(w, "yields"); break;
    case EVENT_WAKE:
      text_put(w, "is woken");
      put_by(w, " by task ", e);
      text_put(w, ": ");
      text_put(w, wake_reason_name(e->detail));
      break;
    case EVENT_END:
      text_put(w, "ends: ");
      text_put(w, task_status_name(e->detail));
      break;
    case EVENT_PANIC: put_record(w, "panics, record ", e); break;
    case EVENT_RECOVER: put_record(w, "recovers record ", e); break;
    case EVENT_UNHANDLED: put_record(w, "has the unhandled record ", e); break;
    case EVENT_CANCEL:
      text_put(w, "is cancelled");
      put_by(w, " by task ", e);
      text_put(w, ": ");
      break;
    case EVENT_SPAN_BEGIN: text_put(w, "begins span "); break;
    case EVENT_SPAN_END: text_put(w, "ends a span"); break;
    case EVENT_LOG: text_put(w, "logs "); break;
    default: break;
  }
  text_put_name(w, last_events_text(all, e), e->text_length);
  put_place(L, w, e);
  if (e->kind == EVENT_SPAWN) put_by(w, " by task ", e);
  text_put(w, "\n");
}

void report_write_events(lua_State *L, int index, text_writer *w) {
  const last_events *all = last_events_push(L, index);
  int count = all == NULL ? 0 : all->count;
  int first = count > MAX_EVENTS_SHOWN ? count - MAX_EVENTS_SHOWN : 0;
  if (count > 0) text_put(w, "\nlast events:\n");
  if (first > 0) report_put_omitted(w, (uint64_t)first, "older event");
  for (int i = first; i < count; i++) {
    const last_event *e = &all->at[i];
    char age[AGE_SIZE], line[2 * AGE_SIZE];
    format_age(age, e->age_ns);
    snprintf(line, sizeof(line), "-%-9s task %llu ", age, (unsigned long long)e->task);
    text_put(w, line);
    put_event(L, w, all, e);
  }
  lua_pop(L, 1);
}
