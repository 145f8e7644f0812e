/*
** A mailbox takes one value for each of its open slots, from any thread and from signal handlers,
** and gives them to the one thread that owns it. A slot is named by a token, a number that stays
** safe to use for ever: after the slot was answered or given up, after the mailbox was closed, or
** if it was made up. A slot has 2^34 tokens before one comes again.
**
**          mailbox_issue          mailbox_post, any thread        mailbox_take
**   FREE ───────────────▶ OPEN ──────────────────────────▶ CLAIMED ───────────▶ SETTLED
**     ▲                     │            mailbox_settle, the owner                 │ ▲
**     │                     └──────────────────────────────────────────────────────┼─┘
**     └──────────────────────────────── mailbox_release ◀──────────────────────────┘
**
** A post allocates nothing and takes no lock: it wins the slot by one compare-and-swap, and links it
** into a list (R. K. Treiber 1986). The owner takes the whole list at once, so the list has no ABA
** problem. Since a slot is posted at most once, the list can not overflow.
**
** The process has one table of mailboxes, through which tokens are looked up. It is a C global,
** because a token must be refused also when its mailbox is gone. A thread that posts is counted in
** the table meanwhile, and mailbox_close waits until the count is 0.
**
** A forked child has the mailboxes of its one thread, with the posts that had ended when it was
** forked: one that was under way in another thread has not happened there.
*/
#ifndef CP_CORE_MAILBOX_H
#define CP_CORE_MAILBOX_H

#include <stdatomic.h>
#include <stdbool.h>

#include "core/base.h"
#include "core/wakeup.h"

#pragma GCC visibility push(hidden)

/* A token, from its high bits on: the mailbox's place in the table, the slot, the generation. */
enum { MAIL_TABLE_BITS = 10, MAIL_SLOT_BITS = 20, MAIL_GENERATION_BITS = 34 };

#define MAILBOX_MAX (1u << MAIL_TABLE_BITS) /* open at the same time in the process */

/* The slots of chunk i are as many as those of all chunks before it, and MAIL_FIRST_CHUNK more. */
enum { MAIL_FIRST_CHUNK_BITS = 6, MAIL_CHUNKS = MAIL_SLOT_BITS - MAIL_FIRST_CHUNK_BITS };

/* What is posted; the mailbox does not look at it. */
typedef struct mail {
  union {
    int64_t integer;
    void *pointer;
  };
  bool is_pointer;
} mail;

typedef enum mail_phase { MAIL_FREE, MAIL_OPEN, MAIL_CLAIMED, MAIL_SETTLED } mail_phase;

/* Embedded, as the first member, in the owner's slots. */
typedef struct mail_slot {
  _Atomic uint64_t state; /* the generation, and a mail_phase in the two low bits */
  struct mail_slot *next; /* in the list of posted slots, or of free ones */
  uint32_t number;
  mail mail; /* once it is SETTLED by mailbox_take */
} mail_slot;

typedef struct mailbox {
  const allocator *memory;
  const wakeup *wakeup; /* signalled by a post; open, and not changed any more */
  size_t slot_size;
  uint32_t place;  /* in the table */
  uint32_t count;  /* slots made so far */
  uint64_t newest; /* the highest generation of a slot */
  uint64_t first;  /* the generation with which slots begin */
  mail_slot *free_first, *free_last;
  _Atomic(mail_slot *) posted; /* the newest first */
  _Atomic(char *) chunks[MAIL_CHUNKS];
} mailbox;

typedef enum mail_answer {
  MAIL_TAKEN,   /* the owner gets the mail */
  MAIL_LATE,    /* the slot was answered or given up before, or its mailbox is closed */
  MAIL_UNKNOWN, /* no such token was issued */
  MAIL_FOREIGN  /* mailbox_look only: the calling thread is not the owner */
} mail_answer;

/*
** Opens a mailbox with slots of `slot_size` bytes, owned by the calling thread. NULL: there is no
** memory, or MAILBOX_MAX are open.
*/
mailbox *mailbox_open(const allocator *memory, const wakeup *w, size_t slot_size);

/* Refuses all tokens from now on, waits until no thread posts any more, and frees the memory. */
void mailbox_close(mailbox *m);

/* Makes the calling thread the owner. */
void mailbox_own(const mailbox *m);

/* Opens a slot and sets its token; NULL: there is no memory, or 2^MAIL_SLOT_BITS are in use. */
mail_slot *mailbox_issue(mailbox *m, uint64_t *token);

/* Returns the slot of a token that is not released; NULL: there is none. */
mail_slot *mailbox_find(const mailbox *m, uint64_t token);

/* Settles an open slot without mail. False: a post has won it, and mailbox_take will return it. */
bool mailbox_settle(mail_slot *s);

/* Frees a settled slot; its token is late from now on. */
void mailbox_release(mailbox *m, mail_slot *s);

static inline mail_phase mailbox_phase(const mail_slot *s) {
  return (mail_phase)(atomic_load_explicit(&s->state, memory_order_acquire) & 3);
}

/* Whether mailbox_take would return a slot. */
static inline bool mailbox_has_mail(const mailbox *m) {
  return atomic_load_explicit(&m->posted, memory_order_acquire) != NULL;
}

/* Settles and returns the posted slots, linked by `next`, in the order of the posts. */
mail_slot *mailbox_take(mailbox *m);

/* --- any thread, any signal handler --- */

/* Gives the slot its mail, and signals the wakeup. Keeps errno. */
mail_answer mailbox_post(uint64_t token, mail given);

/* Says what a post would answer, but MAIL_FOREIGN instead of MAIL_TAKEN in another thread. */
mail_answer mailbox_look(uint64_t token);

#pragma GCC visibility pop

#endif
