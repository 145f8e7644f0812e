/* W3C Baggage: see baggage.h. */
#include "core/baggage.h"

#include <string.h>

static const char REPLACEMENT[] = "\xEF\xBF\xBD"; /* U+FFFD in UTF-8 */

static slice trim(const char *start, const char *end) {
  return slice_trim((slice){start, (size_t)(end - start)});
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

/* baggage-octet: printable ASCII except the blank, quotes, ",", ";" and "\". */
static bool is_octet(char c) {
  return c > 0x20 && c < 0x7f && c != '"' && c != ',' && c != ';' && c != '\\';
}

static bool is_value(slice value) {
  for (size_t i = 0; i < value.length; i++) {
    if (!is_octet(value.start[i])) return false;
  }
  return true;
}

/* A hex digit in either case, or -1. */
static int digit_value(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  c |= 0x20;
  return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Returns the byte that "%XX" at `at` encodes; -1 if there is no "%XX". */
static int encoded_byte(slice value, size_t at) {
  if (value.start[at] != '%' || at + 2 >= value.length) return -1;
  int high = digit_value(value.start[at + 1]);
  int low = digit_value(value.start[at + 2]);
  return high < 0 || low < 0 ? -1 : high * 16 + low;
}

bool baggage_is_encoded(const char *text, size_t length) {
  slice value = {text, length};
  for (size_t i = 0; i < length; i++) {
    if (text[i] == '%' && encoded_byte(value, i) < 0) return false;
  }
  return true;
}

/*
** Splits the text at the first `separator` and trims both parts. Without a separator, `rest` has no
** start.
*/
static void split(slice text, char separator, slice *first, slice *rest) {
  const char *end = text.start + text.length;
  const char *at = memchr(text.start, separator, text.length);
  *first = trim(text.start, at == NULL ? end : at);
  *rest = at == NULL ? (slice){NULL, 0} : trim(at + 1, end);
}

/* Whether the text is "name=value"; with `bare`, a name alone will do. */
static bool is_pair(slice text, bool bare, slice *name, slice *value) {
  split(text, '=', name, value);
  if (!baggage_is_name(name->start, name->length)) return false;
  return value->start == NULL ? bare : is_value(*value);
}

bool baggage_are_properties(const char *text, size_t length) {
  slice rest = {text, length};
  while (rest.start != NULL) {
    slice property, name, value;
    split(rest, ';', &property, &rest);
    if (!is_pair(property, true, &name, &value)) return false;
  }
  return true;
}

static bool parse_member(slice text, baggage_member *m) {
  slice pair;
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

/*
** The form of the UTF-8 sequences that begin with one byte (Unicode 15, table 3-7: none overlong,
** no surrogates).
*/
typedef struct utf8_form {
  size_t size; /* 0: no sequence begins with this byte */
  uint8_t low; /* the bounds of the second byte; all others are 80 to BF */
  uint8_t high;
} utf8_form;

static utf8_form form_of(uint8_t first) {
  if (first < 0x80) return (utf8_form){1, 0, 0};
  if (first < 0xc2 || first > 0xf4) return (utf8_form){0, 0, 0};
  utf8_form form = {first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4, 0x80, 0xbf};
  if (first == 0xe0) form.low = 0xa0;
  if (first == 0xed) form.high = 0x9f;
  if (first == 0xf0) form.low = 0x90;
  if (first == 0xf4) form.high = 0x8f;
  return form;
}

/*
** Returns the length of the sequence at `s`, or of its longest valid beginning, at least 1. Unicode
** calls it a maximal subpart; one U+FFFD replaces it.
*/
static size_t subpart_length(const uint8_t *s, size_t length, bool *whole) {
  utf8_form form = form_of(s[0]);
  size_t i = 1;
  for (; i < form.size && i < length; i++) {
    uint8_t low = i == 1 ? form.low : 0x80;
    uint8_t high = i == 1 ? form.high : 0xbf;
    if (s[i] < low || s[i] > high) break;
  }
  *whole = i == form.size;
  return i;
}

bool baggage_is_utf8(const char *text, size_t length) {
  bool whole = true;
  for (size_t i = 0; i < length && whole;) {
    i += subpart_length((const uint8_t *)text + i, length - i, &whole);
  }
  return whole;
}

static size_t append_replacement(char *out, size_t written) {
  memcpy(out + written, REPLACEMENT, sizeof(REPLACEMENT) - 1);
  return written + sizeof(REPLACEMENT) - 1;
}

/*
** First writes the decoded bytes to the last third of `out`. The text made of them takes at most
** three bytes for one, so that it never overtakes the bytes still to be read.
*/
size_t baggage_decode(char *out, slice value) {
  uint8_t *bytes = (uint8_t *)out + 2 * value.length;
  size_t count = 0;
  for (size_t i = 0; i < value.length; i++) {
    int encoded = encoded_byte(value, i);
    bytes[count++] = encoded < 0 ? (uint8_t)value.start[i] : (uint8_t)encoded;
    if (encoded >= 0) i += 2;
  }
  size_t written = 0;
  for (size_t i = 0; i < count;) {
    bool whole;
    size_t size = subpart_length(bytes + i, count - i, &whole);
    if (whole) {
      memmove(out + written, bytes + i, size);
      written += size;
    } else {
      written = append_replacement(out, written);
    }
    i += size;
  }
  return written;
}
