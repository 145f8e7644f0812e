-- coropanic.logging, with LuaLogging itself.

local co = require "coropanic"
local helpers = require "spec.helpers"
local adapter = require "coropanic.logging"

-- Debian's LuaLogging has no directory for Lua 5.4.
package.path = package.path .. ";/usr/share/lua/5.2/?.lua"
local logging = require "logging"

--- A logger that writes to a table.
local function new_logger(lines)
  return logging.new(function(_, level, message)
    lines[#lines + 1] = level .. " " .. message
    return true
  end)
end

describe("coropanic.logging", function()
  it("adds trace and task to each line", function()
    local lines = {}
    local logger = adapter.wrap(new_logger(lines))
    co.run(function()
      local here = co.trace.fields()
      assert.is_true(logger:info("%d prices", 5))
      assert.equal(("INFO 5 prices trace_id=%s span_id=%s task_id=%d task=main"):format(here.trace_id,
        here.span_id, here.task_id), lines[1])
      co.spawn_with({ name = 'the "second"\n' }, function() logger:error { code = 1 } end):join()
      assert.matches("^ERROR {code = 1} trace_id=%x+ span_id=%x+ task_id=%d+ ", lines[2])
      assert.matches([[ task="the \"second\"\x0A"$]], lines[2])
    end)
    logger:warn "outside"
    assert.matches("^WARN outside trace_id=%x+ span_id=%x+$", lines[3])
  end)

  it("adds them to each line of a message of several", function()
    local lines = {}
    local logger = adapter.wrap(new_logger(lines))
    co.run(function() logger:info "100%\nof\n\n" end)
    local ids = " trace_id=%x+ span_id=%x+ task_id=%d+ task=main"
    assert.matches("^INFO 100%%" .. ids .. "\nof" .. ids .. "\n\n$", lines[1])
  end)

  it("adds them before the end of a line, whichever that is", function()
    local lines = {}
    local logger = adapter.wrap(new_logger(lines))
    logger:info "a\r\nb\n\r\n"
    logger:info "c\r"
    logger:info "\r\n"
    local ids = " trace_id=%x+ span_id=%x+"
    assert.matches("^INFO a" .. ids .. "\r\nb" .. ids .. "\n\r\n$", lines[1])
    assert.matches("^INFO c" .. ids .. "\r$", lines[2])
    assert.matches("^INFO " .. ids .. "\r\n$", lines[3])
  end)

  it("adds them once, however often a logger is wrapped", function()
    local lines = {}
    local logger = new_logger(lines)
    for _ = 1, 3 do assert.equal(logger, adapter.wrap(logger)) end
    logger:info "x"
    assert.matches("^INFO x trace_id=%x+ span_id=%x+$", lines[1])
    adapter.wrap(logger, function(message) return message .. "!" end)
    adapter.wrap(logger)
    logger:info "x"
    assert.equal("INFO x!", lines[2])
    -- Each logger has its own.
    adapter.wrap(new_logger(lines)):info "y"
    assert.matches("^INFO y trace_id=%x+ span_id=%x+$", lines[3])
  end)

  it("leaves to the logger what a message function returns that is no text", function()
    local function log_with(prepare)
      local got
      local logger = prepare(logging.new(function(...)
        got = table.pack(select(2, ...))
        return true
      end))
      local calls = {}
      for i, value in ipairs { false, { code = 1 }, 5, "x" } do
        logger:info(function() return value or nil, "more" end)
        calls[i] = got
      end
      return calls
    end
    local bare, wrapped = log_with(function(logger) return logger end), log_with(adapter.wrap)
    assert.same(bare[1], wrapped[1])
    assert.same(bare[2], wrapped[2])
    assert.matches("^5 trace_id=", wrapped[3][2])
    assert.matches("^x trace_id=", wrapped[4][2])
    -- An appender that can not write it says so.
    local logger = adapter.wrap(logging.new(function(_, level, message)
      return logging.prepareLogMsg(nil, "", level, message)
    end))
    assert.has_error(function() logger:info(function() end) end)
  end)

  it("writes what is logged where no trace id can be made", function()
    -- A state of its own, in which there is no trace yet.
    local result = helpers.run_script [[
      package.path = package.path .. ";/usr/share/lua/5.2/?.lua"
      local trace, logging = require("coropanic").trace, require "logging"
      local logger = logging.new(function(_, level, message) return io.write(level, " ", message) end)
      require("coropanic.logging").wrap(logger)
      trace.use("snowflake", { lease = function(hold) return hold(0) and 900 end })
      logger:info "kept"]]
    assert.equal("INFO kept", result.stdout)
  end)

  it("writes only the levels that the logger writes", function()
    local lines = {}
    local logger = adapter.wrap(new_logger(lines))
    logger:setLevel(logging.ERROR)
    logger:info "no"
    logger:fatal "yes"
    assert.matches("^FATAL yes", lines[#lines])
    for _, line in ipairs(lines) do assert.not_matches("^INFO", line) end
  end)

  it("takes a form of one's own", function()
    local lines = {}
    local logger = adapter.wrap(new_logger(lines), function(message, fields)
      return fields.trace_id:sub(1, 4) .. " " .. message
    end)
    logger:info "x"
    assert.matches("^INFO %x%x%x%x x$", lines[1])
  end)

  it("says what is wrong with its arguments", function()
    assert.has_error(function() adapter.wrap(5) end,
      "bad argument #1 to 'wrap' (logger of LuaLogging expected, got number)")
    assert.has_error(function() adapter.wrap(new_logger {}, 5) end,
      "bad argument #2 to 'wrap' (function expected, got number)")
  end)
end)
