#include "lua/record_fields.h"

#include <string.h>

#include "core/hex.h"
#include "core/stack_hash.h"
#include "kernel/task.h"
#include "kernel/text.h"
#include "kernel/value_text.h"
#include "lua/record_events.h"

/*
** The function of one field: pushes its value. The record `r` is at the absolute index `index`.
** [-0, +1, m]
*/
typedef void field_push(lua_State *L, int index, const record *r);

static void push_u64_hex(lua_State *L, uint64_t value) {
  char hex[16];
  hex_encode_u64(hex, value);
  lua_pushlstring(L, hex, sizeof(hex));
}

/* Sets `omitted`, unless it is 0, in the table on top of the stack.   [-0, +0, m] */
static void set_omitted(lua_State *L, uint64_t count) {
  if (count == 0) return;
  lua_pushinteger(L, (lua_Integer)count);
  lua_setfield(L, -2, "omitted");
}

/* --- the raised value --- */

static void push_value(lua_State *L, int index, const record *r) {
  (void)r;
  lua_getiuservalue(L, index, RECORD_UV_VALUE);
}

static void push_type(lua_State *L, int index, const record *r) {
  (void)r;
  lua_getiuservalue(L, index, RECORD_UV_VALUE);
  lua_pushstring(L, value_text_type(L, -1));
  lua_remove(L, -2);
}

static void push_message(lua_State *L, int index, const record *r) {
  (void)r;
  value_text_push_message(L, index);
}

static void push_kind(lua_State *L, int index, const record *r) {
  (void)index;
  lua_pushstring(L, record_kind_name(r));
}

/*
** Pushes the value's own code if it is a table with one, else a code made from the kind.
** [-0, +1, m]
*/
static void push_error_code(lua_State *L, int index, const record *r) {
  lua_getiuservalue(L, index, RECORD_UV_VALUE);
  if (lua_istable(L, -1) && value_text_push_field(L, lua_gettop(L), "code")) {
    lua_remove(L, -2);
    lua_tostring(L, -1); /* a number becomes text */
    return;
  }
  lua_pop(L, 1);
  lua_pushfstring(L, "coropanic.%s", record_kind_name(r));
}

static void push_reason(lua_State *L, int index, const record *r) {
  if (record_is_cancellation(r)) {
    lua_getiuservalue(L, index, RECORD_UV_VALUE);
  } else {
    lua_pushnil(L);
  }
}

static void push_source(lua_State *L, int index, const record *r) {
  (void)index;
  lua_pushstring(L, cancel_source_name(r->cancel_source));
}

/* --- trace and time --- */

static void push_trace_id(lua_State *L, int index, const record *r) {
  static const uint8_t none[sizeof(r->trace_id)];
  (void)index;
  char hex[2 * sizeof(r->trace_id)];
  if (memcmp(r->trace_id, none, sizeof(none)) == 0) {
    lua_pushnil(L);
    return;
  }
  hex_encode(hex, r->trace_id, sizeof(r->trace_id));
  lua_pushlstring(L, hex, sizeof(hex));
}

static void push_trace_flags(lua_State *L, int index, const record *r) {
  char hex[2];
  (void)index;
  hex_encode(hex, &r->trace_flags, 1);
  lua_pushlstring(L, hex, sizeof(hex));
}

static void push_span(lua_State *L, uint64_t span_id) {
  if (span_id == 0) {
    lua_pushnil(L);
  } else {
    push_u64_hex(L, span_id);
  }
}

static void push_span_id(lua_State *L, int index, const record *r) {
  (void)index;
  push_span(L, r->span_id);
}

static void push_parent_span_id(lua_State *L, int index, const record *r) {
  (void)index;
  push_span(L, r->parent_span_id);
}

static void push_time(lua_State *L, int index, const record *r) {
  (void)index;
  lua_pushinteger(L, r->time_ns);
}

static void push_seq(lua_State *L, int index, const record *r) {
  (void)index;
  lua_pushinteger(L, (lua_Integer)r->sequence);
}

/* --- the task --- */

/* Pushes {id, name, spawned_at} with room for `more` fields.   [-0, +1, m] */
static void push_task_table(lua_State *L, const task *t, int more) {
  char buffer[TASK_NAME_SIZE];
  lua_createtable(L, 0, 3 + more);
  lua_pushinteger(L, (lua_Integer)t->id);
  lua_setfield(L, -2, "id");
  lua_pushstring(L, task_name(t, buffer));
  lua_setfield(L, -2, "name");
  lua_pushstring(L, task_spawned_at(runtime_find(L), t));
  lua_setfield(L, -2, "spawned_at");
}

static void push_ancestors(lua_State *L, int index, const record *r) {
  (void)r;
  lua_newtable(L);
  lua_getiuservalue(L, index, RECORD_UV_TASK);
  const task *t = task_test(L, -1);
  uint64_t total = t == NULL ? 0 : t->generation;
  uint64_t kept = 0;
  while (t != NULL && kept < RECORD_MAX_ANCESTORS) {
    lua_getiuservalue(L, -1, TASK_UV_PARENT);
    lua_remove(L, -2);
    t = task_test(L, -1);
    if (t == NULL) break;
    push_task_table(L, t, 0);
    lua_rawseti(L, -3, (lua_Integer)++kept);
  }
  lua_pop(L, 1);
  set_omitted(L, total - kept);
}

