#!/usr/bin/env bash
# bench/bench_ingest.sh [-b BUILD] [DOCS]: ingest's tokens a second against a bare loop of one-sequence encodes of the same texts,
# turn by turn; the best of three each, since other processes only slow things down.
set -euo pipefail
cd "$(dirname "$0")/.."
build=build
while getopts b: o; do
  case $o in b) build=$OPTARG ;; *) exit 2 ;; esac
done
shift $((OPTIND - 1))
docs=${1:-../shared/data/xquad_en/docs}
model=models/multilingual-e5-small-q4_0.gguf
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
find "$docs" -type f \( -name '*.md' -o -name '*.txt' -o -name '*.html' \) -print0 |
  xargs -0 "$build/bench/bench_chunks" "$model" >"$work/texts"
field() { sed -E "s/.*\"$1\":([0-9.]+).*/\1/"; }
best_bare=0 best_ingest=0
max() { awk -v a="$1" -v b="$2" 'BEGIN { print (a > b) ? a : b }'; }
for turn in 1 2 3; do
  bare=$("$build/bench/bench_encode" "$model" "$work/texts" | field tokens_per_second)
  rm -rf "$work/kb"
  summary=$("$build/bin/ragd-ingest" -c conf/ragd.conf --set "models.embed=$PWD/$model" --set "storage.dir=$work/kb" \
    --progress none --json "$docs")
  ingest=$(awk -v t="$(field tokens <<<"$summary")" -v s="$(field seconds <<<"$summary")" 'BEGIN { printf "%.1f", t / s }')
  echo "turn $turn: bare $bare, ingest $ingest tokens/s"
  best_bare=$(max "$best_bare" "$bare") best_ingest=$(max "$best_ingest" "$ingest")
done
awk -v i="$best_ingest" -v b="$best_bare" 'BEGIN { printf "ingest %.1f / bare %.1f tokens/s = %.3f\n", i, b, i / b }'
