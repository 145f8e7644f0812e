/*
** Ids made at the same time by several processes of several threads each: no two are the same, and each
** thread's are in order.
**   ids <n>  makes n ids of each generator; prints "ids: N passed, N failed"
*/
#define _DEFAULT_SOURCE 1 /* MAP_ANONYMOUS, fork */

#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/id.h"

enum { PROCESSES = 4, THREADS = 4, MAKERS = PROCESSES * THREADS };

static const char *const names[] = {"random", "uuid7", "snowflake", "hlc"};

typedef struct maker {
  pthread_t thread;
  id_kind kind;
  uint16_t machine;
  id128 *ids;
  size_t count;
  bool failed;
} maker;

static bool is_before(id128 a, id128 b) {
  return a.high != b.high ? a.high < b.high : a.low < b.low;
}

static bool begin(id_generator *g, id_source *source, const maker *m) {
  if (m->kind == ID_UUID7) id_use_uuid7(g);
  if (m->kind == ID_HLC) id_use_hlc(g, 500);
  if (m->kind != ID_SNOWFLAKE) return true;
  return id_use_snowflake(g, source, m->machine, 0, SNOWFLAKE_WAIT, 1000) == MACHINE_OK;
}

static void *make(void *argument) {
  maker *m = argument;
  id_generator g = {0};
  id_source *source = id_source_open();
  m->failed = source == NULL || !begin(&g, source, m);
  for (size_t i = 0; i < m->count && !m->failed; i++) {
    m->failed = id_next(&g, source, &system_wall_clock, &m->ids[i]) != ID_OK;
    bool in_order = i == 0 || m->kind == ID_RANDOM || is_before(m->ids[i - 1], m->ids[i]);
    m->failed = m->failed || !in_order;
    /* Of a snowflake the left half alone is to be without duplicates. */
    if (i > 0 && m->kind == ID_SNOWFLAKE) m->ids[i - 1].low = 0;
  }
  if (m->kind == ID_SNOWFLAKE && m->count > 0) m->ids[m->count - 1].low = 0;
  if (source != NULL) id_give_back(&g, source);
  id_source_close(source);
  return NULL;
}

/* One process: false if a thread of it could not make its ids, or not in order. */
static bool run_threads(id_kind kind, int process, id128 *ids, size_t count) {
  maker makers[THREADS];
  bool ok = true;
  for (int i = 0; i < THREADS; i++) {
    int number = process * THREADS + i;
    makers[i] = (maker){.kind = kind,
                        .machine = (uint16_t)number,
                        .ids = ids + (size_t)number * count,
                        .count = count};
    if (pthread_create(&makers[i].thread, NULL, make, &makers[i]) != 0) _exit(1);
  }
  for (int i = 0; i < THREADS; i++) {
    pthread_join(makers[i].thread, NULL);
    ok = ok && !makers[i].failed;
  }
  return ok;
}

static bool run_processes(id_kind kind, id128 *ids, size_t count) {
  pid_t children[PROCESSES];
  bool ok = true;
  for (int i = 0; i < PROCESSES; i++) {
    children[i] = fork();
    if (children[i] == 0) _exit(run_threads(kind, i, ids, count) ? 0 : 1);
    ok = ok && children[i] > 0;
  }
  for (int i = 0; i < PROCESSES; i++) {
    int status;
    ok = ok && waitpid(children[i], &status, 0) == children[i] && status == 0;
  }
  return ok;
}

static int compare(const void *left, const void *right) {
  const id128 *a = left;
  const id128 *b = right;
  if (is_before(*a, *b)) return -1;
  return is_before(*b, *a) ? 1 : 0;
}

static size_t count_duplicates(id128 *ids, size_t count) {
  size_t duplicates = 0;
  qsort(ids, count, sizeof(id128), compare);
  for (size_t i = 1; i < count; i++) {
    if (compare(&ids[i - 1], &ids[i]) == 0) duplicates++;
  }
  return duplicates;
}

static bool check_kind(id_kind kind, id128 *ids, size_t each) {
  bool made = run_processes(kind, ids, each);
  size_t duplicates = made ? count_duplicates(ids, each * MAKERS) : 0;
  printf("%s: %zu ids by %d threads in %d processes, %s, %zu duplicates\n", names[kind],
         each * MAKERS, MAKERS, PROCESSES, made ? "in order" : "FAILED", duplicates);
  return made && duplicates == 0;
}

int main(int argc, char **argv) {
  long long total = argc == 2 ? strtoll(argv[1], NULL, 10) : 0;
  if (total < MAKERS) {
    fputs("usage: ids <n>\n", stderr);
    return 2;
  }
  size_t each = (size_t)total / MAKERS;
  size_t size = each * MAKERS * sizeof(id128);
  id128 *ids = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (ids == MAP_FAILED) {
    perror("ids");
    return 1;
  }
  int failed = 0;
  for (id_kind kind = ID_RANDOM; kind <= ID_HLC; kind++) {
    if (!check_kind(kind, ids, each)) failed++;
  }
  printf("ids: %d passed, %d failed\n", ID_HLC + 1 - failed, failed);
  return failed == 0 ? 0 : 1;
}
