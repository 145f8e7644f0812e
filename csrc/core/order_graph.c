#include "core/order_graph.h"

#include <string.h>

void order_init(order_graph *g, const allocator *memory) {
  *g = (order_graph){.memory = memory, .edge_count = 1};
}

void order_free(order_graph *g) {
  const allocator *memory = g->memory;
  mem_free(memory, g->nodes, g->node_room * sizeof(order_node));
  mem_free(memory, g->edges, g->edge_room * sizeof(order_edge));
  mem_free(memory, g->buckets, g->edge_room * sizeof(uint32_t));
  mem_free(memory, g->locks, ORDER_MAX_INSTANCES * sizeof(uint16_t));
  mem_free(memory, g->cycles, g->cycle_room * sizeof(order_cycle));
  mem_free(memory, g->steps, g->step_room * sizeof(uint32_t));
  order_init(g, memory);
}

/* --- nodes --- */

/* Returns the number of a new node; ORDER_NONE: there is no memory. */
static uint16_t add_node(order_graph *g, order_node node) {
  order_node *nodes =
      mem_reserve(g->memory, g->nodes, &g->node_room, g->node_count + 1, sizeof(order_node));
  if (nodes == NULL) return ORDER_NONE;
  g->nodes = nodes;
  g->nodes[g->node_count] = node;
  return (uint16_t)g->node_count++;
}

uint16_t order_add_class(order_graph *g, bool armed) {
  uint16_t number = ORDER_NONE;
  if (g->class_count < ORDER_MAX_CLASSES) number = add_node(g, (order_node){.armed = armed});
  if (number == ORDER_NONE) {
    g->omitted.classes++;
    return ORDER_NONE;
  }
  g->nodes[number].class = number;
  g->class_count++;
  return number;
}

/* Makes the buckets of the nodes of locks. False: there is no memory. */
static bool make_buckets(order_graph *g) {
  if (g->locks != NULL) return true;
  g->locks = mem_new(g->memory, ORDER_MAX_INSTANCES * sizeof(uint16_t));
  for (uint32_t i = 0; g->locks != NULL && i < ORDER_MAX_INSTANCES; i++) g->locks[i] = ORDER_NONE;
  return g->locks != NULL;
}

uint16_t order_lock_node(order_graph *g, uint16_t class, uint32_t lock) {
  uint32_t bucket = lock % ORDER_MAX_INSTANCES;
  uint32_t known = g->locks == NULL ? ORDER_NONE : g->locks[bucket];
  while (known != ORDER_NONE && g->nodes[known].lock != lock) known = g->nodes[known].next;
  if (known != ORDER_NONE) return (uint16_t)known;
  uint16_t number = ORDER_NONE;
  if (g->instance_count < ORDER_MAX_INSTANCES && make_buckets(g)) {
    number = add_node(g, (order_node){.class = class, .lock = lock, .next = g->locks[bucket]});
  }
  if (number == ORDER_NONE) {
    g->omitted.instances++;
    return ORDER_NONE;
  }
  g->nodes[number].ordinal = ++g->nodes[class].ordinal;
  g->locks[bucket] = number;
  g->instance_count++;
  return number;
}

/* --- edges --- */

static uint32_t bucket_of(const order_graph *g, uint16_t from, uint16_t to) {
  uint32_t hash = ((uint32_t)from << 16 | to) * UINT32_C(0x9E3779B1);
  return (hash >> 15) & (g->edge_room - 1);
}

static void enter_bucket(order_graph *g, uint32_t number) {
  order_edge *e = &g->edges[number];
  uint32_t *bucket = &g->buckets[bucket_of(g, e->from, e->to)];
  e->next_bucket = *bucket;
  *bucket = number;
}

/* Makes room for one more edge. False: there is none. */
static bool reserve_edge(order_graph *g) {
  if (g->edge_count > ORDER_MAX_EDGES) return false;
  if (g->edge_count < g->edge_room) return true;
  uint32_t room = g->edge_room == 0 ? MEM_FIRST_ROOM : g->edge_room * 2;
  uint32_t *buckets = mem_new(g->memory, room * sizeof(uint32_t));
  if (buckets == NULL) return false;
  order_edge *edges =
      mem_resize(g->memory, g->edges, g->edge_room * sizeof(order_edge), room * sizeof(order_edge));
  if (edges == NULL) {
    mem_free(g->memory, buckets, room * sizeof(uint32_t));
    return false;
  }
  mem_free(g->memory, g->buckets, g->edge_room * sizeof(uint32_t));
  memset(buckets, 0, room * sizeof(uint32_t));
  g->edges = edges;
  g->buckets = buckets;
  g->edge_room = room;
  for (uint32_t i = 1; i < g->edge_count; i++) enter_bucket(g, i);
  return true;
}

