#!/bin/sh
# Gets the modules that users import, and installs the command, as on release day: on an
# empty machine, with the modules of this tree served as if they were released. The go
# command ignores their replace directives there, so it fails if one requires another
# version of the root module than the one to be released.
set -eu
cd "$(dirname "$0")/.."
root=$(go list -m)
version=v$(sed -n 's/^const Version = "\(.*\)"$/\1/p' client.go)
libraries="pool/redisstore proxyliteotel proxyliteprom" command=cmd/proxylite
tmp=$(mktemp -d)
trap 'chmod -R u+w "$tmp" && rm -rf "$tmp"' EXIT
mkdir "$tmp/tree" "$tmp/home"
git ls-files -z --cached --others --exclude-standard | xargs -0 tar cf - | tar xf - -C "$tmp/tree"
(cd tools && go build -o "$tmp/modproxy" ./cmd/modproxy)
(cd "$tmp/tree" && "$tmp/modproxy" "$tmp/proxy" "$version" . $libraries "$command")

# What this machine has downloaded already need not be fetched again.
cat >"$tmp/empty" <<SH
exec env -i PATH="$PATH" HOME="$tmp/home" TMPDIR="$tmp" GOCACHE="$(go env GOCACHE)" GOTOOLCHAIN="$(go env GOTOOLCHAIN)" \\
	GOPROXY="file://$tmp/proxy,file://$(go env GOMODCACHE)/cache/download,$(go env GOPROXY)" \\
	GONOSUMDB="$root" GOSUMDB="$(go env GOSUMDB)" GOBIN="$tmp/bin" "\$@"
SH
empty() { (cd "$tmp/home" && sh "$tmp/empty" "$@"); }

empty go mod init example.com/user 2>/dev/null
for module in $libraries; do
	empty go get "$root/$module@$version"
	empty go build "$root/$module"
done
empty go list -m "$root/..."

empty go install "$root/$command@$version"
"$tmp/bin/proxylite" version | tee "$tmp/version"
grep -q "^proxylite	$version\$" "$tmp/version" || {
	echo "modules.sh: the installed command is not $version" >&2
	exit 1
}
env -i HOME="$tmp/home" "$tmp/bin/proxylite" accounts list --demo
