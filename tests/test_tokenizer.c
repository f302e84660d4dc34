#include "kb.h"

#include "index/tokenizer.h"

/* The exact forms of a text, a space between them. */
static void assert_tokens(const char *text, const char *want)
{
    rag_arena *arena = rag_arena_new();
    rag_term *terms;
    size_t n;
    rag_buf got;
    rag_buf_init(&got, RAG_MAX_LINE);
    assert_ok(rag_terms(rag_str_of(text), arena, &terms, &n));
    for (size_t i = 0; i < n; i++) {
        if (i > 0)
            rag_buf_putc(&got, ' ');
        rag_buf_put(&got, terms[i].exact);
    }
    assert_string_equal(got.ptr ? got.ptr : "", want);
    rag_buf_free(&got);
    rag_arena_free(arena);
}

static rag_term first_term(const char *text, rag_arena *arena)
{
    rag_term *terms;
    size_t n;
    assert_ok(rag_terms(rag_str_of(text), arena, &terms, &n));
    assert_true(n > 0);
    return terms[0];
}

static void test_tokenizer__words_are_runs_of_letters_and_digits(void **state)
{
    (void)state;
    assert_tokens("Hello, World!", "hello world");
    assert_tokens("E-4012 wi-fi 3.5 C++ a_b", "e 4012 wi fi 3 5 c a b");
    assert_tokens("iPhone15 x100", "iphone15 x100");
    assert_tokens("don't", "don t");
    assert_tokens("", "");
    assert_tokens(" \t\n—…!?", "");
}

static void test_tokenizer__case_width_and_accents_fold(void **state)
{
    (void)state;
    assert_tokens("ÜBER Café naïve", "uber cafe naive");
    assert_tokens("ＡＢＣ１２３", "abc123");
    assert_tokens("cafe\xcc\x81", "cafe"); /* combining acute */
    assert_tokens("Straße", "strasse");
    assert_tokens("ПРИВЕТ Ελλάδα", "привет ελλαδα");
    assert_tokens("co\xc2\xadop", "coop"); /* soft hyphen */
}

static void test_tokenizer__one_token_a_cjk_character(void **state)
{
    (void)state;
    assert_tokens("黑豹队", "黑 豹 队");
    assert_tokens("重跑gen-itgc后", "重 跑 gen itgc 后");
    assert_tokens("カタカナ ひらがな 한국", "カ タ カ ナ ひ ら が な 한 국");
    assert_tokens("ｶﾞ", "ガ");          /* half-width, voiced */
    assert_tokens("か\xe3\x82\x99", "が"); /* combining voicing mark */
    assert_tokens("\xe1\x84\x92\xe1\x85\xa1\xe1\x86\xab", "한"); /* jamo */
    assert_tokens("\xef\xa4\x80", "岂");   /* U+F900, a compatibility ideograph */
    assert_tokens("中。文，", "中 文");
}

static void test_tokenizer__traditional_and_simplified_are_one(void **state)
{
    (void)state;
    assert_tokens("黑豹隊後來", "黑 豹 队 后 来");
    assert_tokens("資訊檢索，資料庫", "资 讯 检 索 资 料 库");
    assert_tokens("裏 裡 里 麵 麪 臺 台", "里 里 里 面 面 台 台");
    assert_tokens("図 漢字 仮名", "図 汉 字 仮 名");
    assert_tokens("\xef\xa4\xb4", "老"); /* U+F934, by way of NFKC */
    assert_tokens("𠀀", "𠀀");
}

static void test_tokenizer__symbols_that_mean_letters_count(void **state)
{
    (void)state;
    assert_tokens("5㎏ 20℃", "5kg 20 c");
    assert_tokens("Windows™", "windows");
    assert_tokens("6½", "6 1 2");
    assert_tokens("①", "1");
    assert_tokens("㈱", "株");
}

static void test_tokenizer__stems_are_english_and_marked_by_difference(void **state)
{
    (void)state;
    rag_arena *arena = rag_arena_new();
    rag_term running = first_term("Running", arena), cjk = first_term("黑", arena), part = first_term("x100s", arena);
    assert_true(rag_str_eq(running.exact, RAG_STR("running")));
    assert_true(rag_str_eq(running.stem, RAG_STR("run")));
    assert_true(cjk.is_cjk && rag_str_eq(cjk.stem, cjk.exact));
    assert_true(rag_str_eq(part.stem, RAG_STR("x100s")));
    rag_arena_free(arena);
}

