/* The fakes keep the laws of the headers that they implement. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/utf8.h"
#include "embed/embed.h"
#include "llm/llm.h"

/* The embedder */

static rag_embedder *open_embedder(int max_tokens)
{
    rag_embedder *e;
    assert_int_equal(rag_embed_open(&e, &(rag_embed_options){ .model_path = "x", .max_tokens = max_tokens }, NULL),
                     RAG_OK);
    return e;
}

static double similarity(rag_embedder *e, const char *left, const char *right)
{
    float a[384], b[384];
    double sum = 0;
    assert_int_equal(rag_embed_dim(e), 384);
    assert_int_equal(rag_embed_text(e, RAG_EMBED_QUERY, rag_str_of(left), false, a, NULL, NULL), RAG_OK);
    assert_int_equal(rag_embed_text(e, RAG_EMBED_PASSAGE, rag_str_of(right), false, b, NULL, NULL), RAG_OK);
    for (int i = 0; i < 384; i++)
        sum += (double)a[i] * (double)b[i];
    return sum;
}

static void test_fakes__shared_words_bring_texts_together(void **state)
{
    (void)state;
    rag_embedder *e = open_embedder(0);
    double near = similarity(e, "return a product", "Products may be returned: return the product");
    assert_true(near > similarity(e, "return a product", "the capital of France is Paris") + 0.2);
    assert_true(similarity(e, "退货政策", "退货的政策是三十天") > similarity(e, "退货政策", "巴黎在法国") + 0.2);
    assert_true(fabs(similarity(e, "Book", "books") - 1) < 1e-4);
    assert_true(fabs(similarity(e, "ＵＳＢ", "usb") - 1) < 1e-4);
    assert_true(fabs(similarity(e, "", "") - 1) < 1e-4);
    rag_embed_close(e);
}

static void test_fakes__embedder_counts_as_its_offsets_do(void **state)
{
    uint32_t ends[16] = { 0 };
    rag_str text = RAG_STR("Two words, 退货 3.5");
    (void)state;
    rag_embedder *e = open_embedder(0);
    size_t n = rag_embed_offsets(e, text, ends, 15);
    assert_int_equal(n, 6);
    assert_int_equal(n, rag_embed_count(e, text));
    assert_int_equal(ends[0], 3);
    assert_int_equal(ends[n - 1], text.len);
    assert_int_equal(ends[15], 0);
    assert_int_equal(rag_embed_offsets(e, text, NULL, 0), 6);
    rag_embed_close(e);
}

static void test_fakes__embedder_bounds_its_window(void **state)
{
    float v[384];
    size_t tokens;
    rag_err err = { 0 };
    rag_str text = RAG_STR("one two three four five six seven eight nine ten");
    (void)state;
    rag_embedder *e = open_embedder(8);
    assert_int_equal(rag_embed_max_tokens(e), 8);
    assert_int_equal(rag_embed_text(e, RAG_EMBED_QUERY, text, false, v, &tokens, &err), RAG_TOO_LARGE);
    assert_int_equal(rag_embed_text(e, RAG_EMBED_QUERY, text, true, v, &tokens, &err), RAG_OK);
    assert_int_equal(tokens, 8);
    rag_embed_close(e);
    rag_embed_close(NULL);
}

static void test_fakes__a_missing_model_is_a_configuration_error(void **state)
{
    rag_embedder *e;
    rag_llm *m;
    rag_err err = { 0 };
    (void)state;
    assert_int_equal(rag_embed_open(&e, &(rag_embed_options){ .model_path = "/missing.gguf" }, &err), RAG_CONFIG);
    assert_null(e);
    assert_int_equal(rag_llm_open(&m, &(rag_llm_options){ .model_path = "/missing.gguf" }, &err), RAG_CONFIG);
    assert_null(m);
}

/* The decoder */

typedef struct reader {
    rag_buf text;
    int n_pieces, n_done, leave_after; /* pieces; 0 = never */
    rag_llm_done done;
} reader;

