/*
** What a program in Go prints when it crashes. Source: printpanics, fatalthrow and traceback in
** runtime/panic.go and runtime/traceback.go of Go 1.19, and net/http's log of a panic.
**
**   panic: first [recovered]
**           panic: second
**   [signal SIGSEGV: segmentation violation code=0x1 addr=0x0 pc=0x482dbd]
**
**   goroutine 1 [running]:
**   main.(*S).load(0x0?, 0x405418?)
**           /src/shop/s.go:4 +0x4e
**   created by main.main
**           /src/shop/s.go:9 +0x1d
*/
#include <string.h>

#include "mesh/languages.h"

static const class_rule PANICS[] = {
    {"runtime error: index out of range", "index_out_of_range"},
    {"runtime error: slice bounds out of range", "slice_bounds"},
    {"runtime error: invalid memory address or nil pointer dereference", "nil_dereference"},
    {"runtime error: integer divide by zero", "divide_by_zero"},
    {"runtime error: ", "runtime_error"},
    {"assignment to entry in nil map", "nil_map"},
    {"interface conversion: ", "type_assertion"},
    {"send on closed channel", "closed_channel"},
    {"close of closed channel", "closed_channel"},
    {"close of nil channel", "nil_channel"},
};

static const class_rule FATAL_ERRORS[] = {
    {"all goroutines are asleep", "deadlock"},
    {"no goroutines (main called runtime.Goexit)", "deadlock"},
    {"stack overflow", "stack_overflow"},
    {"concurrent map", "concurrent_map"},
    {"runtime: out of memory", "out_of_memory"},
};

typedef enum header_kind { HEADER_PANIC, HEADER_FATAL, HEADER_SIGNAL } header_kind;

typedef struct header {
  header_kind kind;
  slice message;
  slice signal; /* its name */
} header;

/* The panics of one goroutine, as they are printed: the oldest first. */
typedef struct headers {
  header list[MESH_MAX_ERRORS];
  size_t count;
  bool open;   /* the newest one's message may go on in the next line */
  bool served; /* net/http has recovered it: its own frames come first */
} headers;

static bool is_goroutine(slice line) {
  return text_starts(line, "goroutine ") && text_find(line, " [") != TEXT_NONE &&
         text_ends(line, ":");
}

static void add_header(headers *h, header_kind kind, slice message, slice signal) {
  if (h->count == MESH_MAX_ERRORS) h->count--; /* then the newest but one is lost */
  h->list[h->count++] = (header){kind, message, signal};
  h->open = true;
  h->served = false;
}

/* "SIGQUIT: quit" */
static bool read_signal(headers *h, slice line) {
  size_t colon = text_find(line, ": ");
  if (!text_starts(line, "SIG") || colon == TEXT_NONE || colon > 10) return false;
  if (!text_is_name(text_until(line, colon), "")) return false;
  h->count = 0;
  add_header(h, HEADER_SIGNAL, text_from(line, colon + 2), text_until(line, colon));
  h->open = false;
  return true;
}

/* "2026/11/28 15:00:00 http: panic serving 127.0.0.1:4242: boom" */
static bool read_served(headers *h, slice line) {
  static const char PREFIX[] = "http: panic serving ";
  size_t at = text_find(line, PREFIX);
  if (at == TEXT_NONE) return false;
  slice rest = text_from(line, at + strlen(PREFIX));
  size_t colon = text_find(rest, ": ");
  if (colon == TEXT_NONE) return false;
  h->count = 0;
  add_header(h, HEADER_PANIC, text_from(rest, colon + 2), (slice){NULL, 0});
  h->served = true;
  return true;
}

static void read_header(headers *h, slice line) {
  slice rest = line;
  slice none = {NULL, 0};
  if (line.length == 0 || text_starts(line, "[signal ")) {
    h->open = false;
  } else if (text_take(&rest, "panic: ")) {
    h->count = 0;
    add_header(h, HEADER_PANIC, rest, none);
  } else if (h->count > 0 && text_take(&rest, "\tpanic: ")) {
    add_header(h, HEADER_PANIC, rest, none);
  } else if (text_take(&rest, "fatal error: ")) {
    h->count = 0;
    add_header(h, HEADER_FATAL, rest, none);
  } else if (!read_signal(h, line) && !read_served(h, line) && h->open) {
    slice *message = &h->list[h->count - 1].message;
    message->length = (size_t)(line.start + line.length - message->start);
  }
}

/* Cuts " [recovered]" off, which may say more: "[recovered, repanicked]". */
static bool take_recovered(slice *message) {
  size_t at = text_find_last(*message, '[');
  if (at == TEXT_NONE || at == 0 || !text_starts(text_from(*message, at), "[recovered"))
    return false;
  *message = text_until(*message, at - 1);
  return true;
}

static void add_error(mesh_crash *crash, error_relation relation, header h) {
  bool recovered = h.kind == HEADER_PANIC && take_recovered(&h.message);
  const char *class_name = "signal";
  slice type = h.signal;
  if (h.kind == HEADER_PANIC) {
    class_name = class_of(PANICS, sizeof PANICS / sizeof PANICS[0], h.message, "panic");
    type = text_starts(h.message, "runtime error: ") ? text_of("runtime.Error", 13)
                                                     : text_of("panic", 5);
  } else if (h.kind == HEADER_FATAL) {
    size_t count = sizeof FATAL_ERRORS / sizeof FATAL_ERRORS[0];
    class_name = class_of(FATAL_ERRORS, count, h.message, "fatal_error");
    type = text_of("fatal error", 11);
  }
  mesh_error *error = crash_error(crash, relation, type, h.message);
  error->recovered = recovered;
  error_set_class(error, text_of(class_name, strlen(class_name)));
}

