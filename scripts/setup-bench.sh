#!/bin/sh
# Installs whom the benchmark compares with, on Debian, each by itself: who can not be had is said to be missing,
# and the benchmark goes on without.
set -u

packages="lua-cqueues lua-luv lua-http luajit2 tarantool golang-go wrk gnuplot-nox git"

installed() {
  dpkg-query -W -f='${Status}' "$1" 2>/dev/null | grep -q 'install ok installed'
}

absent=""
for package in $packages; do
  installed "$package" || absent="$absent $package"
done
[ -z "$absent" ] && exit 0

if ! command -v apt-get >/dev/null; then
  echo "setup-bench: not looked for, since there is no apt-get:$absent" >&2
  exit 0
fi
sudo=""
[ "$(id -u)" -eq 0 ] || sudo="sudo"
$sudo apt-get update -qq >/dev/null 2>&1
for package in $absent; do
  echo "setup-bench: installing $package"
  DEBIAN_FRONTEND=noninteractive $sudo apt-get install -y -qq --no-install-recommends "$package" >/dev/null 2>&1 ||
    echo "setup-bench: missing: $package" >&2
done
exit 0
