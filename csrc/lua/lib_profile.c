/* co.profile */
#include <string.h>

#include "kernel/args.h"
#include "kernel/task.h"
#include "kernel/unwind.h"
#include "lua/lib.h"
#include "lua/options.h"
#include "telemetry/profile.h"
#include "telemetry/profile_pprof.h"

#define PROFILE_TYPE "coropanic.profile"
#define LABELS_TYPE "coropanic.profile_labels"

/* --- profiles --- */

/* The userdata that owns a profile; NULL: it was stopped. */
typedef struct profile_handle {
  profile *profile;
} profile_handle;

/* Returns the number of the kind at `index`; -1: it is none.   [-0, +0, -] */
static int find_kind(lua_State *L, int index) {
  const char *names[PROFILE_KINDS + 1] = {NULL};
  for (int i = 0; i < PROFILE_KINDS; i++) names[i] = profile_types[i]->name;
  return lua_type(L, index) == LUA_TSTRING ? arg_find_word(L, index, names) : -1;
}

/* Pushes the kinds as in a message: "cpu" or "wait".   [-0, +1, m] */
static const char *push_kinds(lua_State *L) {
  luaL_Buffer b;
  luaL_buffinit(L, &b);
  for (int i = 0; i < PROFILE_KINDS; i++) {
    if (i > 0) luaL_addstring(&b, i == PROFILE_KINDS - 1 ? " or " : ", ");
    luaL_addchar(&b, '"');
    luaL_addstring(&b, profile_types[i]->name);
    luaL_addchar(&b, '"');
  }
  luaL_pushresult(&b);
  return lua_tostring(L, -1);
}

/* Pushes the handle of a new profile.   [-0, +1, e] */
static void push_profile(runtime *rt, lua_State *L, int kind, int64_t hz, const char *function) {
  profile_handle *h = lua_newuserdatauv(L, sizeof(profile_handle), 0);
  h->profile = NULL;
  luaL_setmetatable(L, PROFILE_TYPE);
  h->profile = profile_start(rt, L, kind, hz, function);
}

/* Returns the option `kind`.   [-0, +0, e] */
static int read_kind(lua_State *L) {
  lua_getfield(L, 1, "kind");
  int kind = find_kind(L, -1);
  if (kind < 0) {
    const char *expected = push_kinds(L);
    lua_pushvalue(L, -2);
    if (lua_type(L, -1) == LUA_TSTRING) options_refuse_value(L, 1, "start", "kind", expected);
    options_error(L, 1, "start", "kind", expected);
  }
  lua_pop(L, 1);
  return kind;
}

static int profile_start_(lua_State *L) {
  static const char *const names[] = {"kind", "hz", NULL};
  runtime *rt = runtime_of(L);
  lua_settop(L, 1);
  options_check_names(L, 1, "start", names);
  int kind = read_kind(L);
  lua_Integer hz = options_integer(L, 1, "start", "hz", 1, PROFILE_HZ_MAX, 0);
  if (hz != 0 && !profile_types[kind]->has_rate) {
    arg_error(L, 1, "start", "option 'hz' is only for kinds with a rate, such as \"cpu\"");
  }
  push_profile(rt, L, kind, hz != 0 ? hz : PROFILE_HZ, "co.profile.start");
  return 1;
}

/* Stops the profile of the handle and pushes its bytes.   [-0, +1, m] */
static void push_bytes(lua_State *L, profile_handle *h) {
  profile_finish(h->profile, L);
  profile_push_pprof(h->profile, L);
  profile_free(h->profile);
  h->profile = NULL;
}

static int profile_method_stop(lua_State *L) {
  profile_handle *h = arg_check_self(L, PROFILE_TYPE, "stop");
  if (h->profile == NULL) return luaL_error(L, "the profile was stopped before");
  push_bytes(L, h);
  return 1;
}

/* Also __gc. Once the universe is being closed, the runtime frees the memory. */
static int discard_profile(lua_State *L) {
  profile_handle *h = luaL_testudata(L, 1, PROFILE_TYPE);
  if (h == NULL || runtime_of_any(L)->closed) return 0;
  profile_free(h->profile);
  h->profile = NULL;
  return 0;
}

/* --- take --- */

enum { TAKE_PROFILE = 3 };

