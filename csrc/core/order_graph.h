/*
** Which locks are waited for while which others are held: a graph whose cycles are deadlocks that can
** happen, whether one has happened or not.
**
** A node is a class of locks, all those made at one place, or one lock of a class of which a task has
** held two at once. An edge from A to B says that a task has waited for B, or taken it, while it held A.
** Each edge has its gates: the locks that no other task could hold at that moment. A cycle is no
** deadlock if two of its edges have a gate in common, for they exclude each other; nor if fewer tasks
** than edges have been seen on it; nor through a lock that both tasks only read.
** Sources: Linux, kernel/locking/lockdep.c; Havelund, "Using runtime analysis to guide model checking
** of Java programs", SPIN 2000, and Bensalem and Havelund, "Dynamic deadlock analysis of multi-threaded
** programs", HVC 2005, for gates and for the tasks of a cycle.
*/
#ifndef CP_CORE_ORDER_GRAPH_H
#define CP_CORE_ORDER_GRAPH_H

#include <stdbool.h>

#include "core/base.h"

#pragma GCC visibility push(hidden)

/* Bounds. What is beyond them is counted in order_graph.omitted. */
#define ORDER_MAX_CLASSES 1024
#define ORDER_MAX_INSTANCES 1024 /* nodes of single locks, besides those of classes */
#define ORDER_MAX_EDGES 16384
#define ORDER_MAX_LOCK_EDGES 8192 /* of these, between single locks: the others are for classes */
#define ORDER_MAX_DEPTH 100       /* locks that one task holds at once, and edges of a cycle */
#define ORDER_MAX_CYCLES 256      /* that are reported */
#define ORDER_MAX_STEPS 10000     /* of one search */
#define ORDER_MAX_GATES 8         /* kept of an edge */
#define ORDER_MAX_VARIANTS 8      /* edges between the same nodes, with other gates */
#define ORDER_KNOWN_TASKS 3       /* kept of an edge; with one more it is taken for any task's */
#define ORDER_NONE 0x7FFF         /* instead of the number of a node */

/* The number of a lock, twice, plus 1 if the task only reads. No two locks have the same number. */
typedef uint32_t order_gate;

typedef struct order_node {
  uint32_t first_edge; /* of those that leave it; 0: none */
  uint32_t lock;       /* the number of the one lock; 0: it is a class */
  uint32_t next;       /* nodes of locks: the next in the bucket; ORDER_NONE: none */
  uint32_t mark;       /* the last walk that has been here */
  uint16_t class;      /* its own number, or that of the lock's class */
  uint16_t ordinal;    /* of a lock's node in its class, from 1; of a class: the last one given */
  uint16_t queue;      /* the next node in a walk */
  /*
  ** Classes. Armed: what holds it is really waited for, so that its edges count. Ignored: it is no
  ** lock, so that they never do.
  */
  bool armed;
  bool ignored;
  bool on_path;
} order_node;

/* The first sight of an edge. Places are numbers of the caller's. */
typedef struct order_sight {
  uint64_t task;
  int64_t time_ns;
  uint16_t held_at; /* where the task took what it held */
  uint16_t at;      /* where it waited */
  uint8_t trace_id[16];
} order_sight;

typedef struct order_edge {
  uint32_t next_out;    /* of the same node; 0: none */
  uint32_t next_bucket; /* 0: none */
  uint16_t from;
  uint16_t to;
  uint8_t gate_count;
  uint8_t task_count; /* ORDER_KNOWN_TASKS + 1: any */
  bool held_reads;    /* what was held was only read */
  bool wants_reads;
  bool alone;   /* of a node to itself: one task suffices for the deadlock */
  bool allowed; /* by the user: no cycle goes through it */
  order_gate gates[ORDER_MAX_GATES];
  uint64_t tasks[ORDER_KNOWN_TASKS];
  order_sight sight;
} order_edge;

typedef struct order_cycle {
  uint64_t key; /* the same for each search that finds these nodes, or other locks of their class */
  uint32_t first; /* in order_graph.steps; the oldest edge comes first */
  uint32_t length;
} order_cycle;

typedef struct order_omitted {
  uint64_t classes;
  uint64_t instances;
  uint64_t edges;
  uint64_t cycles;
  uint64_t searches; /* given up after ORDER_MAX_STEPS */
} order_omitted;

typedef struct order_graph {
  const allocator *memory;
  order_node *nodes;
  order_edge *edges; /* the first is not used */
  uint32_t *buckets; /* of edges, by their nodes; as many as there is room for edges */
  uint16_t *locks;   /* nodes of locks, by the number of the lock; ORDER_MAX_INSTANCES buckets */
  order_cycle *cycles;
  uint32_t *steps; /* edges of the cycles */
  uint32_t node_count, node_room;
  uint32_t class_count, instance_count;
  uint32_t edge_count, edge_room; /* with the first */
  uint32_t lock_edge_count;
  uint32_t cycle_count, cycle_room;
  uint32_t step_count, step_room;
  uint32_t walk;
  order_omitted omitted;
} order_graph;

/* What a task does that holds something. */
typedef struct order_sighting {
  uint16_t from; /* what it holds */
  uint16_t to;   /* what it waits for */
  bool held_reads;
  bool wants_reads;
  bool alone;
  uint64_t task;
  const order_gate *gates; /* all it holds that only one task can hold, or that it reads */
  uint32_t gate_count;
} order_sighting;

/* Begins without nodes and without memory; `memory` must outlive the graph. */
void order_init(order_graph *g, const allocator *memory);

/* Frees the memory; the graph is empty afterwards, and counts from 0 again. */
void order_free(order_graph *g);

/* Adds a class and returns its number. ORDER_NONE: there is no room or no memory; it was counted. */
uint16_t order_add_class(order_graph *g, bool armed);

/* Returns the node of the lock of this class, which is made now if there is none. ORDER_NONE: as above. */
uint16_t order_lock_node(order_graph *g, uint16_t class, uint32_t lock);

/*
** Notes what a task does. Returns the number of the edge if it is new, or if it says more than before:
** then search for cycles through it. 0: nothing new.
*/
uint32_t order_note(order_graph *g, const order_sighting *s);

/*
** Searches for a cycle through the edge that was not found before, and adds it to the cycles. False:
** there is none, or there is no room for it.
*/
bool order_search(order_graph *g, uint32_t edge);

/* The same for all edges that leave the class and its locks: call it when the class was armed. */
bool order_search_class(order_graph *g, uint16_t class);

/*
** Whether any cycle goes through the class, be its classes armed or not. A cycle of one edge, from the
** class to itself, does not count.
*/
bool order_has_cycle(order_graph *g, uint16_t class);

/* The same: returns the number of its edges, and writes which they are; 0: there is none. */
uint32_t order_find_cycle(order_graph *g, uint16_t class, uint32_t steps[ORDER_MAX_DEPTH]);

/* Whether an edge leads from the class to itself, so that tasks hold some of it and wait for more. */
bool order_waits_for_itself(const order_graph *g, uint16_t class);

#pragma GCC visibility pop

#endif
