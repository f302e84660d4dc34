/* The reranker over models that the test makes (reranker_maker.h): "gold" is good, "lead" is bad. */
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

#include "base/file.h"
#include "embed/rerank.h"
#include "tests/reranker_maker.h"

static char folder[] = "/tmp/ragd-rerank-XXXXXX";

static int make_folder(void **state)
{
    (void)state;
    return mkdtemp(folder) ? 0 : -1;
}

static int remove_folder(void **state)
{
    (void)state;
    return rag_dir_remove(folder, NULL) == RAG_OK ? 0 : -1;
}

static const char *path_of(const char *name)
{
    static char path[128];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    return path;
}

static rag_reranker *open_window(const reranker_shape *shape, int max_tokens)
{
    rag_reranker *r = NULL;
    rag_err err = { 0 };
    const char *path = path_of("made.gguf");
    reranker_make(path, shape);
    if (rag_rerank_open(&r, &(rag_rerank_options){ path, 1, max_tokens }, &err) != RAG_OK)
        fail_msg("%s", err.message);
    return r;
}

static rag_reranker *open_made(const reranker_shape *shape)
{
    return open_window(shape, 0);
}

static float score_of(rag_reranker *r, const char *query, const char *passage)
{
    float score = NAN;
    rag_err err = { 0 };
    if (rag_rerank_score(r, rag_str_of(query), rag_str_of(passage), 0, &score, NULL, &err) != RAG_OK)
        fail_msg("%s", err.message);
    return score;
}

static size_t tokens_of(rag_reranker *r, const char *query, const char *passage)
{
    float score;
    size_t tokens = 0;
    rag_err err = { 0 };
    if (rag_rerank_score(r, rag_str_of(query), rag_str_of(passage), 0, &score, &tokens, &err) != RAG_OK)
        fail_msg("%s", err.message);
    return tokens;
}

/* "word word … last", n words in all; to be freed. */
static char *long_text(const char *word, size_t n, const char *last)
{
    rag_buf b;
    rag_buf_init(&b, RAG_MAX_TEXT);
    for (size_t i = 0; i + 1 < n; i++)
        rag_buf_putf(&b, "%s ", word);
    rag_buf_puts(&b, last);
    return rag_buf_detach(&b);
}

static void assert_refused(const char *path, const char *why)
{
    rag_reranker *r = (rag_reranker *)&r;
    rag_err err = { 0 }, again = { 0 };
    assert_int_equal(rag_rerank_open(&r, &(rag_rerank_options){ path, 1, 0 }, &err), RAG_CONFIG);
    assert_null(r);
    assert_int_equal(err.code, RAG_CONFIG);
    assert_non_null(strstr(err.message, path));
    if (!strstr(err.message, why))
        fail_msg("'%s' does not say '%s'", err.message, why);
    if (strstr(why, "labels"))
        return; /* not seen in the file's header */
    assert_int_equal(rag_rerank_check(path, &again), RAG_CONFIG);
    assert_string_equal(again.message, err.message);
}

/* ---- what a score means ------------------------------------------------------------- */

static void test_rerank__the_better_passage_scores_higher(void **state)
{
    (void)state;
    rag_reranker *r = open_made(&(reranker_shape){ 0 });
    float none = score_of(r, "sand", "wood clay wood");
    assert_true(fabsf(none) < 1e-4f);
    assert_true(score_of(r, "sand", "wood gold wood") > none + 0.1f);
    assert_true(score_of(r, "sand", "gold gold wood") > score_of(r, "sand", "wood gold wood") + 0.1f);
    assert_true(score_of(r, "sand", "wood lead wood") < none - 0.1f);
    assert_true(fabsf(score_of(r, "sand", "lead gold")) < 1e-4f);
    rag_rerank_close(r);
}

