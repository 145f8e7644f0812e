/*
** The panic record: the immutable account of one panic (docs/panic-record.md lists the fields that
** scripts see). A record is one userdata: a C struct with the captured stack in it, and user values
** for the Lua values that it refers to. Capturing walks the stack once and makes no string; text is
** made when a script or report asks for it.
*/
#ifndef CP_KERNEL_RECORD_H
#define CP_KERNEL_RECORD_H

#include <stdbool.h>

#include "compat.h"
#include "core/base.h"

#pragma GCC visibility push(hidden)

struct runtime;

/* Bounds of one record. Everything beyond a bound is counted, never silently dropped. */
#define RECORD_FRAMES_INNER 40 /* frames kept from the point of the panic outwards */
#define RECORD_FRAMES_OUTER 20 /* frames kept from the outer end, if there are more than both */
/* of a deeper stack only the inner frames are kept, and the rest is counted at least */
#define RECORD_DEEP_STACK 16384
#define RECORD_MAX_STACKS 8 /* stacks kept of nested coroutines: the innermost ones */
#define RECORD_MAX_CHAIN 16 /* the newest of the replaced panics */
#define RECORD_MAX_ANCESTORS 32
#define RECORD_MAX_PARKED 100 /* tasks that a deadlock lists */
#define RECORD_MAX_TEXT 4096  /* bytes of one value's text */
#define RECORD_MAX_DEPTH 4    /* nested tables of a value in to_table() */
#define RECORD_MAX_ITEMS 64   /* entries of one table in to_table() */

/* Panics come first, then the exits, then what is neither. */
typedef enum record_kind {
  RECORD_PANIC,     /* co.panic(v) */
  RECORD_ERROR,     /* error(v), or an error of the VM or a library */
  RECORD_MEMORY,    /* not enough memory */
  RECORD_DEADLOCK,  /* every task asleep, with nothing left to wake it */
  RECORD_GOEXIT,    /* co.goexit(): runs the deferred calls; recover does not stop it */
  RECORD_CANCELLED, /* a cancellation: as goexit */
  RECORD_TIMEOUT,   /* a cancellation by a deadline: as goexit */
  RECORD_LEAKED,    /* co.leaks has ended a leaked task: as goexit */
  RECORD_WARNING,   /* nothing was raised: co.order tells of a deadlock that can happen */
} record_kind;

/* The cause of a cancellation. */
typedef enum cancel_source {
  CANCEL_NONE,
  CANCEL_EXPLICIT, /* task:cancel() */
  CANCEL_DEADLINE, /* the deadline of a context, or the time of with_timeout */
  CANCEL_SCOPE,    /* scope:cancel(), a panic in the scope, or only daemons left in it */
  /* the end of the task's context, or the cancellation of the task whose scope it is in */
  CANCEL_PARENT,
  CANCEL_SHUTDOWN,   /* the run has ended */
  CANCEL_INTERRUPT,  /* a signal handler: Ctrl-C */
  CANCEL_LEAKED,     /* nothing could wake the task any more */
  CANCEL_CPU_BUDGET, /* the task's CPU budget is used up */
  /* cancel(reason, source), by policies of coropanic.resilience */
  CANCEL_BOUNDARY,
  CANCEL_HEDGE,
  CANCEL_SUPERVISOR,
} cancel_source;

/* Whether a policy asked for it. */
static inline bool cancel_source_is_policy(cancel_source source) {
  return source >= CANCEL_BOUNDARY;
}

/*
** One activation. The strings belong to the functions that the record's user values anchor, or are
** constants of the VM, so that they live as long as the record. What the function alone determines
** is asked of it when somebody reads it (record_describe), because most panics are recovered and
** nobody reads their frames.
*/
typedef struct record_frame {
  const char *name; /* NULL if the VM can't tell */
  int line;         /* current line; -1 for C */
  int function;     /* the number of the user value that anchors the function */
} record_frame;

/* The function on the captured stack that catches the error of which the record was made. */
typedef enum record_catcher {
  CAUGHT_UNKNOWN,
  CAUGHT_BY_LOAD, /* Lua's load: the error comes from the function that gives load its pieces */
  /* load, or the like, itself: the error comes from its parser, or from its arguments */
  CAUGHT_IN_LOADER,
  CAUGHT_BY_OTHER, /* pcall, a frame, ... */
} record_catcher;

/* The record's user values. */
enum {
  RECORD_UV_VALUE = 1, /* the raised value itself */
  RECORD_UV_TASK,      /* the task that panicked, or nil outside tasks */
  RECORD_UV_LINK,      /* the record of the panic that this one replaced, or nil */
  RECORD_UV_CAUSE,     /* the record of the awaited task, or nil */
  /* a table: the details by record_detail, the fields computed so far by name; or nil */
  RECORD_UV_DETAILS,
  RECORD_UV_FUNCTIONS /* from here on: the functions that own the strings of the frames */
};

