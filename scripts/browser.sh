#!/bin/sh
# Runs a browser, curl and Python through the local proxy, on loopback: see
# pool/localproxy/browser_test.go. Install them first (Debian: apt-get install chromium
# curl python3-requests). One that is missing is left out.
set -eu
cd "$(dirname "$0")/.."
PROXYLITE_TEST_BROWSER=1 go test -count 1 -v -timeout 9m -run 'Browser|OtherPrograms' ./pool/localproxy/
