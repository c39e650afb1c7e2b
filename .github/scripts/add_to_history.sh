#!/bin/sh
# add_to_history.sh BENCHGATE RUN FOLDER: judges a run by the history in FOLDER, adds it, and writes what a badge of
# shields.io reads (https://shields.io/badges/endpoint-badge): FOLDER/history.jsonl, report.html, badge.json.
set -eu
benchgate=$1 run=$2 folder=$3
state=$(mktemp -d)
trap 'rm -rf "$state"' EXIT
baseline=$state/none.json history=$folder/history.jsonl
options="--history $history --baseline $baseline --state $state"

ended=0
# shellcheck disable=SC2086 # the options are words without blanks
"$benchgate" check $options --format html --output "$folder/report.html" "$run" || ended=$?
case $ended in
    0) message=passing color=brightgreen ;;
    1) message=slower color=red ;;
    # Too short a history, or something that one more run decides.
    *) message='not judged' color=lightgrey ;;
esac
# shellcheck disable=SC2086
"$benchgate" history $options add "$run"
printf '{"schemaVersion": 1, "label": "benchmarks", "message": "%s", "color": "%s"}\n' "$message" "$color" >"$folder/badge.json"
