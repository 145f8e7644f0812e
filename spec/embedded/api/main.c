/* Runs the specs of the C API (csrc/coropanic.h). */
#include "../../core/harness.h"

extern const suite preempt_suite, task_suite, thread_suite, wait_suite;

static const suite *const suites[] = {&task_suite, &wait_suite, &thread_suite, &preempt_suite};

int main(void) { return run_suites("api", suites, sizeof suites / sizeof suites[0]); }
