/* What co.order says of a cycle, and to whom. */
#include <stdarg.h>
#include <stdio.h>

#include "core/hex.h"
#include "kernel/handler.h"
#include "kernel/panic.h"
#include "sync/order.h"

#define NS_PER_DAY (INT64_C(86400) * NS_PER_SECOND)

static const order_class *class_of(const order *o, uint16_t node) {
  return &o->classes[o->graph.nodes[node].class];
}

const char *order_place(const order *o, uint16_t place) {
  return location_numbered(&o->runtime->locations, place)->text;
}

const char *order_key(const order *o, uint16_t class) {
  const order_class *c = &o->classes[class];
  return c->name != 0 ? o->names[c->name].text : order_place(o, c->place);
}

const char *order_verb(const order *o, const order_edge *e) {
  const order_kind *kind = class_of(o, e->to)->kind;
  return e->wants_reads && kind->reads != NULL ? kind->reads : kind->verb;
}

void order_write_label(const order *o, uint16_t node, bool quoted, char label[ORDER_LABEL_SIZE]) {
  const order_node *n = &o->graph.nodes[node];
  const order_class *c = &o->classes[n->class];
  const char *key = order_key(o, n->class);
  int length;
  if (c->name != 0) {
    length = snprintf(label, ORDER_LABEL_SIZE, quoted ? "\"%s\"" : "%s", key);
  } else {
    const char *how = c->early ? "first used" : "made";
    length = snprintf(label, ORDER_LABEL_SIZE, "%s %s at %s", c->type, how, key);
  }
  if (n->lock != 0) {
    snprintf(label + length, ORDER_LABEL_SIZE - (size_t)length, " #%d", (int)n->ordinal);
  }
}

/* --- the text --- */

typedef struct buffer {
  char *at;
  size_t length;
  size_t size;
} buffer;

/* Adds a text if it fits wholly; otherwise nothing, and returns false. */
__attribute__((format(printf, 2, 3))) static bool add(buffer *b, const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  size_t room = b->size - b->length;
  int length = vsnprintf(b->at + b->length, room, format, arguments);
  va_end(arguments);
  bool fits = length >= 0 && (size_t)length < room;
  if (fits) b->length += (size_t)length;
  b->at[b->length] = '\0';
  return fits;
}

/*
** Adds `cart.lua:40 locks "stock" while holding "cart" (trace 4bf9..., 12:03:11)`. The time is UTC.
*/
static bool add_step(buffer *b, const order *o, const order_edge *e) {
  char from[ORDER_LABEL_SIZE];
  char to[ORDER_LABEL_SIZE];
  char trace_id[33];
  order_write_label(o, e->from, true, from);
  order_write_label(o, e->to, true, to);
  hex_encode(trace_id, e->sight.trace_id, 16);
  trace_id[32] = '\0';
  int seconds = (int)(e->sight.time_ns % NS_PER_DAY / NS_PER_SECOND);
  return add(b, "%s %s %s while %s %s (trace %s, %02d:%02d:%02d)", order_place(o, e->sight.at),
             order_verb(o, e), to, class_of(o, e->from)->kind->holding, from, trace_id,
             seconds / 3600, seconds / 60 % 60, seconds % 60);
}

void order_write_text(const order *o, const order_cycle *c, char text[ORDER_TEXT_SIZE]) {
  order_write_steps(o, o->graph.steps + c->first, c->length, text);
}

void order_write_steps(const order *o, const uint32_t *steps, uint32_t length,
                       char text[ORDER_TEXT_SIZE]) {
  buffer b = {.size = ORDER_TEXT_SIZE - ORDER_REST_SIZE};
  b.at = text;
  add(&b, "possible deadlock: ");
  uint32_t i = 0;
  while (i < length && add_step(&b, o, &o->graph.edges[steps[i]])) {
    i++;
    if (i < length && !add(&b, "; ")) break;
  }
  b.size = ORDER_TEXT_SIZE;
  if (i < length) add(&b, "... (%d more)", (int)(length - i));
}

/* --- reports --- */

void order_tell(runtime *rt, lua_State *L, bool may_raise) {
  order *o;
  char text[ORDER_TEXT_SIZE];
  while ((o = rt->lock_order) != NULL && o->told < o->graph.cycle_count) {
    if (!lua_checkstack(L, LUA_MINSTACK)) return;
    order_write_text(o, &o->graph.cycles[o->told++], text);
    if (may_raise && o->strict) {
      lua_pushstring(L, text);
      panic_raise(rt, L);
    }
    int index = 0;
    if (rt->current != NULL) {
      task_push(rt, L, rt->current);
      index = lua_gettop(L);
    }
    record_make_safe(rt, L, L, 0, RECORD_WARNING, text);
    handler_warn(rt, L, index);
    if (index != 0) lua_pop(L, 1);
  }
}
