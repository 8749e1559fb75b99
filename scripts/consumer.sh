#!/bin/sh
# Builds a program of somebody else's: a module that requires this one, vendors
# it, and builds from its vendor folder with nothing else at hand. Fails when the
# folder holds what only our tests use, or the program links more than it should.
set -eu
cd "$(dirname "$0")/.."
tmp=$(mktemp -d)
trap 'chmod -R u+w "$tmp" && rm -rf "$tmp"' EXIT
mkdir "$tmp/sdk" "$tmp/consumer"
git ls-files -z | xargs -0 tar cf - | tar xf - -C "$tmp/sdk"

cd "$tmp/consumer"
cat > go.mod <<'GO'
module example.com/consumer

go 1.26

require github.com/proxylite/proxylite-go v0.0.0

replace github.com/proxylite/proxylite-go => ../sdk
GO
cat > main.go <<'GO'
package main

import (
	"context"
	"fmt"
	"os"

	"github.com/proxylite/proxylite-go"
)

func main() {
	client, err := proxylite.NewClientFromEnv()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	accounts, err := client.Accounts.List(context.Background())
	fmt.Println(accounts, err)
}
GO
go mod tidy
go mod vendor
echo "vendored:"
grep '^# ' vendor/modules.txt
GOFLAGS="${GOFLAGS:-} -mod=vendor" GOPROXY=off GOMODCACHE="$tmp/empty" go build -o consumer .
echo "linked:"
go version -m consumer | grep -E '^\s+dep\s'

for test_only in testify httpmock goleak yaml.in go.uber.org golang.org/x/; do
	if grep "^# .*$test_only" vendor/modules.txt; then
		echo "consumer.sh: the vendor folder holds $test_only, which only our tests use" >&2
		exit 1
	fi
done
if [ "$(go version -m consumer | grep -cE '^\s+dep\s')" -gt 5 ]; then
	echo "consumer.sh: the program links more than 5 modules" >&2
	exit 1
fi
if env -i ./consumer 2> out; then
	echo "consumer.sh: the program ran without a key" >&2
	exit 1
fi
cat out
