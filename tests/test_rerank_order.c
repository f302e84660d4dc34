/* The new order of hits and candidates, over hits made by hand and the fake that counts. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/file.h"
#include "daemon/rerank.h"

enum { N = 6 };

static job the_job;
static rag_results found;
static float scores[N];

/* Hits 1 to 6 with falling scores, and one candidate more that is no hit. */
static int make_hits(void **state)
{
    (void)state;
    the_job = (job){ .arena = rag_arena_new() };
    found = (rag_results){ .n = N, .n_candidates = N + 1 };
    found.hits = rag_arena_array(the_job.arena, N, sizeof *found.hits);
    found.candidates = rag_arena_array(the_job.arena, N + 1, sizeof *found.candidates);
    for (int i = 0; i < N; i++)
        found.hits[i] = (rag_hit){ .chunk_id = i + 1, .score = 0.9 - 0.1 * i, .fused_score = 0.9 - 0.1 * i, .rerank_score = NAN };
    for (int i = 0; i <= N; i++)
        found.candidates[i] = (rag_candidate){ .chunk_id = i + 1, .rerank_score = NAN };
    return 0;
}

static int free_hits(void **state)
{
    (void)state;
    rag_arena_free(the_job.arena);
    return 0;
}

static void apply(const float *given, size_t n)
{
    memcpy(scores, given, n * sizeof *scores);
    the_job.rerank = (reranking){ .n = n, .scores = scores };
    rerank_apply(&the_job, &found);
}

static void assert_order(const int *ids)
{
    assert_int_equal(found.n, N);
    assert_int_equal(found.n_candidates, N + 1);
    for (int i = 0; i < N; i++) {
        assert_int_equal(found.hits[i].chunk_id, ids[i]);
        assert_int_equal(found.candidates[i].chunk_id, ids[i]);
        assert_true(i == 0 || found.hits[i].score <= found.hits[i - 1].score);
    }
    assert_int_equal(found.candidates[N].chunk_id, N + 1);
}

static void test_rerank_order__scored_hits_come_first_the_others_as_they_were(void **state)
{
    (void)state;
    apply((float[]){ -3, 2, NAN, -1 }, 4);
    assert_order((int[]){ 2, 4, 1, 3, 5, 6 });
    assert_true(found.hits[0].score == 2 && found.hits[0].rerank_score == 2);
    assert_true(found.hits[2].score == -3 && fabs(found.hits[2].fused_score - 0.9) < 1e-12);
    assert_true(isnan(found.hits[3].rerank_score));
    assert_true(fabs(found.hits[5].score - (-3 - 0.3)) < 1e-9); /* as far behind as it was */
    assert_true(found.candidates[0].rerank_score == 2);
    assert_true(isnan(found.candidates[3].rerank_score) && isnan(found.candidates[N].rerank_score));
}

static void test_rerank_order__equal_scores_keep_their_order(void **state)
{
    (void)state;
    apply((float[]){ 1, 1, 5, 1, 1, 5 }, 6);
    assert_order((int[]){ 3, 6, 1, 2, 4, 5 });
}

static void test_rerank_order__no_score_changes_nothing(void **state)
{
    const rag_hit *before = found.hits;
    (void)state;
    apply((float[]){ NAN, NAN, NAN, NAN, NAN, NAN }, 6);
    assert_order((int[]){ 1, 2, 3, 4, 5, 6 });
    assert_ptr_equal(found.hits, before);
    assert_true(found.hits[0].score == 0.9);
}

static void test_rerank_order__without_candidates_none_are_made(void **state)
{
    (void)state;
    found.n_candidates = 0;
    found.candidates = NULL;
    apply((float[]){ 1, 2, 3, 4, 5, 6 }, 6);
    assert_null(found.candidates);
    assert_int_equal(found.hits[0].chunk_id, 6);
}

static void begin(double until_ms)
{
    static const rag_str passages[N];
    for (int i = 0; i < N; i++)
        scores[i] = NAN;
    the_job.rerank = (reranking){ .query = RAG_STR("q"), .passages = passages, .n = N, .scores = scores, .until_ms = until_ms };
}

static int score_all(rag_reranker *r)
{
    int turns = 1;
    while (!rerank_next(&the_job, r))
        turns++;
    return turns;
}

static void test_rerank_order__a_turn_scores_one_pair(void **state)
{
    rag_reranker *r = NULL;
    (void)state;
    assert_int_equal(rag_rerank_open(&r, &(rag_rerank_options){ "fake.gguf", 1, 0 }, NULL), RAG_OK);
    begin(rag_clock_ms() + 1e6);
    assert_int_equal(score_all(r), N);
    for (int i = 0; i < N; i++)
        assert_true(scores[i] == (float)(i + 1));
    rag_rerank_close(r);
}

static void test_rerank_order__no_pair_is_begun_when_it_is_too_late(void **state)
{
    rag_reranker *r = NULL;
    (void)state;
    assert_int_equal(rag_rerank_open(&r, &(rag_rerank_options){ "fake.gguf", 1, 0 }, NULL), RAG_OK);
    begin(rag_clock_ms());
    assert_int_equal(score_all(r), 1);
    assert_true(isnan(scores[0]));
    begin(rag_clock_ms() + 1e6);
    assert_false(rerank_next(&the_job, r));
    atomic_store(&the_job.is_late, true);
    assert_int_equal(score_all(r), 1);
    assert_true(scores[0] == 1 && isnan(scores[1]));
    rag_rerank_close(r);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, make_hits, free_hits)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_rerank_order__scored_hits_come_first_the_others_as_they_were),
        TEST(test_rerank_order__equal_scores_keep_their_order),
        TEST(test_rerank_order__no_score_changes_nothing),
        TEST(test_rerank_order__without_candidates_none_are_made),
        TEST(test_rerank_order__a_turn_scores_one_pair),
        TEST(test_rerank_order__no_pair_is_begun_when_it_is_too_late),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
