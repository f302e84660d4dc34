#include "kb.h"

#include <math.h>

#include "base/file.h"
#include "base/utf8.h"

typedef struct world {
    rag_index *ix;
    rag_snapshot *s;
    rag_reader *r;
    rag_arena *arena;
} world;

static world enter(rag_index *ix)
{
    world w = { .ix = ix, .arena = rag_arena_new() };
    assert_ok(rag_index_refresh(ix, NULL, &kb_err));
    w.s = rag_index_acquire(ix);
    assert_ok(rag_reader_open(&w.r, ix, &kb_err));
    return w;
}

static void leave(world *w)
{
    rag_reader_close(w->r);
    rag_snapshot_release(w->s);
    rag_arena_free(w->arena);
    rag_index_close(w->ix);
}

static const rag_filter everything = { .collection = { "*", 1 }, .all_groups = true };

static size_t find(world *w, const char *query, rag_search_mode mode, rag_hit **hits)
{
    size_t n;
    float vector[KB_DIM];
    kb_vector(rag_str_of(query), vector);
    rag_search q = { .query = rag_str_of(query), .vector = vector, .mode = mode, .top_k = 100, .filter = everything };
    assert_ok(kb_hits(w->r, w->s, &q, w->arena, hits, &n));
    return n;
}

/* ---- hits ---------------------------------------------------------------------------------- */

static void test_search__a_hit_says_where_it_stands(void **state)
{
    rag_index *ix = kb_open(*state);
    rag_writer *w = kb_begin(ix);
    const char *text = "intro\n\nthe ünï passage\n\nend";
    float vector[KB_DIM];
    rag_str heading[] = { RAG_STR("Shop"), RAG_STR("Re\nturns") };
    rag_chunk_in c = { .start = 7, .end = 24, .line_start = 3, .line_end = 3, .page = 4, .heading = heading,
                       .n_heading = 2, .tokens = 3, .embedding = rag_sha256_of(RAG_STR("k")) };
    rag_document_in doc = { .source_id = kb_source(w, "default", "/root", ""), .path = RAG_STR("x/y.md"),
                            .title = RAG_STR("Titel"), .lang = RAG_LANG_EN, .text = rag_str_of(text), .chunks = &c,
                            .n_chunks = 1 };
    int64_t id;
    rag_hit *hits;
    kb_vector(RAG_STR("passage"), vector);
    assert_ok(rag_writer_add_embedding(w, &c.embedding, vector, &kb_err));
    assert_ok(rag_writer_put(w, &doc, &id, &kb_err));
    kb_publish(w);
    rag_writer_end(w);
    world x = enter(ix);
    assert_int_equal(find(&x, "passage", RAG_SEARCH_HYBRID, &hits), 1);
    assert_int_equal(hits[0].rank, 1);
    assert_int_equal(hits[0].document_id, id);
    assert_true(rag_str_eq(hits[0].document, RAG_STR("x/y.md")));
    assert_true(rag_str_eq(hits[0].title, RAG_STR("Titel")));
    assert_int_equal(hits[0].url.len, 0);
    assert_int_equal(hits[0].n_heading, 2);
    assert_true(rag_str_eq(hits[0].heading[0], RAG_STR("Shop")));
    assert_true(rag_str_eq(hits[0].heading[1], RAG_STR("Re turns")));
    assert_int_equal(hits[0].page, 4);
    assert_int_equal(hits[0].line_start, 3);
    assert_int_equal(hits[0].start, 7);
    assert_int_equal(hits[0].end, 24);
    assert_true(rag_str_eq(hits[0].text, RAG_STR("the ünï passage")));
    assert_int_equal(hits[0].vector_rank, 1);
    assert_int_equal(hits[0].text_rank, 1);
    assert_true(fabs(hits[0].vector_score - 1) < 1e-4);
    leave(&x);
}

static void test_search__modes_use_their_half(void **state)
{
    rag_index *ix = kb_open(*state);
    kb_ingest(ix, "a", "red apples", "b", "green pears", NULL);
    world x = enter(ix);
    rag_hit *hits;
    assert_int_equal(find(&x, "apples", RAG_SEARCH_TEXT, &hits), 1);
    assert_int_equal(hits[0].vector_rank, 0);
    assert_int_equal(find(&x, "apples", RAG_SEARCH_VECTOR, &hits), 2);
    assert_int_equal(hits[0].text_rank, 0);
    assert_int_equal(find(&x, "apples", RAG_SEARCH_HYBRID, &hits), 2);
    assert_true(rag_str_eq(hits[0].document, RAG_STR("a")));
    assert_int_equal(find(&x, "", RAG_SEARCH_HYBRID, &hits), 2);
    assert_int_equal(find(&x, "", RAG_SEARCH_TEXT, &hits), 0);
    leave(&x);
}

