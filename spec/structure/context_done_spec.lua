local co = require "coropanic"
local co_it = require("spec.helpers").co_it(it)
local seeded = { seeds = 5 }

local context = co.context
local background = context.background

describe("ctx:done", function()
  it("is a channel, the same one each time", function()
    local ctx = context.with_cancel(background())
    assert.is_truthy(ctx:done())
    assert.equal(ctx:done(), ctx:done())
  end)

  it("is nil for a context that never ends", function()
    assert.is_nil(background():done())
    assert.is_nil(context.with_value(background(), "a", 1):done())
    assert.is_nil(context.without_cancel(context.with_cancel(background())):done())
  end)

  it("is there for all that descend from one that can end", function()
    local ctx = context.with_value(context.with_cancel(background()), "a", 1)
    assert.is_truthy(ctx:done())
  end)

  it("is open while the context is live, and closed at its end", function()
    local ctx, cancel = context.with_cancel(background())
    assert.equal("empty", select(3, ctx:done():try_recv()))
    cancel()
    assert.equal("closed", select(3, ctx:done():try_recv()))
  end)

  it("is closed when it is first asked for after the end", function()
    local ctx, cancel = context.with_cancel(background())
    cancel()
    assert.equal("closed", select(3, ctx:done():try_recv()))
  end)

  co_it("wakes a task that receives from it", seeded, function()
    local ctx = context.with_timeout(background(), 2)
    assert.same({ n = 2, nil, false }, table.pack(ctx:done():recv()))
    assert.equal(2, co.now())
    assert.equal("context deadline exceeded", ctx:err())
  end)

  co_it("is closed for children too", seeded, function()
    local parent, cancel = context.with_cancel(background())
    local child = context.with_cancel(parent)
    local task = co.spawn(function() return child:done():recv() end)
    co.yield()
    cancel()
    assert.same({ n = 2, nil, false }, table.pack(task:await()))
  end)

  co_it("takes part in select", seeded, function()
    local ctx = context.with_timeout(background(), 2)
    local never = co.chan()
    assert.equal(2, (co.select(nil, never, ctx:done())))
    assert.equal(2, co.now())
  end)

  it("is nothing that a script may send on or close", function()
    local ctx = context.with_cancel(background())
    assert.has_error(function() ctx:done():close() end)
    assert.has_error(function() ctx:done():try_send(1) end)
    assert.is_nil(ctx:err())
    assert.equal("empty", select(3, ctx:done():try_recv()))
  end)

  co_it("keeps its context: who waits on it alone is woken", seeded, function()
    local done = context.with_timeout(background(), 2):done()
    collectgarbage()
    collectgarbage()
    done:recv()
    assert.equal(2, co.now())
  end)
end)
