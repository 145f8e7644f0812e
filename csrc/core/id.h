/*
** Generators of trace ids: 128 bits each, compared as big-endian numbers. All but `random` begin
** with the time, so that the ids of one generator compare in the order in which they were made,
** even if the clock is set back. The right-most 56 bits of each id are fresh random ones, as W3C
** Trace Context level 2 requires for its random flag; they tell apart ids that two processes make
** at the same moment.
**
**   random    128 random
**   uuid7     48 unix ms | 4 version | 12 counter, upper | 2 variant | 6 counter, lower | 56 random
**   snowflake 1 zero | 41 ms since the epoch | 10 machine | 12 sequence | 64 random
**   hlc       48 unix ms | 16 logical | 64 random
**
** A generator belongs to one thread. None allocates memory.
*/
#ifndef CP_CORE_ID_H
#define CP_CORE_ID_H

#include <stdbool.h>

#include "core/base.h"
#include "core/clock.h"
#include "core/random.h"

#pragma GCC visibility push(hidden)

/* Why an id could not be made. */
typedef enum id_status {
  ID_OK,
  ID_CLOCK_BACK,     /* the wall clock was set back by more than is put up with */
  ID_CLOCK_OUT,      /* the wall clock is before the epoch, or beyond what the id has bits for */
  ID_NOT_LEASED,     /* the lease of the machine id has run out or was lost */
  ID_AHEAD_OF_LEASE, /* the id would have a time that the lease does not reach to */
  ID_FORKED          /* the machine id is the parent process's */
} id_status;

/* The clock from which a generator reads the time; tests bring their own. */
typedef struct wall_clock {
  int64_t (*now_ms)(void *ud);         /* since 1970-01-01T00:00:00Z; may jump */
  void (*pause)(void *ud, int64_t ms); /* returns when so much time has passed, signals or not */
  void *ud;
} wall_clock;

/* The system's: CLOCK_REALTIME and nanosleep. */
extern const wall_clock system_wall_clock;

/* An id as two halves: the upper 64 bits and the lower. */
typedef struct id128 {
  uint64_t high;
  uint64_t low;
} id128;

/* --- uuid7 --- */

/*
** RFC 9562, section 5.7, kept in order by section 6.2's method 1: a counter behind the timestamp.
** The counter has 18 bits and is seeded with 17 random ones at each new millisecond, so that at
** least 131,072 ids fit in one. If the clock was set back, ids go on from the last timestamp; if
** the counter is full, from the next millisecond (section 6.2, rollover and clock rollback).
*/
typedef struct uuid7 {
  int64_t last_ms;
  uint32_t counter;
} uuid7;

/* Makes an id. Fails only with ID_CLOCK_OUT. */
id_status uuid7_next(uuid7 *u, id_source *source, const wall_clock *clock, id128 *id);

/* --- snowflake --- */

#define SNOWFLAKE_MACHINES 1024
#define SNOWFLAKE_MAX_MS ((INT64_C(1) << 41) - 1)
#define NO_SNOWFLAKE INT64_MIN

typedef enum snowflake_policy {
  SNOWFLAKE_WAIT, /* until the clock has caught up, if that takes no longer than the tolerance */
  /* goes on after the last id, also into later milliseconds, within the tolerance */
  SNOWFLAKE_BORROW,
  SNOWFLAKE_ERROR /* fails until the clock has caught up */
} snowflake_policy;

/*
** Twitter's snowflake (2010), with one field of ten bits for the machine. With one machine id no id
** comes twice, and none is smaller than one before, even if the clock is set back. If the policy
** can not bridge a jump of the clock, making an id fails. The sequence goes on when the clock is
** set back and returns.
*/
typedef struct snowflake {
  int64_t epoch_ms;
  int64_t tolerance_ms;
  int64_t last_ms; /* since the epoch; NO_SNOWFLAKE: none was made */
  uint32_t sequence;
  uint16_t machine;
  uint8_t policy; /* snowflake_policy */
} snowflake;

/* Makes an id of 64 bits, the upper half of a trace id. */
id_status snowflake_next(snowflake *s, const wall_clock *clock, uint64_t *id);

