#!/bin/sh
# May this build ship?  Migration between it and every release in $RECORDS, both ways.
#
#   RECORDS=records/ppc64 PROGRAM=build/qemu-system-ppc64 sh bump.sh
#
# RECORDS: a folder of records of old releases (`vmstate record`).  Beside them may be policy.toml with severities
# and allowances.  Reports go to $REPORTS (default: reports): a page, JUnit and SARIF for each record.
set -u
records=${RECORDS:?a folder of records} program=${PROGRAM:?the new program} reports=${REPORTS:-reports}
set -- ${MACHINE:+--machine "$MACHINE"}
[ -f "$records/policy.toml" ] && set -- "$@" --policy "$records/policy.toml"
mkdir -p "$reports"
status=0
for record in "$records"/*/; do
    name=$(basename "$record")
    vmstate bump --old "$record" --new "$program" "$@" \
        --junit "$reports/$name.xml" --sarif "$reports/$name.sarif" >"$reports/$name.txt" 2>&1
    case $? in
    0) echo "$name: yes" ;;
    1) echo "$name: no, see $reports/$name.txt" && status=1 ;;
    *) echo "$name: cannot judge" && sed 's/^/  /' "$reports/$name.txt" && status=2 ;;
    esac
done
exit $status
