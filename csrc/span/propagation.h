/*
** What travels in headers: the trace in which the running code is, as texts to send, and what came
** in.
*/
#ifndef CP_SPAN_PROPAGATION_H
#define CP_SPAN_PROPAGATION_H

#include "compat.h"
#include "core/baggage.h"
#include "core/traceparent.h"
#include "kernel/runtime.h"

#pragma GCC visibility push(hidden)

/*
** A copy of a context. Making strings may run finalizers, which may change the context; so it is
** read once, before.
*/
typedef struct trace_position {
  traceparent here; /* its span_id is the context's own */
  uint64_t parent_span_id;
  size_t state_length;
  size_t baggage_length;
  char state[TRACESTATE_MAX_LENGTH];
  char baggage[BAGGAGE_MAX_LENGTH];
} trace_position;

/*
** Reads the current context, and makes its missing ids. Raises if that is impossible.   [-0, +0, e]
*/
void propagation_read(runtime *rt, lua_State *L, trace_position *p);

/*
** Puts our clock into an outgoing message, if the generator of ids is a hybrid logical clock. Without
** a valid time the message goes without.
*/
void propagation_send_clock(runtime *rt, trace_position *p);

/* The contents of incoming headers. */
typedef struct trace_incoming {
  traceparent parent; /* span_id 0: a new trace */
  bool valid;
  tracestate state;
  size_t baggage_length;
  char baggage[BAGGAGE_MAX_LENGTH];
} trace_incoming;

/*
** Moves our clock by that of an incoming message. It is read from the whole header, even if that is
** not valid, or not carried on in full, and whatever the traceparent is; otherwise the order of
** cause and effect would be lost. Of several clocks, the latest one that can be believed counts.
*/
void propagation_receive_clock(runtime *rt, const char *header, size_t header_length);

/* Begins a trace of our own, as trace_new does. Raises if no id can be made.   [-0, +0, e] */
void propagation_start(runtime *rt, lua_State *L, trace_incoming *in);

/* Reads the headers' values; NULL: there is no such header.   [-0, +0, e] */
void propagation_receive(runtime *rt, lua_State *L, trace_incoming *in, const char *parent,
                         const char *state, const char *baggage);

#pragma GCC visibility pop

#endif
