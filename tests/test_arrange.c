/* The best chunks to results.  Documents are written as paragraphs: "# x" is a heading, "<!--" a comment; a chunk counts as
 * many tokens as its first word says ("t200 …"), or as it has words. */
#include "kb.h"

#include <math.h>

typedef struct world {
    rag_index *ix;
    rag_snapshot *s;
    rag_reader *r;
    rag_arena *arena;
    rag_results pool; /* every chunk, in order of document and place */
} world;

static const rag_filter everything = { .collection = { "*", 1 }, .all_groups = true };

/* ---- documents ---------------------------------------------------------------------------- */

enum { MAX_CHUNKS = 64 };

static size_t count_tokens(rag_str s)
{
    char *text = rag_strndup(s);
    size_t n = text[0] == 't' && atoi(text + 1) > 0 ? (size_t)atoi(text + 1) : 1;
    if (n == 1)
        for (const char *p = text; *p; p++)
            n += *p == ' ';
    free(text);
    return n;
}

static size_t line_at(rag_str text, size_t pos)
{
    size_t line = 1;
    for (size_t i = 0; i < pos; i++)
        line += text.ptr[i] == '\n';
    return line;
}

static size_t split(rag_arena *arena, rag_str text, rag_chunk_in *chunks)
{
    size_t n = 0;
    rag_str *heading = NULL;
    for (size_t at = 0; at < text.len;) {
        size_t blank = rag_str_find(text, RAG_STR("\n\n"), at), end = blank == SIZE_MAX ? text.len : blank;
        rag_str own = rag_str_sub(text, at, end);
        if (rag_str_starts(own, RAG_STR("# "))) {
            heading = rag_arena_array(arena, 2, sizeof *heading);
            heading[0] = RAG_STR("Shop");
            heading[1] = rag_str_sub(own, 2, own.len);
        } else if (!rag_str_starts(own, RAG_STR("<!--"))) {
            assert_true(n < MAX_CHUNKS);
            chunks[n] = (rag_chunk_in){ .start = at, .end = end, .line_start = line_at(text, at),
                                        .line_end = line_at(text, end - 1), .page = (int)n + 1, .heading = heading,
                                        .n_heading = heading ? 2 : 0, .tokens = count_tokens(own),
                                        .embedding = rag_sha256_of(own) };
            n++;
        }
        at = end + 2;
    }
    return n;
}

static void put(rag_writer *w, int64_t source, const char *path, const char *text)
{
    rag_chunk_in chunks[MAX_CHUNKS];
    rag_arena *arena = rag_arena_new();
    rag_document_in doc = { .source_id = source, .path = rag_str_of(path), .text = rag_str_of(text), .chunks = chunks };
    doc.n_chunks = split(arena, doc.text, chunks);
    for (size_t i = 0; i < doc.n_chunks; i++) {
        float vector[KB_DIM];
        bool has;
        kb_vector(rag_str_sub(doc.text, chunks[i].start, chunks[i].end), vector);
        assert_ok(rag_writer_has_embedding(w, &chunks[i].embedding, &has, &kb_err));
        if (!has)
            assert_ok(rag_writer_add_embedding(w, &chunks[i].embedding, vector, &kb_err));
    }
    assert_ok(rag_writer_put(w, &doc, NULL, &kb_err));
    rag_arena_free(arena);
}

static int by_place(const void *a, const void *b)
{
    const rag_hit *p = a, *q = b;
    int64_t x = p->document_id * MAX_CHUNKS + p->ordinal, y = q->document_id * MAX_CHUNKS + q->ordinal;
    return (x > y) - (x < y);
}

