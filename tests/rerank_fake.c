/* tests/rerank_fake.c: embed/rerank.h without a model, which counts.
 *
 * The n-th pair that it scores has the score n, so that hits come out in reversed order.  A path that contains
 * "missing" fails as a missing file does, one that contains "headless" as a model without a rank head.
 *
 * RAGD_FAKE_RERANK_MOST: after so many pairs the time is over.  RAGD_FAKE_RERANK_FAIL: the pair of this number cannot be
 * scored.  RAGD_FAKE_RERANK_DELAY_MS: what each takes.  RAGD_FAKE_RERANK_GATE: a file that must exist before any is scored.
 * RAGD_FAKE_RERANK_OPEN_GATE: one that must exist before it is open.  RAGD_FAKE_TRACE: a file to which a pair adds "p" when it begins (and a
 * question's embedding, in embed_fake.c, "e"). */
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/file.h"
#include "embed/rerank.h"
#include "tests/trace.h"

struct rag_reranker {
    char name[64];
    long n, most, failing, delay_ms;
};

static long number(const char *name, long fallback)
{
    const char *text = getenv(name);
    return text ? strtol(text, NULL, 10) : fallback;
}

static void nap(long ms)
{
    nanosleep(&(struct timespec){ ms / 1000, ms % 1000 * 1000000 }, NULL);
}

static void wait_at(const char *name)
{
    const char *gate = getenv(name);
    while (gate && access(gate, F_OK) != 0)
        nap(5);
}

rag_code rag_rerank_check(const char *model_path, rag_err *err)
{
    if (strstr(model_path, "missing"))
        return rag_fail(err, RAG_CONFIG, "cannot open '%s': no such file", model_path);
    if (strstr(model_path, "headless"))
        return rag_fail(err, RAG_CONFIG, "'%s' is not a reranker: it has no rank head", model_path);
    return RAG_OK;
}

rag_code rag_rerank_open(rag_reranker **out, const rag_rerank_options *opt, rag_err *err)
{
    *out = NULL;
    rag_code code = rag_rerank_check(opt->model_path, err);
    if (code != RAG_OK)
        return code;
    wait_at("RAGD_FAKE_RERANK_OPEN_GATE");
    rag_reranker *r = rag_calloc(1, sizeof *r);
    const char *slash = strrchr(opt->model_path, '/');
    strncpy(r->name, slash ? slash + 1 : opt->model_path, sizeof r->name - 1);
    r->most = number("RAGD_FAKE_RERANK_MOST", -1);
    r->failing = number("RAGD_FAKE_RERANK_FAIL", -1);
    r->delay_ms = number("RAGD_FAKE_RERANK_DELAY_MS", 0);
    *out = r;
    return RAG_OK;
}

void rag_rerank_close(rag_reranker *r)
{
    free(r);
}

const char *rag_rerank_name(const rag_reranker *r)
{
    return r->name;
}

int rag_rerank_max_tokens(const rag_reranker *r)
{
    (void)r;
    return 512;
}

size_t rag_rerank_memory(const rag_reranker *r)
{
    return sizeof *r;
}

rag_code rag_rerank_score(rag_reranker *r, rag_str query, rag_str passage, double deadline_ms, float *score,
                          size_t *tokens, rag_err *err)
{
    trace('p');
    wait_at("RAGD_FAKE_RERANK_GATE");
    nap(r->delay_ms);
    if (r->n == r->most || (deadline_ms > 0 && rag_clock_ms() >= deadline_ms))
        return rag_fail(err, RAG_DEADLINE, "no time was left for the reranker");
    if (++r->n == r->failing)
        return rag_fail(err, RAG_IO, "cannot score a pair");
    *score = (float)r->n;
    if (tokens)
        *tokens = query.len + passage.len;
    return RAG_OK;
}

void rag_rerank_cancel(rag_reranker *r)
{
    (void)r;
}
