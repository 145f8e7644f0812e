--- The model that train.py exports, in plain Lua: the probability that a deadlock strikes within 3 seconds.
---
---   local window = predict.window()
---   every 0.1 seconds: predict.probability(trees, window:push(sampler:sample()))

local predict = {}

local WINDOWS = { 10, 50 } -- samples
local LONGEST = 50

---@alias forecast.tree number | { [1]: integer, [2]: number, [3]: forecast.tree, [4]: forecast.tree }

--- Returns the sum that the trees give the features.
---@param trees forecast.tree[]
---@param features number[]
---@return number
local function margin(trees, features)
  local sum = 0
  for i = 1, #trees do
    local node = trees[i]
    while type(node) == "table" do
      node = features[node[1]] < node[2] and node[3] or node[4]
    end
    sum = sum + node
  end
  return sum
end

---@param trees forecast.tree[]
---@param features number[]  # in single precision, as `window:push` returns them
---@return number probability
function predict.probability(trees, features)
  return 1 / (1 + math.exp(-margin(trees, features)))
end

--- The last samples.
---@class forecast.window
local window = {}
window.__index = window

---@return forecast.window
function predict.window()
  return setmetatable({ count = 0, samples = {} }, window)
end

--- Returns the sample that is so many before the last one; the first one, if there are not so many.
function window:back(n)
  return self.samples[(math.max(self.count - n, 1) - 1) % (LONGEST + 1) + 1]
end

--- Appends to `features` the change of each figure over the last `n` samples, and then the means.
local function add_window(features, self, sample, n)
  local before = self:back(n)
  local first = #features
  for i, value in ipairs(sample) do
    features[first + i] = value - before[i]
    features[first + #sample + i] = 0
  end
  first = first + #sample
  for k = 0, n - 1 do
    local one = self:back(k)
    for i = 1, #sample do features[first + i] = features[first + i] + one[i] / n end
  end
end

--- Takes a sample and returns the features of the moment: each figure, and its change and its mean over 1 and
--- 5 seconds, in single precision as XGBoost has them.
---@param sample number[]  # kept
---@return number[]
function window:push(sample)
  self.count = self.count + 1
  self.samples[(self.count - 1) % (LONGEST + 1) + 1] = sample
  local features = { table.unpack(sample) }
  for _, n in ipairs(WINDOWS) do add_window(features, self, sample, n) end
  local format = ("f"):rep(#features)
  local single = { string.unpack(format, string.pack(format, table.unpack(features))) }
  single[#single] = nil -- the place after the last one
  return single
end

return predict
