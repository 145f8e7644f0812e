/* Snowflake: see id.h. */
#include "core/id.h"

#include <stdatomic.h>

#define MACHINE_BITS 10
#define SEQUENCE_BITS 12
#define LAST_SEQUENCE ((1u << SEQUENCE_BITS) - 1)

static int64_t since_epoch(const snowflake *s, const wall_clock *clock) {
  return clock->now_ms(clock->ud) - s->epoch_ms;
}

/*
** Pauses until the clock shows `target_ms`. The clock may be set back once more meanwhile, or stand
** still, so the sum of the pauses is bounded.
*/
static id_status wait_until(const snowflake *s, const wall_clock *clock, int64_t target_ms,
                            int64_t *now_ms) {
  int64_t patience = s->tolerance_ms < 1 ? 1 : s->tolerance_ms;
  while (*now_ms < target_ms) {
    int64_t missing = target_ms - *now_ms;
    if (missing > patience) return ID_CLOCK_BACK;
    clock->pause(clock->ud, missing);
    patience -= missing;
    *now_ms = since_epoch(s, clock);
  }
  return ID_OK;
}

/*
** Goes on with the ids of the last millisecond, or begins those of the next one, ahead of the
** clock.
*/
static id_status borrow(snowflake *s, int64_t now_ms) {
  bool full = s->sequence == LAST_SEQUENCE;
  int64_t next_ms = full ? s->last_ms + 1 : s->last_ms;
  if (next_ms - now_ms > s->tolerance_ms) return ID_CLOCK_BACK;
  s->last_ms = next_ms;
  s->sequence = full ? 0 : s->sequence + 1;
  return ID_OK;
}

/* Call it if the clock does not show a later time than the last id has. */
static id_status go_on(snowflake *s, const wall_clock *clock, int64_t now_ms) {
  if (s->policy == SNOWFLAKE_BORROW) return borrow(s, now_ms);
  if (s->policy == SNOWFLAKE_ERROR && now_ms < s->last_ms) return ID_CLOCK_BACK;
  bool full = s->sequence == LAST_SEQUENCE;
  id_status status = wait_until(s, clock, full ? s->last_ms + 1 : s->last_ms, &now_ms);
  if (status != ID_OK) return status;
  s->sequence = now_ms > s->last_ms ? 0 : s->sequence + 1;
  s->last_ms = now_ms;
  return ID_OK;
}

id_status snowflake_next(snowflake *s, const wall_clock *clock, uint64_t *id) {
  snowflake next = *s;
  int64_t now_ms = since_epoch(s, clock);
  if (now_ms < 0 && next.last_ms == NO_SNOWFLAKE) return ID_CLOCK_OUT;
  if (now_ms > next.last_ms) {
    next.last_ms = now_ms;
    next.sequence = 0;
  } else {
    id_status status = go_on(&next, clock, now_ms);
    if (status != ID_OK) return status;
  }
  if (next.last_ms > SNOWFLAKE_MAX_MS) return ID_CLOCK_OUT;
  *s = next;
  *id = (uint64_t)s->last_ms << (MACHINE_BITS + SEQUENCE_BITS) |
        (uint64_t)s->machine << SEQUENCE_BITS | s->sequence;
  return ID_OK;
}

/*
** The machine ids that this process uses, and the last id of each. All Lua states and threads share
** them, because two states with one machine id would make duplicates. Only the owner of a taken
** machine id writes its other fields.
*/
static struct machine {
  /* of the ids made so far; meaningless, like the next two, before `used` is set */
  int64_t epoch_ms;
  int64_t last_ms; /* since the epoch */
  uint32_t sequence;
  atomic_bool taken;
  bool used;
} machines[SNOWFLAKE_MACHINES];

machine_status snowflake_take(snowflake *s) {
  struct machine *m = &machines[s->machine];
  if (atomic_exchange(&m->taken, true)) return MACHINE_TAKEN;
  if (m->used && m->epoch_ms != s->epoch_ms) {
    atomic_store(&m->taken, false);
    return MACHINE_OTHER_EPOCH;
  }
  s->last_ms = m->used ? m->last_ms : NO_SNOWFLAKE;
  s->sequence = m->sequence;
  return MACHINE_OK;
}

/* The sequence is not known, so all ids of that millisecond may have been used up. */
void snowflake_start_behind(snowflake *s, int64_t unix_ms) {
  int64_t used_ms = unix_ms - s->epoch_ms;
  if (used_ms < 0 || used_ms < s->last_ms) return;
  s->last_ms = used_ms;
  s->sequence = LAST_SEQUENCE;
}

void snowflake_give_back(const snowflake *s) {
  struct machine *m = &machines[s->machine];
  if (s->last_ms != NO_SNOWFLAKE) {
    m->used = true;
    m->epoch_ms = s->epoch_ms;
    m->last_ms = s->last_ms;
    m->sequence = s->sequence;
  }
  atomic_store(&m->taken, false);
}