/* Pairs of path and text up to NULL. */
static world enter(void **state, const char *const *documents)
{
    world w = { .ix = kb_open(*state), .arena = rag_arena_new() };
    rag_writer *writer = kb_begin(w.ix);
    int64_t source = kb_source(writer, "default", "/root", "");
    for (; *documents; documents += 2)
        put(writer, source, documents[0], documents[1]);
    kb_publish(writer);
    rag_writer_end(writer);
    float vector[KB_DIM];
    kb_vector(RAG_STR("x"), vector);
    rag_search q = { .vector = vector, .mode = RAG_SEARCH_VECTOR, .pool = 1000, .candidates = 1000, .filter = everything };
    assert_ok(rag_index_refresh(w.ix, NULL, &kb_err));
    w.s = rag_index_acquire(w.ix);
    assert_ok(rag_reader_open(&w.r, w.ix, &kb_err));
    assert_ok(rag_reader_search(w.r, w.s, &q, w.arena, &w.pool, &kb_err));
    qsort(w.pool.hits, w.pool.n, sizeof *w.pool.hits, by_place);
    return w;
}

static void leave(world *w)
{
    rag_reader_close(w->r);
    rag_snapshot_release(w->s);
    rag_arena_free(w->arena);
    rag_index_close(w->ix);
}

/* ---- arranging ------------------------------------------------------------------------------ */

/* The pool's hits with these indexes, in this order up to -1, scored accordingly. */
static rag_results take(world *w, const int *which)
{
    rag_results out = { .hits = rag_arena_array(w->arena, w->pool.n, sizeof *out.hits) };
    for (; *which >= 0; which++) {
        assert_true((size_t)*which < w->pool.n);
        out.hits[out.n] = w->pool.hits[*which];
        out.hits[out.n].score = 1.0 - 0.01 * (double)out.n;
        out.hits[out.n].vector_rank = (int)out.n + 1;
        out.n++;
    }
    return out;
}

static void arrange(world *w, rag_results *io, int top_k, double share)
{
    rag_search q = { .top_k = top_k, .document_share = share, .filter = everything };
    assert_ok(rag_reader_arrange(w->r, w->s, &q, w->arena, io, &kb_err));
    for (size_t i = 0; i < io->n; i++)
        assert_int_equal(io->hits[i].rank, i + 1);
}

#define TAKE(w, ...) take(w, (const int[]){ __VA_ARGS__, -1 })
#define DOCUMENTS(...) ((const char *const[]){ __VA_ARGS__, NULL })

static void check_text(world *w, const rag_hit *hit, const char *wanted)
{
    assert_string_equal(rag_arena_cstr(w->arena, hit->text), wanted);
    rag_buf stored;
    rag_buf_init(&stored, RAG_MAX_TEXT);
    assert_ok(rag_reader_text(w->r, w->s, hit->document_id, hit->start, hit->end, &stored, &kb_err));
    assert_true(rag_str_eq(rag_buf_str(&stored), hit->text));
    rag_buf_free(&stored);
}

/* "a.md:0 b.md:3": documents and ordinals of the results. */
static void check_order(world *w, const rag_results *r, const char *wanted)
{
    rag_buf b;
    rag_buf_init(&b, RAG_MAX_LINE);
    for (size_t i = 0; i < r->n; i++)
        rag_buf_putf(&b, "%s%.*s:%d", i ? " " : "", RAG_STR_ARG(r->hits[i].document), r->hits[i].ordinal);
    rag_buf_puts(&b, "");
    assert_string_equal(rag_arena_cstr(w->arena, rag_buf_str(&b)), wanted);
    rag_buf_free(&b);
}

/* ---- twins ------------------------------------------------------------------------------------ */

static void test_arrange__equal_passages_become_the_better_one(void **state)
{
    world w = enter(state, DOCUMENTS("a.md", "same words here", "b.md", "other words", "c.md", "same words here"));
    rag_results r = TAKE(&w, 2, 1, 0);
    int64_t folded = w.pool.hits[0].chunk_id;
    arrange(&w, &r, 5, 0);
    check_order(&w, &r, "c.md:0 b.md:0");
    assert_int_equal(r.hits[0].n_twins, 1);
    assert_int_equal(r.hits[0].twins[0].chunk_id, folded);
    assert_int_equal(r.hits[0].twins[0].document_id, w.pool.hits[0].document_id);
    assert_true(rag_str_eq(r.hits[0].twins[0].document, RAG_STR("a.md")));
    assert_int_equal(r.hits[1].n_twins, 0);
    leave(&w);
}

