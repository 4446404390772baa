#!/bin/bash
# SPDX-License-Identifier: ISC
#
# packages_self - scripts/packages.sh starts no service, and leaves things as they were.
#
# With an apt-get that installs nothing and says what a package's script would
# have been told; nothing of the system is touched.
set -u
top=$(cd "$(dirname "$0")/../.." && pwd)
dir=$(mktemp -d "${ARKEN_TEST_DIR:-/var/tmp}/arkenspool-packages.XXXXXX") || exit 73
trap 'rm -rf "$dir"' EXIT
policy=$dir/policy-rc.d

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

mkdir "$dir/bin"
cat >"$dir/bin/apt-get" <<'END'
#!/bin/sh
for arg; do
	case $arg in
	install)
		status=0
		"$ARKEN_POLICY" nginx start || status=$?
		echo "$status $RUNLEVEL" >>"$SAID"
		case $HOW in
		fails) exit 100 ;;
		term) kill -TERM $PPID ;;
		kill) kill -KILL $PPID ;;
		esac
		;;
	esac
done
END
printf '#!/bin/sh\nexit 1\n' >"$dir/bin/dpkg-query"
printf '#!/bin/sh\necho 0\n' >"$dir/bin/id"
chmod 755 "$dir"/bin/*

install() { # how apt-get ends
	rm -f "$dir/said"
	ARKEN_POLICY=$policy SAID=$dir/said HOW=$1 PATH=$dir/bin:$PATH \
		"$top/scripts/packages.sh" install build >"$dir/out" 2>&1
}

# No service was started: policy-rc.d said 101 while apt-get installed.
kept_down() { [ "$(cat "$dir/said")" = "101 1" ]; }

nothing_left() { [ "$(ls "$dir")" = "$(printf 'bin\nout\nsaid')" ]; }

theirs() { [ "$(cat "$policy")" = "$1" ] && [ -x "$policy" ] && [ ! -e "$policy.before-arkenspool" ]; }

echo "1..9"
install works && kept_down
result $? "no service is started"
nothing_left
result $? "nothing is left where nothing was"
install fails
[ $? -eq 69 ] && kept_down && nothing_left
result $? "the same when apt-get fails"
install term
[ $? -eq 143 ] && kept_down && nothing_left
result $? "and when it is told to stop"

allow=$(printf '#!/bin/sh\nexit 0')
echo "$allow" >"$policy"
chmod 755 "$policy"
install works
kept_down
result $? "a policy that lets services start is put aside"
theirs "$allow"
result $? "and is there again afterwards"
install kill
[ $? -eq 137 ] && kept_down && ! theirs "$allow"
result $? "killed, it leaves its own"
install works
kept_down && theirs "$allow"
result $? "until the next run, which puts theirs back"
rm "$policy"
ln -s "$dir/elsewhere" "$policy"
echo "$allow" >"$dir/elsewhere"
install fails
[ -L "$policy" ] && [ "$(readlink "$policy")" = "$dir/elsewhere" ]
result $? "a link stays a link"
exit "$failed"
