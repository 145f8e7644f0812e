/* Errors in a form of their own: see bodies.h. */
#include "mesh/bodies.h"

#include <string.h>

/* The codes of https://grpc.github.io/grpc/core/md_doc_statuscodes.html, from 0. */
static const char *const GRPC_CODES[] = {
    "OK",
    "CANCELLED",
    "UNKNOWN",
    "INVALID_ARGUMENT",
    "DEADLINE_EXCEEDED",
    "NOT_FOUND",
    "ALREADY_EXISTS",
    "PERMISSION_DENIED",
    "RESOURCE_EXHAUSTED",
    "FAILED_PRECONDITION",
    "ABORTED",
    "OUT_OF_RANGE",
    "UNIMPLEMENTED",
    "INTERNAL",
    "UNAVAILABLE",
    "DATA_LOSS",
    "UNAUTHENTICATED",
};

enum { GRPC_UNKNOWN = 2, GRPC_CODE_COUNT = sizeof GRPC_CODES / sizeof GRPC_CODES[0] };

static bool is_hash(const char *text) {
  size_t length = strlen(text);
  for (size_t i = 0; i < length; i++) {
    bool is_digit = (text[i] >= '0' && text[i] <= '9') || (text[i] >= 'a' && text[i] <= 'f');
    if (!is_digit) return false;
  }
  return length == 16;
}

/* The text of `hop`, if the record has one, and its number. */
typedef struct hop {
  slice text;
  uint32_t count;
} hop;

/* Reads one member. False if the body is no record. */
static bool read_member(json_reader *json, slice key, passed_record *passed, hop *h, bool *found) {
  char contract[16];
  if (text_equals(key, "contract")) {
    *found = json_string(json, contract, sizeof contract) && strcmp(contract, "coropanic/1") == 0;
    return *found;
  }
  if (text_equals(key, "error_code")) {
    return json_string(json, passed->error_code, sizeof passed->error_code);
  }
  if (text_equals(key, "stack_hash")) {
    return json_string(json, passed->stack_hash, sizeof passed->stack_hash);
  }
  if (!text_equals(key, "hop")) return json_skip(json, NULL);
  json_peek(json);
  const char *start = json->rest.start;
  if (!json_integer(json, &h->count)) return false;
  h->text = (slice){start, (size_t)(json->rest.start - start)};
  return true;
}

static size_t write_passed(slice body, const hop *h, char *out, size_t size) {
  json_writer json = json_write(out, size);
  size_t at = text_find(body, "{") + 1;
  if (h->text.start != NULL) at = (size_t)(h->text.start - body.start);
  json_put_raw(&json, text_until(body, at));
  if (h->text.start == NULL) json_put_key(&json, "hop");
  json_put_integer(&json, h->count == UINT32_MAX ? UINT32_MAX : (uint64_t)h->count + 1);
  if (h->text.start == NULL) json_put_raw(&json, text_of(",", 1));
  json_put_raw(&json, text_from(body, at + h->text.length));
  return json.full ? 0 : json.length;
}

bool body_pass_on(passed_record *passed, slice body, char *out, size_t size) {
  json_reader json = json_read(body);
  hop h = {{NULL, 0}, 0};
  bool first = true, found = false;
  slice key;
  passed->error_code[0] = passed->stack_hash[0] = '\0';
  if (json_peek(&json) != JSON_OBJECT) return false;
  json_enter(&json, JSON_OBJECT);
  while (json_key(&json, &first, &key)) {
    if (!read_member(&json, key, passed, &h, &found)) return false;
  }
  bool is_record = json_ended(&json) && found && passed->error_code[0] != '\0';
  if (!is_record || !is_hash(passed->stack_hash)) return false;
  passed->length = write_passed(body, &h, out, size);
  return passed->length > 0;
}

/* The texts of problem details; a member of another type counts as missing (section 3.1). */
typedef struct problem {
  char type[MESH_MAX_TYPE + 1];
  char title[MESH_MAX_MESSAGE / 2];
  char detail[MESH_MAX_MESSAGE / 2];
} problem;

static bool read_text(json_reader *json, char *out, size_t size) {
  if (json_peek(json) != JSON_STRING) return json_skip(json, NULL);
  return json_string(json, out, size);
}

static bool read_problem(json_reader *json, problem *p) {
  bool first = true;
  slice key;
  if (json_peek(json) != JSON_OBJECT) return false;
  json_enter(json, JSON_OBJECT);
  while (json_key(json, &first, &key)) {
    if (text_equals(key, "type")) {
      read_text(json, p->type, sizeof p->type);
    } else if (text_equals(key, "title")) {
      read_text(json, p->title, sizeof p->title);
    } else if (text_equals(key, "detail")) {
      read_text(json, p->detail, sizeof p->detail);
    } else {
      json_skip(json, NULL);
    }
  }
  return json_ended(json);
}

/* "out-of-credit" of "https://example.com/probs/out-of-credit" */
static slice last_part(slice uri) {
  for (size_t i = uri.length; i > 0; i--) {
    if (strchr("/#:?", uri.start[i - 1]) != NULL && i < uri.length) return text_from(uri, i);
  }
  return uri;
}

bool body_problem(mesh_crash *crash, slice body, uint32_t status) {
  problem p = {.type = "", .title = "", .detail = ""};
  json_reader json = json_read(body);
  if (!read_problem(&json, &p)) return false;
  char message[MESH_MAX_MESSAGE + 2];
  size_t length = strlen(p.title);
  memcpy(message, p.title, length);
  if (length > 0 && p.detail[0] != '\0') {
    memcpy(message + length, ": ", 2);
    length += 2;
  }
  memcpy(message + length, p.detail, strlen(p.detail));
  length += strlen(p.detail);
  bool blank = p.type[0] == '\0' || strcmp(p.type, "about:blank") == 0; /* section 4.2.1 */
  slice type = blank ? text_of("about:blank", 11) : text_of(p.type, strlen(p.type));
  crash_begin(crash, MESH_PROBLEM);
  mesh_error *error = crash_error(crash, ERROR_ROOT, type, text_of(message, length));
  char digits[12];
  json_writer number = json_write(digits, sizeof digits);
  json_put_integer(&number, status);
  error_set_class(error, blank ? text_of(digits, number.length) : last_part(type));
  return true;
}

static int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  return -1;
}

/* grpc-message is percent-encoded UTF-8. */
static size_t percent_decode(char *out, size_t size, slice text) {
  size_t length = 0;
  while (text.length > 0 && length < size) {
    int high = -1, low = -1;
    if (text.start[0] == '%' && text.length >= 3) {
      high = hex_digit(text.start[1]);
      low = hex_digit(text.start[2]);
    }
    bool is_escape = high >= 0 && low >= 0;
    out[length++] = is_escape ? (char)(high * 16 + low) : text.start[0];
    text = text_from(text, is_escape ? 3 : 1);
  }
  return length;
}

bool body_grpc(mesh_crash *crash, slice status, slice message) {
  uint32_t code;
  if (!text_number(status, &code) || code == 0) return false;
  const char *name = GRPC_CODES[code < GRPC_CODE_COUNT ? code : GRPC_UNKNOWN];
  char decoded[MESH_MAX_MESSAGE];
  size_t length = percent_decode(decoded, sizeof decoded, message);
  crash_begin(crash, MESH_GRPC);
  mesh_error *error = crash_error(crash, ERROR_ROOT, text_of("grpc", 4), text_of(decoded, length));
  error_set_class(error, text_of(name, strlen(name)));
  return true;
}
