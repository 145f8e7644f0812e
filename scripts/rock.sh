#!/bin/bash
# Makes the rock in a clean copy of this checkout, for specs: build/rock/checkout, installed in build/rock/tree.
# As luarocks makes it, with its own flags; only optimisation, which takes time, is off.
set -euo pipefail
cd "$(dirname "$0")/.."
rock=build/rock
version=${LUA_VERSION:-5.4}

rm -rf $rock
mkdir -p $rock/checkout
cp -r .gitignore LICENSE README.md bin csrc docs lua ./*.rockspec $rock/checkout
cd $rock/checkout
# A repository of its own: git tells whether luarocks leaves something behind.
git init --quiet .
git add --all
git -c user.name=rock -c user.email=rock@localhost commit --quiet --message "The checkout"
luarocks --lua-version "$version" --tree ../tree make coropanic-scm-1.rockspec CFLAGS="-O0 -fPIC" >../log 2>&1 || {
  cat ../log >&2
  exit 1
}
touch ../made
