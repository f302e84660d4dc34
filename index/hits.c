/* Candidates to hits. */
#include <math.h>

#include "index/search_impl.h"

static const char select_hit[] =
    "SELECT c.start, c.stop, c.line_start, c.line_end, c.page, c.heading, v.id, v.document_id, v.title, v.url, d.path, c.tokens, c.ordinal "
    "FROM chunks c JOIN versions v ON v.id = c.version_id JOIN documents d ON d.id = v.document_id WHERE c.id = ?";

static rag_code read_text(search *x, int64_t version, rag_hit *hit, rag_err *err)
{
    rag_buf buf;
    rag_buf_init(&buf, RAG_MAX_TEXT);
    rag_code code = text_get(x->r->db, version, hit->start, hit->end, &buf, err);
    hit->text = rag_arena_str(x->arena, rag_buf_str(&buf));
    rag_buf_free(&buf);
    return code;
}

/* Every candidate holds the quoted parts, when there are any. */
static bool holds_exact(const search *x, const candidate *c)
{
    uint64_t held = x->wanted ? bm25_held(x->r->bm25, c->position) : 0;
    return (held & x->wanted) == x->wanted && (x->wanted || x->plan.n_quotes > 0);
}

static rag_code fill_hit(search *x, const candidate *c, rag_hit *hit, rag_err *err)
{
    sqlite3_stmt *q;
    bool row = false;
    int64_t id = vectors_positions(x->s->vectors)[c->position].chunk_id;
    *hit = (rag_hit){ .chunk_id = id, .score = c->score, .vector_rank = c->vector_rank, .text_rank = c->text_rank,
                      .vector_score = c->vector_score, .text_score = c->text_score, .fused_score = c->score,
                      .coverage = c->coverage, .holds_exact = holds_exact(x, c),
                      .rerank_score = NAN };
    rag_code code = db_query(x->r->db, &q, select_hit, BIND(num(id)), err);
    if (code == RAG_OK)
        code = db_step(x->r->db, q, &row, err);
    if (code == RAG_OK && !row)
        code = rag_fail(err, RAG_CORRUPT, "chunk %lld is missing", (long long)id);
    if (code == RAG_OK) {
        hit->start = (size_t)sqlite3_column_int64(q, 0);
        hit->end = (size_t)sqlite3_column_int64(q, 1);
        hit->line_start = (size_t)sqlite3_column_int64(q, 2);
        hit->line_end = (size_t)sqlite3_column_int64(q, 3);
        hit->page = sqlite3_column_int(q, 4);
        hit->heading = reader_split_heading(column_str(q, 5), x->arena, &hit->n_heading);
        hit->document_id = sqlite3_column_int64(q, 7);
        hit->title = rag_arena_str(x->arena, column_str(q, 8));
        hit->url = rag_arena_str(x->arena, column_str(q, 9));
        hit->document = rag_arena_str(x->arena, column_str(q, 10));
        hit->tokens = (size_t)sqlite3_column_int64(q, 11);
        hit->ordinal = sqlite3_column_int(q, 12);
        code = read_text(x, sqlite3_column_int64(q, 6), hit, err);
    }
    db_done(q);
    return code;
}

rag_code search_fill_hits(search *x, size_t n, rag_hit **out, rag_err *err)
{
    rag_code code = RAG_OK;
    rag_hit *hits = rag_arena_array(x->arena, n ? n : 1, sizeof *hits);
    for (size_t i = 0; code == RAG_OK && i < n; i++) {
        code = fill_hit(x, &x->list[i], &hits[i], err);
        hits[i].rank = (int)i + 1;
    }
    *out = hits;
    return code;
}
