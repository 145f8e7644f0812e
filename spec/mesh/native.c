/*
** Normalises the texts that come on stdin, one after the other with one handle, so that other hosts' results can be
** compared with the library's.
**
**   native [CONFIGURATION]
**
** Each text comes as a line "<status> <bytes> <service or -> <content type or ->" and its bytes. Each result goes as a
** line "<error code> <hash> <sets headers> <replaces body> <bytes>" and the record.
*/
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mesh/coropanic_mesh.h"

static cp_mesh_text text_of(const char *string) {
  if (strcmp(string, "-") == 0) return (cp_mesh_text){NULL, 0};
  return (cp_mesh_text){string, strlen(string)};
}

/* A copy of just the text's size, so that sanitizers see what is read behind its end. */
static char *read_body(size_t size) {
  char *body = malloc(size > 0 ? size : 1);
  if (body == NULL || fread(body, 1, size, stdin) != size) exit(2);
  return body;
}

static void answer(cp_mesh *mesh, cp_mesh_response *response) {
  cp_mesh_result result;
  cp_mesh_normalise(mesh, response, &result);
  printf("%s %s %d %d %zu\n", result.error_code, result.error_hash, result.sets_headers,
         result.replaces_body, result.record.size);
  fwrite(result.record.data, 1, result.record.size, stdout);
}

int main(int argc, char **argv) {
  char error[256], service[256], type[256];
  cp_mesh *mesh = malloc(cp_mesh_size());
  const char *config = argc > 1 ? argv[1] : "";
  if (mesh == NULL || cp_mesh_init(mesh, config, strlen(config), error, sizeof error) == NULL) {
    fprintf(stderr, "%s\n", error);
    return 2;
  }
  cp_mesh_trace trace;
  cp_mesh_text parent = text_of("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01");
  if (!cp_mesh_continue(mesh, &trace, &parent, 1, NULL, 0)) return 2;
  unsigned status;
  size_t size;
  while (scanf("%u %zu %255s %255s", &status, &size, service, type) == 4 && getchar() == '\n') {
    char *body = read_body(size);
    cp_mesh_response response = {.status = status,
                                 .service = text_of(service),
                                 .content_type = text_of(type),
                                 .body = {body, size},
                                 .trace = &trace};
    answer(mesh, &response);
    free(body);
  }
  free(mesh);
  return 0;
}
