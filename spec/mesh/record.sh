#!/bin/bash
# Builds the programs of spec/mesh/programs, lets each crash in each of its ways, and keeps what they print:
#   record.sh FOLDER      FOLDER/<language>-<way>.txt
# Debian's own toolchains come first, whatever else the machine has.
set -euo pipefail
programs=$(cd "$(dirname "$0")/programs" && pwd)
mkdir -p "$1"
folder=$(cd "$1" && pwd)
PATH=/usr/bin:$PATH
cd "$folder"

# The crash must be one: a program that ends well is a failure of this script.
record() { # name command...
  local status=0
  timeout 60 "${@:2}" >"$folder/$1.txt" 2>&1 </dev/null || status=$?
  [ "$status" -ne 124 ] || { echo "record: $1 has not ended" >&2; exit 1; }
  [ "$status" -ne 0 ] || case $1 in *-serve | jvm-thread | rust-thread*) ;; *)
    echo "record: $1 has not crashed" >&2
    exit 1 ;;
  esac
  [ -s "$folder/$1.txt" ] || { echo "record: $1 has printed nothing" >&2; exit 1; }
}

mkdir -p programs
cp "$programs"/* programs
(cd programs && GO111MODULE=off GOCACHE=$folder/programs/cache go build -o crash-go crash.go)
(cd programs && GO111MODULE=off GOCACHE=$folder/programs/cache go build -o serve-go serve.go)
(cd programs && rustc -g --edition 2021 -o crash-rust crash.rs)
(cd programs && javac Crash.java)

for way in error index nil map divide closed assert generic deadlock again stack endless task; do
  record go-$way programs/crash-go $way
done
record go-serve programs/serve-go
PRINT=1 record go-stack-printed programs/crash-go stack
for way in index cause context group group_of_raised endless text syntax; do
  record python-$way python3 programs/crash.py $way
done
PRINT=1 record node-cause-printed node programs/crash.js cause
for way in parse cause aggregate rejected missing text builtin code endless; do
  record node-$way node programs/crash.js $way
done
for way in null cause lambda endless thread reflection assert; do
  record jvm-$way java -cp programs Crash $way
done
for way in index none err message assert divide borrow thread; do
  RUST_BACKTRACE=0 record rust-$way programs/crash-rust $way
  RUST_BACKTRACE=1 record rust-$way-short programs/crash-rust $way
  RUST_BACKTRACE=full record rust-$way-full programs/crash-rust $way
done
