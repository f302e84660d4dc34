/* Where copied answers may start and end, and the search for the best one, with a model made of numbers. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/utf8.h"
#include "llm/span_search.h"
#include "llm/span_text.h"

/* Text */

static bool is_span(const char *text, const char *span)
{
    span_start starts[256];
    rag_str t = rag_str_of(text), s = rag_str_of(span);
    size_t n = span_starts(t, starts, 256);
    for (size_t i = 0; i < n; i++)
        for (size_t end = starts[i].at; (end = span_next_end(t, &starts[i], end)) > 0;)
            if (rag_str_eq(rag_str_sub(t, starts[i].at, end), s))
                return true;
    return false;
}

static void test_span__lies_on_word_boundaries(void **state)
{
    static const char text[] = "The old bridge, built by Ada-Marie Kern's firm, didn't last.";
    (void)state;
    assert_true(is_span(text, "The"));
    assert_true(is_span(text, "old bridge, built"));
    assert_true(is_span(text, "Ada-Marie Kern"));
    assert_true(is_span(text, "Kern's firm"));
    assert_true(is_span(text, "last"));
    assert_true(is_span(text, "didn't"));
    assert_false(is_span(text, "ridge"));
    assert_false(is_span(text, "bridg"));
    assert_false(is_span(text, "s firm"));
    assert_false(is_span(text, "didn"));
    assert_false(is_span(text, "t last"));
    assert_false(is_span(text, " old"));
    assert_false(is_span(text, "old "));
    assert_false(is_span(text, "bridge,"));
    assert_false(is_span(text, "last."));
}

static void test_span__keeps_amounts_whole(void **state)
{
    static const char en[] = "It cost $1,250.50 at 9:30 a.m. in the U.S. and fell by 12.5% to 20°.";
    static const char zh[] = "收入为30万元，增长12.5％，共1，200人，约３.5亿。";
    (void)state;
    assert_true(is_span(en, "$1,250.50"));
    assert_true(is_span(en, "9:30 a.m."));
    assert_true(is_span(en, "12.5%"));
    assert_true(is_span(en, "U.S."));
    assert_false(is_span(en, "1,250.50"));
    assert_false(is_span(en, "$1"));
    assert_false(is_span(en, "250.50"));
    assert_false(is_span(en, "9"));
    assert_false(is_span(en, "9:30 a.m"));
    assert_false(is_span(en, "12.5"));
    assert_false(is_span(en, "20"));
    assert_true(is_span(zh, "30万"));
    assert_true(is_span(zh, "30万元"));
    assert_true(is_span(zh, "12.5％"));
    assert_true(is_span(zh, "1，200人"));
    assert_true(is_span(zh, "３.5亿"));
    assert_false(is_span(zh, "30"));
    assert_false(is_span(zh, "万元"));
    assert_false(is_span(zh, "12.5"));
    assert_false(is_span(zh, "200人"));
}

static void test_span__cuts_chinese_anywhere_but_not_latin_inside(void **state)
{
    static const char text[] = "会员最多可以借OpenTV手册12本。";
    (void)state;
    assert_true(is_span(text, "会员"));
    assert_true(is_span(text, "员最"));
    assert_true(is_span(text, "借OpenTV"));
    assert_true(is_span(text, "OpenTV手"));
    assert_true(is_span(text, "12本"));
    assert_true(is_span(text, "册12"));
    assert_false(is_span(text, "Open"));
    assert_false(is_span(text, "TV手册"));
    assert_false(is_span(text, "2本"));
    assert_false(is_span(text, "本。"));
}

static void test_span__closes_the_brackets_that_it_opens(void **state)
{
    static const char text[] = "Drogo (卓戈) led them [1066] home.";
    (void)state;
    assert_true(is_span(text, "Drogo"));
    assert_true(is_span(text, "Drogo (卓戈)"));
    assert_true(is_span(text, "卓戈"));
    assert_false(is_span(text, "Drogo (卓戈"));
    assert_false(is_span(text, "卓戈)"));
    assert_false(is_span(text, "(卓戈)"));
}

static void test_span__stays_in_its_sentence_and_short(void **state)
{
    char words[400] = "", han[400] = "";
    (void)state;
    assert_false(is_span("He left. She stayed.", "left. She"));
    assert_true(is_span("He left. She stayed.", "She stayed"));
    for (int i = 0; i < 21; i++)
        strcat(words, i ? " w" : "w");
    for (int i = 0; i < 31; i++)
        strcat(han, "好");
    assert_false(is_span(words, words));
    assert_true(is_span(words, words + 2));
    assert_false(is_span(han, han));
    assert_true(is_span(han, han + 3));
}

