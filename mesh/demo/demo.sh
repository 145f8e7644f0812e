#!/usr/bin/env bash
# Four services in four languages crash behind nginx, called by the relay of examples/gateway; prints and checks one
# table of their normalised errors.
# Needs bash, curl, redis-server, nginx with libnginx-mod-http-lua, Go, Java, Node.js and Python 3, and Lua with what
# the gateway needs. LUA names the interpreter, LIBRARY libcoropanic_mesh.so.
set -euo pipefail

readonly TRACE=0af7651916cd43dd8448eb211c80319c
readonly START_SECONDS=60 # far beyond what a slow machine takes, but bounded

lua=${LUA:-lua5.4}
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
here=$PWD
library=${LIBRARY:-$here/build/mesh/libcoropanic_mesh.so}
export LUA_PATH="${LUA_PATH:-./lua/?.lua;./lua/?/init.lua;;}"
export LUA_CPATH="${LUA_CPATH:-./build/?.so;;}"
PATH=/usr/bin:/usr/sbin:$PATH # Debian's own come first, whatever else the machine has

dir=
children=()
clean_up() {
  local status=$? child
  trap - EXIT
  for child in "${children[@]}"; do kill "$child" 2>/dev/null || true; done
  wait 2>/dev/null || true
  if [ -n "$dir" ]; then
    chmod -R u+w "$dir"
    rm -rf "$dir"
  fi
  exit "$status"
}
trap clean_up EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
dir=$(mktemp -d)
chmod 755 "$dir"

fail() {
  printf 'demo-mesh FAILED: %s\n' "$1" >&2
  tail -n 20 "$dir"/*.log >&2 2>/dev/null || true
  exit 1
}

wait_until() { # command...
  local deadline=$((SECONDS + START_SECONDS))
  until "$@"; do
    [ "$SECONDS" -lt "$deadline" ] || return 1
    sleep 0.05
  done
}
listens() { (: <"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }

declare -A port
# Ports that nobody listens on: all sockets are bound before the first is closed.
read -r port[orders] port[users] port[cart] port[billing] port[front] port[redis] < <("$lua" -e '
  local socket, sockets, ports = require "socket", {}, {}
  for i = 1, 6 do
    sockets[i] = assert(socket.bind("127.0.0.1", 0))
    ports[i] = select(2, sockets[i]:getsockname())
  end
  print(table.concat(ports, " "))')

start() { # name command...
  "${@:2}" >"$dir/$1.log" 2>&1 &
  children+=($!)
}
GO111MODULE=off GOCACHE=$dir/cache go build -o "$dir/orders" mesh/demo/orders.go || fail 'orders.go was not built'
start orders "$dir/orders" "${port[orders]}"
start users python3 mesh/demo/users.py "${port[users]}"
start cart node mesh/demo/cart.js "${port[cart]}"
start billing java mesh/demo/Billing.java "${port[billing]}"
start redis redis-server --port "${port[redis]}" --bind 127.0.0.1 --dir "$dir" --save '' --appendonly no
sed -e "s|\$here|$here|g; s|\$library|$library|; s|\$folder|$dir|g; s|\$owner|$(id -un)|; s|\$front|${port[front]}|" \
  -e "s|\$orders|${port[orders]}|; s|\$users|${port[users]}|; s|\$cart|${port[cart]}|; s|\$billing|${port[billing]}|" \
  mesh/demo/nginx.conf >"$dir/nginx.conf"
start nginx nginx -p "$dir" -c "$dir/nginx.conf" -e "$dir/error.log"
for name in orders users cart billing redis front; do
  wait_until listens "${port[$name]}" || fail "$name did not start"
done
start gateway "$lua" examples/gateway/server.lua "${port[redis]}"
wait_until grep -qs '^look inside at ' "$dir/gateway.log" || fail 'the gateway did not start'
gateway=$(sed -n 's/^listening on .*://p' "$dir/gateway.log")

calls=$(for name in orders users cart billing; do
  printf '{"url":"http://127.0.0.1:%s/%s/2"}\n' "${port[front]}" $name
done | paste -sd,)
curl -q --silent --show-error --fail --noproxy '*' --max-time 60 -H "traceparent: 00-$TRACE-b7ad6b7169203331-01" \
  --data "[$calls]" "http://127.0.0.1:$gateway/trace-context" >"$dir/answer" 2>"$dir/curl.log" ||
  fail 'the gateway did not answer'
has_records() { [ "$(wc -l <"$dir/records.log")" -ge 4 ]; }
wait_until has_records || fail 'nginx has not logged four records'

"$lua" mesh/demo/check.lua "$dir/records.log" "$dir/answer" $TRACE || fail 'the records are not what was planned, see above'
printf 'demo-mesh passed\n'
