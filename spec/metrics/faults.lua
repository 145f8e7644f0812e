--- Faults of an exposition in OpenMetrics, of the kinds that OpenMetrics' own suite has (its folders
--- tests/testdata/parsers/bad_*), made of an exposition of ours. What it has of other kinds of metrics, of
--- summaries, statesets and gauge histograms, has no place in ours.

local faults = {}

--- The metrics that the faults are made in: a counter `f_requests`, a gauge `f_load`, a histogram
--- `f_latency_seconds` and an info `f_build`, with a label, exemplars, help and a unit.
function faults.count(metrics)
  local requests = metrics.counter("f_requests", { help = "All of them.", labels = { "route" } })
  local load = metrics.gauge("f_load", { help = "Now.", labels = { "cpu" } })
  local latency = metrics.histogram("f_latency_seconds",
    { unit = "seconds", help = "Time.", labels = { "route" }, buckets = { 0.1, 0.5 } })
  for _, route in ipairs { "/a", "/b" } do
    requests:inc(2, { route = route })
    for _, value in ipairs { 0.05, 0.25, 3 } do latency:observe(value, { route = route }) end
  end
  load:set(1.5, { cpu = 0 })
  load:set(2, { cpu = 1 })
  metrics.info("f_build", { labels = { "version" } }):set { version = "1.0" }
end

-- What is found is a pattern.
local COUNTER = '(f_requests_total{route="/a"}) (%S+)'
local EXEMPLAR = '(f_requests_total{route="/a"} %S+ # {)([^}]*)(}) (%S+) (%S+)'
local GAUGE = '(f_load{cpu="0"}) (%S+)'
local INFO = '(f_build_info{version="1.0"}) (%S+)'
local BUCKET = '(f_latency_seconds_bucket{route="/a",le="%+Inf"}) (%S+)[^\n]*'
local SUM = '(f_latency_seconds_sum{route="/a"}) (%S+)'
local COUNT = '(f_latency_seconds_count{route="/a"}) (%S+)'
local FIRST, SECOND = '(f_latency_seconds_bucket{route="/a",le="0%.1"}[^\n]*\n)',
  '(f_latency_seconds_bucket{route="/a",le="0%.5"}[^\n]*\n)'

