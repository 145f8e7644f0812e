/*
** JSON (RFC 8259), read and written in place: no tree, no allocation. The reader is strict; it
** refuses what is nested too deeply, and takes UTF-8 as it comes.
*/
#ifndef CP_MESH_JSON_H
#define CP_MESH_JSON_H

#include "mesh/text.h"

#pragma GCC visibility push(hidden)

enum { JSON_MAX_DEPTH = 64 };

typedef enum json_kind {
  JSON_INVALID, /* also the end of the text */
  JSON_OBJECT,
  JSON_ARRAY,
  JSON_STRING,
  JSON_NUMBER,
  JSON_TRUE,
  JSON_FALSE,
  JSON_NULL,
} json_kind;

/*
** Where reading is. After a function has returned false, `failed` says whether the text is no JSON;
** then nothing more is read.
*/
typedef struct json_reader {
  slice rest;
  bool failed;
} json_reader;

json_reader json_read(slice text);

/* The kind of the value that comes next, which is not read. */
json_kind json_peek(json_reader *json);

/*
** Reads the start of an object or array: `JSON_OBJECT` or `JSON_ARRAY`. Then json_key or json_item
** is called before each value, until it is false.
*/
bool json_enter(json_reader *json, json_kind kind);

/*
** Moves to the next member, whose value comes next. `first` must be true at first, and is set to
** false.
**   key  as it is written, without quotes: one with an escape equals no name of ours
*/
bool json_key(json_reader *json, bool *first, slice *key);

/* Moves to the next item. */
bool json_item(json_reader *json, bool *first);

/*
** Reads a string. `out` gets it without its escapes, cut to `size` - 1 bytes, and a terminator;
** a control character, also U+0000, becomes "?". Half a surrogate pair becomes "?", too.
*/
bool json_string(json_reader *json, char *out, size_t size);

/* Reads an integer from 0 to UINT32_MAX. False for other values; the reader has failed then. */
bool json_integer(json_reader *json, uint32_t *value);

/* Reads any value; `value`, unless it is NULL, gets its text. */
bool json_skip(json_reader *json, slice *value);

/* Whether nothing but white space is left, and nothing has failed. */
bool json_ended(json_reader *json);

/* A text that grows up to the buffer's size; what does not fit sets `full`. */
typedef struct json_writer {
  char *text;
  size_t size, length;
  bool full;
  bool separate; /* a comma is due before the next key or item */
} json_writer;

json_writer json_write(char *buffer, size_t size);

/* Each of these writes one token, with a comma before it where one is due. */
void json_open(json_writer *json, char bracket);
void json_close(json_writer *json, char bracket);
void json_put_key(json_writer *json, const char *key);
void json_put_string(json_writer *json, slice value);
void json_put_integer(json_writer *json, uint64_t value);
void json_put_bool(json_writer *json, bool value);

/* A member: a key and its value. */
void json_put_text(json_writer *json, const char *key, const char *value);
void json_put_count(json_writer *json, const char *key, uint64_t value);

/* Writes the text as it is. */
void json_put_raw(json_writer *json, slice text);

#pragma GCC visibility pop

#endif
