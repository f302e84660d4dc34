#!/usr/bin/env bash
# bench/fusion.sh [-b BUILD] [-k FOLDER] [SET…]: is the fused search at least as good as the better of its halves?  Each set is searched in the
# three modes; hybrid is compared with both others question by question (nDCG@10 by document, bootstrap).  -k keeps the knowledge bases, and
# the reports, in FOLDER for the next time.
set -euo pipefail
cd "$(dirname "$0")/.."
build=build work=
while getopts b:k: o; do
  case $o in b) build=$OPTARG ;; k) work=$OPTARG ;; *) exit 2 ;; esac
done
shift $((OPTIND - 1))
[ $# -gt 0 ] || set -- xquad_en xquad_zh xquad_enq_zhdocs xquad_zhq_endocs covid_faq gitlab_handbook mtrag_un scifact drcd
data=../shared/data
[ -d "$data" ] || { echo "bench/fusion.sh: $data is not here: the evaluation sets are not part of ragd" >&2; exit 1; }
if [ -z "$work" ]; then
  work=$(mktemp -d)
  trap 'rm -rf "$work"' EXIT
fi

for set in "$@"; do
  "$build/bin/ragd-ingest" --set "storage.dir=$work/$set" --progress none "$data/$set/docs" >/dev/null
  for mode in hybrid vector text; do
    "$build/bin/ragctl" eval --data "$work/$set" --search-only --search-mode $mode --output "$work/$set.$mode.json" "$data/$set" >/dev/null
  done
  for half in vector text; do
    echo "== $set: $half -> hybrid"
    "$build/bin/ragctl" eval --compare "$work/$set.$half.json" "$work/$set.hybrid.json"
  done
done
