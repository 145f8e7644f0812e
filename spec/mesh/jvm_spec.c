#include <string.h>

#include "crashes.h"

static const char UNCAUGHT[] =
    "Exception in thread \"main\" java.lang.RuntimeException: order failed\n"
    "\tat shop.Orders.load(Orders.kt:4)\n"
    "\tat java.base/java.util.ArrayList.forEach(ArrayList.java:1511)\n"
    "\tat shop.MainKt.main(Main.kt)\n"
    "\tSuppressed: java.lang.IllegalStateException: close\n"
    "\t\tat shop.Res.close(Res.java:2)\n"
    "\t\t... 3 more\n"
    "\tCaused by: java.io.IOException: of the suppressed\n"
    "\t\tat shop.Res.flush(Res.java:7)\n"
    "Caused by: java.lang.NullPointerException: Cannot invoke \"String.length()\"\n"
    "\tat shop.Orders.inner(Orders.kt:30)\n"
    "\t... 3 more\n"
    "Caused by: shop.Errors$NoOrder\n"
    "\tat shop.Orders.find(Orders.kt:41)\n"
    "\t... 4 more\n";

static void a_throwable_has_its_frames_its_causes_and_what_it_suppressed(void) {
  const mesh_crash *c = parse(jvm_parse, UNCAUGHT);
  check_int(c->language, MESH_JVM);
  check_int(c->error_count, 4);
  check_error(c, 0, "mesh.jvm.RuntimeException java.lang.RuntimeException: order failed");
  check_frames(c, 0, "load Orders.kt:4 | forEach ArrayList.java:1511 | main Main.kt:0");
  check_error(c, 1, "mesh.jvm.IllegalStateException java.lang.IllegalStateException: close");
  check_int(c->errors[1].relation, ERROR_SUPPRESSED);
  check_error(c, 2,
              "mesh.jvm.NullPointerException java.lang.NullPointerException: Cannot invoke "
              "\"String.length()\"");
  check_int(c->errors[2].relation, ERROR_CAUSE);
  check_frames(c, 2, "inner Orders.kt:30 ... 3");
  check_error(c, 3, "mesh.jvm.Errors_NoOrder shop.Errors$NoOrder: ");
  check_frames(c, 3, "find Orders.kt:41 ... 4");
}

static void a_message_may_have_lines(void) {
  const mesh_crash *c =
      parse(jvm_parse, "shop.Bad: first\n  second\n\nthird\n\tat shop.A.f(A.java:1)\n");
  check_error(c, 0, "mesh.jvm.Bad shop.Bad: first\n  second\n\nthird");
}

static void lines_of_a_log_may_stand_before_it(void) {
  const mesh_crash *c = parse(
      jvm_parse,
      "2026-11-28 ERROR 1 --- [nio-8080] o.a.c.c.C.[dispatcherServlet] : Servlet.service()\r\n"
      "\r\n"
      "java.lang.IllegalArgumentException: no order\r\n"
      "\tat shop.A.f(A.java:1) ~[classes/:na]\r\n"
      "\tat shop.A.g(A.java:2) [shop-1.0.jar:1.0]\r\n");
  check_error(c, 0,
              "mesh.jvm.IllegalArgumentException java.lang.IllegalArgumentException: no order");
  check_frames(c, 0, "f A.java:1 | g A.java:2");
}

static void classes_of_no_package_count_where_a_thread_or_a_cause_is_named(void) {
  const mesh_crash *c =
      parse(jvm_parse,
            "Exception in thread \"a \"b\"\" NoOrder: x\n\tat Crash.main(Crash.java:1)\n"
            "Caused by: Gone\n\tat Crash.f(Crash.java:2)\n"
            "Caused by: [CIRCULAR REFERENCE: NoOrder: x]\n");
  check_error(c, 0, "mesh.jvm.NoOrder NoOrder: x");
  check_error(c, 1, "mesh.jvm.Gone Gone: ");
  check_int(c->error_count, 2);
  check(takes(jvm_parse, "Crash$NoOrder: x\n\tat Crash.main(Crash.java:1)\n"));
  check(!takes(jvm_parse, "NoOrder: x\n\tat Crash.main(Crash.java:1)\n"));
}

static void native_methods_are_c_and_unknown_sources_have_no_module(void) {
  const mesh_crash *c =
      parse(jvm_parse,
            "java.lang.Error\n"
            "\tat java.base/jdk.internal.reflect.NativeMethodAccessorImpl.invoke0(Native Method)\n"
            "\tat shop.A$$Lambda$14/0x0000000800c031f0.run(Unknown Source)\n"
            "\tat app//shop.A.<init>(A.java:3)\n");
  check_frames(c, 0, "invoke0 [C]:0 | run ?:0 | <init> A.java:3");
  check(c->errors[0].hash.value != c->errors[0].hash_full.value);
}

static void other_texts_are_not_taken(void) {
  check(!takes(jvm_parse, ""));
  check(!takes(jvm_parse, "java.lang.RuntimeException: order failed\n"));
  check(!takes(jvm_parse, "\tat shop.A.f(A.java:1)\n"));
  check(!takes(jvm_parse, "TypeError: no order\n    at Repo.load (/src/repo.js:1:75)\n"));
}

static const test tests[] = {
    TEST(a_throwable_has_its_frames_its_causes_and_what_it_suppressed),
    TEST(a_message_may_have_lines),
    TEST(lines_of_a_log_may_stand_before_it),
    TEST(classes_of_no_package_count_where_a_thread_or_a_cause_is_named),
    TEST(native_methods_are_c_and_unknown_sources_have_no_module),
    TEST(other_texts_are_not_taken),
};

SUITE(jvm);
