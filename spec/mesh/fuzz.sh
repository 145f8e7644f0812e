#!/bin/bash
# Runs libFuzzer's targets of spec/mesh/fuzz.c under AddressSanitizer and UBSan; ends with `fuzz: N passed, N failed`.
#   fuzz.sh FOLDER RUNS    builds in FOLDER; each target runs so often
# What crashes were recorded in FOLDER/../crashes is where it begins.
set -u
folder=$1 runs=$2
here=$(dirname "$0")
mkdir -p "$folder/seeds"
cp "$folder"/../crashes/*.txt "$folder/seeds" 2>/dev/null
printf '{"services": {"a": "go"}, "statuses": ["5xx", 404], "expose": "both", "body": "keep"}' >"$folder/seeds/config"
printf '{"contract": "coropanic/1", "error_code": "E", "stack_hash": "60fe2d18ca64fedb", "hop": 1}' >"$folder/seeds/record"
printf '{"type": "https://a/b", "title": "t\\u00e9", "detail": "d"}' >"$folder/seeds/problem"

flags=(-std=c11 -O1 -g -I. -Icsrc -fsanitize=address,undefined -fno-sanitize-recover=all -DCP_HOSTILE)
objects=()
for source in $(ls mesh/*.c | grep -v mesh/filter.c) csrc/core/{hex,stack_hash,traceparent}.c; do
  object=$folder/$(basename "$source" .c).o
  objects+=("$object")
  clang "${flags[@]}" -fsanitize=fuzzer-no-link -c -o "$object" "$source" || exit 1
done

fuzz() { # target
  local program=$folder/$1
  clang "${flags[@]}" -fsanitize=fuzzer -DTARGET="$1" -o "$program" "$here/fuzz.c" "${objects[@]}" || return 1
  mkdir -p "$folder/corpus-$1"
  "$program" -runs="$runs" -max_len=2048 -seed=1 -timeout=10 -artifact_prefix="$folder/$1-" \
    "$folder/corpus-$1" "$folder/seeds" >"$program.log" 2>&1 || { tail -n 40 "$program.log"; return 1; }
  grep '^Done' "$program.log" | sed "s/^/$1: /"
}

passed=0 failed=0
for target in fuzz_go_parse fuzz_jvm_parse fuzz_python_parse fuzz_rust_parse fuzz_node_parse fuzz_config fuzz_normalise; do
  if fuzz "$target"; then passed=$((passed + 1)); else failed=$((failed + 1)); fi
done
echo "fuzz: $passed passed, $failed failed"
[ "$failed" -eq 0 ]
