#include "kernel/cpu_budget.h"

#include "kernel/cancel.h"
#include "kernel/preempt.h"
#include "kernel/probe.h"

/* What a task with a budget has used. It lives until the task ends. */
typedef struct cpu_account {
  task_exit exit; /* of the task: closes the account */
  task *task;
  int64_t limit_ns; /* when it has used so much, something has to be done */
  int64_t used_ns;  /* in the turns that have ended */
  int64_t since_ns; /* the thread's time when the turn that runs began */
  bool is_used_up;  /* the task was cancelled for it */
} cpu_account;

void cpu_budget_open(runtime *rt, lua_State *L) {
  lua_pushliteral(L, "CPU budget used up");
  runtime_set_value(rt, L, RUNTIME_UV_USED_UP);
}

/* --- turns --- */

static int64_t used_by(const cpu_account *a) {
  return a->used_ns + (clock_thread_ns() - a->since_ns);
}

static void end_turn(runtime *rt) {
  preemption *p = &rt->preemption;
  p->meter->used_ns = used_by(p->meter);
  p->meter = NULL;
  probe_remove_sink(&rt->probes, &p->turn_end);
}

/* The sink: the metered turn has ended, because no other one can have begun. */
static void hear_stop(probe_sink *self, runtime *rt, const probe_event *event) {
  (void)self;
  if (event->kind == PROBE_STOP) end_turn(rt);
}

static void close_account(runtime *rt, lua_State *L, task_exit *exit) {
  (void)L;
  cpu_account *a = container_of(exit, cpu_account, exit);
  if (rt->preemption.meter == a) end_turn(rt);
  rt->preemption.metered--;
  mem_free(&rt->memory, a, sizeof(cpu_account));
}

static cpu_account *account_of(const task *t) {
  task_exit *exit = t->exits;
  while (exit->run != close_account) exit = exit->next;
  return container_of(exit, cpu_account, exit);
}

/* Does what the account's limit asks for, if that is reached; see cpu_budget_is_overdrawn. */
static bool settle(runtime *rt, lua_State *L, cpu_account *a) {
  int64_t used_ns = used_by(a);
  if (used_ns <= a->limit_ns) return false;
  a->limit_ns = used_ns + CPU_BUDGET_GRACE_NS;
  if (a->is_used_up) return true;
  a->is_used_up = true;
  runtime_push_value(rt, L, RUNTIME_UV_USED_UP);
  cancel_scope_cancel(rt, L, &a->task->entry, CANCEL_CPU_BUDGET);
  return false;
}

void cpu_budget_begin_turn(runtime *rt, lua_State *L, task *t) {
  preemption *p = &rt->preemption;
  p->meter = account_of(t);
  p->meter->since_ns = clock_thread_ns();
  p->turn_end = (probe_sink){.wants = PROBE_BIT(PROBE_STOP), .write = hear_stop};
  probe_add_sink(&rt->probes, &p->turn_end);
  settle(rt, L, p->meter);
}

bool cpu_budget_is_overdrawn(runtime *rt, lua_State *L) {
  return settle(rt, L, rt->preemption.meter);
}

/* --- spawning --- */

static void *reserve(runtime *rt, void *group) {
  cpu_account *a = mem_new(&rt->memory, sizeof(cpu_account));
  if (a == NULL) return NULL;
  const int64_t *budget_ns = group;
  *a = (cpu_account){.exit = {.run = close_account}, .limit_ns = *budget_ns};
  return a;
}

static void join(runtime *rt, lua_State *L, task *t, void *reserved) {
  (void)L;
  cpu_account *a = reserved;
  a->task = t;
  t->before_turn |= TURN_METERED;
  task_on_end(t, &a->exit);
  rt->preemption.metered++;
  if (rt->driver != NULL) preempt_resume(rt);
}

const spawn_group_type cpu_budget_type = {.reserve = reserve, .join = join};
