#!/bin/sh
# Coverage of the root package by its own tests. Fails below 92 % of its
# statements, or when a test touches no statement of an exported function.
set -eu
cd "$(dirname "$0")/.."
profile=$(mktemp)
trap 'rm -f "$profile"' EXIT
go test -coverprofile="$profile" .
go tool cover -func="$profile" | awk -v least=92 '
	$1 == "total:" { total = $3 + 0; next }
	$2 ~ /^[A-Z]/ {
		exported++
		if ($3 + 0 < 100) print "  " $2 "  " $3 "  " $1
		if ($3 + 0 == 0) untouched++
	}
	END {
		printf "exported functions: %d, untouched: %d, not in full: those above\n", exported, untouched
		printf "statements of the root package: %.1f %%, at least %d\n", total, least
		exit untouched > 0 || total < least || exported == 0
	}'
