/* The figures of `ragctl eval` against values computed by hand. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <math.h>
#include <string.h>

#include "ctl/eval_metrics.h"

#define NEAR(got, want) assert_float_equal(got, want, 1e-9)

/* ---- ranking ------------------------------------------------------------------------ */

static void test_eval__ranking_figures_follow_their_formulas(void **state)
{
    double out[EVAL_RANKING];
    (void)state;
    eval_rank((const uint32_t[]){ 2, 5 }, 2, 3, 3, out);
    NEAR(out[EVAL_HIT + 0], 0);
    NEAR(out[EVAL_HIT + 1], 1);
    NEAR(out[EVAL_RECALL + 0], 0);
    NEAR(out[EVAL_RECALL + 1], 1.0 / 3);
    NEAR(out[EVAL_RECALL + 2], 2.0 / 3);
    NEAR(out[EVAL_MRR], 0.5);
    NEAR(out[EVAL_NDCG], (1 / log2(3) + 1 / log2(6)) / (1 + 1 / log2(3) + 0.5));
}

static void test_eval__what_lies_beyond_ten_counts_nowhere(void **state)
{
    double out[EVAL_RANKING];
    (void)state;
    eval_rank((const uint32_t[]){ 11 }, 1, 1, 1, out);
    for (int i = 0; i < EVAL_RANKING; i++)
        NEAR(out[i], 0);
    eval_rank(NULL, 0, 2, 2, out);
    for (int i = 0; i < EVAL_RANKING; i++)
        NEAR(out[i], 0);
}

static void test_eval__ndcg_is_1_when_one_result_holds_two_spans(void **state)
{
    double out[EVAL_RANKING];
    (void)state;
    eval_rank((const uint32_t[]){ 1, 1 }, 2, 2, 1, out);
    NEAR(out[EVAL_NDCG], 1);
    NEAR(out[EVAL_RECALL + 0], 1);
    eval_rank((const uint32_t[]){ 1, 1, 3 }, 3, 3, 2, out);
    NEAR(out[EVAL_NDCG], (1 + 0.5) / (1 + 1 / log2(3)));
}

static void test_eval__a_hit_finds_a_span_with_half_of_the_shorter(void **state)
{
    (void)state;
    assert_true(eval_finds((rag_span){ 0, 100 }, (rag_span){ 95, 105 }));
    assert_false(eval_finds((rag_span){ 0, 100 }, (rag_span){ 96, 106 }));
    assert_true(eval_finds((rag_span){ 40, 50 }, (rag_span){ 0, 1000 }));
    assert_false(eval_finds((rag_span){ 0, 10 }, (rag_span){ 10, 20 }));
    assert_false(eval_finds((rag_span){ 5, 5 }, (rag_span){ 0, 20 }));
    assert_int_equal(eval_overlap((rag_span){ 0, 10 }, (rag_span){ 4, 6 }), 2);
    assert_int_equal(eval_overlap((rag_span){ 0, 4 }, (rag_span){ 6, 9 }), 0);
}

/* ---- text --------------------------------------------------------------------------- */

static void becomes(const char *text, bool zh, const char *want)
{
    rag_buf out;
    rag_buf_init(&out, 4096);
    eval_normalise(rag_str_of(text), zh, &out);
    assert_string_equal(out.ptr ? out.ptr : "", want);
    rag_buf_free(&out);
}

/* What normalize_answer of SQuAD's evaluate-v1.1.py makes of them. */
static void test_eval__english_is_normalised_as_squad_does_it(void **state)
{
    (void)state;
    becomes("The Quick,  brown-FOX!", false, "quick brownfox");
    becomes("an apple a day", false, "apple day");
    becomes("A", false, "");
    becomes("", false, "");
    becomes("another theory", false, "another theory");
    becomes("U.S. $1,000.50", false, "us 100050");
    becomes("Beyonc\xc3\xa9 \xc3\x89tat", false, "beyonc\xc3\xa9 \xc3\xa9tat");
    becomes("a\u2013b the\u2013end", false, "\u2013b \u2013end");
    becomes("one\xc2\xa0two\n\tthree ", false, "one two three");
}

