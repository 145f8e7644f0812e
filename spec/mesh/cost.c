/*
** What the normaliser adds to a request, by the processor's time: for each file given, its text; and the headers of a
** request. Prints the time of one call, the least of ROUNDS.
*/
#define _DEFAULT_SOURCE 1
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "mesh/coropanic_mesh.h"

enum { ROUNDS = 9, CALLS = 200 };

static const char PARENT[] = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

static cp_mesh *mesh;
static cp_mesh_trace trace;

static double seconds(void) {
  struct timespec now;
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
  return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static void continue_request(const void *given) {
  const char *parent = given;
  cp_mesh_text text = {parent, strlen(parent)}, state = {"a=1,b=2", 7};
  cp_mesh_continue(mesh, &trace, &text, 1, &state, 1);
}

static void normalise(const void *given) {
  cp_mesh_result result;
  cp_mesh_response response = {
      .status = 500, .body = *(const cp_mesh_text *)given, .trace = &trace};
  cp_mesh_normalise(mesh, &response, &result);
}

static double microseconds(void (*call)(const void *given), const void *given) {
  double least = 1e9;
  for (int round = 0; round < ROUNDS; round++) {
    double start = seconds();
    for (int i = 0; i < CALLS; i++) call(given);
    double each = (seconds() - start) * 1e6 / CALLS;
    if (each < least) least = each;
  }
  return least;
}

int main(int argc, char **argv) {
  char error[256];
  mesh = cp_mesh_init(malloc(cp_mesh_size()), NULL, 0, error, sizeof error);
  printf("%8.2f us  a request with a valid traceparent\n", microseconds(continue_request, PARENT));
  printf("%8.2f us  a request without one\n", microseconds(continue_request, ""));
  for (int i = 1; i < argc; i++) {
    static char body[CP_MESH_MAX_BODY];
    FILE *file = fopen(argv[i], "rb");
    if (file == NULL) return 2;
    cp_mesh_text text = {body, fread(body, 1, sizeof body, file)};
    fclose(file);
    printf("%8.2f us  %6zu bytes  %s\n", microseconds(normalise, &text), text.size, argv[i]);
  }
  return 0;
}
