#include "index/bm25.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"

enum { ROWS_PER_LOOK = 4096 };

static const char POINTER_TYPE[] = "rag_bm25";

/* From half to twice the body's weight for title and headings moved nothing on the development sets. */
const float bm25_column_weight[N_COLUMNS] = { 1.0f, 1.0f, 1.0f };

struct bm25 {
    /* By position, as long as the largest snapshot met. */
    float *score;
    float *coverage; /* idf of the phrases that hit it, summed */
    uint8_t *quotes; /* bit q: the body holds quote q's phrase */
    uint32_t *touched;
    uint32_t *row;
    float *frequency;
    size_t n_touched, capacity, n_rows;
    double idf_sum; /* of all phrases */
    float idf[PLAN_MAX_PHRASES + PLAN_MAX_QUOTES];

    db *db;
    const rag_snapshot *snapshot;
    const filter *filter;
    const plan *plan;
    size_t phrase; /* at work */
    size_t hint;
    size_t looks;
    bool late;
};

bm25 *bm25_new(void)
{
    return rag_calloc(1, sizeof(bm25));
}

void bm25_free(bm25 *b)
{
    if (!b)
        return;
    free(b->score);
    free(b->coverage);
    free(b->quotes);
    free(b->touched);
    free(b->row);
    free(b->frequency);
    free(b);
}

static void forget_scores(bm25 *b)
{
    for (size_t i = 0; i < b->n_touched; i++) {
        b->score[b->touched[i]] = 0;
        b->coverage[b->touched[i]] = 0;
        b->quotes[b->touched[i]] = 0;
    }
    b->n_touched = 0;
    b->idf_sum = 0;
    memset(b->idf, 0, sizeof b->idf);
}

static void make_room(bm25 *b, size_t n)
{
    forget_scores(b);
    if (n <= b->capacity)
        return;
    b->score = rag_realloc(b->score, n * sizeof *b->score);
    b->coverage = rag_realloc(b->coverage, n * sizeof *b->coverage);
    b->quotes = rag_realloc(b->quotes, n);
    b->touched = rag_realloc(b->touched, n * sizeof *b->touched);
    b->row = rag_realloc(b->row, n * sizeof *b->row);
    b->frequency = rag_realloc(b->frequency, n * sizeof *b->frequency);
    memset(b->score, 0, n * sizeof *b->score);
    memset(b->coverage, 0, n * sizeof *b->coverage);
    memset(b->quotes, 0, n);
    b->capacity = n;
}

/* ---- one phrase ------------------------------------------------------------------------- */

static float weighted_frequency(const Fts5ExtensionApi *api, Fts5Context *fts, bool *in_body, int *rc)
{
    Fts5PhraseIter at;
    int column, offset;
    float tf = 0;
    *in_body = false;
    *rc = api->xPhraseFirst(fts, 0, &at, &column, &offset);
    for (; *rc == SQLITE_OK && column >= 0; api->xPhraseNext(fts, &at, &column, &offset)) {
        if (column >= N_COLUMNS)
            continue;
        tf += bm25_column_weight[column];
        *in_body = *in_body || column == COLUMN_BODY;
    }
    return tf;
}

static bool is_late(bm25 *b)
{
    double deadline = db_deadline(b->db);
    if (deadline > 0 && ++b->looks % ROWS_PER_LOOK == 0)
        b->late = rag_clock_ms() > deadline;
    return b->late;
}

static int on_row(const Fts5ExtensionApi *api, Fts5Context *fts, void *context)
{
    bm25 *b = context;
    if (is_late(b))
        return SQLITE_INTERRUPT;
    size_t at = vectors_find(b->snapshot->vectors, api->xRowid(fts), b->hint);
    if (at == SIZE_MAX)
        return SQLITE_OK;
    b->hint = at;
    if (!bit_is_set(b->filter->bits, at))
        return SQLITE_OK;
    bool in_body;
    int rc, quote = b->plan->phrases[b->phrase].quote;
    b->frequency[b->n_rows] = weighted_frequency(api, fts, &in_body, &rc);
    b->row[b->n_rows++] = (uint32_t)at;
    if (quote && in_body)
        b->quotes[at] |= (uint8_t)(1u << (quote - 1));
    return rc;
}

