#include <string.h>

#include "crashes.h"

static void a_panic_without_a_backtrace_has_the_place_it_names(void) {
  const mesh_crash *c =
      parse(rust_parse,
            "thread 'main' panicked at 'no order', src/shop.rs:2:5\n"
            "note: run with `RUST_BACKTRACE=1` environment variable to display a backtrace\n");
  check_int(c->language, MESH_RUST);
  check_error(c, 0, "mesh.rust.panic panic: no order");
  check_frames(c, 0, "? shop.rs:2");
}

static void both_forms_of_the_first_line_mean_the_same(void) {
  uint64_t hash =
      parse(rust_parse, "thread 'w' panicked at 'a', b', src/shop.rs:2:5\n")->errors[0].hash.value;
  const mesh_crash *c = parse(
      rust_parse,
      "thread 'w' (7) panicked at src/shop.rs:2:5:\na', b\nnote: run with `RUST_BACKTRACE=1`\n");
  check_hex(c->errors[0].hash.value, hash);
  check_error(c, 0, "mesh.rust.panic panic: a', b");
  c = parse(rust_parse, "thread 'w' panicked at 'first\nsecond', src/shop.rs:2:5\n");
  check_error(c, 0, "mesh.rust.panic panic: first\nsecond");
}

#define STARTED                                                                        \
  "thread 'main' panicked at 'index out of bounds: the len is 1 but the index is 9', " \
  "src/r.rs:1:87\nstack backtrace:\n"

static const char SHORT[] = STARTED
    "   0: rust_begin_unwind\n"
    "             at /usr/src/rustc-1.63.0/library/std/src/panicking.rs:584:5\n"
    "   1: core::panicking::panic_fmt\n"
    "             at /usr/src/rustc-1.63.0/library/core/src/panicking.rs:142:14\n"
    "   2: <usize as core::slice::index::SliceIndex<[T]>>::index\n"
    "             at /usr/src/rustc-1.63.0/library/core/src/slice/index.rs:242:10\n"
    "   3: <shop::Repo<T> as core::ops::function::Fn(u8) -> u8>::load\n"
    "   4: r::go::{{closure}}\n"
    "             at ./src/r.rs:2:38\n"
    "   5: r::main\n"
    "             at ./src/r.rs:3\n"
    "note: Some details are omitted, run with `RUST_BACKTRACE=full` for a verbose backtrace.\n";

static const char FULL[] = STARTED
    "   0:     0x556a5093b9fc - std::backtrace_rs::backtrace::libunwind::trace::he2ba3a4891b10ef3\n"
    "                               at "
    "/usr/src/rustc-1.63.0/library/std/src/backtrace/libunwind.rs:93:5\n"
    "   1:     0x556a5093bb14 - "
    "std::sys_common::backtrace::__rust_end_short_backtrace::hc8542ca3b5dac53a\n"
    "                               at "
    "/usr/src/rustc-1.63.0/library/std/src/sys_common/backtrace.rs:138:18\n"
    "   2:     0x556a50927582 - rust_begin_unwind\n"
    "                               at /usr/src/rustc-1.63.0/library/std/src/panicking.rs:584:5\n"
    "   3:     0x556a50915eae - <usize as "
    "core::slice::index::SliceIndex<[T]>>::index::h35bd04e82b6180a8\n"
    "                               at "
    "/usr/src/rustc-1.63.0/library/core/src/slice/index.rs:242:10\n"
    "   4:     0x556a50915eb0 - <shop::Repo<T> as core::ops::function::Fn(u8) -> "
    "u8>::load::h35bd04e82b6180a9\n"
    "   5:     0x556a509174c8 - r::go::{{closure}}::h187c6dc06021851a\n"
    "                               at /tmp/mx/r.rs:2:38\n"
    "   6:     0x556a50917556 - r::main::h6bb90cc9f4a014cc\n"
    "                               at /tmp/mx/r.rs:3:127\n"
    "   7:     0x556a5091647e - "
    "std::sys_common::backtrace::__rust_begin_short_backtrace::hd162b767e824fa68\n"
    "                               at "
    "/usr/src/rustc-1.63.0/library/std/src/sys_common/backtrace.rs:122:18\n"
    "   8:     0x7f32221b324a - __libc_start_call_main\n";

static void a_backtrace_begins_where_the_program_does(void) {
  const mesh_crash *c = parse(rust_parse, SHORT);
  check_error(
      c, 0,
      "mesh.rust.index_out_of_bounds panic: index out of bounds: the len is 1 but the index is 9");
  check_frames(c, 0, "index index.rs:242 | load ?:0 | go::{{closure}} r.rs:2 | main r.rs:3");
}

static void a_full_backtrace_has_the_same_hash(void) {
  uint64_t hash = parse(rust_parse, SHORT)->errors[0].hash.value;
  check_hex(parse(rust_parse, FULL)->errors[0].hash.value, hash);
}

typedef struct class_case {
  const char *message, *class_name;
} class_case;

static void messages_of_the_standard_library_have_classes(void) {
  static const class_case cases[] = {
      {"called `Option::unwrap()` on a `None` value", "unwrap_none"},
      {"called `Result::unwrap()` on an `Err` value: \"bad\"", "unwrap_err"},
      {"attempt to divide by zero", "divide_by_zero"},
      {"attempt to add with overflow", "overflow"},
      {"already borrowed: BorrowMutError", "already_borrowed"},
      {"assertion failed: a == b", "assertion_failed"},
      {"internal error: entered unreachable code", "unreachable"},
      {"not yet implemented", "not_implemented"},
      {"range end index 9 out of range for slice of length 1", "slice_bounds"},
      {"no order", "panic"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    char text[256] = "thread 'main' panicked at '";
    strcat(text, cases[i].message);
    strcat(text, "', a.rs:1:1\n");
    const mesh_crash *c = parse(rust_parse, text);
    check_text(c->errors[0].class_name, strlen(c->errors[0].class_name), cases[i].class_name);
  }
}

static void other_texts_are_not_taken(void) {
  check(!takes(rust_parse, ""));
  check(!takes(rust_parse, "thread 'main' panicked\n"));
  check(!takes(rust_parse, "thread 'main' panicked at 'no end\n"));
  check(!takes(rust_parse, "thread 'main' panicked at somewhere\n"));
}

static const test tests[] = {
    TEST(a_panic_without_a_backtrace_has_the_place_it_names),
    TEST(both_forms_of_the_first_line_mean_the_same),
    TEST(a_backtrace_begins_where_the_program_does),
    TEST(a_full_backtrace_has_the_same_hash),
    TEST(messages_of_the_standard_library_have_classes),
    TEST(other_texts_are_not_taken),
};

SUITE(rust);
