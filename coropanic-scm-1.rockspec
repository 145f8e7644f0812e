rockspec_format = "3.0"
package = "coropanic"
version = "scm-1"

source = {
  url = "git+https://github.com/coropanic/coropanic.git",
}

description = {
  summary = "Tasks, Go's defer/panic/recover and trace ids for Lua coroutines",
  detailed = [[
    A coroutine scheduler in C, Go-style defer, panic and recover, and a trace id that follows a
    request through every task it touches: when a task dies, its report names the request, the task,
    who spawned it and where it stood.
  ]],
  license = "MIT",
}

dependencies = {
  "lua ~> 5.4",
}

build = {
  type = "builtin",
  modules = {
    ["coropanic"] = "lua/coropanic/init.lua",
    ["coropanic.core"] = {
      sources = {
@SOURCES@
      },
      incdirs = { "csrc" },
    },
  },
}
