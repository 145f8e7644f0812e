/*
** What an id costs: the generator of span ids by itself, a new trace id being two of them.
**   bench_id id <n>  makes n ids and prints what bench/peers/measure.lua describes
*/
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "core/random.h"

int main(int argc, char **argv) {
  if (argc < 3 || strcmp(argv[1], "id") != 0) {
    fputs("usage: bench_id id <n>\n", stderr);
    return 2;
  }
  long n = strtol(argv[2], NULL, 10);
  id_source *source = id_source_open();
  if (source == NULL || n <= 0) return 1;
  uint64_t any = 0;
  uint64_t all = UINT64_MAX;
  clock_t began = clock();
  for (long i = 0; i < n; i++) {
    uint64_t id = id_source_next(source);
    any |= id;
    all &= id;
  }
  double seconds = (double)(clock() - began) / CLOCKS_PER_SEC;
  id_source_close(source);
  /* Of so many random ids each bit was set in some and clear in others. */
  if (any != UINT64_MAX || all != 0) {
    fprintf(stderr, "the ids are not random: %016" PRIx64 " %016" PRIx64 "\n", any, all);
    return 1;
  }
  printf("{\"operations\":%ld,\"seconds\":%.6f}\n", n, seconds);
  return 0;
}
