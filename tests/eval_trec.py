"""Compares the ranking figures of `ragctl eval` with trec_eval's, through pytrec_eval, on random rankings.

usage: eval_trec.py PROGRAM FOLDER-FILE     PROGRAM: tests/eval_trec.c built; FOLDER-FILE names the unpacked wheel

Exits 77, which ctest takes for "skipped", when ./setup --with eval has not put the wheel there.
"""
import json
import os
import random
import subprocess
import sys
import tempfile

CUTS = (1, 3, 5, 10)
QUESTIONS = 400


def make_question(rng, number):
    """A ranking of results, which may repeat a document, and the gold items; paragraph p of a document is bytes [100 p, 100 p + 100)."""
    places = [(f"d{d}.md", p) for d in range(rng.randint(1, 14)) for p in range(rng.randint(1, 4))]
    rng.shuffle(places)
    results = places[: rng.randint(0, 30)]
    documents = sorted({doc for doc, _ in places} | {f"absent{i}.md" for i in range(rng.randint(0, 3))})
    gold_docs = rng.sample(documents, rng.randint(1, min(len(documents), 13)))
    gold_places = rng.sample(places + [("absent.md", p) for p in range(3)], rng.randint(1, min(len(places), 13)))
    return {"id": f"q{number}", "results": results, "docs": gold_docs, "places": gold_places}


def write_lines(path, objects):
    with open(path, "w", encoding="utf-8") as f:
        f.writelines(json.dumps(o) + "\n" for o in objects)


def ours(program, questions):
    span = lambda p: {"start": 100 * p, "end": 100 * p + 100}
    with tempfile.TemporaryDirectory() as folder:
        files = os.path.join(folder, "q.jsonl"), os.path.join(folder, "r.jsonl")
        write_lines(files[0], [{"id": q["id"], "question": "?", "gold_docs": q["docs"],
                                "gold_spans": [{"doc": d, "para": [100 * p, 100 * p + 100]} for d, p in q["places"]]}
                               for q in questions])
        write_lines(files[1], [{"results": [{"document": d, "text": "", **span(p)} for d, p in q["results"]]} for q in questions])
        done = subprocess.run([program, *files], check=True, capture_output=True, text=True)
    return [json.loads(line) for line in done.stdout.splitlines()]


def theirs(evaluator, questions, ranking_of, gold_of, depth):
    qrels, run = {}, {}
    for q in questions:
        ranking = list(dict.fromkeys(ranking_of(q)))[:depth]
        qrels[q["id"]] = {item: 1 for item in gold_of(q)}
        run[q["id"]] = {item: float(-i) for i, item in enumerate(ranking)} or {"nothing": 0.0}
    cuts = ",".join(map(str, CUTS))
    measures = {f"success.{cuts}", f"recall.{cuts}", "recip_rank", "ndcg_cut.10"}
    return evaluator(qrels, measures).evaluate(run)


def compare(evaluator, questions, figures, prefix, ranking_of, gold_of):
    whole = theirs(evaluator, questions, ranking_of, gold_of, None)
    cut = theirs(evaluator, questions, ranking_of, gold_of, 10)
    wrong, most = 0, 0.0
    for q, got in zip(questions, figures):
        want = {f"{prefix}_hit_{k}": whole[q["id"]][f"success_{k}"] for k in CUTS}
        want.update({f"{prefix}_recall_{k}": whole[q["id"]][f"recall_{k}"] for k in CUTS})
        want[f"{prefix}_mrr_10"] = cut[q["id"]]["recip_rank"]
        want[f"{prefix}_ndcg_10"] = whole[q["id"]]["ndcg_cut_10"]
        for key, value in want.items():
            most = max(most, abs(got[key] - value))
            if not abs(got[key] - value) <= 1e-9:
                wrong += 1
                print(f"{q['id']} {key}: ours {got[key]}, trec_eval {value}")
    print(f"{prefix}: {len(questions)} rankings, {len(want)} figures each, largest difference {most:.3g}")
    return wrong


def main(program, folder_file):
    if not os.path.exists(folder_file):
        print("pytrec_eval is not here: ./setup --with eval fetches it")
        return 77
    with open(folder_file, encoding="utf-8") as f:
        sys.path.insert(0, f.read().strip())
    from pytrec_eval_ext import RelevanceEvaluator
    rng = random.Random(4)
    questions = [make_question(rng, i) for i in range(QUESTIONS)]
    figures = ours(program, questions)
    assert len(figures) == QUESTIONS
    place = lambda p: f"{p[0]}:{p[1]}"
    wrong = compare(RelevanceEvaluator, questions, figures, "doc", lambda q: [d for d, _ in q["results"]], lambda q: q["docs"])
    wrong += compare(RelevanceEvaluator, questions, figures, "span", lambda q: map(place, q["results"]),
                     lambda q: map(place, q["places"]))
    return wrong > 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
