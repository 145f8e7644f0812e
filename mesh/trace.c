/* What stack traces have in common: see trace.h. */
#include "mesh/trace.h"

/* Remembers the line if it ranks higher than what is remembered. */
static void consider(const trace_grammar *grammar, slice line, slice rest, int *rank, slice *best,
                     slice *behind, int *age) {
  int its_rank = grammar->read_header(line).rank;
  if (its_rank <= *rank) return;
  *rank = its_rank;
  *best = line;
  *behind = rest;
  *age = 0;
}

bool trace_find(const trace_grammar *grammar, slice *rest, slice *header_line) {
  slice left = *rest, line;
  int rank = 0, age = 0;
  while (text_next_line(&left, &line)) {
    if (grammar->is_frame(line)) return rank > 0;
    if (++age > TRACE_MAX_MESSAGE_LINES) rank = 0;
    consider(grammar, line, left, &rank, header_line, rest, &age);
  }
  return false;
}

void trace_extend_message(const trace_grammar *grammar, slice *rest, trace_header *header) {
  slice left = *rest, line;
  for (int count = 0; count < TRACE_MAX_MESSAGE_LINES; count++) {
    slice before = left;
    if (!text_next_line(&left, &line)) return;
    if (!grammar->ends_message(line)) continue;
    if (header->message.start != NULL) {
      header->message.length = (size_t)(before.start - header->message.start);
    }
    *rest = before;
    return;
  }
}

trace_header trace_read_header(slice line) {
  trace_header none = {.rank = 0};
  size_t colon = text_find(line, ": ");
  slice type = colon == TEXT_NONE ? line : text_until(line, colon);
  if (colon == TEXT_NONE && text_ends(line, ":")) type = text_until(line, line.length - 1);
  if (type.length > MESH_MAX_TYPE || !text_is_name(type, ".")) return none;
  slice message = {NULL, 0};
  if (colon != TEXT_NONE) message = text_from(line, colon + 2);
  return (trace_header){type, message, 1};
}

slice trace_last_component(slice name) {
  size_t dot = text_find_last(name, '.');
  return dot == TEXT_NONE ? name : text_from(name, dot + 1);
}
