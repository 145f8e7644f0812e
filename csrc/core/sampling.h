/*
** Decides which traces are sampled: once, when a trace is made or comes in; the trace's flag
** carries the decision. Source: OpenTelemetry's samplers. The ratio is consistent probability
** sampling by the randomness in a W3C trace id, its right-most 56 bits: R >= T, where
** T = (1 - ratio) * 2^56. A sampler with a lower ratio samples a subset of the same traces.
*/
#ifndef CP_CORE_SAMPLING_H
#define CP_CORE_SAMPLING_H

#include <stdbool.h>

#include "core/base.h"

#pragma GCC visibility push(hidden)

typedef enum sampling_kind {
  SAMPLING_ALWAYS,
  SAMPLING_NEVER,
  SAMPLING_RATIO,
  SAMPLING_PARENT /* as the caller has decided; traces that begin here: by the root's kind */
} sampling_kind;

typedef struct sampler {
  uint64_t threshold; /* of SAMPLING_RATIO: T, 0 to 2^56 */
  double ratio;       /* of which that is the threshold */
  uint8_t kind;       /* sampling_kind */
  uint8_t root;       /* of SAMPLING_PARENT: one of the other kinds */
} sampler;

/* Returns the threshold of a ratio from 0 to 1. */
uint64_t sampling_threshold(double ratio);

/* Returns whether a trace that begins here with this id is sampled. */
bool sampling_decide_root(const sampler *s, const uint8_t trace_id[16]);

/*
** Returns whether a trace that came in is sampled.
**   was_sampled  what its flag says
*/
bool sampling_decide(const sampler *s, const uint8_t trace_id[16], bool was_sampled);

#pragma GCC visibility pop

#endif
