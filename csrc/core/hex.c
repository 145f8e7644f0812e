/*
** Lower-case hexadecimal: see hex.h.
*/
#include "core/hex.h"

static const char DIGITS[] = "0123456789abcdef";

void hex_encode(char *out, const uint8_t *bytes, size_t size) {
  for (size_t i = 0; i < size; i++) {
    out[2 * i] = DIGITS[bytes[i] >> 4];
    out[2 * i + 1] = DIGITS[bytes[i] & 15];
  }
}

void hex_encode_u64(char *out, uint64_t value) {
  for (int i = 15; i >= 0; i--) {
    out[i] = DIGITS[value & 15];
    value >>= 4;
  }
}

/* Returns the digit's value, or -1. Not isxdigit, which accepts upper case. */
static int digit_value(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  return -1;
}

bool hex_decode(uint8_t *bytes, const char *digits, size_t size) {
  for (size_t i = 0; i < size; i++) {
    int high = digit_value(digits[2 * i]);
    int low = digit_value(digits[2 * i + 1]);
    if (high < 0 || low < 0) return false;
    bytes[i] = (uint8_t)(high * 16 + low);
  }
  return true;
}
