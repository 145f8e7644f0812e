--- Returns the text without the blanks around it: spaces and tabs (OWS of HTTP).
---@param text string
---@return string
return function(text)
  local first = text:find "[^ \t]"
  if not first then return "" end
  local last = #text
  while text:find("^[ \t]", last) do last = last - 1 end
  return text:sub(first, last)
end
