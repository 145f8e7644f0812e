#include "core/mailbox.h"

#include <pthread.h>
#include <sched.h>

#define FIRST_CHUNK (1u << MAIL_FIRST_CHUNK_BITS)
#define GENERATION_MAX ((UINT64_C(1) << MAIL_GENERATION_BITS) - 1)
#define SLOT_MASK ((1u << MAIL_SLOT_BITS) - 1)

_Static_assert(MAIL_TABLE_BITS + MAIL_SLOT_BITS + MAIL_GENERATION_BITS == 64,
               "tokens have 64 bits");
_Static_assert(ATOMIC_LLONG_LOCK_FREE == 2 && ATOMIC_POINTER_LOCK_FREE == 2,
               "signal handlers may not take locks");

/* A place in the process's table. It outlives its mailboxes. */
typedef struct place {
  _Atomic(mailbox *) open; /* NULL: there is none */
  _Atomic(uint32_t) users; /* threads that use `open` just now */
  atomic_bool taken;
  _Atomic(uint64_t) former; /* the highest generation of the mailboxes that are closed */
  _Atomic(pthread_t) owner;
} place;

static place places[MAILBOX_MAX];

/* --- tokens --- */

static place *place_of(uint64_t token) {
  return &places[token >> (MAIL_SLOT_BITS + MAIL_GENERATION_BITS)];
}

static uint32_t number_of(uint64_t token) {
  return (uint32_t)(token >> MAIL_GENERATION_BITS) & SLOT_MASK;
}

static uint64_t generation_of(uint64_t token) { return token & GENERATION_MAX; }

static uint64_t make_state(uint64_t generation, mail_phase phase) {
  return generation << 2 | phase;
}

/* --- slots --- */

/* Returns the number of the chunk that has the slot; its first slot has number `*base`. */
static unsigned chunk_of(uint32_t number, uint32_t *base) {
  unsigned chunk = 0;
  *base = 0;
  while (number - *base >= FIRST_CHUNK << chunk) *base += FIRST_CHUNK << chunk++;
  return chunk;
}

/* Returns the slot of that number; NULL: it was not made. */
static mail_slot *slot_at(const mailbox *m, uint32_t number) {
  uint32_t base;
  unsigned chunk = chunk_of(number, &base);
  if (chunk >= MAIL_CHUNKS) return NULL;
  char *slots = atomic_load_explicit(&m->chunks[chunk], memory_order_acquire);
  return slots == NULL ? NULL : (mail_slot *)(void *)(slots + (number - base) * m->slot_size);
}

static void add_free(mailbox *m, mail_slot *s) {
  s->next = NULL;
  if (m->free_first == NULL) {
    m->free_first = s;
  } else {
    m->free_last->next = s;
  }
  m->free_last = s;
}

/* Makes one more chunk of free slots. False: there is no memory, or there are too many. */
static bool grow(mailbox *m) {
  uint32_t base;
  unsigned chunk = chunk_of(m->count, &base);
  if (chunk >= MAIL_CHUNKS) return false;
  uint32_t count = FIRST_CHUNK << chunk;
  char *slots = mem_new(m->memory, count * m->slot_size);
  if (slots == NULL) return false;
  for (uint32_t i = 0; i < count; i++) {
    mail_slot *s = (mail_slot *)(void *)(slots + i * m->slot_size);
    atomic_init(&s->state, make_state(m->first, MAIL_FREE));
    s->number = m->count + i;
    add_free(m, s);
  }
  m->count += count;
  atomic_store_explicit(&m->chunks[chunk], slots, memory_order_release);
  return true;
}

/* --- the owner --- */

static place *take_place(void) {
  for (uint32_t i = 0; i < MAILBOX_MAX; i++) {
    bool taken = false;
    if (atomic_compare_exchange_strong(&places[i].taken, &taken, true)) return &places[i];
  }
  return NULL;
}

void mailbox_own(const mailbox *m) { atomic_store(&places[m->place].owner, pthread_self()); }

/* --- forks --- */

static void set_phase(mail_slot *s, mail_phase phase) {
  atomic_store(&s->state, make_state(atomic_load(&s->state) >> 2, phase));
}

/* Opens the slots that were claimed, but are not in the list. */
static void retract_posts(mailbox *m) {
  mail_slot *s;
  for (uint32_t i = 0; (s = slot_at(m, i)) != NULL; i++) {
    if (mailbox_phase(s) == MAIL_CLAIMED) set_phase(s, MAIL_OPEN);
  }
  for (s = atomic_load(&m->posted); s != NULL; s = s->next) set_phase(s, MAIL_CLAIMED);
}

/*
** In a forked child, which has only the thread that has forked: no other thread uses a mailbox any
** more, nor ends the post that it had begun.
*/
static void begin_child(void) {
  for (uint32_t i = 0; i < MAILBOX_MAX; i++) {
    mailbox *m = atomic_load(&places[i].open);
    atomic_store(&places[i].users, 0);
    if (m != NULL) retract_posts(m);
  }
}

static int watch_refusal; /* set once */

static void watch_forks(void) { watch_refusal = pthread_atfork(NULL, NULL, begin_child); }

/* --- opening and closing --- */

mailbox *mailbox_open(const allocator *memory, const wakeup *w, size_t slot_size) {
  static pthread_once_t watched = PTHREAD_ONCE_INIT;
  pthread_once(&watched, watch_forks);
  if (watch_refusal != 0) return NULL;
  mailbox *m = mem_new(memory, sizeof(mailbox));
  place *p = m == NULL ? NULL : take_place();
  if (p == NULL) {
    mem_free(memory, m, sizeof(mailbox));
    return NULL;
  }
  *m = (mailbox){.memory = memory, .wakeup = w, .slot_size = slot_size};
  m->place = (uint32_t)(p - places);
  m->first = m->newest = atomic_load(&p->former);
  mailbox_own(m);
  atomic_store(&p->open, m);
  return m;
}

