/* Reads JSON: see json.h. */
#include <string.h>

#include "mesh/json.h"

json_reader json_read(slice text) { return (json_reader){text, false}; }

static bool fail(json_reader *json) {
  json->failed = true;
  json->rest.length = 0;
  return false;
}

/* The next character, without white space before it; '\0' at the end. */
static char next_char(json_reader *json) {
  while (json->rest.length > 0) {
    char c = json->rest.start[0];
    if (c != ' ' && c != '\t' && c != '\n' && c != '\r') return c;
    json->rest = text_from(json->rest, 1);
  }
  return '\0';
}

static bool take(json_reader *json, char c) {
  if (next_char(json) != c || json->rest.length == 0) return fail(json);
  json->rest = text_from(json->rest, 1);
  return true;
}

json_kind json_peek(json_reader *json) {
  switch (next_char(json)) {
    case '{': return JSON_OBJECT;
    case '[': return JSON_ARRAY;
    case '"': return JSON_STRING;
    case 't': return JSON_TRUE;
    case 'f': return JSON_FALSE;
    case 'n': return JSON_NULL;
    case '-':
    case '0':
    case '1':
    case '2':
    case '3':
    case '4':
    case '5':
    case '6':
    case '7':
    case '8':
    case '9': return JSON_NUMBER;
    default: return JSON_INVALID;
  }
}

bool json_enter(json_reader *json, json_kind kind) {
  return take(json, kind == JSON_OBJECT ? '{' : '[');
}

/* Whether a member or item follows; reads the comma before it, or the closing bracket. */
static bool has_next(json_reader *json, bool *first, char closing) {
  if (json->failed) return false;
  char c = next_char(json);
  if (c == closing) {
    take(json, closing);
    return false;
  }
  if (!*first && !take(json, ',')) return false;
  *first = false;
  return true;
}

/* The four hex digits of an escape; -1 if they are none. */
static int32_t read_unit(slice digits) {
  int32_t unit = 0;
  if (digits.length < 4) return -1;
  for (size_t i = 0; i < 4; i++) {
    char c = digits.start[i];
    int digit = c >= '0' && c <= '9'   ? c - '0'
                : c >= 'a' && c <= 'f' ? c - 'a' + 10
                : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                       : -1;
    if (digit < 0) return -1;
    unit = unit * 16 + digit;
  }
  return unit;
}

/* Reads a string's raw text, between its quotes, and checks its escapes. */
static bool raw_string(json_reader *json, slice *raw) {
  if (!take(json, '"')) return false;
  slice rest = json->rest;
  size_t i = 0;
  while (i < rest.length && rest.start[i] != '"') {
    if ((uint8_t)rest.start[i] < 0x20) return fail(json);
    if (rest.start[i++] != '\\') continue;
    if (i == rest.length || strchr("\"\\/bfnrtu", rest.start[i]) == NULL) return fail(json);
    if (rest.start[i] == '\0') return fail(json);
    if (rest.start[i++] == 'u' && read_unit(text_from(rest, i)) < 0) return fail(json);
  }
  if (i == rest.length) return fail(json);
  *raw = text_until(rest, i);
  json->rest = text_from(rest, i + 1);
  return true;
}

static size_t put_utf8(char *out, uint32_t c) {
  if (c < 0x80) {
    out[0] = (char)c;
    return 1;
  }
  size_t length = c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
  static const uint8_t LEADS[] = {0, 0, 0xc0, 0xe0, 0xf0};
  for (size_t i = length - 1; i > 0; i--) {
    out[i] = (char)(0x80 | (c & 0x3f));
    c >>= 6;
  }
  out[0] = (char)(LEADS[length] | c);
  return length;
}

/* Takes "uXXXX", and the second half of a pair. */
static uint32_t take_unicode(slice *raw) {
  uint32_t c = (uint32_t)read_unit(text_from(*raw, 1));
  *raw = text_from(*raw, 5);
  if (c < 0xd800 || c > 0xdfff) return c;
  if (c > 0xdbff || !text_starts(*raw, "\\u")) return '?';
  int32_t second = read_unit(text_from(*raw, 2));
  if (second < 0xdc00 || second > 0xdfff) return '?';
  *raw = text_from(*raw, 6);
  return 0x10000 + ((c - 0xd800) << 10) + ((uint32_t)second - 0xdc00);
}

