#include "kernel/reach.h"

#include "kernel/args.h"
#include "kernel/frames.h"
#include "kernel/task.h"
#include "kernel/threads.h"

/* The walk's own values, from `base` on. */
enum { QUEUE, AGAIN, MODE };

enum { FIRST_MARKS = 1024, MARKS_OF_TASK = 4 };

void reach_push_values(lua_State *L) {
  lua_newtable(L);
  lua_newtable(L);
  lua_pushliteral(L, "__mode");
}

void reach_init(reach *r, runtime *rt, lua_State *L) {
  *r = (reach){.rt = rt, .L = L, .edge_count = 1};
}

void reach_free(reach *r) {
  const allocator *memory = &r->rt->memory;
  if (r->marks != NULL) mem_free(memory, r->marks, r->room * sizeof(reach_mark));
  if (r->edges != NULL) mem_free(memory, r->edges, r->edge_room * sizeof(reach_edge));
  if (r->tasks != NULL) mem_free(memory, r->tasks, r->slots);
}

static void no_memory(reach *r) {
  luaL_error(r->L, "not enough memory");
  compat_unreachable();
}

/* --- keys --- */

/*
** Objects that were made one after the other are looked at one after the other: they get places side by
** side, which takes half the time of a hash that scatters them.
*/
static size_t hash(const void *key) {
  uintptr_t x = (uintptr_t)key >> 4;
  return (size_t)(x ^ (x >> 18) * 31);
}

/* Returns the place of the key, or the free one where it would be. */
static reach_mark *place_of(const reach *r, const void *key) {
  size_t i = hash(key) & (r->room - 1);
  while (r->marks[i].key != NULL && r->marks[i].key != key) i = (i + 1) & (r->room - 1);
  return &r->marks[i];
}

/* Makes room for `room` places, a power of two.   [-0, +0, m] */
static void resize(reach *r, size_t room) {
  reach old = *r;
  reach_mark *marks = mem_new(&r->rt->memory, room * sizeof(reach_mark));
  if (marks == NULL) no_memory(r);
  memset(marks, 0, room * sizeof(reach_mark));
  r->marks = marks;
  r->room = room;
  for (size_t i = 0; i < old.room; i++) {
    if (old.marks[i].key != NULL) *place_of(r, old.marks[i].key) = old.marks[i];
  }
  if (old.marks != NULL) mem_free(&r->rt->memory, old.marks, old.room * sizeof(reach_mark));
}

void reach_begin(reach *r, int base) {
  const runtime *rt = r->rt;
  r->base = base;
  size_t room = FIRST_MARKS;
  while (room < rt->live_count * MARKS_OF_TASK) room *= 2;
  resize(r, room);
  r->slots = rt->slot_values.count + 1;
  r->tasks = mem_new(&rt->memory, r->slots);
  if (r->tasks == NULL) no_memory(r);
  memset(r->tasks, 0, r->slots);
}

/* Returns the mark of the key, made if it is missing.   [-0, +0, m] */
static reach_mark *mark_of(reach *r, const void *key) {
  if (r->used * 3 >= r->room * 2) resize(r, r->room * 2); /* a third of the places stays free */
  reach_mark *m = place_of(r, key);
  if (m->key == NULL) {
    *m = (reach_mark){.key = key};
    r->used++;
  }
  return m;
}

bool reach_is_known(const reach *r, const void *key) { return place_of(r, key)->key != NULL; }

static bool is_reached(const reach *r, const void *key) { return place_of(r, key)->reached; }

/* Returns whether the key was not reached before. */
bool reach_key(reach *r, const void *key) {
  reach_mark *m = mark_of(r, key);
  if (m->reached) return false;
  m->reached = true;
  for (uint32_t e = m->edges; e != 0; e = r->edges[e].next) {
    r->edges[e].pending = r->pending;
    r->pending = e;
  }
  return true;
}

/* --- edges --- */

void reach_add_edge(reach *r, const void *from, reach_target kind, const void *target) {
  reach_edge *edges =
      mem_reserve(&r->rt->memory, r->edges, &r->edge_room, r->edge_count + 1, sizeof(reach_edge));
  if (edges == NULL) no_memory(r);
  r->edges = edges;
  reach_mark *m = mark_of(r, from);
  reach_edge *e = &r->edges[r->edge_count];
  *e = (reach_edge){.target = target, .next = m->edges, .kind = (uint8_t)kind};
  m->edges = r->edge_count++;
  if (!m->reached) return;
  e->pending = r->pending;
  r->pending = m->edges;
}

