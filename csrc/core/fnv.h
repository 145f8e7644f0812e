/* FNV-1a, 64 bit (Fowler, Noll, Vo): a hash that is easily written in any language. */
#ifndef CP_CORE_FNV_H
#define CP_CORE_FNV_H

#include "core/base.h"

/* The hash of no bytes. */
#define FNV_OFFSET UINT64_C(0xcbf29ce484222325)
#define FNV_PRIME UINT64_C(0x100000001b3)

/* Adds one byte to a hash. */
static inline uint64_t fnv_byte(uint64_t hash, uint8_t byte) { return (hash ^ byte) * FNV_PRIME; }

#endif
