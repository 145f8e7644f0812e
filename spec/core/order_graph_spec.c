#include "core/order_graph.h"

#include "harness.h"
#include "memory.h"

enum { A, B, C, D };

static test_memory memory;
static order_graph graph;

static void set_up(void) {
  test_memory_init(&memory);
  order_init(&graph, &memory.allocator);
  for (uint16_t i = A; i <= D; i++) check_int(order_add_class(&graph, true), i);
}

static void tear_down(void) {
  order_free(&graph);
  check_int(memory.bytes, 0);
  check_int(memory.mismatches, 0);
}

/* A gate that only one task holds. */
static order_gate alone(uint32_t lock) { return lock * 2; }
static order_gate shared(uint32_t lock) { return lock * 2 + 1; }

/* Task `task` waits for `to` while it holds `from`, under one more gate (0: none). */
static uint32_t see(uint64_t task, uint16_t from, uint16_t to, order_gate gate) {
  order_gate gates[] = {alone(from + 1U), gate};
  return order_note(
      &graph,
      &(order_sighting){
          .from = from, .to = to, .task = task, .gates = gates, .gate_count = gate == 0 ? 1 : 2});
}

static uint32_t see_reading(uint64_t task, uint16_t from, bool held_reads, uint16_t to,
                            bool wants_reads) {
  return order_note(&graph, &(order_sighting){.from = from,
                                              .to = to,
                                              .held_reads = held_reads,
                                              .wants_reads = wants_reads,
                                              .task = task});
}

static void what_was_seen_before_is_not_new(void) {
  set_up();
  check_int(see(1, A, B, 0), 1);
  check_int(see(1, A, B, 0), 0);
  check_int(see(1, A, C, 0), 2);
  check_int(see(1, A, B, 0), 0);
  tear_down();
}

static void another_task_or_other_gates_are_new(void) {
  set_up();
  check_int(see(1, A, B, alone(9)), 1);
  check_int(see(2, A, B, alone(9)), 1);
  check_int(see(2, A, B, alone(9)), 0);
  check_int(see(2, A, B, alone(8)), 2);
  check_int(see(2, A, B, 0), 3);
  tear_down();
}

static void more_gates_of_a_known_task_are_not_new(void) {
  set_up();
  see(1, A, B, 0);
  check_int(see(1, A, B, alone(9)), 0);
  tear_down();
}

static void a_cycle_of_different_tasks_is_found_once(void) {
  set_up();
  uint32_t first = see(1, A, B, 0);
  check(!order_search(&graph, first));
  uint32_t second = see(2, B, A, 0);
  check(order_search(&graph, second));
  check(!order_search(&graph, second));
  check_int(graph.cycle_count, 1);
  check_int(graph.cycles[0].length, 2);
  check_int(graph.steps[graph.cycles[0].first], first);
  check_int(graph.steps[graph.cycles[0].first + 1], second);
  tear_down();
}

static void one_task_does_not_wait_for_itself(void) {
  set_up();
  see(1, A, B, 0);
  check(!order_search(&graph, see(1, B, A, 0)));
  check(order_search(&graph, see(2, A, B, 0)));
  tear_down();
}

static void a_cycle_needs_as_many_tasks_as_edges(void) {
  set_up();
  see(1, A, B, 0);
  see(2, B, C, 0);
  see(2, A, B, 0);
  check(!order_search(&graph, see(1, C, A, 0)));
  check(order_search(&graph, see(3, C, A, 0)));
  tear_down();
}

static void a_common_gate_makes_a_cycle_harmless(void) {
  set_up();
  see(1, A, B, alone(9));
  check(!order_search(&graph, see(2, B, A, alone(9))));
  check(order_search(&graph, see(3, B, A, alone(8))));
  tear_down();
}

static void readers_share_a_gate(void) {
  set_up();
  see(1, A, B, shared(9));
  check(order_search(&graph, see(2, B, A, shared(9))));
  see(1, C, D, shared(9));
  check(!order_search(&graph, see(2, D, C, alone(9))));
  tear_down();
}

static void readers_do_not_wait_for_readers(void) {
  set_up();
  see_reading(1, A, true, B, true);
  check(!order_search(&graph, see_reading(2, B, true, A, true)));
  check(!order_search(&graph, see_reading(2, B, true, A, false)));
  check(order_search(&graph, see_reading(1, A, true, B, false)));
  tear_down();
}

static void a_class_that_waits_for_itself_needs_two_tasks_without_a_common_gate(void) {
  set_up();
  order_sighting s = {.from = A, .to = A, .task = 1};
  order_gate gates[] = {alone(9)};
  s.gates = gates;
  s.gate_count = 1;
  check(!order_search(&graph, order_note(&graph, &s)));
  check(order_waits_for_itself(&graph, A));
  check(!order_has_cycle(&graph, A));
  s.task = 2;
  check(!order_search(&graph, order_note(&graph, &s)));
  s.gate_count = 0;
  check(order_search(&graph, order_note(&graph, &s)));
  tear_down();
}

static void only_armed_classes_make_cycles(void) {
  set_up();
  graph.nodes[A].armed = false;
  see(1, A, B, 0);
  check(!order_search(&graph, see(2, B, A, 0)));
  check(order_has_cycle(&graph, A));
  check(order_has_cycle(&graph, B));
  check(!order_has_cycle(&graph, C));
  graph.nodes[A].armed = true;
  check(order_search_class(&graph, A));
  tear_down();
}

