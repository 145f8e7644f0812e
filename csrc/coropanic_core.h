/*
** The part of coropanic that needs no Lua, as a shared library for languages with a foreign function
** interface: trace ids, the headers of W3C Trace Context and W3C Baggage, and the hash of a stack.
** `make` builds it as coropanic/corelib.so beside the C module. The guest, coropanic for LuaJIT,
** loads it where it finds it, and has the same functions in Lua (lua/coropanic/guest/core).
**
** Texts are given with their length and need no terminator, unless their type is `const char *`
** alone. Results are written to memory of the caller, without a terminator. Nothing allocates
** memory but cp_core_ids_open. All functions may be called from any thread, but one cp_core_ids
** from one thread at a time.
**
** This interface has a version of its own. It rises when a function changes or goes; new functions
** do not change it.
*/
#ifndef COROPANIC_CORE_H
#define COROPANIC_CORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define CP_CORE_VERSION 1

#define CP_CORE_API __attribute__((visibility("default")))

/* Returns the CP_CORE_VERSION with which the library was built. */
CP_CORE_API int cp_core_version(void);

/* --- headers --- */

#define CP_CORE_TRACESTATE_MAX 512
#define CP_CORE_BAGGAGE_MAX 8192
/* The longest member that cp_core_tracestate_put accepts: its key and value together. */
#define CP_CORE_TRACESTATE_MEMBER_MAX 128

/*
** Reads the value of a traceparent header. Returns its flags (1: sampled, 2: random), or -1 if it
** is invalid. Writes 32 digits to trace_id and 16 to span_id, the header's parent-id.
*/
CP_CORE_API int cp_core_traceparent_parse(char *trace_id, char *span_id, const char *value,
                                          size_t length);

/*
** Reads the value of a tracestate header, and writes what is carried of it to `out`
** (CP_CORE_TRACESTATE_MAX). Returns the number of its members, or -1 if it is invalid.
*/
CP_CORE_API int cp_core_tracestate_parse(char *out, size_t *out_length, const char *value,
                                         size_t length);

/*
** Writes to `out` (CP_CORE_TRACESTATE_MAX) a carried tracestate with "key=value" in front and
** without the former members of `key`. Returns its length. If `state` is invalid or key and value
** are longer than CP_CORE_TRACESTATE_MEMBER_MAX, writes nothing and returns 0.
*/
CP_CORE_API size_t cp_core_tracestate_put(char *out, const char *state, size_t length,
                                          const char *key, const char *value);

/*
** Writes the valid members of a baggage header to `out` (CP_CORE_BAGGAGE_MAX), as many as fit.
** Returns their length.
*/
CP_CORE_API size_t cp_core_baggage_clean(char *out, const char *value, size_t length);

/*
** Decode and encode a member's value. `out` has room for three bytes for each of the value's.
** Return the length.
*/
CP_CORE_API size_t cp_core_baggage_decode(char *out, const char *value, size_t length);
CP_CORE_API size_t cp_core_baggage_encode(char *out, const char *value, size_t length);

/* --- the hash of a stack --- */

/* Begins with cp_core_stack_hash_init. */
typedef struct cp_core_stack_hash {
  uint64_t value;
  uint64_t last_frame;
  bool any;
} cp_core_stack_hash;

CP_CORE_API void cp_core_stack_hash_init(cp_core_stack_hash *hash);

/*
** Adds the next frame outwards.
**   source    a Lua chunk name: "@path", "=[C]" or program text
**   identity  the function's; NULL: none
*/
CP_CORE_API void cp_core_stack_hash_add(cp_core_stack_hash *hash, const char *source,
                                        const char *identity);

/* Writes the hash as 16 digits. */
CP_CORE_API void cp_core_stack_hash_digits(const cp_core_stack_hash *hash, char *out);

/* --- trace ids --- */

