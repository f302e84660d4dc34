#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/str.h"
#include "base/utf8.h"

static void assert_str(rag_str s, const char *want)
{
    assert_int_equal(s.len, strlen(want));
    assert_memory_equal(s.len ? s.ptr : "", want, s.len);
}

static void test_str__sub_is_clamped(void **state)
{
    (void)state;
    rag_str s = RAG_STR("abcdef");
    assert_str(rag_str_sub(s, 1, 3), "bc");
    assert_str(rag_str_sub(s, 4, 99), "ef");
    assert_str(rag_str_sub(s, 9, 2), "");
    assert_str(rag_str_sub((rag_str){ 0 }, 0, 5), "");
}

static void test_str__empty_slices_are_equal_and_found(void **state)
{
    (void)state;
    rag_str none = rag_str_of(NULL);
    assert_true(rag_str_eq(none, RAG_STR("")));
    assert_true(rag_str_starts(RAG_STR("a"), none));
    assert_true(rag_str_ends(none, none));
    assert_false(rag_str_eq(none, RAG_STR("a")));
    assert_int_equal(rag_str_find(RAG_STR("ab"), none, 2), 2);
    assert_true(rag_str_find(none, RAG_STR("a"), 0) == SIZE_MAX);
}

static void test_str__starts_ends_and_trim(void **state)
{
    (void)state;
    assert_true(rag_str_starts(RAG_STR("passage"), RAG_STR("pass")));
    assert_false(rag_str_starts(RAG_STR("pas"), RAG_STR("pass")));
    assert_true(rag_str_ends(RAG_STR("a.md"), RAG_STR(".md")));
    assert_false(rag_str_ends(RAG_STR("a.mdx"), RAG_STR(".md")));
    assert_str(rag_str_trim(RAG_STR(" \t\r\n x y \v\f")), "x y");
    assert_str(rag_str_trim(RAG_STR(" \n ")), "");
}

static void test_str__find_looks_from_an_offset(void **state)
{
    (void)state;
    rag_str s = RAG_STR("abcabc");
    assert_int_equal(rag_str_find(s, RAG_STR("bc"), 0), 1);
    assert_int_equal(rag_str_find(s, RAG_STR("bc"), 2), 4);
    assert_true(rag_str_find(s, RAG_STR("bc"), 5) == SIZE_MAX);
    assert_true(rag_str_find(s, RAG_STR("bc"), 99) == SIZE_MAX);
}

static void test_str__buffer_grows_and_stays_terminated(void **state)
{
    (void)state;
    rag_buf b;
    rag_buf_init(&b, 10000);
    for (int i = 0; i < 1000; i++) {
        rag_buf_putf(&b, "%03d,", i);
        assert_int_equal(b.ptr[b.len], '\0');
        assert_true(b.cap <= b.max + 1);
    }
    assert_int_equal(b.len, 4000);
    assert_memory_equal(b.ptr + 3996, "999,", 5);
    assert_false(b.overflow);
    rag_buf_truncate(&b, 3);
    assert_str(rag_buf_str(&b), "000");
    assert_int_equal(b.ptr[3], '\0');
    rag_buf_free(&b);
    rag_buf_free(&b);
}

static void test_str__overflow_keeps_a_prefix_of_whole_characters(void **state)
{
    (void)state;
    rag_buf b;
    rag_buf_init(&b, 5);
    rag_buf_puts(&b, "ab中中");
    assert_true(b.overflow);
    assert_str(rag_buf_str(&b), "ab中");
    rag_buf_putc(&b, 'x'); /* nothing may follow a hole */
    rag_buf_putf(&b, "y");
    assert_str(rag_buf_str(&b), "ab中");
    rag_buf_clear(&b);
    assert_false(b.overflow);
    rag_buf_putf(&b, "abcd%s", "中");
    assert_true(b.overflow);
    assert_str(rag_buf_str(&b), "abcd");
    rag_buf_free(&b);
}

