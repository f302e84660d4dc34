#!/usr/bin/env bash
# bench/refusals.sh [-b BUILD] [SET…]: every question of a set is asked of a knowledge base that holds every second of its articles.  Those whose
# article is not there have no answer: refusal recall says how many of them are refused, "wrongly refused" how many of the others.
set -euo pipefail
cd "$(dirname "$0")/.."
build=build
[ "${1:-}" != -b ] || { build=$2; shift 2; }
[ $# -gt 0 ] || set -- xquad_en xquad_zh
data=../shared/data
[ -d "$data" ] || { echo "bench/refusals.sh: $data is not here: the evaluation sets are not part of ragd" >&2; exit 1; }
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# Questions whose gold documents are all absent from FOLDER become questions without an answer.
take_away() { # FOLDER <QUESTIONS
  python3 -c '
import json, os, sys
for line in sys.stdin:
    q = json.loads(line)
    if not any(os.path.exists(os.path.join(sys.argv[1], d)) for d in q["gold_docs"]):
        q.update(answerable=False, answers=[], gold_docs=[], gold_spans=[], evidence=[])
    print(json.dumps(q))
' "$1"
}

for set in "$@"; do
  mkdir -p "$work/$set/docs"
  find "$data/$set/docs" -type f | sort | awk 'NR % 2 == 0' | xargs -d '\n' cp -t "$work/$set/docs"
  take_away "$work/$set/docs" <"$data/$set/questions.jsonl" >"$work/$set/questions.jsonl"
  "$build/bin/ragd-ingest" --set "storage.dir=$work/kb" --progress none "$work/$set/docs" >/dev/null
  "$build/bin/ragctl" eval --data "$work/kb" --mode extract "$work/$set"
  echo
  rm -r "$work/kb"
done
