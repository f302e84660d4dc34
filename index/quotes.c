/* Quoted parts. */
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "index/search_impl.h"

/* Passages whose texts are compared. */
typedef struct checker {
    search *x;
    rag_buf passage;
    rag_arena *scratch;
    size_t checks;
    unsigned seen; /* bit i: some passage holds quote i */
} checker;

static rag_code read_chunk(search *x, uint32_t position, rag_buf *out, rag_err *err)
{
    sqlite3_stmt *q;
    bool row = false;
    int64_t id = vectors_positions(x->s->vectors)[position].chunk_id;
    rag_buf_clear(out);
    rag_code code = db_query(x->r->db, &q, "SELECT version_id, start, stop FROM chunks WHERE id = ?", BIND(num(id)), err);
    if (code == RAG_OK)
        code = db_step(x->r->db, q, &row, err);
    if (code == RAG_OK && !row)
        code = rag_fail(err, RAG_CORRUPT, "chunk %lld is missing", (long long)id);
    if (code == RAG_OK)
        code = text_get(x->r->db, sqlite3_column_int64(q, 0), (size_t)sqlite3_column_int64(q, 1),
                        (size_t)sqlite3_column_int64(q, 2), out, err);
    db_done(q);
    return code;
}

/* The quotes that the passage holds, as bits. */
static rag_code compare(checker *c, uint32_t position, unsigned *held, rag_err *err)
{
    const plan *p = &c->x->plan;
    double deadline_ms = c->x->q->deadline_ms;
    *held = 0;
    if (deadline_ms > 0 && rag_clock_ms() > deadline_ms)
        return rag_fail(err, RAG_DEADLINE, "out of time while comparing quoted parts");
    c->checks++;
    rag_arena_reset(c->scratch);
    rag_code code = read_chunk(c->x, position, &c->passage, err);
    rag_str text_form = plan_comparable(rag_buf_str(&c->passage), c->scratch);
    for (size_t i = 0; code == RAG_OK && i < p->n_quotes; i++)
        if (rag_str_find(text_form, p->quotes[i].comparable, 0) != SIZE_MAX)
            *held |= 1u << i;
    c->seen |= *held;
    return code;
}

/* ---- passages that hold all of them ------------------------------------------------------- */

static int by_position(const void *a, const void *b)
{
    uint32_t p = *(const uint32_t *)a, q = *(const uint32_t *)b;
    return (p > q) - (p < q);
}

/* In the order of positions, so that passages of one block of text come together and it is unpacked once. */
static rag_code check_quotes(checker *c, rag_err *err)
{
    search *x = c->x;
    size_t kept = 0;
    unsigned held, all = (1u << x->plan.n_quotes) - 1;
    rag_code code = RAG_OK;
    qsort(x->by_text, x->n_by_text, sizeof *x->by_text, by_position);
    for (size_t i = 0; code == RAG_OK && i < x->n_by_text; i++) {
        uint32_t at = x->by_text[i];
        code = compare(c, at, &held, err);
        if (code != RAG_OK || held != all)
            continue;
        x->by_text[kept++] = at;
        bit_set(x->r->only, at);
    }
    x->n_by_text = kept;
    qsort_r(x->by_text, kept, sizeof *x->by_text, search_by_text_score, x);
    return code;
}

static bool may_hold(const search *x, uint32_t position, uint64_t phrases)
{
    return bit_is_set(x->filter->bits, position) && (bm25_held(x->r->bm25, position) & phrases) == phrases;
}

/* A quote of punctuation alone has no token to look up: any visible passage may hold it, and the first ones are looked at. */
static void take_all_visible(search *x)
{
    size_t n = 0;
    x->by_text = rag_arena_array(x->arena, SEARCH_MAX_QUOTE_CHECKS, sizeof *x->by_text);
    for (uint32_t i = 0; i < x->s->n && n < SEARCH_MAX_QUOTE_CHECKS; i++)
        if (may_hold(x, i, x->plan.quote_bits))
            x->by_text[n++] = i;
    x->n_by_text = n;
}

/* ---- quotes that nothing holds -------------------------------------------------------------- */

/* Told only when every passage that might hold it was looked at. */
static rag_code check_alone(checker *c, size_t quote, rag_results *out, rag_err *err)
{
    const plan_quote *q = &c->x->plan.quotes[quote];
    uint64_t bit = q->phrase == SIZE_MAX ? 0 : plan_bit(q->phrase);
    unsigned held;
    rag_code code = RAG_OK;
    for (uint32_t i = 0; code == RAG_OK && !(c->seen >> quote & 1) && i < c->x->s->n; i++) {
        if (!may_hold(c->x, i, bit))
            continue;
        if (q->is_word)
            return RAG_OK;
        if (c->checks >= SEARCH_MAX_QUOTE_CHECKS)
            return RAG_OK;
        code = compare(c, i, &held, err);
    }
    if (code == RAG_OK && !(c->seen >> quote & 1))
        search_tell_absent(c->x, out, q->text);
    return code;
}

static rag_code tell_absent(checker *c, rag_results *out, rag_err *err)
{
    rag_code code = RAG_OK;
    if (c->x->plan.n_quotes == 1 && c->checks < SEARCH_MAX_QUOTE_CHECKS) {
        search_tell_absent(c->x, out, c->x->plan.quotes[0].text);
        return RAG_OK;
    }
    for (size_t i = 0; code == RAG_OK && i < c->x->plan.n_quotes; i++)
        code = check_alone(c, i, out, err);
    return code;
}

static void clear_only(rag_reader *r, size_t bytes)
{
    if (bytes > r->only_bytes) {
        r->only = rag_realloc(r->only, bytes);
        r->only_bytes = bytes;
    }
    if (bytes)
        memset(r->only, 0, bytes);
}

/* Words need no comparison. */
static void take_holders(search *x)
{
    const bm25 *b = x->r->bm25;
    for (size_t i = 0; i < bm25_count(b); i++)
        if (may_hold(x, bm25_touched(b)[i], x->plan.quote_bits))
            bit_set(x->r->only, bm25_touched(b)[i]);
}

rag_code search_demand_quotes(search *x, rag_results *out, rag_err *err)
{
    rag_code code = RAG_OK;
    checker c = { .x = x, .scratch = rag_arena_new() };
    rag_buf_init(&c.passage, RAG_MAX_TEXT);
    clear_only(x->r, bits_bytes(x->s->n));
    if (x->plan.quote_without_phrase)
        take_all_visible(x);
    if (x->plan.quotes_are_words)
        take_holders(x);
    else
        code = check_quotes(&c, err);
    x->bits = x->r->only;
    x->none = x->n_by_text == 0;
    if (code == RAG_OK && x->none)
        code = tell_absent(&c, out, err);
    rag_buf_free(&c.passage);
    rag_arena_free(c.scratch);
    return code;
}
