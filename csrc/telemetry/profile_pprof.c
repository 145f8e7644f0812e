#include "telemetry/profile_pprof.h"

#include <string.h>

/* Numbers of fields in profile.proto. */
enum { VALUE_TYPE = 1, VALUE_UNIT };
enum { SAMPLE_LOCATIONS = 1, SAMPLE_VALUES, SAMPLE_LABEL };
enum { LABEL_KEY = 1, LABEL_TEXT, LABEL_NUMBER };
enum { LOCATION_ID = 1, LOCATION_LINE = 4 };
enum { LINE_FUNCTION = 1, LINE_NUMBER };
enum { FUNCTION_ID = 1, FUNCTION_NAME, FUNCTION_FILE = 4, FUNCTION_LINE };
enum {
  PROFILE_SAMPLE_TYPE = 1,
  PROFILE_SAMPLE,
  PROFILE_LOCATION = 4,
  PROFILE_FUNCTION,
  PROFILE_TEXT,
  PROFILE_TIME = 9,
  PROFILE_DURATION,
  PROFILE_PERIOD_TYPE,
  PROFILE_PERIOD,
  PROFILE_COMMENT,
  PROFILE_DEFAULT_TYPE
};

/* The most bytes of a number, with the key of its field. */
#define NUMBER_BYTES 12

/* A message while it is written. The largest is a sample. */
typedef struct message {
  size_t length;
  uint8_t bytes[NUMBER_BYTES * (PROFILE_FRAMES_MAX + 4 + PROFILE_VALUES + 4 * PROFILE_LABELS_MAX)];
} message;

/*
** The profile while it is written. Texts that are not in the store have the numbers after those that
** are: those of the types, then those that are composed, in the order in which they are needed.
*/
typedef struct writer {
  const profile *p;
  lua_State *L;
  luaL_Buffer out;
  uint32_t next_text;
} writer;

static void add_varint(message *m, uint64_t value) {
  for (; value >= 0x80; value >>= 7) m->bytes[m->length++] = (uint8_t)(value | 0x80);
  m->bytes[m->length++] = (uint8_t)value;
}

/* Adds a field with a number; 0 is the default, and is left out. */
static void add_number(message *m, unsigned field, uint64_t value) {
  if (value == 0) return;
  add_varint(m, field << 3);
  add_varint(m, value);
}

static void add_bytes(message *m, unsigned field, const message *inner) {
  add_varint(m, field << 3 | 2);
  add_varint(m, inner->length);
  memcpy(m->bytes + m->length, inner->bytes, inner->length);
  m->length += inner->length;
}

/* Writes a field of the profile that is so many bytes long.   [-0, +0, m] */
static void write_bytes(writer *w, unsigned field, const void *bytes, size_t length) {
  message head = {.length = 0};
  add_varint(&head, field << 3 | 2);
  add_varint(&head, length);
  luaL_addlstring(&w->out, (const char *)head.bytes, head.length);
  luaL_addlstring(&w->out, bytes, length);
}

static void write_message(writer *w, unsigned field, const message *m) {
  write_bytes(w, field, m->bytes, m->length);
}

/* Writes a number of the profile.   [-0, +0, m] */
static void write_number(writer *w, unsigned field, uint64_t value) {
  message m = {.length = 0};
  add_number(&m, field, value);
  luaL_addlstring(&w->out, (const char *)m.bytes, m.length);
}

/* --- types --- */

static void write_unit(writer *w, unsigned field) {
  message m = {.length = 0};
  add_number(&m, VALUE_TYPE, w->next_text++);
  add_number(&m, VALUE_UNIT, w->next_text++);
  write_message(w, field, &m);
}

static void write_types(writer *w) {
  for (int i = 0; i < PROFILE_VALUES; i++) write_unit(w, PROFILE_SAMPLE_TYPE);
  if (w->p->type->period.type == NULL) return;
  write_unit(w, PROFILE_PERIOD_TYPE);
  write_number(w, PROFILE_PERIOD, (uint64_t)w->p->period);
}

static void write_text(writer *w, const char *text) {
  write_bytes(w, PROFILE_TEXT, text, strlen(text));
}

static void write_unit_texts(writer *w, const profile_unit *unit) {
  write_text(w, unit->type);
  write_text(w, unit->unit);
}

/* --- samples --- */

static void add_label(message *m, const profile_label *l) {
  message inner = {.length = 0};
  add_number(&inner, LABEL_KEY, l->name);
  add_number(&inner, LABEL_TEXT, l->text);
  if (l->text == 0) add_number(&inner, LABEL_NUMBER, (uint64_t)l->high << 32 | l->low);
  add_bytes(m, SAMPLE_LABEL, &inner);
}

