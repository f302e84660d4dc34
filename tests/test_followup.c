#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <cjson/cJSON.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/utf8.h"
#include "daemon/followup.h"

/* 40 two-turn conversations in each language, about articles of xquad and cmrc2018, made by us: half of the second
 * questions need the first (`holds`: what they must contain then), half do not. */
static const char cases_file[] = "tests/data/followups.jsonl";

static rag_arena *arena;

static int setup(void **state)
{
    (void)state;
    arena = rag_arena_new();
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    rag_arena_free(arena);
    return 0;
}

static followup resolve(const char *before, const char *answer, const char *question)
{
    followup_turn t = { .question = rag_str_of(before), .answer = rag_str_of(answer) };
    return followup_resolve(&t, 1, rag_str_of(question), arena);
}

static void becomes(const char *before, const char *question, const char *wanted)
{
    followup f = resolve(before, NULL, question);
    assert_string_equal(rag_arena_cstr(arena, f.question), wanted);
}

static void stays(const char *before, const char *question)
{
    followup f = resolve(before, NULL, question);
    assert_string_equal(rag_arena_cstr(arena, f.question), question);
    assert_int_equal(f.cue, FOLLOWUP_NONE);
    assert_int_equal(f.topic.len, 0);
}

/* ---- the made conversations ------------------------------------------------------------- */

static const char *text_of(const cJSON *object, const char *key)
{
    const cJSON *v = cJSON_GetObjectItemCaseSensitive(object, key);
    assert_true(cJSON_IsString(v));
    return v->valuestring;
}

static followup resolve_case(const cJSON *line)
{
    const cJSON *history = cJSON_GetObjectItemCaseSensitive(line, "history");
    return resolve(text_of(cJSON_GetArrayItem(history, 0), "text"), text_of(cJSON_GetArrayItem(history, 1), "text"),
                   text_of(line, "question"));
}

static void check_case(const cJSON *line)
{
    const cJSON *holds = cJSON_GetObjectItemCaseSensitive(line, "holds"), *h;
    followup f = resolve_case(line);
    const char *got = rag_arena_cstr(arena, f.question);
    if (!holds && (f.cue != FOLLOWUP_NONE || strcmp(got, text_of(line, "question")) != 0))
        fail_msg("%s: was changed to: %s", text_of(line, "id"), got);
    if (holds && f.cue == FOLLOWUP_NONE)
        fail_msg("%s: was not taken for a follow-up", text_of(line, "id"));
    cJSON_ArrayForEach(h, holds)
        if (!strstr(got, h->valuestring))
            fail_msg("%s: '%s' is not in: %s", text_of(line, "id"), h->valuestring, got);
}

static int check_cases(const char *lang, bool follow)
{
    rag_buf text;
    rag_err err;
    int n = 0;
    rag_buf_init(&text, 1024 * 1024);
    assert_int_equal(rag_file_read(cases_file, &text, &err), RAG_OK);
    for (char *line = text.ptr, *next; line && *line; line = next) {
        next = strchr(line, '\n');
        if (next)
            *next++ = '\0';
        cJSON *object = cJSON_Parse(line);
        assert_non_null(object);
        bool is_follow = cJSON_HasObjectItem(object, "holds");
        if (is_follow == follow && strcmp(text_of(object, "lang"), lang) == 0) {
            check_case(object);
            n++;
        }
        cJSON_Delete(object);
    }
    rag_buf_free(&text);
    return n;
}

static void test_followup__english_follow_ups_take_their_topic_along(void **state)
{
    (void)state;
    assert_int_equal(check_cases("en", true), 20);
}

static void test_followup__english_questions_that_stand_alone_stay(void **state)
{
    (void)state;
    assert_int_equal(check_cases("en", false), 20);
}

static void test_followup__chinese_follow_ups_take_their_topic_along(void **state)
{
    (void)state;
    assert_int_equal(check_cases("zh", true), 20);
}

static void test_followup__chinese_questions_that_stand_alone_stay(void **state)
{
    (void)state;
    assert_int_equal(check_cases("zh", false), 20);
}

/* ---- how they are written --------------------------------------------------------------------- */

