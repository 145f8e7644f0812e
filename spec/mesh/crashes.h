/* What the specs of the parsers share: texts in, crashes out. */
#ifndef SPEC_MESH_CRASHES_H
#define SPEC_MESH_CRASHES_H

#include "../core/harness.h"
#include "mesh/languages.h"

typedef bool (*parser)(mesh_crash *crash, slice text);

/*
** Parses a copy of just the text's size, so that sanitizers see what is read behind its end. The crash is valid until
** the next call.
*/
const mesh_crash *parse(parser p, const char *text);

/* Whether the parser takes the text. */
bool takes(parser p, const char *text);

/* An error's frames as text: "load g.go:4 | main g.go:6"; "?" for a function or line that is not known. */
const char *frames_of(const mesh_crash *crash, uint32_t error);

/* An error as text: "mesh.go.panic runtime.Error: message". */
const char *error_of(const mesh_crash *crash, uint32_t error);

#define check_frames(crash, error, expected) \
  check_text(frames_of(crash, error), strlen(frames_of(crash, error)), expected)

#define check_error(crash, error, expected) \
  check_text(error_of(crash, error), strlen(error_of(crash, error)), expected)

#endif
