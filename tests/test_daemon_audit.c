/* tests/test_daemon_audit.c: what is written down of an answer, reading it, and making the answer once more. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "index/records.h"
#include "tests/daemon_fixture.h"

static world *the_world; /* one daemon for the tests that leave it as it is */

static const char QUESTION[] = "How many days do I have to return something?";

static int set_up(void **state)
{
    (void)state;
    the_world = world_new();
    world_fill(the_world);
    START(the_world);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    int code = world_stop(the_world, SIGTERM);
    world_free(the_world);
    return code;
}

static const char *path_of(const char *id, const char *end)
{
    static char path[400];
    snprintf(path, sizeof path, "/v1/answers/%s%s", id, end);
    return path;
}

static cJSON *record_of(const world *w, const cJSON *answer)
{
    return world_json(w, "GET", path_of(json_text(answer, "answer_id"), ""), NULL);
}

static cJSON *replay_of(const world *w, const cJSON *answer)
{
    return world_json(w, "POST", path_of(json_text(answer, "answer_id"), "/replay"), NULL);
}

static void expect_status(const world *w, const char *method, const char *path, int status, const char *part)
{
    reply r;
    assert_int_equal(world_call(w, method, path, NULL, &r), status);
    if (!strstr(r.body.ptr, part))
        fail_msg("no '%s' in %s", part, r.body.ptr);
    reply_free(&r);
}

static void has_keys(const cJSON *object, const char *const *keys)
{
    for (; *keys; keys++)
        json_item(object, *keys);
}

static void check_record(const cJSON *record, const cJSON *answer)
{
    static const char *const keys[] = { "version",  "ragd",     "created",    "collection", "generation", "request", "settings",
                                        "models",   "search",   "passages",   "evidence",   "decoder",    "check",   "response",
                                        "resolved", "question", "request_id", "mode_asked", "late",       NULL };
    static const char *const candidate[] = { "chunk_id",     "document",   "vector_rank", "text_rank", "vector_score",
                                             "text_score",   "fused_score", "fate",       NULL };
    static const char *const sentence[] = { "document", "start", "end", "text", "overlap", "cosine", "score", "marker", NULL };
    has_keys(record, keys);
    assert_true(json_value(json_item(json_item(record, "confidence"), "features"), "bias") == 1);
    has_keys(json_item(json_item(record, "search"), "candidates")->child, candidate);
    has_keys(json_item(record, "evidence")->child, sentence);
    assert_string_equal(json_text(record, "answer_id"), json_text(answer, "answer_id"));
    assert_string_equal(json_text(record, "conversation_id"), json_text(answer, "conversation_id"));
    assert_string_equal(json_text(record, "mode"), json_text(answer, "mode"));
    assert_true(cJSON_Compare(json_item(record, "response"), answer, true));
    assert_int_equal(strlen(json_text(json_item(json_item(record, "models"), "embedder"), "sha256")), 64);
}

/* ---- the record --------------------------------------------------------------------- */

static void test_daemon_audit__an_extract_is_written_down(void **state)
{
    (void)state;
    cJSON *answer = world_ask(the_world, QUESTION, ",\"mode\":\"extract\"");
    cJSON *record = record_of(the_world, answer);
    check_record(record, answer);
    assert_string_equal(json_text(record, "question"), QUESTION);
    assert_string_equal(json_text(record, "mode_asked"), "extract");
    assert_true(cJSON_IsNull(json_item(record, "decoder")));
    assert_int_equal(cJSON_GetArraySize(json_item(json_item(record, "check"), "sentences")), 0);
    cJSON_Delete(record);
    cJSON_Delete(answer);
}