static void test_search__ties_break_by_path_then_start(void **state)
{
    rag_index *ix = kb_open(*state);
    kb_ingest(ix, "c", "same words", "a", "same words\n\nsame words", "b", "same words", NULL);
    world x = enter(ix);
    static const rag_search_mode modes[] = { RAG_SEARCH_HYBRID, RAG_SEARCH_VECTOR, RAG_SEARCH_TEXT };
    for (size_t i = 0; i < 3; i++) {
        rag_hit *hits;
        assert_int_equal(find(&x, "same words", modes[i], &hits), 4);
        assert_true(rag_str_eq(hits[0].document, RAG_STR("a")) && hits[0].start == 0);
        assert_true(rag_str_eq(hits[1].document, RAG_STR("a")) && hits[1].start > 0);
        assert_true(rag_str_eq(hits[2].document, RAG_STR("b")));
        assert_true(rag_str_eq(hits[3].document, RAG_STR("c")));
    }
    leave(&x);
}

static void test_search__wrong_requests_are_refused(void **state)
{
    rag_index *ix = kb_open(*state);
    kb_ingest(ix, "a", "red apples", NULL);
    world x = enter(ix);
    rag_hit *hits;
    size_t n;
    rag_search q = { .query = RAG_STR("apples"), .top_k = 101, .filter = everything };
    assert_code(kb_hits(x.r, x.s, &q, x.arena, &hits, &n), RAG_INVALID);
    q.top_k = -1;
    assert_code(kb_hits(x.r, x.s, &q, x.arena, &hits, &n), RAG_INVALID);
    q.top_k = 0;
    q.mode = RAG_SEARCH_VECTOR;
    assert_code(kb_hits(x.r, x.s, &q, x.arena, &hits, &n), RAG_INVALID);
    q.mode = RAG_SEARCH_HYBRID;
    q.query = RAG_STR("\xff");
    assert_code(kb_hits(x.r, x.s, &q, x.arena, &hits, &n), RAG_INVALID);
    q.query = RAG_STR("apples");
    q.filter.collection = RAG_STR("nowhere");
    assert_code(kb_hits(x.r, x.s, &q, x.arena, &hits, &n), RAG_NOT_FOUND);
    q.filter.collection = RAG_STR("default");
    assert_code(kb_hits(x.r, x.s, &q, x.arena, &hits, &n), RAG_OK);
    assert_int_equal(n, 1);
    leave(&x);
}

static void test_search__a_passed_deadline_is_told(void **state)
{
    rag_index *ix = kb_open(*state);
    rag_writer *w = kb_begin(ix);
    int64_t source = kb_source(w, "default", "/root", "");
    for (int i = 0; i < 6000; i++) {
        char path[16];
        snprintf(path, sizeof path, "p%d", i);
        kb_put(w, source, path, "word");
    }
    kb_publish(w);
    rag_writer_end(w);
    world x = enter(ix);
    rag_hit *hits;
    size_t n;
    rag_search q = { .query = RAG_STR("word"), .filter = everything, .deadline_ms = rag_clock_ms() - 1 };
    assert_code(kb_hits(x.r, x.s, &q, x.arena, &hits, &n), RAG_DEADLINE);
    q.deadline_ms = 0;
    assert_code(kb_hits(x.r, x.s, &q, x.arena, &hits, &n), RAG_OK);
    assert_int_equal(n, 5);
    leave(&x);
}

/* ---- quoted parts ---------------------------------------------------------------------------- */

static void assert_only(world *x, const char *query, const char *document)
{
    static const rag_search_mode modes[] = { RAG_SEARCH_HYBRID, RAG_SEARCH_VECTOR, RAG_SEARCH_TEXT };
    for (size_t i = 0; i < 3; i++) {
        rag_hit *hits;
        size_t n = find(x, query, modes[i], &hits);
        if (n != (document ? 1 : 0))
            fail_msg("%s: %zu hits in mode %zu", query, n, i);
        if (document)
            assert_true(rag_str_eq(hits[0].document, rag_str_of(document)));
    }
}

