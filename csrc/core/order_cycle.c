/* The search for cycles in an order_graph. */
#include <string.h>

#include "core/order_graph.h"

typedef struct search {
  order_graph *g;
  uint32_t path[ORDER_MAX_DEPTH]; /* edges, each from where the one before leads */
  uint32_t length;
  uint32_t steps;
  uint16_t target;
  bool any;       /* cycles count that are not armed, or were found before */
  uint32_t found; /* any: the length of the cycle, whose edges `path` still has */
} search;

/* --- what makes a cycle a deadlock --- */

static const order_node *class_of(const order_graph *g, uint16_t node) {
  return &g->nodes[g->nodes[node].class];
}

/* Whether the edge may be part of a cycle at all. */
static bool counts(const search *s, const order_edge *e) {
  const order_node *from = class_of(s->g, e->from);
  return !e->allowed && !from->ignored && (from->armed || s->any);
}

/* Whether one task waits for what the other holds. */
static bool blocks(const order_edge *waiter, const order_edge *holder) {
  return !waiter->wants_reads || !holder->held_reads;
}

/* Whether no two tasks can be at these edges at the same time. */
static bool exclude_each_other(const order_edge *a, const order_edge *b) {
  for (uint32_t i = 0; i < a->gate_count; i++) {
    for (uint32_t j = 0; j < b->gate_count; j++) {
      bool same = (a->gates[i] | 1) == (b->gates[j] | 1);
      if (same && (a->gates[i] & b->gates[j] & 1) == 0) return true;
    }
  }
  return false;
}

static const order_edge *edge_at(const search *s, uint32_t place) {
  return &s->g->edges[s->path[place]];
}

/*
** Finds a task for the edge at `place`, if need be by giving other edges other tasks. (Kuhn 1955.)
**   taken_by  of each known task, in the order of edges: the place of the edge that has it, plus 1
*/
static bool find_task(const search *s, uint32_t place,
                      uint8_t taken_by[ORDER_MAX_DEPTH * ORDER_KNOWN_TASKS],
                      bool tried[ORDER_MAX_DEPTH * ORDER_KNOWN_TASKS]) {
  const order_edge *e = edge_at(s, place);
  for (uint32_t i = 0; i < e->task_count; i++) {
    uint32_t task = place * ORDER_KNOWN_TASKS + i;
    for (uint32_t j = 0; j < task; j++) { /* the first of the same id stands for all */
      const order_edge *other = edge_at(s, j / ORDER_KNOWN_TASKS);
      uint32_t nth = j % ORDER_KNOWN_TASKS;
      if (nth < other->task_count && other->task_count <= ORDER_KNOWN_TASKS &&
          other->tasks[nth] == e->tasks[i]) {
        task = j;
      }
    }
    if (tried[task]) continue;
    tried[task] = true;
    if (taken_by[task] == 0 || find_task(s, taken_by[task] - 1U, taken_by, tried)) {
      taken_by[task] = (uint8_t)(place + 1);
      return true;
    }
  }
  return false;
}

/* Whether different tasks were seen at the two edges, which may be one. */
static bool have_two_tasks(const order_edge *a, const order_edge *b) {
  return a->task_count > 1 || b->task_count > 1 || a->tasks[0] != b->tasks[0];
}

/* Whether two tasks can be at once where the edge leads from its node to itself. */
static bool meets_another(const order_graph *g, const order_edge *e) {
  for (uint32_t i = g->nodes[e->from].first_edge; i != 0; i = g->edges[i].next_out) {
    const order_edge *other = &g->edges[i];
    if (other->to != e->to || exclude_each_other(e, other)) continue;
    if (have_two_tasks(e, other)) return true;
  }
  return false;
}

/* Whether as many tasks were seen as there are edges, one for each. */
static bool has_enough_tasks(const search *s) {
  uint8_t taken_by[ORDER_MAX_DEPTH * ORDER_KNOWN_TASKS] = {0};
  if (s->length == 1) return edge_at(s, 0)->alone || meets_another(s->g, edge_at(s, 0));
  for (uint32_t i = 0; i < s->length; i++) {
    bool tried[ORDER_MAX_DEPTH * ORDER_KNOWN_TASKS] = {false};
    if (edge_at(s, i)->task_count > ORDER_KNOWN_TASKS) continue;
    if (!find_task(s, i, taken_by, tried)) return false;
  }
  return true;
}

/* --- the cycles that were found --- */

/* Cycles of locks of one class have one key, for the same code makes all of them. */
static uint64_t key_of_locks(uint16_t class) { return ~(uint64_t) class; }

/* The same wherever the cycle begins: a sum over its edges. */
static uint64_t key_of(const search *s) {
  const order_node *first = &s->g->nodes[edge_at(s, 0)->from];
  if (first->lock != 0) return key_of_locks(first->class);
  uint64_t key = s->length;
  for (uint32_t i = 0; i < s->length; i++) {
    const order_edge *e = edge_at(s, i);
    uint64_t hash = ((uint64_t)e->from << 16 | e->to) + 1;
    hash *= UINT64_C(0x9E3779B97F4A7C15);
    key += (hash ^ hash >> 29) * UINT64_C(0xBF58476D1CE4E5B9);
  }
  return key;
}

static bool was_found(const order_graph *g, uint64_t key) {
  for (uint32_t i = 0; i < g->cycle_count; i++) {
    if (g->cycles[i].key == key) return true;
  }
  return false;
}