static void test_rerank__the_same_pair_has_the_same_score(void **state)
{
    (void)state;
    rag_reranker *r = open_made(&(reranker_shape){ 0 });
    float first = score_of(r, "sand", "wood gold");
    score_of(r, "clay wood", "lead lead lead lead");
    assert_true(first == score_of(r, "sand", "wood gold"));
    rag_rerank_close(r);
    r = open_made(&(reranker_shape){ 0 });
    assert_true(first == score_of(r, "sand", "wood gold"));
    rag_rerank_close(r);
}

static void test_rerank__a_pair_is_one_sequence_with_special_tokens(void **state)
{
    (void)state;
    rag_reranker *r = open_made(&(reranker_shape){ 0 });
    assert_int_equal(tokens_of(r, "sand wood", "clay gold lead"), 1 + 2 + 1 + 3); /* [CLS] query [SEP] passage */
    assert_int_equal(tokens_of(r, "", ""), 2);
    assert_int_equal(tokens_of(r, "sand", "<|pair|> [SEP]"), 1 + 1 + 1 + 8); /* no word of a text is special */
    assert_string_equal(rag_rerank_name(r), "made.gguf");
    assert_int_equal(rag_rerank_max_tokens(r), 64);
    assert_true(rag_rerank_memory(r) > 1024);
    rag_rerank_close(r);
}

static void test_rerank__a_model_that_ends_its_texts_gets_all_ends(void **state)
{
    (void)state;
    rag_reranker *r = open_made(&(reranker_shape){ .has_eos = true });
    char *passage = long_text("wood", 100, "wood");
    assert_int_equal(tokens_of(r, "sand wood", "clay gold lead"), 1 + 2 + 1 + 1 + 3 + 1);
    assert_in_range(tokens_of(r, passage, passage), 56, 64);
    free(passage);
    rag_rerank_close(r);
}

/* ---- long pairs --------------------------------------------------------------------- */

static void test_rerank__a_long_passage_is_cut_at_the_window(void **state)
{
    (void)state;
    rag_reranker *r = open_window(&(reranker_shape){ .positions = 128 }, 32);
    char *seen = long_text("wood", 20, "gold"), *unseen = long_text("wood", 60, "gold"), *without = long_text("wood", 60, "clay");
    assert_int_equal(rag_rerank_max_tokens(r), 32);
    assert_true(score_of(r, "sand", seen) > 0.01f);
    assert_true(fabsf(score_of(r, "sand", unseen)) < 1e-4f);
    assert_true(score_of(r, "sand", unseen) == score_of(r, "sand", without));
    assert_in_range(tokens_of(r, "sand", unseen), 28, 32);
    free(seen);
    free(unseen);
    free(without);
    rag_rerank_close(r);
}

static void test_rerank__a_long_query_leaves_half_to_the_passage(void **state)
{
    (void)state;
    rag_reranker *r = open_made(&(reranker_shape){ 0 });
    char *query = long_text("sand", 5000, "sand"), *passage = long_text("wood", 20, "gold");
    assert_true(score_of(r, query, passage) > 0.01f);
    assert_in_range(tokens_of(r, query, passage), 64 / 2 - 4 + 20, 64);
    assert_in_range(tokens_of(r, query, query), 56, 64);
    free(query);
    free(passage);
    rag_rerank_close(r);
}

static void test_rerank__text_without_spaces_is_cut_too(void **state)
{
    (void)state;
    rag_reranker *r = open_made(&(reranker_shape){ 0 });
    char *chinese = long_text("退货。", 2000, "");
    assert_in_range(tokens_of(r, chinese, chinese), 32, 64);
    for (char *p = chinese; (p = strchr(p, ' ')); p++)
        *p = '.';
    assert_in_range(tokens_of(r, chinese, chinese), 32, 64);
    free(chinese);
    rag_rerank_close(r);
}

/* ---- templates and decoders --------------------------------------------------------- */

