--- The module in a script of neomutt: spec/hosts/neomutt/accounts.lua.

local host = require "spec.hosts.host"

describe("neomutt's lua-source", function()
  local folder

  setup(function() folder = host.make_folder() end)
  teardown(function() os.execute("rm -r " .. folder) end)

  it("sets variables from tasks, and gets the message of a panic", function()
    host.write(folder .. "/rc", ('lua-source "%s/spec/hosts/neomutt/accounts.lua"\n'):format(host.HERE))
    local output, status = host.run("neomutt", "-n", "-F", folder .. "/rc",
      "-Q", "realname", "-Q", "from", "-Q", "sendmail", "-Q", "signature")
    assert.equal([[
set real_name = "Ann Example"
set from = "ann@example.org"
set sendmail = "/usr/sbin/sendmail -f ann"
set signature = "nobody knows signature"
]], output)
    assert.equal(0, status)
  end)
end)
