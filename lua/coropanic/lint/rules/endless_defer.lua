--- C110: a deferred call that waits for ever, and the end of the program with it.

local effects = require "coropanic.lint.effects"

local rule = {
  id = "C110",
  name = "endless-deferred-wait",
  summary = "a suspension without a time-out in a deferred function or a compensation",
}

function rule.check(file, report)
  for _, call in ipairs(file.calls) do
    local applied = file.api.DEFERS[call.path] and file.values:applied_call(call)
    if applied then
      file.effects:each_of_call(applied, function(inner, at)
        if file.api.BOUNDS[inner.path] then return "skip" end
        if effects.suspends(inner) and not file.effects:is_bounded(inner) then
          report(at, ("'%s' without a time-out in a deferred call, which no cancellation ends: it can keep"
            .. " the program from ending; give it one, or call it in co.with_timeout"):format(
            effects.name(inner.path)))
        end
      end)
    end
  end
end

return rule
