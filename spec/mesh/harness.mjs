// Tests whose last line is "name: N passed, N failed", as scripts/test.sh wants it.
import { isDeepStrictEqual, inspect } from "node:util";

let passed = 0, failed = 0;

export async function test(name, fn) {
  try {
    await fn();
    passed++;
  } catch (error) {
    failed++;
    console.log(`FAILED ${name}: ${error.stack}`);
  }
}

export function equal(actual, expected, what = "value") {
  if (isDeepStrictEqual(actual, expected)) return;
  throw new Error(`${what}: got ${inspect(actual, { depth: 9 })}, expected ${inspect(expected, { depth: 9 })}`);
}

export function finish(name) {
  console.log(`${name}: ${passed} passed, ${failed} failed`);
  process.exitCode = failed > 0 || passed === 0 ? 1 : 0;
}
