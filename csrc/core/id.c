/* Generators of trace ids: see id.h. */
#define _DEFAULT_SOURCE 1 /* nanosleep */

#include "core/id.h"

#include <time.h>

#include "core/clock.h"

#define NS_PER_MS 1000000

static int64_t system_now_ms(void *ud) {
  (void)ud;
  return clock_wall_ns() / NS_PER_MS;
}

/* Less than asked for, when a signal comes: the caller looks at the clock anyway. */
static void system_pause(void *ud, int64_t ms) {
  (void)ud;
  struct timespec duration = {.tv_sec = (time_t)(ms / 1000),
                              .tv_nsec = (long)(ms % 1000 * NS_PER_MS)};
  nanosleep(&duration, NULL);
}

const wall_clock system_wall_clock = {.now_ms = system_now_ms, .pause = system_pause};

void id_use_random(id_generator *g) { g->kind = ID_RANDOM; }

void id_use_uuid7(id_generator *g) { g->kind = ID_UUID7; }

void id_use_hlc(id_generator *g, int64_t max_drift_ms) {
  g->kind = ID_HLC;
  g->hlc.max_drift_ms = max_drift_ms;
}

/* A machine id that the parent process has taken stays taken in a forked child. */
void id_give_back(id_generator *g, const id_source *source) {
  if (g->has_machine && id_source_is_marked(source)) snowflake_give_back(&g->snowflake);
  g->has_machine = false;
}

bool id_use_snowflake(id_generator *g, id_source *source, uint16_t machine, int64_t epoch_ms,
                      snowflake_policy policy, int64_t tolerance_ms) {
  cp_assert(machine < SNOWFLAKE_MACHINES);
  snowflake next = {.epoch_ms = epoch_ms,
                    .tolerance_ms = tolerance_ms,
                    .machine = machine,
                    .policy = (uint8_t)policy};
  bool has_it = g->has_machine && g->snowflake.machine == machine && id_source_is_marked(source);
  if (has_it) id_give_back(g, source);
  if (!snowflake_take(&next)) return false;
  id_give_back(g, source);
  id_source_mark(source);
  g->snowflake = next;
  g->has_machine = true;
  g->leased_until_ns = TIME_FOREVER;
  g->kind = ID_SNOWFLAKE;
  return true;
}

/* A machine id is only used by the process that has it, and while it is leased. */
static id_status check_machine(const id_generator *g, const id_source *source) {
  static const task_clock monotonic = {.is_virtual = false};
  if (!id_source_is_marked(source)) return ID_FORKED;
  if (g->leased_until_ns == TIME_FOREVER) return ID_OK;
  return clock_now_ns(&monotonic) < g->leased_until_ns ? ID_OK : ID_NOT_LEASED;
}

id_status id_next(id_generator *g, id_source *source, const wall_clock *clock, id128 *id) {
  id_status status = ID_OK;
  switch (g->kind) {
    case ID_UUID7: return uuid7_next(&g->uuid7, source, clock, id);
    case ID_SNOWFLAKE:
      status = check_machine(g, source);
      if (status == ID_OK) status = snowflake_next(&g->snowflake, clock, &id->high);
      break;
    case ID_HLC: status = hlc_tick(&g->hlc, clock, &id->high); break;
    default: id->high = id_source_next(source);
  }
  id->low = id_source_next(source);
  return status;
}

void id_store(uint8_t bytes[16], id128 id) {
  for (int i = 0; i < 8; i++) {
    bytes[i] = (uint8_t)(id.high >> (56 - 8 * i));
    bytes[8 + i] = (uint8_t)(id.low >> (56 - 8 * i));
  }
}
