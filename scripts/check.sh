#!/bin/bash
# Runs the linters; fails when one has something to say.
set -u
cd "$(dirname "$0")/.."
status=0
include=${LUA_INCDIR:-/usr/include/lua5.4}
# Tidiness is looked at where the compiler finds everything: what protoc-c writes is made first.
make --no-print-directory protobuf >/dev/null || exit 1
mapfile -t sources < <(ls csrc/*/*.c mesh/*.c | grep -v mesh/filter.c) # that one is for another machine
mapfile -t formatted < <(find bench csrc examples mesh spec -name '*.[ch]')

echo "clang-format"
clang-format --dry-run --Werror "${formatted[@]}" || status=1

echo "clang-tidy"
# A process for each file: the analyzer of clang 14 takes one function for another when it goes on to
# a second file, because it keeps the addresses of the first file's names.
tidied=$(printf '%s\0' "${sources[@]}" | xargs -0 -P "$(nproc)" -I '{}' \
  clang-tidy --quiet '{}' -- -std=c11 -I. -Icsrc -isystem "$include" -isystem build/otlp 2>&1) || status=1
grep -vE '^[0-9]+ warnings? (generated|treated)|^Suppressed|^Use -header-filter' <<<"$tidied"

# HAProxy's module is for Lua 5.3, whose headers not everybody has.
if [ -e /usr/include/lua5.3/lua.h ]; then
  clang-tidy --quiet mesh/haproxy/binding.c -- -std=c11 -I. -Icsrc -isystem /usr/include/lua5.3 2>/dev/null || status=1
fi

echo "cppcheck"
cppcheck --quiet --std=c11 --error-exitcode=1 --enable=warning,performance,portability \
  --inline-suppr --suppress=missingIncludeSystem -I. -Icsrc csrc mesh || status=1

echo "arrows"
lua${LUA_VERSION:-5.4} scripts/arrows.lua || status=1

echo "luacheck"
luacheck --quiet bin/coropanic lua mesh spec examples bench tools || status=1

echo "coropanic lint"
LUA_PATH="lua/?.lua;lua/?/init.lua;;" lua${LUA_VERSION:-5.4} bin/coropanic lint lua examples || status=1

echo "mandoc"
mandoc -T lint -W warning docs/*.1 || status=1

if command -v gofmt >/dev/null; then
  echo "gofmt, go vet"
  unformatted=$(gofmt -l bench)
  [ -z "$unformatted" ] || { echo "$unformatted"; status=1; }
  (cd bench/peers/go && go vet .) || status=1
fi

exit $status