/* --- values --- */

void reach_value(reach *r) {
  lua_State *L = r->L;
  switch (lua_type(L, -1)) {
    case LUA_TTABLE:
    case LUA_TUSERDATA:
    case LUA_TTHREAD:
    case LUA_TFUNCTION:
      if (!reach_key(r, lua_topointer(L, -1))) break;
      lua_rawseti(L, r->base + QUEUE, ++r->queue);
      return;
    default: break;
  }
  lua_pop(L, 1);
}

/* Whether the value at `index` is a task, or the thread of one. */
static bool is_of_task(const reach *r, int index) {
  switch (lua_type(r->L, index)) {
    case LUA_TTHREAD: return threads_find(r->rt, r->L, lua_tothread(r->L, index)) != 0;
    case LUA_TUSERDATA: return arg_has_metatable(r->L, index, r->rt->task_metatable);
    default: return false;
  }
}

enum { WEAK_NOT = 0, WEAK_KEYS = 1, WEAK_VALUES = 2 };

/* Reaches the metatable of the value on top of the stack; returns how weak a table it makes of it. */
static unsigned look_at_metatable(reach *r) {
  lua_State *L = r->L;
  if (!lua_getmetatable(L, -1)) return WEAK_NOT;
  lua_pushvalue(L, r->base + MODE);
  unsigned weak = WEAK_NOT;
  if (lua_rawget(L, -2) == LUA_TSTRING) {
    const char *mode = lua_tostring(L, -1);
    if (strchr(mode, 'k') != NULL) weak |= WEAK_KEYS;
    if (strchr(mode, 'v') != NULL) weak |= WEAK_VALUES;
  }
  lua_pop(L, 1);
  reach_value(r);
  return weak;
}

/* Whether the entry on top of the stack, key and value, does not reach its value. */
static bool is_held_back(const reach *r, unsigned weak) {
  if ((weak & WEAK_VALUES) != 0 && is_of_task(r, -1)) return true;
  if ((weak & WEAK_KEYS) == 0 || !is_of_task(r, -2)) return false;
  return !is_reached(r, lua_topointer(r->L, -2));
}

/*
** Reaches the entries of the table on top of the stack. If a task is a weak key, its value is reached
** only with the task: the table is looked at again later.
*/
static void look_into_table(reach *r) {
  lua_State *L = r->L;
  unsigned weak = look_at_metatable(r);
  bool again = false;
  lua_pushnil(L);
  while (lua_next(L, -2) != 0) {
    bool is_weak_key = (weak & WEAK_KEYS) != 0 && is_of_task(r, -2);
    if (!is_weak_key) {
      lua_pushvalue(L, -2);
      reach_value(r);
    }
    if (is_held_back(r, weak)) {
      again = again || is_weak_key;
      lua_pop(L, 1);
    } else {
      reach_value(r);
    }
  }
  if (!again) return;
  lua_pushvalue(L, -1);
  lua_rawseti(L, r->base + AGAIN, ++r->again);
}

/* Looks again at the tables with tasks as weak keys.   [-0, +0, m] */
static void look_again(reach *r) {
  lua_Integer count = r->again;
  r->again = 0;
  for (lua_Integer i = 1; i <= count; i++) {
    lua_rawgeti(r->L, r->base + AGAIN, i);
    look_into_table(r);
    lua_pop(r->L, 1);
  }
}

/* Reaches what the function on top of the stack refers to. */
static void look_into_function(reach *r) {
  if (lua_tocfunction(r->L, -1) == r->rt->canceller) {
    lua_getupvalue(r->L, -1, CANCELLER_CONTEXT);
    r->context_may_end(r);
    lua_pop(r->L, 1);
  }
  for (int i = 1; lua_getupvalue(r->L, -1, i) != NULL; i++) reach_value(r);
}

/* Reaches the metatable and the user values of the userdata on top of the stack. */
static void look_into_object(reach *r) {
  look_at_metatable(r);
  int hidden = r->hidden_value(r);
  for (int i = 1; lua_getiuservalue(r->L, -1, i) != LUA_TNONE; i++) {
    if (i == hidden) {
      lua_pop(r->L, 1);
    } else {
      reach_value(r);
    }
  }
  lua_pop(r->L, 1);
}