static void test_tokenizer__stop_words_are_told(void **state)
{
    (void)state;
    static const char *const stops[] = { "a",     "what", "The",  "yourselves", "haven", "hers", "where",
                                         "about", "的",   "什",   "吗",         "to",    "s",    "嗎",   "請",   "誰" };
    static const char *const others[] = { "warranty", "return", "黑", "x", "whatever", "ab", "zz", "後" };
    rag_arena *arena = rag_arena_new();
    for (size_t i = 0; i < sizeof stops / sizeof *stops; i++)
        if (!first_term(stops[i], arena).is_stop)
            fail_msg("'%s' is a stop word", stops[i]);
    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        if (first_term(others[i], arena).is_stop)
            fail_msg("'%s' is no stop word", others[i]);
    rag_arena_free(arena);
}

static void test_tokenizer__offsets_point_into_the_text(void **state)
{
    (void)state;
    const char *text = "Ünï, 黑豹 ½ E-40";
    static const char *const want[] = { "Ünï", "黑", "豹", "½", "½", "E", "40" };
    rag_arena *arena = rag_arena_new();
    rag_term *terms;
    size_t n;
    assert_ok(rag_terms(rag_str_of(text), arena, &terms, &n));
    assert_int_equal(n, sizeof want / sizeof *want);
    for (size_t i = 0; i < n; i++)
        assert_true(rag_str_eq(rag_str_sub(rag_str_of(text), terms[i].start, terms[i].end), rag_str_of(want[i])));
    rag_arena_free(arena);
}

static int check_token(void *context, const token *t)
{
    rag_str *text = context;
    assert_true(t->start < t->end && t->end <= text->len);
    assert_true(t->exact.len > 0 && t->exact.len <= 4096);
    for (size_t i = 0; i < t->exact.len; i++)
        assert_true((unsigned char)t->exact.ptr[i] > MARK_NEXT && t->exact.ptr[i] != '"');
    return 0;
}

/* Whatever the bytes, tokens lie inside the text, are bounded and hold neither marks nor quotes. */
static void test_tokenizer__any_bytes_give_bounded_tokens(void **state)
{
    (void)state;
    char bytes[4096];
    tokenizer *t = tokenizer_new();
    for (int round = 0; round < 200; round++) {
        rag_random(bytes, sizeof bytes);
        for (size_t i = 0; round % 2 && i < sizeof bytes; i++)
            bytes[i] = (char)(0xE0 + (unsigned char)bytes[i] % 16); /* mostly broken sequences */
        rag_str text = { bytes, sizeof bytes };
        assert_int_equal(tokenizer_run(t, text, check_token, &text), 0);
    }
    memset(bytes, 'x', sizeof bytes); /* one endless word */
    rag_str text = { bytes, sizeof bytes };
    assert_int_equal(tokenizer_run(t, text, check_token, &text), 0);
    tokenizer_free(t);
}

static int stop_at_once(void *context, const token *t)
{
    (void)t;
    ++*(int *)context;
    return 7;
}

static void test_tokenizer__a_result_ends_the_run(void **state)
{
    (void)state;
    int calls = 0;
    tokenizer *t = tokenizer_new();
    assert_int_equal(tokenizer_run(t, RAG_STR("a b c"), stop_at_once, &calls), 7);
    assert_int_equal(calls, 1);
    tokenizer_free(t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_tokenizer__words_are_runs_of_letters_and_digits),
        cmocka_unit_test(test_tokenizer__case_width_and_accents_fold),
        cmocka_unit_test(test_tokenizer__one_token_a_cjk_character),
        cmocka_unit_test(test_tokenizer__traditional_and_simplified_are_one),
        cmocka_unit_test(test_tokenizer__symbols_that_mean_letters_count),
        cmocka_unit_test(test_tokenizer__stems_are_english_and_marked_by_difference),
        cmocka_unit_test(test_tokenizer__stop_words_are_told),
        cmocka_unit_test(test_tokenizer__offsets_point_into_the_text),
        cmocka_unit_test(test_tokenizer__any_bytes_give_bounded_tokens),
        cmocka_unit_test(test_tokenizer__a_result_ends_the_run),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
