/* Which passages say the same. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "index/twins.h"

static bool are_twins(const char *a, const char *b)
{
    gist x, y;
    rag_arena *arena = rag_arena_new();
    gist_make(rag_str_of(a), arena, &x);
    gist_make(rag_str_of(b), arena, &y);
    bool same = gist_is_twin(&x, &y);
    assert_int_equal(gist_is_twin(&y, &x), same);
    assert_true(gist_is_twin(&x, &x));
    rag_arena_free(arena);
    return same;
}

static void test_twins__case_width_and_white_space_make_no_difference(void **state)
{
    (void)state;
    assert_true(are_twins("Return  the\nLAMP", "return the lamp "));
    assert_true(are_twins("Ｒｅｔｕｒｎ the lamp", "return the lamp"));
    assert_true(are_twins("退货　期限", "退货 期限"));
    assert_true(are_twins("--- ***", "---  ***"));
    assert_false(are_twins("--- ***", "+++ ***"));
    assert_false(are_twins("", "x"));
    assert_false(are_twins("return the lamp", "return the lamps"));
}

/* n words "w0 w1 …" in letters, every `step`th replaced. */
static char *words(int n, int step, const char *other)
{
    rag_buf b;
    rag_buf_init(&b, RAG_MAX_LINE);
    for (int i = 0; i < n; i++)
        if (step && i % step == step - 1)
            rag_buf_putf(&b, "%s ", other);
        else
            rag_buf_putf(&b, "w%c%c ", 'a' + i / 26, 'a' + i % 26);
    return rag_buf_detach(&b);
}

static bool are_twins_with(int n, int step, const char *other)
{
    char *a = words(n, 0, ""), *b = words(n, step, other);
    bool same = are_twins(a, b);
    free(a);
    free(b);
    return same;
}

/* One word of n changes four of n − 3 shingles: (n − 7) / (n + 1) is their Jaccard index. */
static void test_twins__near_duplicates_are_nine_tenths_alike(void **state)
{
    (void)state;
    assert_true(are_twins_with(79, 40, "other"));
    assert_false(are_twins_with(78, 40, "other"));
    assert_false(are_twins_with(200, 40, "other"));
    assert_false(are_twins_with(3, 3, "other"));
}

static void test_twins__other_figures_are_another_statement(void **state)
{
    (void)state;
    assert_false(are_twins_with(200, 150, "14"));
    assert_false(are_twins_with(200, 150, "E-4012"));
    assert_true(are_twins_with(200, 150, "other"));
    assert_false(are_twins("is C supported", "is C++ supported"));
}

static void test_twins__han_passages_are_compared_by_character(void **state)
{
    (void)state;
    const char *text = "退货须在收到商品后的三十天内提出并附上购买凭证，商品应保持完好无损，包装齐全。"
                       "退款将在我们收到退回商品后的七个工作日内原路退回到您的付款账户，运费由买家承担。"
                       "如果商品存在质量问题，请先联系客服，我们会安排上门取件并承担全部费用。";
    char *near = rag_strdup(text), *far = rag_strdup(text);
    memcpy(near + 6, "应", 3);
    for (size_t i = 0; i < 5; i++)
        memcpy(far + 30 * i, "应", 3);
    assert_true(are_twins(text, near));
    assert_false(are_twins(text, far));
    free(near);
    free(far);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_twins__case_width_and_white_space_make_no_difference),
        cmocka_unit_test(test_twins__near_duplicates_are_nine_tenths_alike),
        cmocka_unit_test(test_twins__other_figures_are_another_statement),
        cmocka_unit_test(test_twins__han_passages_are_compared_by_character),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
