--- Publish and subscribe: a message goes to all who have subscribed to its topic. A publisher never waits: if
--- the mailbox of a subscriber is full, its oldest message is dropped, and the subscriber can see how many.

local co = require "coropanic"

---@class hub
---@field topics table<string, table<subscription, true>>
local hub = {}
hub.__index = hub

---@class subscription
---@field lost integer  # messages dropped so far
local subscription = {}
subscription.__index = subscription

function hub.new()
  return setmetatable({ topics = {} }, hub)
end

--- Subscribes to a topic. `local s <close> = hub:subscribe(...)` ends it with the block.
---@param topic string
---@param capacity integer  # messages that wait at most, 1 or more
---@return subscription
function hub:subscribe(topic, capacity)
  assert(capacity >= 1, "a mailbox without room would lose every message")
  local new = setmetatable({ hub = self, topic = topic, mailbox = co.chan(capacity), lost = 0 }, subscription)
  self.topics[topic] = self.topics[topic] or {}
  self.topics[topic][new] = true
  return new
end

--- Sends a message to the subscribers of a topic. Returns how many there are.
---@return integer
function hub:publish(topic, message)
  local count = 0
  for subscriber in pairs(self.topics[topic] or {}) do
    count = count + 1
    while not subscriber.mailbox:try_send(message) do
      subscriber.mailbox:try_recv()
      subscriber.lost = subscriber.lost + 1
    end
  end
  return count
end

--- Ends all subscriptions; their readers get what is in the mailboxes before they end.
function hub:close()
  for _, subscribers in pairs(self.topics) do
    for subscriber in pairs(subscribers) do
      subscriber:close()
    end
  end
end

--- Iterates over the messages, waiting for each, until the subscription is closed.
function subscription:messages()
  return self.mailbox:iter()
end

function subscription:close()
  local subscribers = self.hub.topics[self.topic]
  if subscribers[self] then
    subscribers[self] = nil
    self.mailbox:close()
  end
end

subscription.__close = subscription.close

-- An example -----------------------------------------------------------------------------------------------

local function read(news, name, seconds_a_message)
  local prices <close> = news:subscribe("prices", 3)
  local seen = {}
  for price in prices:messages() do
    seen[#seen + 1] = price
    co.sleep(seconds_a_message)
  end
  print(("%s: %s; %d lost"):format(name, table.concat(seen, " "), prices.lost))
end

-- With the virtual clock the example needs no time. A real program calls co.run.
co.run_with({ clock = "virtual" }, function()
  local news = hub.new()
  co.spawn_with({ name = "quick" }, read, news, "quick", 0.1)
  co.spawn_with({ name = "slow" }, read, news, "slow", 2.5)
  co.spawn_with({ name = "early" }, function()
    local prices <close> = news:subscribe("prices", 1)
    print("the first price:", (prices:messages()()))
  end)
  co.yield() -- they subscribe
  for price = 1, 9 do
    co.sleep(1)
    local readers = news:publish("prices", price)
    if price <= 2 then
      print(("price %d goes to %d readers"):format(price, readers))
    end
  end
  print("the weather goes to", news:publish("weather", "rain"))
  news:close()
end)