/* The phrase's rows are known, so n and with it idf: add its part to their scores. */
static void add_scores(bm25 *b)
{
    double n = (double)b->n_rows, all = (double)b->filter->n_visible, mean = b->filter->mean_length;
    double idf = log(1 + (all - n + 0.5) / (n + 0.5));
    b->idf_sum += idf;
    b->idf[b->phrase] = b->n_rows > 0 ? (float)idf : 0;
    for (size_t i = 0; i < b->n_rows; i++) {
        uint32_t at = b->row[i];
        double tf = b->frequency[i];
        if (tf <= 0)
            continue;
        double norm = 1 - BM25_B + BM25_B * b->snapshot->length[at] / mean;
        if (b->score[at] == 0)
            b->touched[b->n_touched++] = at;
        b->coverage[at] += (float)idf;
        b->score[at] += (float)(idf * tf * (BM25_K1 + 1) / (tf + BM25_K1 * norm));
    }
}

static void score_rows(const Fts5ExtensionApi *api, Fts5Context *fts, sqlite3_context *context, int n,
                       sqlite3_value **v)
{
    bm25 *b = n == 1 ? sqlite3_value_pointer(v[0], POINTER_TYPE) : NULL;
    if (!b) {
        sqlite3_result_error(context, "rag_bm25() is not for queries by hand", -1);
        return;
    }
    int rc = SQLITE_OK, phrases = api->xPhraseCount(fts);
    for (int i = 0; rc == SQLITE_OK && i < phrases && (size_t)i < b->plan->n_phrases; i++) {
        b->phrase = (size_t)i;
        b->hint = 0;
        b->n_rows = 0;
        rc = api->xQueryPhrase(fts, i, b, on_row);
        if (rc == SQLITE_OK)
            add_scores(b);
    }
    if (rc != SQLITE_OK)
        sqlite3_result_error_code(context, rc);
    else
        sqlite3_result_int(context, 1);
}

int bm25_register(fts5_api *api)
{
    return api->xCreateFunction(api, "rag_bm25", NULL, score_rows, NULL);
}

/* ---- a query ------------------------------------------------------------------------------ */

rag_code bm25_run(bm25 *b, db *d, const rag_snapshot *s, const filter *f, const plan *p, rag_err *err)
{
    make_room(b, s->n);
    b->db = d;
    b->snapshot = s;
    b->filter = f;
    b->plan = p;
    b->late = false;
    if (!p->match || f->n_visible == 0)
        return RAG_OK;
    int64_t done;
    /* The first matching row makes the call; that call scores all of them. */
    rag_code code = db_number(d, &done, "SELECT rag_bm25(chunk_fts, ?2) FROM chunk_fts WHERE chunk_fts MATCH ?1 LIMIT 1",
                              BIND(text(rag_str_of(p->match)), pointer(b, POINTER_TYPE)), err);
    if (code == RAG_NOT_FOUND)
        code = RAG_OK;
    if (b->n_touched == 0)
        b->idf_sum = 0; /* whether a hidden row made the call must not show */
    if (b->late)
        code = rag_fail(err, RAG_DEADLINE, "out of time while searching the text");
    return code;
}

size_t bm25_count(const bm25 *b)
{
    return b->n_touched;
}

const uint32_t *bm25_touched(const bm25 *b)
{
    return b->touched;
}

float bm25_score(const bm25 *b, size_t position)
{
    return b->score[position];
}

double bm25_coverage(const bm25 *b, size_t position)
{
    return b->idf_sum > 0 ? b->coverage[position] / b->idf_sum : 0;
}

const float *bm25_idf(const bm25 *b)
{
    return b->idf;
}

double bm25_ceiling(const bm25 *b)
{
    return b->idf_sum * (BM25_K1 + 1);
}

bool bm25_has_quotes(const bm25 *b, const plan *p, size_t position)
{
    unsigned wanted = 0;
    for (size_t i = 0; i < p->n_phrases; i++)
        if (p->phrases[i].quote)
            wanted |= 1u << (p->phrases[i].quote - 1);
    return (b->quotes[position] & wanted) == wanted;
}