/* Takes an escape behind its "\". */
static uint32_t take_escape(slice *raw) {
  static const char NAMES[] = "bfnrt", VALUES[] = "\b\f\n\r\t";
  char c = raw->start[0];
  if (c == 'u') return take_unicode(raw);
  *raw = text_from(*raw, 1);
  const char *name = strchr(NAMES, c);
  return (uint8_t)(name != NULL ? VALUES[name - NAMES] : c);
}

/* What the string means is cleaned once it is whole: text_copy then sees whole characters. */
bool json_string(json_reader *json, char *out, size_t size) {
  slice raw;
  size_t length = 0;
  if (!raw_string(json, &raw)) return false;
  while (raw.length > 0) {
    char bytes[5];
    slice piece = text_until(raw, 1);
    if (raw.start[0] == '\\') {
      raw = text_from(raw, 1);
      piece = (slice){bytes, put_utf8(bytes, take_escape(&raw))};
    } else {
      while (piece.length < raw.length && raw.start[piece.length] != '\\') piece.length++;
      raw = text_from(raw, piece.length);
    }
    if (length + 1 >= size) continue;
    length += text_copy(out + length, size - length, piece, true);
  }
  out[length] = '\0';
  return true;
}

bool json_key(json_reader *json, bool *first, slice *key) {
  return has_next(json, first, '}') && raw_string(json, key) && take(json, ':');
}

bool json_item(json_reader *json, bool *first) { return has_next(json, first, ']'); }

static bool take_digits(slice *text) {
  size_t count = 0;
  while (count < text->length && text->start[count] >= '0' && text->start[count] <= '9') count++;
  *text = text_from(*text, count);
  return count > 0;
}

static bool skip_number(json_reader *json) {
  slice *rest = &json->rest;
  text_take(rest, "-");
  if (!text_take(rest, "0") && !take_digits(rest)) return fail(json);
  if (text_take(rest, ".") && !take_digits(rest)) return fail(json);
  if (!text_take(rest, "e") && !text_take(rest, "E")) return true;
  if (!text_take(rest, "+")) text_take(rest, "-");
  return take_digits(rest) || fail(json);
}

bool json_integer(json_reader *json, uint32_t *value) {
  slice number;
  if (json_peek(json) != JSON_NUMBER || !json_skip(json, &number)) return fail(json);
  return text_number(number, value) || fail(json);
}

static bool skip_word(json_reader *json, const char *word) {
  return text_take(&json->rest, word) || fail(json);
}

static bool skip_value(json_reader *json, int depth);

static bool skip_members(json_reader *json, json_kind kind, int depth) {
  bool first = true;
  slice key;
  if (depth == JSON_MAX_DEPTH || !json_enter(json, kind)) return fail(json);
  while (kind == JSON_OBJECT ? json_key(json, &first, &key) : json_item(json, &first)) {
    if (!skip_value(json, depth + 1)) return false;
  }
  return !json->failed;
}

static bool skip_value(json_reader *json, int depth) {
  slice ignored;
  json_kind kind = json_peek(json);
  switch (kind) {
    case JSON_OBJECT:
    case JSON_ARRAY: return skip_members(json, kind, depth);
    case JSON_STRING: return raw_string(json, &ignored);
    case JSON_NUMBER: return skip_number(json);
    case JSON_TRUE: return skip_word(json, "true");
    case JSON_FALSE: return skip_word(json, "false");
    case JSON_NULL: return skip_word(json, "null");
    default: return fail(json);
  }
}

bool json_skip(json_reader *json, slice *value) {
  next_char(json);
  const char *start = json->rest.start;
  if (!skip_value(json, 0)) return false;
  if (value != NULL) *value = (slice){start, (size_t)(json->rest.start - start)};
  return true;
}

bool json_ended(json_reader *json) {
  return !json->failed && next_char(json) == '\0' && json->rest.length == 0;
}