static void ignored_classes_and_allowed_edges_make_none(void) {
  set_up();
  uint32_t edge = see(1, A, B, 0);
  graph.edges[edge].allowed = true;
  check(!order_search(&graph, see(2, B, A, 0)));
  see(1, C, D, 0);
  graph.nodes[D].ignored = true;
  check(!order_search(&graph, see(2, D, C, 0)));
  tear_down();
}

static void locks_of_one_class_have_nodes_of_their_own(void) {
  set_up();
  uint16_t first = order_lock_node(&graph, A, 7);
  uint16_t second = order_lock_node(&graph, A, 7 + ORDER_MAX_INSTANCES);
  check(first != second && first > D && second > D);
  check_int(order_lock_node(&graph, A, 7), first);
  check_int(graph.nodes[second].ordinal, 2);
  see(1, first, second, 0);
  check(order_search(&graph, see(2, second, first, 0)));
  tear_down();
}

static void the_longest_cycle_is_found_and_a_longer_one_is_not(void) {
  for (uint16_t length = ORDER_MAX_DEPTH; length <= ORDER_MAX_DEPTH + 1; length++) {
    set_up();
    while (graph.class_count < length) order_add_class(&graph, true);
    uint32_t last = 0;
    for (uint16_t i = 0; i < length; i++) last = see(i + 1U, i, (uint16_t)((i + 1) % length), 0);
    check(order_search(&graph, last) == (length == ORDER_MAX_DEPTH));
    tear_down();
  }
}

static void beyond_its_bounds_the_graph_counts(void) {
  set_up();
  while (graph.class_count < ORDER_MAX_CLASSES) check(order_add_class(&graph, true) != ORDER_NONE);
  check_int(order_add_class(&graph, true), ORDER_NONE);
  check_int(graph.omitted.classes, 1);
  for (uint32_t i = 1; i <= ORDER_MAX_INSTANCES; i++) order_lock_node(&graph, A, i);
  check_int(order_lock_node(&graph, A, ORDER_MAX_INSTANCES + 1), ORDER_NONE);
  check_int(graph.omitted.instances, 1);
  uint16_t from = 0;
  uint16_t to = 1;
  for (uint32_t i = 1; i <= ORDER_MAX_EDGES; i++) {
    check_int(see(1, from, to, 0), i);
    to++;
    if (to == ORDER_MAX_CLASSES) to = ++from + 1U;
  }
  check_int(see(1, from, to, 0), 0);
  check_int(graph.omitted.edges, 1);
  check_int(see(1, 0, 1, 0), 0);
  check_int(graph.omitted.edges, 1);
  tear_down();
}

static void the_gates_of_many_variants_are_merged(void) {
  set_up();
  for (uint32_t i = 0; i < ORDER_MAX_VARIANTS; i++) check(see(1, A, B, alone(20 + i)) != 0);
  check(see(1, A, B, alone(50)) != 0);
  check_int(graph.edge_count - 1, ORDER_MAX_VARIANTS);
  check_int(see(1, A, B, alone(51)), 0);
  check(order_search(&graph, see(2, B, A, alone(20))));
  tear_down();
}

static void a_search_gives_up_after_its_steps(void) {
  set_up();
  enum { WIDTH = 12 };
  while (graph.class_count < WIDTH) order_add_class(&graph, true);
  for (uint16_t from = 0; from < WIDTH; from++) { /* one task, so that no way round is a cycle */
    for (uint16_t to = 0; to < WIDTH; to++) {
      if (from != to) see(1, from, to, 0);
    }
  }
  check(!order_search(&graph, 1));
  check_int(graph.omitted.searches, 1);
  tear_down();
}

static void without_memory_nothing_is_noted_and_it_is_counted(void) {
  set_up();
  memory.fail_after = 0;
  check_int(see(1, A, B, 0), 0);
  check_int(graph.omitted.edges, 1);
  check_int(order_lock_node(&graph, A, 1), ORDER_NONE);
  check_int(graph.omitted.instances, 1);
  memory.fail_after = -1;
  see(1, A, B, 0);
  uint32_t edge = see(2, B, A, 0);
  memory.fail_after = 0;
  check(!order_search(&graph, edge));
  check_int(graph.omitted.cycles, 1);
  memory.fail_after = -1;
  check(order_search(&graph, edge));
  tear_down();
}

static const test tests[] = {
    TEST(what_was_seen_before_is_not_new),
    TEST(another_task_or_other_gates_are_new),
    TEST(more_gates_of_a_known_task_are_not_new),
    TEST(a_cycle_of_different_tasks_is_found_once),
    TEST(one_task_does_not_wait_for_itself),
    TEST(a_cycle_needs_as_many_tasks_as_edges),
    TEST(a_common_gate_makes_a_cycle_harmless),
    TEST(readers_share_a_gate),
    TEST(readers_do_not_wait_for_readers),
    TEST(a_class_that_waits_for_itself_needs_two_tasks_without_a_common_gate),
    TEST(only_armed_classes_make_cycles),
    TEST(ignored_classes_and_allowed_edges_make_none),
    TEST(locks_of_one_class_have_nodes_of_their_own),
    TEST(the_longest_cycle_is_found_and_a_longer_one_is_not),
    TEST(beyond_its_bounds_the_graph_counts),
    TEST(the_gates_of_many_variants_are_merged),
    TEST(a_search_gives_up_after_its_steps),
    TEST(without_memory_nothing_is_noted_and_it_is_counted),
};

SUITE(order_graph);
