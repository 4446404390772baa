#!/bin/bash
# SPDX-License-Identifier: ISC
#
# style - what a linter can say about the sources, as TAP.  A linter that is
# not installed is a skipped test.
#
# usage: tests/lint/style.sh   (BUILD=build folder for the generated pages)
set -u
cd "$(dirname "$0")/../.." || exit 70
build=${ARKEN_BUILD:-build}

n=0 failed=0
# lint NAME TOOL COMMAND...: ok if COMMAND prints nothing and exits 0.
lint() {
	local name=$1 tool=$2 out status
	shift 2
	n=$((n + 1))
	if ! command -v "$tool" >/dev/null; then
		echo "ok $n - $name # SKIP $tool is not installed"
		return
	fi
	out=$("$@" 2>&1)
	status=$?
	if [ "$status" -eq 0 ] && [ -z "$out" ]; then
		echo "ok $n - $name"
	else
		echo "not ok $n - $name"
		printf '%s\n' "$out" | head -n 40 | sed 's/^/# /'
		failed=1
	fi
}

mapfile -t c < <(find lib fcgi spoold spoolctl tests -name '*.[ch]' | sort)
mapfile -t sh < <(grep -rlE '^#!/bin/(ba)?sh' bootstrap check demo .ci docs/examples scripts tests --include='*' \
	--exclude-dir=__pycache__ 2>/dev/null | sort)
mapfile -t texts < <(find README.md NEWS docs man www tests/sandbox/README.md -type f | sort)

# shellcheck disable=SC2317
py() {
	python3 -B - "$@" <<'END'
import ast, sys
for name in sys.argv[1:]:
    ast.parse(open(name).read(), name)
END
}
mapfile -t pys < <(find tests scripts docs/examples -name '*.py' | sort)

# shellcheck disable=SC2317
unfinished() {
	# The words are taken apart here so that this file does not name them.
	! grep -rnIE "\\b(TO""DO|FIX""ME|X""XX)\\b" lib fcgi spoold spoolctl tests scripts docs man \
		README.md configure.ac Makefile.am check demo
}

echo "1..7"
lint "clang-format has nothing to change" clang-format \
	clang-format --dry-run -Werror "${c[@]}"
lint "shellcheck is content" shellcheck shellcheck "${sh[@]}"
lint "codespell is content" codespell \
	codespell -q 3 -L "ans,wile,fo,te,crate,hist,ot,nd,acount,2st" "${c[@]}" "${sh[@]}" "${texts[@]}"
lint "manual pages are well formed" mandoc \
	mandoc -Tlint -Wwarning man/*.8 man/*.7 "$build"/man/arkenspool.conf.5
lint "python files parse" python3 py "${pys[@]}"
lint "nothing says it is unfinished" grep unfinished
lint "tests do not sleep" grep bash -c \
	'! grep -rnE "(^|[^a-z_])(s""leep|us""leep|nanos""leep) ?[( ]" tests --include="*.[ch]" --include="*.py" --include="*.sh"'
exit "$failed"