/* What the functions below answer. */
enum {
  CP_CORE_OK = 0,
  CP_CORE_CLOCK_BACK = 1,     /* the clock was set back by more than is put up with */
  CP_CORE_CLOCK_OUT = 2,      /* the clock shows a time for which ids have no room */
  CP_CORE_NOT_LEASED = 3,     /* the generator has no machine id */
  CP_CORE_AHEAD_OF_LEASE = 4, /* the id would be later than cp_core_ids_lease_to allows */
  CP_CORE_FORKED = 5,         /* the machine id is the parent process's */
  CP_CORE_TAKEN = 6,          /* the machine id is used by another generator of the process */
  CP_CORE_OTHER_EPOCH = 7     /* it has made ids since another epoch in this process */
};

/* What a generator does if the clock was set back. */
enum { CP_CORE_WAIT, CP_CORE_BORROW, CP_CORE_FAIL };

/* The clock of a generator, in unix milliseconds. */
typedef struct cp_core_clock {
  int64_t (*now_ms)(void *ud);         /* may jump */
  void (*pause)(void *ud, int64_t ms); /* returns when so much time has passed */
  void *ud;
} cp_core_clock;

/* A generator of ids: random ones at first. It keeps the state of each kind. */
typedef struct cp_core_ids cp_core_ids;

/*
** Returns NULL if there is no memory.
**   clock  is copied; NULL: the system's
*/
CP_CORE_API cp_core_ids *cp_core_ids_open(const cp_core_clock *clock);

/* Gives the machine id back, if the generator has one, and frees it. NULL is harmless. */
CP_CORE_API void cp_core_ids_close(cp_core_ids *ids);

CP_CORE_API void cp_core_ids_use_random(cp_core_ids *ids);
CP_CORE_API void cp_core_ids_use_uuid7(cp_core_ids *ids);

/* A remote clock that is further ahead of the machine's than max_drift_ms is not believed. */
CP_CORE_API void cp_core_ids_use_hlc(cp_core_ids *ids, int64_t max_drift_ms);

/*
** Takes the machine id, 0 to 1023, for snowflakes. CP_CORE_TAKEN and CP_CORE_OTHER_EPOCH leave the
** generator unchanged.
**   policy  CP_CORE_WAIT, CP_CORE_BORROW or CP_CORE_FAIL
*/
CP_CORE_API int cp_core_ids_use_snowflake(cp_core_ids *ids, int machine, int64_t epoch_ms,
                                          int policy, int64_t tolerance_ms);

/* Gives the machine id back. The next generator to take it goes on behind its last id. */
CP_CORE_API void cp_core_ids_give_back(cp_core_ids *ids);

/* Makes only snowflakes that are later than this; earlier ones were made elsewhere. */
CP_CORE_API void cp_core_ids_start_behind(cp_core_ids *ids, int64_t unix_ms);

/* Makes no snowflakes that are later than this. */
CP_CORE_API void cp_core_ids_lease_to(cp_core_ids *ids, int64_t unix_ms);

/* Returns the unix millisecond of the last snowflake; -1: none was made. */
CP_CORE_API int64_t cp_core_ids_last_ms(const cp_core_ids *ids);

/* Writes a trace id as 32 digits. Without CP_CORE_OK writes nothing. */
CP_CORE_API int cp_core_ids_next(cp_core_ids *ids, char *out);

/* Writes a span id as 16 digits. */
CP_CORE_API void cp_core_ids_span_id(cp_core_ids *ids, char *out);

/*
** The hybrid logical clock, with timestamps of 16 digits. `tick` advances it, for a local event or
** before a message is sent; `merge` for a message that came in, and returns false if the remote
** clock is not believed, or is not 16 digits.
*/
CP_CORE_API int cp_core_ids_hlc_tick(cp_core_ids *ids, char *out);
CP_CORE_API bool cp_core_ids_hlc_believes(const cp_core_ids *ids, const char *remote);
CP_CORE_API bool cp_core_ids_hlc_merge(cp_core_ids *ids, const char *remote);

/* Returns how many remote clocks were not believed. */
CP_CORE_API int64_t cp_core_ids_rejected_clocks(const cp_core_ids *ids);

#ifdef __cplusplus
}
#endif

#endif
