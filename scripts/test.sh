#!/bin/bash
# Runs every test against $BUILD and ends with one line: N passed, N failed.
#   TEST_WRAPPER  a command to run the programs under (valgrind ...)
#   TEST_PRELOAD  libraries that the interpreter must load first (the sanitizers' runtimes)
#   TEST_SPECS    folders of spec that busted runs; all of them if it is not set
#   TEST_HOSTILE  if set, the collector hardly pauses (spec/counting_output.lua)
set -u

passed=0
failed=0
logs=$(mktemp -d)
log=$logs/log
trap 'rm -rf "$logs"' EXIT

count() { # passed failed
  passed=$((passed + $1))
  failed=$((failed + $2))
}

# A program that runs for longer than any takes on a slow machine hangs, and has failed.
limit=(timeout --foreground -k 5 1500)

# Runs a test program whose last line is "name: N passed, N failed".
run() { # name command...
  "${limit[@]}" "${@:2}" >"$log" 2>&1
  judge "$1" $?
}

# Counts what the program has written to the log, and how it ended.
judge() { # name status
  local name=$1 status=$2
  # What it provokes is reported on stderr, which is worth reading only when it fails.
  if [ "$status" -eq 0 ]; then tail -n 1 "$log"; else cat "$log"; fi
  local numbers
  numbers=$(sed -nE "s/^$name: ([0-9]+) passed, ([0-9]+) failed\$/\1 \2/p" "$log" | tail -n 1)
  if [ -z "$numbers" ]; then
    echo "$name: ended with status $status and no result"
    count 0 1
    return
  fi
  # shellcheck disable=SC2086
  count $numbers
  [ "$status" -eq 0 ] || [ "${numbers#* }" != 0 ] || { echo "$name: status $status"; count 0 1; }
}

# Runs Lua with the module under test.
run_lua() {
  if [ -n "${TEST_PRELOAD:-}" ]; then
    "${limit[@]}" env LD_PRELOAD="$TEST_PRELOAD" ASAN_OPTIONS=detect_leaks=0 ${TEST_WRAPPER:-} "$LUA" "$@"
  else
    "${limit[@]}" ${TEST_WRAPPER:-} "$LUA" "$@"
  fi
}

# luaunit has a summary of its own.
run_luaunit() {
  run_lua spec/embedded/luaunit_host.lua >"$log" 2>&1
  local status=$?
  local total failures errors
  total=$(sed -nE 's/^Ran ([0-9]+) tests.*$/\1/p' "$log" | tail -n 1)
  failures=$(sed -nE 's/^.* ([0-9]+) failures?.*$/\1/p' "$log" | tail -n 1)
  errors=$(sed -nE 's/^.* ([0-9]+) errors?.*$/\1/p' "$log" | tail -n 1)
  if [ -z "$total" ]; then
    cat "$log"
    echo "luaunit: ended with status $status and no result"
    count 0 1
    return
  fi
  failures=$((${failures:-0} + ${errors:-0}))
  [ "$failures" -eq 0 ] && [ $status -eq 0 ] || { cat "$log"; [ "$failures" -gt 0 ] || failures=1; }
  echo "luaunit: $((total - failures)) passed, $failures failed"
  count $((total - failures)) "$failures"
}

# The specs in two shares at the same time, a file here and a file there: half of them only wait for processes.
# shellcheck disable=SC2086 # several folders
specs=$(find ${TEST_SPECS:-spec} -name '*_spec.lua' | sort)
start_share() { # number
  local files
  files=$(awk "NR % 2 == $1" <<<"$specs")
  if [ -z "$files" ]; then # busted without a file runs all there are
    echo "busted: 0 passed, 0 failed" >"$logs/share$1" &
    return
  fi
  # It would start a second interpreter, which no wrapper sees.
  # shellcheck disable=SC2086 # several files
  run_lua "$(command -v busted)" --ignore-lua --output=spec/counting_output.lua $files >"$logs/share$1" 2>&1 &
}
start_share 0
share0=$!
start_share 1
share1=$!

# The guest under the Luas that have it: the spec files of spec/guest/shared.txt. 5.4 has it for comparison with C.
start_guest() { # interpreter
  local files
  files=$(grep -v '^#' spec/guest/shared.txt | grep -v -- " -$1\b" | cut -d' ' -f1)
  # shellcheck disable=SC2086 # several files
  COROPANIC_GUEST=1 LUA=$1 "${limit[@]}" "$1" "$(command -v busted)" --ignore-lua --helper=spec/guest/prelude.lua \
    --output=spec/counting_output.lua $files >"$logs/$1" 2>&1 &
}

# A wrapper or the sanitizers' runtimes are for the C module alone.
guests="luajit lua5.1 lua5.3 lua5.4"
[ -z "${TEST_WRAPPER:-}${TEST_PRELOAD:-}${TEST_HOSTILE:-}${TEST_SPECS:-}" ] || guests=""

run core ${TEST_WRAPPER:-} "$BUILD/core_spec"
run core ${TEST_WRAPPER:-} "$BUILD/core_poll_spec"
run ids ${TEST_WRAPPER:-} "$BUILD/ids" 1000000
run memory ${TEST_WRAPPER:-} "$BUILD/memory_spec" "${TEST_MEMORY_STRIDE:-1}"
run spans ${TEST_WRAPPER:-} "$BUILD/span_spec"
run sinks ${TEST_WRAPPER:-} "$BUILD/sink_spec"
run backend ${TEST_WRAPPER:-} "$BUILD/backend_spec"
run api ${TEST_WRAPPER:-} "$BUILD/api_spec"
run gateway ${TEST_WRAPPER:-} "$BUILD/gateway_spec"
run mesh ${TEST_WRAPPER:-} "$BUILD/mesh_spec"
run_luaunit
for share in 0 1; do
  if [ $share -eq 0 ]; then wait $share0; else wait $share1; fi
  status=$?
  log=$logs/share$share
  judge busted $status
done

declare -A pids
for guest in $guests; do
  start_guest "$guest"
  pids[$guest]=$!
done
for guest in $guests; do
  wait "${pids[$guest]}"
  status=$?
  log=$logs/$guest
  sed -i "s/^busted: /guest $guest: /" "$log"
  judge "guest $guest" $status
done

echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
