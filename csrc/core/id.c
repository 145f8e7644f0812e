/* Generators of trace ids: see id.h. */
#define _DEFAULT_SOURCE 1 /* nanosleep */

#include "core/id.h"

#include <errno.h>
#include <time.h>

#include "core/clock.h"

#define NS_PER_MS 1000000

static int64_t system_now_ms(void *ud) {
  (void)ud;
  return clock_wall_ns() / NS_PER_MS;
}

static void system_pause(void *ud, int64_t ms) {
  (void)ud;
  struct timespec left = {.tv_sec = (time_t)(ms / 1000), .tv_nsec = (long)(ms % 1000 * NS_PER_MS)};
  while (nanosleep(&left, &left) != 0 && errno == EINTR) continue;
}

const wall_clock system_wall_clock = {.now_ms = system_now_ms, .pause = system_pause};

void id_use_random(id_generator *g) { g->kind = ID_RANDOM; }

void id_use_uuid7(id_generator *g) { g->kind = ID_UUID7; }

void id_use_hlc(id_generator *g, int64_t max_drift_ms) {
  g->kind = ID_HLC;
  g->hlc.max_drift_ms = max_drift_ms;
}

static bool has_machine(const id_generator *g, const id_source *source) {
  return g->mark != 0 && g->mark == id_source_marked(source);
}

/* The parent process's machine id stays taken in a forked child. */
void id_give_back(id_generator *g, const id_source *source) {
  if (has_machine(g, source)) snowflake_give_back(&g->snowflake);
  g->mark = 0;
}

machine_status id_use_snowflake(id_generator *g, id_source *source, uint16_t machine,
                                int64_t epoch_ms, snowflake_policy policy, int64_t tolerance_ms) {
  cp_assert(machine < SNOWFLAKE_MACHINES);
  snowflake next = {.epoch_ms = epoch_ms,
                    .tolerance_ms = tolerance_ms,
                    .last_ms = NO_SNOWFLAKE,
                    .machine = machine,
                    .policy = (uint8_t)policy};
  if (has_machine(g, source) && g->snowflake.machine == machine) {
    /* The machine id stays taken, so that no other thread can take it meanwhile. */
    bool made_some = g->snowflake.last_ms != NO_SNOWFLAKE;
    if (made_some && g->snowflake.epoch_ms != epoch_ms) return MACHINE_OTHER_EPOCH;
    next.last_ms = g->snowflake.last_ms;
    next.sequence = g->snowflake.sequence;
  } else {
    machine_status status = snowflake_take(&next);
    if (status != MACHINE_OK) return status;
    id_give_back(g, source);
  }
  g->snowflake = next;
  g->mark = id_source_mark(source);
  g->leased_until_ns = TIME_FOREVER;
  g->leased_to_ms = TIME_FOREVER;
  g->kind = ID_SNOWFLAKE;
  return MACHINE_OK;
}

int64_t id_last_unix_ms(const id_generator *g) {
  const snowflake *s = &g->snowflake;
  return s->last_ms == NO_SNOWFLAKE ? NO_SNOWFLAKE : s->last_ms + s->epoch_ms;
}

/* A machine id may be used only by the process that has taken it, and only while it is leased. */
static id_status check_machine(const id_generator *g, const id_source *source) {
  if (g->mark == 0) return ID_NOT_LEASED;
  if (!has_machine(g, source)) return ID_FORKED;
  if (g->leased_until_ns == TIME_FOREVER) return ID_OK;
  return clock_lease_ns(g->lease_clock) < g->leased_until_ns ? ID_OK : ID_NOT_LEASED;
}

static id_status next_snowflake(id_generator *g, const id_source *source, const wall_clock *clock,
                                uint64_t *id) {
  id_status status = check_machine(g, source);
  if (status != ID_OK) return status;
  snowflake next = g->snowflake;
  status = snowflake_next(&next, clock, id);
  if (status != ID_OK) return status;
  if (next.last_ms + next.epoch_ms > g->leased_to_ms) return ID_AHEAD_OF_LEASE;
  /* The lease may have ended while we waited for the clock. */
  status = check_machine(g, source);
  if (status == ID_OK) g->snowflake = next;
  return status;
}

id_status id_next(id_generator *g, id_source *source, const wall_clock *clock, id128 *id) {
  id_status status = ID_OK;
  switch (g->kind) {
    case ID_UUID7: return uuid7_next(&g->uuid7, source, clock, id);
    case ID_SNOWFLAKE: status = next_snowflake(g, source, clock, &id->high); break;
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
