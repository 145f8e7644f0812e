--- The trace of a request in nginx: that of its headers, or a new one. All code of the request works under
--- it, in whatever phase and thread it runs.

local trace = {}

function trace.open(kernel, nginx)
  local ids = require "coropanic.guest.ids"

  local api, ngx = kernel.api, ngx

  --- What the request's headers say; nil: nothing, or this is no request.
  local function extract()
    local var = ngx.var
    if not var.http_traceparent and not var.http_baggage then return nil end
    local all = ngx.req.get_headers(0)
    return api.trace.extract {
      traceparent = all.traceparent, tracestate = all.tracestate, baggage = all.baggage,
    }
  end

  function nginx.begin_trace(u)
    local ok, came = pcall(extract)
    local own
    if ok and came and came.valid then
      local flags = (came.sampled and 1 or 0) + (came.random and 2 or 0)
      own = {
        trace = ids.continue_trace(came.trace_id, flags, came.state or "", came.baggage or ""),
        parent_span_id = came.parent_span_id,
      }
    else
      own = { trace = ids.new_trace(ok and came and came.baggage or nil) }
      own.trace.continued = true -- so that all tasks of the request share it
    end
    u.trace_context = { own = own }
  end

  --- A context for other work that goes on under the trace of the running code.
  function nginx.branch_trace()
    local here = ids.here()
    return { own = { trace = here.trace, parent_span_id = ids.span_id(here) } }
  end
end

return trace
