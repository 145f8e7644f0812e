rockspec_format = "3.0"
package = "coropanic-guest"
version = "scm-1"

source = {
  url = "git+https://github.com/coropanic/coropanic.git",
}

description = {
  summary = "coropanic for LuaJIT, Lua 5.1 and Lua 5.3",
  detailed = [[
    Tasks, Go's defer, panic and recover, and a trace id that follows a request through every task it
    touches: the same API as the rock coropanic has for Lua 5.4, written in Lua.
  ]],
  license = "MIT",
}

dependencies = {
  "lua >= 5.1, < 5.4",
}

build = {
  type = "make",
  build_target = "guest",
  install_target = "install-guest",
  build_variables = { CFLAGS = "$(CFLAGS)" },
  install_variables = { CFLAGS = "$(CFLAGS)", GUEST_LMOD = "$(LUADIR)", GUEST_CMOD = "$(LIBDIR)" },
}
