/*
** The time is always the same. Lua takes the seed of its strings' hash from it, and the lengths of the
** chains in its tables from that: without this, counts of instructions differ from second to second.
*/
#include <time.h>

time_t time(time_t *seconds) {
  if (seconds != NULL) *seconds = 1;
  return 1;
}