static void test_daemon_audit__a_generated_answer_is_written_down_with_prompt_and_tokens(void **state)
{
    (void)state;
    rag_buf text;
    const cJSON *token;
    cJSON *answer = world_ask(the_world, QUESTION, ",\"mode\":\"generate\",\"sampling\":{\"seed\":7,\"max_tokens\":40}");
    cJSON *record = record_of(the_world, answer);
    const cJSON *decoder = json_item(record, "decoder"), *sampling = json_item(decoder, "sampling");
    check_record(record, answer);
    assert_non_null(strstr(json_text(decoder, "prompt"), QUESTION));
    assert_non_null(strstr(json_text(decoder, "prompt"), "[1] "));
    assert_true(json_value(sampling, "seed") == 7);
    assert_true(json_value(sampling, "max_tokens") == 40);
    assert_int_equal(cJSON_GetArraySize(json_item(decoder, "tokens")),
                     (int)json_value(json_item(answer, "usage"), "completion_tokens"));
    rag_buf_init(&text, RAG_MAX_TEXT);
    cJSON_ArrayForEach(token, json_item(decoder, "tokens"))
    {
        assert_true(json_value(token, "p") > 0 && json_value(token, "p") <= 1);
        rag_buf_puts(&text, json_text(token, "text"));
    }
    assert_string_equal(text.ptr, json_text(decoder, "text"));
    rag_buf_free(&text);
    const cJSON *checked = json_item(json_item(record, "check"), "sentences")->child;
    assert_true(cJSON_IsTrue(json_item(checked, "stands")));
    assert_non_null(strstr(json_text(checked, "quote"), "30 days"));
    assert_int_equal(strlen(json_text(json_item(json_item(record, "models"), "decoder"), "sha256")), 64);
    cJSON_Delete(record);
    cJSON_Delete(answer);
}

static void test_daemon_audit__a_span_is_written_down_with_what_it_was_chosen_from(void **state)
{
    (void)state;
    cJSON *answer = world_ask(the_world, QUESTION, ",\"mode\":\"span\"");
    cJSON *record = record_of(the_world, answer);
    const cJSON *decoder = json_item(record, "decoder"), *span = json_item(decoder, "span");
    check_record(record, answer);
    assert_string_equal(json_text(record, "mode"), "span");
    assert_non_null(strstr(json_text(answer, "answer"), json_text(span, "text")));
    const cJSON *reading = cJSON_GetArrayItem(json_item(decoder, "readings"), (int)json_value(span, "reading"));
    assert_non_null(strstr(json_text(reading, "evidence"), json_text(span, "text")));
    assert_non_null(strstr(json_text(reading, "prompt"), QUESTION));
    assert_null(strstr(json_text(reading, "prior_prompt"), QUESTION));
    cJSON_Delete(record);
    cJSON_Delete(answer);
}

static void test_daemon_audit__a_refusal_is_written_down(void **state)
{
    (void)state;
    world *w = world_new();
    world_fill(w);
    START(w, "--set", "answer.refuse_below=1");
    cJSON *answer = world_ask(w, QUESTION, "");
    assert_string_equal(json_text(answer, "outcome"), "refused");
    cJSON *record = record_of(w, answer);
    check_record(record, answer);
    cJSON_Delete(record);
    record = replay_of(w, answer);
    assert_true(cJSON_IsTrue(json_item(record, "equal")));
    cJSON_Delete(record);
    cJSON_Delete(answer);
    assert_int_equal(world_stop(w, SIGTERM), 0);
    world_free(w);
}

static void test_daemon_audit__streamed_answers_are_written_down_too(void **state)
{
    (void)state;
    reply r;
    sse_event events[64];
    char body[160];
    snprintf(body, sizeof body, "{\"question\":\"%s\",\"stream\":true}", QUESTION);
    assert_int_equal(world_call(the_world, "POST", "/v1/ask", body, &r), 200);
    size_t n = sse_parse(rag_buf_str(&r.body), events, 64);
    assert_string_equal(events[n - 1].name, "done");
    cJSON *record = record_of(the_world, events[n - 1].data);
    check_record(record, events[n - 1].data);
    sse_free(events, n);
    reply_free(&r);
    cJSON_Delete(record);
}

