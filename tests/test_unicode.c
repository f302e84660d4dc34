#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "base/unicode.h"
#include "base/utf8.h"

typedef void transform(rag_str s, rag_buf *out);

static char *apply(transform *f, const char *text)
{
    rag_buf b;
    rag_buf_init(&b, 1 << 20);
    f(rag_str_of(text), &b);
    assert_false(b.overflow);
    return rag_buf_detach(&b);
}

static void assert_becomes(transform *f, const char *text, const char *want)
{
    char *got = apply(f, text);
    assert_string_equal(got, want);
    free(got);
}

static void test_unicode__nfkc_composes_and_unifies_width(void **state)
{
    (void)state;
    assert_becomes(rag_unicode_nfkc, "plain ASCII Text", "plain ASCII Text");
    assert_becomes(rag_unicode_nfkc, "cafe\xCC\x81 x", "café x");
    assert_becomes(rag_unicode_nfkc, "ＡＢＣ１２，ｶﾞ", "ABC12,ガ");
    assert_becomes(rag_unicode_nfkc, "ﬁne ① ㎏", "fine 1 kg");
    assert_becomes(rag_unicode_nfkc, "中文\xE3\x82\x99é", "中文\xE3\x82\x99é");
    assert_becomes(rag_unicode_nfkc, "", "");
}

static void test_unicode__fold_ignores_case_and_accents(void **state)
{
    (void)state;
    assert_becomes(rag_unicode_fold, "Plain ASCII [@Z{", "plain ascii [@z{");
    assert_becomes(rag_unicode_fold, "Éclair ÀÉ e\xCC\x81", "eclair ae e");
    assert_becomes(rag_unicode_fold, "Straße ΣΊΣΥΦΟΣ", "strasse σισυφοσ");
    assert_becomes(rag_unicode_fold, "İstanbul", "istanbul");
    assert_becomes(rag_unicode_fold, "Ё Й", "е и");
    assert_becomes(rag_unicode_fold, "infor\xC2\xADmation", "information");
}

static void test_unicode__simplified_is_one_to_one_and_final(void **state)
{
    (void)state;
    static const char *const same[][2] = { { "後", "后" }, { "裡", "里" }, { "裏", "里" }, { "語", "语" }, { "羣", "群" }, { "苧", "苎" },
                                           { "薴", "苎" }, { "中", "中" }, { "か", "か" }, { "é", "é" }, { "𠀀", "𠀀" }, { "x", "x" } };
    for (size_t i = 0; i < sizeof same / sizeof *same; i++) {
        size_t a = 0, b = 0;
        assert_int_equal(rag_unicode_simplified(rag_utf8_next(rag_str_of(same[i][0]), &a)),
                         rag_utf8_next(rag_str_of(same[i][1]), &b));
    }
    for (uint32_t c = 0; c < 0x11000; c++) {
        uint32_t s = rag_unicode_simplified(c);
        assert_int_equal(rag_unicode_simplified(s), s);
        assert_int_equal(rag_unicode_class(s), rag_unicode_class(c));
    }
}

static void test_unicode__width_is_what_a_terminal_takes(void **state)
{
    (void)state;
    assert_int_equal(rag_unicode_width('a'), 1);
    assert_int_equal(rag_unicode_width(0xE9), 1);   /* é */
    assert_int_equal(rag_unicode_width(0x301), 0);  /* combining acute */
    assert_int_equal(rag_unicode_width(0x200B), 0); /* zero width space */
    assert_int_equal(rag_unicode_width(0x4E2D), 2); /* 中 */
    assert_int_equal(rag_unicode_width(0x3002), 2); /* 。 */
    assert_int_equal(rag_unicode_width(0xFF21), 2); /* Ａ */
    assert_int_equal(rag_unicode_width(0xAC00), 2); /* 가 */
    assert_int_equal(rag_unicode_width(0xFF76), 1); /* ｶ, half width */
    assert_int_equal(rag_unicode_width(0x20000), 2);
    assert_int_equal(rag_unicode_width(0x1F4A5), 2);
}

static void test_unicode__fold_keeps_han_kana_and_hangul(void **state)
{
    (void)state;
    assert_becomes(rag_unicode_fold, "中文〇々 ガギ が 한국어", "中文〇々 ガギ が 한국어");
    assert_becomes(rag_unicode_fold, "か\xE3\x82\x99", "が");
    assert_becomes(rag_unicode_fold, "ไทยที่ हिन्दी", "ไทยท\xE0\xB8\xB5\xE0\xB9\x88 हिन्दी");
}

