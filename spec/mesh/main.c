/* Runs all tests of mesh/ that need neither a proxy nor another language. */
#include "../core/harness.h"

extern const suite config_suite, continue_suite, go_suite, json_suite, jvm_suite, node_suite,
    normalise_suite, python_suite, rust_suite, streams_suite, text_suite;

static const suite *const suites[] = {
    &config_suite,    &continue_suite, &go_suite,   &json_suite,    &jvm_suite,  &node_suite,
    &normalise_suite, &python_suite,   &rust_suite, &streams_suite, &text_suite,
};

int main(int argc, char **argv) {
  return run_suites("mesh", suites, sizeof suites / sizeof suites[0], argc, argv);
}
