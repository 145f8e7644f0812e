--- The module in a script of darktable: spec/hosts/darktable/on_export.lua. No display is needed.

local helpers = require "spec.helpers"
local host = require "spec.hosts.host"

describe("darktable's events", function()
  local folder

  setup(function() folder = host.make_folder() end)
  teardown(function() os.execute("rm -r " .. folder) end)

  it("are handled by tasks while an image is exported", function()
    -- A portable float map of one grey pixel.
    host.write(folder .. "/grey.pfm", "PF\n1 1\n-1.0\n" .. string.pack("<fff", 0.5, 0.5, 0.5))
    local output, status = host.run("darktable-cli", folder .. "/grey.pfm", folder .. "/out.pfm", "--core",
      "--configdir", folder, "--cachedir", folder, "--library", ":memory:", "--disable-opencl",
      "--luacmd", ("dofile %q"):format(host.HERE .. "/spec/hosts/darktable/on_export.lua"))
    assert.equal(0, status, output)
    assert.match("^grey%.pfm: %d+ became %d+\n$", host.read(folder .. "/out.pfm.note"))
    helpers.assert_contains("false\t", output)
    helpers.assert_contains("/no/such/image: No such file or directory", output)
  end)
end)