static bool on_piece(void *context, rag_str piece, const rag_llm_token *tokens, size_t n)
{
    reader *r = context;
    assert_int_equal(r->n_done, 0);
    assert_true(piece.len > 0 && rag_utf8_valid(piece, NULL));
    for (size_t i = 0; i < n; i++)
        assert_true(tokens[i].probability > 0 && tokens[i].probability <= 1);
    rag_buf_put(&r->text, piece);
    return ++r->n_pieces != r->leave_after;
}

static void on_done(void *context, const rag_llm_done *done)
{
    reader *r = context;
    r->n_done++;
    r->done = *done;
}

static reader new_reader(void)
{
    reader r = { 0 };
    rag_buf_init(&r.text, RAG_MAX_PROMPT);
    return r;
}

static rag_llm_request request(reader *r, const char *prompt)
{
    return (rag_llm_request){ .prompt = rag_str_of(prompt), .on_piece = on_piece, .on_done = on_done, .context = r };
}

static rag_llm *open_llm(int slots)
{
    rag_llm *m;
    assert_int_equal(rag_llm_open(&m, &(rag_llm_options){ .model_path = "x", .slots = slots }, NULL), RAG_OK);
    return m;
}

static void run(rag_llm *m, const rag_llm_request *req)
{
    assert_int_equal(rag_llm_submit(m, req, NULL, NULL), RAG_OK);
    for (int i = 0; rag_llm_busy(m); i++) {
        assert_true(i < 1000);
        rag_llm_step(m);
    }
}

static const char prompt[] = "Passages:\n[1] An example. No.\nQuestion: x\nAnswer:\n\nPassages:\n"
                             "[1] Returns take 30 days. Bring the receipt.\n[2] Other.\nQuestion: how long?\nAnswer:";

static void test_fakes__answer_quotes_the_last_first_passage(void **state)
{
    reader r = new_reader();
    (void)state;
    rag_llm *m = open_llm(1);
    rag_llm_request req = request(&r, prompt);
    run(m, &req);
    assert_string_equal(r.text.ptr, "Returns take 30 days. [1]");
    assert_true(r.n_pieces > 3);
    assert_int_equal(r.n_done, 1);
    assert_int_equal(r.done.finish, RAG_LLM_STOP);
    assert_int_equal(r.done.completion_tokens, (size_t)r.n_pieces);
    assert_true(r.done.prompt_tokens > 10);
    rag_buf_free(&r.text);
    rag_llm_close(m);
}

static void test_fakes__answer_ends_at_stops_and_lengths(void **state)
{
    rag_str stop = RAG_STR(" 30");
    reader r = new_reader();
    (void)state;
    rag_llm *m = open_llm(1);
    rag_llm_request req = request(&r, prompt);
    req.stops = &stop;
    req.n_stops = 1;
    run(m, &req);
    assert_string_equal(r.text.ptr, "Returns take");
    assert_int_equal(r.done.finish, RAG_LLM_STOP);
    rag_buf_clear(&r.text);
    r.n_done = 0;
    req.n_stops = 0;
    req.sampling.max_tokens = 3;
    run(m, &req);
    assert_string_equal(r.text.ptr, "Returns take 30");
    assert_int_equal(r.done.finish, RAG_LLM_LENGTH);
    rag_buf_free(&r.text);
    rag_llm_close(m);
}

