--- A certificate of its own for a spec.

local certificate = {}

---@class certificate
---@field certificate string  # path
---@field key string  # path
---@field params fun(mode: "client" | "server"): table  # of ssl.wrap
---@field remove fun()

--- Makes one for localhost.
---@return certificate
function certificate.make()
  local directory = os.tmpname()
  os.remove(directory)
  assert(os.execute(([[mkdir %s && openssl req -x509 -newkey ec \
    -pkeyopt ec_paramgen_curve:prime256v1 -nodes -keyout %s/key.pem \
    -out %s/certificate.pem -days 2 -subj /CN=localhost 2>/dev/null]]):format(
    directory, directory, directory)))
  local path, key = directory .. "/certificate.pem", directory .. "/key.pem"
  return {
    certificate = path, key = key,
    params = function(mode)
      local is_server = mode == "server"
      return {
        mode = mode, protocol = "any", verify = "none",
        certificate = is_server and path or nil, key = is_server and key or nil,
      }
    end,
    remove = function() os.execute("rm -r " .. directory) end,
  }
end

return certificate
