#include "kernel/text.h"

#include <stdio.h>
#include <string.h>

#define LITERAL_LENGTH(s) (sizeof(s) - 1)

/* snprintf costs some 700 instructions, and every record of a scope's member has ten numbers. */
char *text_digits(char buffer[TEXT_NUMBER_SIZE], uint64_t number) {
  char *at = buffer + TEXT_NUMBER_SIZE - 1;
  *at = '\0';
  do {
    *--at = (char)('0' + number % 10);
    number /= 10;
  } while (number > 0);
  return at;
}

/* --- lines --- */

static void put_raw(text_writer *w, const char *text, size_t length) {
  if (length > 0) w->sink->write(w->sink->ud, text, length);
}

static void begin_line(text_writer *w) {
  if (w->mid_line) return;
  w->mid_line = true;
  for (int i = 0; i < w->indent; i++) put_raw(w, "\t", 1);
}

/* Writes a piece of a line. */
static void put_piece(text_writer *w, const char *text, size_t length) {
  if (length == 0) return;
  begin_line(w);
  put_raw(w, text, length);
}

static void end_line(text_writer *w) {
  put_raw(w, "\n", 1);
  w->mid_line = false;
}

void text_put(text_writer *w, const char *text) {
  const char *newline;
  while ((newline = strchr(text, '\n')) != NULL) {
    put_piece(w, text, (size_t)(newline - text));
    end_line(w);
    text = newline + 1;
  }
  put_piece(w, text, strlen(text));
}

void text_put_number(text_writer *w, uint64_t number) {
  char digits[TEXT_NUMBER_SIZE];
  text_put(w, text_digits(digits, number));
}

void text_put_colour(text_writer *w, const char *escape) {
  if (w->sink->colour) put_raw(w, escape, strlen(escape));
}

/* --- escaping --- */

/* The well-formed byte sequences: Unicode 15, table 3-7. */
size_t text_utf8_length(const char *text, size_t length) {
  const unsigned char *s = (const unsigned char *)text;
  if (length == 0) return 0;
  if (s[0] < 0x80) return 1;
  size_t size = s[0] >= 0xf0 ? 4 : s[0] >= 0xe0 ? 3 : 2;
  if (s[0] < 0xc2 || s[0] > 0xf4 || length < size) return 0;
  unsigned char low = s[0] == 0xe0 ? 0xa0 : s[0] == 0xf0 ? 0x90 : 0x80;
  unsigned char high = s[0] == 0xed ? 0x9f : s[0] == 0xf4 ? 0x8f : 0xbf;
  if (s[1] < low || s[1] > high) return 0;
  for (size_t i = 2; i < size; i++) {
    if ((s[i] & 0xc0) != 0x80) return 0;
  }
  return size;
}

/*
** Returns how many bytes at the start of `text` are safe for a terminal; 0 if the first must be
** escaped. U+0080 to U+009F are control characters too: U+009B is another way to write ESC [.
*/
static size_t printable_length(const char *text, size_t length) {
  const unsigned char *s = (const unsigned char *)text;
  size_t size = text_utf8_length(text, length);
  if (size == 1 && (s[0] < 0x20 || s[0] == 0x7f)) return 0;
  if (size == 2 && s[0] == 0xc2 && s[1] < 0xa0) return 0;
  return size;
}

static void put_escaped_byte(text_writer *w, char byte) {
  char escape[8];
  snprintf(escape, sizeof(escape), "\\x%02X", (unsigned)(unsigned char)byte);
  text_put(w, escape);
}

static void put_escaped(text_writer *w, const char *text, size_t length, bool one_line) {
  size_t start = 0, i = 0;
  while (i < length) {
    size_t size = printable_length(text + i, length - i);
    if (size > 0 || (text[i] == '\t' && !one_line)) {
      i += size > 0 ? size : 1;
      continue;
    }
    put_piece(w, text + start, i - start);
    if (text[i] == '\n' && !one_line) {
      end_line(w);
    } else {
      put_escaped_byte(w, text[i]);
    }
    start = ++i;
  }
  put_piece(w, text + start, i - start);
}

void text_put_escaped(text_writer *w, const char *text, size_t length) {
  put_escaped(w, text, length, false);
}

void text_put_name(text_writer *w, const char *name, size_t length) {
  size_t shown = text_cut(name, length, TEXT_MAX_NAME);
  put_escaped(w, name, shown, true);
  if (shown < length) text_put(w, "...");
}

size_t text_cut(const char *text, size_t length, size_t limit) {
  if (length <= limit) return length;
  size_t cut = limit;
  while (cut > 0 && limit - cut < 3 && ((unsigned char)text[cut] & 0xc0) == 0x80) cut--;
  /* If no sequence starts there, the text is not UTF-8, and may be cut anywhere. */
  return text_utf8_length(text + cut, length - cut) > 0 ? cut : limit;
}

/* --- chunk names --- */

/*
** Does the same as luaO_chunkid (lobject.c), which the API offers only for functions that still
** exist.
*/
void text_chunk_name(char out[LUA_IDSIZE], const char *source) {
  static const char dots[] = "...", before[] = "[string \"", after[] = "\"]";
  size_t length = strlen(source);
  if (*source == '=' || *source == '@') {
    source++;
    bool fits = --length < LUA_IDSIZE;
    bool is_path = source[-1] == '@';
    size_t kept = fits ? length : LUA_IDSIZE - 1;
    if (is_path && !fits) {
      kept -= LITERAL_LENGTH(dots);
      memcpy(out, dots, LITERAL_LENGTH(dots));
      out += LITERAL_LENGTH(dots);
      source += length - kept;
    }
    memcpy(out, source, kept);
    out[kept] = '\0';
    return;
  }
  const char *newline = strchr(source, '\n');
  size_t room =
      LUA_IDSIZE - 1 - LITERAL_LENGTH(before) - LITERAL_LENGTH(dots) - LITERAL_LENGTH(after);
  bool whole = newline == NULL && length < room;
  if (newline != NULL) length = (size_t)(newline - source);
  if (length > room) length = room;
  snprintf(out, LUA_IDSIZE, "%s%.*s%s%s", before, (int)length, source, whole ? "" : dots, after);
}
