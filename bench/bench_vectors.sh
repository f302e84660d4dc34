#!/usr/bin/env bash
# bench/bench_vectors.sh [-b BUILD] [-n N]… [-t TYPE]… [-k KB]… [-d FOLDER]… [-a]: recall against exact search, build time, memory and time of a query
# for every type of vector index, beside the faiss-cpu wheel in the same run, with the same settings, one thread a query.
#   -n N       vectors (10000, 100000 and 1000000)
#   -t TYPE    Flat, HNSW, IVF (all; HNSW over a million vectors only with native FAISS or -a: Debian's takes hours)
#   -k KB      take the real vectors from this knowledge base; several are taken together
#   -d FOLDER  else ingest this folder of ../shared/data/bigdocs (prometheus-en and apisix-en-zh: about ten minutes, once)
# Real vectors come first; noisy copies of them fill up.  Needs 4 GB of disk and 3 GB of memory for a million.
set -euo pipefail
cd "$(dirname "$0")/.."
build=build sizes=() types=() kbs=() folders=() all=''
while getopts b:n:t:k:d:a o; do
  case $o in
  b) build=$OPTARG ;; n) sizes+=("$OPTARG") ;; t) types+=("$OPTARG") ;; k) kbs+=("$OPTARG") ;; d) folders+=("$OPTARG") ;; a) all=1 ;;
  *) exit 2 ;;
  esac
done
((${#sizes[@]})) || sizes=(10000 100000 1000000)
((${#types[@]})) || types=(Flat HNSW IVF)
((${#folders[@]})) || folders=(prometheus-en apisix-en-zh)
cache=${RAGD_CACHE:-${XDG_CACHE_HOME:-${HOME:-/root}/.cache}/ragd}/bench
data=../shared/data/bigdocs
mkdir -p "$cache"
work=$(mktemp -d "$cache/XXXXXX")
trap 'rm -rf "$work"' EXIT

if ((${#kbs[@]} == 0)); then
  [ -d "$data" ] || { echo "bench/bench_vectors.sh: $data is not here: the evaluation sets are not part of ragd; name knowledge bases with -k" >&2; exit 1; }
  kb=$cache/kb-$(printf '%s\n' "${folders[@]}" | sha256sum | cut -c 1-16)
  "$build/bin/ragd-ingest" --set "storage.dir=$kb" --keep-missing "${folders[@]/#/$data/}" >&2
  kbs=("$kb")
fi

wheel=$cache/faiss-cpu
if [ ! -d "$wheel" ]; then
  python3 -m pip install -q --no-input --disable-pip-version-check --target "$work/wheel" faiss-cpu >&2 && mv "$work/wheel" "$wheel" ||
    { echo "bench/bench_vectors.sh: pip cannot install faiss-cpu: ragd is measured alone" >&2; wheel=''; }
fi

native=$("$build/bin/ragctl" --version | grep -o '(native)' || true)
for n in "${sizes[@]}"; do
  rm -rf "$work/store" && mkdir "$work/store"
  "$build/bench/bench_vectors" make "$work/store" "$n" "${kbs[@]}" >"$work/made"
  echo "$(<"$work/made") load $(cut -d ' ' -f 1 /proc/loadavg)" >&2
  dim=$(sed -E 's/.*"dim":([0-9]+).*/\1/' "$work/made")
  for type in "${types[@]}"; do
    if [ "$type" = HNSW ] && ((n > 300000)) && [ ! "$native$all" ]; then
      echo "HNSW over $n vectors is left out: FAISS is not native; -a builds it anyway" >&2
      continue
    fi
    row=$("$build/bench/bench_vectors" run "$work/store" "$type")
    echo "$row" | tee -a "$work/rows" >&2
    [ ! "$wheel" ] || PYTHONPATH=$wheel python3 bench/bench_vectors.py run "$work/store" "{\"dim\":$dim,${row#\{}" | tee -a "$work/rows" >&2
  done
done
PYTHONPATH=$wheel python3 bench/bench_vectors.py table "$work/rows"