static void look_into_userdata(reach *r) {
  if (arg_has_metatable(r->L, -1, r->rt->task_metatable)) {
    const task *t = lua_touserdata(r->L, -1);
    if (!task_ended(t)) reach_task(r, t);
  }
  look_into_object(r);
}

/* Pops a value of the thread, and reaches it. */
static void reach_value_of(reach *r, lua_State *thread) {
  if (thread != r->L) lua_xmove(thread, r->L, 1);
  reach_value(r);
}

/* Reaches the function and the values of one activation. */
static void look_into_activation(reach *r, lua_State *thread, lua_Debug *ar) {
  lua_getinfo(thread, "f", ar);
  bool is_c = lua_iscfunction(thread, -1);
  reach_value_of(r, thread);
  for (int i = 1; lua_getlocal(thread, ar, i) != NULL; i++) reach_value_of(r, thread);
  if (is_c) return;
  for (int i = -1; lua_getlocal(thread, ar, i) != NULL; i--) reach_value_of(r, thread);
}

/* Reaches the values on the stack of the thread. */
static void look_into_stack(reach *r, lua_State *thread) {
  if (!lua_checkstack(thread, LUA_MINSTACK)) no_memory(r);
  lua_Debug ar;
  if (lua_getstack(thread, 0, &ar)) {
    for (int level = 0; lua_getstack(thread, level, &ar); level++) {
      look_into_activation(r, thread, &ar);
    }
  } else {
    for (int i = lua_gettop(thread); i > 0; i--) {
      lua_pushvalue(thread, i);
      reach_value_of(r, thread);
    }
  }
}

/*
** Reaches the values on the stack of the thread on top of the stack, and the frames of its coroutine.
*/
static void look_into_thread(reach *r) {
  lua_State *L = r->L;
  lua_State *thread = lua_tothread(L, -1);
  const task *t = task_owning(r->rt, L, thread);
  if (t != NULL) {
    reach_task(r, t);
    return;
  }
  look_into_stack(r, thread);
  if (!r->rt->has_others) return;
  lua_rawgeti(L, LUA_REGISTRYINDEX, r->rt->coroutines_ref);
  lua_pushvalue(L, -2);
  lua_rawget(L, -2);
  reach_value(r);
  lua_pop(L, 1);
}

/* --- tasks --- */

static void reach_cell(reach *r, const frame_stack *s, cell x) {
  if (x == 0) return;
  cells_push(s->cells, r->L, x);
  reach_value(r);
}

static void reach_chain(reach *r, const frame_stack *s, cell x) {
  for (; x != 0; x = cells_next(s->cells, x)) reach_cell(r, s, x);
}

/* Reaches the deferred calls, the results and the records of the frames. */
static void reach_frames(reach *r, const frame_stack *s) {
  if (s == NULL) return;
  for (uint32_t i = 0; i < s->call_count; i++) {
    const deferred_call *call = &frames_calls(s)[i];
    if (call->count > 0) reach_chain(r, s, call->values);
  }
  for (uint32_t i = 0; i < s->depth; i++) {
    const frame *f = &frames_array(s)[i];
    reach_chain(r, s, f->outcome);
    if (f->type->is_thin && f->type->has_object) reach_cell(r, s, f->object);
  }
  reach_cell(r, s, s->exit);
}

/* The key of the task's going on is an address inside it: its own is that of its object. */
static const void *key_of_going_on(const task *t) { return &t->status; }

void reach_add_task_edge(reach *r, const task *t, reach_target kind, const void *target) {
  r->tasks[t->coroutine.slot] |= REACH_HAS_EDGES;
  reach_add_edge(r, key_of_going_on(t), kind, target);
}

bool reach_task_goes_on(const reach *r, const task *t) {
  return (r->tasks[t->coroutine.slot] & REACH_GOES_ON) != 0;
}

void reach_pinned(reach *r, const void *address) {
  lua_rawgeti(r->L, LUA_REGISTRYINDEX, r->rt->pinned_ref);
  lua_rawgetp(r->L, -1, address);
  reach_value(r);
  lua_pop(r->L, 1);
}

