/* The embedder with the real model; skipped without models/. */
#include <math.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/unicode.h"
#include "embed/embed.h"
#include "embed/unigram.h"
#include "llm/llama_model.h"

static const char model_path[] = "models/multilingual-e5-small-q4_0.gguf";
enum { MAX_DIM = 1024, MANY = 4096 };

static rag_embedder *embedder; /* NULL without the model */

static int open_embedder(void **state)
{
    rag_err err;
    (void)state;
    if (access(model_path, R_OK) == 0 && rag_embed_open(&embedder, &(rag_embed_options){ model_path, 0, 0 }, &err))
        fail_msg("%s", err.message);
    return 0;
}

static int close_embedder(void **state)
{
    (void)state;
    rag_embed_close(embedder);
    return 0;
}

static void need_model(void)
{
    if (!embedder) {
        print_message("models/ holds no embedder: run ./setup\n");
        skip();
    }
}

static void embed(rag_embed_role role, const char *text, float *out)
{
    rag_err err = { 0 };
    if (rag_embed_text(embedder, role, rag_str_of(text), false, out, NULL, &err))
        fail_msg("%s", err.message);
}

static double dot(const float *a, const float *b)
{
    double sum = 0;
    for (int i = 0; i < rag_embed_dim(embedder); i++)
        sum += (double)a[i] * (double)b[i];
    return sum;
}

static double similarity(const char *query, const char *passage)
{
    float a[MAX_DIM], b[MAX_DIM];
    embed(RAG_EMBED_QUERY, query, a);
    embed(RAG_EMBED_PASSAGE, passage, b);
    return dot(a, b);
}

/* "word word …" of at least n tokens. */
static rag_buf long_text(size_t n)
{
    rag_buf b;
    rag_buf_init(&b, RAG_MAX_TEXT);
    for (size_t i = 0; i < n; i++)
        rag_buf_puts(&b, i % 2 ? "shop " : "商");
    assert_true(rag_embed_count(embedder, rag_buf_str(&b)) >= n);
    return b;
}

static void test_embed__the_right_passage_is_nearest(void **state)
{
    static const char *const passages[] = {
        "Returns are accepted within 30 days with the original receipt.",
        "The capital of France is Paris.",
        "Photosynthesis turns light into chemical energy.",
        "快递一般在三个工作日内送达。",
    };
    (void)state;
    need_model();
    double right = similarity("How many days do I have to return a product?", passages[0]);
    for (size_t i = 1; i < sizeof passages / sizeof *passages; i++)
        assert_true(right > similarity("How many days do I have to return a product?", passages[i]) + 0.02);
}

static void test_embed__languages_meet(void **state)
{
    (void)state;
    need_model();
    const char *zh = "自收到商品之日起三十天内，凭收据可以退货。";
    double same = similarity("How long do I have to return goods with the receipt?", zh);
    assert_true(same > similarity("Who painted the Mona Lisa?", zh) + 0.03);
    assert_true(similarity("怎么退货？", "Returns are accepted within 30 days with the original receipt.") >
                similarity("怎么退货？", "The Rhine flows through Basel and Cologne.") + 0.03);
}

static void test_embed__vectors_are_of_unit_length(void **state)
{
    static const char *const texts[] = { "", " ", "a", "退货", "two words", "\n\n\t" };
    float v[MAX_DIM];
    (void)state;
    need_model();
    assert_int_equal(rag_embed_dim(embedder), 384);
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        embed(RAG_EMBED_PASSAGE, texts[i], v);
        assert_true(fabs(dot(v, v) - 1) < 1e-5);
    }
}

static void test_embed__width_does_not_matter(void **state)
{
    float wide[MAX_DIM], narrow[MAX_DIM];
    (void)state;
    need_model();
    embed(RAG_EMBED_PASSAGE, "ＵＳＢ　３．０　１００％", wide);
    embed(RAG_EMBED_PASSAGE, "USB 3.0 100%", narrow);
    assert_memory_equal(wide, narrow, (size_t)rag_embed_dim(embedder) * sizeof *wide);
}

static void test_embed__the_role_matters(void **state)
{
    float query[MAX_DIM], passage[MAX_DIM];
    (void)state;
    need_model();
    embed(RAG_EMBED_QUERY, "returns", query);
    embed(RAG_EMBED_PASSAGE, "returns", passage);
    assert_true(dot(query, passage) < 0.9999);
}

