/* From tokens' bytes to pieces: whole characters, and nothing of a stop string. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/utf8.h"
#include "llm/output.h"

static void push(output *o, const char *bytes, int id)
{
    output_push(o, rag_str_of(bytes), (rag_llm_token){ .id = id, .probability = 0.5F });
}

static void assert_piece(output *o, bool is_final, const char *expected, size_t n_tokens)
{
    char *text = rag_strndup(output_take(o, is_final));
    assert_string_equal(text, expected);
    assert_int_equal(o->n_piece_tokens, n_tokens);
    free(text);
}

static void test_output__plain_text_passes_at_once(void **state)
{
    output o;
    (void)state;
    output_init(&o, NULL, 0);
    assert_piece(&o, false, "", 0);
    push(&o, " 30", 7);
    assert_piece(&o, false, " 30", 1);
    assert_int_equal(o.piece_tokens[0].id, 7);
    assert_piece(&o, true, "", 0);
    output_free(&o);
}

static void test_output__a_character_waits_for_its_last_byte(void **state)
{
    output o;
    (void)state;
    output_init(&o, NULL, 0);
    push(&o, "a\xE9", 1);
    assert_piece(&o, false, "a", 0);
    push(&o, "\x80", 2);
    assert_piece(&o, false, "", 0);
    push(&o, "\x80", 3);
    assert_piece(&o, false, "退", 3);
    output_free(&o);
}

static void test_output__bytes_that_are_no_character_are_replaced(void **state)
{
    output o;
    (void)state;
    output_init(&o, NULL, 0);
    push(&o, "a\xFF\xE9z\x80", 1);
    assert_piece(&o, false, "a\xEF\xBF\xBD\xEF\xBF\xBDz\xEF\xBF\xBD", 1);
    push(&o, "b\xE9\x80", 2);
    assert_piece(&o, true, "b", 1);
    output_free(&o);
}

static void test_output__a_stop_string_spans_tokens(void **state)
{
    rag_str stops[] = { RAG_STR("\nQ:"), RAG_STR("END") };
    output o;
    (void)state;
    output_init(&o, stops, 2);
    push(&o, "yes\n", 1);
    assert_piece(&o, false, "yes", 0);
    push(&o, "Q", 2);
    assert_piece(&o, false, "", 0);
    assert_false(o.is_stopped);
    push(&o, ": more", 3);
    assert_piece(&o, false, "", 0);
    assert_true(o.is_stopped);
    assert_piece(&o, true, "", 0);
    output_free(&o);
}

static void test_output__what_only_looked_like_a_stop_comes_out(void **state)
{
    rag_str stops[] = { RAG_STR("ENDE") };
    output o;
    (void)state;
    output_init(&o, stops, 1);
    push(&o, "EN", 1);
    assert_piece(&o, false, "", 0);
    push(&o, "ENX", 2);
    assert_piece(&o, false, "ENENX", 2);
    push(&o, "E", 3);
    assert_piece(&o, false, "", 0);
    assert_piece(&o, true, "E", 1);
    assert_false(o.is_stopped);
    output_free(&o);
}

static void test_output__the_first_stop_wins_and_text_before_it_comes_out(void **state)
{
    rag_str stops[] = { RAG_STR("|"), RAG_STR("b"), RAG_STR("") };
    output o;
    (void)state;
    output_init(&o, stops, 3);
    assert_int_equal(o.n_stops, 2);
    push(&o, "xab|c", 1);
    assert_piece(&o, false, "xa", 0);
    assert_true(o.is_stopped);
    output_free(&o);
}

/* Whatever way the bytes are cut, the pieces join to the same valid text. */
static void test_output__cuts_do_not_matter(void **state)
{
    static const char text[] = "退货 30 天\xFF内🙂, END of\xE9\x80 it ENDX never";
    rag_str stops[] = { RAG_STR("ENDX") };
    (void)state;
    for (size_t step = 1; step < sizeof text; step++) {
        rag_buf all;
        output o;
        rag_buf_init(&all, RAG_MAX_PROMPT);
        output_init(&o, stops, 1);
        for (size_t at = 0; at + 1 < sizeof text; at += step) {
            output_push(&o, rag_str_sub(rag_str_of(text), at, at + step), (rag_llm_token){ 0 });
            rag_str piece = output_take(&o, false);
            assert_true(rag_utf8_valid(piece, NULL));
            rag_buf_put(&all, piece);
        }
        rag_buf_put(&all, output_take(&o, true));
        assert_string_equal(all.ptr, "退货 30 天\xEF\xBF\xBD内🙂, END of\xEF\xBF\xBD\xEF\xBF\xBD it ");
        output_free(&o);
        rag_buf_free(&all);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_output__plain_text_passes_at_once),
        cmocka_unit_test(test_output__a_character_waits_for_its_last_byte),
        cmocka_unit_test(test_output__bytes_that_are_no_character_are_replaced),
        cmocka_unit_test(test_output__a_stop_string_spans_tokens),
        cmocka_unit_test(test_output__what_only_looked_like_a_stop_comes_out),
        cmocka_unit_test(test_output__the_first_stop_wins_and_text_before_it_comes_out),
        cmocka_unit_test(test_output__cuts_do_not_matter),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
