/* Evidence, extract, passages and check, over hits made by hand. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "daemon/answer.h"

static const char RETURNS[] =
    "You may return any item within 30 days of delivery. Items must be complete.\n\n"
    "Opened goods are accepted as long as they\nshow no signs of use. Refunds take 5 working days.";
static const char SHIPPING[] = "Standard delivery takes 2 to 4 working days and costs 4.90 EUR. See [1] for details.";
static const char PRICES[] = "| Service | Price |\n| --- | --- |\n| Standard | 4.90 EUR |\n| Express | 12.90 EUR |";
static const char ZH[] = "商品自签收之日起30天内可以退货。退回的商品应当完整，\n并带有原包装。";

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

static rag_hit hit(const char *document, const char *title, const char *text, size_t start, int rank)
{
    return (rag_hit){
        .rank = rank, .document = rag_str_of(document), .title = rag_str_of(title), .text = rag_str_of(text),
        .start = start, .end = start + strlen(text), .line_start = 10, .line_end = 12, .score = 0.03 / rank,
        .rerank_score = NAN,
    };
}

static answer_evidence collect(const char *question, const rag_hit *hits, size_t n)
{
    answer_evidence ev;
    assert_int_equal(answer_collect(NULL, rag_str_of(question), hits, n, arena, &ev, NULL), RAG_OK);
    answer_rank(&ev, NULL, NULL, 0);
    return ev;
}

static answer_evidence help_centre(const char *question)
{
    rag_hit *hits = rag_arena_array(arena, 2, sizeof *hits);
    hits[0] = hit("returns.md", "Returns", RETURNS, 100, 1);
    hits[1] = hit("shipping.md", "Shipping", SHIPPING, 0, 2);
    return collect(question, hits, 2);
}

static bool contains(rag_str s, const char *needle)
{
    return rag_str_find(s, rag_str_of(needle), 0) != SIZE_MAX;
}

static void test_answer__extract_puts_the_sentence_with_the_terms_first(void **state)
{
    (void)state;
    answer_evidence ev = help_centre("Within how many days of delivery may I return an item?");
    answer_result r;
    answer_extract(&ev, 1, arena, &r);
    assert_false(r.refused);
    assert_int_equal(r.n_citations, 1);
    assert_true(rag_str_eq(r.answer, RAG_STR("You may return any item within 30 days of delivery. [1]")));
    assert_string_equal(r.mode, "extract");
}

static void test_answer__quotes_are_the_bytes_at_their_offsets(void **state)
{
    (void)state;
    answer_evidence ev = help_centre("Are opened goods with signs of use accepted, and when do refunds come?");
    answer_result r;
    answer_extract(&ev, 3, arena, &r);
    assert_true(r.n_citations >= 1 && r.n_citations <= 3);
    for (size_t i = 0; i < r.n_citations; i++) {
        const answer_citation *c = &r.citations[i];
        const rag_hit *h = &ev.hits[c->hit];
        assert_int_equal(c->n, i + 1);
        assert_int_equal(c->end - c->start, c->quote.len);
        assert_memory_equal(h->text.ptr + (c->start - h->start), c->quote.ptr, c->quote.len);
        char marker[32];
        snprintf(marker, sizeof marker, "[%zu]", i + 1);
        assert_true(contains(r.answer, marker));
    }
}

static void test_answer__lines_count_from_the_hit_s_first(void **state)
{
    (void)state;
    answer_evidence ev = help_centre("Are opened goods accepted without signs of use?");
    answer_result r;
    answer_extract(&ev, 1, arena, &r);
    assert_true(contains(r.citations[0].quote, "Opened goods"));
    assert_int_equal(r.citations[0].line_start, 12);
    assert_int_equal(r.citations[0].line_end, 13);
    assert_true(contains(r.answer, "as long as they show no signs")); /* the line break became a space */
}

