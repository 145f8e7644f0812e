#include "lua/record_events.h"

#include "kernel/record.h"
#include "kernel/task.h"
#include "lua/lib.h"
#include "telemetry/event.h"
#include "telemetry/last_events.h"

static void set_place(lua_State *L, const last_event *e) {
  if (e->place == 0 && e->kind != EVENT_SPAWN) return;
  lib_set_string(L, "place", location_numbered(&runtime_find(L)->locations, e->place)->text);
}

static void set_text(lua_State *L, const char *name, const last_events *all, const last_event *e) {
  lua_pushlstring(L, last_events_text(all, e), e->text_length);
  lua_setfield(L, -2, name);
}

/* Sets, in the table on top of the stack, what only events of this kind have.   [-0, +0, m] */
static void set_details(lua_State *L, const last_events *all, const last_event *e) {
  switch (e->kind) {
    case EVENT_SPAWN:
      lib_set_count(L, "by", e->a);
      lua_pushboolean(L, e->detail & 1);
      lua_setfield(L, -2, "daemon");
      set_place(L, e);
      break;
    case EVENT_START: lib_set_count(L, "delay", e->a); break;
    case EVENT_PARK: lib_set_string(L, "wait", e->wait); /* fall through */
    case EVENT_YIELD: set_place(L, e); break;
    case EVENT_WAKE:
      lib_set_count(L, "by", e->a);
      lib_set_string(L, "reason", wake_reason_name(e->detail));
      break;
    case EVENT_END: lib_set_string(L, "status", task_status_name(e->detail)); break;
    case EVENT_PANIC:
    case EVENT_RECOVER:
    case EVENT_UNHANDLED:
      lib_set_string(L, "panic", record_kind_word(e->detail));
      lib_set_count(L, "record", e->a);
      break;
    case EVENT_CANCEL:
      lib_set_count(L, "by", e->a);
      set_text(L, "source", all, e);
      break;
    case EVENT_SPAN_BEGIN: set_text(L, "text", all, e); /* fall through */
    case EVENT_SPAN_END: lib_set_count(L, "span", e->a); break;
    case EVENT_LOG: set_text(L, "text", all, e); break;
    default: break;
  }
}

void record_events_push(lua_State *L, int index) {
  const last_events *all = last_events_push(L, index);
  if (all == NULL) return;
  lua_createtable(L, all->count, 0);
  for (int i = 0; i < all->count; i++) {
    const last_event *e = &all->at[i];
    lua_createtable(L, 0, 7);
    lib_set_string(L, "kind", event_name(e->kind));
    lib_set_count(L, "age", e->age_ns);
    lib_set_count(L, "task", e->task);
    lib_set_string(L, "relation", last_event_relation(e));
    set_details(L, all, e);
    lua_rawseti(L, -2, i + 1);
  }
  lua_remove(L, -2);
}
