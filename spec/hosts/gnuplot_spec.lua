--- The module in a terminal of gnuplot: spec/hosts/gnuplot/strokes.lua.

local host = require "spec.hosts.host"

local PLOT = [[
set terminal lua '%s/spec/hosts/gnuplot/strokes.lua'
set output '%s/plot'
unset key; unset border; unset tics
set margins 0, 0, 0, 0
set yrange [0:1]; set xrange [0:1]
set samples 11
plot x with lines
plot 0.5 with lines
]]

describe("gnuplot's set terminal lua", function()
  local folder

  setup(function() folder = host.make_folder() end)
  teardown(function() os.execute("rm -r " .. folder) end)

  it("draws plots by tasks", function()
    host.write(folder .. "/script", PLOT:format(host.HERE, folder))
    assert.same({ "", 0 }, { host.run("gnuplot", folder .. "/script") })
    -- The diagonal of the canvas, and a line across it.
    assert.equal("12 points, 1413 long\n12 points, 999 long\n", host.read(folder .. "/plot"))
  end)
end)