static void test_str__ceiling_itself_fits(void **state)
{
    (void)state;
    rag_buf b;
    rag_buf_init(&b, 4);
    rag_buf_putf(&b, "%s", "abcd");
    assert_false(b.overflow);
    assert_int_equal(b.len, 4);
    rag_buf_putc(&b, 'e');
    assert_true(b.overflow);
    assert_int_equal(b.len, 4);
    rag_buf_free(&b);
}

static void test_str__zeroed_buffer_holds_nothing(void **state)
{
    (void)state;
    rag_buf b = { 0 };
    rag_buf_puts(&b, "a");
    assert_true(b.overflow);
    assert_null(b.ptr);
    rag_buf_free(&b);
}

static void test_str__detach_hands_over_and_empties(void **state)
{
    (void)state;
    rag_buf b;
    rag_buf_init(&b, 100);
    char *empty = rag_buf_detach(&b);
    assert_string_equal(empty, "");
    rag_buf_puts(&b, "kept");
    char *bytes = rag_buf_detach(&b);
    assert_string_equal(bytes, "kept");
    assert_int_equal(b.len, 0);
    rag_buf_puts(&b, "again");
    assert_str(rag_buf_str(&b), "again");
    free(bytes);
    free(empty);
    rag_buf_free(&b);
}

static void test_err__sentence_is_cut_at_a_character(void **state)
{
    (void)state;
    char name[1000];
    for (size_t shift = 0; shift < 3; shift++) {
        size_t n = shift;
        memset(name, 'a', shift);
        while (n + 4 < sizeof name)
            n += (size_t)sprintf(name + n, "中");
        rag_err err;
        assert_int_equal(rag_fail(&err, RAG_IO, "%s", name), RAG_IO);
        assert_int_equal(err.code, RAG_IO);
        size_t len = strlen(err.message);
        assert_true(len >= sizeof err.message - 4 && len < sizeof err.message);
        assert_true(rag_utf8_valid(rag_str_of(err.message), NULL));
    }
}

static void test_err__errno_gives_reason_and_code(void **state)
{
    (void)state;
    rag_err err;
    assert_int_equal(rag_fail_errno(&err, RAG_IO, ENOSPC, "cannot write '%s'", "kb.db"), RAG_FULL);
    assert_string_equal(err.message, "cannot write 'kb.db': No space left on device");
    assert_int_equal(rag_fail_errno(&err, RAG_IO, ENOENT, "x"), RAG_NOT_FOUND);
    assert_int_equal(rag_fail_errno(&err, RAG_IO, EACCES, "x"), RAG_IO);
    assert_int_equal(rag_fail_errno(NULL, RAG_IO, EDQUOT, "x"), RAG_FULL);
}

static void test_err__own_message_may_be_wrapped(void **state)
{
    (void)state;
    rag_err err;
    rag_fail(&err, RAG_INVALID, "no '%s'", "a");
    rag_fail(&err, RAG_CONFIG, "f:1: %s", err.message);
    assert_string_equal(err.message, "f:1: no 'a'");
    assert_string_equal(rag_code_name(err.code), "config");
    assert_string_equal(rag_code_name((rag_code)99), "unknown");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_str__sub_is_clamped),
        cmocka_unit_test(test_str__empty_slices_are_equal_and_found),
        cmocka_unit_test(test_str__starts_ends_and_trim),
        cmocka_unit_test(test_str__find_looks_from_an_offset),
        cmocka_unit_test(test_str__buffer_grows_and_stays_terminated),
        cmocka_unit_test(test_str__overflow_keeps_a_prefix_of_whole_characters),
        cmocka_unit_test(test_str__ceiling_itself_fits),
        cmocka_unit_test(test_str__zeroed_buffer_holds_nothing),
        cmocka_unit_test(test_str__detach_hands_over_and_empties),
        cmocka_unit_test(test_err__sentence_is_cut_at_a_character),
        cmocka_unit_test(test_err__errno_gives_reason_and_code),
        cmocka_unit_test(test_err__own_message_may_be_wrapped),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