static void test_arrange__a_passage_with_the_exact_string_is_not_hidden(void **state)
{
    world w = enter(state, DOCUMENTS("a.md", "same words here", "b.md", "same words here", "c.md", "same words here"));
    rag_results r = TAKE(&w, 0, 1, 2);
    r.hits[1].holds_exact = r.hits[2].holds_exact = true;
    arrange(&w, &r, 5, 0);
    check_order(&w, &r, "a.md:0 b.md:0");
    assert_int_equal(r.hits[0].n_twins, 0);
    assert_int_equal(r.hits[1].n_twins, 1);
    leave(&w);
}

static void test_arrange__a_search_among_many_copies_gives_top_k_results(void **state)
{
    enum { COPIES = 60, OTHERS = 6 };
    const char *documents[2 * (COPIES + OTHERS) + 1] = { NULL };
    world w = { 0 };
    rag_arena *arena = rag_arena_new();
    for (int i = 0; i < COPIES + OTHERS; i++) {
        documents[2 * i] = rag_arena_printf(arena, "%02d.md", i);
        documents[2 * i + 1] = i < COPIES ? "lamp lamp lamp" : rag_arena_printf(arena, "a lamp of sort number %d", i);
    }
    w = enter(state, documents);
    rag_results found;
    rag_search q = { .query = RAG_STR("lamp"), .mode = RAG_SEARCH_TEXT, .top_k = 5, .filter = everything };
    assert_ok(rag_reader_search(w.r, w.s, &q, w.arena, &found, &kb_err));
    assert_int_equal(found.n, 5);
    assert_int_equal(found.hits[0].n_twins, COPIES - 1);
    rag_arena_free(arena);
    leave(&w);
}

/* ---- neighbours -------------------------------------------------------------------------------- */

static void test_arrange__neighbours_that_both_hit_become_one_passage(void **state)
{
    world w = enter(state, DOCUMENTS("a.md", "# Returns\n\none two\n\nthree four five\n\nsix", "b.md", "other"));
    rag_results r = TAKE(&w, 3, 1, 0);
    r.hits[1].text_rank = 7;
    arrange(&w, &r, 5, 0);
    check_order(&w, &r, "b.md:0 a.md:0");
    const rag_hit *h = &r.hits[1];
    check_text(&w, h, "one two\n\nthree four five");
    assert_int_equal(h->chunk_id, w.pool.hits[1].chunk_id);
    assert_int_equal(h->vector_rank, 2);
    assert_int_equal(h->text_rank, 7);
    assert_true(h->score == 0.99);
    assert_int_equal(h->tokens, 5);
    assert_int_equal(h->line_start, 3);
    assert_int_equal(h->line_end, 5);
    assert_int_equal(h->page, 1);
    assert_int_equal(h->n_heading, 2);
    assert_int_equal(h->n_merged, 2);
    assert_int_equal(h->merged[0], w.pool.hits[0].chunk_id);
    assert_int_equal(h->merged[1], w.pool.hits[1].chunk_id);
    assert_int_equal(r.hits[0].n_merged, 0);
    leave(&w);
}

static void test_arrange__a_joint_passage_holds_what_stands_between(void **state)
{
    world w = enter(state, DOCUMENTS("a.md", "# Returns\n\none\n\n# Lamps\n\ntwo"));
    rag_results r = TAKE(&w, 0, 1);
    arrange(&w, &r, 5, 0);
    assert_int_equal(r.n, 1);
    check_text(&w, &r.hits[0], "one\n\n# Lamps\n\ntwo");
    assert_int_equal(r.hits[0].n_heading, 1); /* what both have in common */
    assert_true(rag_str_eq(r.hits[0].heading[0], RAG_STR("Shop")));
    assert_true(r.hits[0].tokens >= 4);
    leave(&w);
}

