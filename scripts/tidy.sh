#!/bin/sh
# Runs go mod tidy in the module of the current directory, with the given flags. A
# module with a go.work requires released versions of the tree's own modules, which
# need not exist yet: there it takes them from the tree. Its go.sum has no hashes of
# them, as those change with every commit; the checksum database has the released ones.
set -eu
if [ ! -e go.work ]; then
	exec go mod tidy "$@"
fi
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
cp go.mod "$tmp/tidy.mod"
cp go.sum "$tmp/tidy.sum"
root=$(cd ../.. && pwd)
for module in '' /proxyliteprom; do
	go mod edit -replace "github.com/proxylite/proxylite-go$module=$root$module" "$tmp/tidy.mod"
done
GOWORK=off go mod tidy -modfile="$tmp/tidy.mod" "$@"
go mod edit -dropreplace github.com/proxylite/proxylite-go -dropreplace github.com/proxylite/proxylite-go/proxyliteprom "$tmp/tidy.mod"
cp "$tmp/tidy.mod" go.mod
cp "$tmp/tidy.sum" go.sum
