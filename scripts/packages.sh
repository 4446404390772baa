#!/bin/sh
# SPDX-License-Identifier: ISC
#
# packages - the Debian packages of packages.list: which are missing, install them.
#
# usage: scripts/packages.sh missing USE...    print what is not installed
#        scripts/packages.sh install USE...    install that, if it is anything
#
# A USE is build, demo or test.  Exits 69 where it cannot install.  Services of
# what it installs are not started.
set -eu

list=$(dirname "$0")/../packages.list
policy=/usr/sbin/policy-rc.d
made_policy=

fail() {
	echo "packages: $2" >&2
	exit "$1"
}

installed() {
	[ "$(dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null)" = installed ]
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

clean() {
	if [ -n "$made_policy" ]; then
		rm -f "$policy"
	fi
}

# Debian starts the service of a package it installs, unless this file says no.
keep_services_down() {
	if [ -e "$policy" ]; then
		return
	fi
	made_policy=yes
	printf '#!/bin/sh\nexit 101\n' >"$policy"
	chmod 755 "$policy"
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
	trap clean EXIT
	trap 'exit 130' INT
	trap 'exit 143' TERM
	keep_services_down
	export DEBIAN_FRONTEND=noninteractive
	apt-get -qq update || fail 69 "apt-get update failed"
	# shellcheck disable=SC2086 # a list of names
	apt-get -qq -o Dpkg::Use-Pty=0 install --no-install-recommends $names >/dev/null ||
		fail 69 "apt-get could not install them: $names"
}

if [ $# -lt 2 ]; then
	sed -n "4,10s/^# \{0,1\}//p" "$0" >&2
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
