--- C112: coroutines of Lua's own library, in which a task can not suspend.

local effects = require "coropanic.lint.effects"

local rule = {
  id = "C112",
  name = "foreign-coroutine",
  summary = "a coroutine of Lua's own library whose body needs co.coroutine",
}

local MAKES = { ["coroutine.wrap"] = true, ["coroutine.create"] = true }

function rule.check(file, report)
  if file.is_instrumented then return end
  for _, call in ipairs(file.calls) do
    local body = MAKES[call.path] and call.target.kind == "builtin" and call.arguments[1]
    local target = body and file.values:of(body)
    if target then
      local inner = { node = body, target = target, path = target.path, arguments = {} }
      local found, at = file.effects:suspension_of_call(inner)
      if found then
        report(at, ("'%s' in a coroutine of '%s' raises an error when it has to wait: use co.%s"):format(
          effects.name(found.path), call.path, call.path))
      end
    end
  end
end

return rule
