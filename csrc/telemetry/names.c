#include "telemetry/names.h"

#include <string.h>

#include "core/fnv.h"

uint16_t wait_names_search(wait_names *names, const wait_type *type) {
  uint16_t hash = (uint16_t)(((uintptr_t)type >> 5) % WAIT_NAMES);
  for (int step = 0; step < WAIT_NAMES; step++) {
    uint16_t number = (uint16_t)((hash + step) % WAIT_NAMES);
    if (number == 0) continue;
    if (names->at[number] == NULL) names->at[number] = type;
    if (names->at[number] == type) return number;
  }
  return 0;
}

static uint16_t add(text_names *names, const char *text, size_t length) {
  if (names->count == TEXT_NAMES || names->bytes + length > TEXT_NAMES_BYTES) return 0;
  names->at[++names->count] =
      (text_name){.offset = (uint16_t)names->bytes, .length = (uint16_t)length};
  memcpy(names->text + names->bytes, text, length);
  names->bytes += (uint32_t)length;
  return (uint16_t)names->count;
}

uint16_t text_names_number(text_names *names, const char *text, size_t length) {
  if (length > TEXT_NAME_LENGTH) length = TEXT_NAME_LENGTH;
  uint64_t hash = FNV_OFFSET;
  for (size_t i = 0; i < length; i++) hash = fnv_byte(hash, (uint8_t)text[i]);
  for (uint64_t place = hash;; place++) {
    uint16_t *number = &names->buckets[place % TEXT_BUCKETS];
    if (*number == 0) return *number = add(names, text, length);
    const text_name *known = &names->at[*number];
    if (known->length == length && memcmp(names->text + known->offset, text, length) == 0)
      return *number;
  }
}
