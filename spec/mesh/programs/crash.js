// Crashes in the way that its argument names.
class Repo {
  load(text) { return JSON.parse(text); }

  async find(text) {
    await null;
    return this.load(text);
  }
}

function cause() {
  try {
    new Repo().load("{x");
  } catch (error) {
    throw Object.assign(new TypeError("no order\nof that name", { cause: error }), { code: "E_ORDER" });
  }
}

const crashes = {
  parse: () => new Repo().load("{x"),
  cause,
  aggregate() { throw new AggregateError([new Error("a"), new RangeError("b")], "all failed"); },
  rejected: () => new Repo().find("{x"),
  missing: () => new Repo().store(),
  text: () => eval("missing()"),
  builtin: () => [1].map(() => null.x),
  code() { require("node:fs").readFileSync(7777); },
  endless() { crashes.endless(); },
};

if (process.env.PRINT) {
  process.on("uncaughtException", (error) => {
    console.error(error.stack);
    process.exitCode = 1;
  });
}

crashes[process.argv[2]]();
