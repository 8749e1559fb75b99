#!/bin/sh
# Prepares a release: scripts/release.sh vX.Y.Z. It sets the version where it stands, and
# prints what is left to do. See CONTRIBUTING.md.
set -eu
cd "$(dirname "$0")/.."
version=${1:?usage: scripts/release.sh vX.Y.Z}
root=$(go list -m)
sed -i "s/^const Version = .*/const Version = \"${version#v}\"/" client.go
tags=$version
for mod in $(git ls-files '*go.mod' ':!go.mod'); do
	grep -q "^	*$root.* v0.0.0-" "$mod" && continue # not for users
	module=$(dirname "$mod")
	sed -i "s#^\(require \|	\)\($root[^ ]*\) v[^ ]*\$#\1\2 $version#" "$mod"
	case $module in examples/* | tools) ;; *) tags="$tags $module/$version" ;; esac
done
scripts/modules.sh
cat <<END
Then: the date in CHANGELOG.md, a commit, and
	for tag in $tags; do git tag \$tag; done
	git push origin main $tags
END
