rockspec_format = "3.0"
package = "coropanic-otlp-protobuf"
version = "scm-1"

source = {
  url = "git+https://github.com/coropanic/coropanic.git",
}

description = {
  summary = "Protobuf for coropanic's export to OpenTelemetry",
  detailed = [[
    The module coropanic.export.otlp.protobuf, with which coropanic.export.otlp speaks "http/protobuf".
    It is built from coropanic's source by protoc-c, for libprotobuf-c.
  ]],
  license = "MIT",
}

dependencies = {
  "lua >= 5.4, < 5.6",
}

external_dependencies = {
  PROTOBUF_C = { header = "protobuf-c/protobuf-c.h", library = "protobuf-c" },
}

build = {
  type = "make",
  build_target = "protobuf",
  install_target = "install-protobuf",
  build_variables = {
    LUA_INCDIR = "$(LUA_INCDIR)",
  },
  install_variables = {
    LUA_CMOD = "$(LIBDIR)",
  },
}
