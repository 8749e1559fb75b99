#!/bin/sh
# Mutation testing: changes the code in one place at a time and looks whether the
# package's tests notice. scripts/mutation.sh [package...]; it takes long.
# LIVED is what nobody noticed: write a test, or say why it does not matter.
set -eu
cd "$(dirname "$0")/.."
[ $# -gt 0 ] || set -- ./internal/wire .
for package in "$@"; do
	echo "== $package"
	exclude=
	# From the root, gremlins would go down into all packages.
	[ "$package" != . ] || exclude='^(internal|pool|proxylitetest|examples|proxyliteotel|proxyliteprom|bench|tools)/'
	nice go run github.com/go-gremlins/gremlins/cmd/gremlins@v0.6.0 unleash \
		--workers "${WORKERS:-2}" --timeout-coefficient 40 ${exclude:+--exclude-files "$exclude"} "$package"
done
