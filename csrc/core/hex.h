/*
** Lower-case hexadecimal, the form of ids in W3C Trace Context.
*/
#ifndef CP_CORE_HEX_H
#define CP_CORE_HEX_H

#include <stdbool.h>

#include "core/base.h"

#pragma GCC visibility push(hidden)

/* Writes 2 * size digits to `out`, no terminator. */
void hex_encode(char *out, const uint8_t *bytes, size_t size);

/* Writes the 16 digits of `value`, most significant first, no terminator. */
void hex_encode_u64(char *out, uint64_t value);

/* Reads 2 * size digits. False if one is not 0-9 or a-f (upper case is invalid in traceparent). */
bool hex_decode(uint8_t *bytes, const char *digits, size_t size);

#pragma GCC visibility pop

#endif