static void test_arrange__three_small_neighbours_become_one(void **state)
{
    world w = enter(state, DOCUMENTS("a.md", "one\n\ntwo\n\nthree\n\nfour"));
    rag_results r = TAKE(&w, 2, 0, 1);
    arrange(&w, &r, 5, 0);
    assert_int_equal(r.n, 1);
    check_text(&w, &r.hits[0], "one\n\ntwo\n\nthree");
    assert_int_equal(r.hits[0].n_merged, 3);
    assert_int_equal(r.hits[0].merged[2], w.pool.hits[2].chunk_id);
    assert_int_equal(r.hits[0].chunk_id, w.pool.hits[2].chunk_id);
    leave(&w);
}

static void test_arrange__no_passage_grows_beyond_its_tokens(void **state)
{
    world w = enter(state, DOCUMENTS("a.md", "t200 a\n\nt120 b\n\nt201 c\n\n# Lamps\n\nt112 d\n\n# Lamp\n\nt201 e"));
    rag_results r = TAKE(&w, 0, 1);
    arrange(&w, &r, 5, 0);
    assert_int_equal(r.n, 1);
    assert_int_equal(r.hits[0].tokens, RAG_PASSAGE_TOKENS);
    r = TAKE(&w, 1, 2);
    arrange(&w, &r, 5, 0);
    assert_int_equal(r.n, 2);
    r = TAKE(&w, 2, 3); /* "# Lamps" may cost eight */
    arrange(&w, &r, 5, 0);
    assert_int_equal(r.n, 2);
    r = TAKE(&w, 3, 4); /* "# Lamp" seven */
    arrange(&w, &r, 5, 0);
    assert_int_equal(r.n, 1);
    leave(&w);
}

/* As if the chunker had cut inside a sentence: the tokens at the seam may be others than those of the parts. */
static void close_gap(world *w, rag_hit *left, const rag_hit *right)
{
    left->end = right->start;
    left->text = rag_str_of(rag_arena_printf(w->arena, "%.*s\n\n", RAG_STR_ARG(left->text)));
}

static void test_arrange__a_seam_without_a_gap_may_cost_tokens(void **state)
{
    world w = enter(state, DOCUMENTS("a.md", "t200 a\n\nt117 b", "b.md", "t200 a\n\nt118 b c"));
    close_gap(&w, &w.pool.hits[0], &w.pool.hits[1]);
    close_gap(&w, &w.pool.hits[2], &w.pool.hits[3]);
    rag_results r = TAKE(&w, 0, 1);
    arrange(&w, &r, 5, 0);
    assert_int_equal(r.n, 1);
    check_text(&w, &r.hits[0], "t200 a\n\nt117 b");
    assert_int_equal(r.hits[0].tokens, RAG_PASSAGE_TOKENS);
    r = TAKE(&w, 2, 3);
    arrange(&w, &r, 5, 0);
    assert_int_equal(r.n, 2);
    leave(&w);
}

static void test_arrange__only_hits_among_the_best_are_merged(void **state)
{
    world w = enter(state, DOCUMENTS("a.md", "one\n\ntwo", "b.md", "other", "c.md", "x"));
    rag_results r = TAKE(&w, 0, 2, 1, 3);
    arrange(&w, &r, 2, 0);
    check_order(&w, &r, "a.md:0 b.md:0");
    check_text(&w, &r.hits[0], "one");
    leave(&w);
}

