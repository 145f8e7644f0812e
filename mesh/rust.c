/*
** A panic of Rust. Source: default_hook of library/std/src/panicking.rs and
** library/std/src/sys_common/backtrace.rs, of Rust 1.63 and of 1.73, which puts the message below.
**
**   thread 'main' panicked at 'no order', src/shop.rs:2:5
**   thread 'main' panicked at src/shop.rs:2:5:
**   no order
**   stack backtrace:
**      0: rust_begin_unwind
**                at /rustc/4b91a6e/library/std/src/panicking.rs:584:5
**      1: shop::Repo::load
**                at ./src/shop.rs:2:5
*/
#include <string.h>

#include "mesh/languages.h"
#include "mesh/trace.h"

static const class_rule PANICS[] = {
    {"index out of bounds: ", "index_out_of_bounds"},
    {"range ", "slice_bounds"},
    {"slice index ", "slice_bounds"},
    {"called `Option::unwrap()` on a `None` value", "unwrap_none"},
    {"called `Result::unwrap()` on an `Err` value", "unwrap_err"},
    {"attempt to divide by zero", "divide_by_zero"},
    {"attempt to calculate the remainder with a divisor of zero", "divide_by_zero"},
    {"attempt to ", "overflow"},
    {"already borrowed: ", "already_borrowed"},
    {"already mutably borrowed: ", "already_borrowed"},
    {"RefCell already ", "already_borrowed"},
    {"assertion failed", "assertion_failed"},
    {"assertion `", "assertion_failed"},
    {"internal error: entered unreachable code", "unreachable"},
    {"not yet implemented", "not_implemented"},
    {"not implemented", "not_implemented"},
};

/* "src/shop.rs:2:5" */
typedef struct place {
  slice path;
  uint32_t line;
} place;

static bool read_place(slice text, place *out) {
  uint32_t column;
  size_t second = text_find_last(text, ':');
  if (second == TEXT_NONE || !text_number(text_from(text, second + 1), &column)) return false;
  text = text_until(text, second);
  size_t first = text_find_last(text, ':');
  if (first == TEXT_NONE || first == 0) { /* no column */
    *out = (place){text, column};
    return true;
  }
  out->path = text_until(text, first);
  if (text_number(text_from(text, first + 1), &out->line)) return true;
  *out = (place){text, column};
  return true;
}

/* Takes "thread 'main' panicked at " from the line; newer ones have the thread's id besides. */
static bool take_start(slice *line) {
  if (!text_starts(*line, "thread ")) return false;
  size_t at = text_find(*line, " panicked at ");
  if (at == TEXT_NONE) return false;
  *line = text_from(*line, at + strlen(" panicked at "));
  return true;
}

static bool ends_message(slice line) {
  return text_starts(line, "note: run with `RUST_BACKTRACE=") ||
         text_equals(line, "stack backtrace:");
}

/* Where "', src/shop.rs:2:5" begins, at the end of a line; TEXT_NONE if it is not there. */
static size_t end_of_quote(slice line, place *at) {
  for (size_t i = line.length; i >= 3; i--) {
    if (!text_equals(text_from(text_until(line, i), i - 3), "', ")) continue;
    return read_place(text_from(line, i), at) ? i - 3 : TEXT_NONE;
  }
  return TEXT_NONE;
}

/* "'no order', src/shop.rs:2:5": the message may have lines. Moves `rest` behind it. */
static bool read_quoted(slice line, slice *rest, slice *message, place *at) {
  slice left = *rest;
  const char *start = line.start + 1;
  line = text_from(line, 1);
  for (int count = 0; count < TRACE_MAX_MESSAGE_LINES; count++) {
    size_t end = end_of_quote(line, at);
    if (end != TEXT_NONE) {
      *message = (slice){start, (size_t)(line.start + end - start)};
      *rest = left;
      return true;
    }
    if (!text_next_line(&left, &line) || ends_message(line)) return false;
  }
  return false;
}

/* The lines below "src/shop.rs:2:5:". Moves `rest` behind them. */
static slice read_below(slice *rest) {
  slice message = {rest->start, 0}, line;
  slice left = *rest;
  while (text_next_line(&left, &line) && !ends_message(line)) {
    message.length = (size_t)(line.start + line.length - message.start);
    *rest = left;
  }
  return message;
}

static bool read_panic(slice line, slice *rest, slice *message, place *at) {
  if (text_starts(line, "'")) return read_quoted(line, rest, message, at);
  if (!text_ends(line, ":") || !read_place(text_until(line, line.length - 1), at)) return false;
  *message = read_below(rest);
  return true;
}