static void push_task(lua_State *L, int index, const record *r) {
  lua_getiuservalue(L, index, RECORD_UV_TASK);
  const task *t = task_test(L, -1);
  if (t == NULL) return;
  push_task_table(L, t, 3);
  lua_pushstring(L, task_status_name(r->task_status));
  lua_setfield(L, -2, "status");
  push_ancestors(L, index, r);
  lua_setfield(L, -2, "ancestors");
  lua_insert(L, -2);
  task_push_attributes(L, -1);
  lua_setfield(L, -3, "attributes");
  lua_pop(L, 1);
}

/* --- the stack --- */

/*
** Pushes the chunk's name, with the whole path, unlike short_src: tools open the file by it.
** [-0, +1, m]
*/
static void push_chunk(lua_State *L, const char *source) {
  if (*source == '@' || *source == '=') {
    lua_pushstring(L, source + 1);
  } else {
    char chunk[LUA_IDSIZE];
    text_chunk_name(chunk, source);
    lua_pushstring(L, chunk);
  }
}

static void push_frame(lua_State *L, int index, const record_frame *f,
                       const record_fingerprint *fingerprint) {
  lua_Debug ar;
  record_describe(L, index, f, &ar);
  lua_createtable(L, 0, 5);
  push_chunk(L, ar.source);
  lua_setfield(L, -2, "source");
  lua_pushstring(L, ar.what);
  lua_setfield(L, -2, "what");
  if (f->name != NULL) {
    lua_pushstring(L, f->name);
    lua_setfield(L, -2, "name");
  }
  if (f->line > 0) {
    lua_pushinteger(L, f->line);
    lua_setfield(L, -2, "line");
  }
  if (fingerprint->found) {
    push_u64_hex(L, fingerprint->value);
    lua_setfield(L, -2, "fingerprint");
  }
}

/* Pushes the frames. Those left out stood after frame `omitted_after`. */
static void push_frames(lua_State *L, int index, const record *r) {
  const record_fingerprint *fingerprints = record_push_fingerprints(L, index);
  lua_createtable(L, r->frame_count, 0);
  for (int i = 0; i < r->frame_count; i++) {
    push_frame(L, index, &r->frames[i], &fingerprints[i]);
    lua_rawseti(L, -2, i + 1);
  }
  lua_remove(L, -2);
  if (r->frames_omitted == 0) return;
  set_omitted(L, r->frames_omitted);
  lua_pushinteger(L, r->inner_count);
  lua_setfield(L, -2, "omitted_after");
}

static void add_to_hash(stack_hash *hash, int version, const lua_Debug *ar, const char *name,
                        const record_fingerprint *fingerprint) {
  char digits[16 + 1] = "";
  if (fingerprint->found) hex_encode_u64(digits, fingerprint->value);
  const char *text = fingerprint->found ? digits : NULL;
  stack_hash_add(hash, ar->source, stack_hash_identity(version, ar->what, name, text));
}

void record_fields_push_hash(lua_State *L, int index, int version, bool with_c) {
  const record_fingerprint *fingerprints = record_push_fingerprints(L, index);
  const record *r = record_test(L, index);
  stack_hash hash;
  stack_hash_init(&hash);
  for (int i = 0; i < r->frame_count; i++) {
    lua_Debug ar;
    record_describe(L, index, &r->frames[i], &ar);
    if (with_c || *ar.what != 'C')
      add_to_hash(&hash, version, &ar, r->frames[i].name, &fingerprints[i]);
  }
  lua_pop(L, 1);
  push_u64_hex(L, hash.value);
}

static void push_stack_hash(lua_State *L, int index, const record *r) {
  (void)r;
  record_fields_push_hash(L, index, STACK_HASH_VERSION, false);
}

static void push_stack_hash_full(lua_State *L, int index, const record *r) {
  (void)r;
  record_fields_push_hash(L, index, STACK_HASH_VERSION, true);
}

static void push_hash_version(lua_State *L, int index, const record *r) {
  (void)index;
  (void)r;
  lua_pushinteger(L, STACK_HASH_VERSION);
}

/* --- other panics --- */

static void push_chain(lua_State *L, int index, const record *r) {
  lua_Integer kept = 0;
  lua_newtable(L);
  lua_getiuservalue(L, index, RECORD_UV_LINK);
  while (kept < RECORD_MAX_CHAIN && record_test(L, -1) != NULL) {
    lua_pushvalue(L, -1);
    lua_rawseti(L, -3, ++kept);
    lua_getiuservalue(L, -1, RECORD_UV_LINK);
    lua_remove(L, -2);
  }
  lua_pop(L, 1);
  /* The walk was from the newest to the oldest. */
  for (lua_Integer i = 1, j = kept; i < j; i++, j--) {
    lua_rawgeti(L, -1, i);
    lua_rawgeti(L, -2, j);
    lua_rawseti(L, -3, i);
    lua_rawseti(L, -2, j);
  }
  set_omitted(L, r->chain_length - (uint64_t)kept);
}