static void test_eval__chinese_is_letters_and_digits(void **state)
{
    (void)state;
    becomes("\xe7\xac\xac\xe4\xb8\x89\xef\xbc\x8c\xe3\x80\x8a\xef\xbc\xa1\xef\xbc\xa2\xe3\x80\x8b 12 \xe6\xac\xa1\xe3\x80\x82", true,
            "\xe7\xac\xac\xe4\xb8\x89" "ab12\xe6\xac\xa1");
    assert_true(eval_by_characters(true, RAG_STR("136")));
    assert_true(eval_by_characters(false, RAG_STR("136 \xe6\xac\xa1")));
    assert_false(eval_by_characters(false, RAG_STR("136 caf\xc3\xa9s")));
}

#define F1(answer, gold, zh) eval_f1(RAG_STR(answer), RAG_STR(gold), zh)

static void test_eval__f1_counts_tokens_as_multisets(void **state)
{
    (void)state;
    NEAR(F1("the cat sat", "cat sat down", false), 2 * (1.0 * 2 / 3) / (1 + 2.0 / 3));
    NEAR(F1("cat cat dog", "cat dog dog", false), 2.0 / 3);
    NEAR(F1("cat", "dog", false), 0);
    NEAR(F1("", "dog", false), 0);
    NEAR(F1("The dog.", "dog", false), 1);
    /* 北京市 against 北京: 2 of 3 and 2 of 2 */
    NEAR(F1("\xe5\x8c\x97\xe4\xba\xac\xe5\xb8\x82", "\xe5\x8c\x97\xe4\xba\xac\xe3\x80\x82", true), 0.8);
}

static void test_eval__exact_match_and_inclusion_are_of_normalised_text(void **state)
{
    (void)state;
    NEAR(eval_exact_match(RAG_STR("The 30 days."), RAG_STR("30 Days"), false), 1);
    NEAR(eval_exact_match(RAG_STR("30 days or so"), RAG_STR("30 days"), false), 0);
    NEAR(eval_includes(RAG_STR("It takes the 30 days, in all."), RAG_STR("30 days"), false), 1);
    NEAR(eval_includes(RAG_STR("It takes 30 or more days"), RAG_STR("30 days"), false), 0);
    NEAR(eval_includes(RAG_STR("anything"), RAG_STR("the"), false), 0);
    NEAR(eval_includes(RAG_STR("\xe5\x85\xb1 136 \xe6\xac\xa1\xe3\x80\x82"), RAG_STR("136\xe6\xac\xa1"), true), 1);
}

static void test_eval__markers_are_no_part_of_an_answer(void **state)
{
    rag_buf out;
    (void)state;
    rag_buf_init(&out, 4096);
    eval_strip_markers(RAG_STR("30 days. [1] Or [x] 40 [2][13], [4"), &out);
    assert_string_equal(out.ptr, "30 days. Or [x] 40, [4");
    rag_buf_free(&out);
}

/* ---- calibration -------------------------------------------------------------------- */

static void add_answer(eval_data *d, size_t i, double confidence, double right)
{
    eval_data_set(d, EVAL_RIGHT, i, right, 1);
    d->confidences[i] = confidence;
}

static void test_eval__auroc_counts_pairs_and_halves_ties(void **state)
{
    eval_data d;
    (void)state;
    eval_data_init(&d, 6);
    add_answer(&d, 0, 0.9, 1);
    add_answer(&d, 1, 0.4, 1);
    add_answer(&d, 2, 0.5, 0);
    add_answer(&d, 3, 0.4, 0);
    add_answer(&d, 4, 0.1, 0);
    eval_data_seal(&d); /* question 5 has no answer */
    /* 0.9 above three; 0.4 above one and level with one: (3 + 1.5) / 6 */
    NEAR(eval_value(&d, EVAL_AUROC, NULL), 0.75);
    const double counts[] = { 1, 2, 0, 1, 1, 7 };
    /* right 0.9, 0.4, 0.4; wrong 0.4, 0.1: (2 + 1.5 + 1.5) / 6 */
    NEAR(eval_value(&d, EVAL_AUROC, counts), 5.0 / 6);
    eval_data_free(&d);
}

static void test_eval__auroc_needs_right_and_wrong_answers(void **state)
{
    eval_data d;
    (void)state;
    eval_data_init(&d, 2);
    add_answer(&d, 0, 0.9, 1);
    add_answer(&d, 1, 0.1, 1);
    eval_data_seal(&d);
    assert_true(isnan(eval_value(&d, EVAL_AUROC, NULL)));
    NEAR(eval_value(&d, EVAL_RIGHT, NULL), 1);
    eval_data_free(&d);
}