static void test_fakes__done_comes_once_also_after_a_cancel(void **state)
{
    atomic_bool canceled = false;
    reader left = new_reader(), told = new_reader(), closed = new_reader();
    (void)state;
    rag_llm *m = open_llm(3);
    rag_llm_request a = request(&left, prompt), b = request(&told, prompt), c = request(&closed, prompt);
    left.leave_after = 1;
    b.canceled = &canceled;
    assert_int_equal(rag_llm_submit(m, &a, NULL, NULL), RAG_OK);
    assert_int_equal(rag_llm_submit(m, &b, NULL, NULL), RAG_OK);
    assert_int_equal(rag_llm_submit(m, &c, NULL, NULL), RAG_OK);
    for (int i = 0; i < 3; i++)
        rag_llm_step(m);
    assert_int_equal(left.n_done, 1);
    assert_int_equal(left.done.finish, RAG_LLM_CANCELED);
    assert_int_equal(told.n_done, 0);
    atomic_store(&canceled, true);
    rag_llm_step(m);
    assert_int_equal(told.n_done, 1);
    assert_int_equal(told.done.finish, RAG_LLM_CANCELED);
    rag_llm_close(m);
    assert_int_equal(left.n_done + told.n_done + closed.n_done, 3);
    assert_int_equal(closed.done.finish, RAG_LLM_CANCELED);
    rag_buf_free(&left.text);
    rag_buf_free(&told.text);
    rag_buf_free(&closed.text);
    rag_llm_close(NULL);
}

static void test_fakes__slots_and_context_are_bounded(void **state)
{
    reader r = new_reader();
    rag_err err = { 0 };
    (void)state;
    rag_llm *m = open_llm(1);
    rag_llm_request req = request(&r, prompt);
    assert_int_equal(rag_llm_free_slots(m), 1);
    assert_int_equal(rag_llm_submit(m, &req, NULL, &err), RAG_OK);
    assert_int_equal(rag_llm_submit(m, &req, NULL, &err), RAG_FULL);
    assert_true(rag_llm_busy(m));
    req.sampling.max_tokens = rag_llm_context(m);
    assert_int_equal(rag_llm_submit(m, &req, NULL, &err), RAG_TOO_LARGE);
    rag_llm_close(m);
    rag_buf_free(&r.text);
}

static void on_fake_spans(void *context, const rag_llm_span *spans, size_t n, double margin)
{
    assert_int_equal(n, 2);
    assert_true(margin > 0);
    memcpy(context, spans, n * sizeof *spans);
}

static void test_fakes__spans_are_the_first_words_of_each_reading(void **state)
{
    rag_llm_reading readings[] = { { .evidence = RAG_STR("Returns take thirty days.") },
                                   { .evidence = RAG_STR("...") },
                                   { .evidence = RAG_STR("退货三十天。") } };
    rag_llm_span best[RAG_LLM_MAX_SPANS];
    rag_llm *m;
    (void)state;
    assert_int_equal(rag_llm_open(&m, &(rag_llm_options){ .model_path = "x" }, NULL), RAG_OK);
    rag_llm_spans spans = { .readings = readings, .n_readings = 3, .on_spans = on_fake_spans };
    rag_llm_request req = { .spans = &spans, .context = best };
    assert_int_equal(rag_llm_submit(m, &req, NULL, NULL), RAG_OK);
    while (rag_llm_busy(m))
        rag_llm_step(m);
    assert_true(best[0].reading == 0 && best[0].span.start == 0 && best[0].span.end == strlen("Returns take thirty"));
    assert_true(best[1].reading == 2 && best[1].span.end == strlen("退货三") && best[1].score < best[0].score);
    rag_llm_close(m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_fakes__shared_words_bring_texts_together),
        cmocka_unit_test(test_fakes__embedder_counts_as_its_offsets_do),
        cmocka_unit_test(test_fakes__embedder_bounds_its_window),
        cmocka_unit_test(test_fakes__a_missing_model_is_a_configuration_error),
        cmocka_unit_test(test_fakes__answer_quotes_the_last_first_passage),
        cmocka_unit_test(test_fakes__answer_ends_at_stops_and_lengths),
        cmocka_unit_test(test_fakes__done_comes_once_also_after_a_cancel),
        cmocka_unit_test(test_fakes__spans_are_the_first_words_of_each_reading),
        cmocka_unit_test(test_fakes__slots_and_context_are_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