static void test_arrange__only_neighbours_of_one_document_are_merged(void **state)
{
    world w = enter(state, DOCUMENTS("a.md", "one\n\ntwo\n\nthree", "b.md", "x\n\ny"));
    rag_results r = TAKE(&w, 0, 2, 4);
    arrange(&w, &r, 5, 0);
    check_order(&w, &r, "a.md:0 a.md:2 b.md:1");
    leave(&w);
}

static void test_arrange__no_passage_shows_a_comment_or_a_long_gap(void **state)
{
    char text[1024];
    snprintf(text, sizeof text, "one\n\n<!-- secret -->\n\ntwo\n\n# %0600d\n\nthree", 0);
    world w = enter(state, DOCUMENTS("a.md", text));
    rag_results r = TAKE(&w, 0, 1, 2);
    arrange(&w, &r, 5, 0);
    assert_int_equal(r.n, 3);
    leave(&w);
}

static void test_arrange__a_damaged_store_is_told(void **state)
{
    world w = enter(state, DOCUMENTS("a.md", "one\n\ntwo"));
    rag_results r = TAKE(&w, 0, 1);
    rag_search q = { .filter = everything };
    r.hits[0].chunk_id = 999;
    assert_code(rag_reader_arrange(w.r, w.s, &q, w.arena, &r, &kb_err), RAG_CORRUPT);
    leave(&w);
}

/* ---- order --------------------------------------------------------------------------------------- */

static const char *const shares[] = {
    "a.md", "alpha\n\nt300 beta\n\ngamma\n\nt300 delta\n\nepsilon", "b.md", "zeta\n\nt300 eta\n\ntheta", "c.md", "iota", NULL,
};

static void test_arrange__a_document_has_its_share_while_others_have_hits(void **state)
{
    world w = enter(state, shares);
    rag_results r = TAKE(&w, 0, 2, 4, 5, 7, 8);
    arrange(&w, &r, 5, 0.4);
    check_order(&w, &r, "a.md:0 a.md:2 b.md:0 b.md:2 c.md:0");
    r = TAKE(&w, 0, 2, 4, 5, 7, 8);
    arrange(&w, &r, 5, 0.01);
    check_order(&w, &r, "a.md:0 b.md:0 c.md:0 a.md:2 a.md:4");
    r = TAKE(&w, 0, 2, 4, 5);
    arrange(&w, &r, 10, 0.1); /* 0.1 · 10 is one, whatever floating point says */
    check_order(&w, &r, "a.md:0 b.md:0 a.md:2 a.md:4");
    leave(&w);
}

static void test_arrange__no_share_is_no_limit(void **state)
{
    static const double none[] = { 0, 1, -1, 2, NAN };
    world w = enter(state, shares);
    for (size_t i = 0; i < sizeof none / sizeof *none; i++) {
        rag_results r = TAKE(&w, 0, 2, 4, 5);
        arrange(&w, &r, 3, none[i]);
        check_order(&w, &r, "a.md:0 a.md:2 a.md:4");
    }
    leave(&w);
}

static void test_arrange__a_search_looks_further_for_other_documents(void **state)
{
    enum { PARAGRAPHS = 60 };
    rag_buf b;
    rag_buf_init(&b, RAG_MAX_TEXT);
    for (int i = 0; i < PARAGRAPHS; i++)
        rag_buf_putf(&b, "%st300 lamp lamp lamp %c%c", i ? "\n\n" : "", 'a' + i / 26, 'a' + i % 26);
    world w = enter(state, DOCUMENTS("a.md", b.ptr, "b.md", "one lamp among many other words", "c.md",
                                     "one more lamp among other words"));
    rag_results found;
    rag_search q = { .query = RAG_STR("lamp"), .mode = RAG_SEARCH_TEXT, .top_k = 5, .document_share = 0.6,
                     .filter = everything };
    assert_ok(rag_reader_search(w.r, w.s, &q, w.arena, &found, &kb_err));
    assert_int_equal(found.n, 5);
    int others = 0;
    for (size_t i = 0; i < found.n; i++)
        others += !rag_str_eq(found.hits[i].document, RAG_STR("a.md"));
    assert_int_equal(others, 2);
    rag_buf_free(&b);
    leave(&w);
}

