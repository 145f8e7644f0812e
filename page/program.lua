--- The program that the page's test looks at: a lock cycle, a panic that travels, lost tasks, equal siblings,
--- names that are markup, a leak, policies, and tasks that work all the time. `program.lua N`: and N tasks
--- more; `program.lua N named`: with names that are not equal; `program.lua N off`: without a recorder. It
--- ends when its input does.

local co = require "coropanic"
local explorer = require "coropanic.debug"
local resilience = require "coropanic.resilience"

co.order()

local function answer_order(replies)
  co.scope(function(s)
    s:spawn_with({ name = "stock lookup" }, co.sleep, 600)
    s:spawn_with({ name = "audit log" }, co.sleep, 600)
    s:spawn_with({ name = "price lookup" }, function()
      co.sleep(0.05)
      error(replies == nil and "no channel" or "no price for order 7")
    end)
  end)
end

local function locker(first, second)
  return function()
    first:lock()
    co.sleep(0.05)
    second:lock(600)
  end
end

--- Takes two locks, one within the other. Tasks that take them the other way round can deadlock with it.
local function move_stock(from, to)
  local _ <close> = from:guard()
  local _ <close> = to:guard()
end

--- Works a little all the time, in spans.
local function refresh_prices()
  while true do
    co.trace.span("refresh prices", function()
      local sum = 0
      for i = 1, 200000 do sum = sum + i % 7 end
      co.trace.span("write prices", co.sleep, 0.01)
    end)
    co.sleep(0.03)
  end
end

--- Hands orders to cooks, who work on them and hand the dishes back.
local function keep_kitchen()
  local orders, dishes = co.chan(), co.chan(3)
  for i = 1, 3 do
    co.spawn_with({ name = "cook " .. i }, function()
      for order in orders:iter() do
        co.sleep(0.02 * i)
        dishes:send(order)
      end
    end)
  end
  for order = 1, math.huge do
    co.sleep(0.01)
    orders:send(order)
    if order > 3 then dishes:recv() end
  end
end

--- Asks for prices that nobody gives, until the breaker is open.
local function check_prices()
  local prices = resilience.breaker { name = "price service", consecutive = 2, open_for = 600 }
  prices:call(tostring, 1)
  for _ = 1, 5 do co.pcall(prices.call, prices, error, "no prices today", 0) end
  co.sleep(600)
  return prices
end

--- Supervises a task that has to be restarted twice.
local function keep_outbox()
  local lives = 0
  resilience.supervisor {
    name = "post office", intensity = 5, backoff = false,
    children = { { "outbox", function()
      lives = lives + 1
      co.sleep(lives <= 2 and 0.01 or 600)
    end } },
  }:run()
end

if arg[2] ~= "off" then co.record { stacks = 1 } end

co.run_with({ name = "shop" }, function()
  local server = explorer.listen { port = 0, title = "shop" }
  local cart, stock, replies = co.mutex(), co.mutex(), co.chan()
  co.spawn_with({ name = "cart writer" }, locker(cart, stock))
  co.spawn_with({ name = "stock writer" }, locker(stock, cart))
  co.spawn_with({ name = "server" }, function()
    for i = 1, 41 do co.spawn_with({ name = "GET /orders/" .. i }, function() replies:recv() end) end
    co.spawn_with({ name = "GET /orders/7" }, answer_order, replies):join()
    co.sleep(600)
  end)
  co.spawn_with({ name = "<script>document.title = 'taken'</script>" }, co.sleep, 600)
  co.spawn_with({ name = "price cache" }, refresh_prices)
  co.spawn_with({ name = "kitchen" }, keep_kitchen)
  co.spawn_with({ name = "price check", detached_trace = true }, check_prices)
  co.spawn_with({ name = "postmaster" }, keep_outbox)
  local shelf, cellar = co.mutex { name = "shelf" }, co.mutex { name = "cellar" }
  co.spawn(move_stock, shelf, cellar):join()
  co.spawn(move_stock, cellar, shelf):join()
  co.spawn_with({ name = "reply to nobody" }, function() co.chan():recv() end)
  local forgotten = co.spawn_with({ name = "forgotten" }, co.sleep, 600)
  for i = 1, math.tointeger(arg[1] or 0) do
    local name = arg[2] == "named" and "visitor " .. ("x"):rep(i % 20) .. ("y"):rep(i // 20) or nil
    co.spawn_with({ name = name }, function() replies:recv() end)
  end
  co.sleep(0.2)
  forgotten:cancel()
  local ids = {}
  for _, task in ipairs(co.tasks()) do
    if #ids < 1000 then ids[#ids + 1] = task.id end
  end
  print(server.url)
  print(table.concat(ids, " "))
  io.stdout:flush()
  co.wait_fd(0, "r")
  os.exit(0)
end)
