/*
** Cancellation: asks a task, or a cancel scope of its code, to end, and raises that at its
** suspension points. It is level-triggered: once raised, it is raised again at every suspension
** point until the cancelled code has ended, so that a pcall can not swallow it for good. A deferred
** call is shielded if it runs because its frame is unwinding already (frames_shield).
** Source of the model: Trio's cancel scopes and Kotlin's jobs; the words are those of Go's context
** package.
*/
#ifndef CP_KERNEL_CANCEL_H
#define CP_KERNEL_CANCEL_H

#include <stdbool.h>

#include "compat.h"
#include "core/base.h"
#include "kernel/cancel_scope.h"
#include "kernel/record.h"

#pragma GCC visibility push(hidden)

struct runtime;
struct task;

/*
** After so many raises of an exit without a suspension in between, the task is unwound by force.
** Each time a pcall had swallowed the exit, and a loop around the pcall would keep the processor
** for ever. A loop that cleans up several objects has time to end.
*/
#define CANCEL_MAX_RAISES 100

/* One raise in a hook counts as so many: the task has had the processor for a slice since the last. */
#define CANCEL_RAISES_OF_HOOK 10

/* Returns the name as in record.source, "explicit", "deadline", ...; NULL for CANCEL_NONE. */
const char *cancel_source_name(cancel_source source);

/*
** Remembers the running task as the one that asks the task at `victim` to end; the record will name
** it.   [-0, +0, m]
*/
void cancel_note_asker(struct runtime *rt, lua_State *L, int victim);

/* Whether a request that unwinds from frame `floor` has to wait until other unwinding is over. */
bool cancel_is_shielded(const struct task *t, uint32_t floor);

/* Whether any request could be raised in the current task now, because it is not shielded. */
bool cancel_is_due(const struct runtime *rt, const struct task *t);

/* Whether cancel_raise would raise, because of such a request or of the exit under way. */
bool cancel_will_raise(const struct runtime *rt, const struct task *t);

/*
** Raises in the current task, whose code runs on L: the exit that unwinds its innermost frame, or
** else the outermost request that is not shielded. Returns if there is neither.   [-0, +0, e]
*/
void cancel_raise(struct runtime *rt, lua_State *L, struct task *t);

/*
** The same in a hook that has interrupted the code on L, which may be anywhere: the task was asked to
** end, and has run for a whole slice without coming to a suspension point. If nothing on the stack
** would catch the exit, or pcall swallows it again and again, parks the task for good and returns
** true: then the hook must return. Returns false if there is nothing to raise.
** [-0, +0, e]
*/
bool cancel_raise_in_hook(struct runtime *rt, lua_State *L, struct task *t);

/*
** Cuts short the code of the task in which a hook runs on L, be it shielded or not: the task was asked
** to end, and its deferred call runs for too long. Then the hook must return.   [-0, +0, e]
*/
void cancel_cut_short(struct runtime *rt, lua_State *L, struct task *t);

/*
** Call it before raising the exit whose record is on top of the stack, in the current task. At the
** call number CANCEL_MAX_RAISES without a suspension it does not return: it parks the task for
** good, and task_run.c unwinds it.   [-0, +0, e]
*/
void cancel_count_raise(struct runtime *rt, lua_State *L, struct task *t);

/*
** Pops the record of an exit that has ended a coroutine inside the task, and raises it in the code
** on L, which had resumed the coroutine. In the task's own thread the task's exit begins there.
** [-1, +0, e]
*/
int cancel_raise_outwards(struct runtime *rt, lua_State *L);

/*
** Replaces the reason on top of the stack by the record of a cancellation of the code on `thread`;
** see record_wrap_safe. Below the reason must be the object that was asked to end.   [-1, +1, -]
*/
void cancel_make_record(struct runtime *rt, lua_State *L, lua_State *thread, int level,
                        cancel_source source);

/* Pushes the record of the cancellation of a cancel scope.   [-0, +1, -] */
void cancel_push_record(struct runtime *rt, lua_State *L, lua_State *thread, int level,
                        const cancel_scope *c);

#pragma GCC visibility pop

#endif
