#!/bin/sh
# SPDX-License-Identifier: ISC
#
# packages - the Debian packages of packages.list: which are missing, install them.
#
# usage: scripts/packages.sh missing USE...    print what is not installed
#        scripts/packages.sh install USE...    install that, if it is anything
#
# A USE is build, demo or test.  Exits 69 where it cannot install.  Services of
# what it installs are not started: while it installs, Debian's own switch for
# that (policy-rc.d) says no; what was there before is there again afterwards,
# even if the last run was killed in the middle.
set -eu

list=$(dirname "$0")/../packages.list
policy=${ARKEN_POLICY:-/usr/sbin/policy-rc.d} # the tests have one of their own
before=$policy.before-arkenspool
ours="# arkenspool: no services while packages are installed"

fail() {
	echo "packages: $2" >&2
	exit "$1"
}

# Is it installed, or is another package that says it is that one too?
installed() {
	[ "$(dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null)" = installed ] ||
		dpkg-query -W -f '${db:Status-Status},${Provides}\n' | sed -n 's/^installed,//p' |
		tr ',' '\n' | sed 's/^ *//; s/ (.*//' | grep -qxF -e "$1"
}

wanted() {
	for use; do
		case $use in
		build | demo | test) ;;
		*) fail 64 "\"$use\" is none of build, demo, test" ;;
		esac
		sed -n "s/^${use}[[:space:]][[:space:]]*//p" "$list"
	done
}

missing() {
	names=$(wanted "$@")
	for name in $names; do
		installed "$name" || echo "$name"
	done
}

# Put back what was there.  Only a file of ours is removed.
restore_services() {
	if grep -qsxF "$ours" "$policy"; then
		rm -f "$policy"
	fi
	if [ -e "$before" ] || [ -L "$before" ]; then
		mv -f "$before" "$policy"
	fi
}

# Debian starts the service of a package it installs, unless this file says no.
keep_services_down() {
	if [ -e "$policy" ] || [ -L "$policy" ]; then
		mv -f "$policy" "$before"
	fi
	printf '#!/bin/sh\n%s\nexit 101\n' "$ours" >"$policy.new"
	chmod 755 "$policy.new"
	mv -f "$policy.new" "$policy"
}

install_all() {
	names=$(missing "$@" | tr '\n' ' ')
	if [ -z "$names" ]; then
		return
	fi
	if [ "$(id -u)" -ne 0 ]; then
		fail 69 "needs these Debian packages, and root to install them: $names"
	fi
	echo "packages: installing $names"
	# one run at a time
	exec 9<"$list"
	flock 9
	restore_services
	trap restore_services EXIT
	trap 'exit 129' HUP
	trap 'exit 130' INT
	trap 'exit 143' TERM
	keep_services_down
	# for scripts that ask sysvinit's way
	export DEBIAN_FRONTEND=noninteractive RUNLEVEL=1
	apt-get -qq update || fail 69 "apt-get update failed"
	# shellcheck disable=SC2086 # a list of names
	apt-get -qq -o Dpkg::Use-Pty=0 install --no-install-recommends $names >/dev/null ||
		fail 69 "apt-get could not install them: $names"
}

if [ $# -lt 2 ]; then
	sed -n "4,7s/^# \{0,1\}//p" "$0" >&2
	exit 64
fi
what=$1
shift
if ! command -v dpkg-query >/dev/null || ! command -v apt-get >/dev/null; then
	fail 69 "needs these Debian packages, and this is not Debian: $(wanted "$@" | tr '\n' ' ')"
fi
case $what in
missing) missing "$@" ;;
install) install_all "$@" ;;
*) fail 64 "\"$what\" is neither missing nor install" ;;
esac
