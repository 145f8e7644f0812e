rockspec_format = "3.0"
package = "coropanic"
version = "scm-1"

source = {
  url = "git+https://github.com/coropanic/coropanic.git",
}

description = {
  summary = "Tasks, Go's defer/panic/recover and trace ids for Lua coroutines",
  detailed = [[
    A coroutine scheduler in C, Go-style defer, panic and recover, and a trace id that follows a
    request through every task it touches: when a task dies, its report names the request, the task,
    who spawned it and where it stood.
  ]],
  license = "MIT",
}

dependencies = {
  "lua ~> 5.4",
}

build = {
  type = "builtin",
  modules = {
    ["coropanic"] = "lua/coropanic/init.lua",
    ["coropanic.socket"] = "lua/coropanic/socket.lua",
    ["coropanic.test"] = "lua/coropanic/test.lua",
    ["coropanic.test.failure"] = "lua/coropanic/test/failure.lua",
    ["coropanic.test.options"] = "lua/coropanic/test/options.lua",
    ["coropanic.test.trial"] = "lua/coropanic/test/trial.lua",
    ["coropanic.uv"] = "lua/coropanic/uv.lua",
    ["coropanic.core"] = {
      sources = {
        "csrc/core/clock.c",
        "csrc/core/hex.c",
        "csrc/core/poller.c",
        "csrc/core/random.c",
        "csrc/core/stack_hash.c",
        "csrc/core/timer.c",
        "csrc/core/traceparent.c",
        "csrc/core/wakeup.c",
        "csrc/lua/carrier.c",
        "csrc/lua/host.c",
        "csrc/lua/lib.c",
        "csrc/lua/lib_chan.c",
        "csrc/lua/lib_context.c",
        "csrc/lua/lib_inspect.c",
        "csrc/lua/lib_io.c",
        "csrc/lua/lib_local.c",
        "csrc/lua/lib_lock.c",
        "csrc/lua/lib_once.c",
        "csrc/lua/lib_panic.c",
        "csrc/lua/lib_record.c",
        "csrc/lua/lib_run.c",
        "csrc/lua/lib_scope.c",
        "csrc/lua/lib_sync.c",
        "csrc/lua/lib_task.c",
        "csrc/lua/lib_trace.c",
        "csrc/lua/plain.c",
        "csrc/lua/record_fields.c",
        "csrc/lua/record_table.c",
        "csrc/runtime/activation.c",
        "csrc/runtime/args.c",
        "csrc/runtime/cancel.c",
        "csrc/runtime/chan.c",
        "csrc/runtime/context.c",
        "csrc/runtime/context_after.c",
        "csrc/runtime/deadlock.c",
        "csrc/runtime/driver.c",
        "csrc/runtime/handler.c",
        "csrc/runtime/io.c",
        "csrc/runtime/membership.c",
        "csrc/runtime/mutex.c",
        "csrc/runtime/panic.c",
        "csrc/runtime/parked.c",
        "csrc/runtime/record.c",
        "csrc/runtime/region.c",
        "csrc/runtime/region_end.c",
        "csrc/runtime/report.c",
        "csrc/runtime/report_parts.c",
        "csrc/runtime/report_waiting.c",
        "csrc/runtime/runtime.c",
        "csrc/runtime/rwmutex.c",
        "csrc/runtime/scheduler.c",
        "csrc/runtime/select.c",
        "csrc/runtime/semaphore.c",
        "csrc/runtime/site.c",
        "csrc/runtime/strand.c",
        "csrc/runtime/suspension.c",
        "csrc/runtime/task.c",
        "csrc/runtime/text.c",
        "csrc/runtime/trace.c",
        "csrc/runtime/unclaimed.c",
        "csrc/runtime/value_text.c",
        "csrc/runtime/waitgroup.c",
        "csrc/runtime/waitlist.c",
      },
      incdirs = { "csrc" },
    },
  },
}
