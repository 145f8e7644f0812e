/* One member of a tracestate: see tracestate_member.h. */
#include "core/tracestate_member.h"

#include <string.h>

#include "core/slice.h"

/*
** Finds the member that starts at `*at`, without the blanks around it, and moves `*at` behind its
** comma. False: there is none.
*/
static bool next_member(const char *text, size_t length, size_t *at, slice *m) {
  if (*at >= length) return false;
  m->start = text + *at;
  const char *comma = memchr(m->start, ',', length - *at);
  m->length = comma == NULL ? length - *at : (size_t)(comma - m->start);
  *at += m->length + 1;
  *m = slice_trim(*m);
  return true;
}

static bool has_key(const slice *m, const char *key) {
  size_t length = strlen(key);
  return m->length > length && memcmp(m->start, key, length) == 0 && m->start[length] == '=';
}

const char *tracestate_find(const char *text, size_t length, const char *key, size_t *at,
                            size_t *value_length) {
  slice m;
  while (next_member(text, length, at, &m)) {
    if (!has_key(&m, key)) continue;
    *value_length = m.length - strlen(key) - 1;
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
  slice m;
  size_t at = 0;
  for (int count = 1;
       count < TRACESTATE_MAX_MEMBERS && next_member(state->text, state->length, &at, &m);) {
    if (has_key(&m, key)) continue;
    length = append(text, length, ",", 1);
    length = append(text, length, m.start, m.length);
    count++;
  }
  tracestate_parse(state, text, length);
}
