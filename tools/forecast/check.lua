--- Compares the trees in Lua with XGBoost, and times them:   lua5.4 check.lua FOLDER

local here = arg[0]:match "^(.*)/" or "."
package.path = here .. "/?.lua;" .. package.path

local predict = require "predict"

local LARGEST_DIFFERENCE = 1e-6
local ROUNDS = 20

local folder = arg[1] or "."
local trees = dofile(folder .. "/trees.lua")
local rows, worst = {}, 0
for line in io.lines(folder .. "/check.csv") do
  local row = {}
  for value in line:gmatch "[^,]+" do row[#row + 1] = tonumber(value) end
  local expected = table.remove(row)
  rows[#rows + 1] = row
  worst = math.max(worst, math.abs(predict.probability(trees, row) - expected))
end

local began = os.clock()
for _ = 1, ROUNDS do
  for _, row in ipairs(rows) do predict.probability(trees, row) end
end
local each = (os.clock() - began) / ROUNDS / #rows
print(("%d trees, %d rows: at most %.2g from XGBoost, %.1f us a prediction"):format(
  #trees, #rows, worst, each * 1e6))
if worst > LARGEST_DIFFERENCE then os.exit(1) end
