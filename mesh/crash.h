/*
** A crash as a program's text tells it: the error that ended the request, what caused it, what it
** replaced, and the stack of each. The parsers build it, record.h writes it as coropanic/1.
**
** It is bounded: what does not fit is counted. Stack hashes cover all frames of the text, also
** those that are not kept.
*/
#ifndef CP_MESH_CRASH_H
#define CP_MESH_CRASH_H

#include "core/stack_hash.h"
#include "mesh/text.h"

#pragma GCC visibility push(hidden)

enum {
  MESH_MAX_FRAMES = 64,   /* of all errors of a crash together */
  MESH_MAX_NAME = 64,     /* bytes of a module's or a function's name, in the hash too */
  MESH_MAX_ERRORS = 16,   /* the error, its causes, and those it replaced or suppressed */
  MESH_MAX_TYPE = 128,    /* bytes of an error's type */
  MESH_MAX_CLASS = 64,    /* bytes of the last part of an error code */
  MESH_MAX_MESSAGE = 512, /* bytes */
};

/* The form of a text: languages, which have a parser each, then what is not one. */
typedef enum mesh_language {
  MESH_UNKNOWN,
  MESH_GO,
  MESH_JVM,
  MESH_PYTHON,
  MESH_RUST,
  MESH_NODE,
  MESH_LANGUAGES,                /* their number */
  MESH_PROBLEM = MESH_LANGUAGES, /* problem details of RFC 9457 */
  MESH_GRPC,
  MESH_FORMS, /* the number of all */
} mesh_language;

/* As error codes have it: "go"; configurations have those of languages. */
const char *mesh_language_name(mesh_language language);

/* MESH_UNKNOWN if no language has this name. */
mesh_language mesh_language_named(slice name);

typedef enum frame_origin {
  FRAME_FILE,
  FRAME_NATIVE, /* of the language's own machine code: "[c]" in the hash */
  FRAME_TEXT,   /* of code that came from a string */
} frame_origin;

typedef struct mesh_frame {
  char module[MESH_MAX_NAME + 1];   /* the base name of its file */
  char function[MESH_MAX_NAME + 1]; /* empty if the text does not tell */
  uint32_t line;                    /* 0 if the text does not tell */
  frame_origin origin;
} mesh_frame;

/* What an error is to the error before it in the list. */
typedef enum error_relation {
  ERROR_ROOT,
  ERROR_CAUSE,
  ERROR_REPLACED,   /* was under way when the other one was raised */
  ERROR_SUPPRESSED, /* of the root: an error beside it */
} error_relation;

typedef struct mesh_error {
  error_relation relation;
  bool recovered; /* the program says that it stopped this one */
  char type[MESH_MAX_TYPE + 1];
  char class_name[MESH_MAX_CLASS + 1];
  char message[MESH_MAX_MESSAGE + 1];
  uint32_t first_frame, frame_count; /* of the crash's frames, innermost first */
  uint32_t frames_omitted;
  stack_hash hash;      /* over the frames but native ones */
  stack_hash hash_full; /* over all; the same as long as there is no native one */
  bool has_native;
} mesh_error;

typedef struct mesh_crash {
  mesh_language language;
  uint32_t error_count, errors_omitted;
  uint32_t frame_count;
  mesh_error errors[MESH_MAX_ERRORS + 1]; /* the root first; the last one takes what has no room */
  mesh_frame frames[MESH_MAX_FRAMES];
} mesh_crash;

/* Makes it empty. */
void crash_begin(mesh_crash *crash, mesh_language language);

/*
** Adds an error without frames. Returns it, so that its frames can be added, before the next error
** is. If there is no room it returns one that counts for nothing.
*/
mesh_error *crash_error(mesh_crash *crash, error_relation relation, slice type, slice message);

/* Sets the class to the name, with "_" for whatever is no letter, digit or "_". */
void error_set_class(mesh_error *error, slice name);

/*
** Adds the error's next frame outwards.
**   path      of its file; only the base name is kept
**   function  may be empty
*/
void crash_frame(mesh_crash *crash, mesh_error *error, frame_origin origin, slice path,
                 slice function, uint32_t line);

/* A class for messages that begin with a text. */
typedef struct class_rule {
  const char *prefix, *class_name;
} class_rule;

/* The first rule that fits; `otherwise` if none does. */
const char *class_of(const class_rule *rules, size_t count, slice message, const char *otherwise);

#pragma GCC visibility pop

#endif