static void test_daemon_audit__a_follow_up_is_written_down_with_what_it_was_taken_for(void **state)
{
    (void)state;
    cJSON *first = world_ask(the_world, "How long is the warranty?", ",\"conversation_id\":\"audit-turns\"");
    cJSON *next = world_ask(the_world, "And for batteries?", ",\"conversation_id\":\"audit-turns\"");
    cJSON *record = record_of(the_world, next);
    assert_string_equal(json_text(record, "question"), "And for batteries?");
    assert_non_null(strstr(json_text(record, "resolved"), "warranty"));
    cJSON *again = replay_of(the_world, next);
    assert_true(cJSON_IsTrue(json_item(again, "equal")));
    cJSON_Delete(again);
    cJSON_Delete(record);
    cJSON_Delete(next);
    cJSON_Delete(first);
}

static void test_daemon_audit__off_writes_nothing(void **state)
{
    (void)state;
    world *w = world_new();
    world_fill(w);
    START(w, "--set", "answer.audit=off");
    cJSON *answer = world_ask(w, QUESTION, "");
    expect_status(w, "GET", path_of(json_text(answer, "answer_id"), ""), 404, "answer_not_found");
    expect_status(w, "POST", path_of(json_text(answer, "answer_id"), "/replay"), 404, "answer_not_found");
    cJSON_Delete(answer);
    assert_int_equal(world_stop(w, SIGTERM), 0);
    world_free(w);
}

static void test_daemon_audit__only_so_many_are_kept(void **state)
{
    enum { KEPT = 3, ASKED = 8 };
    (void)state;
    char ids[ASKED][40];
    int found = 0;
    reply r;
    world *w = world_new();
    world_fill(w);
    START(w, "--set", "answer.audit_max=3");
    for (int i = 0; i < ASKED; i++) {
        cJSON *answer = world_ask(w, QUESTION, ",\"mode\":\"extract\"");
        snprintf(ids[i], sizeof ids[i], "%s", json_text(answer, "answer_id"));
        cJSON_Delete(answer);
        cJSON_Delete(world_json(w, "GET", path_of(ids[i], ""), NULL)); /* it is written */
    }
    for (int i = 0; i < ASKED; i++) {
        found += world_call(w, "GET", path_of(ids[i], ""), NULL, &r) == 200;
        reply_free(&r);
    }
    assert_int_equal(found, KEPT);
    assert_int_equal(world_stop(w, SIGTERM), 0);
    world_free(w);
}

static void test_daemon_audit__who_may_not_see_everything_finds_no_record(void **state)
{
    (void)state;
    reply r;
    cJSON *answer = world_ask(the_world, QUESTION, ",\"mode\":\"extract\"");
    const char *id = json_text(answer, "answer_id");
    assert_int_equal(world_call_tcp(the_world, "GET", path_of(id, ""), "", NULL, &r), 404);
    reply_free(&r);
    assert_int_equal(world_call_tcp(the_world, "POST", path_of(id, "/replay"), "", NULL, &r), 404);
    reply_free(&r);
    cJSON_Delete(answer);
}

static void test_daemon_audit__a_record_holds_no_key(void **state)
{
    (void)state;
    reply r;
    static const char KEY[] = "a-key-nobody-guesses-4711";
    world *w = world_new();
    char *file = world_path(w, "keys"), set[160], header[96];
    world_fill(w);
    FILE *f = fopen(file, "w");
    fprintf(f, "%s\n", KEY);
    fclose(f);
    snprintf(set, sizeof set, "http.key_file=%s", file);
    snprintf(header, sizeof header, "Authorization: Bearer %s\r\n", KEY);
    START(w, "--set", set);
    assert_int_equal(world_call_tcp(w, "POST", "/v1/ask", header, "{\"question\":\"How long is the warranty?\"}", &r), 200);
    cJSON *answer = cJSON_Parse(r.body.ptr);
    reply_free(&r);
    assert_int_equal(world_call_tcp(w, "GET", path_of(json_text(answer, "answer_id"), ""), header, NULL, &r), 200);
    assert_null(strstr(r.body.ptr, KEY));
    assert_null(strstr(r.body.ptr, "Bearer"));
    reply_free(&r);
    cJSON_Delete(answer);
    assert_int_equal(world_stop(w, SIGTERM), 0);
    free(file);
    world_free(w);
}

/* ---- replay ------------------------------------------------------------------------- */

