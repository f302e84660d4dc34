/* The check of generated text, figure by figure, in both languages. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "daemon/answer.h"

static rag_arena *arena;

static int open_arena(void **state)
{
    (void)state;
    arena = rag_arena_new();
    return 0;
}

static int close_arena(void **state)
{
    (void)state;
    rag_arena_free(arena);
    return 0;
}

static bool check(const char *passage, const char *question, const char *generated, answer_result *out)
{
    rag_hit *h = rag_arena_alloc(arena, sizeof *h);
    answer_evidence ev;
    size_t *order, n;
    *h = (rag_hit){ .rank = 1, .document = RAG_STR("a.md"), .title = RAG_STR("A"), .text = rag_str_of(passage), .end = strlen(passage),
                    .line_start = 1, .line_end = 3, .score = 0.9, .rerank_score = NAN };
    assert_int_equal(answer_collect(NULL, rag_str_of(question), h, 1, arena, &ev, NULL), RAG_OK);
    answer_rank(&ev, NULL, NULL, 0);
    answer_passages(&ev, 8, 4000, arena, &order, &n);
    return answer_check(&ev, order, n, rag_str_of(generated), ANSWER_SUPPORTED, arena, out);
}

static void test_answer_check__figures_must_stand_in_the_quote(void **state)
{
    (void)state;
    static const struct {
        const char *passage, *generated;
        bool passes;
    } rows[] = {
        { "The bridge cost 2 million dollars.", "The bridge cost 2 million dollars.", true },
        { "The bridge cost 2 million dollars.", "The bridge cost 2", false },
        { "It has 1,200 rooms.", "200 rooms", false },
        { "It has 1,200 rooms.", "It has 1,200 rooms.", true },
        { "Built on May 3, 2024 in Bonn.", "Built in Bonn on May 3, 2024.", true },
        { "Built on May 3, 2024 and closed on June 4, 2025.", "Closed on May 4, 2025.", false },
        { "Prices rose by 5 percent and 7 points.", "Prices rose by 7 percent.", false },
        { "该桥于2024年5月3日建成，造价120万元。", "造价120万元。", true },
        { "该桥于2024年5月3日建成，造价120万元。", "造价12万元。", false },
        { "该桥长３０米。", "该桥长30米。", true },
        { "该桥长３０米。", "该桥长3米。", false },
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        answer_result r;
        if (check(rows[i].passage, "bridge 桥?", rows[i].generated, &r) != rows[i].passes)
            fail_msg("'%s' over '%s': not %d", rows[i].generated, rows[i].passage, rows[i].passes);
    }
}

static void test_answer_check__a_false_figure_takes_its_sentence_along_and_no_other(void **state)
{
    (void)state;
    answer_result r;
    assert_true(check("Returns take 30 days. Refunds take 5 days.", "How long?", "Returns take 30 days. Refunds take 30 days.", &r));
    assert_true(rag_str_eq(r.answer, RAG_STR("Returns take 30 days. [1]")));
}

static void test_answer_check__the_smallest_quote_is_cited(void **state)
{
    (void)state;
    answer_result r;
    const char *passage = "In a long sentence about this and that and much else the fee is 30 euros for returns of goods. The fee is 30 euros.";
    assert_true(check(passage, "What about returns of goods, this and that?", "The fee is 30 euros.", &r));
    assert_int_equal(r.n_citations, 1);
    assert_true(rag_str_eq(r.citations[0].quote, RAG_STR("The fee is 30 euros.")));
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, open_arena, close_arena)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_answer_check__figures_must_stand_in_the_quote),
        TEST(test_answer_check__a_false_figure_takes_its_sentence_along_and_no_other),
        TEST(test_answer_check__the_smallest_quote_is_cited),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
