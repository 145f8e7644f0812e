#include "sync/order.h"

#include <string.h>

#include "core/clock.h"
#include "kernel/stack.h"

/* The greatest number of an object: a gate has one more bit. */
#define LAST_LOCK INT32_MAX

const order_kind order_of_lock = {
    .verb = "locks", .reads = "read-locks", .holding = "holding", .armed = true};
const order_kind order_of_permits = {
    .verb = "acquires", .holding = "holding", .waits_for_itself = true};
const order_kind order_of_once = {.verb = "calls", .holding = "running", .armed = true};
const order_kind order_of_channel = {
    .verb = "sends to", .holding = "receiving from", .waits_for_itself = true};

/* --- on and off --- */

order *order_make(runtime *rt, lua_State *L) {
  if (rt->lock_order_made != NULL) return rt->lock_order_made;
  order *o = mem_new(&rt->memory, sizeof(order));
  if (o == NULL) luaL_error(L, "not enough memory");
  memset(o, 0, sizeof(order));
  o->runtime = rt;
  o->name_count = o->held_count = 1;
  order_init(&o->graph, &rt->memory);
  order_reset(o);
  rt->lock_order_made = o;
  return o;
}

order *order_start(runtime *rt, lua_State *L) {
  rt->lock_order = order_make(rt, L);
  rt->notes_makers = true;
  return rt->lock_order;
}

/* What tasks give back while it is off it does not hear. */
static void let_all_go(order *o) {
  o->held_count = 1;
  o->free_held = 0;
  for (uint32_t i = 0; i < o->holder_room; i++) o->holders[i] = (order_holder){0};
}

void order_stop(runtime *rt) {
  rt->lock_order = NULL;
  if (rt->lock_order_made != NULL) let_all_go(rt->lock_order_made);
}

void order_reset(order *o) {
  order_free(&o->graph);
  o->told = 0;
  o->first_lock = o->last_lock + 1;
  o->ignored = o->omitted_held = 0;
  let_all_go(o);
  for (uint32_t i = 0; i < ORDER_PLACES; i++) o->places[i] = ORDER_NONE;
  for (uint32_t i = 1; i < o->name_count; i++) o->names[i].class = ORDER_NONE;
}

/* --- names --- */

static uint16_t add_name(order *o, lua_State *L, const char *name) {
  const allocator *memory = &o->runtime->memory;
  size_t size = strlen(name) + 1;
  order_name *names =
      mem_reserve(memory, o->names, &o->name_room, o->name_count + 1, sizeof(order_name));
  if (names != NULL) o->names = names;
  char *text = names == NULL ? NULL : mem_new(memory, size);
  if (text == NULL) luaL_error(L, "not enough memory");
  memcpy(text, name, size);
  o->names[o->name_count] = (order_name){.text = text, .class = ORDER_NONE};
  return (uint16_t)o->name_count++;
}

uint16_t order_number_name(runtime *rt, lua_State *L, const char *name) {
  order *o = order_make(rt, L);
  for (uint32_t i = 1; i < o->name_count; i++) {
    if (strcmp(o->names[i].text, name) == 0) return (uint16_t)i;
  }
  if (o->name_count <= ORDER_MAX_NAMES) return add_name(o, L, name);
  o->graph.omitted.classes++;
  return 0;
}

/* --- classes --- */

/* Adds a class. ORDER_NONE: there is no room for it. */
static uint16_t add_class(order *o, const sync_object *object, const order_use *use) {
  /* Classes share their numbers with the nodes of locks. */
  order_class *classes = mem_reserve(&o->runtime->memory, o->classes, &o->class_room,
                                     o->graph.node_count + 1, sizeof(order_class));
  if (classes == NULL) {
    o->graph.omitted.classes++;
    return ORDER_NONE;
  }
  o->classes = classes;
  uint16_t class = order_add_class(&o->graph, use->kind->armed);
  if (class == ORDER_NONE) return ORDER_NONE;
  o->classes[class] = (order_class){
      .kind = use->kind, .type = object->type->name, .place = object->made_at, .next = ORDER_NONE};
  return class;
}

static uint16_t name_of(const sync_object *object) {
  return (uint16_t)(object->class & ~SYNC_NAMED);
}

static uint16_t class_of_name(order *o, const sync_object *object, const order_use *use) {
  uint16_t name = name_of(object);
  if (o->names[name].class == ORDER_NONE) {
    o->names[name].class = add_class(o, object, use);
    if (o->names[name].class != ORDER_NONE) o->classes[o->names[name].class].name = name;
  }
  return o->names[name].class;
}

