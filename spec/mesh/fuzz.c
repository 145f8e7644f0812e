/*
** A target of libFuzzer for one parser: -DTARGET=fuzz_go_parse, fuzz_jvm_parse, ...
** fuzz_config or fuzz_normalise. Whatever the text, the bounds hold, and the record is JSON.
*/
#include <stdlib.h>
#include <string.h>

#include "mesh/config.h"
#include "mesh/coropanic_mesh.h"
#include "mesh/json.h"
#include "mesh/languages.h"
#include "mesh/record.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool holds) {
  if (!holds) abort();
}

static bool is_json(const char *text, size_t length) {
  json_reader json = json_read(text_of(text, length));
  return json_skip(&json, NULL) && json_ended(&json);
}

static void check_record(const mesh_crash *crash) {
  static char out[RECORD_MAX_SIZE];
  record_origin origin = {.seq = 1, .status = 500};
  must(is_json(out, record_write(out, sizeof out, crash, &origin)));
}

static void check_crash(const mesh_crash *crash) {
  uint32_t frames = 0;
  must(crash->error_count >= 1 && crash->error_count <= MESH_MAX_ERRORS);
  must(crash->frame_count <= MESH_MAX_FRAMES);
  for (uint32_t i = 0; i < crash->error_count; i++) {
    const mesh_error *error = &crash->errors[i];
    must((i == 0) == (error->relation == ERROR_ROOT));
    must(error->first_frame + error->frame_count <= crash->frame_count);
    frames += error->frame_count;
  }
  must(frames == crash->frame_count);
  check_record(crash);
}

static inline void fuzz_config(const char *text, size_t size) {
  static mesh_config config;
  char error[64];
  bool is_right = config_read(&config, text_of(text, size), error, sizeof error);
  must(is_right == (error[0] == '\0') && memchr(error, '\0', sizeof error) != NULL);
}

/* The first byte says what the response is; the rest is its body, and headers of its request. */
static inline void fuzz_normalise(const char *text, size_t size) {
  static const char *const types[] = {"", "application/problem+json", "text/plain"};
  static cp_mesh *mesh;
  char error[64];
  cp_mesh_trace trace;
  cp_mesh_result result;
  if (mesh == NULL) mesh = cp_mesh_init(malloc(cp_mesh_size()), NULL, 0, error, sizeof error);
  if (size == 0) return;
  uint8_t kind = (uint8_t)text[0];
  cp_mesh_text body = {text + 1, size - 1}, none = {NULL, 0};
  cp_mesh_text type = {types[kind % 3], strlen(types[kind % 3])};
  cp_mesh_text both[2] = {body, body};
  must(cp_mesh_continue(mesh, &trace, both, 1, both, 1 + kind % 2));
  must(strlen(trace.traceparent) == 55 && strlen(trace.tracestate) <= 512);
  cp_mesh_response response = {.status = 500,
                               .service = body,
                               .content_type = type,
                               .body = body,
                               .grpc_status = kind & 4 ? body : none,
                               .grpc_message = body,
                               .trace = &trace};
  cp_mesh_normalise(mesh, &response, &result);
  must(is_json(result.record.data, result.record.size));
  must(strlen(result.error_hash) == 16 && result.error_code[0] != '\0');
}

#define CHECK_PARSER(parse)                                        \
  static inline void fuzz_##parse(const char *text, size_t size) { \
    static mesh_crash crash;                                       \
    if (parse(&crash, text_of(text, size))) check_crash(&crash);   \
  }

CHECK_PARSER(go_parse)
CHECK_PARSER(jvm_parse)
CHECK_PARSER(python_parse)
CHECK_PARSER(rust_parse)
CHECK_PARSER(node_parse)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  /* A text that is no string of C: empty ones have no address. */
  TARGET(size > 0 ? (const char *)data : NULL, size);
  return 0;
}