--- { kind, what is found, what stands in its place }
local LIST = {
  -- lines
  { "no end", "# EOF\n$", "" },
  { "text behind the end", "$", "blah" },
  { "text in the line of the end", "# EOF\n$", "# EOFblah" },
  { "a blank line", "# EOF", "\n# EOF" },
  { "a comment", "# EOF", "# comment\n# EOF" },
  { "metadata of no kind", "# EOF", "# FOO f_x x\n# EOF" },
  { "space before metadata", "# HELP f_load", " # HELP f_load" },

  -- names
  { "a family twice", "# EOF", "# TYPE f_load gauge\n# EOF" },
  { "a family twice, of two types", "# EOF", "# TYPE f_load counter\n# EOF" },
  { "a family with the name of another's sample", "# TYPE f_requests counter",
    "# TYPE f_requests_created gauge\n# TYPE f_requests counter" },
  { "a family with the name of another's counter", "# EOF", "# TYPE f_requests_total gauge\n# EOF" },
  { "a family with the name of another's bucket", "# EOF", "# TYPE f_latency_seconds_bucket gauge\n# EOF" },
  { "a name with a digit first", "\nf_load{", "\n0f_load{" },
  { "a name with a dot", "\nf_load{", "\nf.load{" },
  { "a name with a hyphen", "\nf_load{", "\nf-load{" },
  { "no name", "\nf_load{", "\n{" },

  -- metadata
  { "no type", "# TYPE f_load gauge", "# TYPE f_load" },
  { "an empty type", "# TYPE f_load gauge", "# TYPE f_load " },
  { "no name of a type", "# TYPE f_load gauge", "# TYPE" },
  { "an unknown type", "# TYPE f_load gauge", "# TYPE f_load meh" },
  { "a type of the old format", "# TYPE f_load gauge", "# TYPE f_load untyped" },
  { "space behind a type", "# TYPE f_load gauge", "# TYPE f_load gauge " },
  { "a tab in a type's line", "# TYPE f_load gauge", "# TYPE f_load\tgauge" },
  { "type twice", "(# TYPE f_load gauge\n)", "%1%1" },
  { "help twice", "(# HELP f_load[^\n]*\n)", "%1%1" },
  { "unit twice", "(# UNIT f_latency_seconds[^\n]*\n)", "%1%1" },
  { "no help", "# HELP f_load [^\n]*", "# HELP f_load" },
  { "no name of a help", "# HELP f_load [^\n]*", "# HELP" },
  { "no unit", "# UNIT f_latency_seconds seconds", "# UNIT f_latency_seconds" },
  { "no name of a unit", "# UNIT f_latency_seconds seconds", "# UNIT" },
  { "space behind a unit", "# UNIT f_latency_seconds seconds", "# UNIT f_latency_seconds seconds " },
  { "a unit that is not in the name", "# UNIT f_latency_seconds seconds", "# UNIT f_latency_seconds bytes" },
  { "a unit of an info", "# TYPE f_build info", "# TYPE f_build info\n# UNIT f_build build" },
  { "a type behind samples", "(# TYPE f_load gauge\n)(.-)(# TYPE)", "%2%1%3" },
  { "help behind samples", '(# HELP f_load[^\n]*\n)(f_load{cpu="0"}[^\n]*\n)', "%2%1" },
  { "a unit behind samples", "(# UNIT f_latency[^\n]*\n)(# HELP[^\n]*\n)" .. FIRST, "%2%3%1" },

  -- labels
  { "a label with a digit first", '{cpu="0"}', '{1cpu="0"}' },
  { "a label twice", '{cpu="0"}', '{cpu="0",cpu="0"}' },
  { "text behind a label", '{cpu="0"}', '{cpu="0"b}' },
  { "a label without value", '{cpu="0"}', "{cpu=}" },
  { "a label without equals sign", '{cpu="0"}', '{cpu"0"}' },
  { "a label by its name alone", '{cpu="0"}', "{cpu}" },
  { "an open quote", '{cpu="0"}', '{cpu="0}' },
  { "no quotes", '{cpu="0"}', "{cpu=0}" },
  { "single quotes", '{cpu="0"}', "{cpu='0'}" },
  { "no comma", '{route="/a",le="0.1"}', '{route="/a"le="0.1"}' },
  { "two commas", '{route="/a",le="0.1"}', '{route="/a",,le="0.1"}' },
  { "a comma at the end", '{cpu="0"}', '{cpu="0",}' },
  { "open labels", '{cpu="0"}', '{cpu="0"' },

  -- values
  { "no value", GAUGE, "%1" },
  { "no value, but the space", GAUGE, "%1 " },
  { "a value that is no number", GAUGE, "%1 a" },
  { "two spaces", GAUGE, "%1  %2" },
  { "space behind a value", GAUGE, "%1 %2 " },
  { "a tab behind a value", GAUGE, "%1 %2\t" },
  { "underscores in a number", GAUGE, "%1 1_2" },
  { "a hexadecimal float", GAUGE, "%1 0x1p-3" },
  { "a hexadecimal number", GAUGE, "%1 0x1" },
  { "a binary number", GAUGE, "%1 0b1" },
  { "an octal number", GAUGE, "%1 0o1" },
  { "a counter that is no number", COUNTER, "%1 NaN" },
  { "a counter below 0", COUNTER, "%1 -1" },
  { "a sum that is no number", SUM, "%1 NaN" },
  { "a sum below 0", SUM, "%1 -1" },
  { "a count that is no number", COUNT, "%1 NaN" },
  { "a count below 0", COUNT, "%1 -1" },
  { "a count with a fraction", COUNT, "%1 0.5" },
  { "a bucket that is no number", BUCKET, "%1 NaN" },
  { "a bucket below 0", BUCKET, "%1 -1" },
  { "a bucket with a fraction", BUCKET, "%1 2.5" },
  { "an info above 1", INFO, "%1 2" },

  -- times
  { "a time that is no number", GAUGE, "%1 %2 z" },
  { "a time with a letter", GAUGE, "%1 %2 1z" },
  { "underscores in a time", GAUGE, "%1 %2 1_2" },
  { "two dots in a time", GAUGE, "%1 %2 1.1.1" },
  { "no time, but NaN", GAUGE, "%1 %2 NaN" },
  { "an infinite time", GAUGE, "%1 %2 Inf" },
  { "a time below all", GAUGE, "%1 %2 -Inf" },
  { "two spaces before a time", GAUGE, "%1 %2  1" },
  { "a hexadecimal time", GAUGE, "%1 %2 0x1p-3" },
  { "times that go back", GAUGE, "%1 %2 2\n%1 %2 1" },
  { "a time in one of two samples", GAUGE, "%1 %2 1\n%1 %2" },

  -- histograms
  { "no bound", 'f_latency_seconds_bucket{route="/a",le="0.1"}', 'f_latency_seconds_bucket{route="/a"}' },
  { "a bound that is no number", 'le="0.1"', 'le="x"' },
  { "an infinite bound of another form", 'le="%+Inf"', 'le="+INF"' },
  { "no infinite bucket", BUCKET .. "\n", "" },
  { "no count", COUNT .. "\n", "" },
  { "no sum", SUM .. "\n", "" },
  { "a count that is not the last bucket", COUNT, "%1 7" },
  { "buckets that fall", SECOND, 'f_latency_seconds_bucket{route="/a",le="0.5"} 0\n' },
  { "buckets in another order", FIRST .. SECOND, "%2%1" },
  { "a sum with a bound below 0", 'route="/a",le="0.1"', 'route="/a",le="-1.0"' },
  { "series that are mixed", "(f_latency_seconds_sum{[^\n]*\n)(.-)(# TYPE)", "%2%1%3" },

  -- exemplars
  { "an exemplar of a gauge", GAUGE, '%1 %2 # {a="b"} 1' },
  { "an exemplar of an info", INFO, '%1 %2 # {a="b"} 1' },
  { "an exemplar of a sum", SUM, '%1 %2 # {a="b"} 1' },
  { "an exemplar of a count", COUNT, '%1 %2 # {a="b"} 1' },
  { "an exemplar without labels and value", EXEMPLAR, 'f_requests_total{route="/a"} 2 #' },
  { "no space before an exemplar", '(route="/a"} %S+) # {', "%1# {" },
  { "no space behind the sign of an exemplar", '(route="/a"} %S+) # {', "%1 #{" },
  { "no space before an exemplar's value", EXEMPLAR, "%1%2%3%4" },
  { "space behind an exemplar", EXEMPLAR, "%1%2%3 %4 " },
  { "space behind an exemplar's time", EXEMPLAR, "%1%2%3 %4 %5 " },
  { "labels of an exemplar with more than 128 characters", EXEMPLAR,
    '%1a="' .. ("x"):rep(128) .. '"%3 %4 %5' },
  { "a hexadecimal value of an exemplar", EXEMPLAR, "%1%2%3 0x1p-3 %5" },
  { "a hexadecimal time of an exemplar", EXEMPLAR, "%1%2%3 %4 0x1p-3" },
  { "no value of an exemplar", EXEMPLAR, "%1%2%3" },
  { "an exemplar's time that is no number", EXEMPLAR, "%1%2%3 %4 NaN" },
  { "an exemplar's time that is infinite", EXEMPLAR, "%1%2%3 %4 Inf" },
  { "an exemplar's label twice", EXEMPLAR, '%1a="1",a="2"%3 %4 %5' },
  { "an exemplar with open labels", EXEMPLAR, "%1%2 %4 %5" },
}

--- Returns the exposition without the metrics of others.
local function without_others(body)
  local kept = {}
  for line in body:gmatch "[^\n]+" do
    if line:find "^#? ?%u* ?f_" or line == "# EOF" then kept[#kept + 1] = line end
  end
  return table.concat(kept, "\n") .. "\n"
end

--- Returns the mutants of an exposition: { kind = , body = }, of which the first has no fault. Fails if one
--- can not be made of it.
function faults.mutants(body)
  body = without_others(body)
  local mutants = { { kind = "no fault", body = body } }
  for i, fault in ipairs(LIST) do
    local kind, found, other = table.unpack(fault)
    local mutated, count = body:gsub(found, other, 1)
    assert(count == 1 and mutated ~= body, "no place for: " .. kind)
    mutants[i + 1] = { kind = kind, body = mutated }
  end
  return mutants
end

return faults
