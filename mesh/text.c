/* Parts of a text: see text.h. */
#include "mesh/text.h"

#include <string.h>

static bool is_space(char c) { return c == ' ' || c == '\t' || c == '\n' || c == '\r'; }

slice text_strip(slice text) {
  while (text.length > 0 && is_space(text.start[0])) text = text_from(text, 1);
  while (text.length > 0 && is_space(text.start[text.length - 1])) text.length--;
  return text;
}

static slice without_return(slice line) {
  if (line.length > 0 && line.start[line.length - 1] == '\r') line.length--;
  return line;
}

bool text_next_line(slice *rest, slice *line) {
  if (rest->length == 0) return false;
  const char *end = memchr(rest->start, '\n', rest->length);
  size_t length = end != NULL ? (size_t)(end - rest->start) : rest->length;
  *line = without_return(text_until(*rest, length));
  *rest = text_from(*rest, length + 1);
  return true;
}

bool text_last_line(slice *rest, slice *line) {
  if (rest->length == 0) return false;
  size_t end = rest->length;
  if (rest->start[end - 1] == '\n') end--;
  size_t start = end;
  while (start > 0 && rest->start[start - 1] != '\n') start--;
  *line = without_return((slice){rest->start + start, end - start});
  rest->length = start;
  return true;
}

size_t text_indent(slice text) {
  size_t count = 0;
  while (count < text.length && (text.start[count] == ' ' || text.start[count] == '\t')) count++;
  return count;
}

size_t text_find(slice text, const char *needle) {
  size_t length = strlen(needle);
  slice rest = text;
  while (rest.length >= length) {
    const char *found = memchr(rest.start, needle[0], rest.length - length + 1);
    if (found == NULL) return TEXT_NONE;
    if (memcmp(found, needle, length) == 0) return (size_t)(found - text.start);
    rest = text_from(rest, (size_t)(found - rest.start) + 1);
  }
  return TEXT_NONE;
}

size_t text_find_last(slice text, char c) {
  for (size_t i = text.length; i > 0; i--) {
    if (text.start[i - 1] == c) return i - 1;
  }
  return TEXT_NONE;
}

static bool is_digit(char c) { return c >= '0' && c <= '9'; }

bool text_take_number(slice *text, uint32_t *value) {
  uint64_t number = 0;
  size_t count = 0;
  for (; count < text->length && is_digit(text->start[count]); count++) {
    number = number * 10 + (uint64_t)(text->start[count] - '0');
    if (number > UINT32_MAX) number = UINT32_MAX;
  }
  *value = (uint32_t)number;
  *text = text_from(*text, count);
  return count > 0;
}

bool text_number(slice text, uint32_t *value) {
  return text_take_number(&text, value) && text.length == 0;
}

static bool is_name_char(char c) {
  return is_digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || c == '$' ||
         (uint8_t)c >= 0x80;
}

bool text_is_name(slice text, const char *others) {
  for (size_t i = 0; i < text.length; i++) {
    char c = text.start[i];
    if (!is_name_char(c) && (c == '\0' || strchr(others, c) == NULL)) return false;
  }
  return text.length > 0;
}

/*
** The length of the UTF-8 character at the start of the text, which is not empty; 0 if it is none
** (RFC 3629: no overlong forms, no surrogates, nothing above U+10FFFF).
*/
static size_t character_length(slice text) {
  const uint8_t *bytes = (const uint8_t *)text.start;
  uint8_t first = bytes[0], low = 0x80, high = 0xbf;
  if (first < 0x80) return 1;
  size_t length = first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
  if (first < 0xc2 || first > 0xf4 || text.length < length) return 0;
  if (first == 0xe0) low = 0xa0;
  if (first == 0xed) high = 0x9f;
  if (first == 0xf0) low = 0x90;
  if (first == 0xf4) high = 0x8f;
  if (bytes[1] < low || bytes[1] > high) return 0;
  for (size_t i = 2; i < length; i++) {
    if ((bytes[i] & 0xc0) != 0x80) return 0;
  }
  return length;
}

static bool is_control(char c, bool lines) {
  if (lines && (c == '\n' || c == '\t')) return false;
  return (uint8_t)c < 0x20 || c == 0x7f;
}

/* The number of bytes at the start that are printable ASCII. */
static size_t plain_length(slice text) {
  size_t count = 0;
  while (count < text.length && text.start[count] >= 0x20 && text.start[count] < 0x7f) count++;
  return count;
}

size_t text_copy(char *out, size_t size, slice text, bool lines) {
  size_t length = 0;
  while (text.length > 0) {
    size_t count = plain_length(text_until(text, size - 1 - length));
    memcpy(out + length, text.start, count);
    length += count;
    text = text_from(text, count);
    if (text.length == 0 || length + 1 == size) break;
    count = character_length(text);
    bool bad = count == 0 || (count == 1 && is_control(text.start[0], lines));
    if (bad) count = 1;
    if (length + count >= size) break;
    memcpy(out + length, bad ? "?" : text.start, count);
    length += count;
    text = text_from(text, count);
  }
  out[length] = '\0';
  return length;
}