static void test_answer__chinese_lines_are_joined_without_a_space(void **state)
{
    (void)state;
    rag_hit h = hit("退货.md", "退货", ZH, 7, 1);
    answer_evidence ev = collect("退回的商品需要原包装吗？", &h, 1);
    answer_result r;
    answer_extract(&ev, 1, arena, &r);
    assert_true(contains(r.answer, "应当完整，并带有原包装。 [1]"));
    assert_int_equal(ev.lang, RAG_LANG_ZH);
}

/* Logits are of any sign and size, so that their ratio says nothing. */
static void test_answer__a_reranker_s_scores_weigh_as_shares(void **state)
{
    (void)state;
    rag_hit *hits = rag_arena_array(arena, 2, sizeof *hits);
    answer_result r;
    hits[0] = hit("shipping.md", "Shipping", SHIPPING, 0, 1);
    hits[1] = hit("returns.md", "Returns", RETURNS, 100, 2);
    hits[0].score = hits[0].rerank_score = 0.5;
    hits[1].score = hits[1].rerank_score = -8;
    answer_evidence ev = collect("Within how many days of delivery may I return an item?", hits, 2);
    answer_extract(&ev, 1, arena, &r);
    assert_true(contains(r.answer, "30 days of delivery")); /* its words outweigh what the reranker says */
    hits[0] = hit("a.md", "A", RETURNS, 0, 1);
    hits[1].score = hits[1].rerank_score = -0.1;
    hits[0].score = hits[0].rerank_score = -0.5;
    ev = collect("Within how many days of delivery may I return an item?", hits, 2);
    assert_int_equal(ev.sentences[0].hit, 1); /* and among the same words it decides */
}

static void test_answer__nothing_found_is_refused_in_the_asker_s_language(void **state)
{
    (void)state;
    answer_result r;
    answer_evidence en = collect("What is the capital of France?", NULL, 0);
    answer_extract(&en, 3, arena, &r);
    assert_true(r.refused);
    assert_true(contains(r.answer, "Sorry"));
    answer_evidence zh = collect("法国的首都是哪里？", NULL, 0);
    answer_extract(&zh, 3, arena, &r);
    assert_true(r.refused);
    assert_true(contains(r.answer, "抱歉"));
    assert_int_equal(r.n_citations, 0);
}

static void test_answer__confidence_falls_with_the_overlap(void **state)
{
    (void)state;
    answer_evidence good = help_centre("Within 30 days of delivery may I return any item?");
    answer_evidence bad = help_centre("Who painted the ceiling of the Sistine Chapel?");
    assert_true(good.confidence > bad.confidence + 0.05);
    assert_true(bad.confidence >= 0 && good.confidence <= 1);
}

static void test_answer__a_table_s_header_is_context_not_evidence(void **state)
{
    (void)state;
    rag_hit h = hit("shipping.md", "Shipping", PRICES, 0, 1);
    answer_evidence ev = collect("What is the price of the express service?", &h, 1);
    assert_int_equal(ev.n_sentences, 2);
    assert_true(rag_str_eq(ev.sentences[0].text, RAG_STR("| Express | 12.90 EUR |")));
    assert_true(contains(ev.sentences[0].embed_text, "| Service | Price |"));
    assert_true(contains(ev.sentences[0].embed_text, "Shipping"));
}

static void test_answer__a_merged_hit_s_headings_are_context_not_evidence(void **state)
{
    (void)state;
    static const char text[] = "Goods come back within 30 days.\n\n## How to pay\n\nBy card, or in cash.";
    rag_str length = RAG_STR("Return period"), pay = RAG_STR("How to pay");
    rag_part parts[] = { { 100, &length, 1 }, { 100 + sizeof "Goods come back within 30 days.\n\n## How to pay\n", &pay, 1 } };
    int64_t ids[] = { 1, 2 };
    rag_hit h = hit("shop.md", "Shop", text, 100, 1);
    h.merged = ids;
    h.parts = parts;
    h.n_merged = 2;
    answer_evidence ev = collect("How long is the return period?", &h, 1);
    assert_int_equal(ev.n_sentences, 2);
    assert_true(rag_str_eq(ev.sentences[0].text, RAG_STR("Goods come back within 30 days.")));
    assert_true(contains(ev.sentences[0].embed_text, "Return period"));
    assert_true(contains(ev.sentences[1].embed_text, "How to pay: By card"));
}