static void test_eval__ece_weighs_the_gap_of_each_bin(void **state)
{
    eval_data d;
    eval_bin bins[EVAL_BINS];
    (void)state;
    eval_data_init(&d, 5);
    add_answer(&d, 0, 0.95, 1);
    add_answer(&d, 1, 1.0, 0); /* the last bin takes 1 */
    add_answer(&d, 2, 0.30, 0);
    add_answer(&d, 3, 0.35, 1);
    add_answer(&d, 4, 0.0, 0);
    eval_data_seal(&d);
    eval_bins(&d, bins);
    assert_int_equal(bins[9].n, 2);
    NEAR(bins[9].confidence, 0.975);
    NEAR(bins[9].right, 0.5);
    assert_int_equal(bins[3].n, 2);
    assert_int_equal(bins[0].n, 1);
    assert_int_equal(bins[5].n, 0);
    NEAR(eval_value(&d, EVAL_ECE, NULL), 2.0 / 5 * 0.475 + 2.0 / 5 * fabs(0.5 - 0.325));
    eval_data_free(&d);
}

/* ---- means, intervals, differences -------------------------------------------------- */

static void test_eval__a_rate_is_the_sum_over_the_weight(void **state)
{
    eval_data d;
    (void)state;
    eval_data_init(&d, 3);
    eval_data_set(&d, EVAL_CITATION_PRECISION, 0, 1, 3);
    eval_data_set(&d, EVAL_CITATION_PRECISION, 1, 1, 1);
    eval_data_seal(&d);
    NEAR(eval_value(&d, EVAL_CITATION_PRECISION, NULL), 0.5);
    assert_true(isnan(eval_value(&d, EVAL_REFUSAL_RECALL, NULL)));
    eval_data_free(&d);
}

static void test_eval__percentiles_are_linear_between_values(void **state)
{
    const double ms[] = { 1, 2, 3, 10 };
    (void)state;
    NEAR(eval_percentile(ms, 4, 0), 1);
    NEAR(eval_percentile(ms, 4, 0.5), 2.5);
    NEAR(eval_percentile(ms, 4, 0.9), 3 + 0.7 * 7);
    NEAR(eval_percentile(ms, 4, 1), 10);
    NEAR(eval_percentile(ms, 1, 0.99), 1);
}

static void fill_hits(eval_data *d, size_t n, size_t hits)
{
    eval_data_init(d, n);
    for (size_t i = 0; i < n; i++)
        eval_data_set(d, EVAL_DOC + EVAL_HIT, i, i < hits, 1);
    eval_data_seal(d);
}

/* 0.6 of 100 questions: the standard error is 0.049, so the interval is about [0.504, 0.696]. */
static void test_eval__the_interval_is_the_binomials(void **state)
{
    eval_data d;
    eval_estimate e[EVAL_METRICS];
    (void)state;
    fill_hits(&d, 100, 60);
    eval_estimates(&d, e);
    NEAR(e[EVAL_DOC + EVAL_HIT].value, 0.6);
    assert_int_equal(e[EVAL_DOC + EVAL_HIT].n, 100);
    assert_float_equal(e[EVAL_DOC + EVAL_HIT].low, 0.504, 0.011);
    assert_float_equal(e[EVAL_DOC + EVAL_HIT].high, 0.696, 0.011);
    assert_true(isnan(e[EVAL_F1].value));
    assert_true(isnan(e[EVAL_F1].low));
    eval_data_free(&d);
}

static void test_eval__a_bootstrap_gives_the_same_every_time(void **state)
{
    eval_data d;
    eval_estimate a[EVAL_METRICS], b[EVAL_METRICS];
    (void)state;
    fill_hits(&d, 37, 20);
    eval_estimates(&d, a);
    eval_estimates(&d, b);
    assert_true(a[0].low == b[0].low && a[0].high == b[0].high);
    eval_data_free(&d);
}

static void test_eval__a_large_difference_is_significant_and_none_is_not(void **state)
{
    eval_data a, b;
    eval_difference d[EVAL_METRICS];
    (void)state;
    fill_hits(&a, 200, 100);
    fill_hits(&b, 200, 140);
    eval_differences(&a, &b, d);
    NEAR(d[0].difference, 0.2);
    /* 40 gains of 200: standard error 0.0283 */
    assert_float_equal(d[0].low, 0.145, 0.012);
    assert_float_equal(d[0].high, 0.255, 0.012);
    assert_true(d[0].p < 0.001);
    assert_int_equal(d[0].better, 40);
    assert_int_equal(d[0].worse, 0);
    assert_int_equal(d[0].n, 200);
    eval_differences(&a, &a, d);
    NEAR(d[0].difference, 0);
    NEAR(d[0].p, 1);
    eval_data_free(&a);
    eval_data_free(&b);
}

