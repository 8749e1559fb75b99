#!/bin/sh
# Fuzzes every target for some seconds: scripts/fuzz.sh [seconds] (60). An input
# that breaks one is left in testdata/fuzz/<target>: commit it with the fix.
set -eu
cd "$(dirname "$0")/.."
seconds=${1:-60}
bin=$(mktemp -d)
trap 'rm -rf "$bin"' EXIT
for dir in $(git ls-files '*_test.go' | xargs grep -l '^func Fuzz' | xargs -n1 dirname | sort -u); do
	package=$(go list "./$dir")
	go test -c -fuzz=. -o "$bin/fuzz" "$package" # one build for all targets
	for target in $(grep -hoE '^func Fuzz[A-Za-z0-9_]+' "$dir"/*_test.go | sed 's/^func //'); do
		printf '== %s %s, %ss\n' "$dir" "$target" "$seconds"
		(cd "$dir" && "$bin/fuzz" -test.run='^$' -test.fuzz="^$target\$" -test.fuzztime="${seconds}s" \
			-test.parallel="${FUZZ_PARALLEL:-2}" -test.fuzzcachedir="$(go env GOCACHE)/fuzz/$package")
	done
done