static void test_answer__a_source_in_the_other_language_needs_no_common_term(void **state)
{
    (void)state;
    rag_hit h = hit("zh.md", "退货", ZH, 0, 1);
    answer_evidence ev;
    answer_collect(NULL, RAG_STR("How long may goods be returned?"), &h, 1, arena, &ev, NULL);
    const float q[2] = { 1, 0 };
    float near[2] = { 0.82f, 0.57f };
    float *vectors[ANSWER_MAX_CANDIDATES] = { near, near };
    answer_rank(&ev, q, vectors, 2);
    assert_true(ev.confidence > 0.5);
}

static void test_answer__what_lies_far_behind_is_not_worth_embedding(void **state)
{
    (void)state;
    rag_hit h = hit("a.md", "A", "Blue whales sing. Red foxes bark. Old owls hoot. Grey wolves howl. Do blue whales sing at night?", 0, 1);
    answer_evidence ev;
    answer_collect(NULL, RAG_STR("blue whales sing night"), &h, 1, arena, &ev, NULL);
    assert_int_equal(ev.n_sentences, 5);
    assert_int_equal(ev.n_promising, ANSWER_MIN_PROMISING);
    const float q[2] = { 1, 0 };
    float near[2] = { 1, 0 }, far[2] = { 0.1f, 0.99f }, *vectors[] = { far, near, far };
    rag_str second = ev.sentences[1].text;
    answer_rank(&ev, q, vectors, 2);
    assert_true(rag_str_eq(ev.sentences[0].text, second));
    for (size_t i = ANSWER_MIN_PROMISING; i < ev.n_sentences; i++)
        assert_true(ev.sentences[i].cosine == 0);
    answer_collect(NULL, RAG_STR("bark hoot howl sing"), &h, 1, arena, &ev, NULL);
    assert_true(ev.n_promising > ANSWER_MIN_PROMISING);
}

static void test_answer__vectors_decide_between_equal_overlaps(void **state)
{
    (void)state;
    rag_hit h = hit("a.md", "A", "Alpha beta gamma. Delta epsilon zeta.", 0, 1);
    answer_evidence ev;
    answer_collect(NULL, RAG_STR("something else"), &h, 1, arena, &ev, NULL);
    assert_int_equal(ev.n_sentences, 2);
    const float q[2] = { 1, 0 };
    float near[2] = { 0.95f, 0.31f }, far[2] = { 0.8f, 0.6f };
    float *vectors[2];
    for (size_t i = 0; i < 2; i++)
        vectors[i] = contains(ev.sentences[i].text, "Delta") ? near : far;
    answer_rank(&ev, q, vectors, 2);
    assert_true(contains(ev.sentences[0].text, "Delta"));
}

static void test_answer__passages_are_numbered_and_cannot_forge_a_marker(void **state)
{
    (void)state;
    answer_evidence ev = help_centre("How much does standard delivery cost? See details.");
    size_t *order, n;
    rag_str p = answer_passages(&ev, 3, 4000, arena, &order, &n);
    assert_int_equal(n, 3);
    assert_true(rag_str_starts(p, RAG_STR("[1] ")));
    assert_true(contains(p, "\n[2] "));
    assert_true(contains(p, "[ 1] for details"));
}

static void test_answer__a_source_s_own_marker_names_no_citation(void **state)
{
    (void)state;
    answer_evidence ev = help_centre("Where do I see the details?");
    answer_result r;
    answer_extract(&ev, 1, arena, &r);
    assert_true(rag_str_eq(r.answer, RAG_STR("See [ 1] for details. [1]")));
    assert_true(rag_str_eq(r.citations[0].quote, RAG_STR("See [1] for details.")));
}

