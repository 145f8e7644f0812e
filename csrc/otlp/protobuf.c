/*
** coropanic.export.otlp.protobuf: OTLP's messages as bytes of protobuf. Requests come as tables in
** the form of OTLP's JSON (ids in hex, integers of 64 bits as digits), so that one table serves
** both encodings. libprotobuf-c knows the wire format. The code here fills and reads its messages
** by the descriptors that protoc-c makes from otlp.proto.
*/
#include <math.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#include "compat.h"
#include "core/hex.h"
#include "coropanic.h"
#include "otlp.pb-c.h"

/* The most nested messages: attributes need 8. More are a table inside itself, or an attack. */
#define MAX_DEPTH 32

/* The size of a block of memory for messages; a larger piece gets a block of its own. */
#define BLOCK_SIZE 16384

/* --- memory --- */

/*
** All memory that libprotobuf-c gets or asks for is in userdata that a table keeps alive. It is
** freed with the table, whatever is raised meanwhile, and counts against the limits of the state's
** allocator.
*/
typedef struct arena {
  lua_State *L;
  int blocks; /* index of the table */
  lua_Integer count;
  char *next; /* the rest of the newest block */
  size_t left;
} arena;

/* Opens an arena and pushes its table, which stays on the stack.   [-0, +1, m] */
static void arena_open(arena *a, lua_State *L) {
  lua_newtable(L);
  *a = (arena){.L = L, .blocks = lua_gettop(L)};
}

/* Takes `size` bytes from the arena; never NULL.   [-0, +0, m] */
static void *arena_take(void *data, size_t size) {
  arena *a = data;
  const size_t unit = _Alignof(max_align_t);
  size = (size + unit - 1) / unit * unit;
  if (size > a->left) {
    bool is_large = size > BLOCK_SIZE / 4;
    char *block = lua_newuserdatauv(a->L, is_large ? size : BLOCK_SIZE, 0);
    lua_rawseti(a->L, a->blocks, ++a->count);
    if (is_large) return block;
    a->next = block;
    a->left = BLOCK_SIZE;
  }
  void *piece = a->next;
  a->next += size;
  a->left -= size;
  return piece;
}

static void arena_leave(void *data, void *piece) {
  (void)data;
  (void)piece;
}

/* --- from Lua to messages --- */

static ProtobufCMessage *build(arena *a, const ProtobufCMessageDescriptor *type, int table,
                               int depth);

static void *member(ProtobufCMessage *m, unsigned offset) { return (char *)m + offset; }

/* Raises that the field of the request is not as expected.   [-0, +0, e] */
static int refuse(lua_State *L, const ProtobufCFieldDescriptor *field, const char *expected,
                  int value) {
  const char *got = luaL_typename(L, value);
  if (lua_type(L, value) == LUA_TSTRING) got = lua_pushfstring(L, "'%s'", lua_tostring(L, value));
  if (lua_type(L, value) == LUA_TNUMBER) got = luaL_tolstring(L, value, NULL);
  return luaL_error(L, "bad argument #2 to 'encode' (field '%s': %s expected, got %s)", field->name,
                    expected, got);
}

/*
** Returns the integer at `value`, which may be a string of digits. Raises unless it is in [min,
** max].   [-0, +0, e]
*/
static lua_Integer check_integer(lua_State *L, const ProtobufCFieldDescriptor *field, int value,
                                 lua_Integer min, lua_Integer max) {
  int is_integer = 0;
  lua_Integer integer = lua_tointegerx(L, value, &is_integer);
  if (!is_integer || integer < min || integer > max) {
    const char *expected = lua_pushfstring(L, "integer from %I to %I", min, max);
    refuse(L, field, expected, value);
  }
  return integer;
}

/* Returns the number at `value`. JSON has some numbers as strings.   [-0, +0, e] */
static double check_double(lua_State *L, const ProtobufCFieldDescriptor *field, int value) {
  int is_number = 0;
  double number = lua_tonumberx(L, value, &is_number);
  if (is_number) return number;
  const char *text = lua_type(L, value) == LUA_TSTRING ? lua_tostring(L, value) : "";
  if (strcmp(text, "NaN") == 0) return NAN;
  if (strcmp(text, "Infinity") == 0) return INFINITY;
  if (strcmp(text, "-Infinity") == 0) return -INFINITY;
  refuse(L, field, "number", value);
  return 0;
}

/* Whether the field is an id, in hex: only ids have such names in OTLP. */
static bool is_id(const char *name) {
  size_t length = strlen(name);
  return length > 2 && strcmp(name + length - 2, "Id") == 0;
}

