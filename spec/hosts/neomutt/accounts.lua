-- A script for neomutt's lua-source: asks for the settings of an account by several tasks at once.

local co = require "coropanic"

local ANSWERS = { realname = "Ann Example", from = "ann@example.org", sendmail = "/usr/sbin/sendmail -f ann" }

--- Stands for a program that knows secrets, such as a key ring.
local function ask(name)
  co.sleep(0.001)
  return ANSWERS[name] or error("nobody knows " .. name, 0)
end

local function configure()
  co.scope(function(scope)
    for name in pairs(ANSWERS) do
      scope:spawn_with({ name = "ask for " .. name }, function() mutt.set(name, ask(name)) end)
    end
  end)
end

local ok, record = pcall(co.run, configure)
if not ok then
  mutt.error(tostring(record))
end

-- What is not known is reported, and the rest is set.
ok, record = co.pcall(co.run, ask, "signature")
mutt.set("signature", ok and "" or record.message)