static uint16_t class_of_place(order *o, const sync_object *object, const order_use *use) {
  uint16_t *bucket = &o->places[object->made_at % ORDER_PLACES];
  uint16_t class = *bucket;
  while (class != ORDER_NONE && (o->classes[class].place != object->made_at ||
                                 o->classes[class].type != object->type->name)) {
    class = o->classes[class].next;
  }
  if (class != ORDER_NONE) return class;
  class = add_class(o, object, use);
  if (class == ORDER_NONE) return ORDER_NONE;
  o->classes[class].next = *bucket;
  *bucket = class;
  return class;
}

uint16_t order_class_of(const order *o, const sync_object *object) {
  if (object->lock < o->first_lock) return ORDER_NONE;
  bool named = (object->class & SYNC_NAMED) != 0;
  return named ? o->names[name_of(object)].class : object->class;
}

/* Numbers the object, which this graph does not know yet, and returns its class. */
static uint16_t introduce(order *o, lua_State *L, sync_object *object, const order_use *use) {
  if (o->last_lock == LAST_LOCK) {
    o->omitted_held++;
    return ORDER_NONE;
  }
  object->lock = ++o->last_lock;
  if ((object->class & SYNC_NAMED) != 0) return class_of_name(o, object, use);
  if (object->made_at != 0) {
    object->class = class_of_place(o, object, use);
    return object->class;
  }
  object->class = add_class(o, object, use);
  if (object->class != ORDER_NONE) {
    order_class *c = &o->classes[object->class];
    c->place = stack_location(o->runtime, L, 1)->number;
    c->early = true;
  }
  return object->class;
}

static uint16_t find_class(order *o, lua_State *L, sync_object *object, const order_use *use) {
  if (object->lock < o->first_lock) return introduce(o, L, object, use);
  return order_class_of(o, object);
}

/* --- what tasks hold --- */

static void let_go(order *o, order_holder *holder) {
  while (holder->first != 0) {
    order_held *h = &o->held[holder->first];
    uint32_t next = h->next;
    h->next = o->free_held;
    o->free_held = holder->first;
    holder->first = next;
  }
  holder->count = 0;
}

/* Returns what the task holds; NULL: nothing. An ended task may have left something in its slot. */
static order_holder *holder_of(order *o, const task *t) {
  if (t->coroutine.slot >= o->holder_room) return NULL;
  order_holder *holder = &o->holders[t->coroutine.slot];
  if (holder->first == 0) return NULL;
  if (holder->task == t->id) return holder;
  let_go(o, holder);
  return NULL;
}

/* Returns the holder of the task's slot, with room for it; NULL: there is no memory. */
static order_holder *reserve_holder(order *o, const task *t) {
  uint32_t before = o->holder_room;
  order_holder *holders = mem_reserve(&o->runtime->memory, o->holders, &o->holder_room,
                                      t->coroutine.slot + 1, sizeof(order_holder));
  if (holders == NULL) return NULL;
  memset(holders + before, 0, (o->holder_room - before) * sizeof(order_holder));
  o->holders = holders;
  order_holder *holder = holder_of(o, t);
  if (holder == NULL) holder = &o->holders[t->coroutine.slot];
  holder->task = t->id;
  return holder;
}

/* Returns the number of a free order_held; 0: there is no memory. */
static uint32_t take_held(order *o) {
  uint32_t number = o->free_held;
  if (number != 0) {
    o->free_held = o->held[number].next;
    return number;
  }
  order_held *held = mem_reserve(&o->runtime->memory, o->held, &o->held_room, o->held_count + 1,
                                 sizeof(order_held));
  if (held == NULL) return 0;
  o->held = held;
  return o->held_count++;
}

void order_took_now(runtime *rt, lua_State *L, sync_object *object, const order_use *use,
                    uint16_t place) {
  order *o = rt->lock_order;
  if (rt->current == NULL) return;
  uint16_t class = find_class(o, L, object, use);
  if (class == ORDER_NONE) return;
  order_holder *holder = reserve_holder(o, rt->current);
  uint32_t number = holder != NULL && holder->count < ORDER_MAX_DEPTH ? take_held(o) : 0;
  if (number == 0) {
    o->omitted_held++;
    return;
  }
  if (place == 0 && o->classes[class].looked < ORDER_MAX_LOOKS) {
    o->classes[class].looked++;
    place = stack_location(rt, L, 1)->number;
  }
  o->held[number] = (order_held){.next = holder->first,
                                 .lock = object->lock,
                                 .amount = use->amount,
                                 .class = class,
                                 .place = place,
                                 .reads = use->reads,
                                 .gate = use->gate};
  holder->first = number;
  holder->count++;
}

/* --- edges --- */

