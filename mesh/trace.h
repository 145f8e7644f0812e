/*
** What stack traces of several languages have in common: a header, "Type: message", and lines for
** frames behind it. The message may have several lines.
*/
#ifndef CP_MESH_TRACE_H
#define CP_MESH_TRACE_H

#include "mesh/crash.h"

#pragma GCC visibility push(hidden)

/* Lines between a header and its first frame: a longer message is not looked through. */
enum { TRACE_MAX_MESSAGE_LINES = 32 };

typedef struct trace_header {
  slice type, message;
  int rank; /* 0: none; 1: may be one; 2: certainly */
} trace_header;

typedef struct trace_grammar {
  trace_header (*read_header)(slice line);
  bool (*ends_message)(slice line); /* a frame, or what else may follow a message */
  bool (*is_frame)(slice line);
} trace_grammar;

/*
** Finds the first frame, and the header that stands before it: the first of the highest rank. Moves
** `rest` behind the header's line. False if there is none.
*/
bool trace_find(const trace_grammar *grammar, slice *rest, slice *header_line);

/* Adds the lines that still belong to the message, and moves `rest` behind them. */
void trace_extend_message(const trace_grammar *grammar, slice *rest, trace_header *header);

/* "Type" or "Type: message", where the type is a name with dots. Rank 0 or 1. */
trace_header trace_read_header(slice line);

/* The name's last part, behind a dot. */
slice trace_last_component(slice name);

#pragma GCC visibility pop

#endif
