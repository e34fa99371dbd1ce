#!/bin/sh
# Check the records that the given files belong to: each must load, and judge its own streams as its own.
#
#   sh check-records.sh tests/data/vmstate-records/ppc64/7.2/record.json …
set -u
status=0
for record in $(for file in "$@"; do
    folder=$(dirname "$file")
    [ "$(basename "$folder")" = machines ] && folder=$(dirname "$folder")
    [ -f "$folder/record.json" ] && echo "$folder"
done | sort -u); do
    for stream in "$record"/machines/*.mig.zst; do
        [ -f "$stream" ] || continue
        if ! said=$(vmstate load "$stream" --on "$record" 2>&1); then
            echo "$stream: its own record does not take it" && echo "$said" | sed 's/^/  /'
            status=1
        fi
    done
done
exit $status