static void test_daemon_audit__replay_makes_the_same_answer(void **state)
{
    static const char *const modes[] = { "auto", "generate", "extract", "span" };
    static const char *const questions[] = { QUESTION, "What does express shipping cost?", "退货需要几天？", "islands" };
    (void)state;
    for (size_t m = 0; m < sizeof modes / sizeof *modes; m++)
        for (size_t i = 0; i < sizeof questions / sizeof *questions; i++) {
            char more[64];
            snprintf(more, sizeof more, ",\"mode\":\"%s\",\"top_k\":3", modes[m]);
            cJSON *answer = world_ask(the_world, questions[i], more), *again = replay_of(the_world, answer);
            if (!cJSON_IsTrue(json_item(again, "equal")))
                fail_msg("%s: %s", questions[i], json_text(json_item(again, "difference"), "what"));
            assert_true(cJSON_IsTrue(json_item(again, "same_prompt")));
            assert_string_equal(json_text(again, "mode"), json_text(answer, "mode"));
            cJSON_Delete(again);
            cJSON_Delete(answer);
        }
}

static rag_records *open_records(const world *w)
{
    rag_records *records = NULL;
    char *dir = world_path(w, "data");
    rag_records_options opt = { .dir = dir };
    assert_int_equal(rag_records_open(&records, &opt, NULL), RAG_OK);
    free(dir);
    return records;
}

/* Writes the record once more under another id, with the first `from` behind `after` changed to `to`. */
static void tamper(const world *w, const char *id, const char *copy, const char *after, const char *from, const char *to)
{
    rag_record record;
    rag_buf changed;
    rag_arena *arena = rag_arena_new();
    rag_records *records = open_records(w);
    assert_int_equal(rag_records_get(records, rag_str_of(id), arena, &record, NULL), RAG_OK);
    size_t at = rag_str_find(record.audit, rag_str_of(after), 0);
    assert_true(at != SIZE_MAX);
    at = rag_str_find(record.audit, rag_str_of(from), at);
    assert_true(at != SIZE_MAX);
    rag_buf_init(&changed, RAG_MAX_TEXT);
    rag_buf_put(&changed, rag_str_sub(record.audit, 0, at));
    rag_buf_puts(&changed, to);
    rag_buf_put(&changed, rag_str_sub(record.audit, at + strlen(from), record.audit.len));
    record.answer_id = rag_str_of(copy);
    record.audit = rag_buf_str(&changed);
    assert_int_equal(rag_records_put(records, &record, NULL), RAG_OK);
    rag_records_close(records);
    rag_buf_free(&changed);
    rag_arena_free(arena);
}

static cJSON *replay_tampered(const char *mode, const char *copy, const char *after, const char *from, const char *to)
{
    char more[64];
    snprintf(more, sizeof more, ",\"mode\":\"%s\"", mode);
    cJSON *answer = world_ask(the_world, QUESTION, more);
    cJSON_Delete(record_of(the_world, answer));
    tamper(the_world, json_text(answer, "answer_id"), copy, after, from, to);
    cJSON_Delete(answer);
    cJSON *again = world_json(the_world, "POST", path_of(copy, "/replay"), NULL);
    assert_true(cJSON_IsFalse(json_item(again, "equal")));
    return again;
}

static void test_daemon_audit__replay_names_the_first_token_that_differs(void **state)
{
    (void)state;
    cJSON *again = replay_tampered("generate", "a-tampered-token", "\"tokens\":[", "\" days\"", "\" weeks\"");
    const cJSON *d = json_item(again, "difference");
    assert_string_equal(json_text(d, "what"), "token");
    assert_true(json_value(d, "position") > 0);
    assert_string_equal(json_text(json_item(d, "recorded"), "text"), " weeks");
    assert_string_equal(json_text(json_item(d, "replayed"), "text"), " days");
    assert_true(json_value(d, "logprob_gap") == 0);
    cJSON_Delete(again);
}

