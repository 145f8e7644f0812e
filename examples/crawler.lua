--- A crawler: `lua5.4 examples/crawler.lua URL` fetches the pages of a site, from link to link. It limits
--- their number, their size and their time, and how many are fetched at once. A page that fails is a line of
--- the result.

local co = require "coropanic"
require "coropanic.socket".install() -- luasocket's http then waits as tasks do
local http = require "socket.http"
local url = require "socket.url"

local AT_ONCE = 4
local MAX_PAGES = 100
local PAGE_SECONDS = tonumber(os.getenv "PAGE_SECONDS" or 10)
local PAGE_BYTES = 1000000

--- Collects what is received, and fails if that is too much.
local function limited_sink(pieces, limit)
  local size = 0
  return function(piece)
    size = size + #(piece or "")
    if size > limit then
      return nil, "too large"
    end
    pieces[#pieces + 1] = piece
    return 1
  end
end

--- Fetches a page. Panics if there is none.
---@return string body
local function fetch(address)
  local pieces = {}
  local ok, code = http.request {
    url = address,
    headers = co.trace.inject(), -- the site's logs then name our trace
    sink = limited_sink(pieces, PAGE_BYTES),
    redirect = false,
  }
  if not ok or code ~= 200 then
    error(not ok and code or "status " .. code, 0)
  end
  return table.concat(pieces)
end

--- Returns the address without its fragment, if it belongs to the site.
local function normalise(base, link)
  local parsed = url.parse(url.absolute(base, link))
  local site = url.parse(base)
  parsed.fragment = nil
  if parsed.scheme == site.scheme and parsed.authority == site.authority then
    return url.build(parsed)
  end
end

--- Returns the links of each page by its address, or the reason why it has none.
local function crawl(start)
  local pages, count = {}, 0
  local places = co.semaphore(AT_ONCE)
  co.scope(function(scope)
    local visit

    --- Makes a task for a page that is new.
    local function discover(address)
      if address and not pages[address] and count < MAX_PAGES then
        pages[address], count = "not fetched", count + 1
        scope:spawn_with({ name = address }, visit, address)
      end
    end

    function visit(address)
      local ok, in_time, body = co.pcall(function()
        local _ <close> = places:guard()
        return co.with_timeout(PAGE_SECONDS, fetch, address)
      end)
      if not ok then
        pages[address] = in_time.message
      elseif not in_time then
        pages[address] = "no answer in time"
      else
        local links = 0
        for link in body:gmatch 'href="(.-)"' do
          links = links + 1
          discover(normalise(address, link))
        end
        pages[address] = "links: " .. links
      end
    end

    discover(start)
  end)
  return pages
end

local start = assert(arg[1], "usage: crawler.lua URL")
local pages = co.run(crawl, start)
local addresses = {}
for address in pairs(pages) do
  addresses[#addresses + 1] = address
end
table.sort(addresses)
for _, address in ipairs(addresses) do
  print(url.parse(address).path, pages[address])
end