/* Where the last component of a dotted name begins; what stands in brackets is no component. */
static size_t last_component(slice name) {
  int depth = 0;
  for (size_t i = name.length; i > 0; i--) {
    char c = name.start[i - 1];
    if (c == ']' || c == ')') depth++;
    if (c == '[' || c == '(') depth--;
    if (c == '.' && depth == 0) return i;
  }
  return 0;
}

/*
** The compiler's names for functions without one: func1, 2, gowrap1, deferwrap2; and the empty part
** of "glob..func1", which is in no function.
*/
static bool is_closure(slice component) {
  uint32_t number;
  if (!text_take(&component, "func") && !text_take(&component, "gowrap")) {
    text_take(&component, "deferwrap");
  }
  return component.length == 0 || text_number(component, &number);
}

/*
** Of "shop/orders.(*Repo[...]).load.func1" the last component, "load.func1": a closure is named by
** the function that it is in.
*/
static slice short_name(slice name) {
  size_t at = last_component(name);
  while (at > 0 && is_closure(text_from(name, at))) {
    name.length = at - 1;
    at = last_component(name);
  }
  return text_from(name, at);
}

static slice function_name(slice full) {
  size_t slash = TEXT_NONE;
  int depth = 0;
  for (size_t i = 0; i < full.length; i++) {
    if (full.start[i] == '[') depth++;
    if (full.start[i] == ']') depth--;
    if (full.start[i] == '/' && depth <= 0) slash = i;
  }
  slice name = slash == TEXT_NONE ? full : text_from(full, slash + 1);
  slice last = short_name(name);
  slice whole = {last.start, (size_t)(name.start + name.length - last.start)};
  size_t bracket = text_find(whole, "[...]");
  return whole.length > 5 && bracket == whole.length - 5 ? text_until(whole, bracket) : whole;
}

/* "\t/src/shop/s.go:4 +0x4e" */
static bool read_place(slice line, slice *path, uint32_t *number) {
  if (!text_take(&line, "\t")) return false;
  size_t blank = text_find(line, " +0x");
  if (blank != TEXT_NONE) line = text_until(line, blank);
  size_t colon = text_find_last(line, ':');
  if (colon == TEXT_NONE || colon == 0) return false;
  *path = text_until(line, colon);
  return text_number(text_from(line, colon + 1), number);
}

/* "...23 frames elided..." */
static bool read_elided(mesh_error *error, slice line) {
  uint32_t count;
  if (!text_take(&line, "...")) return false;
  if (text_take_number(&line, &count)) error->frames_omitted += count;
  return true;
}

/* Which of the first frames are the runtime's own. */
typedef enum leading {
  LEADING_RECOVERY, /* up to the panic: the frames of the deferred call that prints */
  LEADING_RUNTIME,  /* the runtime's, between the panic and the program's function */
  LEADING_NONE,
} leading;

static bool is_left_out(leading *state, slice name) {
  bool is_panic = text_equals(name, "panic");
  if (*state == LEADING_RECOVERY) {
    if (is_panic) *state = LEADING_RUNTIME;
    return true;
  }
  if (*state == LEADING_RUNTIME && !is_panic && !text_starts(name, "runtime."))
    *state = LEADING_NONE;
  return *state == LEADING_RUNTIME;
}

static bool starts_in_recovery(slice stack) {
  slice line;
  if (!text_next_line(&stack, &line)) return false;
  return text_starts(line, "runtime/debug.Stack(") ||
         text_starts(line, "runtime/debug.PrintStack(");
}

/*
** The frames of a goroutine. If it was printed by a deferred call, those before its panic are left
** out; false: there was none.
*/
static bool read_stack(mesh_crash *crash, slice stack, bool recovering) {
  mesh_error *error = &crash->errors[0];
  leading state = recovering ? LEADING_RECOVERY : LEADING_RUNTIME;
  slice line, place, path;
  uint32_t number;
  while (text_next_line(&stack, &line) && line.length > 0 && !text_starts(line, "created by ")) {
    if (read_elided(error, line)) continue;
    size_t open = text_find_last(line, '(');
    if (open == TEXT_NONE || open == 0 || !text_ends(line, ")")) break;
    if (!text_next_line(&stack, &place) || !read_place(place, &path, &number)) break;
    slice name = text_until(line, open);
    if (!is_left_out(&state, name)) {
      crash_frame(crash, error, FRAME_FILE, path, function_name(name), number);
    }
  }
  return state != LEADING_RECOVERY;
}

bool go_parse(mesh_crash *crash, slice text) {
  headers h = {.count = 0};
  slice line;
  bool found = false;
  while (!found && text_next_line(&text, &line)) {
    found = is_goroutine(line);
    if (!found) read_header(&h, line);
  }
  if (!found) return false;
  bool known = h.count > 0;
  if (!known) add_header(&h, HEADER_PANIC, (slice){NULL, 0}, (slice){NULL, 0});
  crash_begin(crash, MESH_GO);
  for (size_t i = h.count; i > 0; i--) {
    add_error(crash, i == h.count ? ERROR_ROOT : ERROR_REPLACED, h.list[i - 1]);
  }
  bool recovering = !known || h.served || starts_in_recovery(text);
  return read_stack(crash, text, recovering) || known;
}
