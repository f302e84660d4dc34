#include "kb.h"

#include "index/query.h"
#include "index/tokenizer.h"

static bool has_phrase(const plan *p, const char *tokens, int quote)
{
    for (size_t i = 0; i < p->n_phrases; i++)
        if (rag_str_eq(p->phrases[i].tokens, rag_str_of(tokens)) && (p->phrases[i].quote != 0) == (quote != 0))
            return true;
    return false;
}

static plan plan_of(const char *query, rag_arena *arena)
{
    plan p;
    plan_build(rag_str_of(query), arena, &p);
    return p;
}

static void test_query__words_go_by_stem_without_stop_words(void **state)
{
    (void)state;
    rag_arena *arena = rag_arena_new();
    plan p = plan_of("What are the Returns of returning?", arena);
    assert_int_equal(p.n_phrases, 1);
    assert_true(has_phrase(&p, "\x01return", 0));
    rag_arena_free(arena);
}

static void test_query__stop_words_serve_when_nothing_else_is_there(void **state)
{
    (void)state;
    rag_arena *arena = rag_arena_new();
    plan p = plan_of("who is it", arena), q = plan_of("的", arena);
    assert_int_equal(p.n_phrases, 3);
    assert_true(has_phrase(&q, "的", 0));
    rag_arena_free(arena);
}

static void test_query__characters_go_in_pairs(void **state)
{
    (void)state;
    rag_arena *arena = rag_arena_new();
    plan p = plan_of("黑豹队的分", arena);
    assert_true(has_phrase(&p, "黑\x1f豹", 0));
    assert_true(has_phrase(&p, "豹\x1f队", 0));
    assert_true(has_phrase(&p, "分", 0));
    assert_int_equal(p.n_phrases, 3);
    rag_arena_free(arena);
}

static void test_query__compounds_are_phrases_too(void **state)
{
    (void)state;
    rag_arena *arena = rag_arena_new();
    plan p = plan_of("E-4012 and Wi-Fi 6E", arena);
    assert_true(has_phrase(&p, "e\x1f" "4012", 0));
    assert_true(has_phrase(&p, "4012", 0));
    assert_true(has_phrase(&p, "wi\x1f" "fi", 0));
    assert_false(has_phrase(&p, "fi\x1f" "6e", 0));
    rag_arena_free(arena);
}

static void test_query__quoted_parts_are_demanded(void **state)
{
    (void)state;
    rag_arena *arena = rag_arena_new();
    plan p = plan_of("see \"Exact  Words\" and \"第 二\" here", arena);
    assert_int_equal(p.n_quotes, 2);
    assert_true(rag_str_eq(p.quotes[0].comparable, RAG_STR("exact words")));
    assert_true(rag_str_eq(p.quotes[1].comparable, RAG_STR("第二")));
    assert_true(has_phrase(&p, "exact\x1fwords", 1));
    assert_true(has_phrase(&p, "第\x1f二", 1));
    rag_arena_free(arena);
}

static void test_query__lone_quotes_and_inch_marks_are_text(void **state)
{
    (void)state;
    rag_arena *arena = rag_arena_new();
    assert_int_equal(plan_of("a 27\" monitor and a 24\" stand", arena).n_quotes, 0);
    assert_int_equal(plan_of("say \"hello", arena).n_quotes, 0);
    assert_int_equal(plan_of("\"\"", arena).n_quotes, 0);
    assert_int_equal(plan_of("“typographic” quotes", arena).n_quotes, 0);
    assert_true(plan_of("\"++\"", arena).quote_without_phrase);
    rag_arena_free(arena);
}

/* The exact strings of a query in order; those that are not told when they stand nowhere in parentheses. */
static void assert_exact(const char *query, const char *want)
{
    rag_arena *arena = rag_arena_new();
    plan p = plan_of(query, arena);
    rag_buf got;
    rag_buf_init(&got, RAG_MAX_LINE);
    for (size_t i = 0; i < p.n_exact; i++)
        rag_buf_putf(&got, p.exact[i].is_told ? "[%.*s]" : "(%.*s)", RAG_STR_ARG(p.exact[i].text));
    if (strcmp(got.ptr ? got.ptr : "", want) != 0)
        fail_msg("'%s' gives %s, not %s", query, got.ptr ? got.ptr : "nothing", want);
    rag_buf_free(&got);
    rag_arena_free(arena);
}

