-- Expositions of ours, and those with a fault of each kind, before the parser of OpenMetrics of Prometheus'
-- client for Python: it takes all of the former, and none of the latter.
local cjson = require "cjson"
local co = require "coropanic"
local faults = require "spec.metrics.faults"
local metrics = require "coropanic.metrics"

local PARSER = [[/usr/bin/python3 -c '
import json, sys
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse
for body in json.load(sys.stdin):
    try:
        list(parse(body))
        print("taken")
    except Exception as problem:
        print("refused", str(problem).split("\n")[0])
']]

--- What the parser says about each of the texts: "taken", or "refused" and why.
local function parse(bodies)
  local path = os.tmpname()
  local file <close> = assert(io.open(path, "wb"))
  file:write(cjson.encode(bodies))
  file:flush()
  local pipe <close> = assert(io.popen(("env -u LD_PRELOAD %s <%s"):format(PARSER, path)))
  local verdicts = {}
  for line in pipe:lines() do verdicts[#verdicts + 1] = line end
  os.remove(path)
  assert.equal(#bodies, #verdicts)
  return verdicts
end

local function expose() return (metrics.expose "application/openmetrics-text") end

describe("the parser of OpenMetrics", function()
  it("takes what is exposed, whatever has happened", function()
    local bodies = { expose() }
    co.run(function()
      faults.count(metrics)
      bodies[#bodies + 1] = expose()
      local odd = metrics.histogram("f_odd", { buckets = { -1, 0, 1 } })
      odd:observe(-3)
      bodies[#bodies + 1] = expose()
      local falls = metrics.histogram("f_falls", { labels = { "of" }, buckets = { 1 } })
      falls:observe(2, { of = "b" })
      bodies[#bodies + 1] = expose()
      falls:observe(-2, { of = "a" })
      falls:observe(math.huge, { of = "b" })
      bodies[#bodies + 1] = expose()
      falls:observe(-math.huge, { of = "b" })
      bodies[#bodies + 1] = expose()
      local texts = metrics.gauge("f_texts", { help = 'a\\b\n"c"', labels = { "text" } })
      for _, text in ipairs { "", "#", " # {", '"', "\\", "\n", "{},=", "\0", "\255", "\u{1f600}" } do
        texts:set(0 / 0, { text = text })
      end
      co.spawn(co.panic, { code = 'E "x"\n\\' }):join()
      co.sleep(0.001)
      bodies[#bodies + 1] = expose()
    end)
    for i, verdict in ipairs(parse(bodies)) do assert.equal("taken", verdict, bodies[i]) end
  end)

  it("refuses it with a fault of each kind", function()
    co.run(function() faults.count(metrics) end)
    local mutants = faults.mutants(expose())
    local bodies, taken = {}, {}
    for i, mutant in ipairs(mutants) do bodies[i] = mutant.body end
    for i, verdict in ipairs(parse(bodies)) do
      if verdict == "taken" then taken[#taken + 1] = mutants[i].kind end
    end
    assert.same({ "no fault" }, taken)
    assert.is_true(#mutants > 100)
  end)
end)