static void test_daemon_audit__replay_names_the_first_citation_that_differs(void **state)
{
    (void)state;
    cJSON *again = replay_tampered("extract", "a-tampered-quote", "\"response\":", "\"quote\":\"Returns", "\"quote\":\"Refunds");
    const cJSON *d = json_item(again, "difference");
    assert_string_equal(json_text(d, "what"), "citation");
    assert_true(json_value(d, "position") == 0);
    assert_memory_equal(json_text(json_item(d, "recorded"), "quote"), "Refunds", 7);
    assert_memory_equal(json_text(json_item(d, "replayed"), "quote"), "Returns", 7);
    cJSON_Delete(again);
}

static void test_daemon_audit__replay_copes_with_a_record_of_nonsense(void **state)
{
    static const char *const whole[] = { "", "{", "[]", "{}", "{\"generation\":1,\"request\":[]}", NULL };
    (void)state;
    rag_records *records = open_records(the_world);
    for (int i = 0; whole[i]; i++) {
        char id[32];
        reply r;
        snprintf(id, sizeof id, "a-nonsense-%d", i);
        rag_record record = { .answer_id = rag_str_of(id), .collection = RAG_STR("default"), .generation = 1,
                              .audit = rag_str_of(whole[i]) };
        assert_int_equal(rag_records_put(records, &record, NULL), RAG_OK);
        assert_true(world_call(the_world, "POST", path_of(id, "/replay"), NULL, &r) >= 400);
        assert_non_null(strstr(r.body.ptr, "\"error\""));
        reply_free(&r);
    }
    rag_records_close(records);
}

/* A new generation, served. */
static void publish(world *w, int i)
{
    char text[64];
    snprintf(text, sizeof text, "# News\n\nNumber %d came out.\n", i);
    world_write(w, "news.md", text);
    int64_t generation = world_ingest(w, "default", NULL);
    snprintf(text, sizeof text, "/v1/generations/%lld/activate", (long long)generation);
    cJSON_Delete(world_json(w, "POST", text, NULL));
}

static void test_daemon_audit__replay_says_which_generation_it_needs(void **state)
{
    enum { KEPT = 10 };
    (void)state;
    world *w = world_new();
    world_fill(w);
    START(w);
    cJSON *answer = world_ask(w, QUESTION, ",\"mode\":\"extract\"");
    const char *id = json_text(answer, "answer_id");
    publish(w, 0);
    expect_status(w, "POST", path_of(id, "/replay"), 409, "generation_not_served");
    cJSON_Delete(world_json(w, "POST", "/v1/generations/1/activate", NULL));
    cJSON *again = world_json(w, "POST", path_of(id, "/replay"), NULL);
    assert_true(cJSON_IsTrue(json_item(again, "equal")));
    for (int i = 1; i <= KEPT; i++)
        publish(w, i);
    expect_status(w, "POST", path_of(id, "/replay"), 410, "generation_gone");
    cJSON_Delete(again);
    cJSON_Delete(answer);
    assert_int_equal(world_stop(w, SIGTERM), 0);
    world_free(w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_daemon_audit__an_extract_is_written_down),
        cmocka_unit_test(test_daemon_audit__a_generated_answer_is_written_down_with_prompt_and_tokens),
        cmocka_unit_test(test_daemon_audit__a_span_is_written_down_with_what_it_was_chosen_from),
        cmocka_unit_test(test_daemon_audit__a_refusal_is_written_down),
        cmocka_unit_test(test_daemon_audit__streamed_answers_are_written_down_too),
        cmocka_unit_test(test_daemon_audit__a_follow_up_is_written_down_with_what_it_was_taken_for),
        cmocka_unit_test(test_daemon_audit__off_writes_nothing),
        cmocka_unit_test(test_daemon_audit__only_so_many_are_kept),
        cmocka_unit_test(test_daemon_audit__who_may_not_see_everything_finds_no_record),
        cmocka_unit_test(test_daemon_audit__a_record_holds_no_key),
        cmocka_unit_test(test_daemon_audit__replay_makes_the_same_answer),
        cmocka_unit_test(test_daemon_audit__replay_names_the_first_token_that_differs),
        cmocka_unit_test(test_daemon_audit__replay_names_the_first_citation_that_differs),
        cmocka_unit_test(test_daemon_audit__replay_copes_with_a_record_of_nonsense),
        cmocka_unit_test(test_daemon_audit__replay_says_which_generation_it_needs),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