/*
** Returns a copy of the text or id at `value`, because a finalizer may change the table that it is
** in.   [-0, +0, e]
*/
static ProtobufCBinaryData check_bytes(arena *a, const ProtobufCFieldDescriptor *field, int value) {
  size_t length = 0;
  if (lua_type(a->L, value) != LUA_TSTRING) refuse(a->L, field, "string", value);
  const char *text = lua_tolstring(a->L, value, &length);
  if (!is_id(field->name)) {
    uint8_t *copy = arena_take(a, length);
    memcpy(copy, text, length);
    return (ProtobufCBinaryData){.len = length, .data = copy};
  }
  uint8_t *id = arena_take(a, length / 2);
  if (length % 2 != 0 || !hex_decode(id, text, length / 2)) {
    refuse(a->L, field, "lower-case hex digits", value);
  }
  return (ProtobufCBinaryData){.len = length / 2, .data = id};
}

/* Returns the message of the table at `value`.   [-0, +0, e] */
static ProtobufCMessage *check_message(arena *a, const ProtobufCFieldDescriptor *field, int value,
                                       int depth) {
  if (!lua_istable(a->L, value)) refuse(a->L, field, "table", value);
  if (depth == MAX_DEPTH) refuse(a->L, field, "less deep nesting", value);
  return build(a, field->descriptor, value, depth + 1);
}

/* Stores one value, which is no repeated one, at `target`.   [-0, +0, e] */
static void set_value(arena *a, const ProtobufCFieldDescriptor *field, void *target, int value,
                      int depth) {
  lua_State *L = a->L;
  switch (field->type) {
    case PROTOBUF_C_TYPE_INT32:
      *(int32_t *)target = (int32_t)check_integer(L, field, value, INT32_MIN, INT32_MAX);
      break;
    case PROTOBUF_C_TYPE_UINT32:
    case PROTOBUF_C_TYPE_FIXED32:
      *(uint32_t *)target = (uint32_t)check_integer(L, field, value, 0, UINT32_MAX);
      break;
    case PROTOBUF_C_TYPE_INT64:
    case PROTOBUF_C_TYPE_SFIXED64:
      *(int64_t *)target = check_integer(L, field, value, LUA_MININTEGER, LUA_MAXINTEGER);
      break;
    case PROTOBUF_C_TYPE_FIXED64:
      *(uint64_t *)target = (uint64_t)check_integer(L, field, value, 0, LUA_MAXINTEGER);
      break;
    case PROTOBUF_C_TYPE_DOUBLE: *(double *)target = check_double(L, field, value); break;
    case PROTOBUF_C_TYPE_BOOL:
      if (!lua_isboolean(L, value)) refuse(L, field, "boolean", value);
      *(protobuf_c_boolean *)target = lua_toboolean(L, value);
      break;
    case PROTOBUF_C_TYPE_BYTES:
      *(ProtobufCBinaryData *)target = check_bytes(a, field, value);
      break;
    case PROTOBUF_C_TYPE_MESSAGE:
      *(ProtobufCMessage **)target = check_message(a, field, value, depth);
      break;
    default: /* otlp.proto has no other types */ compat_unreachable();
  }
}

/*
** The size of an item of a repeated field: a pointer to a message, or a number of 64 bits, as all
** repeated numbers of otlp.proto are.
*/
static size_t item_size(const ProtobufCFieldDescriptor *field) {
  return field->type == PROTOBUF_C_TYPE_MESSAGE ? sizeof(ProtobufCMessage *) : sizeof(uint64_t);
}

/* Sets a repeated field to the array of tables or numbers at `value`.   [-0, +0, e] */
static void set_repeated(arena *a, ProtobufCMessage *m, const ProtobufCFieldDescriptor *field,
                         int value, int depth) {
  if (!lua_istable(a->L, value)) refuse(a->L, field, "array", value);
  size_t count = lua_rawlen(a->L, value);
  size_t size = item_size(field);
  char *items = arena_take(a, count * size);
  for (size_t i = 0; i < count; i++) {
    lua_rawgeti(a->L, value, (lua_Integer)i + 1);
    set_value(a, field, items + i * size, lua_gettop(a->L), depth);
    lua_pop(a->L, 1);
  }
  *(size_t *)member(m, field->quantifier_offset) = count;
  *(void **)member(m, field->offset) = items;
}

/* Sets a field to the value at the absolute index `value`.   [-0, +0, e] */
static void set_field(arena *a, ProtobufCMessage *m, const ProtobufCFieldDescriptor *field,
                      int value, int depth) {
  if (field->label == PROTOBUF_C_LABEL_REPEATED) {
    set_repeated(a, m, field, value, depth);
    return;
  }
  if ((field->flags & PROTOBUF_C_FIELD_FLAG_ONEOF) != 0) {
    uint32_t *which = member(m, field->quantifier_offset);
    if (*which != 0) refuse(a->L, field, "one value alone", value);
    *which = field->id;
  }
  set_value(a, field, member(m, field->offset), value, depth);
}

