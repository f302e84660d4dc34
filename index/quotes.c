/* Quoted parts. */
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "index/search_impl.h"

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

static bool holds_quotes(const plan *p, rag_str passage, rag_arena *scratch)
{
    rag_str text_form = plan_comparable(passage, scratch);
    for (size_t i = 0; i < p->n_quotes; i++)
        if (rag_str_find(text_form, p->quotes[i], 0) == SIZE_MAX)
            return false;
    return true;
}

static int by_position(const void *a, const void *b)
{
    uint32_t p = *(const uint32_t *)a, q = *(const uint32_t *)b;
    return (p > q) - (p < q);
}

/* In the order of positions, so that passages of one block of text come together and it is unpacked once. */
static rag_code check_quotes(search *x, rag_buf *passage, rag_arena *scratch, rag_err *err)
{
    size_t kept = 0;
    rag_code code = RAG_OK;
    qsort(x->by_text, x->n_by_text, sizeof *x->by_text, by_position);
    for (size_t i = 0; code == RAG_OK && i < x->n_by_text; i++) {
        uint32_t at = x->by_text[i];
        if (x->q->deadline_ms > 0 && rag_clock_ms() > x->q->deadline_ms)
            return rag_fail(err, RAG_DEADLINE, "out of time while comparing quoted parts");
        code = read_chunk(x, at, passage, err);
        rag_arena_reset(scratch);
        if (code != RAG_OK || !holds_quotes(&x->plan, rag_buf_str(passage), scratch))
            continue;
        x->by_text[kept++] = at;
        bit_set(x->r->only, at);
    }
    x->n_by_text = kept;
    qsort_r(x->by_text, kept, sizeof *x->by_text, search_by_text_score, x);
    return code;
}

/* A quote of punctuation alone has no token to look up: any visible passage may hold it, and the first ones are looked at. */
static void take_all_visible(search *x)
{
    size_t n = 0;
    x->by_text = rag_arena_array(x->arena, SEARCH_MAX_QUOTE_CHECKS, sizeof *x->by_text);
    for (uint32_t i = 0; i < x->s->n && n < SEARCH_MAX_QUOTE_CHECKS; i++)
        if (bit_is_set(x->filter->bits, i) && bm25_has_quotes(x->r->bm25, &x->plan, i))
            x->by_text[n++] = i;
    x->n_by_text = n;
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

rag_code search_demand_quotes(search *x, rag_err *err)
{
    rag_buf passage;
    rag_arena *scratch = rag_arena_new();
    rag_buf_init(&passage, RAG_MAX_TEXT);
    clear_only(x->r, bits_bytes(x->s->n));
    if (x->plan.quote_without_phrase)
        take_all_visible(x);
    rag_code code = check_quotes(x, &passage, scratch, err);
    x->bits = x->r->only;
    x->none = x->n_by_text == 0;
    rag_buf_free(&passage);
    rag_arena_free(scratch);
    return code;
}
