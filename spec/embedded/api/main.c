/* Runs the specs of the C API (csrc/coropanic.h). */
#include "../../core/harness.h"

extern const suite backend_suite, panic_suite, preempt_suite, step_suite, task_suite, thread_suite,
    trace_suite, wait_suite;

static const suite *const suites[] = {
    &task_suite,  &wait_suite, &thread_suite,  &panic_suite,
    &trace_suite, &step_suite, &backend_suite, &preempt_suite,
};

int main(int argc, char **argv) {
  return run_suites("api", suites, sizeof suites / sizeof suites[0], argc, argv);
}
