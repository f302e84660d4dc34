#include "kb.h"

#include <math.h>

#include "index/bm25.h"

/* A world of few words, so that every count is more than one. */
static const char *const words[] = { "apple", "banana", "cherry", "date", "elder", "fig", "grape", "hazel" };
enum { WORDS = 8, DOCUMENTS = 40, MAX_TEXT = 400, ROUNDS = 5 };

static char texts[DOCUMENTS][MAX_TEXT]; /* what is live, "" = removed */
static unsigned seed = 1;

static unsigned next_random(unsigned below)
{
    seed = seed * 1103515245u + 12345u;
    return (seed >> 16) % below;
}

static void make_text(char *out)
{
    out[0] = '\0';
    for (unsigned n = 1 + next_random(30); n > 0; n--) {
        strcat(out, words[next_random(WORDS)]);
        strcat(out, " ");
    }
}

static void change_some(rag_index *ix)
{
    rag_writer *w = kb_begin(ix);
    int64_t source = kb_source(w, "default", "/root", "");
    for (int i = 0; i < DOCUMENTS; i++) {
        char path[16];
        snprintf(path, sizeof path, "p%02d", i);
        if (next_random(3) == 0)
            continue;
        make_text(texts[i]);
        kb_put(w, source, path, texts[i]);
    }
    kb_publish(w);
    rag_writer_end(w);
}

static int occurrences(const char *text, const char *word)
{
    int n = 0;
    for (const char *at = text; (at = strstr(at, word)); at++)
        n++;
    return n;
}

static int length_of(const char *text)
{
    int n = 0;
    for (; *text; text++)
        n += *text == ' ';
    return n;
}

/* The title is the path: one token, that no query here holds. */
static double expected(int document, const char *const *query, size_t n)
{
    double total = 0, visible = 0, score = 0;
    for (int i = 0; i < DOCUMENTS; i++) {
        visible += texts[i][0] != '\0';
        total += texts[i][0] ? length_of(texts[i]) + 1 : 0;
    }
    for (size_t q = 0; q < n; q++) {
        double df = 0, tf = occurrences(texts[document], query[q]);
        for (int i = 0; i < DOCUMENTS; i++)
            df += occurrences(texts[i], query[q]) > 0;
        double length = length_of(texts[document]) + 1;
        double idf = log(1 + (visible - df + 0.5) / (df + 0.5));
        score += idf * tf * 2.2 / (tf + 1.2 * (0.25 + 0.75 * length / (total / visible)));
    }
    return score;
}

static void assert_scores(rag_index *ix, const char *text, const char *const *query, size_t n)
{
    rag_arena *arena = rag_arena_new();
    rag_hit *hits;
    size_t found = kb_search(ix, text, RAG_SEARCH_TEXT, arena, &hits), wanted = 0;
    for (int i = 0; i < DOCUMENTS; i++)
        wanted += texts[i][0] && expected(i, query, n) > 0;
    assert_int_equal(found, wanted);
    for (size_t i = 0; i < found; i++) {
        int document = atoi(hits[i].document.ptr + 1);
        assert_float_equal(hits[i].text_score, expected(document, query, n), 1e-4);
        if (i > 0)
            assert_true(hits[i].text_score <= hits[i - 1].text_score);
    }
    rag_arena_free(arena);
}

/* Old versions, and rows of a run that is not published, are in the same FTS5 table and must not count. */
static void test_bm25__equals_a_count_over_visible_rows(void **state)
{
    static const char *const two[] = { "fig", "grape" };
    rag_index *ix = kb_open(*state);
    memset(texts, 0, sizeof texts);
    for (int round = 0; round < ROUNDS; round++) {
        change_some(ix);
        rag_writer *w = kb_begin(ix);
        kb_put(w, kb_source(w, "default", "/root", ""), "p00", "fig fig fig pending grape");
        rag_writer_end(w);
        assert_scores(ix, "fig grape", two, 2);
        assert_scores(ix, "grape", two + 1, 1);
    }
    rag_index_close(ix);
}

static void test_bm25__counts_stay_with_the_collection(void **state)
{
    rag_index *ix = kb_open(*state);
    rag_arena *arena = rag_arena_new();
    rag_reader *r;
    rag_hit *alone, *together;
    size_t n;
    rag_writer *w = kb_begin(ix);
    int64_t mine = kb_source(w, "mine", "/a", ""), theirs = kb_source(w, "theirs", "/b", "");
    kb_put(w, mine, "x", "fig and apple");
    kb_put(w, mine, "y", "only apple");
    kb_publish(w);
    rag_search q = { .query = RAG_STR("fig"), .mode = RAG_SEARCH_TEXT,
                     .filter = { .collection = RAG_STR("mine"), .all_groups = true } };
    assert_ok(rag_index_refresh(ix, NULL, &kb_err));
    rag_snapshot *s = rag_index_acquire(ix);
    assert_ok(rag_reader_open(&r, ix, &kb_err));
    assert_ok(kb_hits(r, s, &q, arena, &alone, &n));
    rag_snapshot_release(s);
    assert_int_equal(n, 1);
    for (int i = 0; i < 20; i++) {
        char path[16];
        snprintf(path, sizeof path, "t%d", i);
        kb_put(w, theirs, path, "fig fig fig with many more words around the fruit");
    }
    kb_publish(w);
    rag_writer_end(w);
    assert_ok(rag_index_refresh(ix, NULL, &kb_err));
    s = rag_index_acquire(ix);
    assert_ok(kb_hits(r, s, &q, arena, &together, &n));
    assert_int_equal(n, 1);
    assert_true(alone[0].text_score == together[0].text_score);
    rag_snapshot_release(s);
    rag_reader_close(r);
    rag_arena_free(arena);
    rag_index_close(ix);
}

static void test_bm25__frequency_is_by_stem(void **state)
{
    rag_index *ix = kb_open(*state);
    rag_arena *arena = rag_arena_new();
    rag_reader *r;
    rag_term *terms;
    size_t n;
    int64_t df, rows;
    kb_ingest(ix, "a", "running shoes\n\nhe runs", "b", "a walk", NULL);
    assert_ok(rag_reader_open(&r, ix, &kb_err));
    assert_ok(rag_terms(RAG_STR("run zebra 42"), arena, &terms, &n));
    assert_ok(rag_reader_frequency(r, &terms[0], &df, &rows, &kb_err));
    assert_int_equal(df, 2);
    assert_int_equal(rows, 3);
    assert_ok(rag_reader_frequency(r, &terms[1], &df, &rows, &kb_err));
    assert_int_equal(df, 0);
    assert_ok(rag_reader_frequency(r, &terms[2], &df, &rows, &kb_err));
    assert_int_equal(df, 0);
    rag_reader_close(r);
    rag_arena_free(arena);
    rag_index_close(ix);
}

#define ROW(name) cmocka_unit_test_setup_teardown(test_bm25__##name, kb_setup, kb_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        ROW(equals_a_count_over_visible_rows),
        ROW(counts_stay_with_the_collection),
        ROW(frequency_is_by_stem),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
