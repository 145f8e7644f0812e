#include "telemetry/profile_stack.h"

#include <stdio.h>

#include "core/hex.h"
#include "kernel/stack.h"

/* --- the stack --- */

/* Whether the C function at this activation is one that reports hide, too.   [-0, +0, -] */
static bool is_hidden(const runtime *rt, lua_State *thread, lua_Debug *ar) {
  if (!lua_checkstack(thread, 1)) return false;
  lua_getinfo(thread, "f", ar);
  bool hidden = runtime_is_machinery(rt, lua_tocfunction(thread, -1));
  lua_pop(thread, 1);
  return hidden;
}

static void add_activation(profile *p, profile_key *k, lua_State *thread, lua_Debug *ar) {
  lua_getinfo(thread, "Sln", ar);
  if (*ar->what != 'C') {
    profile_add_lua_frame(&p->store, k, ar->short_src, ar->linedefined, ar->name, ar->currentline);
  } else if (!is_hidden(p->rt, thread, ar)) {
    profile_add_frame(&p->store, k, "[C]", ar->name == NULL ? "?" : ar->name);
  }
}

void profile_add_stack(profile *p, profile_key *k, const coroutine *c) {
  lua_Debug ar;
  stack_walk w = stack_begin_at(c);
  uint32_t end = k->frames + PROFILE_FRAMES_MAX - 1;
  while (!k->lost && k->frames < end && stack_next(&w, &ar)) add_activation(p, k, w.thread, &ar);
}

/* --- labels --- */

/* Room for an id, a blank, and what is shown of a name. */
#define TASK_LABEL_SIZE 128

/*
** The task as a text begins with its id, but is not all digits: pprof takes those for a number, and
** finds no text by them.
*/
static void add_task(profile *p, profile_key *k, const task *t) {
  char name[TASK_NAME_SIZE];
  char text[TASK_LABEL_SIZE];
  int length =
      snprintf(text, sizeof(text), "%llu %s", (unsigned long long)t->id, task_name(t, name));
  if (length >= (int)sizeof(text)) length = (int)sizeof(text) - 1;
  profile_add_text(&p->store, k, "task", text, (size_t)length);
  profile_add_number(&p->store, k, "task_id", (int64_t)t->id);
}

static void add_trace(profile *p, profile_key *k, coroutine *c) {
  trace_context *context = c->kind == COROUTINE_OTHER ? coroutine_other(c)->trace : &c->context;
  const trace *own = trace_ids_of(context)->trace;
  if (own == NULL) return;
  char digits[32];
  hex_encode(digits, own->trace_id, sizeof(own->trace_id));
  profile_add_text(&p->store, k, "trace_id", digits, sizeof(digits));
}

void profile_add_own_labels(profile *p, profile_key *k, const task *t) {
  const label_set *set = labels_of(&p->rt->profiler->labels, t);
  for (uint32_t i = 0; set != NULL && i < set->count; i++) {
    const label *l = &set->label[i];
    profile_add_text(&p->store, k, l->name, l->text, l->length);
  }
}

void profile_add_labels(profile *p, profile_key *k, const task *t, coroutine *c) {
  if (t != NULL) add_task(p, k, t);
  add_trace(p, k, c);
  profile_add_own_labels(p, k, t);
}
