#!/bin/sh
# Installs what is missing for tests, linters and the demo on Debian; does nothing where all is there.
set -eu

packages="
  make gcc libc6-dev binutils
  lua5.4 liblua5.4-dev
  lua-busted lua-unit lua-luv lua-cjson lua-dkjson lua-check luarocks
  lua-socket lua-redis lua-logging redis-server lua-cqueues
  python3-jsonschema
  pkg-config libprotobuf-c-dev protobuf-c-compiler
  curl valgrind libc6-dbg clang clang-format clang-tidy cppcheck
"

# Node.js comes from elsewhere on many machines.
command -v npm >/dev/null || packages="$packages nodejs npm"

missing=""
for package in $packages; do
  dpkg-query -W -f='${Status}' "$package" 2>/dev/null | grep -q 'install ok installed' ||
    missing="$missing $package"
done

log=$(mktemp)
trap 'rm -f "$log"' EXIT
quietly() {
  "$@" >"$log" 2>&1 || {
    cat "$log" >&2
    exit 1
  }
}

if [ -n "$missing" ]; then
  if ! command -v apt-get >/dev/null; then
    echo "setup: please install:$missing" >&2
    exit 1
  fi
  sudo=""
  [ "$(id -u)" -eq 0 ] || sudo="sudo"
  echo "setup: installing$missing"
  quietly $sudo apt-get update -qq
  quietly $sudo env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $missing
fi

# The official definitions of OTLP's messages, for the collector that the specs export to.
wanted=spec/export/package.json
node=build/node
if ! cmp -s $wanted $node/installed.json; then
  echo "setup: installing what $wanted names"
  rm -rf $node
  mkdir -p $node
  cp $wanted $node/package.json
  quietly npm install --prefix $node --no-package-lock --ignore-scripts --omit=optional --no-audit --no-fund
  cp $wanted $node/installed.json
fi
