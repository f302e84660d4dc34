/* Figures in both languages: what is the same, and what is not. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "daemon/figures.h"

static bool follows(const char *claim, const char *quote)
{
    rag_arena *arena = rag_arena_new();
    bool result = figures_follow(rag_str_of(claim), rag_str_of(quote), arena, NULL);
    rag_arena_free(arena);
    return result;
}

/* ---- equal forms ------------------------------------------------------------------------ */

/* Each row's forms all say the same. */
static const char *const SAME[][7] = {
    { "1200000", "1,200,000", "1.2 million", "１２０００００", "120万", "120萬", "一百二十万" },
    { "30", "thirty", "三十", "３０", "30.0" },
    { "350000000", "3亿5000万", "3.5亿", "350 million", "三亿五千万" },
    { "21", "twenty-one", "二十一", "twenty one" },
    { "105", "一百零五", "105.00" },
    { "15", "fifteen", "十五" },
    { "200", "two hundred", "二百", "两百" },
    { "1.5 billion", "15亿", "1,500,000,000" },
    { "5%", "5 %", "5 percent", "５％", "百分之五", "5.0 per cent" },
    { "12.5%", "百分之12.5", "12.50 percent" },
    { "3 percentage points", "3个百分点" },
    { "$4.90", "4.90 USD", "4.9美元", "US$4.90", "4.9 dollars", "USD 4.90" },
    { "€1.2 million", "1,200,000 euros", "120万欧元", "1.2 million EUR" },
    { "$5m", "$5 million", "5 million dollars", "500万美元" },
    { "100元", "RMB 100", "100 yuan", "人民币100元", "100块钱", "一百元" },
    { "1.5 km", "1500 m", "1.5公里", "1,500米", "1.5-km" },
    { "2 kg", "2公斤", "2000 grams", "2千克", "两千克" },
    { "30 days", "30天", "三十天", "30-day", "thirty days" },
    { "6 months", "6个月", "六个月", "six months" },
    { "24 hours", "24小时", "24个小时" },
    { "25 °C", "25℃", "25摄氏度", "25 degrees Celsius" },
    { "2024-05-03", "May 3, 2024", "3 May 2024", "2024年5月3日", "2024/5/3", "２０２４年５月３日", "二〇二四年五月三日" },
    { "5月3日", "May 3", "3 May", "May 3rd", "五月三日", "5月3号", "the 3rd of May" },
    { "May 2024", "2024年5月", "2024年05月" },
    { "2024", "2024年", "二〇二四年" },
    { "15:30", "3:30 pm", "下午3点30分", "下午三点半", "3:30 p.m." },
    { "A350-900", "a350-900" },
    { "1.2.3", "１.２.３" },
    { "21st century", "21世纪", "二十一世纪" },
    { "3rd", "第三个", "3" },
};

static void test_figures__equal_forms_follow_from_each_other(void **state)
{
    (void)state;
    for (size_t row = 0; row < sizeof SAME / sizeof *SAME; row++)
        for (size_t a = 0; a < 7 && SAME[row][a]; a++)
            for (size_t b = 0; b < 7 && SAME[row][b]; b++)
                if (!follows(SAME[row][a], SAME[row][b]))
                    fail_msg("'%s' does not follow from '%s'", SAME[row][a], SAME[row][b]);
}

enum { FIRST_WITH_UNIT = 8, FIRST_DATE = 21, LAST_DATE = 24 };

/* A bare number may follow from one with a unit, and a date from a longer one: that is for the next test. */
static bool says_no_less(size_t row, size_t other)
{
    bool is_date = row >= FIRST_DATE && row <= LAST_DATE, is_bare = row < FIRST_WITH_UNIT || row == sizeof SAME / sizeof *SAME - 1;
    return (!is_bare || other < FIRST_WITH_UNIT) && !(is_date && other >= FIRST_DATE && other <= LAST_DATE);
}

static void test_figures__rows_do_not_follow_from_each_other(void **state)
{
    (void)state;
    const size_t n = sizeof SAME / sizeof *SAME;
    for (size_t row = 0; row < n; row++)
        for (size_t other = 0; other < n; other++) {
            if (row != other && says_no_less(row, other) && follows(SAME[row][0], SAME[other][0]))
                fail_msg("'%s' follows from '%s'", SAME[row][0], SAME[other][0]);
        }
}

/* ---- one way only ----------------------------------------------------------------------- */