static void test_answer__passages_stop_at_the_byte_limit_on_whole_sentences(void **state)
{
    (void)state;
    answer_evidence ev = help_centre("Within how many days may I return an item?");
    size_t *order, n;
    rag_str p = answer_passages(&ev, 5, 70, arena, &order, &n);
    assert_true(p.len <= 70);
    assert_true(n >= 1);
    for (size_t i = 0; i < n; i++)
        assert_true(order[i] < ev.n_sentences);
}

static bool check(answer_evidence *ev, const char *generated, answer_strictness strictness, answer_result *r)
{
    size_t *order, n;
    answer_passages(ev, 5, 4000, arena, &order, &n);
    return answer_check(ev, order, n, rag_str_of(generated), strictness, arena, r);
}

static void test_answer__check_keeps_what_stands_in_the_source(void **state)
{
    (void)state;
    answer_evidence ev = help_centre("How many days do I have to return an item after delivery?");
    answer_result r;
    assert_true(check(&ev, "30 days", ANSWER_VERBATIM, &r));
    assert_true(rag_str_eq(r.answer, RAG_STR("30 days [1]")));
    assert_true(contains(r.citations[0].quote, "30 days of delivery"));
    assert_true(check(&ev, "Within 30 Days of delivery. [1]", ANSWER_VERBATIM, &r));
}

static void test_answer__check_drops_what_does_not(void **state)
{
    (void)state;
    answer_evidence ev = help_centre("How many days do I have to return an item after delivery?");
    answer_result r;
    assert_false(check(&ev, "60 days [1]", ANSWER_VERBATIM, &r));
    assert_false(check(&ev, "3 days", ANSWER_VERBATIM, &r)); /* a part of 30 is not 3 */
    assert_false(check(&ev, "The moon is made of cheese. [1]", ANSWER_SUPPORTED, &r));
    assert_false(check(&ev, "", ANSWER_SUPPORTED, &r));
    assert_false(check(&ev, "[1] [2]", ANSWER_SUPPORTED, &r));
}

static void test_answer__check_allows_other_words_order_only_when_supported(void **state)
{
    (void)state;
    answer_evidence ev = help_centre("How many days do I have to return an item after delivery?");
    answer_result r;
    const char *paraphrase = "Any item may be returned within 30 days.";
    assert_false(check(&ev, paraphrase, ANSWER_VERBATIM, &r));
    assert_true(check(&ev, paraphrase, ANSWER_SUPPORTED, &r));
    assert_false(check(&ev, "Any item may be returned within 31 days.", ANSWER_SUPPORTED, &r));
}

static void test_answer__check_refuses_one_changed_word(void **state)
{
    (void)state;
    answer_evidence ev = help_centre("How many days do I have to return an item after delivery?");
    answer_result r;
    assert_false(check(&ev, "Any item may be exchanged within 30 days of delivery.", ANSWER_SUPPORTED, &r));
    rag_hit h = hit("保修.md", "保修", "保修期从签收之日起计算，涵盖材料和工艺缺陷。", 0, 1);
    answer_evidence zh = collect("保修期从什么时候起计算？", &h, 1);
    assert_false(check(&zh, "维修期从签收之日起计算，涵盖材料和工艺缺陷。", ANSWER_SUPPORTED, &r));
    assert_true(check(&zh, "保修期涵盖材料和工艺缺陷，从签收之日起计算。", ANSWER_SUPPORTED, &r));
}

static void test_answer__a_generated_answer_is_as_sure_as_what_it_cites(void **state)
{
    (void)state;
    answer_evidence ev = help_centre("Within how many days of delivery may I return an item?");
    answer_result r;
    assert_true(check(&ev, "Refunds take 5 working days.", ANSWER_VERBATIM, &r));
    assert_true(r.confidence < ev.confidence);
}