static void test_search__quoted_parts_must_stand_there(void **state)
{
    rag_index *ix = kb_open(*state);
    kb_ingest(ix, "a", "Error E-4012 means\nno paper", "b", "Error E 4012, means other Paper", "c",
              "保修期为两\n年", "d", "写 C++ 代码", "e", "写 C 代码 →", NULL);
    world x = enter(ix);
    assert_only(&x, "\"E-4012\"", "a");
    assert_only(&x, "what is \"e-4012\" please", "a");
    assert_only(&x, "\"means NO  paper\"", "a");
    assert_only(&x, "\"4012, means\"", "b");
    assert_only(&x, "\"两年\"", "c");
    assert_only(&x, "\"C++\"", "d");
    assert_only(&x, "\"→\"", "e");
    assert_only(&x, "\"no such words\"", NULL);
    assert_only(&x, "\"error\" \"→\"", NULL);
    assert_only(&x, "\"⇒\"", NULL);
    leave(&x);
}

static void test_search__exact_strings_are_found(void **state)
{
    static const char *const strings[] = { "重跑gen-itgc后", "Wi-Fi 6E", "E-4012", "max_bytes", "3.5", "ｶﾞｽ", "囧" };
    rag_index *ix = kb_open(*state);
    rag_writer *w = kb_begin(ix);
    int64_t source = kb_source(w, "default", "/root", "");
    for (size_t i = 0; i < sizeof strings / sizeof *strings; i++) {
        char path[16], text[100];
        snprintf(path, sizeof path, "s%zu", i);
        snprintf(text, sizeof text, "some words and then %s and more", strings[i]);
        kb_put(w, source, path, text);
    }
    for (int i = 0; i < 200; i++) {
        char path[16], text[100];
        snprintf(path, sizeof path, "n%d", i);
        snprintf(text, sizeof text, "wi %d fi e words gen bytes max 重 后 some and more 3 x 5", i);
        kb_put(w, source, path, text);
    }
    kb_publish(w);
    rag_writer_end(w);
    world x = enter(ix);
    for (size_t i = 0; i < sizeof strings / sizeof *strings; i++) {
        rag_hit *hits;
        char path[16];
        snprintf(path, sizeof path, "s%zu", i);
        assert_true(find(&x, strings[i], RAG_SEARCH_TEXT, &hits) > 0);
        if (!rag_str_eq(hits[0].document, rag_str_of(path)))
            fail_msg("%s finds '%.*s' first", strings[i], RAG_STR_ARG(hits[0].document));
    }
    leave(&x);
}

/* ---- filters against brute force ------------------------------------------------------------------ */

enum { ROWS = 400, COLLECTIONS = 3, GROUPS = 4, TRIALS = 300 };

typedef struct row {
    char path[16], text[64];
    int collection;
    unsigned groups; /* bits; 0 = everybody */
} row;

static row rows[ROWS];
static unsigned seed = 7;

static unsigned next_random(unsigned below)
{
    seed = seed * 1103515245u + 12345u;
    return (seed >> 16) % below;
}

static void groups_of(unsigned bits, char *out)
{
    out[0] = '\0';
    for (int g = 0; g < GROUPS; g++)
        if (bits >> g & 1)
            sprintf(out + strlen(out), "%sg%d", *out ? "," : "", g);
}

/* A source has one set of groups: one root for each. */
static int64_t source_of(rag_writer *w, const row *r)
{
    char root[32], groups[32], collection[8];
    groups_of(r->groups, groups);
    snprintf(root, sizeof root, "/%u", r->groups);
    snprintf(collection, sizeof collection, "c%d", r->collection);
    return kb_source(w, collection, root, groups);
}

static void fill_world(rag_index *ix)
{
    rag_writer *w = kb_begin(ix);
    for (int i = 0; i < ROWS; i++) {
        row *r = &rows[i];
        snprintf(r->path, sizeof r->path, "p%03d", i);
        snprintf(r->text, sizeof r->text, "word w%u x%u y%u", next_random(5), next_random(20), next_random(100));
        r->collection = (int)next_random(COLLECTIONS);
        r->groups = next_random(2) ? next_random(1 << GROUPS) : 0;
        kb_put(w, source_of(w, r), r->path, r->text);
    }
    kb_publish(w);
    for (int i = 0; i < ROWS; i += 3) { /* a second generation, so that old rows lie about */
        snprintf(rows[i].text, sizeof rows[i].text, "word w%u new%u", next_random(5), next_random(50));
        kb_put(w, source_of(w, &rows[i]), rows[i].path, rows[i].text);
    }
    kb_publish(w);
    rag_writer_end(w);
}

typedef struct scored {
    const row *row;
    float score;
} scored;

