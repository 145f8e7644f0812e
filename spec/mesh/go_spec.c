#include <string.h>

#include "crashes.h"

#define STACK                            \
  "goroutine 1 [running]:\n"             \
  "main.(*Repo).load(0x0?, 0x405418?)\n" \
  "\t/src/shop/repo.go:4 +0x4e\n"        \
  "main.main()\n"                        \
  "\t/src/shop/main.go:6 +0xf1\n"

#define FRAMES "load repo.go:4 | main main.go:6"

static void a_panic_has_its_message_and_its_goroutines_frames(void) {
  const mesh_crash *c = parse(go_parse, "panic: no order\n\n" STACK "exit status 2\n");
  check_int(c->language, MESH_GO);
  check_error(c, 0, "mesh.go.panic panic: no order");
  check_frames(c, 0, FRAMES);
  check_int(c->error_count, 1);
}

typedef struct class_case {
  const char *text, *error;
} class_case;

static void what_the_runtime_raises_has_a_class_of_its_own(void) {
  static const class_case cases[] = {
      {"panic: runtime error: index out of range [5] with length 1",
       "mesh.go.index_out_of_range runtime.Error: runtime error: index out of range [5] with "
       "length 1"},
      {"panic: runtime error: slice bounds out of range [:5] with capacity 1",
       "mesh.go.slice_bounds runtime.Error: runtime error: slice bounds out of range [:5] with "
       "capacity 1"},
      {"panic: runtime error: integer divide by zero",
       "mesh.go.divide_by_zero runtime.Error: runtime error: integer divide by zero"},
      {"panic: runtime error: hash of unhashable type []int",
       "mesh.go.runtime_error runtime.Error: runtime error: hash of unhashable type []int"},
      {"panic: runtime error: invalid memory address or nil pointer dereference\n"
       "[signal SIGSEGV: segmentation violation code=0x1 addr=0x0 pc=0x482dbd]",
       "mesh.go.nil_dereference runtime.Error: runtime error: invalid memory address or nil "
       "pointer dereference"},
      {"panic: assignment to entry in nil map",
       "mesh.go.nil_map panic: assignment to entry in nil map"},
      {"panic: interface conversion: interface {} is int, not string",
       "mesh.go.type_assertion panic: interface conversion: interface {} is int, not string"},
      {"panic: send on closed channel", "mesh.go.closed_channel panic: send on closed channel"},
      {"panic: close of closed channel", "mesh.go.closed_channel panic: close of closed channel"},
      {"panic: close of nil channel", "mesh.go.nil_channel panic: close of nil channel"},
      {"fatal error: all goroutines are asleep - deadlock!",
       "mesh.go.deadlock fatal error: all goroutines are asleep - deadlock!"},
      {"fatal error: concurrent map writes",
       "mesh.go.concurrent_map fatal error: concurrent map writes"},
      {"runtime: goroutine stack exceeds 1000000000-byte limit\nfatal error: stack "
       "overflow\n\nruntime stack:\nx",
       "mesh.go.stack_overflow fatal error: stack overflow"},
      {"fatal error: unexpected signal during runtime execution",
       "mesh.go.fatal_error fatal error: unexpected signal during runtime execution"},
      {"SIGQUIT: quit\nPC=0x45c021 m=0 sigcode=0", "mesh.go.signal SIGQUIT: quit"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    char text[1024];
    note("%s", cases[i].text);
    strcpy(text, cases[i].text);
    strcat(text, "\n\n" STACK);
    const mesh_crash *c = parse(go_parse, text);
    check_error(c, 0, cases[i].error);
    check_frames(c, 0, FRAMES);
  }
}

static void a_panic_that_replaced_another_comes_first(void) {
  const mesh_crash *c =
      parse(go_parse, "panic: first [recovered]\n\tpanic: second\n\tpanic: third\n\n" STACK);
  check_int(c->error_count, 3);
  check_error(c, 0, "mesh.go.panic panic: third");
  check_error(c, 1, "mesh.go.panic panic: second");
  check_error(c, 2, "mesh.go.panic panic: first");
  check_int(c->errors[2].relation, ERROR_REPLACED);
  check(c->errors[2].recovered && !c->errors[1].recovered && !c->errors[0].recovered);
  c = parse(go_parse, "panic: first [recovered, repanicked]\n\n" STACK);
  check_error(c, 0, "mesh.go.panic panic: first");
}

static void a_message_may_have_lines(void) {
  const mesh_crash *c = parse(go_parse, "panic: first\nsecond\n\n" STACK);
  check_error(c, 0, "mesh.go.panic panic: first\nsecond");
}

static void only_the_first_goroutine_counts_without_its_creator(void) {
  const mesh_crash *c =
      parse(go_parse,
            "panic: x\n\ngoroutine 7 [running, locked to thread]:\n"
            "shop/orders.Load(...)\n\t/src/orders.go:4\n"
            "created by main.main in goroutine 1\n\t/src/main.go:9 +0x1d\n\n"
            "goroutine 1 [chan receive]:\nmain.main()\n\t/src/main.go:12 +0xe5\n");
  check_frames(c, 0, "Load orders.go:4");
}

/* What debug.Stack gives a deferred call has that call first, and then the runtime's frames. */
static void a_stack_printed_while_recovering_has_the_frames_of_the_panic(void) {
  static const char printed[] =
      "goroutine 6 [running]:\n"
      "runtime/debug.Stack()\n\t/usr/lib/go-1.19/src/runtime/debug/stack.go:24 +0x65\n"
      "main.guard.func1()\n\t/src/shop/guard.go:9 +0x3a\n"
      "panic({0x48cd60, 0x4b9488})\n\t/usr/lib/go-1.19/src/runtime/panic.go:884 +0x212\n"
      "runtime.goPanicIndex(0x5, 0x1)\n\t/usr/lib/go-1.19/src/runtime/panic.go:113 +0x7f\n"
      "main.(*Repo).load(0x0?, 0x405418?)\n\t/src/shop/repo.go:4 +0x4e\n"
      "main.main()\n\t/src/shop/main.go:6 +0xf1\n";
  const mesh_crash *c = parse(go_parse, printed);
  check_error(c, 0, "mesh.go.panic panic: ");
  check_frames(c, 0, FRAMES);
  uint64_t hash = c->errors[0].hash.value;
  check_hex(parse(go_parse, "panic: x\n\n" STACK)->errors[0].hash.value, hash);
}

static void what_net_http_logs_is_a_panic_too(void) {
  const mesh_crash *c =
      parse(go_parse,
            "2026/11/28 15:00:00 http: panic serving [::1]:4242: no order\n"
            "goroutine 6 [running]:\n"
            "net/http.(*conn).serve.func1()\n\t/usr/lib/go/src/net/http/server.go:1850 +0xbf\n"
            "panic({0x5f1a20, 0x6a3b10})\n\t/usr/lib/go/src/runtime/panic.go:890 +0x262\n"
            "main.handle({0x6a5e38, 0xc00011e000}, 0xc000110000)\n\t/src/shop/main.go:6 +0xf1\n");
  check_error(c, 0, "mesh.go.panic panic: no order");
  check_frames(c, 0, "handle main.go:6");
}

typedef struct name_case {
  const char *printed, *name;
} name_case;

static void a_function_is_named_by_its_last_component_and_a_closure_by_its_function(void) {
  static const name_case cases[] = {
      {"main.main()", "main"},
      {"github.com/shop/orders%2ev2.Load(0x1)", "Load"},
      {"main.(*Repo).load(...)", "load"},
      {"main.Repo.load({0x1, 0x2})", "load"},
      {"main.Map[...]({0x1, 0x2, 0x3})", "Map"},
      {"main.(*List[...]).Push(0x1)", "Push"},
      {"main.load.func1()", "load.func1"},
      {"main.(*Repo).load.func1.2()", "load.func1.2"},
      {"main.main.gowrap1()", "main.gowrap1"},
      {"main.glob..func9()", "glob..func9"},
      {"main.(*Repo).load-fm()", "load-fm"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    char text[256] = "panic: x\n\ngoroutine 1 [running]:\n";
    note("%s", cases[i].printed);
    strcat(text, cases[i].printed);
    strcat(text, "\n\t/src/a.go:1 +0x1\n");
    const mesh_crash *c = parse(go_parse, text);
    check_text(c->frames[0].function, strlen(c->frames[0].function), cases[i].name);
  }
}

static void elided_frames_are_counted(void) {
  const mesh_crash *c = parse(go_parse,
                              "fatal error: stack overflow\n\ngoroutine 1 [running]:\n"
                              "main.f(0x1)\n\t/src/a.go:1 +0x1\n...23 frames elided...\n"
                              "main.main()\n\t/src/a.go:9 +0x1\n");
  check_frames(c, 0, "f a.go:1 | main a.go:9 ... 23");
}

static void other_texts_are_not_taken(void) {
  check(!takes(go_parse, ""));
  check(!takes(go_parse, "panic: no order\n"));
  check(!takes(go_parse, "goroutine 1 [running]:\nmain.main()\n\t/src/a.go:1 +0x1\n"));
  check(!takes(go_parse,
               "goroutine 1 [running]:\nruntime/debug.Stack()\n\t/src/a.go:1 "
               "+0x1\nmain.main()\n\t/src/a.go:1\n"));
  check(!takes(go_parse, "Internal Server Error"));
}

static const test tests[] = {
    TEST(a_panic_has_its_message_and_its_goroutines_frames),
    TEST(what_the_runtime_raises_has_a_class_of_its_own),
    TEST(a_panic_that_replaced_another_comes_first),
    TEST(a_message_may_have_lines),
    TEST(only_the_first_goroutine_counts_without_its_creator),
    TEST(a_stack_printed_while_recovering_has_the_frames_of_the_panic),
    TEST(what_net_http_logs_is_a_panic_too),
    TEST(a_function_is_named_by_its_last_component_and_a_closure_by_its_function),
    TEST(elided_frames_are_counted),
    TEST(other_texts_are_not_taken),
};

SUITE(go);