static void test_span__has_no_place_in_text_without_words(void **state)
{
    span_start starts[8];
    (void)state;
    assert_int_equal(span_starts(RAG_STR("--- !? …"), starts, 8), 0);
    assert_int_equal(span_starts((rag_str){ 0 }, starts, 8), 0);
    assert_int_equal(span_starts(RAG_STR("a b c d"), starts, 2), 2);
    /* Invalid bytes are neither words nor read past. */
    assert_false(is_span("\xff\xfe" "word\xc3", "word\xc3"));
}

static void test_echo__is_the_share_that_the_question_says_itself(void **state)
{
    (void)state;
    assert_true(fabs(span_echo(RAG_STR("Old Bridge"), RAG_STR("Who built the old bridge?")) - 1) < 1e-9);
    assert_true(fabs(span_echo(RAG_STR("the bridge of Kern"), RAG_STR("Who built the bridge?")) - 0.5) < 1e-9);
    assert_true(fabs(span_echo(RAG_STR("bridges"), RAG_STR("Who built the bridge?"))) < 1e-9);
    assert_true(fabs(span_echo(RAG_STR("of"), RAG_STR("of what?")) - 1) < 1e-9);
    assert_true(fabs(span_echo(RAG_STR("1932"), RAG_STR("what in 1932?")) - 1) < 1e-9);
    assert_true(fabs(span_echo(RAG_STR("收入增长"), RAG_STR("长时间的增长与什么有关？")) - 1.0 / 3) < 1e-9);
    assert_true(fabs(span_echo(RAG_STR("增"), RAG_STR("增长")) - 1) < 1e-9);
    assert_true(fabs(span_echo(RAG_STR("1774 年"), RAG_STR("在哪一年发现氧气?"))) < 1e-9);
    assert_true(fabs(span_echo(RAG_STR("..."), RAG_STR("增长"))) < 1e-9);
    assert_true(fabs(span_echo(RAG_STR("收入"), (rag_str){ 0 })) < 1e-9);
}

/* Search: a token is a word with the space before it, numbered as it first comes. */

enum { MAX_TOKENS = 200 };

typedef struct model {
    char words[MAX_TOKENS][32];
    int n_words;
    unsigned seed;     /* of probabilities that look random */
    const char *likes; /* the word that is likely with the question */
    const char *always; /* the word that is likely without it, too */
    int pass, node;
    int told[4096];
} model;

static int32_t word_of(model *m, rag_str w)
{
    for (int i = 0; i < m->n_words; i++)
        if (rag_str_eq(w, rag_str_of(m->words[i])))
            return i;
    assert_true(m->n_words < MAX_TOKENS && w.len < sizeof m->words[0]);
    memcpy(m->words[m->n_words], w.ptr, w.len);
    return m->n_words++;
}

static size_t tokenize(void *context, rag_str text, int32_t *out, size_t max)
{
    size_t n = 0;
    for (size_t pos = 0, end; pos < text.len; pos = end, n++) {
        assert_true(text.ptr[pos] != '\n');
        for (end = pos + 1; end < text.len && text.ptr[end] != ' ';)
            end++;
        if (n < max)
            out[n] = word_of(context, rag_str_sub(text, pos, end));
    }
    return n;
}

static double dice(const model *m, int32_t token)
{
    unsigned x = (m->seed + 31U * (unsigned)m->node + 17U * (unsigned)m->pass + (unsigned)token) * 2654435761U;
    x ^= x >> 15;
    x *= 2246822519U;
    return -0.1 - 6 * (double)(x >> 8 & 0xFFFF) / 65536;
}

static double logprob(void *context, int32_t token)
{
    const model *m = context;
    if (m->seed)
        return dice(m, token);
    if (m->always && strcmp(m->words[token], m->always) == 0)
        return -1;
    return m->likes && m->pass == 0 && strcmp(m->words[token], m->likes) == 0 ? -1.5 : -6;
}

static void tell_all(span_search *s, model *m, const int *nodes, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        int parent = s->nodes[nodes[i]].parent;
        assert_true(parent < 0 || s->nodes[parent].is_scored);
        assert_int_equal(m->told[nodes[i]]++, 0);
        for (int pass = 0; pass < SPAN_PASSES; pass++) {
            m->pass = pass;
            m->node = nodes[i];
            span_search_tell(s, nodes[i], pass, SPAN_PASSES, m->seed ? dice(m, -1) : -1, logprob, m);
        }
    }
}

static size_t search(model *m, const rag_llm_reading *readings, size_t n, const char *question, int max_nodes,
                     rag_llm_span *best, size_t max, int *n_scored)
{
    span_search s;
    int nodes[SPAN_ROUND_NODES];
    size_t found;
    rag_llm_spans query = { .readings = readings, .n_readings = n, .question = rag_str_of(question), .lambda = 0.3,
                            .alpha = 0.5, .gamma = 1, .max_nodes = max_nodes };
    assert_int_equal(span_search_init(&s, &query, RAG_STR(" "), tokenize, m, NULL), RAG_OK);
    while ((n = span_search_next(&s, nodes)) > 0)
        tell_all(&s, m, nodes, n);
    found = span_search_best(&s, best, max);
    *n_scored = s.n_scored;
    span_search_free(&s);
    return found;
}

