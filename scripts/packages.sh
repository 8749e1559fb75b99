#!/bin/sh
# Installs Debian packages, without starting their services: scripts/packages.sh
# PACKAGE... Where that is not possible it says why in one line, and fails.
set -eu
missing=
for package; do
	[ "$(dpkg-query -Wf '${db:Status-Status}' "$package" 2>/dev/null)" = installed ] || missing="$missing $package"
done
[ -n "$missing" ] || exit 0
fail() {
	echo "can't install$missing: $*" >&2
	exit 1
}
command -v apt-get >/dev/null || fail "there is no apt-get"
root=
[ "$(id -u)" = 0 ] || root="sudo -n"
$root true 2>/dev/null || fail "neither root nor sudo without a password"

log=$(mktemp)
policy=/usr/sbin/policy-rc.d # where it ends with 101, Debian starts no service
if [ -e "$policy" ]; then
	trap 'rm -f "$log"' EXIT
else
	trap 'rm -f "$log"; $root rm -f "$policy"' EXIT
	printf '#!/bin/sh\nexit 101\n' | $root tee "$policy" >/dev/null
	$root chmod 755 "$policy"
fi
trap 'exit 1' INT TERM
{
	$root timeout 120 apt-get -q update &&
		$root env DEBIAN_FRONTEND=noninteractive timeout 300 apt-get -qy install --no-install-recommends $missing
} >"$log" 2>&1 || fail "$(grep -m 1 '^E:' "$log" || echo "apt-get failed, or took too long")"
