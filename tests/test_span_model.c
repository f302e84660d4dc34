/* Copied answers with the real base model; skipped without models/. */
#include <math.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "llm/llm.h"

static const char model_path[] = "models/gemma-3-270m-q4_k_m.gguf";
static const char kern[] = "The bridge was designed by Ada Kern and opened in 1932 after six years of work.";
static const char library[] = "图书馆早上九点开门，会员最多可以借十二本书，借期四周。";

static rag_llm *two;  /* two slots; NULL without the model */
static rag_llm *fixed; /* deterministic */
static rag_llm_template *templates[2];

static int set_up(void **state)
{
    rag_err err;
    (void)state;
    rag_llm_options opt = { .model_path = model_path, .slots = 2, .context_tokens = 1024 };
    if (access(model_path, R_OK))
        return 0;
    if (rag_llm_open(&two, &opt, &err))
        fail_msg("%s", err.message);
    opt.deterministic = true;
    if (rag_llm_open(&fixed, &opt, &err) ||
        rag_llm_template_load(&templates[0], "conf/prompts/span.en.txt", &err) ||
        rag_llm_template_load(&templates[1], "conf/prompts/span.zh.txt", &err))
        fail_msg("%s", err.message);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    rag_llm_close(two);
    rag_llm_close(fixed);
    rag_llm_template_free(templates[0]);
    rag_llm_template_free(templates[1]);
    return 0;
}

static void need_model(void)
{
    if (!two) {
        print_message("'%s' is not there: run ./setup\n", model_path);
        skip();
    }
}

typedef struct asked {
    rag_arena *arena;
    rag_llm_reading readings[RAG_LLM_MAX_READINGS];
    rag_llm_spans spans;
    rag_llm_request req;
    rag_llm_span best[RAG_LLM_MAX_SPANS];
    size_t n;
    double margin;
    int n_spans, n_done;
    rag_llm_done done;
    atomic_bool canceled;
} asked;

static void on_spans(void *context, const rag_llm_span *spans, size_t n, double margin)
{
    asked *a = context;
    assert_true(n <= RAG_LLM_MAX_SPANS && a->n_done == 0);
    memcpy(a->best, spans, n * sizeof *spans);
    a->n = n;
    a->margin = margin;
    a->n_spans++;
}

static void on_done(void *context, const rag_llm_done *done)
{
    asked *a = context;
    a->n_done++;
    a->done = *done;
}

static void add_reading(asked *a, const char *question, const char *evidence, bool zh)
{
    rag_llm_prompt with, without;
    rag_err err;
    rag_llm_var vars[] = { { "question", rag_str_of(question) }, { "passages", rag_str_of(evidence) } };
    if (rag_llm_template_render(two, templates[zh], vars, 2, a->arena, &with, &err))
        fail_msg("%s", err.message);
    vars[0].value = (rag_str){ 0 };
    assert_int_equal(rag_llm_template_render(two, templates[zh], vars, 2, a->arena, &without, &err), RAG_OK);
    a->readings[a->spans.n_readings++] =
        (rag_llm_reading){ .prompt = with.text, .prior_prompt = without.text, .evidence = rag_str_of(evidence) };
    a->req.prefix_bytes = with.prefix_bytes;
}

static void prepare(asked *a, const char *question, const char *evidence, bool zh)
{
    *a = (asked){ .arena = rag_arena_new() };
    a->spans = (rag_llm_spans){ .readings = a->readings, .question = rag_str_of(question), .on_spans = on_spans };
    a->req = (rag_llm_request){ .spans = &a->spans, .on_done = on_done, .context = a, .canceled = &a->canceled };
    add_reading(a, question, evidence, zh);
}

static void submit(rag_llm *m, asked *a)
{
    rag_err err;
    if (rag_llm_submit(m, &a->req, NULL, &err))
        fail_msg("%s", err.message);
}

static void run_all(rag_llm *m)
{
    for (int i = 0; rag_llm_busy(m); i++) {
        assert_true(i < 500);
        rag_llm_step(m);
    }
}

static void ask(rag_llm *m, asked *a, const char *question, const char *evidence, bool zh)
{
    prepare(a, question, evidence, zh);
    submit(m, a);
    run_all(m);
    assert_int_equal(a->n_done, 1);
    assert_int_equal(a->n_spans, 1);
    assert_int_equal(a->done.finish, RAG_LLM_STOP);
}

static void assert_best(const asked *a, const char *expected)
{
    assert_true(a->n > 0);
    rag_str got = rag_str_sub(a->readings[a->best[0].reading].evidence, a->best[0].span.start, a->best[0].span.end);
    if (!rag_str_eq(got, rag_str_of(expected)))
        fail_msg("got '%.*s', not '%s'", RAG_STR_ARG(got), expected);
}

