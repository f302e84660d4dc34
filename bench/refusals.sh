#!/usr/bin/env bash
# bench/refusals.sh [-b BUILD] [SET…]: every question of a set is asked of a knowledge base that holds every second of its articles: how many are
# refused whose article is not there, and how many whose article is.
set -euo pipefail
cd "$(dirname "$0")/.."
build=build
[ "${1:-}" != -b ] || { build=$2; shift 2; }
[ $# -gt 0 ] || set -- xquad_en xquad_zh
data=../shared/data
[ -d "$data" ] || { echo "bench/refusals.sh: $data is not here: the evaluation sets are not part of ragd" >&2; exit 1; }
work=$(mktemp -d)
daemon=
stop() { [ -z "$daemon" ] || { kill "$daemon" && wait "$daemon"; daemon=; } 2>/dev/null || true; }
trap 'stop; rm -rf "$work"' EXIT

for set in "$@"; do
  mkdir "$work/docs"
  find "$data/$set/docs" -type f | sort | awk 'NR % 2 == 0' | xargs -d '\n' cp -t "$work/docs"
  options=(--set "storage.dir=$work/$set" --set "unix.path=$work/$set.sock")
  "$build/bin/ragd-ingest" "${options[@]}" --progress none "$work/docs" >/dev/null
  "$build/bin/ragd" "${options[@]}" --set http.listen=off --set "log.file=$work/$set.log" >/dev/null &
  daemon=$!
  for _ in $(seq 100); do
    "$build/bin/ragctl" --socket "$work/$set.sock" status >/dev/null 2>&1 && break
    sleep 0.1
  done
  "$build/bench/score" questions "$data/$set/questions.jsonl" ask >"$work/in"
  "$build/bin/ragctl" --socket "$work/$set.sock" ask --mode extract --batch "$work/in" >"$work/out"
  printf '%-18s ' "$set"
  "$build/bench/score" refusals "$data/$set/questions.jsonl" "$work/out" "$work/docs"
  stop
  rm -r "$work/docs"
done