/* One question better, one worse: nothing can be said. */
static void test_eval__pairing_cancels_what_is_the_same(void **state)
{
    eval_data a, b;
    eval_difference d[EVAL_METRICS];
    (void)state;
    fill_hits(&a, 50, 25);
    fill_hits(&b, 50, 25);
    eval_data_set(&b, EVAL_DOC + EVAL_HIT, 0, 0, 1);
    eval_data_set(&b, EVAL_DOC + EVAL_HIT, 49, 1, 1);
    eval_differences(&a, &b, d);
    NEAR(d[0].difference, 0);
    assert_true(d[0].p > 0.5);
    assert_float_equal(d[0].low, -0.06, 0.021);
    assert_int_equal(d[0].better, 1);
    assert_int_equal(d[0].worse, 1);
    eval_data_free(&a);
    eval_data_free(&b);
}

static void test_eval__lower_can_be_better(void **state)
{
    eval_data a, b;
    eval_difference d[EVAL_METRICS];
    (void)state;
    eval_data_init(&a, 1);
    eval_data_init(&b, 1);
    eval_data_set(&a, EVAL_SEARCH_MS, 0, 20, 1);
    eval_data_set(&b, EVAL_SEARCH_MS, 0, 10, 1);
    eval_data_seal(&a);
    eval_data_seal(&b);
    eval_differences(&a, &b, d);
    assert_int_equal(d[EVAL_SEARCH_MS].better, 1);
    NEAR(d[EVAL_SEARCH_MS].difference, -10);
    assert_true(isnan(d[EVAL_SEARCH_MS].p)); /* times have none */
    eval_data_free(&a);
    eval_data_free(&b);
}

static void test_eval__every_figure_has_a_key_of_its_own(void **state)
{
    (void)state;
    for (eval_metric m = 0; m < EVAL_METRICS; m++) {
        assert_non_null(eval_metrics[m].key);
        assert_non_null(eval_metrics[m].label);
        assert_int_equal(eval_metric_find(eval_metrics[m].key), m);
    }
    assert_int_equal(eval_metric_find("doc_ndcg_10"), EVAL_DOC + EVAL_NDCG);
    assert_int_equal(eval_metric_find("span_recall_5"), EVAL_SPAN + EVAL_RECALL + 2);
    assert_int_equal(eval_metric_find("nonsense"), EVAL_METRICS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_eval__ranking_figures_follow_their_formulas),
        cmocka_unit_test(test_eval__what_lies_beyond_ten_counts_nowhere),
        cmocka_unit_test(test_eval__ndcg_is_1_when_one_result_holds_two_spans),
        cmocka_unit_test(test_eval__a_hit_finds_a_span_with_half_of_the_shorter),
        cmocka_unit_test(test_eval__english_is_normalised_as_squad_does_it),
        cmocka_unit_test(test_eval__chinese_is_letters_and_digits),
        cmocka_unit_test(test_eval__f1_counts_tokens_as_multisets),
        cmocka_unit_test(test_eval__exact_match_and_inclusion_are_of_normalised_text),
        cmocka_unit_test(test_eval__markers_are_no_part_of_an_answer),
        cmocka_unit_test(test_eval__auroc_counts_pairs_and_halves_ties),
        cmocka_unit_test(test_eval__auroc_needs_right_and_wrong_answers),
        cmocka_unit_test(test_eval__ece_weighs_the_gap_of_each_bin),
        cmocka_unit_test(test_eval__a_rate_is_the_sum_over_the_weight),
        cmocka_unit_test(test_eval__percentiles_are_linear_between_values),
        cmocka_unit_test(test_eval__the_interval_is_the_binomials),
        cmocka_unit_test(test_eval__a_bootstrap_gives_the_same_every_time),
        cmocka_unit_test(test_eval__a_large_difference_is_significant_and_none_is_not),
        cmocka_unit_test(test_eval__pairing_cancels_what_is_the_same),
        cmocka_unit_test(test_eval__lower_can_be_better),
        cmocka_unit_test(test_eval__every_figure_has_a_key_of_its_own),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