static int by_score(const void *a, const void *b)
{
    const scored *x = a, *y = b;
    if (x->score != y->score)
        return x->score < y->score ? 1 : -1;
    return strcmp(x->row->path, y->row->path);
}

static size_t brute_force(const float *query, int collection, unsigned groups, scored *out)
{
    size_t n = 0;
    for (int i = 0; i < ROWS; i++) {
        float v[KB_DIM], dot = 0;
        if (rows[i].collection != collection || (rows[i].groups && !(rows[i].groups & groups)))
            continue;
        kb_vector(rag_str_of(rows[i].text), v);
        for (int k = 0; k < KB_DIM; k++)
            dot += v[k] * query[k];
        out[n++] = (scored){ &rows[i], dot };
    }
    qsort(out, n, sizeof *out, by_score);
    return n;
}

static void test_search__filters_equal_brute_force(void **state)
{
    static const char *const names[GROUPS] = { "g0", "g1", "g2", "g3" };
    rag_index *ix = kb_open(*state);
    fill_world(ix);
    world x = enter(ix);
    for (int trial = 0; trial < TRIALS; trial++) {
        char collection[8], query[64];
        rag_str groups[GROUPS];
        float vector[KB_DIM];
        scored want[ROWS];
        rag_hit *hits;
        size_t n;
        unsigned bits = next_random(1 << GROUPS);
        int c = (int)next_random(COLLECTIONS);
        snprintf(collection, sizeof collection, "c%d", c);
        snprintf(query, sizeof query, "word w%u x%u", next_random(5), next_random(20));
        kb_vector(rag_str_of(query), vector);
        rag_search q = { .query = rag_str_of(query), .vector = vector, .top_k = 1 + (int)next_random(100),
                         .filter = { .collection = rag_str_of(collection), .groups = groups } };
        for (int g = 0; g < GROUPS; g++)
            if (bits >> g & 1)
                groups[q.filter.n_groups++] = rag_str_of(names[g]);
        size_t all = brute_force(vector, c, bits, want);
        size_t expected = all < (size_t)q.top_k ? all : (size_t)q.top_k;

        q.mode = RAG_SEARCH_VECTOR;
        assert_ok(kb_hits(x.r, x.s, &q, x.arena, &hits, &n));
        assert_int_equal(n, expected);
        for (size_t i = 0; i < n; i++)
            assert_true(fabs(hits[i].vector_score - want[i].score) < 1e-5);
        q.mode = RAG_SEARCH_TEXT; /* "word" stands in every row: all that is visible is found */
        assert_ok(kb_hits(x.r, x.s, &q, x.arena, &hits, &n));
        assert_int_equal(n, expected);
        q.mode = RAG_SEARCH_HYBRID;
        assert_ok(kb_hits(x.r, x.s, &q, x.arena, &hits, &n));
        assert_int_equal(n, expected);
        for (size_t i = 0; i < n; i++) {
            bool visible = false;
            for (size_t k = 0; k < all; k++)
                visible = visible || (rag_str_eq(hits[i].document, rag_str_of(want[k].row->path)) &&
                                      rag_str_eq(hits[i].text, rag_str_of(want[k].row->text)));
            assert_true(visible);
        }
        rag_arena_reset(x.arena);
    }
    leave(&x);
}

/* ---- documents and texts ---------------------------------------------------------------------------- */

static void test_search__documents_are_listed_in_pages(void **state)
{
    rag_index *ix = kb_open(*state);
    rag_writer *w = kb_begin(ix);
    rag_document *list;
    size_t n;
    kb_put(w, kb_source(w, "default", "/a", ""), "open", "text for all");
    kb_put(w, kb_source(w, "default", "/b", "staff"), "closed", "text for staff");
    kb_put(w, kb_source(w, "other", "/c", ""), "elsewhere", "text\nof two lines");
    kb_publish(w);
    rag_writer_end(w);
    world x = enter(ix);
    rag_filter nobody = { 0 };
    assert_ok(rag_reader_documents(x.r, x.s, &nobody, 0, 10, x.arena, &list, &n, &kb_err));
    assert_int_equal(n, 1);
    assert_true(rag_str_eq(list[0].path, RAG_STR("open")));
    assert_ok(rag_reader_documents(x.r, x.s, &everything, 0, 2, x.arena, &list, &n, &kb_err));
    assert_int_equal(n, 2);
    assert_true(rag_str_eq(list[1].groups, RAG_STR("staff")));
    assert_ok(rag_reader_documents(x.r, x.s, &everything, list[1].id, 2, x.arena, &list, &n, &kb_err));
    assert_int_equal(n, 1);
    assert_true(rag_str_eq(list[0].collection, RAG_STR("other")));
    assert_int_equal(list[0].bytes, 17);
    assert_int_equal(list[0].chunks, 1);
    leave(&x);
}

