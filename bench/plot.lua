-- The ratios as a picture.

local files = require "files"
local machine = require "machine"
local rows = require "rows"

local BUILD = os.getenv "BUILD" or "build"

local plot = {}

local PLOT = [[
set terminal svg size 900,%d font "sans-serif,11" background "white"
set output %q
set logscale x
set grid x
set key top outside horizontal
set xlabel "ratio of coropanic's cost to the other's: left of 1 coropanic is faster or smaller"
set yrange [%d.5:0.5]
set arrow from 1, graph 0 to 1, graph 1 nohead lw 2 lc "gray40"
set xrange [%g:%g]
plot %q using 2:1:3:4:ytic(6) with xerrorbars pt 7 ps 0.6 lc "#1f5fa8" title "median, least to greatest", \
     "" using 5:1 with points pt 2 ps 0.8 lc "#c03020" title "target: at most"
]]

--- The ratios that have a target as a plot, made by gnuplot; without it the former plot is left.
function plot.write(run, path)
  if not machine.first_line "gnuplot --version" then
    io.stderr:write("missing: gnuplot; ", path, " is not made anew\n")
    return
  end
  local lines, least, greatest = {}, 1, 1
  for _, row in ipairs(rows.all(run)) do
    local ratio = row.plotted
    if ratio and row.bound then
      local name = ("%s %s %s / %s"):format(row.label, row.size, row.collector, row.peer):gsub("_", " ")
      lines[#lines + 1] = ('%d %g %g %g %g "%s"'):format(#lines + 1, ratio.median, ratio.least,
        ratio.greatest, row.bound, name)
      least = math.min(least, ratio.least, row.bound)
      greatest = math.max(greatest, ratio.greatest, row.bound)
    end
  end
  local data = BUILD .. "/bench/ratios.txt"
  files.write(data, table.concat(lines, "\n") .. "\n")
  local script = BUILD .. "/bench/plot.gnuplot"
  files.write(script, PLOT:format(120 + 17 * #lines, path, #lines, least / 1.5, greatest * 1.5, data))
  assert(os.execute("gnuplot " .. script))
end

return plot