static uint32_t kept_gates(const order_sighting *s) {
  return s->gate_count < ORDER_MAX_GATES ? s->gate_count : ORDER_MAX_GATES;
}

/* Whether the task of the sighting has a gate that excludes at least as much. */
static bool has_gate(const order_sighting *s, order_gate gate) {
  for (uint32_t i = 0; i < s->gate_count; i++) {
    if (s->gates[i] == gate || s->gates[i] == (gate & ~UINT32_C(1))) return true;
  }
  return false;
}

static bool has_all_gates(const order_sighting *s, const order_edge *e) {
  for (uint32_t i = 0; i < e->gate_count; i++) {
    if (!has_gate(s, e->gates[i])) return false;
  }
  return true;
}

static bool knows_task(const order_edge *e, uint64_t task) {
  if (e->task_count > ORDER_KNOWN_TASKS) return true;
  for (uint32_t i = 0; i < e->task_count; i++) {
    if (e->tasks[i] == task) return true;
  }
  return false;
}

/* Returns whether that is new. */
static bool add_task(order_edge *e, uint64_t task) {
  if (knows_task(e, task)) return false;
  if (e->task_count < ORDER_KNOWN_TASKS) e->tasks[e->task_count] = task;
  e->task_count++;
  return true;
}

/* Leaves the edge those gates that the sighting has too. Returns whether that changes the edge. */
static bool merge(order_edge *e, const order_sighting *s) {
  uint32_t kept = 0;
  for (uint32_t i = 0; i < e->gate_count; i++) {
    order_gate gate = e->gates[i];
    if (!has_gate(s, gate)) gate |= 1; /* it may have it to read */
    if (has_gate(s, gate)) e->gates[kept++] = gate;
  }
  bool changed = kept < e->gate_count;
  e->gate_count = (uint8_t)kept;
  return add_task(e, s->task) || changed;
}

static uint32_t add_edge(order_graph *g, const order_sighting *s) {
  bool of_locks = g->nodes[s->from].lock != 0;
  if ((of_locks && g->lock_edge_count == ORDER_MAX_LOCK_EDGES) || !reserve_edge(g)) {
    g->omitted.edges++;
    return 0;
  }
  g->lock_edge_count += of_locks;
  uint32_t number = g->edge_count++;
  order_node *from = &g->nodes[s->from];
  order_edge *e = &g->edges[number];
  *e = (order_edge){.from = s->from,
                    .to = s->to,
                    .held_reads = s->held_reads,
                    .wants_reads = s->wants_reads,
                    .alone = s->alone,
                    .gate_count = (uint8_t)kept_gates(s),
                    .task_count = 1,
                    .tasks = {s->task},
                    .next_out = from->first_edge};
  for (uint32_t i = 0; i < e->gate_count; i++) e->gates[i] = s->gates[i];
  from->first_edge = number;
  enter_bucket(g, number);
  return number;
}

static bool is_between(const order_edge *e, const order_sighting *s) {
  return e->from == s->from && e->to == s->to && e->held_reads == s->held_reads &&
         e->wants_reads == s->wants_reads && e->alone == s->alone;
}

uint32_t order_note(order_graph *g, const order_sighting *s) {
  uint32_t variants = 0;
  uint32_t same = 0; /* the edge with the same gates */
  uint32_t last = 0;
  uint32_t number = g->edge_room == 0 ? 0 : g->buckets[bucket_of(g, s->from, s->to)];
  for (; number != 0; number = g->edges[number].next_bucket) {
    const order_edge *e = &g->edges[number];
    if (!is_between(e, s)) continue;
    variants++;
    last = number;
    if (!has_all_gates(s, e)) continue;
    if (knows_task(e, s->task)) return 0;
    if (e->gate_count == kept_gates(s)) same = number;
  }
  if (same != 0) {
    add_task(&g->edges[same], s->task);
    return same;
  }
  if (variants < ORDER_MAX_VARIANTS) return add_edge(g, s);
  return merge(&g->edges[last], s) ? last : 0;
}

bool order_waits_for_itself(const order_graph *g, uint16_t class) {
  if (g->nodes[class].ignored) return false;
  for (uint32_t i = g->nodes[class].first_edge; i != 0; i = g->edges[i].next_out) {
    if (g->edges[i].to == class && !g->edges[i].allowed) return true;
  }
  return false;
}
