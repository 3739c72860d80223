#!/usr/bin/env bash
# A crawl by hand: the frontier and the fetcher in a ring, closed by one FIFO.
#
#     scripts/loop.sh JOB START_URL...
#
# JOB is the job directory; the same command goes on where it stopped. Every
# result, with its links, is added to pages.jsonl as it comes; `--output FILE` at
# the frontier would write the exactly-once records instead. The exit code is the
# frontier's: 0 when nothing is pending. Any stage can be another program.
set -u
if [ $# -lt 2 ]; then
    echo "usage: scripts/loop.sh JOB START_URL..." >&2
    exit 2
fi
job=$1
shift
starts=()
for url in "$@"; do
    starts+=(--start "$url")
done

# The tools on PATH, else those that are built here.
here=$(cd "$(dirname "$0")/.." && pwd)
PATH=$PATH:$here/target/release:$here/target/debug

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
mkfifo "$folder/loop"

# Ctrl+C reaches the whole ring. Only the frontier shall act on it: it stops asking,
# takes the results of what is under way, and ends; its closed pipe ends the others.
trap : INT TERM HUP
crawl-frontier serve --job "$job" "${starts[@]}" <"$folder/loop" |
    (trap '' INT TERM HUP && exec crawl-fetch --max-redirects 0 --robots) |
    (trap '' INT TERM HUP && exec tee -a pages.jsonl >"$folder/loop")
exit "${PIPESTATUS[0]}"
