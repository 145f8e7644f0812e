#include "kernel/observe.h"

#include "kernel/c_stack.h"
#include "kernel/handler.h"
#include "kernel/probe.h"
#include "kernel/task.h"

/* The C calls that an observer of a panic needs. If fewer are left, its event waits. */
#define C_LEVELS 16

/* --- calling observers --- */

void observe_push(runtime *rt, lua_State *L, const observer *o) {
  lua_rawgeti(L, LUA_REGISTRYINDEX, rt->observers->anchors_ref);
  lua_rawgetp(L, -1, o);
  lua_remove(L, -2);
}

/* Updates the observers' mask and the stream's. Call it after an observer has begun or stopped. */
static void update_wants(runtime *rt) {
  observers *all = rt->observers;
  all->sink.wants = all->pending_count > 0 ? PROBE_PENDING : 0;
  for (list *link = all->all.next; link != &all->all; link = link->next) {
    all->sink.wants |= container_of(link, observer, link)->wants;
  }
  probe_update(&rt->probes);
}

/* Removes stopped observers. No code may be walking the list.   [-0, +0, -] */
static void sweep(runtime *rt, lua_State *L) {
  observers *all = rt->observers;
  list *next;
  lua_rawgeti(L, LUA_REGISTRYINDEX, all->anchors_ref);
  for (list *link = all->all.next; link != &all->all; link = next) {
    observer *o = container_of(link, observer, link);
    next = link->next;
    if (o->wants != 0) continue;
    list_remove(link);
    lua_pushnil(L);
    lua_rawsetp(L, -2, o);
  }
  lua_pop(L, 1);
  update_wants(rt);
}

/* (text) → the same as a string; called protected. */
static int push_word(lua_State *L) {
  lua_pushstring(L, lua_touserdata(L, 1));
  return 1;
}

/*
** Calls the observer with the event's object, at `object`, and its extra value, at the next index.
** [-0, +0, -]
*/
static void call(runtime *rt, lua_State *L, const observer *o, probe_kind kind, int object) {
  int arguments = 1;
  observe_push(rt, L, o);
  lua_getiuservalue(L, -1, 1);
  lua_replace(L, -2);
  if (!o->is_listener) {
    lua_rawgeti(L, LUA_REGISTRYINDEX, rt->observers->anchors_ref);
    lua_rawgeti(L, -1, kind);
    lua_replace(L, -2);
    arguments++;
  }
  lua_pushvalue(L, object);
  if (!o->is_listener || kind == PROBE_SPAN_END) {
    lua_pushvalue(L, object + 1);
    arguments++;
  }
  handler_call(rt, L, arguments, task_test(L, object) != NULL ? object : 0);
}

/*
** Pops the event's object and extra value, and calls each observer up to `last` that wants the
** kind.   [-2, +0, -]
*/
static void deliver(runtime *rt, lua_State *L, probe_kind kind, const list *last) {
  int object = lua_gettop(L) - 1;
  if (lua_islightuserdata(L, -1)) {
    lua_pushcfunction(L, push_word);
    lua_insert(L, -2);
    if (lua_pcall(L, 1, 1, 0) != LUA_OK) { /* no memory: the event is lost */
      lua_settop(L, object - 1);
      return;
    }
  }
  const list *all = &rt->observers->all;
  rt->probes.muted++;
  for (const list *link = all->next; link != all; link = link->next) {
    const observer *o = container_of(link, const observer, link);
    if ((o->wants & PROBE_BIT(kind)) != 0) call(rt, L, o, kind, object);
    if (link == last) break;
  }
  rt->probes.muted--;
  lua_settop(L, object - 1);
}

/* --- waiting events --- */

/*
** Pushes on `to` the value of the event for which `index` stands. Calls nothing of scripts.
** [-0, +1, -]
*/
static void push_value(runtime *rt, lua_State *to, const probe_event *event, int index) {
  if (index == PROBE_TASK && event->task != NULL) {
    task_push(rt, to, event->task);
  } else if (index > 0 && lua_checkstack(event->L, 1)) {
    lua_pushvalue(event->L, index);
    if (event->L != to) lua_xmove(event->L, to, 1);
  } else {
    lua_pushnil(to);
  }
}

static bool has_seconds(probe_kind kind) {
  return kind == PROBE_TIMER || kind == PROBE_SLEEP || kind == PROBE_OVERRUN;
}

/* Pushes the event's object and its extra value. Calls nothing of scripts.   [-0, +2, -] */
static void push_event(runtime *rt, lua_State *to, const probe_event *event) {
  push_value(rt, to, event, event->object);
  if (event->word != NULL) {
    lua_pushlightuserdata(to, (void *)event->word);
  } else if (has_seconds(event->kind)) {
    lua_pushnumber(to, event->seconds);
  } else {
    push_value(rt, to, event, event->extra);
  }
}

