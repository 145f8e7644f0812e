-- The check at the end of `make demo-mesh` passes only what was planned.

local cjson = require "cjson"

local TRACE = "0af7651916cd43dd8448eb211c80319c"

local PLANNED = {
  { service = "orders", error_code = "mesh.go.nil_dereference", source = "orders.go", name = "main.total" },
  { service = "users", error_code = "mesh.python.LookupError", source = "users.py", name = "team_of" },
  { service = "cart", error_code = "mesh.node.TypeError", source = "cart.js", name = "totalOf" },
  { service = "billing", error_code = "mesh.jvm.IllegalStateException", source = "Billing.java",
    name = "Billing.amountOf" },
}

local function write(text)
  local path = os.tmpname()
  local file <close> = assert(io.open(path, "w"))
  file:write(text)
  return path
end

--- Checks the planned records, one of which `change` has changed; returns the output, and whether it passed.
local function check(change, status)
  local lines = {}
  for i, planned in ipairs(PLANNED) do
    local record = {
      service = planned.service, error_code = planned.error_code, stack_hash = ("%016x"):format(i),
      trace_id = TRACE, span_id = ("%016x"):format(i),
      frames = { { source = "library", name = "f" }, { source = planned.source, name = planned.name } },
    }
    lines[i] = cjson.encode(change and change(record) or record) .. "\n"
  end
  local records, answer = write(table.concat(lines)), write(('{"status":%d}'):format(status or 500):rep(4))
  local command = "LD_PRELOAD= lua5.4 mesh/demo/check.lua %s %s %s 2>&1"
  local pipe = assert(io.popen(command:format(records, answer, TRACE)))
  local output = pipe:read "a"
  local passed = pipe:close()
  os.remove(records)
  os.remove(answer)
  return output, passed == true
end

describe("the check of the mesh's demo", function()
  it("prints the table, and passes what was planned", function()
    local output, passed = check()
    assert.is_true(passed)
    assert.matches("orders +mesh%.go%.nil_dereference +0+1 +" .. TRACE .. " +orders%.go total", output)
  end)

  for name, wrong in pairs {
    trace_id = "00000000000000000000000000000001", error_code = "mesh.unknown", service = "users",
  } do
    it("fails where a record has a wrong " .. name, function()
      local output, passed = check(function(record)
        if record.service == "cart" then record[name] = wrong end
        return record
      end)
      assert.is_false(passed)
      assert.matches("WRONG: ", output)
    end)
  end

  it("fails where two records have one caller, a frame lacks, or the relay got another status", function()
    assert.is_false(select(2, check(function(record) record.span_id = "1" return record end)))
    assert.is_false(select(2, check(function(record) record.frames[2] = nil return record end)))
    assert.is_false(select(2, check(nil, 200)))
  end)
end)
