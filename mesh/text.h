/*
** Parts of a text, read line by line from either end, and their copies in bounded buffers. A slice
** points into the caller's text; nothing here allocates.
*/
#ifndef CP_MESH_TEXT_H
#define CP_MESH_TEXT_H

#include <stdbool.h>

#include "core/base.h"
#include "core/slice.h"

#pragma GCC visibility push(hidden)

/* What the functions below return for a text without what they look for. */
#define TEXT_NONE SIZE_MAX

static inline slice text_of(const char *string, size_t length) { return (slice){string, length}; }

/* The text behind its first `count` bytes; empty if it has fewer. */
slice text_from(slice text, size_t count);

/* The first `count` bytes. */
slice text_until(slice text, size_t count);

/* The text without blanks, tabs, line feeds and carriage returns at both ends. */
slice text_strip(slice text);

/*
** Moves the first line of `rest` to `line`, without its "\n" or "\r\n". False at the end of the
** text.
*/
bool text_next_line(slice *rest, slice *line);

/* The same with the last line. */
bool text_last_line(slice *rest, slice *line);

bool text_equals(slice text, const char *other);
bool text_same(slice text, slice other);
bool text_starts(slice text, const char *prefix);
bool text_ends(slice text, const char *suffix);

/* The number of blanks and tabs at the start. */
size_t text_indent(slice text);

/* Where `needle`, which is not empty, begins; TEXT_NONE if it does not occur. */
size_t text_find(slice text, const char *needle);

/* Where the character stands last; TEXT_NONE if nowhere. */
size_t text_find_last(slice text, char c);

/*
** Takes the prefix from the start of the text, if it is there. Returns whether it was.
*/
bool text_take(slice *text, const char *prefix);

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
