--- Tasks, defer, recover, and the report of a panic that nobody recovers: `lua5.4 examples/hello.lua`.

local co = require "coropanic"

local function greet(name)
  co.defer(print, "done with " .. tostring(name)) -- runs however this task ends
  co.sleep(0.01)
  print("hello, " .. name) -- an error of Lua's own when there is no name
end

local careful = co.func(function(name)
  co.defer(function()
    local value = co.recover()
    if value then
      print("recovered: " .. value)
    end
  end)
  greet(name)
end)

co.run(function()
  co.spawn(greet, "world"):await()
  careful(nil) -- panics, and goes on here
  co.spawn_with({ name = "nameless" }, greet, nil) -- panics, and nobody joins it: reported on stderr
end)