static void test_embed__longer_text_is_refused_or_cut_at_the_window(void **state)
{
    float whole[MAX_DIM], cut[MAX_DIM];
    size_t tokens = 0, window;
    rag_err err = { 0 };
    (void)state;
    need_model();
    window = (size_t)rag_embed_max_tokens(embedder);
    rag_buf a = long_text(window), b = long_text(2 * window);
    assert_int_equal(rag_embed_text(embedder, RAG_EMBED_QUERY, rag_buf_str(&a), false, whole, &tokens, &err),
                     RAG_TOO_LARGE);
    assert_int_equal(err.code, RAG_TOO_LARGE);
    assert_int_equal(rag_embed_text(embedder, RAG_EMBED_QUERY, rag_buf_str(&a), true, whole, &tokens, &err), RAG_OK);
    assert_int_equal(tokens, window);
    assert_int_equal(rag_embed_text(embedder, RAG_EMBED_QUERY, rag_buf_str(&b), true, cut, &tokens, &err), RAG_OK);
    assert_int_equal(tokens, window);
    assert_memory_equal(whole, cut, (size_t)rag_embed_dim(embedder) * sizeof *whole);
    rag_buf_free(&a);
    rag_buf_free(&b);
}

static void test_embed__tokens_given_are_prefix_text_and_two_special_ones(void **state)
{
    float v[MAX_DIM];
    size_t given;
    rag_str text = RAG_STR("Returns are accepted within 30 days.");
    (void)state;
    need_model();
    assert_int_equal(rag_embed_text(embedder, RAG_EMBED_QUERY, text, false, v, &given, NULL), RAG_OK);
    assert_int_equal(given, rag_embed_count(embedder, text) + rag_embed_count(embedder, RAG_STR("query:")) + 2);
    assert_int_equal(rag_embed_count(embedder, RAG_STR("")), 0);
}

static void check_offsets(rag_str text, size_t max)
{
    uint32_t ends[MANY] = { 0 };
    size_t n = rag_embed_offsets(embedder, text, ends, max);
    assert_int_equal(n, rag_embed_count(embedder, text));
    for (size_t i = 0; i < n && i < max; i++) {
        assert_true(i == 0 || ends[i] >= ends[i - 1]);
        assert_true(ends[i] <= text.len);
        assert_true(ends[i] == text.len || ((unsigned char)text.ptr[ends[i]] & 0xC0) != 0x80);
    }
    if (n > 0 && n <= max)
        assert_int_equal(ends[n - 1], text.len);
    assert_int_equal(ends[max], 0);
}

static void test_embed__offsets_cover_the_text(void **state)
{
    static const char *const texts[] = {
        "Hello  world, naïve résumé!\n\n 中文分词 test 🙂 ok 3.14",
        "退货政策：自收到商品之日起三十天内，凭收据可以退货。",
        "x", "🙂🙃🙂", "a\tb", "", "ꙮꙮ ꙮ",
    };
    (void)state;
    need_model();
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        check_offsets(rag_str_of(texts[i]), MANY - 1);
        check_offsets(rag_str_of(texts[i]), 3);
    }
    rag_buf word;
    rag_buf_init(&word, RAG_MAX_TEXT);
    for (int i = 0; i < 3000; i++)
        rag_buf_puts(&word, "货");
    check_offsets(rag_buf_str(&word), MANY - 1);
    rag_buf_free(&word);
}

/* libllama takes a line break for an unknown word, so the text has none. */
static void compare_tokens(const unigram *u, const rag_llama_model *llama, const char *s)
{
    llama_token ours[MANY], theirs[MANY];
    rag_str text = rag_str_of(s);
    size_t n = unigram_tokenize(u, text, ours, NULL, MANY);
    assert_int_equal(n, rag_llama_tokenize(llama->vocab, text, false, false, theirs, MANY));
    assert_memory_equal(ours, theirs, n * sizeof *ours);
}

