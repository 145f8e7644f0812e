/*
** The panic record: the immutable account of one panic (docs/panic-record.md lists what scripts
** see). It is one userdata: a C struct with the captured stack in place, and user values for the
** Lua values that it refers to. Capturing walks the stack once and makes no string; text is made
** when asked for.
*/
#ifndef CP_KERNEL_RECORD_H
#define CP_KERNEL_RECORD_H

#include <stdbool.h>

#include "compat.h"
#include "core/base.h"

#pragma GCC visibility push(hidden)

struct runtime;

/* Bounds of one record; what is left out is counted, never silently dropped. */
#define RECORD_FRAMES_INNER 40  /* kept from the point of the panic outwards */
#define RECORD_FRAMES_OUTER 20  /* kept from the other end, when there are more than both */
#define RECORD_DEEP_STACK 16384 /* deeper: only the inner frames, and a lower bound of the rest */
#define RECORD_MAX_STACKS 8     /* of coroutines inside coroutines, the innermost */
#define RECORD_MAX_CHAIN 16     /* replaced panics kept, the newest */
#define RECORD_MAX_ANCESTORS 32
#define RECORD_MAX_PARKED 100 /* tasks that a deadlock lists */
#define RECORD_MAX_TEXT 4096  /* bytes of one value's text */
#define RECORD_MAX_DEPTH 4    /* nested tables of a value in to_table() */
#define RECORD_MAX_ITEMS 64   /* entries of one table in to_table() */

typedef enum record_kind {
  RECORD_PANIC,     /* co.panic(v) */
  RECORD_ERROR,     /* error(v), or raised by the VM or a library */
  RECORD_MEMORY,    /* not enough memory */
  RECORD_DEADLOCK,  /* every task asleep, nothing to wake them */
  RECORD_GOEXIT,    /* co.goexit(): runs deferred calls, recover does not stop it */
  RECORD_CANCELLED, /* a cancellation: likewise */
  RECORD_TIMEOUT,   /* a cancellation by a deadline: likewise */
} record_kind;

/* Why a cancellation was asked for. */
typedef enum cancel_source {
  CANCEL_NONE,
  CANCEL_EXPLICIT,  /* task:cancel() */
  CANCEL_DEADLINE,  /* a context's or with_timeout's time is up */
  CANCEL_SCOPE,     /* scope:cancel(), a panic in it, or only daemons are left */
  CANCEL_PARENT,    /* its context ended, or the task whose scope it is in was cancelled */
  CANCEL_SHUTDOWN,  /* the run has ended */
  CANCEL_INTERRUPT, /* a signal handler: Ctrl-C */
} cancel_source;

typedef enum record_fingerprint {
  FINGERPRINT_UNKNOWN,
  FINGERPRINT_NONE, /* of functions of C and of files: see fingerprint.h */
  FINGERPRINT_FOUND
} record_fingerprint;

/*
** One activation. The strings belong to the functions anchored in the record's user values (or are
** the VM's own constants), so they live as long as the record. What the function alone tells is left
** to record_resolve, because most panics are recovered and nobody reads where they came from.
*/
typedef struct record_frame {
  const char *name; /* NULL when the VM can't tell */
  int line;         /* current line; -1 for C */
  int function;     /* the user value that it is anchored in */
  /* When resolved: */
  const char
      *source; /* chunk name as Lua has it: "@path", "=literal", text; "=[C]" for C. Else NULL */
  const char *what; /* "Lua", "C" or "main" */
  int line_defined;
  /* When its fingerprint has been looked for: */
  record_fingerprint has_fingerprint;
  uint64_t fingerprint;
} record_frame;

/* What of the captured stack catches the error that the record was made of. */
typedef enum record_catcher {
  CAUGHT_UNKNOWN,
  CAUGHT_BY_LOAD, /* Lua's load: it was raised in the function that gives the pieces */
  CAUGHT_IN_LOADER, /* raised in load, or the like, itself: by its parser, or because of its arguments */
  CAUGHT_BY_OTHER, /* pcall, a frame, ... */
} record_catcher;

/* The record's user values. */
enum {
  RECORD_UV_VALUE = 1, /* what was raised, the identical value */
  RECORD_UV_TASK,      /* the task that panicked, or nil outside tasks */
  RECORD_UV_LINK,      /* the record that this one replaced, or nil */
  RECORD_UV_CAUSE,     /* the awaited task's record, or nil */
  RECORD_UV_DETAILS,   /* table by record_detail, or nil */
  RECORD_UV_CACHE,     /* table of fields already computed, or nil */
  RECORD_UV_FUNCTIONS  /* from here on: the functions that own the frames' strings */
};

