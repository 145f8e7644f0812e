#include "lua/carrier_names.h"

#include <stdbool.h>
#include <string.h>

static bool is_upper(char c) { return c >= 'A' && c <= 'Z'; }

int spelling_of_text(const char *text, size_t length, const char *name) {
  if (length != strlen(name)) return -1;
  int spelling = 0;
  for (size_t i = 0; i < length; i++) {
    bool upper = is_upper(text[i]);
    char lower = upper ? (char)(text[i] - 'A' + 'a') : text[i];
    if (lower != name[i]) return -1;
    spelling = spelling << 1 | !upper;
  }
  return spelling;
}

int spelling_of(lua_State *L, int index, const char *name) {
  if (lua_type(L, index) != LUA_TSTRING) return -1;
  size_t length;
  const char *text = lua_tolstring(L, index, &length);
  return spelling_of_text(text, length, name);
}

int spelling_lower(const char *name) {
  cp_assert(strlen(name) <= SPELLING_MAX_LETTERS);
  return (1 << strlen(name)) - 1;
}

void spelling_push(lua_State *L, const char *name, int spelling) {
  char spelled[SPELLING_MAX_LETTERS];
  size_t length = strlen(name);
  cp_assert(length <= SPELLING_MAX_LETTERS);
  for (size_t i = 0; i < length; i++) {
    bool lower = (spelling >> (length - 1 - i) & 1) != 0;
    spelled[i] = lower ? name[i] : (char)(name[i] - 'a' + 'A');
  }
  lua_pushlstring(L, spelled, length);
}

static void set_bit(spellings *set, int spelling) {
  set->words[spelling / 64] |= UINT64_C(1) << (spelling % 64);
}

void spellings_add(spellings *set, int spelling) {
  if (set->count++ == 0) {
    set->first = spelling;
    return;
  }
  if (set->count == 2) {
    memset(set->words, 0, sizeof(set->words));
    set_bit(set, set->first);
  }
  set_bit(set, spelling);
}

int spellings_next(const spellings *set, int spelling) {
  if (set->count < 2) return set->count == 1 && set->first >= spelling ? set->first : -1;
  const int end = 1 << SPELLING_MAX_LETTERS;
  while (spelling < end) {
    uint64_t rest = set->words[spelling / 64] >> (spelling % 64);
    if (rest & 1) return spelling;
    spelling = rest == 0 ? (spelling / 64 + 1) * 64 : spelling + 1;
  }
  return -1;
}