static void test_arrange__hits_with_the_exact_string_keep_their_place(void **state)
{
    world w = enter(state, shares);
    rag_results r = TAKE(&w, 0, 2, 4, 5, 7, 8);
    r.hits[2].holds_exact = true;
    arrange(&w, &r, 5, 0.2);
    check_order(&w, &r, "a.md:0 a.md:4 b.md:0 c.md:0 a.md:2");
    r = TAKE(&w, 0, 5, 8, 2, 7);
    r.hits[3].holds_exact = r.hits[4].holds_exact = true;
    arrange(&w, &r, 2, 0);
    check_order(&w, &r, "a.md:0 a.md:2");
    leave(&w);
}

/* ---- explain ---------------------------------------------------------------------------------------- */

static rag_candidate *candidate_of(rag_results *r, int64_t chunk_id)
{
    for (size_t i = 0; i < r->n_candidates; i++)
        if (r->candidates[i].chunk_id == chunk_id)
            return &r->candidates[i];
    fail();
    return NULL;
}

static void check_fate(world *w, rag_results *r, size_t chunk, rag_fate fate, size_t other)
{
    const rag_candidate *c = candidate_of(r, w->pool.hits[chunk].chunk_id);
    assert_int_equal(c->fate, fate);
    assert_int_equal(c->other, other);
}

static void test_arrange__every_candidate_is_told_its_fate(void **state)
{
    world w = enter(state, DOCUMENTS("a.md", "one\n\ntwo\n\nt310 three\n\nfour", "b.md", "one", "c.md", "x", "d.md", "y"));
    rag_results r = TAKE(&w, 5, 0, 4, 1, 3, 2);
    r.n_candidates = w.pool.n;
    r.candidates = rag_arena_array(w.arena, w.pool.n, sizeof *r.candidates);
    for (size_t i = 0; i < w.pool.n; i++)
        r.candidates[i] = (rag_candidate){ .chunk_id = w.pool.hits[i].chunk_id, .rerank_score = NAN };
    arrange(&w, &r, 3, 0.1);
    check_order(&w, &r, "c.md:0 a.md:0 a.md:3");
    check_fate(&w, &r, 5, RAG_FATE_RESULT, 0);
    check_fate(&w, &r, 0, RAG_FATE_RESULT, 1);
    check_fate(&w, &r, 4, RAG_FATE_TWIN, 1);
    check_fate(&w, &r, 1, RAG_FATE_MERGED, 1);
    check_fate(&w, &r, 3, RAG_FATE_RESULT, 2); /* above its share, but nothing else was left */
    check_fate(&w, &r, 2, RAG_FATE_SHARE, 0);
    check_fate(&w, &r, 6, RAG_FATE_BELOW, 0);
    leave(&w);
}

static void test_arrange__twins_of_a_merged_chunk_are_named_too(void **state)
{
    world w = enter(state, DOCUMENTS("a.md", "one\n\ntwo", "b.md", "two"));
    rag_results r = TAKE(&w, 0, 1, 2);
    arrange(&w, &r, 5, 0);
    assert_int_equal(r.n, 1);
    assert_int_equal(r.hits[0].n_twins, 1);
    assert_true(rag_str_eq(r.hits[0].twins[0].document, RAG_STR("b.md")));
    leave(&w);
}

static void test_arrange__nothing_stays_nothing(void **state)
{
    world w = enter(state, DOCUMENTS("a.md", "one"));
    rag_results r = { 0 };
    arrange(&w, &r, 5, 0.5);
    assert_int_equal(r.n, 0);
    leave(&w);
}

/* ---- property ------------------------------------------------------------------------------------------ */