static void test_answer__check_corrects_a_wrong_marker(void **state)
{
    (void)state;
    answer_evidence ev = help_centre("How many days do I have to return an item after delivery?");
    answer_result r;
    assert_true(check(&ev, "complete [2]", ANSWER_VERBATIM, &r));
    assert_int_equal(r.n_citations, 1);
    assert_true(contains(r.citations[0].quote, "complete"));
    assert_true(check(&ev, "4.90 EUR [77]", ANSWER_VERBATIM, &r));
    assert_true(contains(r.citations[0].quote, "4.90 EUR"));
    assert_true(contains(r.answer, "[1]"));
    assert_false(contains(r.answer, "[77]"));
}

static void test_answer__check_numbers_citations_by_first_use_and_reuses_them(void **state)
{
    (void)state;
    answer_evidence ev = help_centre("How many days do I have to return an item after delivery?");
    answer_result r;
    assert_true(check(&ev, "Items must be complete. You may return any item. Items must be complete.",
                      ANSWER_VERBATIM, &r));
    assert_int_equal(r.n_citations, 2);
    assert_true(rag_str_ends(r.answer, RAG_STR("Items must be complete. [1]")));
}

static void test_answer__check_lets_no_marker_inside_of_a_marker_through(void **state)
{
    (void)state;
    answer_evidence ev = help_centre("Within how many days may I return an item?");
    answer_result r;
    assert_true(check(&ev, "within [[1]30] days of delivery", ANSWER_VERBATIM, &r));
    assert_true(rag_str_eq(r.answer, RAG_STR("within [ 30] days of delivery [1]")));
}

static void test_answer__check_ignores_width_case_and_line_breaks(void **state)
{
    (void)state;
    rag_hit h = hit("退货.md", "退货", ZH, 7, 1);
    answer_evidence ev = collect("签收后多少天内可以退货？", &h, 1);
    answer_result r;
    assert_true(check(&ev, "３０天内", ANSWER_VERBATIM, &r));
    assert_true(check(&ev, "应当完整，并带有原包装", ANSWER_VERBATIM, &r));
    assert_false(check(&ev, "60天内", ANSWER_VERBATIM, &r));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, open_arena, close_arena)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_answer__extract_puts_the_sentence_with_the_terms_first),
        TEST(test_answer__quotes_are_the_bytes_at_their_offsets),
        TEST(test_answer__lines_count_from_the_hit_s_first),
        TEST(test_answer__chinese_lines_are_joined_without_a_space),
        TEST(test_answer__a_reranker_s_scores_weigh_as_shares),
        TEST(test_answer__nothing_found_is_refused_in_the_asker_s_language),
        TEST(test_answer__confidence_falls_with_the_overlap),
        TEST(test_answer__a_table_s_header_is_context_not_evidence),
        TEST(test_answer__a_merged_hit_s_headings_are_context_not_evidence),
        TEST(test_answer__a_source_in_the_other_language_needs_no_common_term),
        TEST(test_answer__vectors_decide_between_equal_overlaps),
        TEST(test_answer__what_lies_far_behind_is_not_worth_embedding),
        TEST(test_answer__passages_are_numbered_and_cannot_forge_a_marker),
        TEST(test_answer__a_source_s_own_marker_names_no_citation),
        TEST(test_answer__passages_stop_at_the_byte_limit_on_whole_sentences),
        TEST(test_answer__check_keeps_what_stands_in_the_source),
        TEST(test_answer__check_drops_what_does_not),
        TEST(test_answer__check_allows_other_words_order_only_when_supported),
        TEST(test_answer__check_refuses_one_changed_word),
        TEST(test_answer__a_generated_answer_is_as_sure_as_what_it_cites),
        TEST(test_answer__check_corrects_a_wrong_marker),
        TEST(test_answer__check_numbers_citations_by_first_use_and_reuses_them),
        TEST(test_answer__check_lets_no_marker_inside_of_a_marker_through),
        TEST(test_answer__check_ignores_width_case_and_line_breaks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