static void test_unicode__invalid_bytes_become_replacements(void **state)
{
    (void)state;
    assert_becomes(rag_unicode_nfkc, "a\xFF\x80z", "a\xEF\xBF\xBD\xEF\xBF\xBDz");
    assert_becomes(rag_unicode_fold, "A\xE4\xB8Z", "a\xEF\xBF\xBD\xEF\xBF\xBDz");
    assert_becomes(rag_unicode_fold, "中\xE4\xB8", "中\xEF\xBF\xBD\xEF\xBF\xBD");
}

static void test_unicode__twice_is_once_for_every_character(void **state)
{
    (void)state;
    transform *const forms[] = { rag_unicode_nfkc, rag_unicode_fold };
    for (size_t f = 0; f < 2; f++) {
        rag_buf once, twice;
        rag_buf_init(&once, 1024);
        rag_buf_init(&twice, 1024);
        for (uint32_t c = 1; c <= 0x10FFFF; c += c < 0x3000 || (c > 0xF900 && c < 0x1F000) ? 1 : 17) {
            char bytes[4];
            size_t n = rag_utf8_encode(c, bytes);
            rag_buf_clear(&once);
            rag_buf_clear(&twice);
            forms[f]((rag_str){ bytes, n }, &once);
            forms[f](rag_buf_str(&once), &twice);
            if (!rag_str_eq(rag_buf_str(&once), rag_buf_str(&twice)) || !rag_utf8_valid(rag_buf_str(&once), NULL))
                fail_msg("form %zu, U+%04X", f, (unsigned)c);
        }
        rag_buf_free(&once);
        rag_buf_free(&twice);
    }
}

/* Where a run ends must not show: long text equals its pieces, cut at spaces. */
static void test_unicode__long_runs_equal_their_parts(void **state)
{
    (void)state;
    rag_buf text, want, got;
    rag_buf_init(&text, 1 << 20);
    rag_buf_init(&want, 1 << 20);
    rag_buf_init(&got, 1 << 20);
    for (int i = 0; i < 3000; i++) {
        rag_buf_puts(&text, "ガｶﾞﬁÉ한");
        rag_unicode_fold(RAG_STR("ガｶﾞﬁÉ한"), &want);
    }
    rag_unicode_fold(rag_buf_str(&text), &got);
    assert_int_equal(got.len, want.len);
    assert_memory_equal(got.ptr, want.ptr, want.len);
    rag_buf_free(&text);
    rag_buf_free(&want);
    rag_buf_free(&got);
}

static void test_unicode__endless_marks_are_survived(void **state)
{
    (void)state;
    rag_buf text, got;
    rag_buf_init(&text, 1 << 20);
    rag_buf_init(&got, 1 << 20);
    rag_buf_puts(&text, "a");
    for (int i = 0; i < 20000; i++)
        rag_buf_puts(&text, "\xCC\x81\xCC\x96");
    rag_buf_puts(&text, "z");
    rag_unicode_nfkc(rag_buf_str(&text), &got);
    assert_true(rag_utf8_valid(rag_buf_str(&got), NULL));
    rag_buf_clear(&got);
    rag_unicode_fold(rag_buf_str(&text), &got);
    assert_string_equal(got.ptr, "az");
    rag_buf_free(&text);
    rag_buf_free(&got);
}

