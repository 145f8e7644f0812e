#!/bin/bash
# What `make test-mesh` runs against $BUILD: the specs in C, real crashes of five languages, the filter in a strict host.
# Ends with one line: N passed, N failed.
#   FUZZ_RUNS  how often each of libFuzzer's targets runs
set -u
here=$(dirname "$0")
mesh=$BUILD/mesh
filter=$mesh/coropanic-filter.wasm native=$BUILD/mesh_native
passed=0 failed=0
log=$(mktemp)
trap 'rm -f "$log"' EXIT

run() { # name command...
  timeout --foreground -k 5 1200 "${@:2}" >"$log" 2>&1
  local status=$? numbers
  if [ $status -eq 0 ]; then grep -E "^[a-z_]+: " "$log"; else cat "$log"; fi
  numbers=$(sed -nE "s/^$1: ([0-9]+) passed, ([0-9]+) failed\$/\1 \2/p" "$log" | tail -n 1)
  [ -n "$numbers" ] || { echo "$1: ended with status $status and no result"; numbers="0 1"; }
  [ $status -eq 0 ] || [ "${numbers#* }" != 0 ] || numbers="${numbers% *} 1"
  passed=$((passed + ${numbers% *}))
  failed=$((failed + ${numbers#* }))
}

run mesh "$BUILD/mesh_spec"
rm -rf "$mesh/crashes"
"$here/record.sh" "$mesh/crashes" || { echo "0 passed, 1 failed"; exit 1; }
run module node "$here/module_test.mjs" "$filter"
run filter node "$here/filter_test.mjs" "$filter"
run crashes node "$here/crashes_test.mjs" "$filter" "$native" "$mesh/crashes"
run mutated node "$here/mutated_test.mjs" "$filter" "$native" "$mesh/crashes"
run fuzz "$here/fuzz.sh" "$mesh/fuzz" "${FUZZ_RUNS:-20000}"
"$BUILD/mesh_cost" "$mesh"/crashes/*-{cause,index,short}.txt

echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