static int after_take(lua_State *L, int status, lua_KContext context) {
  (void)status;
  (void)context;
  task_check_wake(runtime_of(L), L);
  push_bytes(L, lua_touserdata(L, TAKE_PROFILE));
  return 1;
}

static const wait_type wait_profile = {.name = "profile", .continuation = after_take};

static int profile_take(lua_State *L) {
  runtime *rt = runtime_of(L);
  lua_settop(L, 2);
  int kind = find_kind(L, 1);
  if (kind < 0 && lua_type(L, 1) != LUA_TSTRING) arg_type_error(L, 1, "take", push_kinds(L));
  if (kind < 0) {
    const char *kinds = push_kinds(L);
    arg_error(L, 1, "take",
              lua_pushfstring(L, "%s expected, got \"%s\"", kinds, lua_tostring(L, 1)));
  }
  double seconds = arg_check_seconds(L, 2, 2, "take");
  task_check_suspend(rt, L, "profile.take");
  push_profile(rt, L, kind, PROFILE_HZ, "co.profile.take");
  profile_handle *h = lua_touserdata(L, TAKE_PROFILE);
  h->profile->taker = rt->current->id;
  lua_toclose(L, TAKE_PROFILE);
  return task_park(rt, L, &wait_profile, runtime_deadline(rt, seconds));
}

/* --- labels --- */

/* Gives the code the labels back that it had before, when it is closed. */
typedef struct labels_handle {
  label_set *before; /* counted; NULL: none */
  uint64_t task;     /* the id of the task; 0: the code outside tasks */
  bool open;
} labels_handle;

static uint64_t current_id(const runtime *rt) { return rt->current == NULL ? 0 : rt->current->id; }

/* If other code than the task's closes it, the task has ended, and its labels with it. */
static int close_labels(lua_State *L) {
  labels_handle *h = luaL_testudata(L, 1, LABELS_TYPE);
  runtime *rt = runtime_of_any(L);
  if (h == NULL || !h->open || rt->closed) return 0;
  h->open = false;
  bool is_here = current_id(rt) == h->task;
  if (!is_here || !labels_set(&rt->profiler->labels, rt, rt->current, h->before)) {
    label_set_release(rt, h->before);
  }
  return 0;
}

/* Raises that the label on top of the stack, below its value, is not as expected.   [-0, +0, e] */
static int refuse_label(lua_State *L, const char *expected) {
  const char *name = luaL_tolstring(L, -2, NULL);
  return arg_error(
      L, 1, "labels",
      lua_pushfstring(L, "label '%s': %s expected, got %s", name, expected, luaL_typename(L, -2)));
}

static bool is_taken(const char *name) {
  static const char *const names[] = {"task", "task_id", "trace_id", "wait", "status", "object"};
  for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
    if (strcmp(name, names[i]) == 0) return true;
  }
  return false;
}

/* Reads the name and value on top of the stack.   [-0, +0, e] */
static void read_label(lua_State *L, label *l) {
  size_t length;
  if (lua_type(L, -2) != LUA_TSTRING) {
    arg_error(L, 1, "labels",
              lua_pushfstring(L, "names of labels are strings, got %s", luaL_typename(L, -2)));
  }
  const char *name = lua_tolstring(L, -2, &length);
  if (length == 0 || length > LABEL_BYTES_MAX || strlen(name) != length) {
    arg_error(L, 1, "labels", "names of labels have 1 to 64 bytes, and no zero");
  }
  if (is_taken(name)) {
    arg_error(L, 1, "labels", lua_pushfstring(L, "the label '%s' is the profile's own", name));
  }
  memcpy(l->name, name, length + 1);
  l->name_length = (uint8_t)length;
  if (!lua_isstring(L, -1)) refuse_label(L, "string or number");
  lua_pushvalue(L, -1);
  const char *text = lua_tolstring(L, -1, &length);
  if (length > LABEL_BYTES_MAX) {
    arg_error(L, 1, "labels",
              lua_pushfstring(L, "label '%s': at most %d bytes expected, got %I", name,
                              LABEL_BYTES_MAX, (LUAI_UACINT)length));
  }
  memcpy(l->text, text, length);
  l->length = (uint8_t)length;
  lua_pop(L, 1);
}

