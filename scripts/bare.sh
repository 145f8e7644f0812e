#!/bin/bash
# Proves what the README promises on a bare machine: makes a Debian of its own that has nothing but gcc, libc6-dev
# and make, clones HEAD into it, and runs there `make demo` and `make test`. Prints how long each took.
#
# The Debian is this machine's release, from this machine's own package sources, with its certificates and npm
# settings. Mounts are in a namespace of this script's own and its processes in another: both end with it,
# however it ends. Needs root, and 2 GB in TMPDIR (/var/tmp).
set -euo pipefail
cd "$(dirname "$0")/.."

if [ "$(id -u)" -ne 0 ]; then
  echo "make bare needs root, for chroot and mounts: sudo make bare" >&2
  exit 1
fi
if [ -z "${BARE_ROOT:-}" ]; then
  BARE_ROOT=$(mktemp -d "${TMPDIR:-/var/tmp}/coropanic-bare.XXXXXX")
  export BARE_ROOT
  inner=
  clean_up() {
    local status=$? tries
    trap - EXIT
    [ -z "$inner" ] || kill -KILL "$inner" 2>/dev/null || true
    wait || true
    # What ends with the namespace may still be ending.
    for tries in 1 2 3 4 5; do
      rm -rf --one-file-system "$BARE_ROOT" 2>/dev/null && break
      sleep 1
    done
    exit "$status"
  }
  trap clean_up EXIT
  trap 'exit 129' HUP
  trap 'exit 130' INT
  trap 'exit 143' TERM
  setpriv --pdeathsig KILL unshare --mount --propagation private --pid --fork --kill-child "$0" &
  inner=$!
  wait "$inner"
  exit
fi

root=$BARE_ROOT/debian
# shellcheck disable=SC1091
release=$(. /etc/os-release && echo "${VERSION_CODENAME:-}")
[ -n "$release" ] || { echo "bare: /etc/os-release names no release of Debian" >&2; exit 1; }

# Where apt has this release's packages from.
mirror=$(apt-get indextargets --format '$(RELEASE) $(COMPONENT) $(REPO_URI)' 'Created-By: Packages' |
  awk -v release="$release" '$1 == release && $2 == "main" && !found++ { print $3 }')
[ -n "$mirror" ] || { echo "bare: apt's sources on this machine have no $release main" >&2; exit 1; }

# apt may have a proxy that only it knows.
apt_proxy=
eval "$(apt-config shell apt_proxy Acquire::http::Proxy)"
[ -z "$apt_proxy" ] || [ "$apt_proxy" = DIRECT ] || export http_proxy="${http_proxy:-$apt_proxy}"

started=$SECONDS
echo "bare: making a Debian $release with gcc, libc6-dev and make"
debootstrap --variant=minbase --include=gcc,libc6-dev,make "$release" "$root" "$mirror" >"$BARE_ROOT/log" 2>&1 || {
  tail -n 20 "$BARE_ROOT/log" >&2
  echo "bare: debootstrap failed" >&2
  exit 1
}

# What this machine knows about getting packages: sources, keys, certificates, npm's settings, names of hosts.
copy() {
  local path
  for path in "$@"; do
    [ -e "$path" ] || continue
    mkdir -p "$root$(dirname "$path")"
    cp -aL "$path" "$root$(dirname "$path")/"
  done
}
rm -rf "$root/etc/apt"
copy /etc/apt /usr/share/keyrings /etc/ssl/certs /usr/local/share/ca-certificates /etc/npmrc /root/.npmrc \
  /etc/resolv.conf /etc/hosts
kept=()
while IFS= read -r -d '' setting; do
  case ${setting%%=*} in
    npm_config_* | NPM_CONFIG_* | *_proxy | *_PROXY | *_CERT* | *_CA_* | *_CAINFO)
      kept+=("$setting")
      value=${setting#*=}
      if [[ $value == /* && (-f $value || $value == */certs) ]]; then copy "$value"; fi
      ;;
  esac
done < <(env -0)
# Certificates that npm's settings name.
while IFS= read -r path; do copy "$path"; done < <(
  sed -nE 's/^ *cafile *= *"?([^"]+)"?$/\1/p' /etc/npmrc /root/.npmrc 2>/dev/null)

mount -t proc proc "$root/proc"
mount --rbind /dev "$root/dev"
mount -t tmpfs tmpfs "$root/dev/shm" 2>/dev/null || true
# A package's server is not to be started here.
printf '#!/bin/sh\nexit 101\n' >"$root/usr/sbin/policy-rc.d"
chmod +x "$root/usr/sbin/policy-rc.d"

git -c safe.directory='*' clone --quiet --no-hardlinks "$PWD" "$root/root/coropanic"
printf 'bare: ready after %d s: %s\n' "$((SECONDS - started))" \
  "$(git -C "$root/root/coropanic" -c safe.directory='*' log -1 --format='%h %s')"

inside() { # command
  chroot "$root" /usr/bin/env -i HOME=/root PATH=/usr/sbin:/usr/bin:/sbin:/bin LANG=C.UTF-8 "${kept[@]}" \
    /bin/sh -c "cd /root/coropanic && $1"
}
timed() { # command
  local began=$SECONDS
  printf '\nbare: $ %s\n' "$1"
  inside "$1" || { echo "bare: $1 failed after $((SECONDS - began)) s" >&2; exit 1; }
  printf 'bare: %s: %d s\n' "$1" "$((SECONDS - began))"
}

# make alone installs nothing, and names the package that it needs.
! inside "make" >"$BARE_ROOT/log" 2>&1 || { echo "bare: make passed without Lua's headers" >&2; exit 1; }
grep -q 'apt-get install.* liblua5.4-dev' "$BARE_ROOT/log" || {
  cat "$BARE_ROOT/log" >&2
  echo "bare: make did not name the package with Lua's headers" >&2
  exit 1
}
timed "make demo"
timed "make test"
