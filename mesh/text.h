/*
** Parts of a text, read line by line from either end, and their copies in bounded buffers. A slice
** points into the caller's text; nothing here allocates.
*/
#ifndef CP_MESH_TEXT_H
#define CP_MESH_TEXT_H

#include <stdbool.h>
#include <string.h>

#include "core/base.h"
#include "core/slice.h"

#pragma GCC visibility push(hidden)

/* What the functions below return for a text without what they look for. */
#define TEXT_NONE SIZE_MAX

static inline slice text_of(const char *string, size_t length) { return (slice){string, length}; }

/* The text behind its first `count` bytes; empty if it has fewer. */
static inline slice text_from(slice text, size_t count) {
  if (count > text.length) count = text.length;
  if (count == 0) return text; /* nothing may be added to a NULL */
  return (slice){text.start + count, text.length - count};
}

/* The first `count` bytes. */
static inline slice text_until(slice text, size_t count) {
  return (slice){text.start, count < text.length ? count : text.length};
}

/* The text without blanks, tabs, line feeds and carriage returns at both ends. */
slice text_strip(slice text);

/*
** Moves the first line of `rest` to `line`, without its "\n" or "\r\n". False at the end of the
** text.
*/
bool text_next_line(slice *rest, slice *line);

/* The same with the last line. */
bool text_last_line(slice *rest, slice *line);

/* Inlined, because most of the time of a parser goes by here, and constants have a known length. */
static inline bool text_same(slice text, slice other) {
  if (text.length != other.length) return false;
  return text.length == 0 || memcmp(text.start, other.start, text.length) == 0;
}

static inline bool text_equals(slice text, const char *other) {
  return text_same(text, text_of(other, strlen(other)));
}

static inline bool text_starts(slice text, const char *prefix) {
  size_t length = strlen(prefix);
  return text.length >= length && memcmp(text.start, prefix, length) == 0;
}

static inline bool text_ends(slice text, const char *suffix) {
  size_t length = strlen(suffix);
  return text.length >= length && text_equals(text_from(text, text.length - length), suffix);
}

/* Takes the prefix from the start of the text, if it is there. Returns whether it was. */
static inline bool text_take(slice *text, const char *prefix) {
  if (!text_starts(*text, prefix)) return false;
  *text = text_from(*text, strlen(prefix));
  return true;
}

/* The number of blanks and tabs at the start. */
size_t text_indent(slice text);

/* What comes behind them. */
static inline slice text_without_indent(slice text) { return text_from(text, text_indent(text)); }

/* Where `needle`, which is not empty, begins; TEXT_NONE if it does not occur. */
size_t text_find(slice text, const char *needle);

/* Where the character stands last; TEXT_NONE if nowhere. */
size_t text_find_last(slice text, char c);

/* Reads a text of decimal digits alone. False for any other; values above UINT32_MAX become that. */
bool text_number(slice text, uint32_t *value);

/* Reads the digits at the start, and takes them from the text. False if there are none. */
bool text_take_number(slice *text, uint32_t *value);

/* Whether the text is one or more letters, digits and "_", "$", or a character of `others`. */
bool text_is_name(slice text, const char *others);

/*
** Writes the text to `out`, with a terminator, and returns its length: at most `size` - 1 bytes, no
** part of a character, "?" for a byte that is no UTF-8 and for a control character. Newlines and
** tabs are kept if `lines` is true.
*/
size_t text_copy(char *out, size_t size, slice text, bool lines);

#pragma GCC visibility pop

#endif
