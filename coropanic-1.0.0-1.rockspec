rockspec_format = "3.0"
package = "coropanic"
version = "1.0.0-1"

source = {
  url = "https://github.com/coropanic/coropanic/releases/download/v1.0.0/coropanic-1.0.0.tar.gz",
  dir = "coropanic-1.0.0",
}

description = {
  summary = "Tasks, Go's defer/panic/recover and trace ids for Lua coroutines",
  detailed = [[
    A coroutine scheduler in C, Go-style defer, panic and recover, and a trace id that follows a
    request through every task it touches: when a task dies, its report names the request, the task,
    who spawned it and where it stood.
  ]],
  homepage = "https://github.com/coropanic/coropanic",
  license = "MIT",
}

dependencies = {
  "lua >= 5.4, < 5.6",
}

-- A release is built by its own Makefile, which knows its files.
build = {
  type = "make",
  build_target = "all lib",
  build_variables = {
    CFLAGS = "$(CFLAGS)",
    LUA_INCDIR = "$(LUA_INCDIR)",
  },
  install_variables = {
    PREFIX = "$(PREFIX)",
    BINDIR = "$(BINDIR)",
    LIBDIR = "$(PREFIX)/host", -- luarocks takes what is in lib for modules
    LUA_LMOD = "$(LUADIR)",
    LUA_CMOD = "$(LIBDIR)",
    LUA_INCDIR = "$(LUA_INCDIR)",
    CFLAGS = "$(CFLAGS)",
  },
  copy_directories = { "docs" },
}
