-- A terminal for gnuplot's `set terminal lua`: writes a line of text for each stroke of a plot. While gnuplot
-- draws, its calls put strokes into a channel; when the plot is over, tasks measure them.

local co = require "coropanic"

local MEASURERS = 3

local strokes = co.chan(100000) -- room for a plot
local stroke

local function finish_stroke()
  if stroke and #stroke > 1 then
    assert(strokes:try_send(stroke), "a plot has too many strokes")
  end
  stroke = nil
end

local function length(points)
  local sum = 0
  for i = 2, #points do
    local dx, dy = points[i].x - points[i - 1].x, points[i].y - points[i - 1].y
    sum = sum + math.sqrt(dx * dx + dy * dy)
  end
  return sum
end

--- Takes all strokes from the channel, measures them, and writes their lines in alphabetical order.
local function write_all()
  local lines = {}
  strokes:close()
  co.scope(function(scope)
    for _ = 1, MEASURERS do
      scope:spawn(function()
        for points in strokes:iter() do
          co.yield()
          lines[#lines + 1] = ("%d points, %.0f long"):format(#points, length(points))
        end
      end)
    end
  end)
  table.sort(lines)
  gp.write(table.concat(lines, "\n") .. "\n")
end

local function ignore() return 1 end

term.xmax, term.ymax, term.v_char, term.h_char, term.v_tic, term.h_tic = 1000, 1000, 10, 10, 10, 10
term.flags = term.TERM_BINARY

function term.options() return 1 end

term.init, term.graphics, term.reset, term.linetype, term.linewidth = ignore, ignore, ignore, ignore, ignore
term.put_text, term.text_angle, term.justify_text, term.set_font = ignore, ignore, ignore, ignore
term.point, term.pointsize, term.set_color, term.dashtype, term.layer = ignore, ignore, ignore, ignore, ignore

function term.move(x, y)
  local last = stroke and stroke[#stroke]
  if not (last and last.x == x and last.y == y) then
    finish_stroke()
    stroke = { { x = x, y = y } }
  end
  return 1
end

function term.vector(x, y)
  table.insert(stroke, { x = x, y = y })
  return 1
end

--- The end of a plot.
function term.text()
  finish_stroke()
  local ok, record = pcall(co.run, write_all)
  if not ok then
    gp.int_error(tostring(record))
  end
  strokes = co.chan(strokes:capacity())
  return 1
end
