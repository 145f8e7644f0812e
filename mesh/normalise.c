/* The normaliser: see coropanic_mesh.h. */
#define _DEFAULT_SOURCE 1 /* getentropy */

#include <string.h>
#include <unistd.h>

#include "core/hex.h"
#include "mesh/bodies.h"
#include "mesh/config.h"
#include "mesh/coropanic_mesh.h"
#include "mesh/languages.h"
#include "mesh/record.h"

/* A body that is passed on grows by the member `hop`. */
#define OUT_SIZE (CP_MESH_MAX_BODY + 64)

_Static_assert(OUT_SIZE >= RECORD_MAX_SIZE, "a record fits");
_Static_assert(sizeof((cp_mesh_result *)0)->error_code == RECORD_MAX_CODE + 1, "a code fits");
_Static_assert(sizeof((cp_mesh_trace *)0)->tracestate == TRACESTATE_MAX_LENGTH + 1, "it fits");

struct cp_mesh {
  mesh_config config;
  uint64_t seq; /* of the next record */
  mesh_crash crash;
  char out[OUT_SIZE]; /* the record, or a tracestate that came in parts */
};

size_t cp_mesh_size(void) { return sizeof(cp_mesh); }

/* An empty text may be NULL, to which nothing can be added. */
static slice text_given(cp_mesh_text text) {
  return (slice){text.size > 0 ? text.data : "", text.size};
}

cp_mesh *cp_mesh_init(void *memory, const char *config, size_t config_size, char *error,
                      size_t error_size) {
  cp_mesh *mesh = memory;
  mesh->seq = 1;
  bool is_right = config_read(&mesh->config, text_given((cp_mesh_text){config, config_size}), error,
                              error_size);
  return is_right ? mesh : NULL;
}

/* A new trace, whose ids are random (section 4.3). False if there are no random numbers. */
static bool restart(traceparent *parent) {
  uint8_t random[sizeof parent->trace_id + sizeof parent->span_id];
  if (getentropy(random, sizeof random) != 0) return false;
  memcpy(parent->trace_id, random, sizeof parent->trace_id);
  memcpy(&parent->span_id, random + sizeof parent->trace_id, sizeof parent->span_id);
  /* All zeros are invalid, and as likely as any other value. */
  parent->trace_id[0] |= parent->span_id == 0;
  if (parent->span_id == 0) parent->span_id = 1;
  parent->flags = TRACE_FLAG_RANDOM;
  return true;
}

/* The headers' values as one, in their order. An empty text if they have no room. */
static slice join(cp_mesh *mesh, const cp_mesh_text *values, size_t count) {
  size_t length = 0;
  if (count == 1) return text_given(values[0]);
  for (size_t i = 0; i < count; i++) {
    if (values[i].size + 1 > sizeof mesh->out - length) return text_of("", 0);
    if (i > 0) mesh->out[length++] = ',';
    if (values[i].size > 0) memcpy(mesh->out + length, values[i].data, values[i].size);
    length += values[i].size;
  }
  return text_of(mesh->out, length);
}

bool cp_mesh_continue(cp_mesh *mesh, cp_mesh_trace *trace, const cp_mesh_text *traceparents,
                      size_t traceparent_count, const cp_mesh_text *tracestates,
                      size_t tracestate_count) {
  traceparent parent;
  tracestate state = {.length = 0};
  slice given = traceparent_count == 1 ? text_given(traceparents[0]) : text_of("", 0);
  trace->restarted = !traceparent_parse(&parent, given.start, given.length);
  if (trace->restarted && !restart(&parent)) return false;
  if (!trace->restarted) {
    slice joined = join(mesh, tracestates, tracestate_count);
    tracestate_parse(&state, joined.start, joined.length);
  }
  memcpy(trace->trace_id, parent.trace_id, sizeof parent.trace_id);
  trace->span_id = parent.span_id;
  trace->flags = parent.flags;
  traceparent_format(trace->traceparent, &parent);
  trace->traceparent[TRACEPARENT_LENGTH] = '\0';
  memcpy(trace->tracestate, state.text, state.length);
  trace->tracestate[state.length] = '\0';
  return true;
}

bool cp_mesh_wants(const cp_mesh *mesh, uint32_t status, cp_mesh_text grpc_status) {
  uint32_t code;
  if (config_has_status(&mesh->config, status)) return true;
  return text_number(text_given(grpc_status), &code) && code != 0;
}

