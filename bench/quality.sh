#!/usr/bin/env bash
# bench/quality.sh [-b BUILD] [-m MODE] [-o FOLDER] [SET…]: retrieval and answers over ../shared/data/SET, end to end: the set's documents are
# ingested into a folder of their own, and `ragctl eval` asks every question.
#   search: questions.jsonl      ask: questions.small.jsonl, in MODE (extract)
# With -o the reports are kept as FOLDER/SET.{search,ask}.{json,html}; `ragctl eval --compare` compares two of them.
set -euo pipefail
cd "$(dirname "$0")/.."
build=build mode=extract out=
while getopts b:m:o: o; do
  case $o in b) build=$OPTARG ;; m) mode=$OPTARG ;; o) out=$OPTARG ;; *) exit 2 ;; esac
done
shift $((OPTIND - 1))
[ $# -gt 0 ] || set -- xquad_en xquad_zh
data=../shared/data
[ -d "$data" ] || { echo "bench/quality.sh: $data is not here: the evaluation sets are not part of ragd" >&2; exit 1; }
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
[ -z "$out" ] || mkdir -p "$out"

measure() { # NAME OPTION…
  local name=$1 keep=()
  shift
  [ -z "$out" ] || keep=(--output "$out/$name.json" --html "$out/$name.html")
  "$build/bin/ragctl" eval --data "$work/$set" ${keep[@]+"${keep[@]}"} "$@" "$data/$set"
  echo
}

for set in "$@"; do
  "$build/bin/ragd-ingest" --set "storage.dir=$work/$set" --progress none "$data/$set/docs"
  measure "$set.search" --search-only
  measure "$set.ask" --small --mode "$mode"
  rm -r "${work:?}/$set"
done