static rag_str text_of(const rag_llm_reading *readings, const rag_llm_span *s)
{
    return rag_str_sub(readings[s->reading].evidence, s->span.start, s->span.end);
}

static void assert_text(rag_str got, const char *expected)
{
    if (!rag_str_eq(got, rag_str_of(expected)))
        fail_msg("got '%.*s', not '%s'", RAG_STR_ARG(got), expected);
}

static void test_search__finds_what_the_question_makes_likely(void **state)
{
    rag_llm_reading evidence[] = { { .evidence = RAG_STR("The bridge was designed by Kern.") } };
    rag_llm_span best[8] = { 0 };
    int n_scored;
    model m = { .likes = " Kern" };
    (void)state;
    assert_true(search(&m, evidence, 1, "", 48, best, 8, &n_scored) > 0);
    assert_text(text_of(evidence, &best[0]), "Kern");
    assert_int_equal(best[0].tokens, 1);
    assert_true(fabs(best[0].logprob - -2.5) < 1e-9 && fabs(best[0].prior_logprob - -7) < 1e-9);
    assert_true(fabs(best[0].score - (-2.5 + 0.3 * 7) / sqrt(2)) < 1e-9);
    assert_true(best[0].probability > 0.5 && best[0].probability <= 1);
}

static void test_search__the_prior_takes_back_what_is_always_likely(void **state)
{
    rag_llm_reading evidence[] = { { .evidence = RAG_STR("The bridge was designed by Kern.") } };
    rag_llm_span best[8] = { 0 };
    int n_scored;
    model m = { .likes = " Kern", .always = " The" };
    (void)state;
    assert_true(search(&m, evidence, 1, "", 48, best, 8, &n_scored) > 1);
    assert_text(text_of(evidence, &best[0]), "Kern");
    assert_text(text_of(evidence, &best[1]), "The");
    assert_true(best[1].logprob > best[0].logprob);
}

static void test_search__the_same_words_are_one_span_at_their_first_place(void **state)
{
    rag_llm_reading evidence[] = { { .evidence = RAG_STR("Ada\nKern came. It was Ada Kern.") } };
    rag_llm_span best[8] = { 0 };
    int n_scored, n_same = 0;
    model m = { .likes = " Ada" };
    (void)state;
    size_t n = search(&m, evidence, 1, "", 48, best, 8, &n_scored);
    for (size_t i = 0; i < n; i++) {
        assert_false(rag_str_eq(text_of(evidence, &best[i]), RAG_STR("Ada Kern")));
        n_same += rag_str_eq(text_of(evidence, &best[i]), RAG_STR("Ada\nKern"));
    }
    assert_int_equal(n_same, 1);
}

static void test_search__a_bonus_decides_between_equal_readings(void **state)
{
    rag_llm_reading evidence[] = { { .evidence = RAG_STR("By Kern.") },
                                   { .evidence = RAG_STR("For Kern."), .bonus = 0.25 },
                                   { .evidence = RAG_STR("With Kern."), .bonus = -20 } };
    rag_llm_span best[8] = { 0 };
    int n_scored;
    model m = { .likes = " Kern" };
    (void)state;
    assert_true(search(&m, evidence, 3, "", 48, best, 8, &n_scored) > 1);
    assert_int_equal(best[0].reading, 1);
    assert_text(text_of(evidence, &best[0]), "Kern");
    for (size_t i = 0; i < 8 && best[i].tokens > 0; i++) {
        if (best[i].reading == 0 && rag_str_eq(text_of(evidence, &best[i]), RAG_STR("Kern")))
            assert_true(fabs(best[0].score - best[i].score - 0.25) < 1e-9);
        assert_int_not_equal(best[i].reading, 2); /* nothing there can win, so nothing was asked */
    }
}

static void test_search__an_echo_of_the_question_loses(void **state)
{
    rag_llm_reading evidence[] = { { .evidence = RAG_STR("Kern met Moss.") } };
    rag_llm_span best[8] = { 0 };
    int n_scored;
    model m = { .likes = " Kern" };
    (void)state;
    assert_true(search(&m, evidence, 1, "Whom did he meet?", 48, best, 8, &n_scored) > 0);
    assert_text(text_of(evidence, &best[0]), "Kern");
    double score = best[0].score;
    model again = { .likes = " Kern" };
    assert_true(search(&again, evidence, 1, "Whom did Kern meet?", 48, best, 8, &n_scored) > 0);
    for (size_t i = 0; i < 8; i++)
        if (best[i].tokens == 1 && rag_str_eq(text_of(evidence, &best[i]), RAG_STR("Kern")))
            assert_true(fabs(best[i].echo - 1) < 1e-9 && fabs(best[i].score - (score - 1)) < 1e-9);
}

