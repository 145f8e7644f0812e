--- Returns the source with `to` in the place of `from`; nil unless that stands in it once.
---@param mutant table  # of list.lua
---@return string?
return function(mutant)
  local file <close> = assert(io.open(mutant.file))
  local source = file:read "a"
  local first, last = source:find(mutant.from, 1, true)
  if not first or source:find(mutant.from, last + 1, true) then return nil end
  return source:sub(1, first - 1) .. mutant.to .. source:sub(last + 1)
end
