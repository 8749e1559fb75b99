#!/bin/sh
# Prints the table of docs/performance.md: all works, all contestants, one run.
# -quick takes less than a minute. Other flags: see cmd/table.
set -eu
cd "$(dirname "$0")"
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
go build -o "$dir/table" ./cmd/table
"$dir/table" -out "$dir/samples.txt" "$@"
if [ "${1:-}" != -quick ]; then
	echo
	go tool benchstat -col /client "$dir/samples.txt"
fi
