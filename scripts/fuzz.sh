#!/bin/sh
# Fuzzes every target for some seconds: scripts/fuzz.sh [seconds] (60). An input
# that breaks one is left in testdata/fuzz/<target>: commit it with the fix.
set -eu
cd "$(dirname "$0")/.."
seconds=${1:-60}
for dir in . $(find pool internal proxylitetest -name '*_test.go' -exec grep -l '^func Fuzz' {} + 2>/dev/null | xargs -r -n1 dirname | sort -u); do
	for target in $(grep -hoE '^func Fuzz[A-Za-z0-9_]+' "$dir"/*_test.go | sed 's/^func //'); do
		printf '== %s %s, %ss\n' "$dir" "$target" "$seconds"
		go test -run '^$' -fuzz "^$target\$" -fuzztime "${seconds}s" -parallel "${FUZZ_PARALLEL:-2}" "./$dir"
	done
done