static const struct {
    const char *claim, *quote;
    bool follows, back; /* and the other way round */
} ROWS[] = {
    { "30", "within 30 days of delivery", true, false },
    { "in 2024", "on 2024-05-03", true, false },
    { "May 2024", "May 3, 2024", true, false },
    { "2024年", "2024年5月3日", true, false },
    { "on May 3", "on May 3, 2024", true, false },
    { "03/05/2024", "2024-05-03", true, true },
    { "03/05/2024", "2024-03-05", true, true },
    { "03/05/2024", "2024-03-06", false, false },
    { "at 3:30", "at 15:30", true, true },
    { "at 4:30", "at 15:30", false, false },
    { "3 days", "30 days", false, false },
    { "2", "2 million", false, false },
    { "200", "1,200", false, false },
    { "5%", "5 days", false, false },
    { "5 percentage points", "5%", false, false },
    { "$5", "€5", false, false },
    { "30天", "三十一天", false, false },
    { "3万", "3千", false, false },
    { "120万", "12万", false, false },
    { "-5 degrees", "5 degrees", false, false },
    { "4 days", "4–5 days", true, false },
    { "4 days", "4 to 5 days", true, false },
    { "4天", "4至5天", true, false },
    { "5 weeks", "4–5 days", false, false },
    { "A350", "A330", false, false },
    { "version 1.2", "version 1.2.3", false, false },
    { "one of them", "some of them", true, true },
    { "一些人", "有些人", true, true },
    { "十分重要", "很重要", true, true },
    { "twelve apostles", "some apostles", false, true },
    { "nothing here", "30 days", true, false },
    { "¥100", "100元", true, true },
    { "¥100", "$100", false, false },
    { "1990s", "in the 1990s", true, true },
    { "100 million", "1亿", true, true },
    { "in May 2020, 3,000 people", "2020年5月有3000人", true, true },
    { "you may 3", "3", true, true },
};

static void test_figures__claims_follow_from_what_is_stated(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof ROWS / sizeof *ROWS; i++) {
        if (follows(ROWS[i].claim, ROWS[i].quote) != ROWS[i].follows)
            fail_msg("'%s' from '%s': not %d", ROWS[i].claim, ROWS[i].quote, ROWS[i].follows);
        if (follows(ROWS[i].quote, ROWS[i].claim) != ROWS[i].back)
            fail_msg("'%s' from '%s': not %d", ROWS[i].quote, ROWS[i].claim, ROWS[i].back);
    }
}

static void test_figures__the_missing_one_is_named(void **state)
{
    (void)state;
    rag_arena *arena = rag_arena_new();
    rag_str missing;
    assert_false(figures_follow(RAG_STR("From 30 days to ４５天。"), RAG_STR("30 days, and 40 days"), arena, &missing));
    assert_true(rag_str_eq(missing, RAG_STR("４５天")));
    rag_arena_free(arena);
}

/* ---- properties ------------------------------------------------------------------------- */

/* Any text of digits, signs and words: spans ascend inside of the text, and every text's figures follow from itself. */
static void test_figures__whatever_is_said_follows_from_itself(void **state)
{
    (void)state;
    static const char *const parts[] = { "1", "20", "300", ",", ".", "-", ":", "/", " ", "年", "月", "日", "万", "亿", "三", "十", "百分之",
                                         "%", "$", "€", "million", "may", "A", "two", "hundred", "and", "点", "半", "天", "ten", "，", "〇", "99999999999999999999" };
    uint32_t random = 12345;
    rag_arena *arena = rag_arena_new();
    for (int round = 0; round < 20000; round++) {
        char text[256] = "";
        for (int k = 0; k < 9; k++) {
            random = random * 1664525u + 1013904223u;
            strcat(text, parts[(random >> 16) % (sizeof parts / sizeof *parts)]);
        }
        size_t n, last = 0;
        const figure *f = figures_of(rag_str_of(text), arena, &n);
        for (size_t i = 0; i < n; i++) {
            assert_true(f[i].span.start >= last && f[i].span.start < f[i].span.end && f[i].span.end <= strlen(text));
            last = f[i].span.end;
        }
        if (!figures_follow(rag_str_of(text), rag_str_of(text), arena, NULL))
            fail_msg("'%s' does not follow from itself", text);
        rag_arena_reset(arena);
    }
    rag_arena_free(arena);
}

/* Every whole number up to 99,999 in Han numerals and English words is what it is in digits. */
static void write_han(int value, char *out)
{
    static const char *const digits[] = { "零", "一", "二", "三", "四", "五", "六", "七", "八", "九" };
    static const char *const powers[] = { "万", "千", "百", "十", "" };
    static const int units[] = { 10000, 1000, 100, 10, 1 };
    bool has_zero = false, has_any = false;
    for (int i = 0; i < 5; i++) {
        int digit = value / units[i] % 10;
        if (!digit) {
            has_zero = has_any;
            continue;
        }
        if (has_zero)
            strcat(out, digits[0]);
        strcat(out, digits[digit]);
        strcat(out, powers[i]);
        has_zero = false;
        has_any = true;
    }
}

static void test_figures__han_numerals_count(void **state)
{
    (void)state;
    for (int value = 10; value < 100000; value += 7) {
        char han[128] = "共", digits[32];
        write_han(value, han);
        strcat(han, "个");
        snprintf(digits, sizeof digits, "%d", value);
        if (!follows(digits, han) || !follows(han, digits))
            fail_msg("'%s' is not %s", han, digits);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_figures__equal_forms_follow_from_each_other),
        cmocka_unit_test(test_figures__rows_do_not_follow_from_each_other),
        cmocka_unit_test(test_figures__claims_follow_from_what_is_stated),
        cmocka_unit_test(test_figures__the_missing_one_is_named),
        cmocka_unit_test(test_figures__whatever_is_said_follows_from_itself),
        cmocka_unit_test(test_figures__han_numerals_count),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
