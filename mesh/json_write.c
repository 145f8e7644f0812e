/* Writes JSON: see json.h. */
#include <string.h>

#include "mesh/json.h"

json_writer json_write(char *buffer, size_t size) {
  return (json_writer){.text = buffer, .size = size};
}

void json_put_raw(json_writer *json, slice text) {
  if (json->full || text.length > json->size - json->length) {
    json->full = true;
    return;
  }
  if (text.length == 0) return;
  memcpy(json->text + json->length, text.start, text.length);
  json->length += text.length;
}

static void put_char(json_writer *json, char c) {
  if (json->length < json->size) {
    json->text[json->length++] = c;
  } else {
    json->full = true;
  }
}

static void separate(json_writer *json) {
  if (json->separate) put_char(json, ',');
  json->separate = true;
}

void json_open(json_writer *json, char bracket) {
  separate(json);
  put_char(json, bracket);
  json->separate = false;
}

void json_close(json_writer *json, char bracket) {
  put_char(json, bracket);
  json->separate = true;
}

static void put_escaped(json_writer *json, char c) {
  static const char NAMES[] = "\"\\bfnrt", VALUES[] = "\"\\\b\f\n\r\t";
  static const char DIGITS[] = "0123456789abcdef";
  const char *value = strchr(VALUES, c);
  if (c != '\0' && value != NULL) {
    char escape[2] = {'\\', NAMES[value - VALUES]};
    json_put_raw(json, text_of(escape, sizeof escape));
    return;
  }
  char escape[6] = {'\\', 'u', '0', '0', DIGITS[(uint8_t)c >> 4], DIGITS[c & 15]};
  json_put_raw(json, text_of(escape, sizeof escape));
}

static bool is_plain(char c) { return (uint8_t)c >= 0x20 && c != '"' && c != '\\'; }

void json_put_string(json_writer *json, slice value) {
  separate(json);
  put_char(json, '"');
  while (value.length > 0) {
    size_t count = 0;
    while (count < value.length && is_plain(value.start[count])) count++;
    json_put_raw(json, text_until(value, count));
    value = text_from(value, count);
    if (value.length == 0) break;
    put_escaped(json, value.start[0]);
    value = text_from(value, 1);
  }
  put_char(json, '"');
}

/* Keys are ours: nothing in them is to be escaped. */
void json_put_key(json_writer *json, const char *key) {
  separate(json);
  put_char(json, '"');
  json_put_raw(json, text_of(key, strlen(key)));
  json_put_raw(json, text_of("\":", 2));
  json->separate = false;
}

void json_put_integer(json_writer *json, uint64_t value) {
  char digits[20];
  size_t at = sizeof digits;
  separate(json);
  do {
    digits[--at] = (char)('0' + value % 10);
    value /= 10;
  } while (value > 0);
  json_put_raw(json, text_of(digits + at, sizeof digits - at));
}

void json_put_bool(json_writer *json, bool value) {
  separate(json);
  json_put_raw(json, value ? text_of("true", 4) : text_of("false", 5));
}

void json_put_text(json_writer *json, const char *key, const char *value) {
  json_put_key(json, key);
  json_put_string(json, text_of(value, strlen(value)));
}

void json_put_count(json_writer *json, const char *key, uint64_t value) {
  json_put_key(json, key);
  json_put_integer(json, value);
}