/* The answers of snowflake_take. */
typedef enum machine_status {
  MACHINE_OK,
  MACHINE_TAKEN,      /* another generator of this process, or its parent process, has it */
  MACHINE_OTHER_EPOCH /* it has made ids since another epoch here: these would not be in order */
} machine_status;

/*
** Takes the machine id for this process. `s` then begins behind the last id that this process has
** made with it. Thread-safe.
*/
machine_status snowflake_take(snowflake *s);

/*
** Makes only ids that are later than this millisecond, from now on; earlier ones were made
** elsewhere.
*/
void snowflake_start_behind(snowflake *s, int64_t unix_ms);

/* Gives the machine id back. Thread-safe. */
void snowflake_give_back(const snowflake *s);

/* --- hybrid logical clock --- */

/*
** Kulkarni, Demirbas, Madappa, Avva and Leone 2014, figure 5, in the 64 bits of its section 6.2:
** unix milliseconds and a logical part. A full logical part carries into the physical one: the
** clock is then ahead of the machine's by one millisecond more, and still in order.
*/
typedef struct hlc {
  int64_t physical_ms;  /* l of the paper */
  uint32_t logical;     /* c */
  int64_t max_drift_ms; /* a remote clock that is further ahead of the machine's is not believed */
  uint64_t rejected;    /* how often one was */
} hlc;

/* Call it for a local event, or before a message is sent: advances the clock. */
id_status hlc_tick(hlc *h, const wall_clock *clock, uint64_t *timestamp);

/*
** Returns whether a remote clock is acceptable: it is not ahead of ours, or not too far ahead of
** the machine's.
*/
bool hlc_believes(const hlc *h, const wall_clock *clock, uint64_t remote);

/*
** Call it for a message that carried the clock `remote`: merges it. Returns false if the clock is
** not acceptable; the receipt then counts as a local event.
*/
bool hlc_merge(hlc *h, const wall_clock *clock, uint64_t remote);

/* --- any of them --- */

typedef enum id_kind { ID_RANDOM, ID_UUID7, ID_SNOWFLAKE, ID_HLC } id_kind;

/*
** All kinds of one runtime. Each keeps its state while another one is used, so that it goes on in
** order.
*/
typedef struct id_generator {
  uuid7 uuid7;
  snowflake snowflake;
  hlc hlc;

  /*
  ** The lease of the machine id. It ends by our clock, and it reaches to a time by the wall clock.
  ** No id has a later time, even if the wall clock is set forward, so that the next holder can
  ** begin behind it.
  */
  const task_clock *lease_clock; /* of the loop; NULL: the system's */
  int64_t leased_until_ns;       /* clock_lease_ns; TIME_FOREVER: not leased */
  int64_t leased_to_ms;          /* unix; TIME_FOREVER: to any */

  uint64_t mark; /* of the process that has taken `snowflake.machine` for it; 0: none has */
  uint8_t kind;  /* id_kind */
} id_generator;

/* Choose the kind of ids from now on. A new generator is all zeroes, and makes random ids. */
void id_use_random(id_generator *g);
void id_use_uuid7(id_generator *g);
void id_use_hlc(id_generator *g, int64_t max_drift_ms);

/*
** Chooses snowflakes and takes the machine id, which only one generator of the process may have. A
** former lease ends. If the answer is not MACHINE_OK, the generator is unchanged. Marks `source`
** (id_source_mark). Thread-safe.
*/
machine_status id_use_snowflake(id_generator *g, id_source *source, uint16_t machine,
                                int64_t epoch_ms, snowflake_policy policy, int64_t tolerance_ms);

/*
** Returns the last millisecond in which the generator's machine id has made an id, or NO_SNOWFLAKE.
*/
int64_t id_last_unix_ms(const id_generator *g);

/*
** Gives the machine id back, if the generator has one. The next generator to take it goes on behind
** its last id.
*/
void id_give_back(id_generator *g, const id_source *source);

/* Makes an id. */
id_status id_next(id_generator *g, id_source *source, const wall_clock *clock, id128 *id);

/* Writes the id as the sixteen bytes of a trace id. */
void id_store(uint8_t bytes[16], id128 id);

#pragma GCC visibility pop

#endif
