#!/usr/bin/env bash
# bench/quality.sh [-b BUILD] [-m MODE] [SET…]: retrieval and answers over ../shared/data/SET, end to end: the set's documents are
# ingested into a folder of their own, a daemon serves them, and every question is asked through ragctl.
#   search: questions.jsonl      ask: questions.small.jsonl, in MODE (extract)
set -euo pipefail
cd "$(dirname "$0")/.."
build=build mode=extract
while getopts b:m: o; do
  case $o in b) build=$OPTARG ;; m) mode=$OPTARG ;; *) exit 2 ;; esac
done
shift $((OPTIND - 1))
[ $# -gt 0 ] || set -- xquad_en xquad_zh
data=../shared/data
[ -d "$data" ] || { echo "bench/quality.sh: $data is not here: the evaluation sets are not part of ragd" >&2; exit 1; }
work=$(mktemp -d)
daemon=
stop() { [ -z "$daemon" ] || { kill "$daemon" && wait "$daemon"; daemon=; } 2>/dev/null || true; }
trap 'stop; rm -rf "$work"' EXIT

for set in "$@"; do
  options=(--set "storage.dir=$work/$set" --set "unix.path=$work/$set.sock")
  "$build/bin/ragd-ingest" "${options[@]}" --progress none "$data/$set/docs"
  "$build/bin/ragd" "${options[@]}" --set http.listen=off --set "log.file=$work/$set.log" &
  daemon=$!
  for _ in $(seq 100); do
    "$build/bin/ragctl" --socket "$work/$set.sock" status >/dev/null 2>&1 && break
    sleep 0.1
  done
  "$build/bench/score" questions "$data/$set/questions.jsonl" search >"$work/in"
  "$build/bin/ragctl" --socket "$work/$set.sock" search --batch "$work/in" --concurrency 2 >"$work/out"
  printf '%-18s search           ' "$set"
  "$build/bench/score" search "$data/$set/questions.jsonl" "$work/out"
  "$build/bench/score" questions "$data/$set/questions.small.jsonl" ask >"$work/in"
  "$build/bin/ragctl" --socket "$work/$set.sock" ask --mode "$mode" --batch "$work/in" >"$work/out"
  printf '%-18s ask %-12s ' "$set" "$mode"
  "$build/bench/score" ask "$data/$set/questions.small.jsonl" "$work/out" "$data/$set/docs"
  stop
done
