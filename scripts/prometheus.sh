#!/bin/sh
# Runs the tests of proxyliteprom and of the command that need Prometheus: promtool reads
# the metrics, the alerts and their tests, and a server on loopback scrapes the metrics
# and runs the queries of the dashboard. It needs Debian's package, and is skipped where that can't be
# installed.
set -eu
cd "$(dirname "$0")/.."
if ! why=$(scripts/packages.sh prometheus 2>&1) && ! command -v prometheus promtool >/dev/null; then
	echo "prometheus.sh: skipped: $why"
	exit 0
fi
go -C proxyliteprom test -count 1 -v -run 'Promtool|TestPrometheus' .
go -C cmd/proxylite test -count 1 -v -run 'TestExporter(Profiles|Prometheus)' ./internal/cli
