/*
** A function's fingerprint: see fingerprint.h. lua_dump writes the bytecode, in the form of Lua
** 5.4's ldump.c.
*/
#include "kernel/fingerprint.h"

#include <string.h>

#include "core/fnv.h"

#define FORM_OF_5_4 0x54

/* The size of the bytecode in front of the first function: see dumpHeader and luaU_dump. */
#define HEADER_SIZE \
  (sizeof(LUA_SIGNATURE) - 1 + 2 + 6 + 3 + sizeof(lua_Integer) + sizeof(lua_Number) + 1)

/* The offset of the header's version, which tells the form. */
#define VERSION_AT (sizeof(LUA_SIGNATURE) - 1)

/* Tags of constants, as lobject.h has them. */
enum { TAG_INTEGER = 0x03, TAG_FLOAT = 0x13, TAG_SHORT_STRING = 0x04, TAG_LONG_STRING = 0x14 };

typedef struct reader {
  const uint8_t *at;
  const uint8_t *end; /* of the available bytes; a large function's bytecode was cut */
  uint64_t hash;
} reader;

/* --- reading and hashing --- */

/*
** Moves over `*size` bytes, or to the end. Returns the start of these bytes; sets `*size` to their
** number.
*/
static const uint8_t *take(reader *r, size_t *size) {
  const uint8_t *from = r->at;
  size_t left = (size_t)(r->end - r->at);
  if (*size > left) *size = left;
  r->at += *size;
  return from;
}

static void skip(reader *r, size_t size) { take(r, &size); }

static void feed(reader *r, const void *bytes, size_t size) {
  for (size_t i = 0; i < size; i++) r->hash = fnv_byte(r->hash, ((const uint8_t *)bytes)[i]);
}

/* Hashes a number by its value, so that machines of either order of bytes agree. */
static void feed_u64(reader *r, uint64_t value, int bytes) {
  for (int i = 0; i < bytes; i++) r->hash = fnv_byte(r->hash, (uint8_t)(value >> (8 * i)));
}

static uint8_t read_byte(reader *r) { return r->at < r->end ? *r->at++ : 0; }

/*
** Reads a size as loadUnsigned of lundump.c does: seven bits a byte, the highest first, the last
** byte marked.
*/
static size_t read_size(reader *r) {
  size_t value = 0;
  while (r->at < r->end) {
    uint8_t byte = *r->at++;
    value = (value << 7) | (byte & 0x7f);
    if ((byte & 0x80) != 0) break;
  }
  return value;
}

static void skip_string(reader *r) {
  size_t size = read_size(r);
  skip(r, size == 0 ? 0 : size - 1);
}

static void feed_string(reader *r) {
  size_t size = read_size(r);
  feed_u64(r, size, 4);
  size = size == 0 ? 0 : size - 1;
  const uint8_t *bytes = take(r, &size);
  feed(r, bytes, size);
}

/* --- a function --- */

static void feed_code(reader *r) {
  size_t count = read_size(r);
  feed_u64(r, count, 4);
  for (size_t i = 0; i < count && r->at < r->end; i++) {
    uint32_t instruction = 0;
    size_t size = sizeof(instruction);
    const uint8_t *bytes = take(r, &size);
    memcpy(&instruction, bytes, size);
    feed_u64(r, instruction, 4);
  }
}

static void feed_integer(reader *r) {
  lua_Integer value = 0;
  size_t size = sizeof(value);
  const uint8_t *bytes = take(r, &size);
  memcpy(&value, bytes, size);
  feed_u64(r, (uint64_t)value, 8);
}

static void feed_float(reader *r) {
  lua_Number number = 0;
  size_t size = sizeof(number);
  const uint8_t *bytes = take(r, &size);
  memcpy(&number, bytes, size);
  double value = (double)number;
  uint64_t bits;
  memcpy(&bits, &value, sizeof(bits));
  feed_u64(r, bits, 8);
}

static void feed_constants(reader *r) {
  size_t count = read_size(r);
  feed_u64(r, count, 4);
  for (size_t i = 0; i < count && r->at < r->end; i++) {
    uint8_t tag = read_byte(r);
    feed(r, &tag, 1);
    switch (tag) {
      case TAG_INTEGER: feed_integer(r); break;
      case TAG_FLOAT: feed_float(r); break;
      case TAG_SHORT_STRING:
      case TAG_LONG_STRING: feed_string(r); break;
      default: break; /* nil, false, true */
    }
  }
}

