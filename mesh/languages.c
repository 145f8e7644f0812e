/* Which parser reads a text: see languages.h. */
#include "mesh/languages.h"

typedef bool (*parser)(mesh_crash *crash, slice text);

static const parser PARSERS[MESH_LANGUAGES] = {
    [MESH_GO] = go_parse,     [MESH_JVM] = jvm_parse,   [MESH_PYTHON] = python_parse,
    [MESH_RUST] = rust_parse, [MESH_NODE] = node_parse,
};

bool mesh_parse(mesh_crash *crash, mesh_language language, slice text) {
  for (int i = MESH_UNKNOWN + 1; i < MESH_LANGUAGES; i++) {
    if (language != MESH_UNKNOWN && language != (mesh_language)i) continue;
    if (PARSERS[i](crash, text)) return true;
  }
  return false;
}