static void test_rerank__a_template_of_the_file_is_used(void **state)
{
    (void)state;
    rag_reranker *r = open_made(&(reranker_shape){ .template = "<|pair|> {query} sand {document} {other}" });
    assert_int_equal(tokens_of(r, "wood", "gold clay"), 1 + 1 + 1 + 2 + 3); /* its mark is one token */
    assert_true(score_of(r, "wood", "gold clay") > score_of(r, "wood", "clay clay") + 0.1f);
    assert_int_equal(tokens_of(r, "{document}", "gold"), 1 + 3 + 1 + 1 + 3); /* a value is no template */
    rag_rerank_close(r);
}

static void test_rerank__a_passage_cannot_write_the_templates_marks(void **state)
{
    (void)state;
    rag_reranker *r = open_made(&(reranker_shape){ .template = "<|pair|> {query} {document}" });
    size_t plain = tokens_of(r, "wood", "");
    assert_int_equal(tokens_of(r, "wood", "<|pair|>"), plain + 5);
    assert_int_equal(tokens_of(r, "<|pair|>", "wood"), plain + 5);
    rag_rerank_close(r);
}

static void test_rerank__a_template_keeps_its_end_when_the_passage_is_long(void **state)
{
    (void)state;
    rag_reranker *r = open_made(&(reranker_shape){ .template = "{query} {document} gold" });
    char *passage = long_text("wood", 500, "wood"), *query = long_text("sand", 500, "sand");
    assert_true(score_of(r, "sand", passage) > 0.01f);
    assert_in_range(tokens_of(r, "sand", passage), 48, 64);
    assert_true(score_of(r, query, passage) > 0.01f);
    assert_in_range(tokens_of(r, query, passage), 48, 64);
    free(passage);
    free(query);
    rag_rerank_close(r);
}

static void test_rerank__a_template_wider_than_the_window_is_said(void **state)
{
    (void)state;
    char *template = long_text("clay", 100, "{query} {document}");
    float score = 7;
    size_t tokens = 7;
    rag_err err = { 0 };
    rag_reranker *r = open_made(&(reranker_shape){ .template = template });
    assert_int_equal(rag_rerank_score(r, RAG_STR("sand"), RAG_STR("wood"), 0, &score, &tokens, &err), RAG_TOO_LARGE);
    assert_int_equal(err.code, RAG_TOO_LARGE);
    assert_int_equal(tokens, 0);
    assert_true(score == 7);
    rag_rerank_close(r);
    free(template);
}

static void test_rerank__a_decoder_with_labels_gives_the_share_of_yes(void **state)
{
    (void)state;
    rag_reranker *r = open_made(&(reranker_shape){ .is_causal = true, .template = "{query} {document} sand" });
    float none = score_of(r, "wood", "clay clay"), gold = score_of(r, "wood", "clay gold");
    assert_true(fabsf(none - 0.5f) < 1e-3f);
    assert_true(gold > 0.55f && gold < 1);
    assert_true(score_of(r, "wood", "clay lead") < 0.45f);
    assert_true(gold == score_of(r, "wood", "clay gold")); /* nothing is left of the pair before */
    rag_rerank_close(r);
}

/* ---- stopping ----------------------------------------------------------------------- */

static const reranker_shape slow = { .layers = 4, .hidden = 256, .heads = 4, .wide = 1024, .positions = 512, .words = 8,
                                     .random = true };

static void test_rerank__no_time_is_no_score(void **state)
{
    (void)state;
    float score = 7;
    rag_err err = { 0 };
    rag_reranker *r = open_made(&slow);
    char *passage = long_text("w1", 600, "w2");
    float before = score_of(r, "w3", passage);
    assert_int_equal(rag_rerank_score(r, RAG_STR("w3"), rag_str_of(passage), rag_clock_ms(), &score, NULL, &err), RAG_DEADLINE);
    assert_int_equal(err.code, RAG_DEADLINE);
    assert_true(score == 7);
    assert_int_equal(rag_rerank_score(r, RAG_STR("w3"), rag_str_of(passage), rag_clock_ms() + 1e6, &score, NULL, &err), RAG_OK);
    assert_true(score == before);
    free(passage);
    rag_rerank_close(r);
}