/* Where the last component of "<a::B as c::D<[T]>>::e" begins. */
static size_t last_component(slice name) {
  int depth = 0;
  for (size_t i = name.length; i > 1; i--) {
    char c = name.start[i - 1], before = name.start[i - 2];
    if (c == '>' && before != '-') depth++;
    if (c == '<') depth--;
    if (c == ':' && before == ':' && depth == 0) return i;
  }
  return 0;
}

/* Without the "::h0123456789abcdef" that tells instances apart. */
static slice without_instance(slice name) {
  size_t at = last_component(name);
  slice last = text_from(name, at);
  bool is_hash = at > 2 && last.length == 17 && last.start[0] == 'h';
  for (size_t i = 1; is_hash && i < last.length; i++) {
    char c = last.start[i];
    is_hash = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
  }
  return is_hash ? text_until(name, at - 2) : name;
}

/* "load", or "load::{{closure}}": a closure is named by the function that it is in. */
static slice function_name(slice name) {
  slice part = name;
  size_t at = last_component(part);
  while (at > 2 && text_starts(text_from(part, at), "{")) {
    part = text_until(part, at - 2);
    at = last_component(part);
  }
  return text_from(name, at);
}

static bool is_machinery(slice name) {
  return text_starts(name, "rust_begin_unwind") ||
         text_starts(name, "__rustc::rust_begin_unwind") ||
         text_starts(name, "core::panicking::") || text_starts(name, "std::panicking::");
}

/* "   0:     0x556a5093b9fc - std::panicking::try", with the address only in full backtraces. */
static bool read_name(slice line, slice *name) {
  uint32_t number;
  slice rest = text_from(line, text_indent(line));
  if (!text_take_number(&rest, &number) || !text_take(&rest, ": ")) return false;
  rest = text_strip(rest);
  size_t dash = text_find(rest, " - ");
  if (text_starts(rest, "0x") && dash != TEXT_NONE) rest = text_from(rest, dash + 3);
  *name = without_instance(rest);
  return rest.length > 0;
}

/* The line below a frame's, "             at ./src/shop.rs:2:5", if there is one. */
static place take_place(slice *rest) {
  place at = {{NULL, 0}, 0};
  slice left = *rest, line;
  if (!text_next_line(&left, &line)) return at;
  slice content = text_from(line, text_indent(line));
  if (content.length == line.length || !text_take(&content, "at ")) return at;
  *rest = left;
  if (!read_place(content, &at)) return (place){{NULL, 0}, 0};
  return at;
}

/*
** The frames of a backtrace, from the program's function that has panicked. A full one has the
** marks by which std itself finds what belongs into a short one: the same hash for both.
*/
static void read_backtrace(mesh_crash *crash, mesh_error *error, slice rest) {
  mesh_error start = *error;
  slice line, name;
  bool leading = true;
  while (text_next_line(&rest, &line) && read_name(line, &name)) {
    place at = take_place(&rest);
    if (text_find(name, "__rust_begin_short_backtrace") != TEXT_NONE) break;
    if (text_find(name, "__rust_end_short_backtrace") != TEXT_NONE) {
      *error = start;
      crash->frame_count = start.first_frame;
      leading = true;
      continue;
    }
    leading = leading && is_machinery(name);
    if (!leading) crash_frame(crash, error, FRAME_FILE, at.path, function_name(name), at.line);
  }
}

static bool skip_to_backtrace(slice *rest) {
  slice left = *rest, line;
  while (text_next_line(&left, &line)) {
    if (take_start(&line)) return false; /* another panic */
    if (!text_equals(line, "stack backtrace:")) continue;
    *rest = left;
    return true;
  }
  return false;
}

bool rust_parse(mesh_crash *crash, slice text) {
  slice line, message;
  place at;
  while (text_next_line(&text, &line)) {
    if (!take_start(&line) || !read_panic(line, &text, &message, &at)) continue;
    crash_begin(crash, MESH_RUST);
    mesh_error *error = crash_error(crash, ERROR_ROOT, text_of("panic", 5), message);
    size_t count = sizeof PANICS / sizeof PANICS[0];
    const char *class_name = class_of(PANICS, count, message, "panic");
    error_set_class(error, text_of(class_name, strlen(class_name)));
    if (skip_to_backtrace(&text)) read_backtrace(crash, error, text);
    bool none = error->frame_count == 0 && error->frames_omitted == 0;
    if (none) crash_frame(crash, error, FRAME_FILE, at.path, (slice){NULL, 0}, at.line);
    return true;
  }
  return false;
}
