/* Coefficients from a file, and what they make of features. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "daemon/answer.h"

static rag_code load(const char *text, answer_model *out, rag_err *err)
{
    char path[] = "/tmp/ragd-test-XXXXXX";
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
    close(fd);
    rag_code code = answer_model_load(path, out, err);
    unlink(path);
    return code;
}

static void test_answer_confidence__built_in_is_what_the_file_says(void **state)
{
    (void)state;
    answer_model m;
    rag_err err;
    assert_int_equal(answer_model_load("conf/confidence.conf", &m, &err), RAG_OK);
    for (int i = 0; i < ANSWER_FEATURES; i++)
        if (m.weight[i] != ANSWER_MODEL.weight[i])
            fail_msg("'%s' is %f in the file and %f built in", answer_feature_name((answer_feature)i), m.weight[i], ANSWER_MODEL.weight[i]);
}

static void test_answer_confidence__it_is_the_logistic_of_the_weighed_sum(void **state)
{
    (void)state;
    answer_model m;
    rag_err err;
    answer_features f = { .value = { [ANSWER_BIAS] = 1, [ANSWER_OVERLAP] = 0.5 } };
    assert_int_equal(load("# a comment\ndate = 2026-01-01\ndata = a b\nanswers = 7\n\nbias = -1\noverlap=2e0\n", &m, &err), RAG_OK);
    assert_true(fabs(answer_probability(&m, &f) - 0.5) < 1e-12);
    f.value[ANSWER_OVERLAP] = 1;
    assert_true(fabs(answer_probability(&m, &f) - 1 / (1 + exp(-1))) < 1e-12);
    f.value[ANSWER_TOKENS] = -1; /* not in the file: weighs nothing */
    assert_true(fabs(answer_probability(&m, &f) - 1 / (1 + exp(-1))) < 1e-12);
}

static void test_answer_confidence__bad_files_are_refused(void **state)
{
    (void)state;
    static const struct {
        const char *text, *why;
    } rows[] = {
        { "", "no 'bias'" },
        { "overlap = 1\n", "no 'bias'" },
        { "bias = 1\nvibes = 2\n", ":2: 'vibes' is no feature" },
        { "bias = 1\nbias = 2\n", ":2: 'bias' stands there twice" },
        { "bias = one\n", ":1: 'one' is no number" },
        { "bias = nan\n", "is no number" },
        { "bias = 1e9\n", "is no number between" },
        { "bias =\n", "is no number" },
        { "bias\n", "is no 'name = value'" },
        { "bias = 1\n\xff\n", "not valid UTF-8" },
    };
    answer_model m = { .weight = { 42 } };
    rag_err err;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        assert_int_equal(load(rows[i].text, &m, &err), RAG_CONFIG);
        if (!strstr(err.message, rows[i].why))
            fail_msg("'%s' does not say '%s'", err.message, rows[i].why);
    }
    assert_int_equal(answer_model_load("/tmp/there/is/none", &m, &err), RAG_CONFIG);
    assert_true(m.weight[0] == 42);
}

static void test_answer_confidence__every_feature_has_its_own_name(void **state)
{
    (void)state;
    for (int i = 0; i < ANSWER_FEATURES; i++)
        for (int k = 0; k < i; k++)
            assert_string_not_equal(answer_feature_name((answer_feature)i), answer_feature_name((answer_feature)k));
}

/* What the question asks for, and what the best sentence has of it. */
static answer_features features(rag_arena *arena, const char *question, const char *passage)
{
    rag_hit h = { .rank = 1, .document = RAG_STR("a.md"), .title = RAG_STR("A"), .text = rag_str_of(passage), .end = strlen(passage),
                  .line_start = 1, .line_end = 1, .score = 1, .rerank_score = NAN };
    answer_evidence ev;
    assert_int_equal(answer_collect(NULL, rag_str_of(question), &h, 1, arena, &ev, NULL), RAG_OK);
    answer_rank(&ev, NULL, NULL, 0);
    return ev.features;
}

static void test_answer_confidence__features_see_what_is_asked_for(void **state)
{
    (void)state;
    rag_arena *arena = rag_arena_new();
    assert_true(features(arena, "How many days may goods be returned?", "Goods may be returned within 30 days.").value[ANSWER_WANTS_FIGURE] == 1);
    assert_true(features(arena, "How many days may goods be returned?", "Goods may be returned.").value[ANSWER_WANTS_FIGURE] == -1);
    assert_true(features(arena, "商品几天内可以退货？", "商品三十天内可以退货。").value[ANSWER_WANTS_FIGURE] == 1);
    assert_true(features(arena, "Who built the bridge?", "The bridge was built by Gustave Eiffel.").value[ANSWER_WANTS_NAME] == 1);
    assert_true(features(arena, "Who built the bridge?", "The bridge was built of stone.").value[ANSWER_WANTS_NAME] == -1);
    assert_true(features(arena, "Why is the bridge closed?", "The bridge is closed.").value[ANSWER_WANTS_REASON] == 1);
    assert_true(features(arena, "When did Anna visit Berlin?", "Otto visited Berlin in 1990.").value[ANSWER_NAMES] == 0.5);
    assert_true(features(arena, "When did Anna visit Berlin?", "Anna visited Berlin in 1990.").value[ANSWER_NAMES] == 0);
    rag_arena_free(arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_answer_confidence__built_in_is_what_the_file_says),
        cmocka_unit_test(test_answer_confidence__it_is_the_logistic_of_the_weighed_sum),
        cmocka_unit_test(test_answer_confidence__bad_files_are_refused),
        cmocka_unit_test(test_answer_confidence__every_feature_has_its_own_name),
        cmocka_unit_test(test_answer_confidence__features_see_what_is_asked_for),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
