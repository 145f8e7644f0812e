/*
** COROPANIC_DEBUG=schedtrace: a line on stderr about the tasks and the loop, as GODEBUG has one. It is written
** where a batch ends, if the last one is so long ago; no timer is set for it. Times are by the run's clock.
*/
#ifndef CP_TELEMETRY_SCHEDTRACE_H
#define CP_TELEMETRY_SCHEDTRACE_H

#include <stdbool.h>
#include <stdint.h>

#include "core/base.h"

#pragma GCC visibility push(hidden)

struct runtime;

/* Begins to write, for as long as the runtime lives. Returns false if there is no memory. */
bool schedtrace_begin(struct runtime *rt, int64_t every_ns);

#pragma GCC visibility pop

#endif
