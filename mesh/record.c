/* Records of the contract coropanic/1: see record.h. */
#include "mesh/record.h"

#include <string.h>

#include "core/hex.h"

enum { HASH_DIGITS = 16, RECORD_HASH_VERSION = 1 };

static size_t append(char *out, size_t length, const char *text) {
  size_t added = strlen(text);
  cp_assert(length + added <= RECORD_MAX_CODE);
  memcpy(out + length, text, added + 1);
  return length + added;
}

void record_error_code(char *out, const mesh_crash *crash, const mesh_error *error) {
  size_t length = append(out, 0, "mesh.");
  length = append(out, length, mesh_language_name(crash->language));
  if (crash->language == MESH_UNKNOWN) return;
  length = append(out, length, ".");
  append(out, length, error->class_name[0] != '\0' ? error->class_name : "unknown");
}

static void put_hash(json_writer *json, const char *key, uint64_t hash) {
  char digits[HASH_DIGITS];
  hex_encode_u64(digits, hash);
  json_put_key(json, key);
  json_put_string(json, text_of(digits, sizeof digits));
}

/* Integers that JSON's numbers are too small for are strings of digits. */
static void put_time(json_writer *json, uint64_t time_ns) {
  char digits[24];
  json_writer text = json_write(digits, sizeof digits);
  json_put_integer(&text, time_ns);
  json_put_key(json, "time");
  json_put_string(json, text_of(digits, text.length));
}

static void put_trace(json_writer *json, const traceparent *parent) {
  char digits[32];
  uint8_t flags = parent != NULL ? parent->flags : 0;
  hex_encode(digits, &flags, 1);
  json_put_key(json, "trace_flags");
  json_put_string(json, text_of(digits, 2));
  if (parent == NULL) return;
  hex_encode(digits, parent->trace_id, sizeof parent->trace_id);
  json_put_key(json, "trace_id");
  json_put_string(json, text_of(digits, sizeof digits));
  put_hash(json, "span_id", parent->span_id);
}

/* What a record and a link of a chain have both. */
static void put_error(json_writer *json, const mesh_crash *crash, const mesh_error *error,
                      const record_origin *origin) {
  char code[RECORD_MAX_CODE + 1];
  record_error_code(code, crash, error);
  json_put_text(json, "kind", "error");
  json_put_text(json, "type", error->type);
  json_put_text(json, "message", error->message);
  json_put_text(json, "error_code", code);
  json_put_key(json, "recovered");
  json_put_bool(json, error->recovered);
  json_put_count(json, "seq", origin->seq + (uint64_t)(error - crash->errors));
  put_time(json, origin->time_ns);
}

static void put_frame(json_writer *json, const mesh_frame *frame) {
  json_open(json, '{');
  if (frame->origin == FRAME_NATIVE) {
    json_put_text(json, "source", "[C]");
    json_put_text(json, "what", "C");
  } else {
    json_put_text(json, "source", frame->origin == FRAME_TEXT ? "[string \"?\"]" : frame->module);
    json_put_text(json, "what", "foreign");
  }
  if (frame->function[0] != '\0') json_put_text(json, "name", frame->function);
  if (frame->line > 0) json_put_count(json, "line", frame->line);
  json_close(json, '}');
}

static void put_frames(json_writer *json, const mesh_crash *crash, const mesh_error *error) {
  if (error->frame_count > 0) {
    json_put_key(json, "frames");
    json_open(json, '[');
    for (uint32_t i = 0; i < error->frame_count; i++) {
      put_frame(json, &crash->frames[error->first_frame + i]);
    }
    json_close(json, ']');
  }
  if (error->frames_omitted > 0) json_put_count(json, "frames_omitted", error->frames_omitted);
}

static void put_record(json_writer *json, const mesh_crash *crash, const mesh_error *error,
                       const record_origin *origin) {
  json_put_text(json, "contract", "coropanic/1");
  put_error(json, crash, error, origin);
  json_put_text(json, "source", "mesh");
  put_trace(json, origin->parent);
  json_put_count(json, "hash_version", RECORD_HASH_VERSION);
  put_hash(json, "stack_hash", error->hash.value);
  put_hash(json, "stack_hash_full", error->hash_full.value);
  put_frames(json, crash, error);
}

static void put_link(json_writer *json, const mesh_crash *crash, const mesh_error *error,
                     const record_origin *origin) {
  json_open(json, '{');
  put_error(json, crash, error, origin);
  json_close(json, '}');
}

/* The number of errors at the start that are the root and its causes. */
static uint32_t count_causes(const mesh_crash *crash) {
  uint32_t count = 1;
  while (count < crash->error_count && crash->errors[count].relation != ERROR_REPLACED) count++;
  return count;
}

/* What was replaced, and everything behind it, the oldest first. */
static void put_chain(json_writer *json, const mesh_crash *crash, const record_origin *origin) {
  bool any = false;
  for (uint32_t i = crash->error_count; i > count_causes(crash); i--) {
    const mesh_error *error = &crash->errors[i - 1];
    if (error->relation == ERROR_SUPPRESSED) continue;
    if (!any) {
      json_put_key(json, "chain");
      json_open(json, '[');
    }
    any = true;
    put_link(json, crash, error, origin);
  }
  if (any) json_close(json, ']');
}

static void put_suppressed(json_writer *json, const mesh_crash *crash,
                           const record_origin *origin) {
  bool any = false;
  for (uint32_t i = 1; i < crash->error_count; i++) {
    const mesh_error *error = &crash->errors[i];
    if (error->relation != ERROR_SUPPRESSED) continue;
    if (!any) {
      json_put_key(json, "suppressed");
      json_open(json, '[');
    }
    any = true;
    put_link(json, crash, error, origin);
  }
  if (any) json_close(json, ']');
}

/* Each cause is inside the record before it. Returns how many are left open. */
static uint32_t put_causes(json_writer *json, const mesh_crash *crash,
                           const record_origin *origin) {
  uint32_t open = 0;
  for (uint32_t i = 1; i < count_causes(crash); i++) {
    if (crash->errors[i].relation != ERROR_CAUSE) continue;
    json_put_key(json, "cause");
    json_open(json, '{');
    put_record(json, crash, &crash->errors[i], origin);
    open++;
  }
  return open;
}

static void put_origin(json_writer *json, const mesh_crash *crash, const record_origin *origin) {
  char service[RECORD_MAX_SERVICE + 1];
  if (crash->language != MESH_UNKNOWN && crash->language < MESH_LANGUAGES) {
    json_put_text(json, "language", mesh_language_name(crash->language));
  }
  if (text_copy(service, sizeof service, origin->service, false) > 0) {
    json_put_text(json, "service", service);
  }
  if (origin->status > 0) json_put_count(json, "http_status", origin->status);
  if (crash->errors_omitted > 0) json_put_count(json, "errors_omitted", crash->errors_omitted);
}

size_t record_write(char *out, size_t size, const mesh_crash *crash, const record_origin *origin) {
  json_writer json = json_write(out, size);
  json_open(&json, '{');
  put_record(&json, crash, &crash->errors[0], origin);
  put_origin(&json, crash, origin);
  put_chain(&json, crash, origin);
  put_suppressed(&json, crash, origin);
  uint32_t open = put_causes(&json, crash, origin);
  for (uint32_t i = 0; i <= open; i++) json_close(&json, '}');
  cp_assert(!json.full);
  return json.length;
}