static size_t times_shown(const rag_results *r, int64_t chunk_id)
{
    size_t n = 0;
    for (size_t i = 0; i < r->n; i++) {
        const rag_hit *h = &r->hits[i];
        for (size_t k = 0; k < h->n_merged; k++)
            n += h->merged[k] == chunk_id;
        for (size_t k = 0; k < h->n_twins; k++)
            n += h->twins[k].chunk_id == chunk_id;
        n += h->n_merged == 0 && h->chunk_id == chunk_id;
    }
    return n;
}

static void check_results(world *w, const rag_results *pool, const rag_results *r)
{
    for (size_t i = 0; i < r->n; i++) {
        assert_true(r->hits[i].tokens <= RAG_PASSAGE_TOKENS);
        check_text(w, &r->hits[i], rag_arena_cstr(w->arena, r->hits[i].text));
    }
    for (size_t i = 0; i < pool->n; i++)
        assert_true(times_shown(r, pool->hits[i].chunk_id) <= 1);
}

/* Whatever the pool: no chunk is shown twice, texts are the stored bytes, the best hit comes first, none is lost when there is
 * room for all. */
static void test_arrange__property_holds_for_random_pools(void **state)
{
    world w = enter(state, DOCUMENTS("a.md", "one\n\ntwo\n\n# H\n\nt150 a\n\nt160 b\n\none\n\nsix", "b.md",
                                     "one\n\n# One\n\ntwo\n\nt319 c\n\nfour", "c.md", "two\n\nfour\n\nt100 d\n\nt100 e\n\nt100 f"));
    unsigned seed = 7;
    for (int round = 0; round < 500; round++) {
        int which[MAX_CHUNKS], n = 0;
        for (size_t i = 0; i < w.pool.n; i++)
            if ((seed = seed * 1103515245 + 12345) >> 16 & 1)
                which[n++] = (int)i;
        for (int i = n - 1; i > 0; i--) {
            int k = (int)((seed = seed * 1103515245 + 12345) >> 16) % (i + 1), swap = which[i];
            which[i] = which[k];
            which[k] = swap;
        }
        which[n] = -1;
        rag_results pool = take(&w, which), r = take(&w, which);
        int top_k = 1 + round % 20;
        arrange(&w, &r, top_k, (round % 5) / 4.0);
        check_results(&w, &pool, &r);
        assert_true(r.n <= (size_t)top_k);
        if (n > 0)
            assert_true(times_shown(&r, pool.hits[0].chunk_id) == 1 && r.hits[0].chunk_id == pool.hits[0].chunk_id);
        for (size_t i = 0; top_k >= n && i < pool.n; i++)
            assert_int_equal(times_shown(&r, pool.hits[i].chunk_id), 1);
    }
    leave(&w);
}

#define TEST(name) cmocka_unit_test_setup_teardown(test_arrange__##name, kb_setup, kb_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(equal_passages_become_the_better_one),
        TEST(a_passage_with_the_exact_string_is_not_hidden),
        TEST(a_search_among_many_copies_gives_top_k_results),
        TEST(neighbours_that_both_hit_become_one_passage),
        TEST(a_joint_passage_holds_what_stands_between),
        TEST(three_small_neighbours_become_one),
        TEST(no_passage_grows_beyond_its_tokens),
        TEST(a_seam_without_a_gap_may_cost_tokens),
        TEST(only_hits_among_the_best_are_merged),
        TEST(only_neighbours_of_one_document_are_merged),
        TEST(no_passage_shows_a_comment_or_a_long_gap),
        TEST(a_damaged_store_is_told),
        TEST(a_document_has_its_share_while_others_have_hits),
        TEST(no_share_is_no_limit),
        TEST(a_search_looks_further_for_other_documents),
        TEST(hits_with_the_exact_string_keep_their_place),
        TEST(every_candidate_is_told_its_fate),
        TEST(twins_of_a_merged_chunk_are_named_too),
        TEST(nothing_stays_nothing),
        TEST(property_holds_for_random_pools),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
