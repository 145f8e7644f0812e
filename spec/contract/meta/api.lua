--- What lua/coropanic/meta.lua and its parts declare.

local co = require "coropanic"
local luacats = require "contract.meta.luacats"

local api
for path in io.popen("ls lua/coropanic/meta.lua lua/coropanic/meta/*.lua"):lines() do
  api = luacats.read(path, api)
end

-- The classes whose functions are those of a table of the module.
api.modules = {
  coropanic = co, ["coropanic.trace"] = co.trace, ["coropanic.contextlib"] = co.context,
  ["coropanic.profilelib"] = co.profile,
}

function api.sorted_keys(t)
  local keys = {}
  for key in pairs(t) do keys[#keys + 1] = key end
  table.sort(keys)
  return keys
end

--- Calls `visit` with each function that is declared.
function api.each_function(visit)
  for _, name in ipairs(api.sorted_keys(api.classes)) do
    for _, fn in pairs(api.classes[name].functions) do visit(fn) end
  end
end

--- The type of this name.
function api.type_of(name) return { kind = "name", name = name } end

return api
