--- A service that answers with the request's body, in the way that the query says.

core.register_service("texts", "http", function(applet)
  local args = {}
  for name, value in (applet.qs or ""):gmatch "([^&=]+)=([^&]*)" do args[name] = value end
  local body = applet:receive()
  local function header(name) return applet.headers[name] and applet.headers[name][0] or "none" end
  applet:set_status(tonumber(args.status or 500))
  applet:add_header("content-type", args.type or "text/plain")
  applet:add_header("x-seen", header "traceparent" .. ", " .. header "tracestate")
  if args.encoding then applet:add_header("content-encoding", args.encoding) end
  if args.grpc then applet:add_header("grpc-status", args.grpc) end
  if not args.part then applet:add_header("content-length", #body) end
  applet:start_response()
  local size = tonumber(args.part or #body)
  for first = 1, #body, math.max(size, 1) do applet:send(body:sub(first, first + size - 1)) end
end)
