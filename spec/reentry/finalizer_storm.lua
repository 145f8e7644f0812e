--- Runs `call` from a finalizer at nearly every allocation that `fn` makes.
return function(call, fn)
  local function storm()
    setmetatable({}, { __gc = function()
      if call then
        storm()
        call()
      end
    end })
  end
  collectgarbage("incremental", 1, 1000, 20)
  collectgarbage("setpause", 0)
  collectgarbage()
  storm()
  local ok, err = pcall(fn)
  call = nil
  collectgarbage("incremental", 200, 100, 13)
  assert(ok, err)
end
