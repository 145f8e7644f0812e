--- Timers in the order of their times, those of equal time in the order in which they were added: a binary
--- heap. A timer is any table; its fields `at`, `order` and `index` belong to this file.

local heap = {}

function heap.new() return { count = 0, order = 0 } end

local function comes_before(a, b)
  if a.at ~= b.at then return a.at < b.at end
  return a.order < b.order
end

local function place(h, index, timer)
  h[index] = timer
  timer.index = index
end

local function sift_up(h, index, timer)
  while index > 1 do
    local parent = (index - index % 2) / 2
    if not comes_before(timer, h[parent]) then break end
    place(h, index, h[parent])
    index = parent
  end
  place(h, index, timer)
end

local function sift_down(h, index, timer)
  while true do
    local child = 2 * index
    if child > h.count then break end
    if child < h.count and comes_before(h[child + 1], h[child]) then child = child + 1 end
    if not comes_before(h[child], timer) then break end
    place(h, index, h[child])
    index = child
  end
  place(h, index, timer)
end

function heap.add(h, timer, at)
  h.order = h.order + 1
  h.count = h.count + 1
  timer.at, timer.order = at, h.order
  sift_up(h, h.count, timer)
end

--- Harmless if it is in no heap.
function heap.remove(h, timer)
  local index = timer.index
  if index == nil then return end
  timer.index = nil
  local moved = h[h.count]
  h[h.count] = nil
  h.count = h.count - 1
  if moved == timer then return end
  sift_up(h, index, moved)
  sift_down(h, moved.index, moved)
end

function heap.first(h) return h[1] end

return heap
