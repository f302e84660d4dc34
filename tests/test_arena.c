#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdalign.h>
#include <string.h>

#include "base/arena.h"

static bool all_zero(const char *p, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (p[i])
            return false;
    return true;
}

static void test_arena__memory_is_zeroed_and_aligned(void **state)
{
    (void)state;
    rag_arena *a = rag_arena_new();
    for (size_t n = 0; n < 3000; n += 7) {
        char *p = rag_arena_alloc(a, n);
        assert_non_null(p);
        assert_int_equal((uintptr_t)p % alignof(max_align_t), 0);
        assert_true(all_zero(p, n));
        memset(p, 0xAA, n);
    }
    rag_arena_free(a);
    rag_arena_free(NULL);
}

static void test_arena__pieces_do_not_overlap(void **state)
{
    (void)state;
    enum { N = 500 };
    unsigned char *pieces[N];
    rag_arena *a = rag_arena_new();
    for (size_t i = 0; i < N; i++) {
        pieces[i] = rag_arena_alloc(a, i + 1);
        memset(pieces[i], (int)(i % 251), i + 1);
    }
    for (size_t i = 0; i < N; i++)
        for (size_t k = 0; k <= i; k++)
            assert_int_equal(pieces[i][k], i % 251);
    rag_arena_free(a);
}

static void test_arena__large_piece_is_whole(void **state)
{
    (void)state;
    rag_arena *a = rag_arena_new();
    size_t n = 5 * 1024 * 1024;
    char *p = rag_arena_array(a, n / 8, 8);
    assert_true(all_zero(p, n));
    p[n - 1] = 1;
    assert_true(rag_arena_bytes(a) >= n);
    rag_arena_free(a);
}

static void test_arena__reset_gives_memory_back_and_zeroes_again(void **state)
{
    (void)state;
    rag_arena *a = rag_arena_new();
    size_t fresh = rag_arena_bytes(a);
    memset(rag_arena_alloc(a, 4000), 0xAA, 4000);
    rag_arena_alloc(a, 1024 * 1024);
    assert_true(rag_arena_bytes(a) > 1024 * 1024);
    rag_arena_reset(a);
    assert_int_equal(rag_arena_bytes(a), fresh);
    assert_true(all_zero(rag_arena_alloc(a, 4000), 4000));
    rag_arena_free(a);
}

static void test_arena__strings_are_copies(void **state)
{
    (void)state;
    rag_arena *a = rag_arena_new();
    char source[] = "abcdef";
    char *part = rag_arena_cstr(a, (rag_str){ source + 1, 3 });
    rag_str same = rag_arena_str(a, rag_str_of(source));
    char *whole = rag_arena_strdup(a, source);
    memset(source, 'x', 6);
    assert_string_equal(part, "bcd");
    assert_true(rag_str_eq(same, RAG_STR("abcdef")));
    assert_string_equal(whole, "abcdef");
    assert_string_equal(rag_arena_cstr(a, (rag_str){ 0 }), "");
    rag_arena_free(a);
}

static void test_arena__printf_fits_any_length(void **state)
{
    (void)state;
    rag_arena *a = rag_arena_new();
    char *text = rag_arena_printf(a, "%0*d-%s", 20000, 7, "end");
    assert_int_equal(strlen(text), 20004);
    assert_string_equal(text + 19999, "7-end");
    rag_arena_free(a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_arena__memory_is_zeroed_and_aligned),
        cmocka_unit_test(test_arena__pieces_do_not_overlap),
        cmocka_unit_test(test_arena__large_piece_is_whole),
        cmocka_unit_test(test_arena__reset_gives_memory_back_and_zeroes_again),
        cmocka_unit_test(test_arena__strings_are_copies),
        cmocka_unit_test(test_arena__printf_fits_any_length),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