static void test_search__texts_are_read_by_range(void **state)
{
    rag_index *ix = kb_open(*state);
    rag_buf big, out;
    rag_document doc;
    rag_buf_init(&big, 1 << 20);
    rag_buf_init(&out, 1 << 20);
    for (int i = 0; i < 20000; i++)
        rag_buf_putf(&big, "Zeile %d ä\n", i); /* several blocks */
    kb_ingest(ix, "big", big.ptr, "empty", "", NULL);
    world x = enter(ix);
    assert_ok(rag_reader_document_by_path(x.r, x.s, RAG_STR(""), RAG_STR("big"), x.arena, &doc, &kb_err));
    assert_ok(rag_reader_text(x.r, x.s, doc.id, 0, SIZE_MAX, &out, &kb_err));
    assert_true(rag_str_eq(rag_buf_str(&out), rag_buf_str(&big)));
    size_t from = rag_utf8_floor(rag_buf_str(&big), 65500), to = rag_utf8_floor(rag_buf_str(&big), 65600);
    rag_buf_clear(&out);
    assert_ok(rag_reader_text(x.r, x.s, doc.id, from, to, &out, &kb_err));
    assert_true(rag_str_eq(rag_buf_str(&out), rag_str_sub(rag_buf_str(&big), from, to)));
    assert_code(rag_reader_text(x.r, x.s, doc.id, 0, big.len + 1, &out, &kb_err), RAG_INVALID);
    assert_code(rag_reader_text(x.r, x.s, doc.id, 9, 10, &out, &kb_err), RAG_INVALID); /* inside the first ä */
    assert_code(rag_reader_text(x.r, x.s, 99, 0, 1, &out, &kb_err), RAG_NOT_FOUND);
    size_t line, expected = 1;
    for (size_t at = 0; at <= big.len; at++) {
        if (at % 4999 == 0 || at == big.len || (at >= 65530 && at < 65540)) {
            assert_ok(rag_reader_line(x.r, x.s, doc.id, at, &line, &kb_err));
            assert_int_equal(line, expected);
        }
        expected += at < big.len && big.ptr[at] == '\n';
    }
    assert_code(rag_reader_line(x.r, x.s, doc.id, big.len + 1, &line, &kb_err), RAG_INVALID);
    assert_ok(rag_reader_document_by_path(x.r, x.s, RAG_STR(""), RAG_STR("empty"), x.arena, &doc, &kb_err));
    rag_buf_clear(&out);
    assert_ok(rag_reader_text(x.r, x.s, doc.id, 0, SIZE_MAX, &out, &kb_err));
    assert_int_equal(out.len, 0);
    leave(&x);
    rag_buf_free(&big);
    rag_buf_free(&out);
}

static void test_search__a_collection_once_filled_stays_known(void **state)
{
    rag_index *ix = kb_open(*state);
    rag_hit *hits;
    size_t n;
    rag_writer *w = kb_begin(ix);
    int64_t source = kb_source(w, "brief", "/root", ""), id = kb_put(w, source, "a", "apples");
    kb_publish(w);
    assert_ok(rag_writer_remove(w, id, &kb_err));
    kb_source(w, "never", "/root", "");
    kb_publish(w);
    rag_writer_end(w);
    world x = enter(ix);
    rag_search q = { .query = RAG_STR("apples"), .filter = { .collection = RAG_STR("brief"), .all_groups = true } };
    assert_ok(kb_hits(x.r, x.s, &q, x.arena, &hits, &n));
    assert_int_equal(n, 0);
    q.filter.collection = RAG_STR("never");
    assert_code(kb_hits(x.r, x.s, &q, x.arena, &hits, &n), RAG_NOT_FOUND);
    leave(&x);
}

#define ROW(name) cmocka_unit_test_setup_teardown(test_search__##name, kb_setup, kb_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        ROW(a_hit_says_where_it_stands),
        ROW(modes_use_their_half),
        ROW(ties_break_by_path_then_start),
        ROW(wrong_requests_are_refused),
        ROW(a_passed_deadline_is_told),
        ROW(quoted_parts_must_stand_there),
        ROW(exact_strings_are_found),
        ROW(filters_equal_brute_force),
        ROW(documents_are_listed_in_pages),
        ROW(texts_are_read_by_range),
        ROW(a_collection_once_filled_stays_known),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
