#!/bin/sh
# Installs on Debian the packages that a target needs: `setup.sh demo`, `setup.sh test valgrind`.
# It does nothing where all of them are installed. SETUP=no keeps it from looking: then you have brought the
# programs and libraries from elsewhere.
set -eu
cd "$(dirname "$0")/.."

packages_of() { # group
  case $1 in
    build) echo "make gcc libc6-dev liblua5.4-dev" ;;
    demo)
      packages_of build
      echo "lua5.4 lua-luv lua-cjson lua-dkjson lua-socket lua-redis redis-server curl"
      ;;
    test)
      packages_of demo
      packages_of hosts
      echo "lua-sec openssl lua-busted lua-unit lua-logging lua-cqueues lua-copas luarocks git python3-jsonschema"
      echo "pkg-config libprotobuf-c-dev protobuf-c-compiler"
      # The Luas of the guest.
      echo "lua5.1 liblua5.1-0-dev lua5.3" # and the headers for the rock of one of them
      echo "prometheus python3-prometheus-client" # what reads our metrics
      echo "golang-go" # `go tool pprof` reads our profiles
      echo "lua-check" # coropanic lint has its parser
      echo "g++" # the header of the C API is included by C++ too
      echo "golang-go" # go tool trace reads what coropanic trace writes
      ;;
    # Services in four languages behind nginx.
    demo-mesh)
      packages_of demo
      echo "nginx libnginx-mod-http-lua golang-go python3 default-jdk-headless"
      command -v node >/dev/null || echo "nodejs"
      ;;
    # Programs of other people in which the module runs.
    hosts)
      packages_of demo
      echo "lua-busted prosody lighttpd lighttpd-modules-lua gnuplot-nox neomutt darktable pkg-config libsdl2-dev libsdl2-gfx-dev"
      echo "nginx libnginx-mod-http-lua"
      echo "haproxy love neovim xauth xvfb"
      # Debian has two LuaJITs, which exclude each other.
      command -v luajit >/dev/null || echo "luajit2"
      # Services that crash behind nginx and HAProxy, and the headers for HAProxy's module.
      echo "golang-go python3 liblua5.3-dev"
      command -v node >/dev/null || echo "nodejs"
      ;;
    # The Trace Explorer's page, and the browser that tests it.
    page)
      packages_of demo
      echo "chromium"
      echo "golang-1.19-src" # has Catapult, which reads recordings as chrome://tracing does
      command -v node >/dev/null || echo "nodejs"
      command -v npm >/dev/null || echo "npm"
      ;;
    # What trains the statistical predictor that docs/prediction.md judges.
    forecast)
      packages_of build
      echo "lua5.4 python3 python3-numpy python3-xgboost"
      ;;
    # The filter for proxies that run WebAssembly.
    mesh)
      packages_of build
      echo "clang lld wasi-libc libclang-rt-dev-wasm32 libclang-rt-dev"
      ;;
    # What crashes for the mesh's tests, and what reads the filter.
    test-mesh)
      packages_of mesh
      echo "golang-go default-jdk-headless rustc python3 wabt"
      command -v node >/dev/null || echo "nodejs"
      ;;
    rock) echo "luarocks" ;;
    clang) echo "clang" ;;
    lint)
      packages_of build
      echo "pkg-config libprotobuf-c-dev protobuf-c-compiler clang-format clang-tidy cppcheck lua-check mandoc"
      ;;
    format) echo "clang-format" ;;
    valgrind)
      packages_of test
      echo "valgrind libc6-dbg"
      ;;
    guard)
      packages_of demo
      echo "valgrind"
      ;;
    deb)
      packages_of build
      echo "build-essential lua5.4 luarocks git pkg-config debhelper dpkg-dev lintian"
      ;;
    bare) echo "debootstrap git" ;;
    *)
      echo "setup: no such group: $1" >&2
      exit 2
      ;;
  esac
}

[ "${SETUP:-yes}" != no ] || exit 0
for group in "$@"; do packages_of "$group" >/dev/null; done
wanted=$(for group in "$@"; do packages_of "$group"; done | tr ' ' '\n' | sort -u)

# Only one at a time: `make -j2 demo test` starts two.
mkdir -p build
exec 9>build/setup.lock
! command -v flock >/dev/null || flock 9

log=$(mktemp)
trap 'rm -f "$log"' EXIT

missing_of() { # packages...
  for package in "$@"; do
    dpkg-query -W -f='${Status}' "$package" 2>/dev/null | grep -q 'install ok installed' || echo "$package"
  done
}

give_up() { # reason packages...
  reason=$1
  shift
  [ ! -s "$log" ] || tail -n 20 "$log" >&2
  {
    echo "setup: $reason. Not installed:" "$@"
    echo "setup: install them with: sudo apt-get update && sudo apt-get install --no-install-recommends" "$@"
    echo "setup: or, if you have them from elsewhere, run make with SETUP=no"
  } >&2
  exit 1
}

install_packages() { # packages...
  # shellcheck disable=SC2046 # names of packages have no blanks
  set -- $(missing_of "$@")
  [ $# -gt 0 ] || return 0
  command -v apt-get >/dev/null || give_up "this machine has no apt-get" "$@"
  sudo=""
  if [ "$(id -u)" -ne 0 ]; then
    sudo=sudo
    command -v sudo >/dev/null || give_up "only root can install packages, and there is no sudo" "$@"
  fi
  echo "setup: installing" "$@"
  # A source that can not be reached matters only if a package is missing for it.
  $sudo apt-get update -qq >"$log" 2>&1 || true
  $sudo env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends \
    -o DPkg::Lock::Timeout=600 "$@" >>"$log" 2>&1 || {
    # shellcheck disable=SC2046
    give_up "apt-get failed" $(missing_of "$@")
  }
}

# The official definitions of OTLP's messages, for the collector that the specs export to.
install_receiver() {
  definitions=spec/export/package.json
  node=build/node
  ! cmp -s $definitions $node/installed.json || return 0
  # Node.js comes from elsewhere on many machines, and some of its packages have npm inside.
  command -v node >/dev/null || install_packages nodejs
  command -v npm >/dev/null || install_packages npm
  echo "setup: installing what $definitions names"
  rm -rf $node
  mkdir -p $node
  cp $definitions $node/package.json
  npm install --prefix $node --no-package-lock --ignore-scripts --omit=optional --no-audit --no-fund >"$log" 2>&1 || {
    tail -n 20 "$log" >&2
    echo "setup: npm failed. Try: npm install --prefix $node --no-package-lock --ignore-scripts" >&2
    exit 1
  }
  cp $definitions $node/installed.json
}

# shellcheck disable=SC2086
install_packages $wanted
case " $* " in *" test "* | *" valgrind "*) install_receiver ;; esac
