#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "base/utf8.h"

/* The cases of Markus Kuhn's decoder stress test, and a few of its neighbours. */
static const struct {
    const char *bytes;
    size_t len;
    size_t bad; /* SIZE_MAX: valid */
} cases[] = {
#define VALID(s) { s, sizeof s - 1, SIZE_MAX }
#define BAD(s, at) { s, sizeof s - 1, at }
    VALID(""),
    VALID("\xCE\xBA\xE1\xBD\xB9\xCF\x83\xCE\xBC\xCE\xB5"),
    VALID("\0"),
    VALID("\xC2\x80"),
    VALID("\xE0\xA0\x80"),
    VALID("\xF0\x90\x80\x80"),
    VALID("\x7F"),
    VALID("\xDF\xBF"),
    VALID("\xEF\xBF\xBF"),
    VALID("\xED\x9F\xBF"),
    VALID("\xEE\x80\x80"),
    VALID("\xEF\xBF\xBD"),
    VALID("\xF4\x8F\xBF\xBF"),
    BAD("\xF4\x90\x80\x80", 0),
    BAD("\xF7\xBF\xBF\xBF", 0),
    BAD("\xF8\x88\x80\x80\x80", 0),
    BAD("\xFC\x84\x80\x80\x80\x80", 0),
    BAD("\x80", 0),
    BAD("\xBF\x80", 0),
    BAD("a\x80", 1),
    BAD("\xC0 ", 0),
    BAD("\xE0 ", 0),
    BAD("\xF0 ", 0),
    BAD("ab\xC3", 2),
    BAD("ab\xE2\x82", 2),
    BAD("ab\xF0\x9F\x98", 2),
    BAD("abcdefghij\xE2\x82z", 10),
    BAD("\xFE", 0),
    BAD("\xFF", 0),
    BAD("\xC0\xAF", 0),
    BAD("\xC1\xBF", 0),
    BAD("\xE0\x80\xAF", 0),
    BAD("\xE0\x9F\xBF", 0),
    BAD("\xF0\x80\x80\xAF", 0),
    BAD("\xF0\x8F\xBF\xBF", 0),
    BAD("\xC0\x80", 0),
    BAD("\xED\xA0\x80", 0),
    BAD("\xED\xBF\xBF", 0),
    BAD("\xED\xA0\x81\xED\xB0\x80", 0),
#undef VALID
#undef BAD
};

static void test_utf8__validity_is_strict(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        size_t bad = SIZE_MAX;
        bool valid = rag_utf8_valid((rag_str){ cases[i].bytes, cases[i].len }, &bad);
        if (valid != (cases[i].bad == SIZE_MAX) || bad != cases[i].bad)
            fail_msg("case %zu: valid %d, bad at %zu", i, valid, bad);
    }
}

static void test_utf8__next_agrees_with_valid(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        rag_str s = { cases[i].bytes, cases[i].len };
        if (cases[i].bad == SIZE_MAX)
            continue;
        size_t pos = cases[i].bad;
        assert_int_equal(rag_utf8_next(s, &pos), 0xFFFD);
        assert_int_equal(pos, cases[i].bad + 1);
    }
}

static void test_utf8__every_character_survives_both_ways(void **state)
{
    (void)state;
    for (uint32_t c = 0; c <= 0x10FFFF; c++) {
        char bytes[4];
        size_t n = rag_utf8_encode(c, bytes), pos = 0;
        bool surrogate = c >= 0xD800 && c <= 0xDFFF;
        uint32_t want = surrogate ? 0xFFFD : c;
        rag_str s = { bytes, n };
        if (rag_utf8_next(s, &pos) != want || pos != n || rag_utf8_prev(s, &pos) != want || pos != 0)
            fail_msg("U+%04X", (unsigned)c);
    }
    char bytes[4];
    assert_int_equal(rag_utf8_encode(0x110000, bytes), 3);
    assert_memory_equal(bytes, "\xEF\xBF\xBD", 3);
}

static uint32_t next_random(uint32_t *seed)
{
    return *seed = *seed * 1664525u + 1013904223u;
}

/* Bytes from the places where the rules change. */
static void fill(char *bytes, size_t n, uint32_t *seed)
{
    static const unsigned char edges[] = { 'a', 0x80, 0x8F, 0x90, 0x9F, 0xA0, 0xBF, 0xC1, 0xC2, 0xE0, 0xE4, 0xED, 0xF0, 0xF4, 0xF5 };
    for (size_t i = 0; i < n; i++)
        bytes[i] = (char)edges[(next_random(seed) >> 16) % sizeof edges];
}

static void test_utf8__floor_and_whole_agree_with_decoding(void **state)
{
    (void)state;
    uint32_t seed = 7;
    for (int round = 0; round < 50000; round++) {
        char bytes[12];
        fill(bytes, sizeof bytes, &seed);
        rag_str s = { bytes, sizeof bytes };
        for (size_t pos = 0; pos < s.len;) {
            size_t start = pos;
            rag_utf8_next(s, &pos);
            for (size_t inside = start; inside < pos; inside++)
                assert_int_equal(rag_utf8_floor(s, inside), start);
            for (size_t cut = start + 1; cut < pos; cut++)
                assert_int_equal(rag_utf8_whole(rag_str_sub(s, 0, cut)), start);
        }
        assert_int_equal(rag_utf8_floor(s, 99), s.len);
    }
}

static void test_utf8__prev_retraces_next_in_valid_text(void **state)
{
    (void)state;
    rag_str s = RAG_STR("aé中😀z");
    size_t starts[8], n = 0, pos = 0;
    while (pos < s.len) {
        starts[n++] = pos;
        rag_utf8_next(s, &pos);
    }
    assert_int_equal(n, 5);
    assert_int_equal(rag_utf8_count(s), 5);
    while (n > 0) {
        rag_utf8_prev(s, &pos);
        assert_int_equal(pos, starts[--n]);
    }
}

static void test_utf8__whole_leaves_complete_text_alone(void **state)
{
    (void)state;
    assert_int_equal(rag_utf8_whole(RAG_STR("")), 0);
    assert_int_equal(rag_utf8_whole(RAG_STR("abc")), 3);
    assert_int_equal(rag_utf8_whole(RAG_STR("ab中")), 5);
    assert_int_equal(rag_utf8_whole(RAG_STR("ab\xE4\xB8")), 2);
    assert_int_equal(rag_utf8_whole(RAG_STR("ab\xF0\x9F\x98\x80")), 6);
}

static void test_utf8__escape_leaves_no_control_and_no_bad_byte(void **state)
{
    (void)state;
    rag_buf b;
    rag_buf_init(&b, 1000);
    rag_utf8_escape(&b, RAG_STR("a\n\t\r\x1B[31m\x7F é中\xC2\x9B\xFF\0z"));
    assert_string_equal(b.ptr, "a\\n\\t\\x0D\\x1B[31m\\x7F é中\\xC2\\x9B\\xFF\\x00z");
    rag_buf_free(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_utf8__validity_is_strict),
        cmocka_unit_test(test_utf8__next_agrees_with_valid),
        cmocka_unit_test(test_utf8__every_character_survives_both_ways),
        cmocka_unit_test(test_utf8__floor_and_whole_agree_with_decoding),
        cmocka_unit_test(test_utf8__prev_retraces_next_in_valid_text),
        cmocka_unit_test(test_utf8__whole_leaves_complete_text_alone),
        cmocka_unit_test(test_utf8__escape_leaves_no_control_and_no_bad_byte),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