/* Skips lines and the names of local variables, and hashes the names of variables from outside. */
static void feed_names(reader *r) {
  skip(r, read_size(r)); /* line numbers: one byte for each instruction */
  for (size_t i = read_size(r); i > 0 && r->at < r->end; i--) {
    read_size(r);
    read_size(r);
  }
  for (size_t i = read_size(r); i > 0 && r->at < r->end; i--) {
    skip_string(r);
    read_size(r);
    read_size(r);
  }
  size_t names = read_size(r);
  feed_u64(r, names, 4);
  for (size_t i = 0; i < names && r->at < r->end; i++) feed_string(r);
}

static void feed_inner_function(reader *r);

/* Hashes the part of a function behind its source. */
static void feed_function(reader *r) {
  read_size(r); /* the first and the last line */
  read_size(r);
  uint8_t parameters = read_byte(r);
  uint8_t is_vararg = read_byte(r);
  feed(r, &parameters, 1);
  feed(r, &is_vararg, 1);
  skip(r, 1); /* the stack's size, which follows from the code */
  feed_code(r);
  feed_constants(r);
  skip(r, 3 * read_size(
                  /* the places of variables from outside, which depend on the surrounding code */
                  r));
  size_t inner = read_size(r);
  feed_u64(r, inner, 4);
  for (size_t i = 0; i < inner && r->at < r->end; i++) feed_inner_function(r);
  feed_names(r);
}

static void feed_inner_function(reader *r) {
  skip_string(r); /* the source */
  feed_function(r);
}

/* --- getting the bytecode --- */

typedef struct dump {
  luaL_Buffer buffer; /* the bytes behind the source, which may be long */
  size_t size;        /* bytes in the buffer */
  size_t position;    /* in the whole dump */
  size_t source; /* its size plus 1, as read_size reads it; then the bytes of it that are left */
  bool source_begun;
  bool begun;
  bool known; /* the header tells a known form */
} dump;

/* Skips the header and the source. Returns how many bytes of the piece belong to them. */
static size_t pass_head(dump *d, const uint8_t *piece, size_t size) {
  size_t used = 0;
  while (used < size && !d->source_begun) {
    uint8_t byte = piece[used++];
    if (d->position == VERSION_AT) d->known = byte == FORM_OF_5_4;
    if (d->position >= HEADER_SIZE) {
      d->source = (d->source << 7) | (byte & 0x7f);
      d->source_begun = (byte & 0x80) != 0;
    }
    d->position++;
  }
  if (d->source_begun && d->source > 1) {
    size_t text = size - used < d->source - 1 ? size - used : d->source - 1;
    d->source -= text;
    used += text;
  }
  return used;
}

/* The lua_Writer: ends the dump when there are enough bytes.   [-0, +?, m] */
static int add_piece(lua_State *L, const void *piece, size_t size, void *ud) {
  dump *d = ud;
  size_t head = pass_head(d, piece, size);
  if (d->position > VERSION_AT && !d->known) return 1;
  size -= head;
  if (!d->begun) { /* not earlier, because lua_dump needs the function on top */
    d->begun = true;
    luaL_buffinit(L, &d->buffer);
  }
  if (size > FINGERPRINT_MAX_BYTES - d->size) size = FINGERPRINT_MAX_BYTES - d->size;
  luaL_addlstring(&d->buffer, (const char *)piece + head, size);
  d->size += size;
  return d->size == FINGERPRINT_MAX_BYTES;
}

bool fingerprint_find(lua_State *L, uint64_t *fingerprint) {
  int top = lua_gettop(L);
  if (!lua_isfunction(L, -1) || lua_iscfunction(L, -1)) return false;
  luaL_checkstack(L, LUA_MINSTACK, NULL);
  dump d = {.begun = false};
  lua_dump(L, add_piece, &d, 0);
  if (d.known) {
    luaL_pushresult(&d.buffer);
    size_t size;
    const uint8_t *bytes = (const uint8_t *)lua_tolstring(L, -1, &size);
    reader r = {.at = bytes, .end = bytes + size, .hash = FNV_OFFSET};
    feed_function(&r);
    *fingerprint = r.hash;
  }
  lua_settop(L, top);
  return d.known;
}