/* Raises that there are too many.   [-0, +0, e] */
static void refuse_count(lua_State *L) {
  arg_error(L, 1, "labels", "at most 8 labels expected, with those that the code has already");
}

/* Reads the table at 1. Returns the number of labels.   [-0, +0, e] */
static uint32_t read_labels(lua_State *L, label labels[LABELS_MAX]) {
  if (!lua_istable(L, 1)) arg_type_error(L, 1, "labels", "table");
  uint32_t count = 0;
  lua_pushnil(L);
  while (lua_next(L, 1) != 0) {
    if (count == LABELS_MAX) refuse_count(L);
    read_label(L, &labels[count++]);
    lua_pop(L, 1);
  }
  return count;
}

/*
** Puts a label among others, which are in the order of their names, so that equal sets look alike.
** Returns false if there is no room for it.
*/
static bool put_label(label *labels, uint32_t *count, const label *l) {
  uint32_t at = 0;
  while (at < *count && strcmp(labels[at].name, l->name) < 0) at++;
  if (at == *count || strcmp(labels[at].name, l->name) != 0) {
    if (*count == LABELS_MAX) return false;
    memmove(&labels[at + 1], &labels[at], (*count - at) * sizeof(label));
    (*count)++;
  }
  labels[at] = *l;
  return true;
}

/*
** Returns a set of those labels and of the others that the running code has. Raises if there are too
** many, or there is no memory. Calls nothing of scripts.   [-0, +0, e]
*/
static label_set *join_labels(runtime *rt, lua_State *L, const label *given, uint32_t count) {
  label all[LABELS_MAX];
  uint32_t total = 0;
  const label_set *set = labels_of(&rt->profiler->labels, rt->current);
  for (uint32_t i = 0; set != NULL && i < set->count; i++) put_label(all, &total, &set->label[i]);
  for (uint32_t i = 0; i < count; i++) {
    if (!put_label(all, &total, &given[i])) refuse_count(L);
  }
  label_set *joined = label_set_new(rt, total);
  if (joined == NULL) {
    luaL_error(L, "not enough memory");
    compat_unreachable();
  }
  memcpy(joined->label, all, total * sizeof(label));
  return joined;
}

/* The results are everything above the handle, which is at index 1. */
static int after_labels(lua_State *L, int status, lua_KContext context) {
  (void)status;
  (void)context;
  return lua_gettop(L) - 1;
}

static int profile_labels_(lua_State *L) {
  runtime *rt = runtime_of(L);
  label given[LABELS_MAX];
  uint32_t count = read_labels(L, given);
  arg_check_function(L, 2, "labels");
  profiler *all = profiler_of(rt, L);
  labels_handle *h = lua_newuserdatauv(L, sizeof(labels_handle), 0);
  *h = (labels_handle){.task = current_id(rt)};
  luaL_setmetatable(L, LABELS_TYPE);
  lua_replace(L, 1);
  label_set *set = join_labels(rt, L, given, count);
  label_set *before = label_set_retain(labels_of(&all->labels, rt->current));
  if (!labels_set(&all->labels, rt, rt->current, set)) {
    label_set_release(rt, before);
    label_set_release(rt, set);
    return luaL_error(L, "not enough memory");
  }
  h->before = before;
  h->open = true;
  return unwind_call_closing(L, 1, lua_gettop(L) - 2, LUA_MULTRET, 0, after_labels);
}

void lib_profile_open(lua_State *L, runtime *rt) {
  static const luaL_Reg methods[] = {{"stop", profile_method_stop}, {NULL, NULL}};
  static const luaL_Reg none[] = {{NULL, NULL}};
  static const luaL_Reg metamethods[] = {
      {"__gc", discard_profile}, {"__close", discard_profile}, {NULL, NULL}};
  static const luaL_Reg label_metamethods[] = {
      {"__gc", close_labels}, {"__close", close_labels}, {NULL, NULL}};
  static const luaL_Reg functions[] = {
      {"start", profile_start_}, {"take", profile_take}, {"labels", profile_labels_}, {NULL, NULL}};
  lib_new_type(L, rt, PROFILE_TYPE, methods, metamethods);
  lib_new_type(L, rt, LABELS_TYPE, none, label_metamethods);
  lua_createtable(L, 0, 3);
  lib_register(L, rt, functions);
  lua_setfield(L, -2, "profile");
}
