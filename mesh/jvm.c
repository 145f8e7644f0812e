/*
** A stack trace of a Throwable. Source: Throwable.printStackTrace and StackTraceElement.toString of
** OpenJDK 17.
**
**   Exception in thread "main" java.lang.RuntimeException: order failed
**           at java.base/java.util.ArrayList.forEach(ArrayList.java:1511)
**           at shop.Orders.load(Orders.kt:12)
**           Suppressed: java.lang.IllegalStateException: close
**                   at shop.Res.close(Res.java:2)
**                   ... 3 more
**   Caused by: java.lang.NullPointerException
**           at shop.Orders.inner(Orders.kt:30)
**           ... 3 more
*/
#include "mesh/languages.h"
#include "mesh/trace.h"

/* "\tat shop.Orders.load(Orders.kt:12)", parted. */
typedef struct element {
  slice function, file;
  uint32_t line;
  frame_origin origin;
} element;

static bool read_place(slice place, element *out) {
  out->line = 0;
  out->origin = FRAME_FILE;
  out->file = (slice){NULL, 0};
  if (text_equals(place, "Native Method")) {
    out->origin = FRAME_NATIVE;
    return true;
  }
  if (text_equals(place, "Unknown Source")) return true;
  size_t colon = text_find_last(place, ':');
  out->file = colon == TEXT_NONE ? place : text_until(place, colon);
  if (text_find(out->file, ".") == TEXT_NONE || text_find(out->file, " ") != TEXT_NONE)
    return false;
  return colon == TEXT_NONE || text_number(text_from(place, colon + 1), &out->line);
}

static bool read_element(slice line, element *out) {
  slice rest = text_without_indent(line);
  if (rest.length == line.length || !text_take(&rest, "at ")) return false;
  size_t open = text_find(rest, "("), close = text_find(rest, ")");
  if (open == TEXT_NONE || close == TEXT_NONE || close < open) return false;
  slice name = text_until(rest, open);
  if (text_find(name, " ") != TEXT_NONE || text_find(name, ".") == TEXT_NONE) return false;
  out->function = trace_last_component(name);
  if (out->function.length == 0) return false;
  slice behind = text_from(rest, close + 1); /* logging libraries add the archive's name */
  if (behind.length > 0 && behind.start[0] != ' ') return false;
  return read_place(text_from(text_until(rest, close), open + 1), out);
}

static bool is_element(slice line) {
  element ignored;
  return read_element(line, &ignored);
}

static bool is_throwable(slice type) {
  return text_ends(type, "Exception") || text_ends(type, "Error") || text_ends(type, "Throwable");
}

static trace_header read_header(slice line) {
  slice rest = text_without_indent(line);
  bool uncaught = text_take(&rest, "Exception in thread \"");
  if (uncaught) {
    size_t quote = text_find(rest, "\" ");
    if (quote == TEXT_NONE) return (trace_header){.rank = 0};
    rest = text_from(rest, quote + 2);
  }
  trace_header header = trace_read_header(rest);
  if (header.rank == 0) return header;
  bool is_class = is_throwable(header.type);
  bool is_name =
      text_find(header.type, ".") != TEXT_NONE || text_find(header.type, "$") != TEXT_NONE;
  header.rank = uncaught || is_class ? 2 : is_name ? 1 : 0;
  return header;
}

/* "... 3 more", or "... 3 common frames omitted" as logback has it. */
static bool read_more(slice line, uint32_t *count) {
  slice rest = text_without_indent(line);
  if (!text_take(&rest, "... ") || !text_take_number(&rest, count)) return false;
  return text_equals(rest, " more") || text_equals(rest, " common frames omitted");
}

static bool ends_message(slice line) {
  uint32_t ignored;
  slice rest = text_without_indent(line);
  return is_element(line) || read_more(line, &ignored) || text_starts(rest, "Caused by: ") ||
         text_starts(rest, "Suppressed: ");
}

static const trace_grammar GRAMMAR = {read_header, ends_message, is_element};

static mesh_error *add_error(mesh_crash *crash, error_relation relation, slice *rest,
                             trace_header header) {
  if (header.rank == 0) return NULL; /* "[CIRCULAR REFERENCE: ...]" */
  trace_extend_message(&GRAMMAR, rest, &header);
  mesh_error *error = crash_error(crash, relation, header.type, header.message);
  error_set_class(error, trace_last_component(header.type));
  return error;
}

typedef struct state {
  mesh_crash *crash;
  mesh_error *current; /* whose frames come; NULL for an error that is not kept */
  size_t margin;       /* of the root's header */
} state;

/* "Caused by" and "Suppressed". Those of suppressed errors are not kept. */
static bool read_further(state *s, slice *rest, slice line) {
  size_t depth = text_indent(line) - (text_indent(line) < s->margin ? 0 : s->margin);
  slice header = text_without_indent(line);
  if (text_take(&header, "Caused by: ")) {
    bool is_kept = depth == 0;
    s->current = is_kept ? add_error(s->crash, ERROR_CAUSE, rest, trace_read_header(header)) : NULL;
    return true;
  }
  if (text_take(&header, "Suppressed: ")) {
    bool is_kept = depth == 1;
    s->current =
        is_kept ? add_error(s->crash, ERROR_SUPPRESSED, rest, trace_read_header(header)) : NULL;
    return true;
  }
  return false;
}

static bool read_line(state *s, slice *rest, slice line) {
  element e;
  uint32_t count;
  if (read_element(line, &e)) {
    if (s->current != NULL) crash_frame(s->crash, s->current, e.origin, e.file, e.function, e.line);
    return true;
  }
  if (read_more(line, &count)) {
    if (s->current != NULL) s->current->frames_omitted += count;
    return true;
  }
  return read_further(s, rest, line);
}

bool jvm_parse(mesh_crash *crash, slice text) {
  slice line;
  if (!trace_find(&GRAMMAR, &text, &line)) return false;
  crash_begin(crash, MESH_JVM);
  state s = {.crash = crash, .margin = text_indent(line)};
  s.current = add_error(crash, ERROR_ROOT, &text, read_header(line));
  while (text_next_line(&text, &line) && read_line(&s, &text, line)) continue;
  return true;
}
