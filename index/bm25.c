#include "index/bm25.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"

enum { ROWS_PER_LOOK = 4096 };

static const char POINTER_TYPE[] = "rag_bm25";

struct bm25 {
    /* By position, as long as the largest snapshot met. */
    float *score;
    float *coverage; /* idf of the phrases that hit it, summed */
    uint64_t *held;  /* plan_bit of each of them */
    uint32_t *touched;
    uint32_t *row;
    float *frequency;
    size_t n_touched, capacity, n_rows;
    /* By phrase. */
    float idf[PLAN_ROOM];
    size_t rows[PLAN_ROOM];
    double rarity[PLAN_ROOM]; /* its part of idf_sum */
    double idf_sum; /* of all phrases that count */

    db *db;
    const rag_snapshot *snapshot;
    const filter *filter;
    const plan *plan;
    size_t first;  /* phrase of the plan that is the first of the MATCH */
    size_t phrase; /* at work */
    size_t scored; /* phrases in front of this one are done */
    size_t hint;
    size_t max_rows, max_more_rows;
    size_t walked; /* visible rows of all phrases */
    bool cut;      /* the phrase at work has too many */
    size_t looks;
    bool late;
};

bm25 *bm25_new(void)
{
    bm25 *b = rag_calloc(1, sizeof *b);
    bm25_limit(b, BM25_MAX_ROWS, BM25_MAX_MORE_ROWS);
    return b;
}

void bm25_limit(bm25 *b, size_t rows, size_t more_rows)
{
    b->max_rows = rows;
    b->max_more_rows = more_rows;
}

void bm25_free(bm25 *b)
{
    if (!b)
        return;
    free(b->score);
    free(b->coverage);
    free(b->held);
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
        b->held[b->touched[i]] = 0;
    }
    b->n_touched = 0;
    b->idf_sum = 0;
    memset(b->idf, 0, sizeof b->idf);
    memset(b->rows, 0, sizeof b->rows);
    memset(b->rarity, 0, sizeof b->rarity);
}

static void make_room(bm25 *b, size_t n)
{
    if (n <= b->capacity)
        return;
    b->score = rag_realloc(b->score, n * sizeof *b->score);
    b->coverage = rag_realloc(b->coverage, n * sizeof *b->coverage);
    b->held = rag_realloc(b->held, n * sizeof *b->held);
    b->touched = rag_realloc(b->touched, n * sizeof *b->touched);
    b->row = rag_realloc(b->row, n * sizeof *b->row);
    b->frequency = rag_realloc(b->frequency, n * sizeof *b->frequency);
    memset(b->score, 0, n * sizeof *b->score);
    memset(b->coverage, 0, n * sizeof *b->coverage);
    memset(b->held, 0, n * sizeof *b->held);
    b->capacity = n;
}

void bm25_begin(bm25 *b, db *d, const rag_snapshot *s, const filter *f)
{
    forget_scores(b);
    make_room(b, s->n);
    b->db = d;
    b->snapshot = s;
    b->filter = f;
    b->late = false;
    b->walked = 0;
}

/* ---- one phrase ------------------------------------------------------------------------- */

static float weighted_frequency(const bm25 *b, const Fts5ExtensionApi *api, Fts5Context *fts, bool *in_body, int *rc)
{
    Fts5PhraseIter at;
    int column, offset;
    float tf = 0;
    *in_body = false;
    *rc = api->xPhraseFirst(fts, 0, &at, &column, &offset);
    for (; *rc == SQLITE_OK && column >= 0; api->xPhraseNext(fts, &at, &column, &offset)) {
        if (column >= N_COLUMNS)
            continue;
        tf += b->snapshot->weight[column];
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
    b->cut = b->walked >= b->max_rows && b->n_rows >= b->max_more_rows;
    if (b->cut)
        return SQLITE_DONE;
    bool in_body;
    int rc;
    const plan_phrase *phrase = &b->plan->phrases[b->phrase];
    float frequency = weighted_frequency(b, api, fts, &in_body, &rc);
    /* In a column without weight it stands only for those who look for it exactly. */
    if (phrase->weight > 0 && frequency <= 0)
        return rc;
    if (!b->held[at])
        b->touched[b->n_touched++] = (uint32_t)at;
    b->held[at] |= phrase->quote && !in_body ? PLAN_OTHER : plan_bit(b->phrase);
    b->frequency[b->n_rows] = frequency;
    b->row[b->n_rows++] = (uint32_t)at;
    b->walked++;
    return rc;
}

/* The phrase's rows are known, so n and with it idf: add its part to their scores. */
static void add_scores(bm25 *b)
{
    double n = (double)b->n_rows, all = (double)b->filter->n_visible, mean = b->filter->mean_length;
    double idf = b->plan->phrases[b->phrase].weight * log(1 + (all - n + 0.5) / (n + 0.5));
    b->scored = b->phrase + 1;
    b->rows[b->phrase] = b->n_rows;
    if (b->cut)
        return;
    b->idf_sum += idf;
    b->rarity[b->phrase] = idf;
    if (b->n_rows == 0 || idf <= 0)
        return;
    b->idf[b->phrase] = (float)idf;
    for (size_t i = 0; i < b->n_rows; i++) {
        uint32_t at = b->row[i];
        double tf = b->frequency[i], norm = 1 - BM25_B + BM25_B * b->snapshot->length[at] / mean;
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
    for (int i = 0; rc == SQLITE_OK && i < phrases && b->first + (size_t)i < b->plan->n_phrases; i++) {
        b->phrase = b->first + (size_t)i;
        b->hint = 0;
        b->n_rows = 0;
        b->cut = false;
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

/* Without a call every phrase hits nothing, and counts so: whether a hidden row made the call must not show. */
static void count_unscored(bm25 *b)
{
    b->n_rows = 0;
    b->cut = false;
    while (b->scored < b->plan->n_phrases) {
        b->phrase = b->scored;
        add_scores(b);
    }
}

rag_code bm25_add(bm25 *b, const plan *p, size_t from, rag_arena *arena, rag_err *err)
{
    int64_t done;
    const char *match = plan_match(p, from, arena);
    b->plan = p;
    b->first = b->scored = from;
    if (!match || b->filter->n_visible == 0)
        return RAG_OK;
    /* The first matching row makes the call; that call scores all of them. */
    rag_code code = db_number(b->db, &done, "SELECT rag_bm25(chunk_fts, ?2) FROM chunk_fts WHERE chunk_fts MATCH ?1 LIMIT 1",
                              BIND(text(rag_str_of(match)), pointer(b, POINTER_TYPE)), err);
    if (code == RAG_NOT_FOUND)
        code = RAG_OK;
    if (code == RAG_OK)
        count_unscored(b);
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
    return b->n_touched > 0 ? b->idf_sum * (BM25_K1 + 1) : 0;
}

void bm25_forget_absent(bm25 *b, size_t phrase)
{
    b->idf_sum -= b->rarity[phrase];
    b->rarity[phrase] = 0;
}

size_t bm25_rows(const bm25 *b, size_t phrase)
{
    return b->rows[phrase];
}

uint64_t bm25_held(const bm25 *b, size_t position)
{
    return b->held[position];
}
