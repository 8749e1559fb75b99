#!/bin/sh
# Gets the modules that users import, as go get does when a release is tagged: from a
# repository with tags, without the replace directives that build them here. It fails
# when one requires a version of the root module other than the one being released.
set -eu
cd "$(dirname "$0")/.."
root=$(go list -m)
version=v$(sed -n 's/^const Version = "\(.*\)"$/\1/p' client.go)
modules="proxyliteotel proxyliteprom"
tmp=$(mktemp -d)
trap 'chmod -R u+w "$tmp"; rm -rf "$tmp"' EXIT

mkdir "$tmp/release" "$tmp/user"
git ls-files -z | xargs -0 tar cf - | tar xf - -C "$tmp/release"
git() { command git -C "$tmp/release" -c user.name=release -c user.email=release@example.com -c init.defaultBranch=main "$@"; }
git init -q
git add -Af
git commit -qm release
git tag "$version"
for module in $modules; do git tag "$module/$version"; done

# Only this repository comes from there. The module cache is another one, which must not
# keep what is no release; other modules come from the usual one, or as ever.
export GOPROXY="file://$(go env GOMODCACHE)/cache/download,$(go env GOPROXY)" GOMODCACHE="$tmp/cache"
export GIT_CONFIG_COUNT=1 GIT_CONFIG_KEY_0="url.file://$tmp/release.insteadOf" GIT_CONFIG_VALUE_0="https://$root"
export GOPRIVATE="$root" GIT_ALLOW_PROTOCOL=file
cd "$tmp/user"
cat >go.mod <<GO
module example.com/user

go 1.26
GO
for module in $modules; do
	go get "$root/$module@$version"
	go build "$root/$module"
done
go list -m "$root/..."
