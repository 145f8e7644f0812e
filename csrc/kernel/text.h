/*
** Writes text for people, piece by piece and without allocating: indents lines, and keeps bytes
** from the terminal that could harm it. Texts may come from anywhere (an error message may contain
** a client's data). Therefore all text but our own is escaped: control characters and bytes that
** are not UTF-8 become \xNN.
*/
#ifndef CP_KERNEL_TEXT_H
#define CP_KERNEL_TEXT_H

#include <stdbool.h>

#include "compat.h"
#include "core/base.h"

#pragma GCC visibility push(hidden)

/*
** The most bytes shown of one name (of a task, a function, a place). A longer one is data gone
** astray.
*/
#define TEXT_MAX_NAME 200

/* Room for a decimal number of 64 bits. */
#define TEXT_NUMBER_SIZE 24

/* Writes a decimal number to the end of the buffer, and returns where it begins. */
char *text_digits(char buffer[TEXT_NUMBER_SIZE], uint64_t number);

/*
** The destination of report text, which arrives in bounded pieces, in order. `write` must not
** raise.
*/
typedef struct text_sink {
  void (*write)(void *ud, const char *text, size_t length);
  void *ud;
  bool colour; /* terminal escapes are allowed */
} text_sink;

/* The state of writing one text. */
typedef struct text_writer {
  const text_sink *sink;
  int indent;    /* the tabs in front of each line that is not empty */
  bool mid_line; /* the line has begun, so that its tabs are written */
} text_writer;

/* Writes our own text as it is, with indentation. */
void text_put(text_writer *w, const char *text);
void text_put_number(text_writer *w, uint64_t number);

/* Writes foreign text, escaped except for "\n" and "\t". */
void text_put_escaped(text_writer *w, const char *text, size_t length);

/* Writes a foreign name, escaped, on one line, at most TEXT_MAX_NAME bytes. */
void text_put_name(text_writer *w, const char *name, size_t length);

/* Writes an escape that switches the terminal's style; nothing if colour is off. */
#define TEXT_BOLD_RED "\x1b[1;31m"
#define TEXT_DIM "\x1b[2m"
#define TEXT_PLAIN "\x1b[0m"
void text_put_colour(text_writer *w, const char *escape);

/* Returns the length of the UTF-8 sequence at the start of `text` (RFC 3629); 0: there is none. */
size_t text_utf8_length(const char *text, size_t length);

/*
** Returns the length, at most `limit`, of the longest part of `text` that does not end within a
** UTF-8 sequence.
*/
size_t text_cut(const char *text, size_t length, size_t limit);

/*
** Writes a chunk's name as Lua shows it (short_src): the end of a path, [string "first line..."].
*/
void text_chunk_name(char out[LUA_IDSIZE], const char *source);

#pragma GCC visibility pop

#endif