/* Returns the message of the table at the absolute index `table`.   [-0, +0, e] */
static ProtobufCMessage *build(arena *a, const ProtobufCMessageDescriptor *type, int table,
                               int depth) {
  lua_State *L = a->L;
  ProtobufCMessage *m = arena_take(a, type->sizeof_message);
  protobuf_c_message_init(type, m);
  luaL_checkstack(L, LUA_MINSTACK, NULL);
  lua_pushnil(L);
  while (lua_next(L, table) != 0) {
    int value = lua_gettop(L);
    const ProtobufCFieldDescriptor *field = NULL;
    if (lua_type(L, value - 1) == LUA_TSTRING) {
      field = protobuf_c_message_descriptor_get_field_by_name(type, lua_tostring(L, value - 1));
    }
    if (field == NULL) {
      luaL_error(L, "bad argument #2 to 'encode' (a %s has no field '%s')", type->short_name,
                 luaL_tolstring(L, value - 1, NULL));
    }
    set_field(a, m, field, value, depth);
    lua_settop(L, value - 1);
  }
  return m;
}

/* --- from messages to Lua --- */

/*
** Pushes a table of the fields of an answer's message: messages, integers and text.   [-0, +1, m]
*/
static void push_message(lua_State *L, ProtobufCMessage *m) {
  luaL_checkstack(L, LUA_MINSTACK, NULL);
  lua_newtable(L);
  for (unsigned i = 0; i < m->descriptor->n_fields; i++) {
    const ProtobufCFieldDescriptor *field = &m->descriptor->fields[i];
    void *source = member(m, field->offset);
    if (field->type == PROTOBUF_C_TYPE_MESSAGE) {
      ProtobufCMessage *inner = *(ProtobufCMessage **)source;
      if (inner == NULL) continue;
      push_message(L, inner);
    } else if (field->type == PROTOBUF_C_TYPE_INT64) {
      lua_pushinteger(L, *(int64_t *)source);
    } else {
      ProtobufCBinaryData *text = source;
      lua_pushlstring(L, (const char *)text->data, text->len);
    }
    lua_setfield(L, -2, field->name);
  }
}

/* --- the module --- */

static const char *const signals[] = {"traces", "logs", "metrics", NULL};

static const ProtobufCMessageDescriptor *const requests[] = {
    &coropanic__otlp__traces_request__descriptor,
    &coropanic__otlp__logs_request__descriptor,
    &coropanic__otlp__metrics_request__descriptor,
};

static const ProtobufCMessageDescriptor *const responses[] = {
    &coropanic__otlp__traces_response__descriptor,
    &coropanic__otlp__logs_response__descriptor,
    &coropanic__otlp__metrics_response__descriptor,
};

/* Raises unless the argument has the type.   [-0, +0, e] */
static void check_type(lua_State *L, int arg, const char *function, int type) {
  if (lua_type(L, arg) == type) return;
  luaL_error(L, "bad argument #%d to '%s' (%s expected, got %s)", arg, function,
             lua_typename(L, type), luaL_typename(L, arg));
}

/* Returns the number of the signal that argument 1 names.   [-0, +0, e] */
static int check_signal(lua_State *L, const char *function) {
  check_type(L, 1, function, LUA_TSTRING);
  int signal = 0;
  while (signals[signal] != NULL && strcmp(signals[signal], lua_tostring(L, 1)) != 0) signal++;
  if (signals[signal] == NULL) {
    luaL_error(L, "bad argument #1 to '%s' (\"traces\", \"logs\" or \"metrics\" expected)",
               function);
  }
  return signal;
}

/* (signal, request) → bytes */
static int encode(lua_State *L) {
  arena a;
  int signal = check_signal(L, "encode");
  check_type(L, 2, "encode", LUA_TTABLE);
  lua_settop(L, 2);
  arena_open(&a, L);
  ProtobufCMessage *request = build(&a, requests[signal], 2, 0);
  luaL_Buffer buffer;
  size_t size = protobuf_c_message_get_packed_size(request);
  protobuf_c_message_pack(request, (uint8_t *)luaL_buffinitsize(L, &buffer, size));
  luaL_pushresultsize(&buffer, size);
  return 1;
}

/* (signal, bytes) → the response; nil if the bytes are none */
static int decode(lua_State *L) {
  arena a;
  size_t length = 0;
  int signal = check_signal(L, "decode");
  check_type(L, 2, "decode", LUA_TSTRING);
  const char *bytes = lua_tolstring(L, 2, &length);
  lua_settop(L, 2);
  arena_open(&a, L);
  ProtobufCAllocator in_arena = {.alloc = arena_take, .free = arena_leave, .allocator_data = &a};
  ProtobufCMessage *response =
      protobuf_c_message_unpack(responses[signal], &in_arena, length, (const uint8_t *)bytes);
  if (response == NULL) return 0;
  push_message(L, response);
  return 1;
}

CP_API int luaopen_coropanic_export_otlp_protobuf(lua_State *L);

int luaopen_coropanic_export_otlp_protobuf(lua_State *L) {
  static const luaL_Reg functions[] = {{"encode", encode}, {"decode", decode}, {NULL, NULL}};
  luaL_newlib(L, functions);
  lua_pushliteral(L, "application/x-protobuf");
  lua_setfield(L, -2, "content_type");
  return 1;
}
