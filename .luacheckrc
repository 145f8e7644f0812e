std = "lua54"
max_line_length = 110
-- These run in Lua 5.1 and LuaJIT too.
files["lua/coropanic/guest"] = { std = "lua54+luajit" }
files["lua/coropanic/host"] = { std = "lua54+luajit" }
files["spec"] = { std = "+busted" }
-- Declarations alone: functions without a body, in tables that nothing reads.
files["lua/coropanic/meta*"] = { ignore = { "212", "241" } }
files["lua/coropanic/meta/*"] = { ignore = { "212", "241" } }
-- What hosts give their scripts.
files["spec/hosts/prosody"] = { read_globals = { "module" } }
files["examples/nginx"] = { globals = { "ngx" } }
files["examples/prosody"] = { read_globals = { "module" } }
files["spec/hosts/lighttpd"] = { read_globals = { "lighty" } }
files["spec/hosts/neomutt"] = { read_globals = { "mutt" } }
files["lua/coropanic/nginx.lua"] = { std = "lua54+luajit" }
files["mesh/haproxy"] = { std = "lua53", read_globals = { "core" } }
files["mesh/nginx"] = { std = "lua54+luajit", globals = { "ngx" } }
files["spec/hosts/nginx"] = { globals = { "ngx" } }
files["lua/coropanic/host/nginx*"] = { globals = { "ngx" } }
files["spec/hosts/haproxy"] = { std = "lua53", read_globals = { "core" } }
files["spec/hosts/love"] = { std = "luajit+love" }
files["spec/hosts/luv"] = { std = "luajit" }
files["spec/hosts/neovim"] = { std = "luajit", read_globals = { "vim" } }
files["spec/hosts/gnuplot"] = { globals = { "term" }, read_globals = { "gp" } }
files["examples/game/love"] = { globals = { "love" } }
-- Made by train.py.
files["tools/forecast/model"] = { max_line_length = false }
-- Examples of mistakes, and of what only looks like one.
files["spec/lint/corpus"] = { ignore = { "311", "512" } }
exclude_files = { "build", "spec/vendor" }
