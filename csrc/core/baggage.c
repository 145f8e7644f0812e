/* W3C Baggage: see baggage.h. */
#include "core/baggage.h"

#include <string.h>

#define NO_UTF8 0xff /* a byte that is nowhere in UTF-8 */

static const char REPLACEMENT[] = "\xEF\xBF\xBD"; /* U+FFFD in UTF-8 */

static bool is_blank(char c) { return c == ' ' || c == '\t'; }

static baggage_text trim(const char *start, const char *end) {
  while (start < end && is_blank(*start)) start++;
  while (start < end && is_blank(end[-1])) end--;
  return (baggage_text){start, (size_t)(end - start)};
}

/* --- the grammar --- */

static bool is_token_char(char c) {
  if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9')) return true;
  return c != '\0' && strchr("!#$%&'*+-.^_`|~", c) != NULL;
}

bool baggage_is_name(const char *name, size_t length) {
  for (size_t i = 0; i < length; i++) {
    if (!is_token_char(name[i])) return false;
  }
  return length > 0;
}

/* baggage-octet: printable ASCII but for the blank, quotes, ",", ";" and "\". */
static bool is_octet(char c) {
  return c > 0x20 && c < 0x7f && c != '"' && c != ',' && c != ';' && c != '\\';
}

static bool is_value(baggage_text value) {
  for (size_t i = 0; i < value.length; i++) {
    if (!is_octet(value.start[i])) return false;
  }
  return true;
}

/* Splits at the first `separator`; without one, `rest` has no start. Both parts are trimmed. */
static void split(baggage_text text, char separator, baggage_text *first, baggage_text *rest) {
  const char *end = text.start + text.length;
  const char *at = memchr(text.start, separator, text.length);
  *first = trim(text.start, at == NULL ? end : at);
  *rest = at == NULL ? (baggage_text){NULL, 0} : trim(at + 1, end);
}

/* "name=value", or with `bare` a name alone. */
static bool is_pair(baggage_text text, bool bare, baggage_text *name, baggage_text *value) {
  split(text, '=', name, value);
  if (!baggage_is_name(name->start, name->length)) return false;
  return value->start == NULL ? bare : is_value(*value);
}

bool baggage_are_properties(const char *text, size_t length) {
  baggage_text rest = {text, length};
  while (rest.start != NULL) {
    baggage_text property, name, value;
    split(rest, ';', &property, &rest);
    if (!is_pair(property, true, &name, &value)) return false;
  }
  return true;
}

static bool parse_member(baggage_text text, baggage_member *m) {
  baggage_text pair;
  m->whole = text;
  split(text, ';', &pair, &m->properties);
  if (!is_pair(pair, false, &m->name, &m->value)) return false;
  return m->properties.start == NULL ||
         baggage_are_properties(m->properties.start, m->properties.length);
}

bool baggage_next(const char *text, size_t length, size_t *at, baggage_member *m) {
  while (*at < length) {
    const char *start = text + *at;
    const char *comma = memchr(start, ',', length - *at);
    const char *end = comma == NULL ? text + length : comma;
    *at = (size_t)(end - text) + 1;
    if (parse_member(trim(start, end), m)) return true;
  }
  return false;
}

size_t baggage_clean(char *out, const char *text, size_t length) {
  baggage_member m;
  size_t at = 0;
  size_t written = 0;
  for (int count = 0; count < BAGGAGE_MAX_MEMBERS && baggage_next(text, length, &at, &m);) {
    size_t comma = written > 0 ? 1 : 0;
    if (written + comma + m.whole.length > BAGGAGE_MAX_LENGTH) continue;
    if (comma > 0) out[written++] = ',';
    memcpy(out + written, m.whole.start, m.whole.length);
    written += m.whole.length;
    count++;
  }
  return written;
}

/* --- values --- */

size_t baggage_encode(char *out, const char *value, size_t length) {
  static const char digits[] = "0123456789ABCDEF";
  size_t written = 0;
  for (size_t i = 0; i < length; i++) {
    uint8_t c = (uint8_t)value[i];
    if (is_octet(value[i]) && c != '%') {
      out[written++] = value[i];
    } else {
      out[written++] = '%';
      out[written++] = digits[c >> 4];
      out[written++] = digits[c & 15];
    }
  }
  return written;
}

/* The length of the UTF-8 sequence that begins here (RFC 3629: no overlong ones, no surrogates); 0: none. */
static size_t sequence_length(const uint8_t *s, size_t length) {
  size_t size = s[0] < 0x80 ? 1 : s[0] < 0xc2 ? 0 : s[0] < 0xe0 ? 2 : s[0] < 0xf0 ? 3 : 4;
  if (size == 0 || s[0] > 0xf4 || size > length) return 0;
  for (size_t i = 1; i < size; i++) {
    if ((s[i] & 0xc0) != 0x80) return 0;
  }
  if (s[0] == 0xe0 && s[1] < 0xa0) return 0;
  if (s[0] == 0xed && s[1] > 0x9f) return 0;
  if (s[0] == 0xf0 && s[1] < 0x90) return 0;
  if (s[0] == 0xf4 && s[1] > 0x8f) return 0;
  return size;
}

static size_t append_replacement(char *out, size_t written) {
  memcpy(out + written, REPLACEMENT, sizeof(REPLACEMENT) - 1);
  return written + sizeof(REPLACEMENT) - 1;
}

/* A hex digit in either case, or -1. */
static int digit_value(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  c |= 0x20;
  return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* The byte that "%XX" stands for, -1: two digits do not follow. */
static int encoded_byte(baggage_text value, size_t at) {
  if (at + 2 >= value.length) return -1;
  int high = digit_value(value.start[at + 1]);
  int low = digit_value(value.start[at + 2]);
  return high < 0 || low < 0 ? -1 : high * 16 + low;
}

/*
** The bytes are first written to the last third of `out`: what is made of them, at most three for one, does
** not overtake those that are still to be read.
*/
size_t baggage_decode(char *out, baggage_text value) {
  uint8_t *bytes = (uint8_t *)out + 2 * value.length;
  size_t count = 0;
  for (size_t i = 0; i < value.length; i++) {
    int encoded = value.start[i] == '%' ? encoded_byte(value, i) : -1;
    bytes[count] = (uint8_t)value.start[i];
    if (value.start[i] == '%') bytes[count] = encoded < 0 ? NO_UTF8 : (uint8_t)encoded;
    if (encoded >= 0) i += 2;
    count++;
  }
  size_t written = 0;
  for (size_t i = 0; i < count;) {
    size_t size = sequence_length(bytes + i, count - i);
    if (size == 0) {
      written = append_replacement(out, written);
      i++;
    } else {
      memmove(out + written, bytes + i, size);
      written += size;
      i += size;
    }
  }
  return written;
}