void mailbox_close(mailbox *m) {
  place *p = &places[m->place];
  atomic_store(&p->former, m->newest);
  atomic_store(&p->open, NULL);
  while (atomic_load(&p->users) > 0) sched_yield();
  for (unsigned chunk = 0; chunk < MAIL_CHUNKS; chunk++) {
    mem_free(m->memory, atomic_load(&m->chunks[chunk]), (FIRST_CHUNK << chunk) * m->slot_size);
  }
  mem_free(m->memory, m, sizeof(mailbox));
  atomic_store(&p->taken, false);
}

mail_slot *mailbox_issue(mailbox *m, uint64_t *token) {
  if (m->free_first == NULL && !grow(m)) return NULL;
  mail_slot *s = m->free_first;
  m->free_first = s->next;
  uint64_t generation = atomic_load_explicit(&s->state, memory_order_relaxed) >> 2;
  generation = generation == GENERATION_MAX ? 1 : generation + 1;
  if (generation > m->newest) m->newest = generation;
  atomic_store_explicit(&s->state, make_state(generation, MAIL_OPEN), memory_order_release);
  *token = (uint64_t)m->place << (MAIL_SLOT_BITS + MAIL_GENERATION_BITS) |
           (uint64_t)s->number << MAIL_GENERATION_BITS | generation;
  return s;
}

mail_slot *mailbox_find(const mailbox *m, uint64_t token) {
  if (place_of(token) != &places[m->place]) return NULL;
  mail_slot *s = slot_at(m, number_of(token));
  if (s == NULL) return NULL;
  uint64_t state = atomic_load_explicit(&s->state, memory_order_acquire);
  return state >> 2 == generation_of(token) && (state & 3) != MAIL_FREE ? s : NULL;
}

bool mailbox_settle(mail_slot *s) {
  uint64_t state = atomic_load_explicit(&s->state, memory_order_acquire);
  if ((state & 3) != MAIL_OPEN) return false;
  return atomic_compare_exchange_strong(&s->state, &state, make_state(state >> 2, MAIL_SETTLED));
}

void mailbox_release(mailbox *m, mail_slot *s) {
  cp_assert(mailbox_phase(s) == MAIL_SETTLED);
  uint64_t state = atomic_load_explicit(&s->state, memory_order_relaxed);
  atomic_store_explicit(&s->state, make_state(state >> 2, MAIL_FREE), memory_order_release);
  add_free(m, s);
}

mail_slot *mailbox_take(mailbox *m) {
  mail_slot *s = atomic_exchange_explicit(&m->posted, NULL, memory_order_acquire);
  mail_slot *first = NULL;
  while (s != NULL) {
    mail_slot *next = s->next;
    uint64_t state = atomic_load_explicit(&s->state, memory_order_relaxed);
    atomic_store_explicit(&s->state, make_state(state >> 2, MAIL_SETTLED), memory_order_release);
    s->next = first;
    first = s;
    s = next;
  }
  return first;
}

/* --- any thread --- */

/* Begins and ends the use of the mailbox in which the token would be. */
static mailbox *enter(uint64_t token) {
  atomic_fetch_add(&place_of(token)->users, 1);
  return atomic_load(&place_of(token)->open);
}

static void leave(uint64_t token) { atomic_fetch_sub(&place_of(token)->users, 1); }

/* Says why the token's slot is not open. */
static mail_answer judge(uint64_t token, const mail_slot *s) {
  uint64_t newest = atomic_load(&place_of(token)->former);
  if (s != NULL) newest = atomic_load_explicit(&s->state, memory_order_acquire) >> 2;
  uint64_t generation = generation_of(token);
  return generation > 0 && generation <= newest ? MAIL_LATE : MAIL_UNKNOWN;
}

/* The slot is the poster's from the compare-and-swap on, until it is in the list. */
static bool post(mailbox *m, mail_slot *s, uint64_t token, mail given) {
  uint64_t expected = make_state(generation_of(token), MAIL_OPEN);
  uint64_t claimed = make_state(generation_of(token), MAIL_CLAIMED);
  if (!atomic_compare_exchange_strong(&s->state, &expected, claimed)) return false;
  s->mail = given;
  mail_slot *first = atomic_load_explicit(&m->posted, memory_order_relaxed);
  do s->next = first;
  while (!atomic_compare_exchange_weak_explicit(&m->posted, &first, s, memory_order_release,
                                                memory_order_relaxed));
  if (first == NULL) wakeup_signal(m->wakeup); /* else the one before us has */
  return true;
}

mail_answer mailbox_post(uint64_t token, mail given) {
  mailbox *m = enter(token);
  mail_slot *s = m == NULL ? NULL : slot_at(m, number_of(token));
  bool posted = s != NULL && post(m, s, token, given);
  mail_answer answer = posted ? MAIL_TAKEN : judge(token, s);
  leave(token);
  return answer;
}

mail_answer mailbox_look(uint64_t token) {
  const mailbox *m = enter(token);
  const mail_slot *s = m == NULL ? NULL : slot_at(m, number_of(token));
  uint64_t open = make_state(generation_of(token), MAIL_OPEN);
  mail_answer answer = MAIL_TAKEN;
  if (s == NULL || atomic_load(&s->state) != open) {
    answer = judge(token, s);
  } else if (!pthread_equal(atomic_load(&place_of(token)->owner), pthread_self())) {
    answer = MAIL_FOREIGN;
  }
  leave(token);
  return answer;
}
