#!/bin/bash
# SPDX-License-Identifier: ISC
#
# distcheck - make distcheck, and what it leaves: a tarball that builds, its tests too,
# installs and uninstalls by itself (the unit tests are run elsewhere in ./check); make install puts things where they belong.
set -u
top=$(cd "$(dirname "$0")/../.." && pwd)
dir=$(mktemp -d "${ARKEN_TEST_DIR:-/var/tmp}/arkenspool-dist.XXXXXX") || exit 73
trap 'rm -rf "$dir"' EXIT

n=0 failed=0
result() { # status name
	n=$((n + 1))
	if [ "$1" -eq 0 ]; then
		echo "ok $n - $2"
	else
		echo "not ok $n - $2"
		failed=1
	fi
}

# where they go must not depend on what is installed here
systemd=(--with-systemdsystemunitdir="\${prefix}/lib/systemd/system"
	--with-sysusersdir="\${prefix}/lib/sysusers.d" --with-tmpfilesdir="\${prefix}/lib/tmpfiles.d")

echo "1..4"
cd "$dir" || exit 70
# not optimized: what is made here is installed, and not run
if "$top/configure" CFLAGS=-O0 "${systemd[@]}" >configure.log 2>&1 &&
	make distcheck TESTS_RUN=true DISTCHECK_CONFIGURE_FLAGS=CFLAGS=-O0 >distcheck.log 2>&1; then
	result 0 "make distcheck"
else
	grep -A 30 '^FAIL ' distcheck.log | head -n 120 | sed 's/^/# /'
	tail -n 30 configure.log distcheck.log 2>/dev/null | sed 's/^/# /'
	result 1 "make distcheck"
fi
make install DESTDIR="$dir/root" >install.log 2>&1
result $? "make install DESTDIR="
missing=0
for f in sbin/spoold sbin/spoolctl libexec/arkenspool/arken.fcgi \
	etc/arkenspool/arkenspool.conf.sample share/man/man8/spoold.8 \
	share/man/man5/arkenspool.conf.5 share/doc/arkenspool/README.md \
	share/doc/arkenspool/examples/lighttpd-socket.conf \
	share/doc/arkenspool/examples/lighttpd-spawn.conf share/doc/arkenspool/examples/nginx.conf \
	share/doc/arkenspool/examples/nginx-keep.conf share/doc/arkenspool/examples/Caddyfile \
	share/doc/arkenspool/examples/apache-proxy.conf \
	share/doc/arkenspool/examples/apache-fcgid.conf share/doc/arkenspool/examples/apache-cgi.conf \
	lib/systemd/system/spoold.service lib/systemd/system/arken-fcgi.socket \
	lib/systemd/system/arken-fcgi.service lib/sysusers.d/arkenspool.conf \
	lib/tmpfiles.d/arkenspool.conf; do
	[ -f "$dir/root/usr/local/$f" ] || { echo "# $f is not installed"; missing=1; }
done
result $missing "everything is where it belongs"
make uninstall DESTDIR="$dir/root" >uninstall.log 2>&1
left=$(find "$dir/root" -type f)
[ -z "$left" ] || echo "# left: $left"
[ -z "$left" ]
result $? "make uninstall leaves nothing"
exit "$failed"
