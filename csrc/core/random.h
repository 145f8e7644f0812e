/*
** Random numbers, in two uses that must not be mixed up:
**   - `rng`: xoshiro256** (Blackman and Vigna 2018), seeded by the caller, so that a seed gives a
**     reproducible order of tasks;
**   - `id_source`: the same generator, seeded by the operating system, in memory that the kernel
**     clears in a forked child (MADV_WIPEONFORK; elsewhere the process id is compared). Parent and
**     child therefore never make the same ids. Do not use them as secrets.
*/
#ifndef CP_CORE_RANDOM_H
#define CP_CORE_RANDOM_H

#include <stdbool.h>

#include "core/base.h"

#pragma GCC visibility push(hidden)

typedef struct rng {
  uint64_t state[4]; /* never all zero once seeded */
} rng;

/* Expands `seed` with SplitMix64, as the authors of xoshiro recommend. */
void rng_seed(rng *r, uint64_t seed);

static inline uint64_t rng_rotate(uint64_t x, int k) { return (x << k) | (x >> (64 - k)); }

static inline uint64_t rng_next(rng *r) {
  uint64_t *s = r->state;
  uint64_t result = rng_rotate(s[1] * 5, 7) * 9;
  uint64_t t = s[1] << 17;
  s[2] ^= s[0];
  s[3] ^= s[1];
  s[1] ^= s[2];
  s[0] ^= s[3];
  s[2] ^= t;
  s[3] = rng_rotate(s[3], 45);
  return result;
}

/*
** Returns a random number, uniform in [0, n); n > 0. (Lemire 2019, with rejection, so without
** bias.)
*/
uint64_t rng_below(rng *r, uint64_t n);

typedef struct id_source id_source;

/* Returns NULL if there is no memory. Not thread-safe: each runtime has a source of its own. */
id_source *id_source_open(void);
void id_source_close(id_source *source);

/*
** Marks the source as this process's. A fork removes the mark in the child, so that the mark tells
** the parent from the child. Returns the mark, which is not zero and differs in each process.
*/
uint64_t id_source_mark(id_source *source);

/* Returns the source's mark, or 0 if it has none. */
uint64_t id_source_marked(const id_source *source);

/* Returns 64 random bits, never zero (an all-zero span id is invalid in W3C Trace Context). */
uint64_t id_source_next(id_source *source);

#pragma GCC visibility pop

#endif
