/* A crash, as parsers build it: see crash.h. */
#include "mesh/crash.h"

#include <string.h>

static const char *const LANGUAGE_NAMES[MESH_FORMS] = {
    [MESH_UNKNOWN] = "unknown", [MESH_GO] = "go",     [MESH_JVM] = "jvm",
    [MESH_PYTHON] = "python",   [MESH_RUST] = "rust", [MESH_NODE] = "node",
    [MESH_PROBLEM] = "problem", [MESH_GRPC] = "grpc",
};

const char *mesh_language_name(mesh_language language) { return LANGUAGE_NAMES[language]; }

mesh_language mesh_language_named(slice name) {
  for (int i = MESH_UNKNOWN + 1; i < MESH_LANGUAGES; i++) {
    if (text_equals(name, LANGUAGE_NAMES[i])) return (mesh_language)i;
  }
  return MESH_UNKNOWN;
}

void crash_begin(mesh_crash *crash, mesh_language language) {
  crash->language = language;
  crash->error_count = crash->errors_omitted = crash->frame_count = 0;
}

void error_set_class(mesh_error *error, slice name) {
  size_t length = name.length < MESH_MAX_CLASS ? name.length : MESH_MAX_CLASS;
  for (size_t i = 0; i < length; i++) {
    bool is_plain = (uint8_t)name.start[i] < 0x80 && name.start[i] != '$' &&
                    text_is_name(text_of(name.start + i, 1), "");
    error->class_name[i] = is_plain ? name.start[i] : '_';
  }
  error->class_name[length] = '\0';
}

mesh_error *crash_error(mesh_crash *crash, error_relation relation, slice type, slice message) {
  mesh_error *error = &crash->errors[crash->error_count];
  if (crash->error_count < MESH_MAX_ERRORS) {
    crash->error_count++;
  } else {
    crash->errors_omitted++;
  }
  error->relation = relation;
  error->recovered = error->has_native = false;
  text_copy(error->type, sizeof error->type, type, false);
  text_copy(error->message, sizeof error->message, text_strip(message), true);
  error_set_class(error, type);
  error->first_frame = crash->frame_count;
  error->frame_count = error->frames_omitted = 0;
  stack_hash_init(&error->hash);
  stack_hash_init(&error->hash_full);
  return error;
}

static slice base_name(slice path) {
  for (size_t i = path.length; i > 0; i--) {
    if (path.start[i - 1] == '/' || path.start[i - 1] == '\\') return text_from(path, i);
  }
  return path;
}

/* The errors whose frames a record has. */
static bool keeps_frames(const mesh_crash *crash, const mesh_error *error) {
  bool has_stack = error->relation == ERROR_ROOT || error->relation == ERROR_CAUSE;
  return has_stack && error != &crash->errors[MESH_MAX_ERRORS];
}

static void hash_frame(mesh_error *error, const mesh_frame *frame) {
  char source[MESH_MAX_NAME + 2] = "@";
  const char *name = frame->function[0] != '\0' ? frame->function : NULL;
  if (frame->origin == FRAME_NATIVE) {
    stack_hash_add(&error->hash_full, "=[C]", name);
    error->has_native = true;
    return;
  }
  if (frame->origin == FRAME_FILE) {
    memcpy(source + 1, frame->module, strlen(frame->module) + 1);
  } else {
    source[0] = '\0'; /* "[string]" */
  }
  stack_hash_add(&error->hash, source, name);
  if (error->has_native) {
    stack_hash_add(&error->hash_full, source, name);
  } else {
    error->hash_full = error->hash;
  }
}

void crash_frame(mesh_crash *crash, mesh_error *error, frame_origin origin, slice path,
                 slice function, uint32_t line) {
  mesh_frame spare;
  mesh_frame *frame = &spare;
  if (crash->frame_count < MESH_MAX_FRAMES && keeps_frames(crash, error)) {
    frame = &crash->frames[crash->frame_count++];
    error->frame_count++;
  } else {
    error->frames_omitted++;
  }
  frame->origin = origin;
  frame->line = line;
  text_copy(frame->module, sizeof frame->module, base_name(path), false);
  text_copy(frame->function, sizeof frame->function, function, false);
  if (frame->module[0] == '\0') memcpy(frame->module, "?", 2);
  hash_frame(error, frame);
}

const char *class_of(const class_rule *rules, size_t count, slice message, const char *otherwise) {
  for (size_t i = 0; i < count; i++) {
    if (text_starts(message, rules[i].prefix)) return rules[i].class_name;
  }
  return otherwise;
}
