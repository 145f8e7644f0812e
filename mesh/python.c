/*
** Tracebacks of Python. Source: Lib/traceback.py of Python 3.11.
**
**   Traceback (most recent call last):
**     File "/src/shop/orders.py", line 9, in load
**       raise ValueError("no such order") from e
**   ValueError: no such order
**
**   During handling of the above exception, another exception occurred:
**
**     + Exception Group Traceback (most recent call last):
**     |   File "/src/shop/orders.py", line 13, in <module>
**     | ExceptionGroup: several (2 sub-exceptions)
**     +-+---------------- 1 ----------------
**       | ValueError: x
**       +---------------- 2 ----------------
**       | TypeError: y
**       +------------------------------------
**
** The last one is the error; the outermost frame comes first.
*/
#include "mesh/languages.h"
#include "mesh/trace.h"

typedef struct traceback {
  slice frames; /* the lines between the header and the exception's line */
  slice type, message;
  slice subs;              /* the lines of a group's exceptions */
  error_relation relation; /* to the next traceback in the text */
} traceback;

/* Tracebacks of one text: the newest ones, if there are more. */
typedef struct tracebacks {
  traceback list[MESH_MAX_ERRORS];
  size_t count;
} tracebacks;

static const char HEADER[] = "Traceback (most recent call last):";

static const char CAUSE[] = "The above exception was the direct cause of the following exception:";

static const char CONTEXT[] = "During handling of the above exception, another exception occurred:";

/* The part of a group's line that is behind its margin, "  | ". */
static slice without_margin(slice line, bool group) {
  if (!group) return line;
  slice rest = text_without_indent(line);
  if (!text_take(&rest, "|")) return line;
  return text_starts(rest, " ") ? text_from(rest, 1) : rest;
}

static bool is_header(slice line, bool *group) {
  slice rest = text_without_indent(line);
  *group = text_equals(rest, "+ Exception Group Traceback (most recent call last):");
  return *group || text_equals(line, HEADER);
}

/* "shop.errors.NoOrder: message" */
static bool read_exception(slice line, slice *type, slice *message) {
  trace_header header = trace_read_header(line);
  *type = header.type;
  *message = header.message.start != NULL ? header.message : (slice){NULL, 0};
  return header.rank > 0;
}

/* The end of a message that has lines: before a blank line, or another traceback. */
static void extend_message(traceback *t, slice *rest) {
  slice line;
  bool group;
  for (;;) {
    slice before = *rest;
    if (!text_next_line(rest, &line)) return;
    if (line.length == 0 || is_header(line, &group)) {
      *rest = before;
      return;
    }
    if (t->message.start == NULL) t->message = (slice){line.start, 0};
    t->message.length = (size_t)(line.start + line.length - t->message.start);
  }
}

/* Reads a traceback behind its header. False if it has no exception. */
static bool read_traceback(slice *rest, bool group, traceback *out) {
  const char *start = rest->start;
  slice line;
  while (text_next_line(rest, &line)) {
    slice content = without_margin(line, group);
    if (content.length == 0 || text_indent(content) > 0) continue;
    if (!read_exception(content, &out->type, &out->message)) return false;
    out->frames = (slice){start, (size_t)(line.start - start)};
    out->subs = group ? *rest : (slice){NULL, 0};
    if (!group) extend_message(out, rest);
    return true;
  }
  return false;
}

static void add_traceback(tracebacks *all, const traceback *t) {
  if (all->count == MESH_MAX_ERRORS) {
    for (size_t i = 1; i < all->count; i++) all->list[i - 1] = all->list[i];
    all->count--;
  }
  all->list[all->count++] = *t;
}

/* What links the newest traceback to the one that is next. */
static void read_link(tracebacks *all, slice line) {
  if (all->count == 0) return;
  error_relation *relation = &all->list[all->count - 1].relation;
  if (text_equals(line, CAUSE)) *relation = ERROR_CAUSE;
  if (text_equals(line, CONTEXT)) *relation = ERROR_REPLACED;
}