static double best_of_all(model m, const rag_llm_reading *evidence, size_t n)
{
    rag_llm_span best[1];
    int n_scored;
    assert_int_equal(search(&m, evidence, n, "", 100000, best, 1, &n_scored), 1);
    return best[0].score;
}

static void test_search__is_cheap_repeatable_and_near_the_best(void **state)
{
    rag_llm_reading evidence[] = { { .evidence = RAG_STR("In 1932 the engineer Ada Kern, who had worked for the city since the flood, opened a "
                                   "bridge of steel and glass near the old harbour of the town.") },
                                   { .evidence = RAG_STR("The flood of 1928 took the old bridge.") } };
    int n_good = 0;
    (void)state;
    for (unsigned seed = 1; seed <= 40; seed++) {
        rag_llm_span best[8], again[8];
        int n_scored, n_again;
        model m = { .seed = seed }, same = { .seed = seed }, all = { .seed = seed };
        size_t n = search(&m, evidence, 2, "", 48, best, 8, &n_scored);
        assert_int_equal(n, search(&same, evidence, 2, "", 48, again, 8, &n_again));
        assert_true(n > 0 && n_scored < 48 + SPAN_ROUND_NODES && n_scored == n_again);
        for (size_t i = 0; i < n; i++) {
            assert_true(again[i].span.start == best[i].span.start && again[i].span.end == best[i].span.end);
            assert_true(i == 0 || best[i - 1].score >= best[i].score);
            double score = (best[i].logprob - 0.3 * best[i].prior_logprob) / sqrt((double)best[i].tokens + 1);
            assert_true(fabs(score - best[i].score) < 1e-9);
        }
        n_good += best[0].score >= best_of_all(all, evidence, 2) - 0.5;
    }
    assert_true(n_good >= 36);
}

static void test_search__without_words_is_over_at_once(void **state)
{
    rag_llm_reading evidence[] = { { .evidence = RAG_STR("…") }, { .bonus = 1 } };
    rag_llm_span best[1];
    int n_scored;
    model m = { 0 };
    (void)state;
    assert_int_equal(search(&m, evidence, 2, "", 48, best, 1, &n_scored), 0);
    assert_int_equal(n_scored, 0);
}

static void test_search__refuses_more_evidence_than_a_prompt_holds(void **state)
{
    span_search s;
    rag_err err;
    model m = { 0 };
    char *text = rag_calloc(1, 1 << 20);
    (void)state;
    memset(text, 'a', (1 << 20) - 1);
    rag_llm_reading readings[RAG_LLM_MAX_READINGS + 1] = { { .evidence = rag_str_of(text) } };
    rag_llm_spans query = { .readings = readings, .n_readings = 1 };
    assert_int_equal(span_search_init(&s, &query, RAG_STR(" "), tokenize, &m, &err), RAG_TOO_LARGE);
    assert_non_null(strstr(err.message, "evidence"));
    span_search_free(&s);
    query.n_readings = 0;
    assert_int_equal(span_search_init(&s, &query, RAG_STR(" "), tokenize, &m, &err), RAG_INVALID);
    query.n_readings = RAG_LLM_MAX_READINGS + 1;
    assert_int_equal(span_search_init(&s, &query, RAG_STR(" "), tokenize, &m, &err), RAG_INVALID);
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_span__lies_on_word_boundaries),
        cmocka_unit_test(test_span__keeps_amounts_whole),
        cmocka_unit_test(test_span__cuts_chinese_anywhere_but_not_latin_inside),
        cmocka_unit_test(test_span__closes_the_brackets_that_it_opens),
        cmocka_unit_test(test_span__stays_in_its_sentence_and_short),
        cmocka_unit_test(test_span__has_no_place_in_text_without_words),
        cmocka_unit_test(test_echo__is_the_share_that_the_question_says_itself),
        cmocka_unit_test(test_search__finds_what_the_question_makes_likely),
        cmocka_unit_test(test_search__the_prior_takes_back_what_is_always_likely),
        cmocka_unit_test(test_search__the_same_words_are_one_span_at_their_first_place),
        cmocka_unit_test(test_search__a_bonus_decides_between_equal_readings),
        cmocka_unit_test(test_search__an_echo_of_the_question_loses),
        cmocka_unit_test(test_search__is_cheap_repeatable_and_near_the_best),
        cmocka_unit_test(test_search__without_words_is_over_at_once),
        cmocka_unit_test(test_search__refuses_more_evidence_than_a_prompt_holds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
