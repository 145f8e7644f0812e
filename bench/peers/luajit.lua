-- LuaJIT's coroutines.
require("peers.measure").main(require "peers.coroutines")
