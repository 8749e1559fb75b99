#!/bin/sh
# Compares the local proxy with tinyproxy and squid, as forwarders to one upstream: see
# cmd/forward, which takes the flags. Install them first (Debian: apt-get install
# tinyproxy-bin squid). One that is missing is left out.
set -eu
cd "$(dirname "$0")"
PATH=$PATH:/usr/sbin # squid's
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
go build -o "$dir/forward" ./cmd/forward
"$dir/forward" "$@"