static void test_span_model__finds_the_answer_in_both_languages(void **state)
{
    asked a;
    (void)state;
    need_model();
    ask(two, &a, "Who designed the bridge?", kern, false);
    assert_best(&a, "Ada Kern");
    assert_true(a.best[0].logprob < 0 && a.best[0].prior_logprob < 0 && a.margin > 0);
    assert_true(a.done.prompt_tokens > 100 && a.done.completion_tokens > 0 && a.done.completion_tokens < 60);
    assert_true(a.done.first_token_ms >= a.done.prefill_ms && a.done.prefill_ms > 0);
    rag_arena_free(a.arena);
    ask(two, &a, "When was the bridge opened?", kern, false);
    assert_best(&a, "1932");
    rag_arena_free(a.arena);
    ask(two, &a, "会员最多可以借几本书？", library, true);
    assert_non_null(memmem(library + a.best[0].span.start, a.best[0].span.end - a.best[0].span.start, "十二本", 9));
    rag_arena_free(a.arena);
}

static void test_span_model__finds_the_reading_that_answers(void **state)
{
    static const char other[] = "The library beside it lends twelve books to a member.";
    asked a;
    (void)state;
    need_model();
    prepare(&a, "Who designed the bridge?", other, false);
    add_reading(&a, "Who designed the bridge?", kern, false);
    submit(two, &a);
    run_all(two);
    assert_int_equal(a.best[0].reading, 1);
    assert_best(&a, "Ada Kern");
    assert_true(a.margin > 0);
    rag_arena_free(a.arena);
    /* Two that read the same are no rivals. */
    prepare(&a, "Who designed the bridge?", kern, false);
    add_reading(&a, "Who designed the bridge?", kern, false);
    submit(two, &a);
    run_all(two);
    assert_best(&a, "Ada Kern");
    assert_true(a.margin > 0.2);
    rag_arena_free(a.arena);
}

static void test_span_model__keeps_the_examples_of_both_languages(void **state)
{
    asked a;
    (void)state;
    need_model();
    ask(two, &a, "Who designed the bridge?", kern, false);
    rag_arena_free(a.arena);
    ask(two, &a, "会员最多可以借几本书？", library, true);
    rag_arena_free(a.arena);
    ask(two, &a, "When was the bridge opened?", kern, false);
    assert_true(a.done.cached_tokens > 50 && a.done.cached_tokens < a.done.prompt_tokens);
    rag_arena_free(a.arena);
    ask(fixed, &a, "When was the bridge opened?", kern, false);
    rag_arena_free(a.arena);
    ask(fixed, &a, "When was the bridge opened?", kern, false);
    assert_int_equal(a.done.cached_tokens, 0);
    rag_arena_free(a.arena);
}

static void test_span_model__deterministic_is_equal_to_the_bit(void **state)
{
    asked a, other, b;
    (void)state;
    need_model();
    ask(fixed, &a, "Who designed the bridge?", kern, false);
    ask(fixed, &other, "会员最多可以借几本书？", library, true);
    prepare(&b, "Who designed the bridge?", kern, false);
    submit(fixed, &b);
    rag_llm_request text = { .prompt = RAG_STR("Once upon a time"), .sampling = { .max_tokens = 8 } };
    assert_int_equal(rag_llm_submit(fixed, &text, NULL, NULL), RAG_OK);
    run_all(fixed);
    assert_int_equal(a.n, b.n);
    for (size_t i = 0; i < a.n; i++)
        assert_memory_equal(&a.best[i], &b.best[i], sizeof a.best[i]);
    rag_arena_free(a.arena);
    rag_arena_free(other.arena);
    rag_arena_free(b.arena);
}

static bool count_pieces(void *context, rag_str piece, const rag_llm_token *tokens, size_t n)
{
    (void)piece;
    (void)tokens;
    *(size_t *)context += n;
    return true;
}

static void test_span_model__text_goes_on_beside_spans(void **state)
{
    asked a;
    size_t n_tokens = 0, n_at_end = 0;
    (void)state;
    need_model();
    rag_llm_request text = { .prompt = RAG_STR("Once upon a time"), .sampling = { .max_tokens = 200 },
                             .on_piece = count_pieces, .context = &n_tokens };
    prepare(&a, "Who designed the bridge?", kern, false);
    assert_int_equal(rag_llm_submit(two, &text, NULL, NULL), RAG_OK);
    rag_llm_step(two);
    submit(two, &a);
    assert_int_equal(rag_llm_free_slots(two), 0);
    assert_int_equal(rag_llm_submit(two, &a.req, NULL, NULL), RAG_FULL);
    int steps = 0;
    for (; a.n_done == 0; steps++) {
        assert_true(steps < 100);
        rag_llm_step(two);
    }
    n_at_end = n_tokens;
    assert_true(n_at_end + 2 >= (size_t)steps);
    assert_best(&a, "Ada Kern");
    run_all(two);
    rag_arena_free(a.arena);
}