static void test_followup__a_pronoun_becomes_what_it_stands_for(void **state)
{
    (void)state;
    becomes("What is estate planning?", "Is it expensive?", "Is estate planning expensive?");
    becomes("What is the warranty on the kettle?", "Does it cover the lid?",
            "Does the warranty on the kettle cover the lid?");
    becomes("Where was Ada Lovelace born?", "Who were her parents?", "Who were Ada Lovelace's parents?");
    becomes("广茂铁路全长多少公里？", "它由哪家公司管理？", "广茂铁路由哪家公司管理？");
    becomes("上海的面积是多少？", "其人口呢？", "其人口呢？（关于：上海的面积是多少）");
}

static void test_followup__a_person_that_the_answer_names_can_be_meant(void **state)
{
    (void)state;
    followup f = resolve("Who wrote the poem?", "It was written by Emily Dickinson in 1862.", "When was she born?");
    assert_string_equal(rag_arena_cstr(arena, f.question), "When was Emily Dickinson born?");
}

static void test_followup__two_things_are_not_guessed_between(void **state)
{
    (void)state;
    becomes("How do the RFC 2616 and RFC 7230 documents differ?", "Are they still valid?",
            "Are they still valid? (about: RFC 2616 and RFC 7230 documents differ)");
}

static void test_followup__an_ellipsis_gets_the_topic_behind_it(void **state)
{
    (void)state;
    becomes("How long may I return goods?", "and for opened goods?", "and for opened goods? (about: return goods)");
    becomes("Do tenants have legal protections?", "For example?", "For example? (about: tenants have legal protections)");
    becomes("如何退货？", "要多久？", "要多久？（关于：如何退货）");
    becomes("保修期是多久？", "配件也一样吗？", "配件也一样吗？（关于：保修期是多久）");
}

static void test_followup__what_is_asked_instead_takes_its_place(void **state)
{
    (void)state;
    becomes("国内运费是多少？", "那海外呢？", "海外运费是多少？");
    becomes("上海的人口是多少？", "那北京呢？", "北京的人口是多少？");
    becomes("上半年的销售额是多少？", "下半年呢？", "下半年的销售额是多少？");
    becomes("特斯拉是哪一年去世的？", "那爱迪生呢？", "爱迪生是哪一年去世的？");
    becomes("上海的人口是多少？", "还有呢？", "还有呢？（关于：上海的人口是多少）");
}

static void test_followup__a_missing_subject_is_put_in_front(void **state)
{
    (void)state;
    becomes("五羊新城又称什么？", "由哪个公司开发？", "五羊新城由哪个公司开发？");
    becomes("免疫缺陷会导致什么？", "原因是什么？", "免疫缺陷的原因是什么？");
}

static void test_followup__traditional_characters_are_read_too(void **state)
{
    (void)state;
    becomes("廣茂鐵路全長多少公里？", "它由哪家公司管理？", "廣茂鐵路由哪家公司管理？");
    becomes("臺北的人口是多少？", "那紐約呢？", "紐約的人口是多少？");
    stays("廣茂鐵路全長多少公里？", "土耳其的首都在哪裡？");
}

static void test_followup__a_correction_keeps_the_question(void **state)
{
    (void)state;
    becomes("How can I get to the library from the hotel?", "I mean the one downtown",
            "I mean the one downtown (about: library from the hotel)");
}

/* ---- what stays --------------------------------------------------------------------------------- */

static void test_followup__a_pronoun_with_its_noun_stays(void **state)
{
    (void)state;
    stays("What is oxygen?", "How old was Tesla when he died?");
    stays("What is oxygen?", "If I borrow money, can I treat it as equity?");
    stays("What is oxygen?", "Other than his inventions, what was Tesla famous for?");
    stays("氧气是什么？", "特斯拉是如何资助他的工作的？");
}

static void test_followup__an_it_that_stands_for_nothing_stays(void **state)
{
    (void)state;
    stays("What is oxygen?", "Is it possible to pay with a credit card?");
    stays("What is oxygen?", "How long does it take to process a refund?");
}

