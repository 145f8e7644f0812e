-- A web site for examples/crawler.lua: `site.lua port`. One task for each connection.

local co = require "coropanic"
local socket = require "coropanic.socket"

local PAGES = {
  ["/"] = '<a href="/news"> <a href="about.html#team"> <a href="http://elsewhere.example/"> <a href="/gone">',
  ["/news"] = '<a href="/"> <a href="/news/1"> <a href="/news/2"> <a href="/news/never">',
  ["/news/1"] = '<a href="../about.html">',
  ["/news/2"] = "no links",
  ["/about.html"] = '<a href="/broken">',
}

local function serve(connection)
  co.defer(connection.close, connection)
  local path = (connection:receive "*l" or ""):match "^GET (%S+)"
  if not path then
    return
  end
  repeat until connection:receive "*l" == ""
  if path == "/news/never" then
    co.sleep(3600)
  elseif path == "/broken" then
    return -- without an answer
  end
  local page = PAGES[path]
  connection:send(("HTTP/1.1 %s\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%s"):format(
    page and "200 OK" or "404 Not Found", #(page or ""), page or ""))
end

co.run(function()
  local server = assert(socket.bind("127.0.0.1", tonumber(arg[1])))
  co.supervise(function(scope)
    while true do
      scope:spawn(serve, assert(server:accept()))
    end
  end)
end)