void reach_task(reach *r, const task *t) {
  const slot_values *values = &r->rt->slot_values;
  uint32_t slot = t->coroutine.slot;
  if (reach_task_goes_on(r, t)) return;
  r->tasks[slot] |= REACH_GOES_ON;
  if ((r->tasks[slot] & REACH_HAS_EDGES) != 0) reach_key(r, key_of_going_on(t));
  slot_values_push(values, r->L, slot, SLOT_TASK);
  if (reach_key(r, t)) look_into_object(r);
  lua_pop(r->L, 1);
  reach_key(r, t->coroutine.thread);
  look_into_stack(r, t->coroutine.thread);
  for (const coroutine *c = t->coroutine.top; c != &t->coroutine; c = c->outer) {
    reach_pinned(r, c);
  }
  reach_frames(r, t->coroutine.frames);
  const inner_cancel_scope *c = task_innermost(t);
  for (; c != NULL; c = c->outer) {
    reach_cell(r, t->coroutine.frames, c->object);
    reach_cell(r, t->coroutine.frames, c->exit);
  }
  r->task_goes_on(r, t);
}

/* --- the walk --- */

/* Looks into the value on top of the stack. */
static void look_into(reach *r) {
  switch (lua_type(r->L, -1)) {
    case LUA_TTABLE: look_into_table(r); break;
    case LUA_TFUNCTION: look_into_function(r); break;
    case LUA_TUSERDATA: look_into_userdata(r); break;
    default: look_into_thread(r); break;
  }
}

/* Follows the first edge whose key was reached. */
static void follow(reach *r) {
  reach_edge e = r->edges[r->pending];
  r->pending = e.pending;
  switch (e.kind) {
    case REACH_TASK: reach_task(r, e.target); break;
    case REACH_PINNED: reach_pinned(r, e.target); break;
    default: reach_key(r, e.target); break;
  }
}

/* Follows the edges, and looks into the values, that there are. */
static void drain(reach *r) {
  for (;;) {
    if (r->pending != 0) {
      follow(r);
    } else if (r->queue > 0) {
      lua_rawgeti(r->L, r->base + QUEUE, r->queue--);
      look_into(r);
      lua_pop(r->L, 1);
    } else {
      return;
    }
  }
}

/* Marks a value of the registry, which is not looked into. */
static void leave_out(reach *r, int reference) {
  lua_rawgeti(r->L, LUA_REGISTRYINDEX, reference);
  reach_key(r, lua_topointer(r->L, -1));
  lua_pop(r->L, 1);
}

/* The tables of the runtime that have an entry for each task, or for each object. */
static void leave_out_tables(reach *r) {
  const runtime *rt = r->rt;
  const int references[] = {
      rt->slot_values_ref, rt->cells_ref,  rt->anchors_ref,    rt->coroutines_ref, rt->askers_ref,
      rt->alive_ref,       rt->pinned_ref, rt->held_tasks_ref, rt->leaks_ref,      rt->bounded_ref};
  for (size_t i = 0; i < sizeof(references) / sizeof(references[0]); i++) {
    leave_out(r, references[i]);
  }
}

static int light(lua_State *L) {
  (void)L;
  return 0;
}

/* Reaches the metatables of types that have one for all values. */
static void reach_type_metatables(reach *r) {
  lua_State *L = r->L;
  int top = lua_gettop(L);
  lua_pushnil(L);
  lua_pushboolean(L, 1);
  lua_pushinteger(L, 0);
  lua_pushlightuserdata(L, r);
  lua_pushvalue(L, r->base + MODE);
  lua_pushcfunction(L, light);
  lua_pushthread(L);
  for (int i = lua_gettop(L); i > top; i--) {
    if (lua_getmetatable(L, i)) reach_value(r);
  }
  lua_settop(L, top);
}

void reach_all(reach *r) {
  lua_State *L = r->L;
  const runtime *rt = r->rt;
  luaL_checkstack(L, LUA_MINSTACK, NULL);
  reach_key(r, lua_topointer(L, r->base + QUEUE));
  reach_key(r, lua_topointer(L, r->base + AGAIN));
  leave_out_tables(r);
  reach_type_metatables(r);
  reach_frames(r, rt->main->frames);
  lua_pushthread(L);
  reach_value(r);
  lua_pushvalue(L, LUA_REGISTRYINDEX);
  reach_value(r);
  drain(r);
  size_t known;
  do { /* until no table has led to anything new */
    known = r->used;
    look_again(r);
    drain(r);
  } while (r->used > known || r->pending != 0);
}