/* What order_wants has found out; it is made once for all that the task holds. */
typedef struct wish {
  const sync_object *object;
  const order_use *use;
  uint16_t class;
  uint32_t gate_count;
  order_gate gates[ORDER_MAX_DEPTH];
} wish;

static void collect_gates(const order *o, const order_holder *holder, wish *w) {
  w->gate_count = 0;
  for (uint32_t i = holder->first; i != 0; i = o->held[i].next) {
    const order_held *h = &o->held[i];
    if (h->gate) w->gates[w->gate_count++] = h->lock * 2 + h->reads;
  }
}

/* Returns how many permits of the object the task holds. */
static int64_t held_amount(const order *o, const order_holder *holder, uint32_t lock) {
  int64_t amount = 0;
  for (uint32_t i = holder->first; i != 0; i = o->held[i].next) {
    if (o->held[i].lock == lock) amount += o->held[i].amount;
  }
  return amount;
}

/*
** Fills in the nodes of an edge inside a class. False: it is none, because the task holds the object
** itself, and others do not come into it.
*/
static bool choose_nodes(order *o, const order_holder *holder, const order_held *h, const wish *w,
                         order_sighting *s) {
  if (h->lock != w->object->lock) {
    s->from = order_lock_node(&o->graph, w->class, h->lock);
    s->to = order_lock_node(&o->graph, w->class, w->object->lock);
    return s->from != ORDER_NONE && s->to != ORDER_NONE;
  }
  if (w->use->kind == &order_of_permits) {
    s->alone = held_amount(o, holder, h->lock) + w->use->amount > w->use->total;
    return true;
  }
  s->alone = true;
  return w->use->kind->waits_for_itself || h->reads != w->use->reads;
}

static bool is_allowed(const order *o, uint16_t from, uint16_t to);

static void describe(order *o, lua_State *L, order_edge *e, const order_held *h) {
  runtime *rt = o->runtime;
  e->sight.task = rt->current->id;
  e->sight.time_ns = clock_wall_ns();
  e->sight.held_at = h->place;
  e->sight.at = stack_location(rt, L, 1)->number;
  e->allowed = is_allowed(o, o->graph.nodes[e->from].class, o->graph.nodes[e->to].class);
  trace_ids *here = trace_here(rt);
  if (trace_ensure(rt, here)) memcpy(e->sight.trace_id, here->trace->trace_id, 16);
}

/* Notes that the task waits for the wish while it holds `h`. */
static void note(order *o, lua_State *L, const order_holder *holder, const order_held *h,
                 const wish *w) {
  order_graph *g = &o->graph;
  order_sighting s = {.from = h->class,
                      .to = w->class,
                      .held_reads = h->reads,
                      .wants_reads = w->use->reads,
                      .task = holder->task,
                      .gates = w->gates,
                      .gate_count = w->gate_count};
  if (h->class == w->class && !choose_nodes(o, holder, h, w, &s)) return;
  uint32_t known = g->edge_count;
  uint32_t edge = order_note(g, &s);
  if (edge == 0) return;
  if (edge == known) describe(o, L, &g->edges[edge], h);
  order_search(g, edge);
}

void order_wants_now(runtime *rt, lua_State *L, sync_object *object, const order_use *use) {
  order *o = rt->lock_order;
  const order_holder *holder = rt->current == NULL ? NULL : holder_of(o, rt->current);
  if (holder == NULL) return;
  wish w;
  w.object = object;
  w.use = use;
  w.class = find_class(o, L, object, use);
  if (w.class == ORDER_NONE || o->graph.nodes[w.class].ignored) return;
  collect_gates(o, holder, &w);
  for (uint32_t i = holder->first; i != 0; i = o->held[i].next) note(o, L, holder, &o->held[i], &w);
  if (o->told < o->graph.cycle_count) order_tell(rt, L, true);
}

/* --- giving back --- */

/* The class is no lock: a task has given back what another one has taken. */
static void ignore(order *o, uint16_t class) {
  if (class == ORDER_NONE || o->graph.nodes[class].ignored) return;
  o->graph.nodes[class].ignored = true;
  o->ignored++;
}

/* The edges from the class count from now on. */
static void arm(runtime *rt, lua_State *L, uint16_t class) {
  order_graph *g = &rt->lock_order->graph;
  if (class == ORDER_NONE || g->nodes[class].armed) return;
  g->nodes[class].armed = true;
  if (order_search_class(g, class)) order_tell(rt, L, false);
}

