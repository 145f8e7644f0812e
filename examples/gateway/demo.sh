#!/usr/bin/env bash
# Starts the gateway, sends it what plan.lua lists, all at once, and checks every answer and every report. Then
# outage.lua breaks a supplier of a second gateway for a while, and checks what became of the requests.
# With --serve it checks nothing: it sends the requests again and again until Ctrl-C, for a look at the Explorer.
# Needs bash, curl (7.68 or later), redis-server, and Lua with luv, cjson, luasocket and redis-lua. LUA names the
# interpreter.
set -euo pipefail

readonly AT_ONCE=50         # curl's connections
readonly START_SECONDS=20   # the longest waits: far beyond what a slow machine takes, but bounded
readonly LOAD_SECONDS=120
readonly OUTAGE_SECONDS=120
readonly RAW_SECONDS=30
readonly END_SECONDS=30

lua=${LUA:-lua5.4}
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
export LUA_PATH="${LUA_PATH:-./lua/?.lua;./lua/?/init.lua;;}"
export LUA_CPATH="${LUA_CPATH:-./build/?.so;;}"

gateway=examples/gateway
dir=
server=
redis=
raw_senders=()

clean_up() {
  local status=$? child
  trap - EXIT
  for child in ${server:+"$server"} ${redis:+"$redis"} "${raw_senders[@]}"; do
    kill "$child" 2>/dev/null || true
  done
  if [ -n "$server" ]; then
    kill -KILL "$server" 2>/dev/null || true # it may be what hangs
  fi
  wait 2>/dev/null || true
  if [ -n "$dir" ]; then rm -rf "$dir"; fi
  exit "$status"
}
trap clean_up EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
dir=$(mktemp -d)

fail() {
  printf 'demo FAILED: %s\n' "$1" >&2
  if [ -s "$dir/stderr" ]; then
    printf 'The last lines of the gateway on stderr:\n' >&2
    tail -n 40 "$dir/stderr" >&2
  fi
  exit 1
}

# wait_until SECONDS COMMAND...: false when it did not come true in time, or the gateway has ended before.
wait_until() {
  local deadline=$((SECONDS + $1))
  shift
  until "$@"; do
    if [ "$SECONDS" -ge "$deadline" ]; then return 1; fi
    if ! kill -0 "$server" 2>/dev/null; then "$@"; return; fi
    sleep 0.05
  done
}
listens() { grep -qs '^look inside at ' "$1/stdout"; } # its last line before it waits
has_ended() { ! kill -0 "$server" 2>/dev/null; }

# Sends bytes as they are and keeps what comes back until the gateway closes the connection. For a subshell.
send_raw() {
  # shellcheck disable=SC2016 # the inner shell expands these
  exec timeout "$RAW_SECONDS" bash -c '
    exec 3<>"/dev/tcp/127.0.0.1/$1"
    cat "$2" >&3
    cat <&3 >"${2%.raw}.answer"' send_raw "$port" "$1" 2>>"$dir/raw.log"
}

# A Redis of our own, with the tokens. It takes the first port that is free of a few; its socket says when it is up.
redis_answers() { redis-cli -s "$dir/redis.sock" ping 2>/dev/null | grep -q PONG; }
start_redis() {
  local attempt
  for attempt in 1 2 3 4 5; do
    redis_port=$((20000 + (RANDOM + attempt) % 10000))
    redis-server --port "$redis_port" --bind 127.0.0.1 --unixsocket "$dir/redis.sock" --dir "$dir" \
      --save '' --appendonly no >"$dir/redis.log" 2>&1 &
    redis=$!
    server=$redis # what wait_until watches
    if wait_until "$START_SECONDS" redis_answers; then return; fi
  done
  return 1
}
start_redis || fail "redis-server did not start: $(tail -n 3 "$dir/redis.log")"
for token in alice bob trial; do
  redis-cli -s "$dir/redis.sock" set "token:$token" valid >/dev/null
done
redis-cli -s "$dir/redis.sock" set token:expired expired >/dev/null
printf 'Redis listens on 127.0.0.1:%s and knows the tokens.\n' "$redis_port"

# start_gateway DIRECTORY: for its output.
start_gateway() {
  "$lua" "$gateway/server.lua" "$redis_port" >"$1/stdout" 2>"$1/stderr" &
  server=$!
  wait_until "$START_SECONDS" listens "$1" || fail 'the gateway did not start'
  port=$(sed -n 's/^listening on .*://p' "$1/stdout")
  explorer=$(sed -n 's/^look inside at //p' "$1/stdout")
}

# Waits for the gateway, which is to end by itself, and well.
end_gateway() {
  local status=0
  wait_until "$END_SECONDS" has_ended || fail "the gateway did not end within $END_SECONDS s of POST /shutdown"
  wait "$server" || status=$?
  server=
  [ "$status" -eq 0 ] || fail "the gateway ended with status $status"
}

start_gateway "$dir"
printf 'The gateway listens on 127.0.0.1:%s.\n' "$port"
printf 'Look inside while it runs: %s\n' "$explorer"

"$lua" "$gateway/load.lua" "http://127.0.0.1:$port" "$dir" || fail 'the load could not be prepared'
printf 'Sending %d requests with curl, %d at a time, and %d malformed ones beside them.\n\n' \
  "$(grep -c '^url = ' "$dir/curl.conf")" "$AT_ONCE" "$(find "$dir" -name '*.raw' | wc -l)"
send_all() {
  timeout --foreground "$LOAD_SECONDS" curl -q --parallel --parallel-immediate --parallel-max "$AT_ONCE" \
    --config "$dir/curl.conf" 2>"$dir/curl.log"
}
if [ "${1:-}" = --serve ]; then
  printf 'Sending them again and again. End it with Ctrl-C.\n'
  while send_all; do :; done
  has_ended || exit 130 # curl has heard the Ctrl-C before us
  fail 'the gateway has ended'
fi
for request in "$dir"/*.raw; do
  send_raw "$request" &
  raw_senders+=($!)
done
send_all || fail "curl: $(tail -n 3 "$dir/curl.log")"
for sender in "${raw_senders[@]}"; do
  wait "$sender" || fail "a malformed request was not answered: $(tail -n 3 "$dir/raw.log")"
done
raw_senders=()

ask() { curl -q --silent --show-error --include --noproxy '*' --max-time "$RAW_SECONDS" "$@"; }
ask "http://127.0.0.1:$port/stats" >"$dir/stats.answer" || fail 'GET /stats was not answered'
ask --request POST "http://127.0.0.1:$port/shutdown" >"$dir/shutdown.answer" || fail 'POST /shutdown was not answered'
end_gateway

if ! "$lua" "$gateway/check.lua" "$dir"; then
  printf 'demo FAILED: what came back is not what was planned, see above\n' >&2
  exit 1
fi
printf '\nThe %s\n' "$(sed -n '/^slowest trace /,/^ended: /{/^ended: /!p}' "$dir/stdout")"

printf '\nNow a supplier of another gateway fails for a while.\n\n'
mkdir "$dir/outage"
start_gateway "$dir/outage"
if ! timeout "$OUTAGE_SECONDS" "$lua" "$gateway/outage.lua" "http://127.0.0.1:$port" "$explorer" "$redis_port" \
  "$dir/outage"; then
  cp "$dir/outage/stderr" "$dir/stderr"
  fail 'the outage did not go as planned, see above'
fi
end_gateway
printf 'demo passed\n'
