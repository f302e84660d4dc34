"""bench_vectors.py run STORE ROW: what the faiss-cpu wheel makes of the vectors that bench_vectors made, with the same type and settings as
ROW (a JSON object of bench_vectors run); one JSON object.
bench_vectors.py table FILE: those objects as a table.  bench/bench_vectors.sh calls both."""
import json
import os
import sys
import time

BEST = 10
EXACT_QUESTIONS_AT_A_MILLION = 100


def resident_mib():
    with open("/proc/self/statm") as f:
        return int(f.read().split()[1]) * os.sysconf("SC_PAGESIZE") / (1 << 20)


def make(faiss, np, row, base, d):
    metric = faiss.METRIC_INNER_PRODUCT
    n = len(base)
    if row["type"] == "Flat":
        index = faiss.IndexFlatIP(d)
    elif row["type"] == "HNSW":
        index = faiss.index_factory(d, "HNSW32,SQ8", metric)
    else:
        index = faiss.IndexIVFScalarQuantizer(faiss.IndexFlatIP(d), d, row["lists"], faiss.ScalarQuantizer.QT_8bit, metric, False)
        index.own_fields = False
        index.cp.niter = 10
    if row["type"] != "Flat":
        wanted = min(n, max(48 * row["lists"], 16384))
        index.train(np.ascontiguousarray(base[np.random.default_rng(1).choice(n, wanted, replace=False)]))
    for at in range(0, n, 16384):
        index.add(np.ascontiguousarray(base[at:at + 16384]))
    return index


def build_apart(store, row):
    pid = os.fork()
    if pid == 0:
        import faiss
        import numpy as np
        d = row["dim"]
        base = np.memmap(os.path.join(store, "base.f32"), dtype=np.float32, mode="r").reshape(-1, d)
        faiss.omp_set_num_threads(os.cpu_count())
        faiss.write_index(make(faiss, np, row, base, d), os.path.join(store, "wheel.faiss"))
        os._exit(0)
    if os.waitpid(pid, 0)[1] != 0:
        sys.exit("bench_vectors.py: the wheel cannot build it")


def ask(faiss, np, store, row, index):
    d = row["dim"]
    questions = np.fromfile(os.path.join(store, "questions.f32"), dtype=np.float32).reshape(-1, d)
    best = np.fromfile(os.path.join(store, "truth.i32"), dtype=np.int32).reshape(-1, BEST)
    if row["type"] == "Flat" and row["n"] > 200000:
        questions = questions[:EXACT_QUESTIONS_AT_A_MILLION]
    params = None
    if row["type"] == "IVF":
        params = faiss.SearchParametersIVF(nprobe=row["effort"])
    if row["type"] == "HNSW":
        params = faiss.SearchParametersHNSW(efSearch=row["effort"])
    for _ in range(2):
        ms, right = [], 0
        for i in range(len(questions)):
            begun = time.perf_counter()
            _, at = index.search(questions[i:i + 1], BEST, params=params)
            ms.append((time.perf_counter() - begun) * 1000)
            right += len(set(at[0]) & set(best[i]))
    ms.sort()
    return right / (len(questions) * BEST), ms[len(ms) // 2], ms[len(ms) * 99 // 100]


def run(store, row):
    begun = time.perf_counter()
    build_apart(store, row)
    built = time.perf_counter()
    import faiss
    import numpy as np
    faiss.omp_set_num_threads(1)
    path = os.path.join(store, "wheel.faiss")
    before, loading = resident_mib(), time.perf_counter()
    index = faiss.read_index(path)
    loaded = time.perf_counter()
    recall, p50, p99 = ask(faiss, np, store, row, index)
    os.unlink(path)
    out = {"who": "wheel", "faiss": faiss.__version__, "type": row["type"], "n": row["n"], "recall": round(recall, 4), "p50_ms": round(p50, 3),
           "p99_ms": round(p99, 3), "build_s": round(built - begun, 1), "load_s": round(loaded - loading, 2),
           "resident_mib": round(resident_mib() - before), "lists": row["lists"], "effort": row["effort"]}
    print(json.dumps(out))


def table(path):
    columns = ["recall", "p50_ms", "p99_ms", "build_s", "load_s", "resident_mib"]
    rows = [json.loads(line) for line in open(path)]
    print("| vectors | type | lists, effort | who | recall@10 | p50 ms | p99 ms | build s | load s | MiB |")
    print("| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |")
    for row in rows:
        print(f"| {row['n']:,} | {row['type']} | {row['lists']}, {row['effort']} | {row['who']}, FAISS {row['faiss']} | " +
              " | ".join(str(row[c]) for c in columns) + " |")
        if row["who"] == "wheel":
            ours = next(r for r in rows if r["who"] == "ragd" and (r["n"], r["type"]) == (row["n"], row["type"]))
            ratio = [f"{ours[c] / row[c]:.2f}" if row[c] else "" for c in columns]
            print("| | | | ragd / wheel | " + " | ".join(ratio) + " |")


if len(sys.argv) == 4 and sys.argv[1] == "run":
    run(sys.argv[2], json.loads(sys.argv[3]))
elif len(sys.argv) == 3 and sys.argv[1] == "table":
    table(sys.argv[2])
else:
    sys.exit(__doc__)
