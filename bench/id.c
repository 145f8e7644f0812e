/*
** What an id costs, by itself: 64 random bits (a span id), or a trace id of one of the generators.
**   bench_id <workload> <n> ...  makes n ids and prints what bench/peers/measure.lua describes; the workload is
**                            "id", or "id/" and the name of a generator
*/
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "core/id.h"

/* The workload's generator; false: there is no such workload. "id" has none. */
static bool choose(const char *workload, id_generator *g, id_source *source) {
  if (strcmp(workload, "id/uuid7") == 0) {
    id_use_uuid7(g);
  } else if (strcmp(workload, "id/hlc") == 0) {
    id_use_hlc(g, 500);
  } else if (strcmp(workload, "id/snowflake") == 0) {
    /* 4,096 a millisecond is less than can be made: the others are borrowed from the future. */
    return id_use_snowflake(g, source, 1, 0, SNOWFLAKE_BORROW, INT64_C(1) << 40) == MACHINE_OK;
  } else {
    return strcmp(workload, "id") == 0 || strcmp(workload, "id/random") == 0;
  }
  return true;
}

int main(int argc, char **argv) {
  id_generator g = {0};
  id_source *source = id_source_open();
  long n = argc >= 3 ? strtol(argv[2], NULL, 10) : 0;
  if (n <= 0 || source == NULL || !choose(argv[1], &g, source)) {
    fputs("usage: bench_id id|id/random|id/uuid7|id/snowflake|id/hlc <n>\n", stderr);
    return 2;
  }
  bool is_span = strcmp(argv[1], "id") == 0;
  uint64_t any = 0;
  uint64_t all = UINT64_MAX;
  id128 id = {0};
  clock_t began = clock();
  for (long i = 0; i < n; i++) {
    if (is_span) {
      id.low = id_source_next(source);
    } else if (id_next(&g, source, &system_wall_clock, &id) != ID_OK) {
      fputs("no id could be made\n", stderr);
      return 1;
    }
    any |= id.low;
    all &= id.low;
  }
  double seconds = (double)(clock() - began) / CLOCKS_PER_SEC;
  id_give_back(&g, source);
  id_source_close(source);
  /* Of so many random bits each was set in some ids and clear in others; a UUID's variant is set in all. */
  uint64_t fixed = g.kind == ID_UUID7 ? UINT64_C(3) << 62 : 0;
  if ((any | fixed) != UINT64_MAX || (all & ~fixed) != 0) {
    fprintf(stderr, "the ids are not random: %016" PRIx64 " %016" PRIx64 "\n", any, all);
    return 1;
  }
  printf("{\"operations\":%ld,\"seconds\":%.6f}\n", n, seconds);
  return 0;
}
