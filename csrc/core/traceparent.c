/*
** W3C Trace Context: see traceparent.h.
*/
#include "core/traceparent.h"

#include <string.h>

#include "core/hex.h"
#include "core/slice.h"

/* The offsets of the fields of "00-<trace id>-<span id>-<flags>". */
enum { TRACE_ID_AT = 3, SPAN_ID_AT = 36, FLAGS_AT = 53 };

#define KNOWN_FLAGS (TRACE_FLAG_SAMPLED | TRACE_FLAG_RANDOM)

/*
** Limits of tracestate's grammar. Members longer than LONG_MEMBER are dropped first if space is
** short.
*/
enum {
  KEY_MAX_LENGTH = 256,
  VALUE_MAX_LENGTH = 256,
  LONG_MEMBER = 128,
};

static bool all_zero(const uint8_t *bytes, size_t size) {
  for (size_t i = 0; i < size; i++) {
    if (bytes[i] != 0) return false;
  }
  return true;
}

/* Version 00 is exactly this long; a later version may go on after another "-". */
static bool ends_properly(slice text, uint8_t version) {
  if (text.length == TRACEPARENT_LENGTH) return true;
  return version > 0 && text.start[TRACEPARENT_LENGTH] == '-';
}

static bool has_dashes(const char *text) {
  return text[TRACE_ID_AT - 1] == '-' && text[SPAN_ID_AT - 1] == '-' && text[FLAGS_AT - 1] == '-';
}

static uint64_t read_big_endian(const uint8_t bytes[8]) {
  uint64_t value = 0;
  for (int i = 0; i < 8; i++) value = value << 8 | bytes[i];
  return value;
}

bool traceparent_parse(traceparent *out, const char *value, size_t length) {
  slice text = slice_trim((slice){value, length});
  uint8_t version, span_id[8], flags;
  if (text.length < TRACEPARENT_LENGTH || !has_dashes(text.start)) return false;
  if (!hex_decode(&version, text.start, 1) || version == 0xff) return false;
  if (!ends_properly(text, version)) return false;
  if (!hex_decode(out->trace_id, text.start + TRACE_ID_AT, sizeof out->trace_id)) return false;
  if (!hex_decode(span_id, text.start + SPAN_ID_AT, sizeof span_id)) return false;
  if (!hex_decode(&flags, text.start + FLAGS_AT, 1)) return false;
  out->span_id = read_big_endian(span_id);
  out->flags = flags & KNOWN_FLAGS;
  return out->span_id != 0 && !all_zero(out->trace_id, sizeof out->trace_id);
}

void traceparent_format(char *out, const traceparent *parent) {
  uint8_t flags = parent->flags & KNOWN_FLAGS;
  memcpy(out, "00-", 3);
  hex_encode(out + TRACE_ID_AT, parent->trace_id, sizeof parent->trace_id);
  out[SPAN_ID_AT - 1] = '-';
  hex_encode_u64(out + SPAN_ID_AT, parent->span_id);
  out[FLAGS_AT - 1] = '-';
  hex_encode(out + FLAGS_AT, &flags, 1);
}

/* The members kept so far, in order. */
typedef struct member_list {
  slice members[TRACESTATE_MAX_MEMBERS];
  int count;
} member_list;

static bool is_key_start(char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'); }

static bool is_key_char(char c) {
  return is_key_start(c) || c == '_' || c == '-' || c == '*' || c == '/' || c == '@';
}

static bool is_key(const char *key, size_t length) {
  if (length == 0 || length > KEY_MAX_LENGTH || !is_key_start(key[0])) return false;
  for (size_t i = 1; i < length; i++) {
    if (!is_key_char(key[i])) return false;
  }
  return true;
}

/* The text was trimmed, so the last character is no blank. */
static bool is_value(const char *value, size_t length) {
  if (length == 0 || length > VALUE_MAX_LENGTH) return false;
  for (size_t i = 0; i < length; i++) {
    if (value[i] < 0x20 || value[i] > 0x7e || value[i] == '=') return false;
  }
  return true;
}

static bool is_member(slice text) {
  const char *equals = memchr(text.start, '=', text.length);
  if (equals == NULL) return false;
  size_t key_length = (size_t)(equals - text.start);
  return is_key(text.start, key_length) && is_value(equals + 1, text.length - key_length - 1);
}

/* Adds the text between two commas. False if it makes the whole list invalid. */
static bool add_member(member_list *list, slice text) {
  if (text.length == 0) return true;
  if (list->count == TRACESTATE_MAX_MEMBERS || !is_member(text)) return false;
  list->members[list->count++] = text;
  return true;
}

static bool split_members(member_list *list, slice text) {
  while (text.length > 0) {
    const char *comma = memchr(text.start, ',', text.length);
    size_t length = comma != NULL ? (size_t)(comma - text.start) : text.length;
    if (!add_member(list, slice_trim((slice){text.start, length}))) return false;
    size_t consumed = comma != NULL ? length + 1 : length;
    text = (slice){text.start + consumed, text.length - consumed};
  }
  return true;
}

static size_t joined_length(const member_list *list) {
  size_t length = list->count > 0 ? (size_t)list->count - 1 : 0; /* the commas */
  for (int i = 0; i < list->count; i++) length += list->members[i].length;
  return length;
}

static bool drop_last_longer_than(member_list *list, size_t length) {
  int i = list->count - 1;
  while (i >= 0 && list->members[i].length <= length) i--;
  if (i < 0) return false;
  size_t after = (size_t)(list->count - i - 1);
  memmove(&list->members[i], &list->members[i + 1], after * sizeof list->members[0]);
  list->count--;
  return true;
}

/* Drops no more members than needed: first the last of the long ones, then the last of all. */
static void drop_until_it_fits(member_list *list) {
  while (joined_length(list) > TRACESTATE_MAX_LENGTH) {
    if (!drop_last_longer_than(list, LONG_MEMBER)) drop_last_longer_than(list, 0);
  }
}

static void write_members(tracestate *state, const member_list *list) {
  for (int i = 0; i < list->count; i++) {
    slice text = list->members[i];
    if (i > 0) state->text[state->length++] = ',';
    memcpy(state->text + state->length, text.start, text.length);
    state->length += text.length;
  }
}

void tracestate_parse(tracestate *state, const char *value, size_t length) {
  member_list list = {.count = 0};
  *state = (tracestate){.length = 0};
  state->invalid = !split_members(&list, (slice){value, length});
  if (state->invalid) return;
  state->members = list.count;
  drop_until_it_fits(&list);
  write_members(state, &list);
}