typedef struct record {
  const void *magic; /* &record_magic, which marks the userdata as a record */
  struct runtime *runtime;
  uint64_t sequence; /* the order of the runtime's records, from 1 */
  int64_t time_ns;   /* wall clock, since 1970 */
  uint8_t trace_id[16];
  uint64_t span_id;
  uint64_t parent_span_id; /* 0: none */
  uint64_t task_id;        /* 0: outside tasks */
  uint32_t chain_length;   /* panics that this one has replaced, kept or not */
  uint32_t frames_omitted; /* frames left out between the inner and the outer ones */
  uint16_t frame_count;
  uint16_t inner_count; /* frames before the omitted ones; equals frame_count if none are */
  uint8_t trace_flags;  /* TRACE_FLAG_SAMPLED, TRACE_FLAG_RANDOM */
  uint8_t kind;         /* record_kind */
  uint8_t task_status;  /* the task_status when the record was made, or when the task ended by it */
  uint8_t cancel_source;
  /* an exit: recover does not stop it; it ends at the scope, time-out or task that it is for */
  bool exits;
  bool recovered;
  /* the task had swallowed its exit CANCEL_MAX_RAISES times, and was unwound from outside */
  bool forced;
  uint8_t caught; /* record_catcher */
  record_frame frames[];
} record;

/* Makes the runtime's spare record. The metatable of records must exist.   [-0, +0, m] */
void record_open(struct runtime *rt, lua_State *L);

extern const char record_magic;

/*
** Returns the record at `index`, or NULL if another value is there.   [-0, +0, -]
** It is recognized by the mark in the userdata: comparing metatables would cost a look-up each
** time.
*/
record *record_test(lua_State *L, int index);

/*
** Pops a value and pushes a record of it, with the stack of `thread` from `level` outwards (0: its
** running function).   [-1, +1, -]
**   thread  may be L itself, or a thread that is suspended or has died of an error
**   kind    see record_kind
** Chain, trace and task are those of the code that `thread` runs. Tells observers of the record if
** it is a panic. Never raises: without memory the runtime's spare record is pushed, with less in
** it.
*/
void record_wrap_safe(struct runtime *rt, lua_State *L, lua_State *thread, int level,
                      record_kind kind);

/* The same without telling observers: the caller decides, and calls record_tell.   [-1, +1, -] */
void record_wrap_untold(struct runtime *rt, lua_State *L, lua_State *thread, int level,
                        record_kind kind);

/* Counts the panic whose record is on top of the stack, and tells observers of it.   [-0, +0, -] */
void record_tell(struct runtime *rt, lua_State *L);

/*
** Call it when the coroutine `thread` has died of an error that the function running on L
** (rt->wrapped) raises again: keeps the coroutine's stack, with which the record of that error will
** begin. Without memory it keeps nothing.   [-0, +0, -]
*/
void record_keep_inner(struct runtime *rt, lua_State *L, lua_State *thread);

/* Pushes a record as record_wrap_safe does; its value is `message`.   [-0, +1, -] */
void record_make_safe(struct runtime *rt, lua_State *L, lua_State *thread, int level,
                      record_kind kind, const char *message);

/*
** Sets source, what and linedefined to those of a frame of the record at `index`. The strings live
** as long as the record.   [-0, +0, -]
*/
void record_describe(lua_State *L, int index, const record_frame *f, lua_Debug *ar);

/* A function of C has none, and the main function of a file: see fingerprint.h. */
typedef struct record_fingerprint {
  bool found;
  uint64_t value;
} record_fingerprint;

/*
** Pushes the fingerprints of the functions of the frames of the record at `index`, and returns
** them. They live as long as the pushed value.   [-0, +1, m]
*/
const record_fingerprint *record_push_fingerprints(lua_State *L, int index);

/* Whether the record is of a cancellation, so that it has a source. */
static inline bool record_is_cancellation(const record *r) {
  return r->cancel_source != CANCEL_NONE;
}

/* Details that only some records have. */
typedef enum record_detail {
  DETAIL_PARKED = 1,        /* kind deadlock: array of the waiting tasks */
  DETAIL_CYCLE,             /* kind deadlock: array of the tasks that wait for each other */
  DETAIL_SUPPRESSED,        /* array of the records of the panics that came second in a scope */
  DETAIL_SUSPENSION_POINTS, /* the waits of ancestors and awaiters (waiting.h) */
  DETAIL_CANCELLED_BY,      /* the task that requested the cancellation */
  DETAIL_GUARD,             /* the guard of a task whose panic was held (unhandled.c) */
  DETAIL_FINGERPRINTS,      /* record_fingerprint of each frame */
  DETAIL_LAST_EVENTS,       /* a userdata: what the recorder has kept (telemetry/last_events.h) */
} record_detail;

/* Pushes the table of the details of the record at `index`, making it if need be.   [-0, +1, m] */
void record_push_details(lua_State *L, int index);

/* Pushes a detail of the record at `index`; nil if the record does not have it.   [-0, +1, -] */
void record_push_detail(lua_State *L, int index, record_detail detail);

/* Pops a value and makes it a detail of the record at `index`.   [-1, +0, m] */
void record_set_detail(lua_State *L, int index, record_detail detail);

/*
** Whether the stack was deeper than RECORD_DEEP_STACK, so that `frames_omitted` is a lower bound.
*/
static inline bool record_is_deep(const record *r) {
  return r->frames_omitted > RECORD_DEEP_STACK - RECORD_FRAMES_INNER;
}

/* Returns the kind's name in the API: "panic", "error", ... */
const char *record_kind_word(record_kind kind);
const char *record_kind_name(const record *r);

#pragma GCC visibility pop

#endif