static void test_query__exact_strings_are_names_and_numbers(void **state)
{
    (void)state;
    assert_exact("what does E-4012 mean", "[E-4012]");
    assert_exact("a_b, gen-itgc and 3.5 or 1,000 in x86_64?", "[a_b][gen-itgc][3.5][1,000][x86_64]");
    assert_exact("is 6E or IPv6", "[6E][IPv6]");
    assert_exact("about Wi-Fi 6E", "[Wi-Fi 6E](Wi-Fi)(6E)");
    assert_exact("the Netgear Wi-Fi 6E Router", "(Netgear Wi-Fi 6E Router)[Wi-Fi 6E](Wi-Fi)(6E)");
    assert_exact("compare E-4012 E-4013", "[E-4012][E-4013](compare E-4012 E-4013)");
    assert_exact("see \"E-4012\" and E-4013", "[E-4013]");
    assert_exact("and/or don't e.g. a.m. (x) U.S. A/B", "");
    assert_exact("Where is New York", "");
    assert_exact("warranty", "");
    assert_exact("2023 1990", "(2023 1990)");
}

static void test_query__exact_strings_stand_in_han_text(void **state)
{
    (void)state;
    assert_exact("重跑gen-itgc后", "[gen-itgc][重跑gen-itgc后]");
    assert_exact("怎么重启nginx服务？", "[nginx]");
    assert_exact("A股和2023年", "");
    assert_exact("第3章", "(第3章)");
    assert_exact("囧", "[囧]");
    assert_exact("黑豹队", "(黑豹队)");
    assert_exact("黑豹队的教练是谁", "");
    assert_exact("黑豹队，教练", "");
    assert_exact("黑豹队教练姓名年龄", "");
}

static void test_query__its_size_is_bounded(void **state)
{
    (void)state;
    rag_arena *arena = rag_arena_new();
    rag_buf b;
    plan p;
    rag_buf_init(&b, 4 * RAG_MAX_QUERY);
    for (int i = 0; i < 20000; i++)
        rag_buf_putf(&b, "w%d \"q%d\" 字%d", i, i, i);
    plan_build(rag_buf_str(&b), arena, &p);
    assert_int_equal(p.n_quotes, PLAN_MAX_QUOTES);
    assert_int_equal(p.n_phrases, PLAN_MAX_PHRASES + PLAN_MAX_QUOTES);
    rag_buf_free(&b);
    rag_arena_free(arena);
}

static void test_query__comparable_form_ignores_case_width_and_space(void **state)
{
    (void)state;
    rag_arena *arena = rag_arena_new();
    assert_true(rag_str_eq(plan_comparable(RAG_STR(" Ａbc\n\t  Def "), arena), RAG_STR("abc def")));
    assert_true(rag_str_eq(plan_comparable(RAG_STR("保修\n  期 x"), arena), RAG_STR("保修期 x")));
    assert_true(rag_str_eq(plan_comparable(RAG_STR(" \n"), arena), RAG_STR("")));
    rag_arena_free(arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_query__words_go_by_stem_without_stop_words),
        cmocka_unit_test(test_query__stop_words_serve_when_nothing_else_is_there),
        cmocka_unit_test(test_query__characters_go_in_pairs),
        cmocka_unit_test(test_query__compounds_are_phrases_too),
        cmocka_unit_test(test_query__quoted_parts_are_demanded),
        cmocka_unit_test(test_query__lone_quotes_and_inch_marks_are_text),
        cmocka_unit_test(test_query__exact_strings_are_names_and_numbers),
        cmocka_unit_test(test_query__exact_strings_stand_in_han_text),
        cmocka_unit_test(test_query__its_size_is_bounded),
        cmocka_unit_test(test_query__comparable_form_ignores_case_width_and_space),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