static void test_span_model__a_cancel_ends_it_at_any_step(void **state)
{
    (void)state;
    need_model();
    for (int steps = 0; steps < 3; steps++) {
        asked a;
        prepare(&a, "Who designed the bridge?", kern, false);
        submit(two, &a);
        for (int i = 0; i < steps; i++)
            rag_llm_step(two);
        assert_int_equal(a.n_done, 0);
        atomic_store(&a.canceled, true);
        rag_llm_step(two);
        assert_int_equal(a.n_done, 1);
        assert_int_equal(a.n_spans, 0);
        assert_int_equal(a.done.finish, RAG_LLM_CANCELED);
        rag_arena_free(a.arena);
    }
    asked a;
    ask(two, &a, "Who designed the bridge?", kern, false);
    assert_best(&a, "Ada Kern");
    rag_arena_free(a.arena);
}

static void *interrupt_often(void *context)
{
    for (int i = 0; i < 40; i++) {
        nanosleep(&(struct timespec){ .tv_nsec = 9000000 }, NULL);
        rag_llm_interrupt(context);
    }
    return NULL;
}

static void test_span_model__an_interrupted_decode_changes_nothing(void **state)
{
    asked a, b;
    pthread_t thread;
    (void)state;
    need_model();
    ask(fixed, &a, "Who designed the bridge?", kern, false);
    prepare(&b, "Who designed the bridge?", kern, false);
    submit(fixed, &b);
    assert_int_equal(pthread_create(&thread, NULL, interrupt_often, fixed), 0);
    run_all(fixed);
    pthread_join(thread, NULL);
    assert_int_equal(a.n, b.n);
    assert_memory_equal(&a.best[0], &b.best[0], sizeof a.best[0]);
    rag_arena_free(a.arena);
    rag_arena_free(b.arena);
}

static void test_span_model__evidence_without_words_has_no_span(void **state)
{
    asked a;
    (void)state;
    need_model();
    ask(two, &a, "Who designed the bridge?", "...", false);
    assert_int_equal(a.n, 0);
    rag_arena_free(a.arena);
}

static void test_span_model__goes_without_a_prior(void **state)
{
    asked a;
    (void)state;
    need_model();
    prepare(&a, "Who designed the bridge?", kern, false);
    a.readings[0].prior_prompt = (rag_str){ 0 };
    submit(two, &a);
    run_all(two);
    assert_best(&a, "Ada Kern");
    assert_true(fabs(a.best[0].prior_logprob) < 1e-12);
    rag_arena_free(a.arena);
}

static void test_span_model__refuses_what_does_not_fit(void **state)
{
    asked a;
    rag_err err;
    (void)state;
    need_model();
    prepare(&a, "Who designed the bridge?", kern, false);
    a.spans.max_nodes = 2000;
    assert_int_equal(rag_llm_submit(two, &a.req, NULL, &err), RAG_TOO_LARGE);
    assert_non_null(strstr(err.message, "context"));
    a.spans.max_nodes = 0;
    add_reading(&a, "Who designed the bridge?", kern, false);
    a.readings[1].prior_prompt = (rag_str){ 0 };
    assert_int_equal(rag_llm_submit(two, &a.req, NULL, &err), RAG_INVALID);
    assert_non_null(strstr(err.message, "prior"));
    a.spans.n_readings = 0;
    assert_int_equal(rag_llm_submit(two, &a.req, NULL, &err), RAG_INVALID);
    assert_int_equal(a.n_done, 0);
    assert_int_equal(rag_llm_free_slots(two), 2);
    rag_arena_free(a.arena);
}

static void test_span_model__closing_ends_it(void **state)
{
    rag_llm *m;
    asked a;
    (void)state;
    need_model();
    assert_int_equal(rag_llm_open(&m, &(rag_llm_options){ .model_path = model_path, .context_tokens = 1024 }, NULL),
                     RAG_OK);
    prepare(&a, "Who designed the bridge?", kern, false);
    submit(m, &a);
    rag_llm_step(m);
    rag_llm_close(m);
    assert_int_equal(a.n_done, 1);
    assert_int_equal(a.done.finish, RAG_LLM_CANCELED);
    rag_arena_free(a.arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_span_model__finds_the_answer_in_both_languages),
        cmocka_unit_test(test_span_model__finds_the_reading_that_answers),
        cmocka_unit_test(test_span_model__keeps_the_examples_of_both_languages),
        cmocka_unit_test(test_span_model__deterministic_is_equal_to_the_bit),
        cmocka_unit_test(test_span_model__text_goes_on_beside_spans),
        cmocka_unit_test(test_span_model__a_cancel_ends_it_at_any_step),
        cmocka_unit_test(test_span_model__an_interrupted_decode_changes_nothing),
        cmocka_unit_test(test_span_model__evidence_without_words_has_no_span),
        cmocka_unit_test(test_span_model__goes_without_a_prior),
        cmocka_unit_test(test_span_model__refuses_what_does_not_fit),
        cmocka_unit_test(test_span_model__closing_ends_it),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
