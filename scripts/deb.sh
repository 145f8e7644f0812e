#!/bin/bash
# Builds what a release is installed from, in a clean directory, from the tarball of `make dist`; build/dist gets
# the packages:
#   the Debian packages, which lintian must find nothing wrong with. What they contain is unpacked into a root of
#   its own, and debian/tests/smoke runs with it.
#   the rock, which is packed, and installed from the pack.
set -euo pipefail
cd "$(dirname "$0")/.."
here=$PWD
name=coropanic-$VERSION
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
# The variables of the make that runs this are not meant for those that it starts.
unset MAKEFLAGS MFLAGS MAKEOVERRIDES MAKELEVEL LUA_PATH LUA_CPATH

quietly() { # command...
  "$@" >"$work/log" 2>&1 || { tail -n 60 "$work/log" >&2; echo "deb: $1 failed" >&2; exit 1; }
}

cp "build/dist/$name.tar.gz" "$work/coropanic_$VERSION.orig.tar.gz"
tar -xzf "build/dist/$name.tar.gz" -C "$work"
cp -a "$work/$name" "$work/rock"
git archive HEAD debian | tar -x -C "$work/$name"

cd "$work/$name"
quietly dpkg-buildpackage --unsigned-source --unsigned-changes --unsigned-buildinfo
cd "$work"
lintian --allow-root --fail-on error,warning ./*.changes
for package in *.deb; do dpkg -x "$package" root; done
sh "$name/debian/tests/smoke" "$work/root"
cp ./*.deb ./*.dsc ./*.debian.tar.* ./*.orig.tar.gz ./*.changes ./*.buildinfo "$here/build/dist"
echo "deb: $(printf '%s ' ./*.deb)"

cd "$work/rock"
quietly luarocks --lua-version 5.4 --tree "$work/made" make "coropanic-$VERSION-1.rockspec" CFLAGS="-O0 -fPIC"
quietly luarocks --lua-version 5.4 --tree "$work/made" pack coropanic
quietly luarocks --lua-version 5.4 --tree "$work/installed" install ./*.rock
mv "$work/made" "$work/gone"
said=$(cd / && "$work/installed/bin/coropanic" version)
[ "$said" = "coropanic $VERSION, Lua 5.4" ] || { echo "deb: the rock's command says: $said" >&2; exit 1; }
cp ./*.rock "$here/build/dist"
echo "deb: $(printf '%s ' ./*.rock)"
