#!/usr/bin/env bash
# bench/confidence.sh [-b BUILD] [-n LIMIT] [-o FILE]: answers to the development sets, and to some of them with every second article left out, make
# conf/confidence.conf: half of the questions are fitted to, the other half reported on.  Copy the numbers into daemon/answer_confidence.c (its test compares).
set -euo pipefail
cd "$(dirname "$0")/.."
build=build limit=400 out=conf/confidence.conf
while getopts b:n:o: flag; do
  case $flag in b) build=$OPTARG ;; n) limit=$OPTARG ;; o) out=$OPTARG ;; *) exit 2 ;; esac
done
data=../shared/data
[ -d "$data" ] || { echo "bench/confidence.sh: $data is not here: the evaluation sets are not part of ragd" >&2; exit 1; }
work=$(mktemp -d)
daemon=
trap '[ -z "$daemon" ] || kill "$daemon"; rm -rf "$work"' EXIT
fits=()

# The first LIMIT questions by a hash of their ids; those whose gold documents are all absent from FOLDER have no answer.
choose() { # SET FOLDER
  python3 -c '
import hashlib, json, os, sys
rows = sorted(map(json.loads, open(sys.argv[1])), key=lambda q: hashlib.md5(q["id"].encode()).digest())
for q in rows[:int(sys.argv[3])]:
    if not any(os.path.exists(os.path.join(sys.argv[2], d)) for d in q["gold_docs"]):
        q.update(answerable=False, answers=[])
    print(json.dumps(q, ensure_ascii=False))
' "$data/$1/questions.jsonl" "$2" "$limit"
}

requests() {
  python3 -c '
import json, sys
for q in map(json.loads, sys.stdin):
    print(json.dumps({"id": q["id"], "question": q["question"], "mode": "extract", "explain": True}, ensure_ascii=False))'
}

ask() { # NAME FOLDER
  local base=$work/$1
  "$build/bin/ragd-ingest" --set "storage.dir=$base.kb" --progress none "$2" >/dev/null
  "$build/bin/ragd" --set "storage.dir=$base.kb" --set models.decoder=none --set "unix.path=$base.sock" --set http.listen=off \
    --set answer.refuse_below=0 --set "log.file=$base.log" >/dev/null &
  daemon=$!
  until [ -S "$base.sock" ] && "$build/bin/ragctl" search --socket "$base.sock" --json a >/dev/null 2>&1; do sleep 0.2; done
  requests <"$base.q" | "$build/bin/ragctl" ask --socket "$base.sock" --batch - --concurrency 2 >"$base.a"
  kill "$daemon" && wait "$daemon" || true
  daemon=
  fits+=("$1=$base.q:$base.a")
}

for set in squad2 xquad_en xquad_zh drcd cmrc2018 covid_faq mtrag_un xquad_enq_zhdocs xquad_zhq_endocs; do
  choose "$set" "$data/$set/docs" >"$work/$set.q"
  ask "$set" "$data/$set/docs"
done
for set in xquad_en xquad_zh drcd cmrc2018 covid_faq xquad_enq_zhdocs xquad_zhq_endocs; do
  mkdir "$work/$set.docs"
  find "$data/$set/docs" -type f | sort | awk 'NR % 2 == 0' | xargs -d '\n' cp -t "$work/$set.docs"
  choose "$set" "$work/$set.docs" >"$work/$set.half.q"
  ask "$set.half" "$work/$set.docs"
done
"$build/bench/fit_confidence" -2 2 -d "$(date +%F)" -o "$out" "${fits[@]}"