static void push_recovered(lua_State *L, int index, const record *r) {
  (void)index;
  lua_pushboolean(L, r->recovered);
}

static void push_forced(lua_State *L, int index, const record *r) {
  (void)index;
  if (r->forced) {
    lua_pushboolean(L, 1);
  } else {
    lua_pushnil(L);
  }
}

static void push_cause(lua_State *L, int index, const record *r) {
  (void)r;
  lua_getiuservalue(L, index, RECORD_UV_CAUSE);
}

static void push_parked(lua_State *L, int index, const record *r) {
  (void)r;
  record_push_detail(L, index, DETAIL_PARKED);
}

static void push_cycle(lua_State *L, int index, const record *r) {
  (void)r;
  record_push_detail(L, index, DETAIL_CYCLE);
}

/* Pushes this detail of the record, or an empty array.   [-0, +1, m] */
static void push_array(lua_State *L, int index, record_detail detail) {
  record_push_detail(L, index, detail);
  if (lua_istable(L, -1)) return;
  lua_pop(L, 1);
  lua_newtable(L);
}

static void push_suppressed(lua_State *L, int index, const record *r) {
  (void)r;
  push_array(L, index, DETAIL_SUPPRESSED);
}

static void push_suspension_points(lua_State *L, int index, const record *r) {
  (void)r;
  push_array(L, index, DETAIL_SUSPENSION_POINTS);
}

static void push_last_events(lua_State *L, int index, const record *r) {
  (void)r;
  record_events_push(L, index);
}

/* Pushes {source, reason, by}; nil if the record is of no cancellation. */
static void push_cancellation(lua_State *L, int index, const record *r) {
  if (!record_is_cancellation(r)) {
    lua_pushnil(L);
    return;
  }
  lua_createtable(L, 0, 3);
  push_source(L, index, r);
  lua_setfield(L, -2, "source");
  push_reason(L, index, r);
  lua_setfield(L, -2, "reason");
  record_push_detail(L, index, DETAIL_CANCELLED_BY);
  const task *by = task_test(L, -1);
  if (by != NULL) {
    push_task_table(L, by, 0);
    lua_setfield(L, -3, "by");
  }
  lua_pop(L, 1);
}

/* --- by name --- */

typedef struct field {
  const char *name;
  field_push *push;
  bool cached;
} field;

static const field fields[] = {
    {"value", push_value, false},
    {"type", push_type, false},
    {"message", push_message, false}, /* value_text.h caches it */
    {"kind", push_kind, false},
    {"error_code", push_error_code, true},
    {"source", push_source, false},
    {"reason", push_reason, false},
    {"cancellation", push_cancellation, true},
    {"trace_id", push_trace_id, true},
    {"trace_flags", push_trace_flags, false},
    {"span_id", push_span_id, true},
    {"parent_span_id", push_parent_span_id, true},
    {"time", push_time, false},
    {"seq", push_seq, false},
    {"task", push_task, true},
    {"ancestors", push_ancestors, true},
    {"frames", push_frames, true},
    {"stack_hash", push_stack_hash, true},
    {"stack_hash_full", push_stack_hash_full, true},
    {"hash_version", push_hash_version, false},
    {"chain", push_chain, true},
    {"recovered", push_recovered, false},
    {"forced", push_forced, false},
    {"cause", push_cause, false},
    {"parked", push_parked, false},
    {"cycle", push_cycle, false},
    {"suppressed", push_suppressed, true},
    {"suspension_points", push_suspension_points, true},
    {"last_events", push_last_events, true},
};

static const field *find_field(const char *name) {
  for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++) {
    if (strcmp(fields[i].name, name) == 0) return &fields[i];
  }
  return NULL;
}

void record_fields_push_fresh(lua_State *L, int index, const char *name) {
  luaL_checkstack(L, LUA_MINSTACK, NULL);
  index = lua_absindex(L, index);
  const field *f = find_field(name);
  if (f == NULL) {
    lua_pushnil(L);
  } else {
    f->push(L, index, record_test(L, index));
  }
}

void record_fields_push(lua_State *L, int index, const char *name) {
  const field *f = find_field(name);
  if (f == NULL || !f->cached) {
    record_fields_push_fresh(L, index, name);
    return;
  }
  luaL_checkstack(L, LUA_MINSTACK, NULL);
  index = lua_absindex(L, index);
  record_push_details(L, index);
  if (lua_getfield(L, -1, name) == LUA_TNIL) {
    lua_pop(L, 1);
    f->push(L, index, record_test(L, index));
    lua_pushvalue(L, -1);
    lua_setfield(L, -3, name);
  }
  lua_remove(L, -2);
}
