/*
** What Node.js prints of an error: its property stack, or what util.inspect makes of it when nobody
** has caught it. Source: V8's stack trace API, and lib/internal/util/inspect.js of Node.js 20.
**
**   TypeError: no order
**       at Repo.load (/src/shop/repo.js:4:75)
**       at async Promise.all (index 0)
**       ... 5 lines matching cause stack trace ...
**       at node:internal/main/run_main_module:28:49 {
**     code: 'E_ORDER',
**     [cause]: SyntaxError: Unexpected token
**         at JSON.parse (<anonymous>)
**     [errors]: [
**       RangeError: b
**           at ...
**     ]
**   }
*/
#include "mesh/languages.h"
#include "mesh/trace.h"

/* "    at Repo.load (/src/shop/repo.js:4:75)", parted. */
typedef struct call_site {
  slice function, path;
  uint32_t line;
  frame_origin origin;
} call_site;

static bool read_path(slice place, call_site *out) {
  uint32_t column;
  size_t second = text_find_last(place, ':');
  if (second == TEXT_NONE || !text_number(text_from(place, second + 1), &column)) return false;
  place = text_until(place, second);
  size_t first = text_find_last(place, ':');
  if (first == TEXT_NONE || first == 0) return false;
  out->origin = FRAME_FILE;
  out->path = text_until(place, first);
  return text_number(text_from(place, first + 1), &out->line);
}

static bool read_place(slice place, call_site *out) {
  out->line = 0;
  out->path = (slice){NULL, 0};
  out->origin = FRAME_NATIVE;
  if (text_equals(place, "<anonymous>") || text_equals(place, "native")) return true;
  if (text_starts(place, "index ") || text_starts(place, "wasm://")) return true;
  if (text_starts(place, "eval at ")) {
    out->origin = FRAME_TEXT;
    return true;
  }
  return read_path(place, out);
}

/* "new Repo.Inner [as make]" */
static slice function_name(slice name) {
  text_take(&name, "new ");
  size_t as = text_find(name, " [as ");
  if (as != TEXT_NONE) name = text_until(name, as);
  return trace_last_component(name);
}

static bool read_call_site(slice line, call_site *out) {
  slice rest = text_without_indent(line);
  if (rest.length == line.length || !text_take(&rest, "at ")) return false;
  if (text_ends(rest, " {")) rest.length -= 2;
  if (text_ends(rest, ",")) rest.length--; /* in a list of errors */
  text_take(&rest, "async ");
  size_t open = text_find(rest, " (");
  if (open == TEXT_NONE) {
    out->function = (slice){NULL, 0};
    return text_find(rest, " ") == TEXT_NONE && read_place(rest, out);
  }
  if (!text_ends(rest, ")")) return false;
  out->function = function_name(text_until(rest, open));
  return read_place(text_from(text_until(rest, rest.length - 1), open + 2), out);
}

static bool is_call_site(slice line) {
  call_site ignored;
  return read_call_site(line, &ignored);
}

/* "Error [ERR_X]: message" has a code between, which is left out. */
static trace_header read_header(slice line) {
  slice rest = text_without_indent(line);
  text_take(&rest, "Uncaught ");
  size_t bracket = text_find(rest, " ["), colon = text_find(rest, "]: ");
  trace_header header;
  if (bracket != TEXT_NONE && colon != TEXT_NONE && bracket < colon) {
    header = trace_read_header(text_until(rest, bracket));
    header.message = text_from(rest, colon + 3);
  } else {
    header = trace_read_header(rest);
  }
  if (header.rank == 0) return header;
  char first = header.type.start[0];
  if (first < 'A' || first > 'Z') header.rank = 0;
  bool is_certain = text_ends(header.type, "Error") || text_ends(header.type, "Exception");
  if (header.rank > 0 && is_certain) header.rank = 2;
  return header;
}

static bool ends_message(slice line) {
  return is_call_site(line) || text_starts(text_without_indent(line), "[cause]: ");
}

static const trace_grammar GRAMMAR = {read_header, ends_message, is_call_site};

static mesh_error *add_error(mesh_crash *crash, error_relation relation, slice *rest, slice line) {
  trace_header header = read_header(line);
  if (header.rank == 0) return NULL;
  trace_extend_message(&GRAMMAR, rest, &header);
  mesh_error *error = crash_error(crash, relation, header.type, header.message);
  error_set_class(error, trace_last_component(header.type));
  return error;
}

typedef struct state {
  mesh_crash *crash;
  mesh_error *current; /* whose frames come; NULL for what is no error, or not kept */
  slice last_site;     /* the line of the newest frame */
  size_t margin;       /* of the root's header */
  size_t errors_at;    /* the margin of the list of errors; TEXT_NONE outside it */
  bool expanded;
} state;

static void add_site(state *s, slice line) {
  call_site site;
  s->last_site = line;
  if (s->current == NULL || !read_call_site(line, &site)) return;
  crash_frame(s->crash, s->current, site.origin, site.path, site.function, site.line);
}

/*
** util.inspect leaves out what the cause's stack has too; error.stack does not. Both have the same
** hash, because the frames are taken from the cause's stack, which comes later in the text. The
** lines are looked for once a text.
*/
static bool read_elided(state *s, slice rest, slice line) {
  slice number = text_without_indent(line);
  uint32_t count;
  if (!text_take(&number, "... ") || !text_take_number(&number, &count)) return false;
  if (!text_equals(number, " lines matching cause stack trace ...")) return false;
  slice wanted = text_strip(s->last_site), other;
  bool found = false;
  while (!s->expanded && !found && text_next_line(&rest, &other)) {
    found = text_same(text_strip(other), wanted);
  }
  s->expanded = true;
  if (!found && s->current != NULL) s->current->frames_omitted += count;
  for (; found && count > 0 && text_next_line(&rest, &other); count--) add_site(s, other);
  return true;
}

static bool read_further(state *s, slice *rest, slice line) {
  size_t indent = text_indent(line);
  slice content = text_without_indent(line);
  if (text_take(&content, "[cause]: ")) {
    s->current = add_error(s->crash, ERROR_CAUSE, rest, content);
  } else if (text_equals(content, "[errors]: [")) {
    s->errors_at = indent;
    s->current = NULL;
  } else if (s->errors_at == indent && text_starts(content, "]")) {
    s->errors_at = TEXT_NONE;
  } else if (s->errors_at != TEXT_NONE && indent == s->errors_at + 2) {
    s->current = add_error(s->crash, ERROR_SUPPRESSED, rest, content);
  }
  return indent > s->margin;
}

static bool read_line(state *s, slice *rest, slice line) {
  if (is_call_site(line)) {
    add_site(s, line);
    return true;
  }
  return read_elided(s, *rest, line) || read_further(s, rest, line);
}

bool node_parse(mesh_crash *crash, slice text) {
  slice line;
  if (!trace_find(&GRAMMAR, &text, &line)) return false;
  crash_begin(crash, MESH_NODE);
  state s = {.crash = crash, .margin = text_indent(line), .errors_at = TEXT_NONE};
  s.current = add_error(crash, ERROR_ROOT, &text, line);
  while (text_next_line(&text, &line) && read_line(&s, &text, line)) continue;
  return true;
}