static void test_embed__tokens_are_those_of_libllama(void **state)
{
    static const char *const texts[] = {
        "Returns are accepted within 30 days with the original receipt, e.g. by post (€12.50)!",
        "退货政策：自收到商品之日起三十天内，凭收据可以退货。价格 ¥199.00，型号 XJ-900。",
        "Straße, naïve café; Здравствуйте мир; こんにちは世界; 안녕하세요; שלום; สวัสดี",
        "  many   spaces  ", "🙂🙃 unknown ꙮꙮ runs ꙮ", "supercalifragilisticexpialidocious antidisestablishmentarianism",
        "int main(void) { return x->y[0] != 0x7fff; } // https://example.org/a?b=c&d=%20",
    };
    rag_llama_model llama;
    unigram *u;
    rag_err err;
    (void)state;
    need_model();
    assert_int_equal(unigram_open(&u, model_path, &err), RAG_OK);
    assert_non_null(u);
    assert_int_equal(rag_llama_model_open(&llama, model_path, NULL, &err), RAG_OK);
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        compare_tokens(u, &llama, texts[i]);
    rag_llama_model_close(&llama);
    unigram_close(u);
}

static void *cancel_until_told(void *context)
{
    atomic_bool *done = context;
    while (!atomic_load(done)) {
        rag_embed_cancel(embedder);
        usleep(500);
    }
    return NULL;
}

static void test_embed__cancel_interrupts_and_the_next_text_is_right(void **state)
{
    float before[MAX_DIM], after[MAX_DIM], v[MAX_DIM];
    atomic_bool done = false;
    pthread_t thread;
    rag_err err = { 0 };
    (void)state;
    need_model();
    rag_buf text = long_text(1000);
    embed(RAG_EMBED_QUERY, "returns", before);
    assert_int_equal(pthread_create(&thread, NULL, cancel_until_told, &done), 0);
    rag_code code = RAG_OK;
    for (int i = 0; i < 100 && code == RAG_OK; i++)
        code = rag_embed_text(embedder, RAG_EMBED_PASSAGE, rag_buf_str(&text), true, v, NULL, &err);
    atomic_store(&done, true);
    pthread_join(thread, NULL);
    assert_int_equal(code, RAG_CANCELED);
    assert_int_equal(err.code, RAG_CANCELED);
    embed(RAG_EMBED_QUERY, "returns", after);
    assert_memory_equal(before, after, sizeof(float) * (size_t)rag_embed_dim(embedder));
    rag_buf_free(&text);
}

static void test_embed__memory_is_reported_and_kept(void **state)
{
    long anonymous_kb = 0;
    char line[256];
    (void)state;
    need_model();
    FILE *f = fopen("/proc/self/status", "r");
    assert_non_null(f);
    while (fgets(line, sizeof line, f))
        if (!strncmp(line, "RssAnon:", 8))
            anonymous_kb = strtol(line + 8, NULL, 10);
    fclose(f);
    assert_true(rag_embed_memory(embedder) > 1024 * 1024);
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
    /* libllama would hold 500 MB of logits and 130 MB of words. */
    assert_true((size_t)anonymous_kb * 1024 < rag_embed_memory(embedder) + 40 * 1024 * 1024);
#endif
    assert_true(anonymous_kb > 0);
}

static void test_embed__a_file_that_is_no_embedder_is_refused(void **state)
{
    static const char *const paths[] = { "models/no-such-file.gguf", "CMakeLists.txt", "models",
                                         "models/smollm2-135m-instruct-q4_1.gguf" };
    (void)state;
    for (size_t i = 0; i < sizeof paths / sizeof *paths; i++) {
        rag_embedder *e = NULL;
        rag_err err = { 0 };
        assert_int_equal(rag_embed_open(&e, &(rag_embed_options){ .model_path = paths[i] }, &err), RAG_CONFIG);
        assert_int_equal(err.code, RAG_CONFIG);
        assert_true(err.message[0] != '\0');
        assert_null(e);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_embed__memory_is_reported_and_kept),
        cmocka_unit_test(test_embed__the_right_passage_is_nearest),
        cmocka_unit_test(test_embed__languages_meet),
        cmocka_unit_test(test_embed__vectors_are_of_unit_length),
        cmocka_unit_test(test_embed__width_does_not_matter),
        cmocka_unit_test(test_embed__the_role_matters),
        cmocka_unit_test(test_embed__longer_text_is_refused_or_cut_at_the_window),
        cmocka_unit_test(test_embed__tokens_given_are_prefix_text_and_two_special_ones),
        cmocka_unit_test(test_embed__offsets_cover_the_text),
        cmocka_unit_test(test_embed__tokens_are_those_of_libllama),
        cmocka_unit_test(test_embed__cancel_interrupts_and_the_next_text_is_right),
        cmocka_unit_test(test_embed__a_file_that_is_no_embedder_is_refused),
    };
    return cmocka_run_group_tests(tests, open_embedder, close_embedder);
}
