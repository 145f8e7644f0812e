/* Runs all tests of csrc/core. */
#include "harness.h"

extern const suite baggage_suite, base_suite, clock_suite, hex_suite, id_suite, list_suite,
    mailbox_suite, order_graph_suite, owned_memory_suite, poller_suite;
extern const suite random_suite, fifo_suite, sampling_suite, slots_suite, stack_hash_suite,
    ticker_suite, timer_suite, traceparent_suite, tracestate_suite, tracestate_member_suite,
    wakeup_suite;

static const suite *const suites[] = {
    &baggage_suite,      &base_suite,        &clock_suite,      &hex_suite,
    &id_suite,           &list_suite,        &mailbox_suite,    &order_graph_suite,
    &owned_memory_suite, &poller_suite,      &random_suite,     &fifo_suite,
    &sampling_suite,     &slots_suite,       &stack_hash_suite, &ticker_suite,
    &timer_suite,        &traceparent_suite, &tracestate_suite, &tracestate_member_suite,
    &wakeup_suite,
};

int main(int argc, char **argv) {
  return run_suites("core", suites, sizeof suites / sizeof suites[0], argc, argv);
}
