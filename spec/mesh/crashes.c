#include "crashes.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mesh/record.h"

static mesh_crash parsed;

bool takes(parser p, const char *text) {
  size_t length = strlen(text);
  char *copy = malloc(length > 0 ? length : 1);
  memcpy(copy, text, length);
  bool taken = p(&parsed, text_of(copy, length));
  free(copy);
  return taken;
}

const mesh_crash *parse(parser p, const char *text) {
  check(takes(p, text));
  return &parsed;
}

const char *frames_of(const mesh_crash *crash, uint32_t error) {
  static char out[65536];
  const mesh_error *e = &crash->errors[error];
  int length = 0;
  out[0] = '\0';
  for (uint32_t i = 0; i < e->frame_count; i++) {
    const mesh_frame *f = &crash->frames[e->first_frame + i];
    const char *function = f->function[0] != '\0' ? f->function : "?";
    const char *module = f->origin == FRAME_NATIVE ? "[C]"
                         : f->origin == FRAME_TEXT ? "[string]"
                                                   : f->module;
    length += snprintf(out + length, sizeof out - (size_t)length, "%s%s %s:%u", i > 0 ? " | " : "",
                       function, module, f->line);
  }
  if (e->frames_omitted > 0) {
    snprintf(out + length, sizeof out - (size_t)length, " ... %u", e->frames_omitted);
  }
  return out;
}

const char *error_of(const mesh_crash *crash, uint32_t error) {
  static char out[1024];
  char code[RECORD_MAX_CODE + 1];
  const mesh_error *e = &crash->errors[error];
  record_error_code(code, crash, e);
  snprintf(out, sizeof out, "%s %s: %s", code, e->type, e->message);
  return out;
}
