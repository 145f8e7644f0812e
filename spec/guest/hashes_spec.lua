-- Hex digits, the hash of a stack, and sampling, in the guest's core: in Lua, and through the library.

local cores = require "guest.cores"
local hex = require "coropanic.guest.core.hex"
local sampling = require "coropanic.guest.core.sampling"
local stack_hash = require "coropanic.guest.core.stack_hash"

describe("hex", function()
  it("writes bytes and reads them again", function()
    local all = {}
    for i = 0, 255 do all[i + 1] = string.char(i) end
    local bytes = table.concat(all)
    assert.equal("00010aff", hex.encode "\0\1\10\255")
    assert.equal(bytes, hex.decode(hex.encode(bytes)))
  end)

  it("refuses what are no pairs of lower-case digits", function()
    for _, digits in ipairs { "0", "0g", "0A", " 0", "0\0" } do assert.is_nil(hex.decode(digits)) end
    assert.equal("", hex.decode "")
  end)
end)

describe("the hash of a stack", function()
  it("is FNV-1a of 64 bits", function()
    assert.equal("cbf29ce484222325", stack_hash.fnv1a "")
    assert.equal("af63dc4c8601ec8c", stack_hash.fnv1a "a")
    assert.equal("85944171f73967e8", stack_hash.fnv1a "foobar")
    assert.equal("60fe2d18ca64fedb", stack_hash.fnv1a "shop.lua:order\n")
    assert.equal("0b7b16402d54e865", stack_hash.fnv1a "shop.lua:order\nmain.lua:?\n")
    assert.equal("9765906f9c39e5f6", stack_hash.fnv1a "[c]:pcall\n")
    assert.equal("558a95f83a1d4cdf", stack_hash.fnv1a "[string]:f\nshop.lua:?\n[c]:?\n")
  end)

  cores.each(it, "stack_hash", "covers module and function", function(core)
    for _, row in ipairs {
      { "@shop.lua", "order", "shop.lua:order\n" },
      { "@/srv/app/lib/shop.lua", "order", "shop.lua:order\n" },
      { "@C:\\app\\Shop.LUA", "order", "shop.lua:order\n" },
      { "@shop.lua", "Order", "shop.lua:Order\n" },
      { "@shop.lua", false, "shop.lua:?\n" },
      { "@shop.lua", "", "shop.lua:\n" },
      { "@dir/", "f", ":f\n" },
      { "=[C]", "pcall", "[c]:pcall\n" },
      { "=stdin", "f", "stdin:f\n" },
      { "return 1", "f", "[string]:f\n" },
      { "-- @shop.lua", "f", "[string]:f\n" },
      { "", "f", "[string]:f\n" },
      { "@\195\132.lua", "f", "\195\132.lua:f\n" },
      { "@a\0b", "f\0g", "a:f\n" },
    } do
      assert.equal(stack_hash.fnv1a(row[3]), core.of { row[1], row[2] }, row[1])
    end
  end)

  cores.each(it, "stack_hash", "goes outwards, and counts direct recursion once", function(core)
    assert.equal("53a373a4c340711d", core.of { "@/srv/db.lua", "query", "=[C]", false })
    assert.equal(stack_hash.fnv1a "tree.lua:walk\ntree.lua:visit\ntree.lua:walk\n",
      core.of { "@a/tree.lua", "walk", "@b/Tree.lua", "walk", "@tree.lua", "visit", "@tree.lua", "walk" })
    assert.equal(stack_hash.fnv1a "", core.of {})
  end)

  cores.agree(it, "stack_hash", "of random frames", function(draw)
    local text = {}
    for i = 1, draw(30) do text[i] = string.char(draw(255)) end
    return table.concat(text)
  end, function(core, text) return core.of { "@" .. text, text, text, false } end)

  it("calls a function by what its version says", function()
    assert.equal("order", stack_hash.identity(1, "Lua", "order", "0123456789abcdef"))
    assert.is_nil(stack_hash.identity(1, "main", nil, nil))
    assert.equal("0123456789abcdef", stack_hash.identity(2, "Lua", "order", "0123456789abcdef"))
    assert.equal("order", stack_hash.identity(2, "Lua", "order", nil))
    assert.equal("main", stack_hash.identity(2, "main", "order", "0123456789abcdef"))
    assert.equal("pcall", stack_hash.identity(2, "C", "pcall", nil))
  end)
end)

describe("sampling", function()
  --- A trace id with this randomness, in two halves of 28 bits.
  local function id_of(high, low) return ("ab"):rep(9) .. ("%07x%07x"):format(high, low) end

  it("by a ratio compares 56 bits with a threshold", function()
    -- The threshold is (1 - ratio) * 2^56; the third of 2^56 does not fit in a double's 53 bits at once.
    for _, row in ipairs {
      { 0.5, 2 ^ 27, 0 }, { 0.25, 3 * 2 ^ 26, 0 }, { 0.125, 7 * 2 ^ 25, 0 }, { 1 - 2 ^ -50, 0, 64 },
    } do
      local ratio, high, low = row[1], row[2], row[3]
      local sampler = { kind = "ratio", ratio = ratio }
      assert.is_true(sampling.decide_root(sampler, id_of(high, low)))
      local below = low > 0 and id_of(high, low - 1) or id_of(high - 1, 2 ^ 28 - 1)
      assert.is_false(sampling.decide_root(sampler, below))
    end
    assert.is_false(sampling.decide({ kind = "ratio", ratio = 0 }, id_of(2 ^ 28 - 1, 2 ^ 28 - 1), true))
    assert.is_true(sampling.decide({ kind = "ratio", ratio = 1 }, id_of(0, 0), false))
  end)

  it("does as the parent has decided, or as the root says", function()
    local sampler = { kind = "parent", root = "never" }
    assert.is_true(sampling.decide(sampler, id_of(0, 0), true))
    assert.is_false(sampling.decide(sampler, id_of(0, 0), false))
    assert.is_false(sampling.decide_root(sampler, id_of(0, 0)))
    assert.is_true(sampling.decide_root({ kind = "parent", root = "always" }, id_of(0, 0)))
    assert.is_true(sampling.decide({ kind = "always" }, id_of(0, 0), false))
    assert.is_false(sampling.decide({ kind = "never" }, id_of(0, 0), true))
  end)
end)
