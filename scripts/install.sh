#!/bin/sh
# Installs the command as a user does on release day: go install PATH@VERSION on an
# empty machine, with the modules of this tree served as if they were released.
set -eu
cd "$(dirname "$0")/.."
version=v$(sed -n 's/^const Version = "\(.*\)"/\1/p' ./*.go)
tmp=$(mktemp -d)
trap 'chmod -R u+w "$tmp" && rm -rf "$tmp"' EXIT
mkdir "$tmp/tree" "$tmp/home"
git ls-files -z --cached --others --exclude-standard | xargs -0 tar cf - | tar xf - -C "$tmp/tree"
go -C tools run ./cmd/modproxy "$tmp/proxy" "$version" "$tmp/tree" "$tmp/tree/cmd/proxylite"

# What this machine has downloaded already need not be fetched again.
env -i PATH="$PATH" HOME="$tmp/home" TMPDIR="$tmp" GOCACHE="$(go env GOCACHE)" GOTOOLCHAIN="$(go env GOTOOLCHAIN)" \
	GOPROXY="file://$tmp/proxy,file://$(go env GOMODCACHE)/cache/download,$(go env GOPROXY)" \
	GONOSUMDB=github.com/proxylite GOSUMDB="$(go env GOSUMDB)" GOBIN="$tmp/bin" \
	sh -c "cd '$tmp/home' && go install github.com/proxylite/proxylite-go/cmd/proxylite@$version"
cd "$tmp/home"
env -i "$tmp/bin/proxylite" version | tee out
grep -q "^proxylite	$version\$" out || {
	echo "install.sh: the installed command is not $version" >&2
	exit 1
}
env -i "$tmp/bin/proxylite" accounts list --demo
