--- What both servers serve: the price of one thing, looked up while one of a few slots is held. Knows neither
--- scheduler; each server brings its own.

local service = {}

service.HOST = "127.0.0.1"
service.PATH = "/quote/42"
service.BODY = '{"sku":42,"price_cents":1042}'
service.BACKLOG = 128 -- connections that may wait for being accepted
service.IDLE_SECONDS = 10 -- that a client may take to send something

local SLOTS = 8 -- prices that are looked up at a time
local BASE_CENTS = 1000

---@class Slots
---@field acquire fun(self)  # waits while there is none
---@field release fun(self)

---@param semaphore fun(permits: integer): Slots
---@param yield fun()  # lets the others run, as looking up a price would
---@return fun(method: string, path: string): integer, string answer  # status and body
function service.new(semaphore, yield)
  local slots = semaphore(SLOTS)
  return function(method, path)
    local sku = method == "GET" and path:match "^/quote/(%d+)$"
    if not sku then return 404, '{"error":"there is nothing here"}' end
    slots:acquire()
    yield()
    local cents = BASE_CENTS + math.tointeger(sku)
    slots:release()
    return 200, ('{"sku":%d,"price_cents":%d}'):format(sku, cents)
  end
end

return service