static void test_unicode__classes(void **state)
{
    (void)state;
    static const struct {
        uint32_t c;
        rag_char_class want;
    } rows[] = {
        { 'a', RAG_CHAR_LETTER },   { 'Z', RAG_CHAR_LETTER },   { '0', RAG_CHAR_DIGIT },    { '9', RAG_CHAR_DIGIT },
        { '@', RAG_CHAR_OTHER },    { '[', RAG_CHAR_OTHER },    { '`', RAG_CHAR_OTHER },    { '{', RAG_CHAR_OTHER },
        { '/', RAG_CHAR_OTHER },    { ':', RAG_CHAR_OTHER },    { ' ', RAG_CHAR_OTHER },    { 0, RAG_CHAR_OTHER },
        { 0xE9, RAG_CHAR_LETTER },  { 0x301, RAG_CHAR_LETTER }, { 0x416, RAG_CHAR_LETTER }, { 0x661, RAG_CHAR_DIGIT },
        { 0xBD, RAG_CHAR_DIGIT },   { 0x4E2D, RAG_CHAR_CJK },   { 0x3005, RAG_CHAR_CJK },   { 0x3007, RAG_CHAR_CJK },
        { 0x3042, RAG_CHAR_CJK },   { 0x30AB, RAG_CHAR_CJK },   { 0x30FC, RAG_CHAR_CJK },   { 0xFF76, RAG_CHAR_CJK },
        { 0xFF70, RAG_CHAR_CJK },   { 0xD55C, RAG_CHAR_CJK },   { 0x1112, RAG_CHAR_CJK },   { 0x3105, RAG_CHAR_CJK },
        { 0x20000, RAG_CHAR_CJK },  { 0x3400, RAG_CHAR_CJK },   { 0x3001, RAG_CHAR_OTHER }, { 0x3002, RAG_CHAR_OTHER },
        { 0x30FB, RAG_CHAR_OTHER }, { 0x1F600, RAG_CHAR_OTHER }, { 0xFFFD, RAG_CHAR_OTHER }, { 0x110000, RAG_CHAR_OTHER },
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (rag_unicode_class(rows[i].c) != rows[i].want)
            fail_msg("U+%04X is %d", (unsigned)rows[i].c, (int)rag_unicode_class(rows[i].c));
}

static void test_unicode__spaces_and_capitals(void **state)
{
    (void)state;
    const uint32_t spaces[] = { ' ', '\t', '\n', '\r', '\f', 0x85, 0xA0, 0x3000, 0x200B, 0xFEFF, 0x2029 };
    for (size_t i = 0; i < sizeof spaces / sizeof *spaces; i++)
        assert_true(rag_unicode_is_space(spaces[i]));
    assert_false(rag_unicode_is_space('a'));
    assert_false(rag_unicode_is_space(0));
    assert_false(rag_unicode_is_space(0x4E2D));
    assert_true(rag_unicode_is_upper('A'));
    assert_true(rag_unicode_is_upper(0xC9));
    assert_false(rag_unicode_is_upper('a'));
    assert_false(rag_unicode_is_upper(0x4E2D));
}

static void test_unicode__language_is_that_of_most_letters(void **state)
{
    (void)state;
    assert_int_equal(rag_unicode_lang(RAG_STR("How long is the warranty?")), RAG_LANG_EN);
    assert_int_equal(rag_unicode_lang(RAG_STR("保修期是多久？")), RAG_LANG_ZH);
    assert_int_equal(rag_unicode_lang(RAG_STR("TV 的保修期有多长时间")), RAG_LANG_ZH);
    assert_int_equal(rag_unicode_lang(RAG_STR("what does 保修 mean")), RAG_LANG_EN);
    assert_int_equal(rag_unicode_lang(RAG_STR("ab中文")), RAG_LANG_EN); /* half is not more than half */
    assert_int_equal(rag_unicode_lang(RAG_STR("これはひらがなです")), RAG_LANG_EN);
    assert_int_equal(rag_unicode_lang(RAG_STR("123 ?!")), RAG_LANG_EN);
    assert_int_equal(rag_unicode_lang(RAG_STR("")), RAG_LANG_EN);
    assert_string_equal(rag_lang_name(RAG_LANG_ZH), "zh");
    assert_string_equal(rag_lang_name(RAG_LANG_EN), "en");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_unicode__nfkc_composes_and_unifies_width),
        cmocka_unit_test(test_unicode__fold_ignores_case_and_accents),
        cmocka_unit_test(test_unicode__simplified_is_one_to_one_and_final),
        cmocka_unit_test(test_unicode__width_is_what_a_terminal_takes),
        cmocka_unit_test(test_unicode__fold_keeps_han_kana_and_hangul),
        cmocka_unit_test(test_unicode__invalid_bytes_become_replacements),
        cmocka_unit_test(test_unicode__twice_is_once_for_every_character),
        cmocka_unit_test(test_unicode__long_runs_equal_their_parts),
        cmocka_unit_test(test_unicode__endless_marks_are_survived),
        cmocka_unit_test(test_unicode__classes),
        cmocka_unit_test(test_unicode__spaces_and_capitals),
        cmocka_unit_test(test_unicode__language_is_that_of_most_letters),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
