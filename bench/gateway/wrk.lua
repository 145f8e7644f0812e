-- For wrk, which is the client: every answer has to be the one expected. The last line of output is the count
-- of them, the time they took, and the time within which 99 of 100 came; or what was wrong. Runs in wrk's
-- LuaJIT; its argument is the body.
-- luacheck: globals setup init response done wrong

local threads = {}

function setup(thread) threads[#threads + 1] = thread end

local expected
wrong = 0 -- thread:get finds only globals

function init(arguments) expected = arguments[1] end

function response(status, _, body)
  if status ~= 200 or body ~= expected then wrong = wrong + 1 end
end

function done(summary, latency)
  local errors = summary.errors
  local lost = errors.connect + errors.read + errors.write + errors.timeout
  local wrongs = 0
  for _, thread in ipairs(threads) do wrongs = wrongs + thread:get "wrong" end
  if lost + wrongs > 0 then
    print(("refused: %d socket errors, %d wrong answers"):format(lost, wrongs))
  else
    local p99 = latency:percentile(99)
    print(("answered: %d in %d us, p99 %d us"):format(summary.requests, summary.duration, p99))
  end
end
