-- A script for darktable: when an image is exported, tasks make a note beside it.

local co = require "coropanic"
local darktable = require "darktable"

local function checksum(path)
  local file <close> = assert(io.open(path, "rb"))
  local sum = 0
  for block in function() return file:read(1024) end do
    for i = 1, #block do
      sum = (sum * 31 + block:byte(i)) % 65521
    end
    co.yield() -- the other tasks
  end
  return sum
end

darktable.register_event("coropanic", "intermediate-export-image", function(_, image, exported)
  local ok, record = pcall(co.run, function()
    local read = co.spawn_with({ name = "original" }, checksum, image.path .. "/" .. image.filename)
    local made = co.spawn_with({ name = "result" }, checksum, exported)
    local note <close> = assert(io.open(exported .. ".note", "w"))
    note:write(("%s: %d became %d\n"):format(image.filename, read:await(), made:await()))
  end)
  if not ok then
    darktable.print_error(tostring(record))
  end
  -- What fails is reported, and darktable goes on.
  ok, record = pcall(co.run, checksum, "/no/such/image")
  print(ok, record.message)
end)
