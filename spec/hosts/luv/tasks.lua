--- A program over luv: libuv's loop runs tasks, and co.run runs libuv's loop.

local uv = require "luv"
local co = require "coropanic"

local heard = {}
co.on_panic(function(record) heard[#heard + 1] = record.message:gsub("^.-:%d+: ", "") end)

co.spawn(function()
  co.sleep(0.001)
  print "a task in uv.run"
  co.spawn(function() error "nobody joins this" end)
end)
co.spawn_with({ daemon = true }, co.sleep, 3600)
uv.run()
print("uv.run has ended; panics:", table.concat(heard, ", "))

--- A task that never waits must not keep the loop from its events.
local function spin(state)
  while not state.fired do co.yield() end
end

print("co.run:", co.run(function()
  local state, timer = {}, uv.new_timer()
  timer:start(1, 0, function() state.fired = true end)
  spin(state)
  timer:start(1, 0, function() state.resume(pcall(co.run, print)) end)
  local _, err = co.await(function(resume) state.resume = resume end)
  timer:close()
  return err
end))

local state, timer = {}, uv.new_timer()
timer:start(5, 0, function() state.fired = true timer:close() end)
co.spawn(spin, state)
uv.run()
print("uv.run has ended; tasks:", #co.tasks())

local ok, record = pcall(co.run, co.await, function() end)
print("nothing can wake main:", ok, record.kind)