typedef struct record {
  const void *magic; /* &record_magic: what tells a record from any other userdata */
  struct runtime *runtime;
  uint64_t sequence; /* order within the runtime, from 1 */
  int64_t time_ns;   /* wall clock, since 1970 */
  uint8_t trace_id[16];
  uint64_t span_id;
  uint64_t parent_span_id; /* 0: none */
  uint64_t task_id;        /* 0: outside tasks */
  uint32_t chain_length;   /* panics replaced, kept or not */
  uint32_t frames_omitted; /* between the inner and the outer ones */
  uint16_t frame_count;
  uint16_t inner_count; /* frames before the omitted ones; frame_count when none are */
  uint8_t trace_flags;  /* TRACE_FLAG_SAMPLED, TRACE_FLAG_RANDOM */
  uint8_t kind;         /* record_kind */
  uint8_t task_status;  /* task_status when the record was made or the task ended by it */
  uint8_t cancel_source;
  bool exits; /* an unwinding that recover does not stop, until who asked for it has caught it */
  bool recovered;
  bool
      forced; /* its exit was swallowed CANCEL_MAX_RAISES times, then the task unwound from outside */
  uint8_t caught; /* record_catcher */
  record_frame frames[];
} record;

/* Makes the runtime's spare record; the record's metatable exists.   [-0, +0, m] */
void record_open(struct runtime *rt, lua_State *L);

extern const char record_magic;

/*
** The record at `index`, or NULL when there is something else.   [-0, +0, -]
** Told by a mark in the userdata and not by the metatable's name, which would cost a look-up each
** time.
*/
record *record_test(lua_State *L, int index);

/*
** Captures the stack of `thread` as it is now, from `level` outwards (0: its running function), and
** replaces the value on top of L's stack by a record of it.   [-1, +1, -]
**   thread  may be L itself, or a thread that is suspended or died of an error
**   kind    see record_kind
** Chain, trace and task are those of the code that `thread` runs. Never raises: when there is no
** memory, the runtime's spare record takes the place of what could not be described.
*/
void record_wrap_safe(struct runtime *rt, lua_State *L, lua_State *thread, int level,
                      record_kind kind);

/* The same for a caller that decides itself whether observers hear of it, by record_tell.   [-1, +1, -] */
void record_wrap_untold(struct runtime *rt, lua_State *L, lua_State *thread, int level,
                        record_kind kind);

/* Counts and tells the panic whose record is on top of the stack.   [-0, +0, -] */
void record_tell(struct runtime *rt, lua_State *L);

/*
** Keeps the stack of the coroutine `thread`, which has died of an error that goes on in the function
** that runs on L (rt->wrapped): the record that is made of that error begins with it. Without memory
** it does not.   [-0, +0, -]
*/
void record_keep_inner(struct runtime *rt, lua_State *L, lua_State *thread);

/*
** The same with a message of ours as the value.   [-0, +1, -]
*/
void record_make_safe(struct runtime *rt, lua_State *L, lua_State *thread, int level,
                      record_kind kind, const char *message);

/* Completes the frames of the record at `index`, before they are read.   [-0, +0, -] */
void record_resolve(lua_State *L, int index);

/* Finds their fingerprints, and completes them.   [-0, +0, m] */
void record_find_fingerprints(lua_State *L, int index);

/* Whether it tells of a cancellation, and has a source. */
static inline bool record_is_cancellation(const record *r) {
  return r->cancel_source != CANCEL_NONE;
}

/* What only some records have. */
typedef enum record_detail {
  DETAIL_PARKED = 1,        /* kind deadlock: array of the parked tasks */
  DETAIL_CYCLE,             /* kind deadlock: array of the tasks that wait for each other */
  DETAIL_SUPPRESSED,        /* array of the records of the panics that came second in a scope */
  DETAIL_SUSPENSION_POINTS, /* what ancestors and awaiters were parked on (waiting.h) */
  DETAIL_CANCELLED_BY,      /* the task that asked for the cancellation */
  DETAIL_COUNT = DETAIL_CANCELLED_BY
} record_detail;

/* Pushes a detail of the record at `index`, nil if it has none.   [-0, +1, -] */
void record_push_detail(lua_State *L, int index, record_detail detail);

/* Takes the top of the stack as a detail of the record at `index`.   [-1, +0, m] */
void record_set_detail(lua_State *L, int index, record_detail detail);

/* Whether the stack was deeper than RECORD_DEEP_STACK: `frames_omitted` is then a lower bound. */
static inline bool record_is_deep(const record *r) {
  return r->frames_omitted > RECORD_DEEP_STACK - RECORD_FRAMES_INNER;
}

/* The kind's name in the API: "panic", "error", ... */
const char *record_kind_name(const record *r);

#pragma GCC visibility pop

#endif
