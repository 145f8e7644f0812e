/*
** Writing text for people, a piece at a time and without memory: indentation, and what a terminal
** must not be given. Texts come from anywhere (error messages carry what a client has sent), so
** all that is not ours is escaped: control characters and bytes that are no UTF-8 become \xNN.
*/
#ifndef CP_KERNEL_TEXT_H
#define CP_KERNEL_TEXT_H

#include <stdbool.h>

#include "compat.h"
#include "core/base.h"

#pragma GCC visibility push(hidden)

/* Bytes shown of one name (of a task, a function, a place): longer ones are data gone astray. */
#define TEXT_MAX_NAME 200

/* Room for a decimal number of 64 bits. */
#define TEXT_NUMBER_SIZE 24

/* Where report text goes: bounded pieces, in order. `write` must not raise. */
typedef struct text_sink {
  void (*write)(void *ud, const char *text, size_t length);
  void *ud;
  bool colour; /* terminal escapes allowed */
} text_sink;

/* A text under way. */
typedef struct text_writer {
  const text_sink *sink;
  int indent;    /* tabs before each line that is not empty */
  bool mid_line; /* the line has begun: its tabs are written */
} text_writer;

/* Text of our own, as it is but for the indentation. */
void text_put(text_writer *w, const char *text);
void text_put_number(text_writer *w, uint64_t number);

/* Somebody's text, escaped but for "\n" and "\t". */
void text_put_escaped(text_writer *w, const char *text, size_t length);

/* Somebody's name: on one line, at most TEXT_MAX_NAME bytes. */
void text_put_name(text_writer *w, const char *name, size_t length);

/* Begins or ends what a terminal is to show otherwise; nothing without colour. */
#define TEXT_BOLD_RED "\x1b[1;31m"
#define TEXT_DIM "\x1b[2m"
#define TEXT_PLAIN "\x1b[0m"
void text_put_colour(text_writer *w, const char *escape);

/* The bytes of the UTF-8 sequence that `text` begins with (RFC 3629); 0: it begins with none. */
size_t text_utf8_length(const char *text, size_t length);

/* The longest part of `text` of at most `limit` bytes that does not end within a UTF-8 sequence. */
size_t text_cut(const char *text, size_t length, size_t limit);

/* A chunk's name as Lua shows it (short_src): the end of a path, [string "first line..."]. */
void text_chunk_name(char out[LUA_IDSIZE], const char *source);

#pragma GCC visibility pop

#endif