static void write_sample(writer *w, uint32_t number) {
  const intern_table *samples = &w->p->store.samples;
  const uint32_t *words = intern_key(samples, number);
  const int64_t *values = intern_value(samples, number);
  message locations = {.length = 0};
  for (uint32_t i = 0; i < words[0]; i++) add_varint(&locations, words[1 + i]);
  message numbers = {.length = 0};
  for (int i = 0; i < PROFILE_VALUES; i++) add_varint(&numbers, (uint64_t)values[i]);
  message m = {.length = 0};
  add_bytes(&m, SAMPLE_LOCATIONS, &locations);
  add_bytes(&m, SAMPLE_VALUES, &numbers);
  size_t labels = intern_length(samples, number) / sizeof(uint32_t) - 1 - words[0];
  for (size_t at = 0; at < labels; at += sizeof(profile_label) / sizeof(uint32_t)) {
    profile_label l;
    memcpy(&l, words + 1 + words[0] + at, sizeof(l));
    add_label(&m, &l);
  }
  write_message(w, PROFILE_SAMPLE, &m);
}

/* --- places --- */

static void write_location(writer *w, uint32_t number) {
  const profile_location *place = intern_key(&w->p->store.locations, number);
  message line = {.length = 0};
  add_number(&line, LINE_FUNCTION, place->function);
  add_number(&line, LINE_NUMBER, (uint64_t)place->line);
  message m = {.length = 0};
  add_number(&m, LOCATION_ID, number);
  add_bytes(&m, LOCATION_LINE, &line);
  write_message(w, PROFILE_LOCATION, &m);
}

/* Returns the number of the function's name in the store; 0: one has to be composed. */
static uint32_t name_of(const profile_store *s, uint32_t number) {
  const profile_function_key *key = intern_key(&s->functions, number);
  const profile_function *f = intern_value(&s->functions, number);
  return key->name != 0 ? key->name : f->name;
}

/* Without a system_name, which pprof would take for a name of C++, and shorten. */
static void write_function(writer *w, uint32_t number) {
  const profile_function_key *key = intern_key(&w->p->store.functions, number);
  uint32_t name = name_of(&w->p->store, number);
  if (name == 0) name = w->next_text++;
  message m = {.length = 0};
  add_number(&m, FUNCTION_ID, number);
  add_number(&m, FUNCTION_NAME, name);
  add_number(&m, FUNCTION_FILE, key->file);
  add_number(&m, FUNCTION_LINE, (uint64_t)key->line);
  write_message(w, PROFILE_FUNCTION, &m);
}

/* Writes the name of a function that has none: its place. */
static void write_composed_name(writer *w, uint32_t number) {
  const profile_store *s = &w->p->store;
  const profile_function_key *key = intern_key(&s->functions, number);
  char name[LUA_IDSIZE + 32];
  const char *file = intern_key(&s->texts, key->file);
  int length = (int)intern_length(&s->texts, key->file);
  if (key->line == 0) {
    snprintf(name, sizeof(name), "main chunk %.*s", length, file);
  } else {
    snprintf(name, sizeof(name), "function %.*s:%d", length, file, (int)key->line);
  }
  write_text(w, name);
}

/* --- the end --- */

/* Writes the numbers of the comments, or the comments.   [-0, +0, m] */
static void write_comment(writer *w, bool is_text, const char *format, uint64_t count) {
  if (count == 0) return;
  if (!is_text) {
    write_number(w, PROFILE_COMMENT, w->next_text++);
    return;
  }
  char text[128];
  snprintf(text, sizeof(text), format, (unsigned long long)count);
  write_text(w, text);
}

static void write_comments(writer *w, bool are_texts) {
  write_comment(w, are_texts, "dropped: %llu, for want of room", w->p->store.dropped);
  write_comment(w, are_texts, "hidden: %llu, under a hook that counts instructions", w->p->hidden);
}

/* Every text in the order of its number. */
static void write_texts(writer *w) {
  const profile_store *s = &w->p->store;
  const profile_type *type = w->p->type;
  write_text(w, "");
  for (uint32_t i = 1; i <= s->texts.count; i++) {
    write_bytes(w, PROFILE_TEXT, intern_key(&s->texts, i), intern_length(&s->texts, i));
  }
  for (int i = 0; i < PROFILE_VALUES; i++) write_unit_texts(w, &type->values[i]);
  if (type->period.type != NULL) write_unit_texts(w, &type->period);
  for (uint32_t i = 1; i <= s->functions.count; i++) {
    if (name_of(s, i) == 0) write_composed_name(w, i);
  }
  write_comments(w, true);
}

void profile_push_pprof(const profile *p, lua_State *L) {
  const profile_store *s = &p->store;
  writer w = {.p = p, .L = L, .next_text = s->texts.count + 1};
  luaL_buffinit(L, &w.out);
  uint32_t last_type = w.next_text + 2 * (PROFILE_VALUES - 1);
  write_types(&w);
  for (uint32_t i = 1; i <= s->samples.count; i++) write_sample(&w, i);
  for (uint32_t i = 1; i <= s->locations.count; i++) write_location(&w, i);
  for (uint32_t i = 1; i <= s->functions.count; i++) write_function(&w, i);
  write_number(&w, PROFILE_TIME, (uint64_t)p->began_wall_ns);
  write_number(&w, PROFILE_DURATION, (uint64_t)p->lasted_ns);
  write_number(&w, PROFILE_DEFAULT_TYPE, last_type);
  write_comments(&w, false);
  write_texts(&w);
  luaL_pushresult(&w.out);
}
