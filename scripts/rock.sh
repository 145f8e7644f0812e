#!/bin/bash
# Makes the rock in a clean copy of this checkout, for specs: build/rock/checkout, installed in build/rock/tree;
# and from there packed, and installed from the pack in build/rock/unpacked. The guest's rock: build/rock/guest.
# As luarocks makes it, with its own flags; only optimisation, which takes time, is off.
set -euo pipefail
cd "$(dirname "$0")/.."
rock=build/rock
version=${LUA_VERSION:-5.4}

rm -rf $rock
mkdir -p $rock/checkout
cp -r .gitignore LICENSE Makefile README.md bin csrc docs lua scripts ./*.rockspec $rock/checkout
cd $rock/checkout
# A repository of its own: git tells whether luarocks leaves something behind.
git init --quiet .
git add --all
git -c user.name=rock -c user.email=rock@localhost commit --quiet --message "The checkout"
quietly() { # command...
  "$@" >>../log 2>&1 || {
    cat ../log >&2
    exit 1
  }
}
rocks() { quietly luarocks --lua-version "$version" --tree "$@"; } # tree arguments...
rocks ../tree make coropanic-scm-1.rockspec CFLAGS="-O0 -fPIC"
# The variables of the make that runs this are not meant for the rock's.
(unset MAKEFLAGS MFLAGS MAKELEVEL BUILD LDFLAGS
  quietly luarocks --lua-version 5.1 --tree ../guest make ./csrc/corelib/coropanic-guest-scm-1.rockspec CFLAGS="-O0 -fPIC")
mkdir ../pack
cd ../pack
rocks ../tree pack coropanic
rocks ../unpacked install ./*.rock
touch ../made
