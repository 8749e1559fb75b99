#!/bin/sh
# Compares the exported API with that of the last release. An incompatible change
# fails, unless what CHANGELOG.md says above that release has it under "Breaking".
set -eu
cd "$(dirname "$0")/.."
release=$(git tag --list 'v*' --sort=-v:refname | head -n1)
if [ -z "$release" ]; then
	echo "no release yet (no tag v*): nothing to compare with"
	exit 0
fi
apidiff="$PWD/.bin/apidiff" module=$(go list -m)
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
mkdir "$tmp/old"
git archive "$release" | tar xf - -C "$tmp/old"
(cd "$tmp/old" && "$apidiff" -m -w "$tmp/api" "$module")
echo "compared with $release:"
"$apidiff" -m -incompatible "$tmp/api" "$module" | grep -v '^- Version: value changed' | tee "$tmp/changes"
if [ -s "$tmp/changes" ] && ! sed "/^## \[${release#v}\]/,\$d" CHANGELOG.md | grep -q Breaking; then
	echo "api.sh: an incompatible change: put it under \"Breaking\" in CHANGELOG.md, or take it back" >&2
	exit 1
fi
