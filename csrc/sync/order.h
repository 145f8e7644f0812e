/*
** co.order: an order graph (core/order_graph.h) of the locks of this runtime, to warn of deadlocks that
** have not happened yet. While it is on, the functions that take and give back locks tell it so.
**
** A class of objects is their name, or the place where they were made. Of two objects of one class that
** a task holds at once, each has a node of its own, because to take them in some order of theirs is
** right. What a task holds:
** - a mutex, a side of an rwmutex, permits of a semaphore, from taking to giving back;
** - a once, while the task runs its function;
** - a channel with a buffer, from the task's first receive on: the tasks that send wait for it.
** What cannot be known from the first is waited for: permits are a lock once the task that has taken
** them has given them back, and a channel holds its senders up once it was full.
**
** A wait with a time-out of its own is no edge, nor is a select.
*/
#ifndef CP_SYNC_ORDER_H
#define CP_SYNC_ORDER_H

#include "compat.h"
#include "core/order_graph.h"
#include "kernel/task.h"
#include "sync/chan.h"
#include "sync/object.h"

#pragma GCC visibility push(hidden)

/* The most bytes of an object's name, and the most distinct names. */
#define ORDER_MAX_NAME 64
#define ORDER_MAX_NAMES ORDER_MAX_CLASSES

/*
** So often the place where an object of a class is taken is looked for, if the object does not know it:
** that takes twice as long as all the rest. Later takes read "?".
*/
#define ORDER_MAX_LOOKS 4096

/* The most rules of order:allow. */
#define ORDER_MAX_RULES 256

/* The most bytes of one side of a rule, or of its reason. */
#define ORDER_MAX_RULE_TEXT 200

/* A kind of objects, in the words of warnings. */
typedef struct order_kind {
  const char *verb;      /* "locks" */
  const char *reads;     /* "read-locks"; NULL: it has no readers */
  const char *holding;   /* "holding" */
  bool armed;            /* see order_node */
  bool waits_for_itself; /* who holds some of it may have to wait for more */
} order_kind;

extern const order_kind order_of_lock, order_of_permits, order_of_once, order_of_channel;

/* One use of an object. */
typedef struct order_use {
  const order_kind *kind;
  bool reads;
  bool gate;  /* no other task can hold the object meanwhile, except that several may read */
  int amount; /* of permits; 1 of all others */
  int total;  /* of permits, in all */
} order_use;

/* What was noted of a class; its node in the graph has the same number. */
typedef struct order_class {
  const order_kind *kind;
  const char *type; /* "mutex" */
  uint16_t place;   /* where its objects were made (location.h) */
  uint16_t name;    /* its number; 0: none */
  uint16_t next;    /* in the bucket of its place */
  uint16_t looked;  /* how often the place of a take was looked for */
  bool early;       /* its only object is older than the order, and was first used at `place` */
} order_class;

typedef struct order_name {
  char *text; /* ends with a zero */
  uint16_t class;
} order_name;

/* Something that a task holds. */
typedef struct order_held {
  uint32_t next; /* of the same task, older; 0: none */
  uint32_t lock; /* the object's number */
  int amount;
  uint16_t class;
  uint16_t place; /* where it was taken */
  bool reads;
  bool gate;
} order_held;

/* A task that holds something. */
typedef struct order_holder {
  uint64_t task;  /* its id; that of an ended task: it holds nothing */
  uint32_t first; /* the newest; 0: nothing */
  uint32_t count;
} order_holder;

/* Texts that end with a zero, in one block of memory. The reason is for people who debug the runtime. */
typedef struct order_rule {
  const char *from; /* the class that is held */
  const char *to;   /* the class that is waited for */
  const char *reason;
} order_rule;

#define ORDER_PLACES 2048 /* buckets of classes */

typedef struct order {
  runtime *runtime;
  order_graph graph;
  bool strict;         /* a wait that closes a cycle panics */
  uint32_t told;       /* cycles that were reported */
  uint32_t last_lock;  /* the last number that an object got */
  uint32_t first_lock; /* objects with a smaller number have none in this graph */
  order_class *classes;
  uint32_t class_room;
  uint16_t places[ORDER_PLACES]; /* classes without a name */
  order_name *names;             /* the first is not used */
  uint32_t name_count, name_room;
  order_holder *holders; /* by the slot of the task's thread */
  uint32_t holder_room;
  order_held *held; /* the first is not used */
  uint32_t held_count, held_room;
  uint32_t free_held;
  order_rule *rules;
  uint32_t rule_count, rule_room;
  uint64_t ignored;      /* classes that are no locks, because other tasks give them back */
  uint64_t omitted_held; /* not noted, for want of room */
} order;

