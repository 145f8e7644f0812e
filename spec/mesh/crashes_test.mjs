// What real programs print when they crash, as spec/mesh/record.sh has recorded it here: each text becomes the record
// that its program's source tells, natively and in the filter.
//   node crashes_test.mjs FILTER.wasm NATIVE FOLDER
import { readFileSync, readdirSync } from "node:fs";
import { equal, finish, test } from "./harness.mjs";
import { both } from "./both.mjs";

const [wasm, native, folder] = process.argv.slice(2);
const names = readdirSync(folder).filter((name) => name.endsWith(".txt")).map((name) => name.slice(0, -4)).sort();
const texts = Object.fromEntries(names.map((name) => [name, readFileSync(`${folder}/${name}.txt`)]));
const results = await both(wasm, native, names.map((name) => texts[name]));
const recordOf = (name) => JSON.parse(results[names.indexOf(name)].wasm);
const seen = new Set();

await test("the filter and the library make the same records", () => {
  for (const [i, name] of names.entries()) equal(results[i].wasm, results[i].native, name);
});

const functions = (record) => (record.frames ?? []).map((frame) => `${frame.name ?? "?"} ${frame.source}:${frame.line ?? 0}`);

// The record's code, and its first frames.
async function crash(name, code, ...frames) {
  seen.add(name);
  await test(name, () => {
    const record = recordOf(name);
    equal(record.error_code, code, "code");
    equal(functions(record).slice(0, frames.length).map((text) => text.replace(/:\d+$/, "")), frames, "frames");
  });
}

await crash("go-error", "mesh.go.panic", "glob..func1 crash.go", "main crash.go");
await crash("go-index", "mesh.go.index_out_of_range", "load crash.go", "index crash.go", "main crash.go");
await crash("go-nil", "mesh.go.nil_dereference", "glob..func2 crash.go", "main crash.go");
await crash("go-map", "mesh.go.nil_map", "glob..func3 crash.go", "main crash.go");
await crash("go-divide", "mesh.go.divide_by_zero", "glob..func4 crash.go", "main crash.go");
await crash("go-closed", "mesh.go.closed_channel", "glob..func5 crash.go", "main crash.go");
await crash("go-assert", "mesh.go.type_assertion", "glob..func6 crash.go", "main crash.go");
await crash("go-generic", "mesh.go.index_out_of_range", "Top crash.go", "glob..func7 crash.go", "main crash.go");
await crash("go-deadlock", "mesh.go.deadlock", "glob..func8 crash.go", "main crash.go");
await crash("go-again", "mesh.go.panic", "again.func1 crash.go", "panic panic.go", "again crash.go", "main crash.go");
await crash("go-stack", "mesh.go.index_out_of_range", "load crash.go", "index crash.go", "guarded crash.go");
await crash("go-stack-printed", "mesh.go.panic", "load crash.go", "index crash.go", "guarded crash.go");
await crash("go-endless", "mesh.go.stack_overflow", "endless crash.go", "endless crash.go");
await crash("go-task", "mesh.go.index_out_of_range", "load crash.go", "index crash.go");
await crash("go-serve", "mesh.go.nil_map", "handle serve.go", "ServeHTTP server.go");

await crash("python-index", "mesh.python.KeyError", "load crash.py", "index crash.py", "<module> crash.py");
await crash("python-cause", "mesh.python.NoOrder", "cause crash.py", "<module> crash.py");
await crash("python-context", "mesh.python.KeyError", "load crash.py", "index crash.py", "context crash.py");
await crash("python-group", "mesh.python.ExceptionGroup", "group crash.py", "<module> crash.py");
await crash("python-group_of_raised", "mesh.python.ExceptionGroup", "group_of_raised crash.py", "<module> crash.py");
await crash("python-endless", "mesh.python.RecursionError", "endless crash.py", "endless crash.py");
await crash("python-text", "mesh.python.ZeroDivisionError", 'f [string "?"]', '<module> [string "?"]', "text crash.py");
await crash("python-syntax", "mesh.python.SyntaxError", "? page.py", "syntax crash.py", "<module> crash.py");

await crash("node-parse", "mesh.node.SyntaxError", "parse [C]", "load crash.js", "parse crash.js");
await crash("node-cause", "mesh.node.TypeError", "cause crash.js", "<anonymous> crash.js");
await crash("node-cause-printed", "mesh.node.TypeError", "cause crash.js", "<anonymous> crash.js");
await crash("node-aggregate", "mesh.node.AggregateError", "aggregate crash.js", "<anonymous> crash.js");
await crash("node-rejected", "mesh.node.SyntaxError", "parse [C]", "load crash.js", "find crash.js");
await crash("node-missing", "mesh.node.TypeError", "missing crash.js", "<anonymous> crash.js");
await crash("node-text", "mesh.node.ReferenceError", 'eval [string "?"]', "text crash.js");
await crash("node-builtin", "mesh.node.TypeError", "? crash.js", "map [C]", "builtin crash.js");
await crash("node-code", "mesh.node.Error", "tryStatSync node:fs", "readFileSync node:fs", "code crash.js");
await crash("node-endless", "mesh.node.RangeError", "endless crash.js", "endless crash.js");

