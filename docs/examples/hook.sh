#!/bin/sh
# SPDX-License-Identifier: ISC
#
# hook.sh - a hook for spoold: one folder an event in an inbox that a CRM reads.
#
# In the configuration:  hook = /usr/local/lib/crm/hook.sh /srv/crm/inbox
#
# INBOX/ACCOUNT.EVENT/ holds event.json, record.json and the document. It appears all at once and
# complete; run again for the same event, nothing changes. The contract is integration.md.
set -u

inbox=${1:-}
if [ -z "$inbox" ]; then
	echo "usage: hook.sh INBOX" >&2
	exit 78 # a person has to mend the configuration: spoold pauses the hook
fi
if [ ! -d "$inbox" ]; then
	echo "$inbox is not there (not mounted?)" >&2
	exit 69 # down: spoold waits, and counts nothing
fi

final=$inbox/$ARKEN_ACCOUNT.$ARKEN_EVENT_ID
[ ! -d "$final" ] || exit 0 # handed over before: spoold did not live to hear of it

tmp=$inbox/.$ARKEN_ACCOUNT.$ARKEN_EVENT_ID
rm -rf "$tmp"
mkdir "$tmp" || exit 75 # for instance no space: again later

cat >"$tmp/event.json" || exit 75
if [ -n "${ARKEN_RECORD:-}" ]; then
	cp "$ARKEN_RECORD" "$tmp/record.json" || exit 75
fi
if [ -n "${ARKEN_TOMBSTONE:-}" ]; then
	cp "$ARKEN_TOMBSTONE" "$tmp/deleted.json" || exit 75
fi
if [ -n "${ARKEN_DOCUMENT:-}" ]; then
	copy=$tmp/${ARKEN_DOCUMENT##*/}
	cp "$ARKEN_DOCUMENT" "$copy" || exit 75
	sum=$(sha256sum <"$copy") || exit 75
	if [ "${sum%% *}" != "$ARKEN_DOCUMENT_SHA256" ]; then
		echo "the copy of the document has another digest" >&2
		exit 75
	fi
fi
sync "$tmp" # the names in it are on the disk before the folder has its own

if ! mv -T "$tmp" "$final"; then
	[ -d "$final" ] || exit 75
fi
echo "$final"