/* Stores the event, to wait; without memory it is lost. Calls nothing of scripts.   [-0, +0, -] */
static void put(runtime *rt, const probe_event *event) {
  observers *all = rt->observers;
  lua_State *pending = all->pending;
  if (all->pending_count == OBSERVE_MAX_PENDING || !lua_checkstack(pending, 4)) return;
  lua_pushinteger(pending, event->kind);
  push_event(rt, pending, event);
  all->pending_count++;
  all->sink.wants |= PROBE_PENDING;
  rt->probes.mask |= PROBE_PENDING;
}

void observe_flush(runtime *rt, lua_State *L) {
  observers *all = rt->observers;
  if (all->pending_count == 0 || rt->probes.muted > 0 || !lua_checkstack(L, LUA_MINSTACK)) return;
  const list *last = all->all.prev;
  /* The observers may add events: a span of the program ends if they close its coroutine. */
  for (size_t i = 0; i < all->pending_count; i++) {
    for (int value = 1; value <= 3; value++) lua_pushvalue(all->pending, (int)(3 * i) + value);
    probe_kind kind = (probe_kind)lua_tointeger(all->pending, -3);
    lua_xmove(all->pending, L, 2);
    lua_pop(all->pending, 1);
    deliver(rt, L, kind, last);
  }
  lua_settop(all->pending, 0);
  all->pending_count = 0;
  sweep(rt, L);
}

/* --- the sink --- */

/* Raises if C calls nest too deep for C_LEVELS more; called protected. */
static int check_c_stack(lua_State *L) {
  c_stack_check(L, C_LEVELS);
  return 0;
}

/*
** Whether an observer can be called here and now. A panic may be the sign that no further call has
** room.   [-0, +0, -]
*/
static bool can_call(runtime *rt, const probe_event *event) {
  if (!event->calls || rt->probes.muted > 0 || !lua_checkstack(event->L, LUA_MINSTACK))
    return false;
  if (event->kind != PROBE_PANIC) return true;
  lua_pushcfunction(event->L, check_c_stack);
  if (lua_pcall(event->L, 0, 0, 0) == LUA_OK) return true;
  lua_pop(event->L, 1);
  return false;
}

static void write_event(probe_sink *sink, runtime *rt, const probe_event *event) {
  observers *all = container_of(sink, observers, sink);
  bool is_wanted = !event->muted && (sink->wants & PROBE_BIT(event->kind)) != 0;
  if (!can_call(rt, event)) {
    if (is_wanted) put(rt, event);
    return;
  }
  observe_flush(rt, event->L);
  if (!is_wanted) return;
  push_event(rt, event->L, event);
  deliver(rt, event->L, event->kind, all->all.prev);
  sweep(rt, event->L);
}

/* --- beginning and stopping --- */

void observe_open(runtime *rt, lua_State *L) {
  static const char *const names[] = {
#define NAME(kind, name) [PROBE_##kind] = (name),
      PROBE_KINDS(NAME)
#undef NAME
  };
  observers *all = mem_new(&rt->memory, sizeof(observers));
  if (all == NULL) luaL_error(L, "not enough memory");
  *all = (observers){.sink = {.write = write_event}};
  list_init(&all->all);
  rt->observers = all;
  lua_newtable(L);
  for (int kind = 0; kind < PROBE_COUNT; kind++) {
    lua_pushstring(L, names[kind]);
    lua_rawseti(L, -2, kind);
  }
  all->anchors_ref = luaL_ref(L, LUA_REGISTRYINDEX);
  probe_add_sink(&rt->probes, &all->sink);
}

/*
** Makes the thread of waiting events if it is missing. A finalizer may make one meanwhile.
** [-0, +0, m]
*/
static void ensure_pending(runtime *rt, lua_State *L) {
  observers *all = rt->observers;
  if (all->pending != NULL) return;
  lua_State *thread = lua_newthread(L);
  if (all->pending == NULL) {
    lua_rawgeti(L, LUA_REGISTRYINDEX, all->anchors_ref);
    lua_pushvalue(L, -2);
    lua_rawsetp(L, -2, &all->pending);
    all->pending = thread;
    lua_pop(L, 1);
  }
  lua_pop(L, 1);
}

observer *observe_new(runtime *rt, lua_State *L) {
  ensure_pending(rt, L);
  observer *o = lua_newuserdatauv(L, sizeof(observer), 1);
  *o = (observer){.wants = 0};
  list_init(&o->link);
  lua_insert(L, -2);
  lua_setiuservalue(L, -2, 1);
  return o;
}

void observe_begin(runtime *rt, lua_State *L, observer *o, uint32_t wants) {
  lua_rawgeti(L, LUA_REGISTRYINDEX, rt->observers->anchors_ref);
  lua_pushvalue(L, -2);
  lua_rawsetp(L, -2, o);
  lua_pop(L, 1);
  o->wants = wants;
  list_append(&rt->observers->all, &o->link);
  update_wants(rt);
}

void observe_stop(runtime *rt, lua_State *L, observer *o) {
  o->wants = 0;
  if (rt->probes.muted == 0) sweep(rt, L);
}