static void read_all(tracebacks *all, slice text) {
  slice line;
  bool group;
  all->count = 0;
  while (text_next_line(&text, &line)) {
    if (!is_header(line, &group)) {
      read_link(all, line);
      continue;
    }
    traceback t = {.relation = ERROR_ROOT};
    if (read_traceback(&text, group, &t)) add_traceback(all, &t);
  }
}

/* '  File "/src/shop/orders.py", line 9, in load' */
static void read_frame(mesh_crash *crash, mesh_error *error, slice line) {
  uint32_t number;
  slice rest = text_without_indent(line);
  if (!text_take(&rest, "File \"")) return;
  size_t quote = text_find(rest, "\", line ");
  if (quote == TEXT_NONE) return;
  slice path = text_until(rest, quote), name = {NULL, 0};
  rest = text_from(rest, quote + sizeof "\", line " - 1);
  if (!text_take_number(&rest, &number)) return;
  if (text_take(&rest, ", in ")) name = rest;
  bool is_text = text_starts(path, "<") && text_ends(path, ">") && !text_starts(path, "<frozen ");
  crash_frame(crash, error, is_text ? FRAME_TEXT : FRAME_FILE, path, name, number);
}

/* Innermost first: from the last line. */
static void read_frames(mesh_crash *crash, mesh_error *error, slice frames) {
  slice line;
  while (text_last_line(&frames, &line)) {
    size_t at = text_find(line, "File \"");
    if (at == TEXT_NONE) continue;
    slice before = text_until(line, at);
    if (!text_ends(before, "  ")) continue;
    bool is_margin = true; /* of blanks and "|" */
    for (size_t i = 0; i < before.length; i++) {
      is_margin = is_margin && (before.start[i] == ' ' || before.start[i] == '|');
    }
    if (is_margin) read_frame(crash, error, text_from(line, at));
  }
}

/* "+---------------- 2 ----------------", at the margin of the group's exceptions. */
static bool is_rule(slice line, size_t *margin) {
  slice rest = text_without_indent(line);
  *margin = line.length - rest.length;
  if (text_take(&rest, "+-+")) {
    *margin += 2;
    return text_starts(rest, "----------------");
  }
  return text_starts(rest, "+----------------");
}

static void add_sub(mesh_crash *crash, slice type, slice message) {
  if (type.length == 0) return;
  mesh_error *error = crash_error(crash, ERROR_SUPPRESSED, type, message);
  error_set_class(error, trace_last_component(type));
}

/*
** The exceptions of a group, but not those of groups inside it. Of one that has a chain the last
** one counts, as it does outside of groups.
*/
static void read_subs(mesh_crash *crash, slice rest) {
  slice line, type = {NULL, 0}, message = {NULL, 0};
  size_t margin, outer = TEXT_NONE;
  while (text_next_line(&rest, &line)) {
    bool rule = is_rule(line, &margin);
    if (rule && outer == TEXT_NONE) outer = margin;
    if (rule && text_indent(line) <= outer) {
      add_sub(crash, type, message);
      type.length = 0;
    }
    if (rule || text_indent(line) != outer) continue;
    slice content = without_margin(line, true), its_type, its_message;
    bool is_text = text_indent(content) == 0 && !text_equals(content, HEADER);
    if (is_text && read_exception(content, &its_type, &its_message)) {
      type = its_type;
      message = its_message;
    }
  }
  add_sub(crash, type, message);
}

bool python_parse(mesh_crash *crash, slice text) {
  tracebacks all;
  read_all(&all, text);
  if (all.count == 0) return false;
  crash_begin(crash, MESH_PYTHON);
  for (size_t i = all.count; i > 0; i--) {
    const traceback *t = &all.list[i - 1];
    bool is_last = i == all.count;
    if (!is_last && t->relation == ERROR_ROOT) break; /* it has nothing to do with what follows */
    error_relation relation = is_last ? ERROR_ROOT : t->relation;
    mesh_error *error = crash_error(crash, relation, t->type, t->message);
    error_set_class(error, trace_last_component(t->type));
    read_frames(crash, error, t->frames);
  }
  read_subs(crash, all.list[all.count - 1].subs);
  return true;
}
