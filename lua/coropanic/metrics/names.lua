--- The names of metrics and labels, by the grammar of OpenMetrics 1.0
--- (https://github.com/prometheus/OpenMetrics/blob/v1.0.0/specification/OpenMetrics.md).

local names = {}

-- The suffixes that the samples of a family have; "" is the family's own name. No two families may have a
-- sample name in common.
local SUFFIXES = {
  counter = { "", "_total", "_created" },
  gauge = { "" },
  histogram = { "", "_bucket", "_count", "_sum", "_created" },
  info = { "", "_info" },
}

-- The suffix that scripts may write, although it is not part of the family's name.
local OPTIONAL = { counter = "_total", info = "_info" }

-- Labels that the format adds by itself.
local OWN_LABELS = { histogram = "le" }

function names.is_metric(name) return name:find "^[%a_:][%w_:]*$" ~= nil end

function names.is_label(name) return name:find "^[%a_][%w_]*$" ~= nil end

--- Returns the family's name: without the suffix that OpenMetrics adds to its samples.
---@param kind string
---@param name string
function names.family(kind, name)
  local suffix = OPTIONAL[kind]
  if suffix and #name > #suffix and name:sub(-#suffix) == suffix then return name:sub(1, -#suffix - 1) end
  return name
end

--- Returns what is wrong with a name and a unit; nil: nothing.
---@param kind string
---@param name string  # from names.family
---@param unit string?
function names.refusal(kind, name, unit)
  if not names.is_metric(name) then
    return ("name: letters, digits, '_' and ':' expected, no digit first, got %q"):format(name)
  end
  if unit == nil or unit == "" then return nil end
  if kind == "info" then return "option 'unit': an info has none" end
  if not unit:find "^[%w_:]+$" then
    return ("option 'unit': letters, digits, '_' and ':' expected, got %q"):format(unit)
  end
  if name:sub(-#unit - 1) ~= "_" .. unit then
    return ("name: expected to end with the unit, \"_%s\", got %q"):format(unit, name)
  end
end

--- Returns what is wrong with the name of a label; nil: nothing.
---@param kind string
---@param label any
function names.label_refusal(kind, label)
  if type(label) ~= "string" then return "array of strings expected" end
  if not names.is_label(label) then
    return ("letters, digits and '_' expected, no digit first, got %q"):format(label)
  end
  if label:sub(1, 2) == "__" then return ("names that begin with '__' are reserved, got %q"):format(label) end
  if OWN_LABELS[kind] == label then return ("%q is a %s's own label"):format(label, kind) end
end

--- Returns all names of a family's samples.
function names.samples(kind, name)
  local all = {}
  for i, suffix in ipairs(SUFFIXES[kind]) do all[i] = name .. suffix end
  return all
end

return names
