/*
** The filter for proxies that run WebAssembly: proxy-wasm ABI 0.2.1, whose specification is
** https://github.com/proxy-wasm/spec/tree/main/abi-versions/v0.2.1.
**
** It has no allocator. What the host hands over lies in an arena until the callback ends; a host
** whose data has no room gets 0 from proxy_on_memory_allocate, and the request passes as it is.
*/
#include <string.h>
#include <wasi/api.h>

#include "mesh/coropanic_mesh.h"
#include "mesh/streams.h"
#include "mesh/text.h"

#define IMPORT(name) __attribute__((import_module("env"), import_name(#name))) int name
/* Begins the definition of a callback. */
#define EXPORT(returns, name, arguments) \
  returns name arguments;                \
  __attribute__((export_name(#name))) returns name arguments

enum { LOG_WARN = 3, LOG_ERROR = 4 };
enum { STATUS_OK = 0, STATUS_NOT_FOUND = 1 };
enum { ACTION_CONTINUE = 0, ACTION_PAUSE = 1 };
enum { BUFFER_RESPONSE_BODY = 1, BUFFER_PLUGIN_CONFIGURATION = 7 };

typedef enum map_type { REQUEST_HEADERS = 0, RESPONSE_HEADERS = 2, RESPONSE_TRAILERS = 3 } map_type;

IMPORT(proxy_log)(int level, const char *text, size_t size);
IMPORT(proxy_get_buffer_bytes)
(int buffer, size_t start, size_t max, const char **data, size_t *size);
IMPORT(proxy_set_buffer_bytes)
(int buffer, size_t start, size_t size, const char *data, size_t data_size);
IMPORT(proxy_get_header_map_pairs)(map_type map, const char **data, size_t *size);
IMPORT(proxy_get_header_map_value)
(map_type map, const char *key, size_t key_size, const char **data, size_t *size);
IMPORT(proxy_replace_header_map_value)
(map_type map, const char *key, size_t key_size, const char *data, size_t size);
IMPORT(proxy_remove_header_map_value)(map_type map, const char *key, size_t key_size);

/* A body, the headers of a request, and the values of some. */
enum { ARENA_SIZE = 3 * CP_MESH_MAX_BODY, ARENA_ALIGNMENT = 16 };

/* Plugins of one virtual machine: configurations of the filter in one worker. */
enum { PLUGINS_MAX = 4, PLUGIN_SIZE = 128 * 1024 };

/* Headers of one name that are read; a request with more restarts its trace. */
enum { MAX_SAME_HEADERS = 32 };

typedef struct plugin {
  uint32_t id; /* 0: not in use */
  cp_mesh *mesh;
  uint64_t memory[PLUGIN_SIZE / sizeof(uint64_t)];
} plugin;

static struct {
  _Alignas(ARENA_ALIGNMENT) char arena[ARENA_SIZE];
  size_t arena_used;
  plugin plugins[PLUGINS_MAX];
  stream_table table;
} filter;

static void log_text(int level, const char *text) { proxy_log(level, text, strlen(text)); }

/* The data of the callback before is not needed any more. */
static void begin_callback(void) { filter.arena_used = 0; }

static plugin *find_plugin(uint32_t id) {
  for (int i = 0; i < PLUGINS_MAX; i++) {
    if (filter.plugins[i].id == id) return &filter.plugins[i];
  }
  return NULL;
}

static cp_mesh *mesh_of(const stream *s) {
  plugin *p = find_plugin(s->plugin);
  return p != NULL ? p->mesh : NULL;
}

EXPORT(void, proxy_abi_version_0_2_1, (void)) {}

EXPORT(void *, proxy_on_memory_allocate, (size_t size)) {
  if (size > ARENA_SIZE - filter.arena_used) return NULL;
  char *start = filter.arena + filter.arena_used;
  filter.arena_used += (size + ARENA_ALIGNMENT - 1) / ARENA_ALIGNMENT * ARENA_ALIGNMENT;
  if (filter.arena_used > ARENA_SIZE) filter.arena_used = ARENA_SIZE;
  return start;
}

EXPORT(int, proxy_on_vm_start, (uint32_t id, size_t size)) {
  (void)id;
  (void)size;
  return 1;
}

static bool refuse(const char *why) {
  log_text(LOG_ERROR, why);
  return false;
}

EXPORT(int, proxy_on_configure, (uint32_t id, size_t size)) {
  begin_callback();
  plugin *p = find_plugin(id);
  const char *text = NULL;
  size_t length = 0;
  char error[256];
  if (p == NULL || id == 0) return refuse("coropanic: at most 4 configurations for each worker");
  if (cp_mesh_size() > sizeof p->memory) return refuse("coropanic: the handle has no room");
  if (size > 0 &&
      proxy_get_buffer_bytes(BUFFER_PLUGIN_CONFIGURATION, 0, size, &text, &length) != STATUS_OK) {
    return refuse("coropanic: the configuration can not be read");
  }
  p->mesh = cp_mesh_init(p->memory, text, length, error, sizeof error);
  return p->mesh != NULL || refuse(error);
}

EXPORT(void, proxy_on_context_create, (uint32_t id, uint32_t parent)) {
  if (parent != 0) {
    if (stream_add(&filter.table, id, parent) == NULL)
      log_text(LOG_WARN, "coropanic: too many requests are under way; this one passes as it is");
    return;
  }
  plugin *p = find_plugin(0);
  if (p != NULL) p->id = id;
}

EXPORT(int, proxy_on_done, (uint32_t id)) {
  (void)id;
  return 1;
}

EXPORT(void, proxy_on_delete, (uint32_t id)) {
  plugin *p = find_plugin(id);
  stream_remove(&filter.table, id);
  if (p == NULL || id == 0) return;
  p->id = 0;
  p->mesh = NULL;
}

/* Says which call the host has refused. */
static bool done(int status, const char *what) {
  if (status == STATUS_OK) return true;
  char text[96] = "coropanic: the host has refused ";
  strncat(text, what, sizeof text - strlen(text) - 1);
  log_text(LOG_ERROR, text);
  return false;
}

static cp_mesh_text header(map_type map, const char *key) {
  cp_mesh_text value = {NULL, 0};
  int status = proxy_get_header_map_value(map, key, strlen(key), &value.data, &value.size);
  if (status == STATUS_OK) return value;
  if (status != STATUS_NOT_FOUND) done(status, key);
  return (cp_mesh_text){NULL, 0};
}

static void set_header(map_type map, const char *key, cp_mesh_text value) {
  done(proxy_replace_header_map_value(map, key, strlen(key), value.data, value.size), key);
}

static void remove_header(map_type map, const char *key) {
  done(proxy_remove_header_map_value(map, key, strlen(key)), key);
}

static cp_mesh_text text_given(const char *string) {
  return (cp_mesh_text){string, strlen(string)};
}

/* All values of one header. */
typedef struct values {
  const char *key;
  cp_mesh_text list[MAX_SAME_HEADERS];
  size_t count;
} values;

static void collect(values *v, slice key, slice value) {
  if (!text_equals(key, v->key)) return;
  if (v->count < MAX_SAME_HEADERS) v->list[v->count] = (cp_mesh_text){value.start, value.length};
  v->count++;
}

static uint32_t read_u32(const char *at) {
  const uint8_t *bytes = (const uint8_t *)at;
  return bytes[0] | (uint32_t)bytes[1] << 8 | (uint32_t)bytes[2] << 16 | (uint32_t)bytes[3] << 24;
}

/*
** Walks through serialised pairs: their number, the two lengths of each, then key and value of each
** with a terminator. False if lengths lead out of the data.
*/
static bool read_pairs(const char *data, size_t size, values *wanted, size_t wanted_count) {
  if (size < 4) return true; /* no headers */
  uint32_t count = read_u32(data);
  if (count > (size - 4) / 8) return false;
  slice rest = {data + 4 + 8 * (size_t)count, size - 4 - 8 * (size_t)count};
  for (uint32_t i = 0; i < count; i++) {
    uint64_t key_size = read_u32(data + 4 + 8 * (size_t)i),
             value_size = read_u32(data + 8 + 8 * (size_t)i);
    if (key_size + value_size + 2 > rest.length) return false;
    slice key = text_until(rest, (size_t)key_size);
    slice value = text_until(text_from(rest, (size_t)key_size + 1), (size_t)value_size);
    for (size_t w = 0; w < wanted_count; w++) collect(&wanted[w], key, value);
    rest = text_from(rest, (size_t)(key_size + value_size) + 2);
  }
  return true;
}

/* Sends a header once with this text, or not at all if the text is empty. */
static void put_header(const values *given, const char *text) {
  cp_mesh_text value = text_given(text);
  bool is_there = value.size > 0 && given->count == 1 && given->list[0].size == value.size &&
                  memcmp(given->list[0].data, text, value.size) == 0;
  if (is_there || (given->count == 0 && value.size == 0)) return;
  if (given->count > 1 || value.size == 0) remove_header(REQUEST_HEADERS, given->key);
  if (value.size > 0) set_header(REQUEST_HEADERS, given->key, value);
}

static void continue_trace(stream *s, cp_mesh *mesh, const values *parents, const values *states) {
  cp_mesh_trace trace;
  bool too_many = states->count > MAX_SAME_HEADERS;
  size_t parent_count = parents->count < 2 ? parents->count : 2;
  size_t state_count = too_many ? 0 : states->count;
  s->traced =
      cp_mesh_continue(mesh, &trace, parents->list, parent_count, states->list, state_count);
  if (!s->traced) {
    log_text(LOG_ERROR, "coropanic: there are no random numbers for a new trace");
    return;
  }
  memcpy(s->trace_id, trace.trace_id, sizeof s->trace_id);
  s->span_id = trace.span_id;
  s->flags = trace.flags;
  put_header(parents, trace.traceparent);
  put_header(states, trace.tracestate);
}

enum { TRACEPARENT, TRACESTATE, AUTHORITY, HOST, WANTED };

EXPORT(int, proxy_on_request_headers, (uint32_t id, size_t count, int ends)) {
  (void)count;
  (void)ends;
  begin_callback();
  stream *s = stream_find(&filter.table, id);
  cp_mesh *mesh = s != NULL ? mesh_of(s) : NULL;
  const char *data;
  size_t size;
  if (mesh == NULL ||
      !done(proxy_get_header_map_pairs(REQUEST_HEADERS, &data, &size), "the request's headers"))
    return ACTION_CONTINUE;
  values wanted[WANTED] = {
      {.key = "traceparent"}, {.key = "tracestate"}, {.key = ":authority"}, {.key = "host"}};
  if (!read_pairs(data, size, wanted, WANTED)) return ACTION_CONTINUE;
  const values *host = &wanted[wanted[AUTHORITY].count > 0 ? AUTHORITY : HOST];
  if (host->count > 0) {
    s->host_size =
        (uint32_t)(host->list[0].size < STREAM_MAX_HOST ? host->list[0].size : STREAM_MAX_HOST);
    memcpy(s->host, host->list[0].data, s->host_size);
  }
  continue_trace(s, mesh, &wanted[TRACEPARENT], &wanted[TRACESTATE]);
  return ACTION_CONTINUE;
}

static uint64_t now(void) {
  __wasi_timestamp_t time = 0;
  return __wasi_clock_time_get(__WASI_CLOCKID_REALTIME, 0, &time) == 0 ? time : 0;
}

/* Makes the record, logs it, and tells the client its code and hash. */
static void normalise(stream *s, cp_mesh *mesh, cp_mesh_response *response, map_type map,
                      cp_mesh_result *result) {
  cp_mesh_trace trace = {.span_id = s->span_id, .flags = s->flags};
  memcpy(trace.trace_id, s->trace_id, sizeof trace.trace_id);
  response->status = s->status;
  response->service = (cp_mesh_text){s->host, s->host_size};
  response->trace = s->traced ? &trace : NULL;
  response->time_ns = now();
  cp_mesh_normalise(mesh, response, result);
  response->trace = NULL;
  proxy_log(LOG_WARN, result->record.data, result->record.size);
  if (!result->sets_headers) return;
  set_header(map, "x-error-code", text_given(result->error_code));
  set_header(map, "x-error-hash", text_given(result->error_hash));
}

/* The host has the whole body, or as much of it as is read. */
static void finish(stream *s, cp_mesh *mesh, size_t size, bool cut) {
  cp_mesh_response response = {.content_type = header(RESPONSE_HEADERS, "content-type"),
                               .content_encoding = header(RESPONSE_HEADERS, "content-encoding"),
                               .body_cut = cut};
  cp_mesh_result result;
  size_t max = size < CP_MESH_MAX_BODY ? size : CP_MESH_MAX_BODY;
  s->state = STREAM_DONE;
  if (size > 0 && !done(proxy_get_buffer_bytes(BUFFER_RESPONSE_BODY, 0, max, &response.body.data,
                                               &response.body.size),
                        "the response's body")) {
    return;
  }
  if (size > max) response.body_cut = true;
  normalise(s, mesh, &response, RESPONSE_HEADERS, &result);
  if (!result.replaces_body) return;
  if (!done(
          proxy_set_buffer_bytes(BUFFER_RESPONSE_BODY, 0, size, result.body.data, result.body.size),
          "another body"))
    return;
  s->state = STREAM_DROPPING;
  remove_header(RESPONSE_HEADERS, "content-length");
  if (result.body.size > 0) {
    set_header(RESPONSE_HEADERS, "content-type", text_given("application/json"));
  } else {
    remove_header(RESPONSE_HEADERS, "content-type");
  }
}

/* gRPC's status alone, in headers or trailers: the body is a protocol of its own. */
static void finish_grpc(stream *s, cp_mesh *mesh, map_type map, cp_mesh_text status) {
  cp_mesh_response response = {.grpc_status = status, .grpc_message = header(map, "grpc-message")};
  cp_mesh_result result;
  s->state = STREAM_DONE;
  normalise(s, mesh, &response, map, &result);
}

static uint32_t status_of(cp_mesh_text text) {
  uint32_t status;
  return text_number((slice){text.data, text.size}, &status) ? status : 0;
}

EXPORT(int, proxy_on_response_headers, (uint32_t id, size_t count, int ends)) {
  (void)count;
  begin_callback();
  stream *s = stream_find(&filter.table, id);
  cp_mesh *mesh = s != NULL ? mesh_of(s) : NULL;
  if (mesh == NULL || s->state != STREAM_REQUEST) return ACTION_CONTINUE;
  s->status = status_of(header(RESPONSE_HEADERS, ":status"));
  cp_mesh_text grpc_status = header(RESPONSE_HEADERS, "grpc-status");
  if (!cp_mesh_wants(mesh, s->status, grpc_status)) return ACTION_CONTINUE;
  if (status_of(grpc_status) != 0) {
    finish_grpc(s, mesh, RESPONSE_HEADERS, grpc_status);
    return ACTION_CONTINUE;
  }
  if (ends) {
    finish(s, mesh, 0, false);
    return ACTION_CONTINUE;
  }
  s->state = STREAM_BUFFERING;
  return ACTION_PAUSE; /* headers can be changed as long as this lasts */
}

EXPORT(int, proxy_on_response_body, (uint32_t id, size_t size, int ends)) {
  begin_callback();
  stream *s = stream_find(&filter.table, id);
  cp_mesh *mesh = s != NULL ? mesh_of(s) : NULL;
  if (mesh == NULL) return ACTION_CONTINUE;
  if (s->state == STREAM_DROPPING && size > 0) {
    done(proxy_set_buffer_bytes(BUFFER_RESPONSE_BODY, 0, size, NULL, 0), "an empty body");
  }
  if (s->state != STREAM_BUFFERING) return ACTION_CONTINUE;
  s->body_size = size;
  if (!ends && size < CP_MESH_MAX_BODY) return ACTION_PAUSE;
  finish(s, mesh, size, !ends);
  return ACTION_CONTINUE;
}

/* With trailers, the body's last part does not end the stream. */
EXPORT(int, proxy_on_response_trailers, (uint32_t id, size_t count)) {
  (void)count;
  begin_callback();
  stream *s = stream_find(&filter.table, id);
  cp_mesh *mesh = s != NULL ? mesh_of(s) : NULL;
  if (mesh == NULL) return ACTION_CONTINUE;
  if (s->state == STREAM_BUFFERING) finish(s, mesh, s->body_size, false);
  if (s->state != STREAM_REQUEST) return ACTION_CONTINUE;
  cp_mesh_text grpc_status = header(RESPONSE_TRAILERS, "grpc-status");
  if (status_of(grpc_status) != 0) finish_grpc(s, mesh, RESPONSE_TRAILERS, grpc_status);
  return ACTION_CONTINUE;
}