/* Returns the runtime's order, on or off.   [-0, +0, m] */
order *order_make(runtime *rt, lua_State *L);

/* Turns it on, if it is off.   [-0, +0, m] */
order *order_start(runtime *rt, lua_State *L);

/* Turns it off. What was seen can still be read. */
void order_stop(runtime *rt);

/* Forgets what was seen, but not the names and rules. */
void order_reset(order *o);

/* Returns the number of the name; 0: there are too many, which was counted.   [-0, +0, m] */
uint16_t order_number_name(runtime *rt, lua_State *L, const char *name);

/* Gives a new object its name. */
static inline void order_set_name(sync_object *object, uint16_t name) {
  if (name != 0) object->class = SYNC_NAMED | name;
}

/*
** Allows tasks that hold `from` to wait for `to`; both are texts as order_push_label makes. False:
** there are too many rules.   [-0, +0, m]
*/
bool order_allow(order *o, lua_State *L, const char *from, const char *to, const char *reason);

/* Returns the class of the object; ORDER_NONE: it has none yet. */
uint16_t order_class_of(const order *o, const sync_object *object);

/* See order_wants, ...; the order is on. */
void order_wants_now(runtime *rt, lua_State *L, sync_object *object, const order_use *use);
void order_took_now(runtime *rt, lua_State *L, sync_object *object, const order_use *use,
                    uint16_t place);
void order_gave_now(runtime *rt, lua_State *L, const sync_object *object, const order_use *use);
void order_sends_now(runtime *rt, lua_State *L, chan *c);
void order_receives_now(runtime *rt, lua_State *L, chan *c);

/*
** Call it before the running code waits for the object, without a time-out, or takes it: may call the
** panic handler, or panic.   [-0, +0, e]
*/
static inline void order_wants(runtime *rt, lua_State *L, sync_object *object,
                               const order_use *use) {
  if (rt->lock_order != NULL) order_wants_now(rt, L, object, use);
}

/* Call it when the running code has taken the object; place: 0: where it stands now.   [-0, +0, -] */
static inline void order_took(runtime *rt, lua_State *L, sync_object *object, const order_use *use,
                              uint16_t place) {
  if (rt->lock_order != NULL) order_took_now(rt, L, object, use, place);
}

/* Call it when the running code has given it back. May call the panic handler.   [-0, +0, -] */
static inline void order_gave(runtime *rt, lua_State *L, const sync_object *object,
                              const order_use *use) {
  if (rt->lock_order != NULL) order_gave_now(rt, L, object, use);
}

/* Call it before a send that waits.   [-0, +0, e] */
static inline void order_sends(runtime *rt, lua_State *L, chan *c) {
  if (rt->lock_order != NULL) order_sends_now(rt, L, c);
}

/* Call it before a receive.   [-0, +0, -] */
static inline void order_receives(runtime *rt, lua_State *L, chan *c) {
  if (rt->lock_order != NULL) order_receives_now(rt, L, c);
}

/* --- texts: order_text.c --- */

/* Room for `mutex made at file.lua:12 #3`, and for a whole text with the count of the steps left out. */
#define ORDER_LABEL_SIZE 160
#define ORDER_TEXT_SIZE 4096
#define ORDER_REST_SIZE 32

/* Returns the text of a place: "file.lua:12". */
const char *order_place(const order *o, uint16_t place);

/* Returns the name or the place by which rules know a class. */
const char *order_key(const order *o, uint16_t class);

/* Returns the verb of the edge: "locks". */
const char *order_verb(const order *o, const order_edge *e);

/* Writes `"cart"`, or `cart`, or `mutex made at cart.lua:3`; with ` #2` for a single lock. */
void order_write_label(const order *o, uint16_t node, bool quoted, char label[ORDER_LABEL_SIZE]);

/* Writes the text of a cycle: "possible deadlock: ...". Without memory. */
void order_write_text(const order *o, const order_cycle *c, char text[ORDER_TEXT_SIZE]);

/* The same for the edges of a cycle: see order_find_cycle. */
void order_write_steps(const order *o, const uint32_t *steps, uint32_t length,
                       char text[ORDER_TEXT_SIZE]);

/*
** Reports the cycles that were not reported yet. may_raise: the running code waits, and may panic
** instead, if the order is strict.   [-0, +0, e if may_raise]
*/
void order_tell(runtime *rt, lua_State *L, bool may_raise);

#pragma GCC visibility pop

#endif
