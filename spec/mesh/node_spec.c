#include <string.h>

#include "crashes.h"

static const char STACK[] =
    "TypeError: no order\n"
    "    at Repo.load (/src/shop/Repo.js:4:75)\n"
    "    at async handle (file:///src/shop/main.mjs:5:12)\n"
    "    at Object.<anonymous> (/src/shop/main.js:5:12)\n"
    "    at Module._compile (node:internal/modules/cjs/loader:1521:14)\n"
    "    at node:internal/main/run_main_module:28:49\n";

static const char FRAMES[] =
    "load Repo.js:4 | handle main.mjs:5 | <anonymous> main.js:5 | _compile loader:1521 | ? "
    "run_main_module:28";

static void an_errors_stack_has_its_type_message_and_frames(void) {
  const mesh_crash *c = parse(node_parse, STACK);
  check_int(c->language, MESH_NODE);
  check_error(c, 0, "mesh.node.TypeError TypeError: no order");
  check_frames(c, 0, FRAMES);
}

static const char UNCAUGHT[] =
    "/src/shop/Repo.js:4\n"
    "  throw new TypeError('no order', { cause })\n"
    "  ^\n"
    "\n"
    "TypeError: no order\n"
    "    at Repo.load (/src/shop/Repo.js:4:75)\n"
    "    at async handle (file:///src/shop/main.mjs:5:12)\n"
    "    ... 2 lines matching cause stack trace ...\n"
    "    at node:internal/main/run_main_module:28:49 {\n"
    "  code: 'E_ORDER',\n"
    "  [cause]: SyntaxError: Unexpected token\n"
    "  in JSON\n"
    "      at JSON.parse (<anonymous>)\n"
    "      at async handle (file:///src/shop/main.mjs:5:12)\n"
    "      at Object.<anonymous> (/src/shop/main.js:5:12)\n"
    "      at Module._compile (node:internal/modules/cjs/loader:1521:14)\n"
    "      at node:internal/main/run_main_module:28:49 {\n"
    "    [cause]: 'a text'\n"
    "  }\n"
    "}\n"
    "\n"
    "Node.js v20.20.2\n";

static void an_uncaught_error_has_its_cause_and_the_hash_of_its_stack(void) {
  uint64_t hash = parse(node_parse, STACK)->errors[0].hash.value;
  const mesh_crash *c = parse(node_parse, UNCAUGHT);
  check_error(c, 0, "mesh.node.TypeError TypeError: no order");
  check_frames(c, 0, FRAMES);
  check_hex(c->errors[0].hash.value, hash);
  check_int(c->error_count, 2);
  check_error(c, 1, "mesh.node.SyntaxError SyntaxError: Unexpected token\n  in JSON");
  check_frames(c, 1,
               "parse [C]:0 | handle main.mjs:5 | <anonymous> main.js:5 | _compile loader:1521 | ? "
               "run_main_module:28");
}

static void an_aggregates_errors_are_suppressed_ones(void) {
  const mesh_crash *c = parse(node_parse,
                              "AggregateError: all failed\n"
                              "    at all (/src/a.js:3:36) {\n"
                              "  [errors]: [\n"
                              "    Error: a\n"
                              "        at f (/src/a.js:1:56),\n"
                              "    RangeError [ERR_OUT]: b\n"
                              "        at g (/src/a.js:2:72)\n"
                              "  ]\n"
                              "}\n");
  check_error(c, 0, "mesh.node.AggregateError AggregateError: all failed");
  check_frames(c, 0, "all a.js:3");
  check_int(c->error_count, 3);
  check_error(c, 1, "mesh.node.Error Error: a");
  check_error(c, 2, "mesh.node.RangeError RangeError: b");
  check_int(c->errors[2].relation, ERROR_SUPPRESSED);
}

static void call_sites_have_many_forms(void) {
  const mesh_crash *c = parse(node_parse,
                              "Failed\n"
                              "    at new Repo (C:\\src\\Repo.js:1:2)\n"
                              "    at Repo.make [as create] (/src/a.js:3:4)\n"
                              "    at eval (eval at run (/src/a.js:1:1), <anonymous>:1:7)\n"
                              "    at async Promise.all (index 0)\n"
                              "    at wasm://wasm/0042:1\n");
  check_error(c, 0, "mesh.node.Failed Failed: ");
  check_frames(c, 0, "Repo Repo.js:1 | make a.js:3 | eval [string]:0 | all [C]:0 | ? [C]:0");
}

static void other_texts_are_not_taken(void) {
  check(!takes(node_parse, ""));
  check(!takes(node_parse, "TypeError: no order\n"));
  check(!takes(node_parse, "    at Repo.load (/src/shop/Repo.js:4:75)\n"));
  check(!takes(node_parse, "default: throw\n    at Repo.load (/src/shop/Repo.js:4:75)\n"));
  check(!takes(node_parse, "java.lang.Error\n\tat shop.A.f(A.java:1)\n"));
}

static const test tests[] = {
    TEST(an_errors_stack_has_its_type_message_and_frames),
    TEST(an_uncaught_error_has_its_cause_and_the_hash_of_its_stack),
    TEST(an_aggregates_errors_are_suppressed_ones),
    TEST(call_sites_have_many_forms),
    TEST(other_texts_are_not_taken),
};

SUITE(node);