await crash("jvm-null", "mesh.jvm.NullPointerException", "length Crash.java", "main Crash.java");
await crash("jvm-cause", "mesh.jvm.Crash_NoOrder", "cause Crash.java", "main Crash.java");
await crash("jvm-lambda", "mesh.jvm.NullPointerException", "length Crash.java", "lambda$main$1 Crash.java");
await crash("jvm-endless", "mesh.jvm.StackOverflowError", "endless Crash.java", "endless Crash.java");
await crash("jvm-thread", "mesh.jvm.NullPointerException", "length Crash.java", "lambda$thread$0 Crash.java", "run Thread.java");
await crash("jvm-reflection", "mesh.jvm.InvocationTargetException", "invoke0 [C]", "invoke NativeMethodAccessorImpl.java");
await crash("jvm-assert", "mesh.jvm.AssertionError", "main Crash.java");

const PANICS = {
  index: ["index_out_of_bounds", "load crash.rs", "index::{{closure}} crash.rs", "index crash.rs", "main crash.rs"],
  none: ["unwrap_none", "unwrap option.rs", "main crash.rs"],
  err: ["unwrap_err", "unwrap_failed result.rs", "unwrap result.rs", "main crash.rs"],
  message: ["panic", "main crash.rs"],
  assert: ["assertion_failed", "main crash.rs"],
  divide: ["divide_by_zero", "main crash.rs"],
  borrow: ["already_borrowed", "expect result.rs", "borrow_mut cell.rs", "main crash.rs"],
  thread: ["index_out_of_bounds", "load crash.rs", "index::{{closure}} crash.rs", "index crash.rs"],
};
// Frames of std differ from release to release: those of the program are looked for.
for (const [way, [name, ...frames]] of Object.entries(PANICS)) {
  for (const form of ["", "-short", "-full"]) seen.add(`rust-${way}${form}`);
  await test(`rust-${way}`, () => {
    const [none, short, full] = ["", "-short", "-full"].map((form) => recordOf(`rust-${way}${form}`));
    equal([none, short, full].map((record) => record.error_code), Array(3).fill(`mesh.rust.${name}`));
    equal(full.stack_hash, short.stack_hash, "the hash of the full backtrace");
    equal(functions(none).length, 1, "frames without a backtrace");
    const own = (list) => list.map((text) => text.replace(/:\d+$/, "")).filter((text) => text.endsWith(" crash.rs"));
    equal(own(functions(short)), own(frames));
  });
}

await test("each way of printing one crash has the same hash", () => {
  equal(recordOf("go-stack-printed").stack_hash, recordOf("go-stack").stack_hash, "debug.Stack()");
  equal(recordOf("node-cause-printed").stack_hash, recordOf("node-cause").stack_hash, "error.stack");
});

await test("messages may have lines", () => {
  for (const name of ["go-error", "python-cause", "node-cause", "jvm-cause"]) {
    equal(recordOf(name).message, "no order\nof that name", name);
  }
  equal(recordOf("rust-message").message, "no order\nof that name, 'a', b");
});

await test("causes, and what was replaced or suppressed, are there", () => {
  equal(recordOf("go-again").chain.map((link) => [link.error_code, link.recovered]), [["mesh.go.nil_map", true]]);
  equal(recordOf("python-cause").cause.error_code, "mesh.python.KeyError");
  equal(recordOf("python-context").chain.map((link) => link.type), ["KeyError", "NoOrder"]);
  equal(recordOf("python-group").suppressed.map((link) => link.message), ["x", "y"]);
  equal(recordOf("python-group_of_raised").suppressed.map((link) => link.type), ["KeyError", "NoOrder"]);
  equal(recordOf("node-cause").cause.error_code, "mesh.node.SyntaxError");
  equal(recordOf("node-aggregate").suppressed.map((link) => link.type), ["Error", "RangeError"]);
  equal(recordOf("jvm-cause").cause.error_code, "mesh.jvm.NullPointerException");
  equal(recordOf("jvm-cause").suppressed.map((link) => link.message), ["close"]);
  equal(recordOf("jvm-reflection").cause.cause.type, "java.lang.NullPointerException");
});

await test("no crash was recorded that nobody looks at", () => equal(names.filter((name) => !seen.has(name)), []));

finish("crashes");
