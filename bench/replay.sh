#!/usr/bin/env bash
# bench/replay.sh [-b BUILD] [-d KB] [-m MODE] [-n QUESTIONS] [SET]: asks the first questions of a set (200 of xquad_en) of a daemon with
# llm.deterministic = on, then replays every answer, the last one first.  KB is a folder that holds the set; without it, it is made.
# Exits 0 when all are equal.
set -euo pipefail
cd "$(dirname "$0")/.."
build=build mode=generate n=200 kb=
while getopts b:d:m:n: o; do
  case $o in b) build=$OPTARG ;; d) kb=$OPTARG ;; m) mode=$OPTARG ;; n) n=$OPTARG ;; *) exit 2 ;; esac
done
shift $((OPTIND - 1))
set_name=${1:-xquad_en} data=${RAGD_SETS:-../shared/data}
[ -d "$data/$set_name" ] || { echo "bench/replay.sh: $data/$set_name is not here: the evaluation sets are not part of ragd" >&2; exit 1; }
work=$(mktemp -d) pid=
trap '[ -z "$pid" ] || kill "$pid" 2>/dev/null || true; wait; rm -rf "$work"' EXIT
if [ -n "$kb" ]; then
  cp -r "$kb" "$work/kb"
else
  "$build/bin/ragd-ingest" --set "storage.dir=$work/kb" --progress none "$data/$set_name/docs" >/dev/null
fi
"$build/bin/ragd" --set "storage.dir=$work/kb" --set "unix.path=$work/s" --set http.listen=off --set llm.deterministic=on \
  --set answer.refuse_below=0 >"$work/log" 2>&1 &
pid=$!
ctl() { "$build/bin/ragctl" --socket "$work/s" --json "$@"; }
until ctl status 2>/dev/null | grep -q '"decoder_state":"ready"'; do
  kill -0 "$pid" 2>/dev/null || { cat "$work/log" >&2; exit 1; }
  sleep 0.2
done
head -n "$n" "$data/$set_name/questions.jsonl" >"$work/questions"
python3 -c '
import json, sys
for line in open(sys.argv[1]):
    print(json.dumps({"question": json.loads(line)["question"], "mode": sys.argv[2]}))
' "$work/questions" "$mode" >"$work/batch"
ctl ask --batch "$work/batch" --concurrency 1 >"$work/answers"
python3 -c '
import json, sys
for line in open(sys.argv[1]):
    print(json.loads(line)["answer_id"])
' "$work/answers" >"$work/ids"
equal=0 different=0
for id in $(tac "$work/ids"); do
  if ctl replay "$id" >"$work/replay"; then
    equal=$((equal + 1))
  else
    different=$((different + 1))
    cat "$work/replay"
  fi
done
modes=$(python3 -c '
import collections, json, sys
print(dict(collections.Counter(json.loads(l)["mode"] for l in open(sys.argv[1]))))
' "$work/answers")
echo "$set_name, asked for $mode: $(wc -l <"$work/ids") answers $modes, $equal replays equal, $different different"
[ "$different" -eq 0 ]
