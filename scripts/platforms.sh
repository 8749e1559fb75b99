#!/bin/sh
# Vets the root module, its tests too, for the systems that Go programs commonly run
# on, and runs the tests of the root package where an int has 32 bits.
set -eu
cd "$(dirname "$0")/.."
export CGO_ENABLED=0
for platform in linux/amd64 linux/arm64 linux/386 darwin/amd64 darwin/arm64 \
	windows/amd64 windows/arm64 windows/386 freebsd/amd64 js/wasm; do
	echo "-- $platform"
	GOOS=${platform%/*} GOARCH=${platform#*/} go vet ./...
done
echo "-- plan9/amd64, without the tests: it has no errno"
GOOS=plan9 GOARCH=amd64 go build ./...
echo "-- tests of the root package, linux/386"
case $(go env GOHOSTOS)/$(go env GOHOSTARCH) in
linux/amd64) GOARCH=386 go test . ;;
*) echo "skipped: this machine can't run them" ;;
esac
