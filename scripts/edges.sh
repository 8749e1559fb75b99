#!/bin/sh
# Puts the SDK before nginx, Apache with ModSecurity and the OWASP core rules, and
# HAProxy, all on loopback: see bench/cmd/edges, which takes the flags. It needs
# Debian's packages of them, and is skipped where those can't be installed.
set -eu
cd "$(dirname "$0")/.."
if ! why=$(scripts/packages.sh nginx apache2-bin libapache2-mod-security2 modsecurity-crs haproxy 2>&1); then
	echo "edges.sh: skipped: $why"
	exit 0
fi
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
trap 'exit 1' INT TERM
go build -o "$dir/tour" ./examples/tour
go -C bench build -o "$dir/edges" ./cmd/edges
"$dir/edges" -tour "$dir/tour" "$@"