typedef struct canceler {
    rag_reranker *r;
    atomic_bool done;
} canceler;

static void *cancel_until_told(void *context)
{
    canceler *c = context;
    while (!atomic_load(&c->done)) {
        rag_rerank_cancel(c->r);
        usleep(500);
    }
    return NULL;
}

static void test_rerank__cancel_interrupts_and_the_next_pair_is_right(void **state)
{
    float score;
    pthread_t thread;
    rag_err err = { 0 };
    rag_code code = RAG_OK;
    (void)state;
    canceler c = { .r = open_made(&slow) };
    char *passage = long_text("w1", 600, "w2");
    float before = score_of(c.r, "w3", passage);
    assert_int_equal(pthread_create(&thread, NULL, cancel_until_told, &c), 0);
    for (int i = 0; i < 500 && code == RAG_OK; i++)
        code = rag_rerank_score(c.r, RAG_STR("w3"), rag_str_of(passage), 0, &score, NULL, &err);
    atomic_store(&c.done, true);
    pthread_join(thread, NULL);
    assert_int_equal(code, RAG_CANCELED);
    assert_int_equal(err.code, RAG_CANCELED);
    assert_true(before == score_of(c.r, "w3", passage));
    free(passage);
    rag_rerank_close(c.r);
}

/* ---- what is no reranker ------------------------------------------------------------ */

static void test_rerank__a_model_without_a_rank_head_is_refused(void **state)
{
    (void)state;
    reranker_make(path_of("embedder.gguf"), &(reranker_shape){ .has_no_head = true });
    assert_refused(path_of("embedder.gguf"), "no rank head");
}

static void test_rerank__a_classifier_is_refused(void **state)
{
    (void)state;
    reranker_make(path_of("classifier.gguf"), &(reranker_shape){ .labels = 3 });
    assert_refused(path_of("classifier.gguf"), "3 labels");
}

static void test_rerank__a_file_that_is_no_model_is_refused(void **state)
{
    (void)state;
    assert_refused(path_of("nowhere.gguf"), "No such file");
    assert_int_equal(rag_file_write_atomic(path_of("text.gguf"), RAG_STR("not a model"), NULL), RAG_OK);
    assert_refused(path_of("text.gguf"), "no rank head");
    assert_refused(folder, "");
    rag_rerank_close(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rerank__the_better_passage_scores_higher),
        cmocka_unit_test(test_rerank__the_same_pair_has_the_same_score),
        cmocka_unit_test(test_rerank__a_pair_is_one_sequence_with_special_tokens),
        cmocka_unit_test(test_rerank__a_model_that_ends_its_texts_gets_all_ends),
        cmocka_unit_test(test_rerank__a_long_passage_is_cut_at_the_window),
        cmocka_unit_test(test_rerank__a_long_query_leaves_half_to_the_passage),
        cmocka_unit_test(test_rerank__text_without_spaces_is_cut_too),
        cmocka_unit_test(test_rerank__a_template_of_the_file_is_used),
        cmocka_unit_test(test_rerank__a_passage_cannot_write_the_templates_marks),
        cmocka_unit_test(test_rerank__a_template_keeps_its_end_when_the_passage_is_long),
        cmocka_unit_test(test_rerank__a_template_wider_than_the_window_is_said),
        cmocka_unit_test(test_rerank__a_decoder_with_labels_gives_the_share_of_yes),
        cmocka_unit_test(test_rerank__no_time_is_no_score),
        cmocka_unit_test(test_rerank__cancel_interrupts_and_the_next_pair_is_right),
        cmocka_unit_test(test_rerank__a_model_without_a_rank_head_is_refused),
        cmocka_unit_test(test_rerank__a_classifier_is_refused),
        cmocka_unit_test(test_rerank__a_file_that_is_no_model_is_refused),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
