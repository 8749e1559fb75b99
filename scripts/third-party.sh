#!/bin/sh
# Runs the pool against proxies of other people: tinyproxy and microsocks, on
# loopback. Install them first (Debian: apt-get install tinyproxy-bin microsocks).
# One that is missing is left out; without both there is nothing to test.
set -eu
cd "$(dirname "$0")/.."
dir=$(mktemp -d)
pids=
trap 'for pid in $pids; do kill "$pid" 2>/dev/null || true; done; rm -rf "$dir"' EXIT
trap 'exit 1' INT TERM
# Most likely free: the ports of no well-known service, other ones in each run.
http=${HTTP_PORT:-$((10000 + $$ % 10000))} socks=${SOCKS_PORT:-$((20000 + $$ % 10000))}

if command -v tinyproxy >/dev/null; then
	cat >"$dir/tinyproxy.conf" <<-CONF
		Port $http
		Listen 127.0.0.1
		Allow 127.0.0.1
		BasicAuth bob secret
		LogFile "$dir/tinyproxy.log"
		PidFile "$dir/tinyproxy.pid"
	CONF
	tinyproxy -d -c "$dir/tinyproxy.conf" &
	pids="$pids $!"
	export PROXYLITE_TEST_HTTP_PROXY="127.0.0.1:$http:bob:secret"
fi
if command -v microsocks >/dev/null; then
	microsocks -i 127.0.0.1 -p "$socks" -u bob -P secret 2>/dev/null &
	pids="$pids $!"
	export PROXYLITE_TEST_SOCKS_PROXY="127.0.0.1:$socks:bob:secret"
fi
if [ -z "$pids" ]; then
	echo "third-party.sh: neither tinyproxy nor microsocks is installed" >&2
	exit 1
fi
go test -count 1 -v -run ThirdParty ./pool/
