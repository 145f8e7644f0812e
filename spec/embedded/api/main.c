/* Runs the specs of the C API (csrc/coropanic.h). */
#include <string.h>

#include "../../core/harness.h"

extern const suite host_backend_suite, panic_suite, preempt_suite, step_suite, task_suite,
    thread_suite, trace_suite, wait_suite;

static const suite *const suites[] = {
    &task_suite,  &wait_suite, &thread_suite,       &panic_suite,
    &trace_suite, &step_suite, &host_backend_suite, &preempt_suite,
};

/* With `--without name` all but that suite. */
int main(int argc, char **argv) {
  const suite *chosen[sizeof suites / sizeof suites[0]];
  size_t count = 0;
  const char *without = argc == 3 && strcmp(argv[1], "--without") == 0 ? argv[2] : "";
  for (size_t i = 0; i < sizeof suites / sizeof suites[0]; i++) {
    if (strcmp(suites[i]->name, without) != 0) chosen[count++] = suites[i];
  }
  return run_suites("api", chosen, count);
}
