#!/bin/sh
# Installs what is missing for tests, linters and the demo on Debian; does nothing where all is there.
set -eu

packages="
  make gcc libc6-dev binutils
  lua5.4 liblua5.4-dev
  lua-busted lua-unit lua-luv lua-cjson lua-check luarocks
  lua-socket lua-redis lua-logging redis-server lua-cqueues
  python3-jsonschema
  curl valgrind libc6-dbg clang clang-format clang-tidy cppcheck
"

missing=""
for package in $packages; do
  dpkg-query -W -f='${Status}' "$package" 2>/dev/null | grep -q 'install ok installed' ||
    missing="$missing $package"
done
[ -z "$missing" ] && exit 0

if ! command -v apt-get >/dev/null; then
  echo "setup: please install:$missing" >&2
  exit 1
fi
sudo=""
[ "$(id -u)" -eq 0 ] || sudo="sudo"
echo "setup: installing$missing"
log=$(mktemp)
trap 'rm -f "$log"' EXIT
if ! { $sudo apt-get update -qq && DEBIAN_FRONTEND=noninteractive $sudo apt-get install -y -qq --no-install-recommends $missing; } >"$log" 2>&1; then
  cat "$log" >&2
  exit 1
fi
