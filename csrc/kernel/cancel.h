/*
** Cancellation: asking a task, or a cancel scope of its code, to end, and raising that at its
** suspension points. It is level-triggered: once raised it is raised again at every suspension
** point, until what was asked to end has ended, so that a pcall can not swallow it for good. Deferred
** calls that run because something is unwinding already are shielded (frames_shield).
** Model: Trio's cancel scopes and Kotlin's jobs; the words of Go's context package.
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
** So often an exit is raised without a suspension in between; then the task is unwound by force. Each time it was
** swallowed by a pcall, and a loop around one would keep the processor for ever. A loop over what there is to
** clean up has a chance to come to its end.
*/
#define CANCEL_MAX_RAISES 100

/* "explicit", "deadline", ... as record.source gives it; NULL for CANCEL_NONE. */
const char *cancel_source_name(cancel_source source);

/*
** Asks a live task to end. The reason is on top of the stack.   [-1, +0, -]
** False: it had ended already. A second request changes nothing.
*/
bool cancel_task(struct runtime *rt, lua_State *L, struct task *t, cancel_source source);

/*
** Remembers the running task as the one that asks the task at `victim` to end, for the record to
** tell.   [-0, +0, m]
*/
void cancel_note_asker(struct runtime *rt, lua_State *L, int victim);

/* Whether a request that unwinds from frame `floor` has to wait until other unwinding is over. */
bool cancel_is_shielded(const struct task *t, uint32_t floor);

/* Whether a request could be raised in the current task now: one that is not shielded. */
bool cancel_is_due(const struct runtime *rt, const struct task *t);

/* Whether cancel_raise would raise: because of such a request, or of the exit under way. */
bool cancel_will_raise(const struct runtime *rt, const struct task *t);

/*
** Raises what waits to be raised in the current task, whose code runs on L: the exit that unwinds
** its innermost frame, or else the outermost request that is not shielded.   [-0, +0, e]
** Returns when there is none.
*/
void cancel_raise(struct runtime *rt, lua_State *L, struct task *t);

/*
** The exit whose record is on top of the stack is about to be raised in the current task.
** At the CANCEL_MAX_RAISES-th time without a suspension does not return: parks the task for good, and
** task_run.c unwinds it.   [-0, +0, e]
*/
void cancel_count_raise(struct runtime *rt, lua_State *L, struct task *t);

/*
** The exit whose record is on top of the stack has ended a coroutine inside the task: raises it in the
** code on L, which has resumed that. In the task's own thread it begins there.   [-1, +0, e]
*/
int cancel_raise_outwards(struct runtime *rt, lua_State *L);

/*
** Replaces the reason on top of the stack, below which is the object that was asked to end, by
** the record of a cancellation of the code on `thread`; see record_wrap_safe.   [-1, +1, -]
*/
void cancel_make_record(struct runtime *rt, lua_State *L, lua_State *thread, int level,
                        cancel_source source);

/* Pushes the record of what the cancel scope was asked.   [-0, +1, -] */
void cancel_push_record(struct runtime *rt, lua_State *L, lua_State *thread, int level,
                        const cancel_scope *c);

#pragma GCC visibility pop

#endif
