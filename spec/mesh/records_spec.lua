-- The records that the mesh makes are of the contract: its schema, and hashes made again from the frames.

local cjson = require "cjson"

local BUILD = os.getenv "BUILD" or "build"

--- Normalises the texts, one after the other with one handle. Returns each one's record, as JSON.
local function records_of(texts)
  local path = os.tmpname()
  local file = assert(io.open(path, "wb"))
  for _, text in ipairs(texts) do file:write(("500 %d orders -\n%s"):format(#text, text)) end
  file:close()
  local wrapper = os.getenv "TEST_WRAPPER" or ""
  local pipe = assert(io.popen(("env -u LD_PRELOAD %s %s/mesh_native <%s"):format(wrapper, BUILD, path)))
  local records = {}
  for i = 1, #texts do
    local head = assert(pipe:read "l", "no answer")
    records[i] = pipe:read(tonumber(head:match "%d+$"))
  end
  assert(pipe:close())
  os.remove(path)
  return records
end

--- Runs the validator of the contract; its output, and whether it had nothing to say.
local function validate(option, records)
  local paths = {}
  for i, record in ipairs(records) do
    paths[i] = os.tmpname()
    local file <close> = assert(io.open(paths[i], "wb"))
    file:write(record)
  end
  local command = "env -u LD_PRELOAD /usr/bin/python3 spec/contract/validate.py %s %s 2>&1"
  local pipe = assert(io.popen(command:format(option, table.concat(paths, " "))))
  local output = pipe:read "a"
  local ok = pipe:close()
  for _, path in ipairs(paths) do os.remove(path) end
  return output, ok
end

local TEXTS = {
  "panic: a [recovered]\n\tpanic: b\n\ngoroutine 1 [running]:\nmain.f()\n\t/a/F.go:1 +0x1\n"
    .. "main.main()\n\t/a/b.go:2\n",
  "java.lang.Error: a\n\tat b.C.d(C.java:1)\n\tat e.F.g(Native Method)\n"
    .. "\tSuppressed: h.I: j\n\t\tat k.L.m(L.java:2)\n"
    .. "Caused by: n.O\n\tat p.Q.r(Q.java:3)\n\t... 2 more\nCaused by: s.T\n\tat u.V.w(V.java:3)\n",
  "Traceback (most recent call last):\n  File \"a.py\", line 1, in f\nKeyError: 'a'\n\n"
    .. "During handling of the above exception, another exception occurred:\n\n"
    .. "Traceback (most recent call last):\n  File \"b.py\", line 2, in <module>\n"
    .. "  File \"<string>\", line 1\nE: b\n",
  "thread 'main' panicked at 'a', src/b.rs:1:2\n",
  "TypeError: a\n    at f (/b/c.js:1:2)\n    at JSON.parse (<anonymous>)\n"
    .. "    at eval (eval at g (a.js:1:1), b:1:1)\n",
  "no crash",
}

describe("the record of a crash's text", function()
  local records = records_of(TEXTS)

  it("is valid by the contract's schema", function()
    local output, ok = validate("", records)
    assert.equal("", output)
    assert.is_true(ok)
  end)

  it("has the hashes that the contract's page describes", function()
    local output, ok = validate("--hashes", records)
    assert.equal("", output)
    assert.is_true(ok)
  end)

  it("has causes inside, and what was replaced or suppressed beside", function()
    local go, jvm, python = cjson.decode(records[1]), cjson.decode(records[2]), cjson.decode(records[3])
    assert.same({ "a", true }, { go.chain[1].message, go.chain[1].recovered })
    assert.same({ "n.O", "s.T" }, { jvm.cause.type, jvm.cause.cause.type })
    assert.same({ "h.I", "j" }, { jvm.suppressed[1].type, jvm.suppressed[1].message })
    assert.equal("KeyError", python.chain[1].type)
  end)

  it("is numbered behind the errors of the one before it", function()
    local seqs = {}
    for i, record in ipairs(records) do seqs[i] = cjson.decode(record).seq end
    assert.same({ 1, 3, 7, 9, 10, 11 }, seqs)
  end)
end)
