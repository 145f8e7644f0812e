/*
** The owner of a task's unrecovered panic. The record stays with the task; the owner, who tells of
** the panic, is set once:
**
**   nobody ──▶ a joiner: join or await has returned the record or raised it, or co.run does
**          ──▶ the heir: the scope that waits for the task
**          ──▶ the handler
**
** While the panic is nobody's it is held, because the spawner may be busy joining the task's
** siblings. The handler gets it as soon as nobody can come for it any more: when the task's handle
** has been collected, when the run ends, and at the latest UNHANDLED_GRACE_NS after the task's end,
** so that a program cannot silence a panic by storing the handle.
*/
#ifndef CP_KERNEL_UNHANDLED_H
#define CP_KERNEL_UNHANDLED_H

#include "compat.h"
#include "kernel/task.h"

#pragma GCC visibility push(hidden)

/* By the loop's clock. While the spawner waits in a join or await, a held panic is held longer. */
#define UNHANDLED_GRACE_NS NS_PER_SECOND

typedef enum panic_owner {
  PANIC_NOBODYS,
  PANIC_JOINERS,
  PANIC_HEIRS,
  PANIC_HANDLERS,
  PANIC_OWNER_MAX = PANIC_HANDLERS /* task.ended.owner has two bits */
} panic_owner;

/* Makes the metatable of guards.   [-0, +0, m] */
void unhandled_open(runtime *rt, lua_State *L);

/*
** Pops the record of the task at the absolute index, which has ended by that panic and has the
** record as its result, and gives the panic to the heir, holds it, or gives it to the handler.
** [-1, +0, -]
** A finalizer may join the task meanwhile: then the panic is the joiner's.
**   heir    of the task; NULL: none
**   comers  how many tasks were woken to come for the panic. It is held for them, because they may
**           be cancelled before they run
*/
void unhandled_pass_on(runtime *rt, lua_State *L, task *t, int index, panic_heir *heir,
                       uint32_t comers);

/*
** Sets the owner of the ended task's panic; nothing else does.   [-0, +0, -]
** False: the task has not panicked, or its panic has an owner already.
*/
bool unhandled_give(runtime *rt, lua_State *L, task *t, panic_owner owner);

/* Gives the panics that are overdue to the handler.   [-0, +0, -] */
void unhandled_expire(runtime *rt, lua_State *L, int64_t now_ns);

/* Gives all held panics to the handler.   [-0, +0, -] */
void unhandled_flush(runtime *rt, lua_State *L);

/*
** Counts a comer that goes on: a task that was woken because the one at `index`, which it joins or
** awaits, has ended. After the last comer a panic without an owner goes to the heir.   [-0, +0, -]
**   comes  false: the comer is unwound instead of taking the panic
*/
void unhandled_arrived(runtime *rt, lua_State *L, int index, bool comes);

/*
** Gives the heir all panics that are held for it. The caller is about to end the heir without
** waiting for the comers.
**   [-0, +0, -]
*/
void unhandled_give_all(runtime *rt, lua_State *L, panic_heir *heir);

/* Makes the handler the one that gets the panics held for the heir, which is going away. */
void unhandled_forget(const runtime *rt, panic_heir *heir);

/* Returns the time at which the first held panic is overdue, or TIME_FOREVER. */
int64_t unhandled_next_deadline(const runtime *rt);

#pragma GCC visibility pop

#endif
