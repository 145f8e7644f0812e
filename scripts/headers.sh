#!/bin/sh
# Says which Debian packages hold what compiling needs and this machine has not: compiler, C library's headers,
# Lua's headers. Called by make, with CC, LUA_INCDIR and LUA_VERSION.
set -u

finds() { # header
  # shellcheck disable=SC2086 # CC may have options
  echo "#include <$1>" | $CC ${LUA_INCDIR:+-isystem "$LUA_INCDIR"} -E - >/dev/null 2>&1
}

missing=""
program=${CC%% *}
if ! command -v "$program" >/dev/null; then
  echo "coropanic needs a C compiler: there is no $program" >&2
  missing="gcc libc6-dev"
elif ! finds unistd.h; then
  echo "coropanic needs the headers of the C library: $program finds no unistd.h" >&2
  missing="libc6-dev"
fi
if [ -z "$LUA_INCDIR" ] || ! [ -e "$LUA_INCDIR/lua.h" ]; then
  echo "coropanic needs the headers of Lua $LUA_VERSION: there is no lua.h in ${LUA_INCDIR:-the usual places}" >&2
  missing="$missing liblua$LUA_VERSION-dev"
fi
[ -n "$missing" ] || exit 0
{
  echo "Install them, on Debian: sudo apt-get install --no-install-recommends" $missing
  echo "or say where lua.h is:   make LUA_INCDIR=/the/directory"
} >&2
exit 1