/* Makes room for a cycle of so many edges. False: there is none. */
static bool reserve(order_graph *g, uint32_t length) {
  if (g->cycle_count == ORDER_MAX_CYCLES) return false;
  order_cycle *cycles =
      mem_reserve(g->memory, g->cycles, &g->cycle_room, g->cycle_count + 1, sizeof(order_cycle));
  if (cycles == NULL) return false;
  g->cycles = cycles;
  uint32_t *steps =
      mem_reserve(g->memory, g->steps, &g->step_room, g->step_count + length, sizeof(uint32_t));
  if (steps == NULL) return false;
  g->steps = steps;
  return true;
}

/* The path is a cycle. Returns whether the search has reached its end. */
static bool keep(search *s) {
  order_graph *g = s->g;
  if (s->any) {
    if (has_enough_tasks(s)) s->found = s->length;
    return s->found > 0;
  }
  uint64_t key = key_of(s);
  if (was_found(g, key) || !has_enough_tasks(s)) return false;
  if (!reserve(g, s->length)) {
    g->omitted.cycles++;
    return true;
  }
  uint32_t oldest = 0;
  for (uint32_t i = 1; i < s->length; i++) {
    if (s->path[i] < s->path[oldest]) oldest = i;
  }
  for (uint32_t i = 0; i < s->length; i++) {
    g->steps[g->step_count + i] = s->path[(oldest + i) % s->length];
  }
  g->cycles[g->cycle_count++] =
      (order_cycle){.key = key, .first = g->step_count, .length = s->length};
  g->step_count += s->length;
  return true;
}

/* --- the walk --- */

/* Whether the edge can follow the path. */
static bool follows(const search *s, const order_edge *e) {
  if (!counts(s, e) || !blocks(edge_at(s, s->length - 1), e)) return false;
  if (e->to != s->target && s->g->nodes[e->to].on_path) return false;
  for (uint32_t i = 0; i < s->length; i++) {
    if (exclude_each_other(edge_at(s, i), e)) return false;
  }
  return true;
}

/* Whether the path, whose last edge leads to `node`, is a cycle that counts, or can be made one. */
static bool go_on(search *s, uint16_t node) {
  order_graph *g = s->g;
  if (node == s->target) return blocks(edge_at(s, s->length - 1), edge_at(s, 0)) && keep(s);
  if (s->length == ORDER_MAX_DEPTH) return false;
  g->nodes[node].on_path = true;
  bool found = false;
  for (uint32_t i = g->nodes[node].first_edge; i != 0 && !found; i = g->edges[i].next_out) {
    if (++s->steps > ORDER_MAX_STEPS) break;
    if (!follows(s, &g->edges[i])) continue;
    s->path[s->length++] = i;
    found = go_on(s, g->edges[i].to);
    s->length--;
  }
  g->nodes[node].on_path = false;
  return found;
}

/* Whether edges that count lead from `from` to `to`, whatever their gates are. */
static bool leads_to(const search *s, uint16_t from, uint16_t to) {
  order_graph *g = s->g;
  g->walk++;
  g->nodes[from].mark = g->walk;
  g->nodes[from].queue = ORDER_NONE;
  uint16_t last = from;
  for (uint16_t node = from; node != ORDER_NONE; node = g->nodes[node].queue) {
    if (node == to) return true;
    for (uint32_t i = g->nodes[node].first_edge; i != 0; i = g->edges[i].next_out) {
      order_node *next = &g->nodes[g->edges[i].to];
      if (next->mark == g->walk || !counts(s, &g->edges[i])) continue;
      next->mark = g->walk;
      next->queue = ORDER_NONE;
      g->nodes[last].queue = g->edges[i].to;
      last = g->edges[i].to;
    }
  }
  return false;
}

/* Whether the search finds a cycle through the edge. */
static bool search_from(search *s, uint32_t edge) {
  const order_edge *e = &s->g->edges[edge];
  if (!counts(s, e) || !leads_to(s, e->to, e->from)) return false;
  s->path[0] = edge;
  s->length = 1;
  s->steps = 0;
  s->target = e->from;
  bool found = go_on(s, e->to);
  if (s->steps > ORDER_MAX_STEPS) s->g->omitted.searches++;
  return found;
}

bool order_search(order_graph *g, uint32_t edge) {
  const order_node *from = &g->nodes[g->edges[edge].from];
  if (from->lock != 0 && was_found(g, key_of_locks(from->class))) return false;
  search s;
  s.g = g;
  s.any = false;
  uint32_t known = g->cycle_count;
  return search_from(&s, edge) && g->cycle_count > known;
}

bool order_search_class(order_graph *g, uint16_t class) {
  bool found = false;
  for (uint32_t i = 1; i < g->edge_count; i++) {
    if (g->nodes[g->edges[i].from].class == class) found = order_search(g, i) || found;
  }
  return found;
}

uint32_t order_find_cycle(order_graph *g, uint16_t class, uint32_t steps[ORDER_MAX_DEPTH]) {
  search s;
  s.g = g;
  s.any = true;
  s.found = 0;
  for (uint32_t i = 1; i < g->edge_count; i++) {
    const order_edge *e = &g->edges[i];
    if (g->nodes[e->from].class != class || e->to == e->from || !search_from(&s, i)) continue;
    memcpy(steps, s.path, s.found * sizeof(uint32_t));
    return s.found;
  }
  return 0;
}

bool order_has_cycle(order_graph *g, uint16_t class) {
  uint32_t steps[ORDER_MAX_DEPTH];
  return order_find_cycle(g, class, steps) > 0;
}