/* Takes so much of the object from what the task holds. Returns how much it did not hold. */
static int give(order *o, order_holder *holder, uint32_t lock, bool reads, int amount) {
  uint32_t *place = &holder->first;
  while (*place != 0 && amount > 0) {
    order_held *h = &o->held[*place];
    if (h->lock != lock || h->reads != reads) {
      place = &h->next;
    } else if (h->amount > amount) {
      h->amount -= amount;
      h->gate = false; /* others can have some of it now */
      amount = 0;
    } else {
      uint32_t number = *place;
      amount -= h->amount;
      *place = h->next;
      h->next = o->free_held;
      o->free_held = number;
      holder->count--;
    }
  }
  return amount;
}

/*
** Whether some task has taken the object, and not given it back, since the order knows of it. Permits that
** were taken before it was on, or reset, are held by nobody.
*/
static bool is_held(const order *o, uint32_t lock) {
  for (uint32_t i = 0; i < o->holder_room; i++) {
    for (uint32_t h = o->holders[i].first; h != 0; h = o->held[h].next) {
      if (o->held[h].lock == lock) return true;
    }
  }
  return false;
}

void order_gave_now(runtime *rt, lua_State *L, const sync_object *object, const order_use *use) {
  order *o = rt->lock_order;
  uint16_t class = order_class_of(o, object);
  if (class == ORDER_NONE) return;
  order_holder *holder = rt->current == NULL ? NULL : holder_of(o, rt->current);
  int left = use->amount;
  if (holder != NULL) left = give(o, holder, object->lock, use->reads, left);
  if (left > 0 && (use->reads || use->kind == &order_of_permits)) {
    if (!o->graph.nodes[class].ignored && is_held(o, object->lock)) ignore(o, class);
  } else if (left == 0) {
    arm(rt, L, class);
  }
}

/* --- channels --- */

static const order_use use_of_channel = {.kind = &order_of_channel, .amount = 1};

void order_sends_now(runtime *rt, lua_State *L, chan *c) {
  if (c->capacity == 0 || c->closed) return;
  order_wants_now(rt, L, &c->object, &use_of_channel);
  order *o = rt->lock_order; /* the panic handler may have turned it off */
  if (o == NULL || rt->current == NULL || c->count < c->capacity) return;
  arm(rt, L, find_class(o, L, &c->object, &use_of_channel));
}

void order_receives_now(runtime *rt, lua_State *L, chan *c) {
  order *o = rt->lock_order;
  if (c->capacity == 0 || rt->current == NULL) return;
  uint16_t class = find_class(o, L, &c->object, &use_of_channel);
  order_holder *holder = holder_of(o, rt->current);
  for (uint32_t i = holder == NULL ? 0 : holder->first; i != 0; i = o->held[i].next) {
    if (o->held[i].class != class) continue;
    if (c->closed) give(o, holder, o->held[i].lock, false, 1);
    return;
  }
  if (!c->closed) order_took_now(rt, L, &c->object, &use_of_channel, 0);
}

/* --- rules --- */

bool order_allow(order *o, lua_State *L, const char *from, const char *to, const char *reason) {
  const allocator *memory = &o->runtime->memory;
  for (uint32_t i = 0; i < o->rule_count; i++) {
    if (strcmp(o->rules[i].from, from) == 0 && strcmp(o->rules[i].to, to) == 0) return true;
  }
  if (o->rule_count == ORDER_MAX_RULES) return false;
  size_t sizes[] = {strlen(from) + 1, strlen(to) + 1, strlen(reason) + 1};
  size_t size = sizes[0] + sizes[1] + sizes[2];
  order_rule *rules =
      mem_reserve(memory, o->rules, &o->rule_room, o->rule_count + 1, sizeof(order_rule));
  if (rules != NULL) o->rules = rules;
  char *text = rules == NULL ? NULL : mem_new(memory, size);
  if (text == NULL) luaL_error(L, "not enough memory");
  memcpy(text, from, sizes[0]);
  memcpy(text + sizes[0], to, sizes[1]);
  memcpy(text + sizes[0] + sizes[1], reason, sizes[2]);
  o->rules[o->rule_count++] =
      (order_rule){.from = text, .to = text + sizes[0], .reason = text + sizes[0] + sizes[1]};
  for (uint32_t i = 1; i < o->graph.edge_count; i++) {
    order_edge *e = &o->graph.edges[i];
    e->allowed = is_allowed(o, o->graph.nodes[e->from].class, o->graph.nodes[e->to].class);
  }
  return true;
}

static bool is_allowed(const order *o, uint16_t from, uint16_t to) {
  for (uint32_t i = 0; i < o->rule_count; i++) {
    const order_rule *rule = &o->rules[i];
    if (strcmp(order_key(o, from), rule->from) == 0 && strcmp(order_key(o, to), rule->to) == 0) {
      return true;
    }
  }
  return false;
}
