/* The shared library of the core: see coropanic_core.h. Each function calls one of csrc/core. */

#include "coropanic_core.h"

#include <stdlib.h>
#include <string.h>

#include "core/baggage.h"
#include "core/hex.h"
#include "core/id.h"
#include "core/random.h"
#include "core/stack_hash.h"
#include "core/traceparent.h"
#include "core/tracestate_member.h"

_Static_assert(CP_CORE_TRACESTATE_MAX == TRACESTATE_MAX_LENGTH, "what the header promises");
_Static_assert(CP_CORE_TRACESTATE_MEMBER_MAX == TRACESTATE_MEMBER_MAX, "what the header promises");
_Static_assert(CP_CORE_BAGGAGE_MAX == BAGGAGE_MAX_LENGTH, "what the header promises");
_Static_assert((int)CP_CORE_CLOCK_BACK == (int)ID_CLOCK_BACK &&
                   (int)CP_CORE_CLOCK_OUT == (int)ID_CLOCK_OUT &&
                   (int)CP_CORE_NOT_LEASED == (int)ID_NOT_LEASED &&
                   (int)CP_CORE_AHEAD_OF_LEASE == (int)ID_AHEAD_OF_LEASE &&
                   (int)CP_CORE_FORKED == (int)ID_FORKED,
               "the answers are those of id.h");
_Static_assert((int)CP_CORE_WAIT == (int)SNOWFLAKE_WAIT &&
                   (int)CP_CORE_BORROW == (int)SNOWFLAKE_BORROW &&
                   (int)CP_CORE_FAIL == (int)SNOWFLAKE_ERROR,
               "the policies are those of id.h");

int cp_core_version(void) { return CP_CORE_VERSION; }

/* --- headers --- */

int cp_core_traceparent_parse(char *trace_id, char *span_id, const char *value, size_t length) {
  traceparent parent;
  if (!traceparent_parse(&parent, value, length)) return -1;
  hex_encode(trace_id, parent.trace_id, sizeof(parent.trace_id));
  hex_encode_u64(span_id, parent.span_id);
  return parent.flags;
}

static size_t write_state(char *out, const tracestate *state) {
  memcpy(out, state->text, state->length);
  return state->length;
}

int cp_core_tracestate_parse(char *out, size_t *out_length, const char *value, size_t length) {
  tracestate state;
  tracestate_parse(&state, value, length);
  *out_length = write_state(out, &state);
  return state.invalid ? -1 : state.members;
}

size_t cp_core_tracestate_put(char *out, const char *text, size_t length, const char *key,
                              const char *value) {
  tracestate state;
  tracestate_parse(&state, text, length);
  if (state.invalid || strlen(key) + 1 + strlen(value) > TRACESTATE_MEMBER_MAX) return 0;
  tracestate_put(&state, key, value);
  return write_state(out, &state);
}

size_t cp_core_baggage_clean(char *out, const char *value, size_t length) {
  return baggage_clean(out, value, length);
}

size_t cp_core_baggage_decode(char *out, const char *value, size_t length) {
  return baggage_decode(out, (slice){value, length});
}

size_t cp_core_baggage_encode(char *out, const char *value, size_t length) {
  return baggage_encode(out, value, length);
}

/* --- the hash of a stack --- */

static cp_core_stack_hash as_public(stack_hash hash) {
  return (cp_core_stack_hash){hash.value, hash.last_frame, hash.any};
}

void cp_core_stack_hash_init(cp_core_stack_hash *hash) {
  stack_hash start;
  stack_hash_init(&start);
  *hash = as_public(start);
}

void cp_core_stack_hash_add(cp_core_stack_hash *hash, const char *source, const char *identity) {
  stack_hash next = {hash->value, hash->last_frame, hash->any};
  stack_hash_add(&next, source, identity);
  *hash = as_public(next);
}

void cp_core_stack_hash_digits(const cp_core_stack_hash *hash, char *out) {
  hex_encode_u64(out, hash->value);
}

/* --- trace ids --- */

struct cp_core_ids {
  id_generator generator;
  id_source *source;
  wall_clock clock;
};