/* Media types are compared without case; what follows a ";" is left out. */
static bool is_problem(slice content_type) {
  static const char PROBLEM[] = "application/problem+json";
  size_t semicolon = text_find(content_type, ";");
  if (semicolon != TEXT_NONE) content_type = text_until(content_type, semicolon);
  content_type = text_strip(content_type);
  if (content_type.length != sizeof PROBLEM - 1) return false;
  for (size_t i = 0; i < content_type.length; i++) {
    char c = content_type.start[i];
    if (c >= 'A' && c <= 'Z') c = (char)(c - 'A' + 'a');
    if (c != PROBLEM[i]) return false;
  }
  return true;
}

static bool is_readable(const cp_mesh_response *response) {
  slice encoding = text_strip(text_given(response->content_encoding));
  return encoding.length == 0 || text_equals(encoding, "identity");
}

/* An error that no parser knows: its first line is its message, and its stack is empty. */
static void read_unknown(mesh_crash *crash, slice body) {
  slice line = {NULL, 0};
  body = text_strip(body);
  text_next_line(&body, &line);
  crash_begin(crash, MESH_UNKNOWN);
  crash_error(crash, ERROR_ROOT, text_of("unknown", 7), line);
}

/* Reads what the response says of its error. */
static void read_response(cp_mesh *mesh, const cp_mesh_response *response, slice body) {
  mesh_crash *crash = &mesh->crash;
  if (body_grpc(crash, text_given(response->grpc_status), text_given(response->grpc_message)))
    return;
  if (is_problem(text_given(response->content_type))) {
    if (body_problem(crash, body, response->status)) return;
  } else if (mesh_parse(crash, config_language(&mesh->config, text_given(response->service)),
                        body)) {
    return;
  }
  read_unknown(crash, body);
}

static void write_record(cp_mesh *mesh, const cp_mesh_response *response, cp_mesh_result *result) {
  traceparent parent;
  record_origin origin = {.service = text_given(response->service),
                          .status = response->status,
                          .seq = mesh->seq,
                          .time_ns = response->time_ns};
  if (response->trace != NULL) {
    memcpy(parent.trace_id, response->trace->trace_id, sizeof parent.trace_id);
    parent.span_id = response->trace->span_id;
    parent.flags = response->trace->flags;
    origin.parent = &parent;
  }
  mesh->seq += mesh->crash.error_count;
  result->record.data = mesh->out;
  result->record.size = record_write(mesh->out, sizeof mesh->out, &mesh->crash, &origin);
}

/* What the client gets. A body that is not there, or can not be read, stays as it is. */
static void decide(const cp_mesh *mesh, bool has_text, bool is_grpc, cp_mesh_result *result) {
  const mesh_config *config = &mesh->config;
  result->sets_headers = config->expose != EXPOSE_CONTRACT;
  result->replaces_body = has_text && !is_grpc && !config->keep_body;
  result->body = (cp_mesh_text){NULL, 0};
  bool gets_record = result->replaces_body && config->expose != EXPOSE_HEADER;
  if (gets_record) result->body = result->record;
}

void cp_mesh_normalise(cp_mesh *mesh, const cp_mesh_response *response, cp_mesh_result *result) {
  slice body = {NULL, 0};
  passed_record passed;
  if (is_readable(response)) body = text_until(text_given(response->body), CP_MESH_MAX_BODY);
  bool whole = !response->body_cut && body.length == response->body.size;
  if (whole && body_pass_on(&passed, body, mesh->out, sizeof mesh->out)) {
    memcpy(result->error_code, passed.error_code, sizeof passed.error_code);
    memcpy(result->error_hash, passed.stack_hash, sizeof result->error_hash);
    result->record = (cp_mesh_text){mesh->out, passed.length};
    decide(mesh, true, false, result);
    return;
  }
  read_response(mesh, response, body);
  record_error_code(result->error_code, &mesh->crash, &mesh->crash.errors[0]);
  hex_encode_u64(result->error_hash, mesh->crash.errors[0].hash.value);
  result->error_hash[sizeof result->error_hash - 1] = '\0';
  write_record(mesh, response, result);
  decide(mesh, body.length > 0, mesh->crash.language == MESH_GRPC, result);
}