static void test_followup__a_change_of_topic_brings_nothing_along(void **state)
{
    (void)state;
    stays("What is the warranty on the kettle?", "How do I reset my password?");
    stays("保修期是多久？", "什么是汞？");
    stays("保修期是多久？", "怎么申请发票抬头变更？");
}

static void test_followup__without_a_turn_before_nothing_is_done(void **state)
{
    (void)state;
    followup f = followup_resolve(NULL, 0, RAG_STR("And then?"), arena);
    assert_int_equal(f.cue, FOLLOWUP_NONE);
    stays("Thank you!", "Is it open on Sundays?");
    stays("", "那海外呢？");
    stays("What is oxygen?", "");
}

/* ---- chains and bounds ---------------------------------------------------------------------------- */

static void test_followup__thanks_between_do_not_cut_the_thread(void **state)
{
    (void)state;
    followup_turn turns[] = { { .question = RAG_STR("What is estate planning?") },
                              { .question = RAG_STR("That is fine. Thank you!") } };
    followup f = followup_resolve(turns, 2, RAG_STR("Is it expensive?"), arena);
    assert_string_equal(rag_arena_cstr(arena, f.question), "Is estate planning expensive?");
}

static void test_followup__a_chain_keeps_its_topic_and_stays_short(void **state)
{
    (void)state;
    followup_turn turns[12] = { { .question = RAG_STR("Do tenants have legal protections?") } };
    for (size_t i = 1; i < 12; i++) {
        turns[i].question = RAG_STR("For example?");
        followup f = followup_resolve(turns, i, turns[i].question, arena);
        turns[i].resolved = f.question;
        assert_non_null(strstr(rag_arena_cstr(arena, f.question), "tenants have legal protections"));
        assert_in_range(f.question.len, 1, 120);
    }
}

static void test_followup__a_long_history_gives_a_short_question(void **state)
{
    (void)state;
    rag_buf b;
    rag_buf_init(&b, RAG_MAX_TEXT);
    while (b.len < 60000)
        rag_buf_puts(&b, "长");
    followup_turn t = { .question = rag_buf_str(&b) };
    followup f = followup_resolve(&t, 1, RAG_STR("为什么？"), arena);
    assert_int_not_equal(f.cue, FOLLOWUP_NONE);
    assert_in_range(f.question.len, 1, 1000);
    assert_true(rag_utf8_valid(f.question, NULL));
    rag_buf_free(&b);
}

static void test_followup__a_long_question_stands_alone(void **state)
{
    (void)state;
    rag_buf b;
    rag_buf_init(&b, RAG_MAX_TEXT);
    rag_buf_puts(&b, "And for opened goods?");
    while (b.len < 2000)
        rag_buf_puts(&b, " really");
    followup_turn t = { .question = RAG_STR("How long may I return goods?") };
    followup f = followup_resolve(&t, 1, rag_buf_str(&b), arena);
    assert_int_equal(f.cue, FOLLOWUP_NONE);
    rag_buf_free(&b);
}

#define ROW(name) cmocka_unit_test_setup_teardown(test_followup__##name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        ROW(english_follow_ups_take_their_topic_along),
        ROW(english_questions_that_stand_alone_stay),
        ROW(chinese_follow_ups_take_their_topic_along),
        ROW(chinese_questions_that_stand_alone_stay),
        ROW(a_pronoun_becomes_what_it_stands_for),
        ROW(a_person_that_the_answer_names_can_be_meant),
        ROW(two_things_are_not_guessed_between),
        ROW(an_ellipsis_gets_the_topic_behind_it),
        ROW(what_is_asked_instead_takes_its_place),
        ROW(a_missing_subject_is_put_in_front),
        ROW(traditional_characters_are_read_too),
        ROW(a_correction_keeps_the_question),
        ROW(a_pronoun_with_its_noun_stays),
        ROW(an_it_that_stands_for_nothing_stays),
        ROW(a_change_of_topic_brings_nothing_along),
        ROW(without_a_turn_before_nothing_is_done),
        ROW(thanks_between_do_not_cut_the_thread),
        ROW(a_chain_keeps_its_topic_and_stays_short),
        ROW(a_long_history_gives_a_short_question),
        ROW(a_long_question_stands_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