cp_core_ids *cp_core_ids_open(const cp_core_clock *clock) {
  cp_core_ids *ids = calloc(1, sizeof(cp_core_ids));
  if (ids == NULL) return NULL;
  ids->source = id_source_open();
  if (ids->source == NULL) {
    free(ids);
    return NULL;
  }
  ids->clock = system_wall_clock;
  if (clock != NULL) ids->clock = (wall_clock){clock->now_ms, clock->pause, clock->ud};
  return ids;
}

void cp_core_ids_close(cp_core_ids *ids) {
  if (ids == NULL) return;
  id_give_back(&ids->generator, ids->source);
  id_source_close(ids->source);
  free(ids);
}

void cp_core_ids_use_random(cp_core_ids *ids) { id_use_random(&ids->generator); }

void cp_core_ids_use_uuid7(cp_core_ids *ids) { id_use_uuid7(&ids->generator); }

void cp_core_ids_use_hlc(cp_core_ids *ids, int64_t max_drift_ms) {
  id_use_hlc(&ids->generator, max_drift_ms);
}

int cp_core_ids_use_snowflake(cp_core_ids *ids, int machine, int64_t epoch_ms, int policy,
                              int64_t tolerance_ms) {
  switch (id_use_snowflake(&ids->generator, ids->source, (uint16_t)machine, epoch_ms,
                           (snowflake_policy)policy, tolerance_ms)) {
    case MACHINE_TAKEN: return CP_CORE_TAKEN;
    case MACHINE_OTHER_EPOCH: return CP_CORE_OTHER_EPOCH;
    default: return CP_CORE_OK;
  }
}

void cp_core_ids_give_back(cp_core_ids *ids) { id_give_back(&ids->generator, ids->source); }

void cp_core_ids_start_behind(cp_core_ids *ids, int64_t unix_ms) {
  snowflake_start_behind(&ids->generator.snowflake, unix_ms);
}

void cp_core_ids_lease_to(cp_core_ids *ids, int64_t unix_ms) {
  ids->generator.leased_to_ms = unix_ms;
}

int64_t cp_core_ids_last_ms(const cp_core_ids *ids) {
  if (ids->generator.mark == 0) return -1;
  int64_t last_ms = id_last_unix_ms(&ids->generator);
  return last_ms == NO_SNOWFLAKE ? -1 : last_ms;
}

int cp_core_ids_next(cp_core_ids *ids, char *out) {
  id128 id;
  id_status status = id_next(&ids->generator, ids->source, &ids->clock, &id);
  if (status != ID_OK) return (int)status;
  hex_encode_u64(out, id.high);
  hex_encode_u64(out + 16, id.low);
  return CP_CORE_OK;
}

void cp_core_ids_span_id(cp_core_ids *ids, char *out) {
  hex_encode_u64(out, id_source_next(ids->source));
}

int cp_core_ids_hlc_tick(cp_core_ids *ids, char *out) {
  uint64_t timestamp;
  id_status status = hlc_tick(&ids->generator.hlc, &ids->clock, &timestamp);
  if (status == ID_OK) hex_encode_u64(out, timestamp);
  return (int)status;
}

static bool read_timestamp(const char *digits, uint64_t *timestamp) {
  uint8_t bytes[sizeof(*timestamp)];
  if (!hex_decode(bytes, digits, sizeof(bytes))) return false;
  *timestamp = 0;
  for (size_t i = 0; i < sizeof(bytes); i++) *timestamp = *timestamp << 8 | bytes[i];
  return true;
}

bool cp_core_ids_hlc_believes(const cp_core_ids *ids, const char *remote) {
  uint64_t timestamp;
  if (!read_timestamp(remote, &timestamp)) return false;
  return hlc_believes(&ids->generator.hlc, &ids->clock, timestamp);
}

bool cp_core_ids_hlc_merge(cp_core_ids *ids, const char *remote) {
  uint64_t timestamp;
  if (!read_timestamp(remote, &timestamp)) return false;
  return hlc_merge(&ids->generator.hlc, &ids->clock, timestamp);
}

int64_t cp_core_ids_rejected_clocks(const cp_core_ids *ids) {
  return (int64_t)ids->generator.hlc.rejected;
}
