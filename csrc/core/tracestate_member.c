/* One member of a tracestate: see tracestate_member.h. */
#include "core/tracestate_member.h"

#include <string.h>

typedef struct member {
  const char *start;
  size_t length;
} member;

/* The member that starts at `*at`, which moves on behind it and its comma. False: there is none. */
static bool next_member(const tracestate *state, size_t *at, member *m) {
  if (*at >= state->length) return false;
  m->start = state->text + *at;
  const char *comma = memchr(m->start, ',', state->length - *at);
  m->length = comma == NULL ? state->length - *at : (size_t)(comma - m->start);
  *at += m->length + 1;
  return true;
}

static bool has_key(const member *m, const char *key) {
  size_t length = strlen(key);
  return m->length > length && memcmp(m->start, key, length) == 0 && m->start[length] == '=';
}

const char *tracestate_get(const tracestate *state, const char *key, size_t *length) {
  member m;
  size_t at = 0;
  while (next_member(state, &at, &m)) {
    if (!has_key(&m, key)) continue;
    *length = m.length - strlen(key) - 1;
    return m.start + strlen(key) + 1;
  }
  return NULL;
}

static size_t append(char *text, size_t length, const char *added, size_t added_length) {
  memcpy(text + length, added, added_length);
  return length + added_length;
}

void tracestate_put(tracestate *state, const char *key, const char *value) {
  char text[TRACESTATE_MEMBER_MAX + 1 + TRACESTATE_MAX_LENGTH];
  cp_assert(strlen(key) + 1 + strlen(value) <= TRACESTATE_MEMBER_MAX);
  size_t length = append(text, 0, key, strlen(key));
  length = append(text, length, "=", 1);
  length = append(text, length, value, strlen(value));
  member m;
  size_t at = 0;
  for (int count = 1; count < TRACESTATE_MAX_MEMBERS && next_member(state, &at, &m);) {
    if (has_key(&m, key)) continue;
    length = append(text, length, ",", 1);
    length = append(text, length, m.start, m.length);
    count++;
  }
  tracestate_parse(state, text, length);
}
