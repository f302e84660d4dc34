/* tests/test_daemon_ask.c: answers of the running daemon. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "tests/daemon_fixture.h"

enum { MAX_EVENTS = 200 };

static world *the_world; /* one daemon for the tests that leave it as it is */

static const char *const QUESTIONS[] = {
    "How many days do I have to return something?", "What does express shipping cost?", "How long is the warranty?",
    "What happens with damaged goods?",             "退货需要几天？",                   "电池的保修期多长？",
    "islands",
};

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

static void has_keys(const cJSON *object, const char *const *keys)
{
    for (; *keys; keys++)
        if (!cJSON_GetObjectItemCaseSensitive(object, *keys))
            fail_msg("no key '%s'", *keys);
}

/* The bytes that a citation points at, over HTTP. */
static bool quote_is_stored(const world *w, const cJSON *c)
{
    char path[128];
    reply r;
    snprintf(path, sizeof path, "/v1/documents/%.0f/text?start=%.0f&end=%.0f", json_value(c, "document_id"),
             json_value(c, "start"), json_value(c, "end"));
    assert_int_equal(world_call(w, "GET", path, NULL, &r), 200);
    bool same = rag_str_eq(rag_buf_str(&r.body), rag_str_of(json_text(c, "quote")));
    reply_free(&r);
    return same;
}

/* The same bytes in the file that was ingested. */
static bool quote_is_in_file(const world *w, const cJSON *c)
{
    rag_buf file;
    char *docs = world_path(w, "docs"), *path = rag_path_join(docs, json_text(c, "document"));
    rag_buf_init(&file, RAG_MAX_TEXT);
    assert_int_equal(rag_file_read(path, &file, NULL), RAG_OK);
    rag_str bytes = rag_str_sub(rag_buf_str(&file), (size_t)json_value(c, "start"), (size_t)json_value(c, "end"));
    bool same = rag_str_eq(bytes, rag_str_of(json_text(c, "quote")));
    rag_buf_free(&file);
    free(path);
    free(docs);
    return same;
}

static bool has_citation(const cJSON *answer, int n)
{
    const cJSON *c;
    cJSON_ArrayForEach(c, json_item(answer, "citations")) if ((int)json_value(c, "n") == n) return true;
    return false;
}

static void markers_name_citations(const cJSON *answer)
{
    for (const char *at = json_text(answer, "answer"); (at = strchr(at, '[')); at++) {
        int n, end = 0;
        if (sscanf(at, "[%d]%n", &n, &end) == 1 && end > 0)
            assert_true(has_citation(answer, n));
    }
}

static void check_answer(const world *w, const cJSON *a)
{
    static const char *const keys[] = { "answer_id",  "conversation_id", "outcome", "mode",  "answer",     "confidence",
                                        "citations",  "generation",      "model",   "usage", "timings_ms", NULL };
    static const char *const usage[] = { "prompt_tokens", "cached_tokens", "completion_tokens", NULL };
    static const char *const timings[] = { "queue", "embed", "search", "prefill", "decode", "first_token", "total", NULL };
    static const char *const citation[] = { "n",          "document", "document_id", "chunk_id", "title",
                                            "heading",    "page",     "line_start",  "line_end", "start",
                                            "end",        "quote",    "verified",    "score",    NULL };
    const cJSON *c;
    has_keys(a, keys);
    has_keys(json_item(a, "usage"), usage);
    has_keys(json_item(a, "timings_ms"), timings);
    cJSON_ArrayForEach(c, json_item(a, "citations"))
    {
        has_keys(c, citation);
        assert_true(cJSON_IsTrue(json_item(c, "verified")));
        assert_true(quote_is_stored(w, c));
        assert_true(quote_is_in_file(w, c));
    }
    markers_name_citations(a);
}

static void test_daemon_ask__answers_with_quotes_that_are_the_stored_bytes(void **state)
{
    static const char *const modes[] = { "auto", "generate", "extract", "span" };
    (void)state;
    for (size_t m = 0; m < sizeof modes / sizeof *modes; m++)
        for (size_t i = 0; i < sizeof QUESTIONS / sizeof *QUESTIONS; i++) {
            char more[64];
            snprintf(more, sizeof more, ",\"mode\":\"%s\"", modes[m]);
            cJSON *a = world_ask(the_world, QUESTIONS[i], more);
            check_answer(the_world, a);
            assert_string_equal(json_text(a, "outcome"), "answered");
            assert_true(cJSON_GetArraySize(json_item(a, "citations")) > 0);
            cJSON_Delete(a);
        }
}

static void test_daemon_ask__says_how_the_answer_was_made(void **state)
{
    (void)state;
    cJSON *a = world_ask(the_world, QUESTIONS[0], ",\"mode\":\"extract\"");
    assert_string_equal(json_text(a, "mode"), "extract");
    assert_string_equal(json_text(a, "model"), "fake-embedder");
    assert_true(json_value(json_item(a, "usage"), "completion_tokens") == 0);
    assert_non_null(strstr(json_text(a, "answer"), "30 days"));
    cJSON_Delete(a);
    a = world_ask(the_world, QUESTIONS[0], ",\"mode\":\"generate\"");
    assert_string_equal(json_text(a, "mode"), "generate");
    assert_string_equal(json_text(a, "model"), "fake-decoder");
    assert_true(json_value(json_item(a, "usage"), "completion_tokens") > 0);
    cJSON_Delete(a);
    a = world_ask(the_world, QUESTIONS[0], ",\"mode\":\"span\"");
    assert_string_equal(json_text(a, "mode"), "span");
    cJSON_Delete(a);
}

static void test_daemon_ask__echoes_the_conversation_or_names_a_new_one(void **state)
{
    (void)state;
    cJSON *a = world_ask(the_world, "warranty", ",\"conversation_id\":\"c \\u00e9\"");
    cJSON *b = world_ask(the_world, "warranty", "");
    cJSON *c = world_ask(the_world, "warranty", "");
    assert_string_equal(json_text(a, "conversation_id"), "c \xC3\xA9");
    assert_true(strlen(json_text(b, "conversation_id")) > 8);
    assert_string_not_equal(json_text(b, "conversation_id"), json_text(c, "conversation_id"));
    assert_string_not_equal(json_text(b, "answer_id"), json_text(c, "answer_id"));
    cJSON_Delete(a);
    cJSON_Delete(b);
    cJSON_Delete(c);
}

/* ---- streams ------------------------------------------------------------------------ */

static size_t stream(const world *w, const char *body, sse_event *events)
{
    reply r;
    assert_int_equal(world_call(w, "POST", "/v1/ask", body, &r), 200);
    assert_string_equal(reply_header(&r, "Content-Type"), "text/event-stream");
    size_t n = sse_parse(rag_buf_str(&r.body), events, MAX_EVENTS);
    reply_free(&r);
    return n;
}

/* The place of an event in meta → sources → draft → delta → citation → done. */
static int place(const char *name)
{
    static const char *const order[] = { "meta", "sources", "draft", "delta", "citation", "done" };
    for (int i = 0; i < 6; i++)
        if (strcmp(name, order[i]) == 0)
            return i;
    fail_msg("unexpected event '%s'", name);
    return -1;
}

static size_t count(const sse_event *events, size_t n, const char *name)
{
    size_t found = 0;
    for (size_t i = 0; i < n; i++)
        found += strcmp(events[i].name, name) == 0;
    return found;
}

static const cJSON *data_of(const sse_event *events, size_t n, const char *name)
{
    for (size_t i = 0; i < n; i++)
        if (strcmp(events[i].name, name) == 0)
            return events[i].data;
    fail_msg("no event '%s'", name);
    return NULL;
}

static char *joined_deltas(const sse_event *events, size_t n)
{
    rag_buf b;
    rag_buf_init(&b, RAG_MAX_LINE);
    for (size_t i = 0; i < n; i++)
        if (strcmp(events[i].name, "delta") == 0)
            rag_buf_puts(&b, json_text(events[i].data, "text"));
    return rag_buf_detach(&b);
}

static void check_stream(const char *mode, const char *question)
{
    char body[512];
    sse_event events[MAX_EVENTS];
    snprintf(body, sizeof body, "{\"question\":\"%s\",\"mode\":\"%s\",\"stream\":true}", question, mode);
    size_t n = stream(the_world, body, events);
    for (size_t i = 1; i < n; i++)
        assert_true(place(events[i - 1].name) <= place(events[i].name));
    const cJSON *done = data_of(events, n, "done"), *sources = json_item(data_of(events, n, "sources"), "sources");
    assert_int_equal(count(events, n, "meta"), 1);
    assert_int_equal(count(events, n, "sources"), 1);
    assert_int_equal(count(events, n, "draft"), strcmp(mode, "auto") == 0);
    assert_int_equal(count(events, n, "done"), 1);
    assert_true(cJSON_GetArraySize(sources) > 0);
    assert_string_equal(json_text(data_of(events, n, "meta"), "answer_id"), json_text(done, "answer_id"));
    assert_int_equal(count(events, n, "citation"), cJSON_GetArraySize(json_item(done, "citations")));
    check_answer(the_world, done);
    char *text = joined_deltas(events, n);
    assert_string_equal(text, json_text(done, "answer"));
    free(text);
    sse_free(events, n);
}

static void test_daemon_ask__streams_events_in_order(void **state)
{
    static const char *const modes[] = { "auto", "generate", "extract" };
    (void)state;
    for (size_t m = 0; m < sizeof modes / sizeof *modes; m++)
        for (size_t i = 0; i < sizeof QUESTIONS / sizeof *QUESTIONS; i++)
            check_stream(modes[m], QUESTIONS[i]);
}

static void test_daemon_ask__draft_is_the_extract_with_its_citations(void **state)
{
    sse_event events[MAX_EVENTS];
    (void)state;
    size_t n = stream(the_world, "{\"question\":\"How long is the warranty?\",\"stream\":true}", events);
    const cJSON *draft = data_of(events, n, "draft"), *c;
    cJSON *extract = world_ask(the_world, "How long is the warranty?", ",\"mode\":\"extract\"");
    assert_string_equal(json_text(draft, "text"), json_text(extract, "answer"));
    assert_true(cJSON_GetArraySize(json_item(draft, "citations")) > 0);
    cJSON_ArrayForEach(c, json_item(draft, "citations")) assert_true(quote_is_stored(the_world, c));
    cJSON_Delete(extract);
    sse_free(events, n);
}

static void test_daemon_ask__a_stream_that_fails_early_has_its_status(void **state)
{
    reply r;
    (void)state;
    world_call(the_world, "POST", "/v1/ask", "{\"question\":\"x\",\"collection\":\"nowhere\",\"stream\":true}", &r);
    assert_int_equal(r.status, 404);
    check_error(&r, "not_found_error", "collection_not_found");
    reply_free(&r);
}

/* A stream whose passages are more than the daemon keeps for one client; returns the connection. */
static int ask_for_much(const world *w)
{
    static const char body[] = "{\"question\":\"Where is the lighthouse?\",\"top_k\":100,\"explain\":true,\"stream\":true}";
    char request[512];
    int fd = world_dial(w);
    snprintf(request, sizeof request,
             "POST /v1/ask HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: %zu\r\n\r\n%s",
             sizeof body - 1, body);
    send_text(fd, request);
    return fd;
}

static double asks_under_way(const world *w)
{
    cJSON *status = world_json(w, "GET", "/v1/status", NULL);
    double n = json_value(json_item(status, "queue"), "asks");
    cJSON_Delete(status);
    return n;
}

static void write_much(world *w)
{
    for (int i = 0; i < 110; i++) {
        char name[32];
        rag_buf text;
        rag_buf_init(&text, RAG_MAX_TEXT);
        for (int k = 0; k < 60; k++)
            rag_buf_putf(&text, "Lighthouse%d internationaltransportationinfrastructureadministration%d lighthouse "
                                "electroencephalographicallyilluminatedheadquarters%d. ", k, i, k);
        snprintf(name, sizeof name, "notice%d.txt", i);
        world_write(w, name, text.ptr);
        rag_buf_free(&text);
    }
    world_ingest(w, "default", NULL);
}

static void test_daemon_ask__a_slow_reader_gets_everything_and_one_that_leaves_nothing(void **state)
{
    sse_event events[MAX_EVENTS];
    reply r;
    world *w = world_new();
    (void)state;
    write_much(w);
    START(w);
    int fd = ask_for_much(w);
    usleep(300 * 1000);
    read_reply(fd, &r, false);
    close(fd);
    assert_int_equal(r.status, 200);
    assert_true(r.body.len > 5 * HTTP_STREAM_HIGH);
    size_t n = sse_parse(rag_buf_str(&r.body), events, MAX_EVENTS);
    assert_string_equal(events[n - 1].name, "done");
    assert_int_equal(cJSON_GetArraySize(json_item(json_item(events[n - 1].data, "explain"), "passages")), 100);
    sse_free(events, n);
    reply_free(&r);
    fd = ask_for_much(w);
    usleep(300 * 1000);
    close(fd);
    for (double until = rag_clock_ms() + 20000; asks_under_way(w) > 0;)
        assert_true(rag_clock_ms() < until);
    assert_int_equal(world_stop(w, SIGTERM), 0);
    world_free(w);
}

static void test_daemon_ask__a_span_stands_in_the_sentence_that_it_cites(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof QUESTIONS / sizeof *QUESTIONS; i++) {
        cJSON *a = world_ask(the_world, QUESTIONS[i], ",\"mode\":\"span\"");
        const char *answer = json_text(a, "answer"), *marker = strstr(answer, " [1]");
        const char *quote = json_text(cJSON_GetArrayItem(json_item(a, "citations"), 0), "quote");
        assert_string_equal(json_text(a, "mode"), "span");
        assert_string_equal(json_text(a, "model"), "fake-decoder");
        assert_int_equal(cJSON_GetArraySize(json_item(a, "citations")), 1);
        assert_non_null(marker);
        assert_string_equal(marker, " [1]");
        char *span = rag_strndup((rag_str){ answer, (size_t)(marker - answer) });
        assert_non_null(strstr(quote, span));
        assert_true(strlen(span) > 0);
        assert_null(cJSON_GetObjectItemCaseSensitive(a, "degraded"));
        free(span);
        cJSON_Delete(a);
    }
}

static double runtime_buffers(const world *w)
{
    cJSON *status = world_json(w, "GET", "/v1/status", NULL);
    double bytes = json_value(json_item(status, "memory"), "runtime_buffers");
    cJSON_Delete(status);
    return bytes;
}

static void test_daemon_ask__the_memory_of_spans_is_told(void **state)
{
    (void)state;
    world *w = world_new();
    world_fill(w);
    START(w);
    cJSON_Delete(world_ask(w, QUESTIONS[0], ",\"mode\":\"generate\""));
    double before = runtime_buffers(w);
    cJSON_Delete(world_ask(w, QUESTIONS[0], ",\"mode\":\"span\""));
    assert_true(runtime_buffers(w) > before);
    assert_int_equal(world_stop(w, SIGTERM), 0);
    world_free(w);
}

/* ---- conversations ------------------------------------------------------------------ */

static void test_daemon_ask__a_follow_up_is_resolved_with_the_turns_before(void **state)
{
    (void)state;
    cJSON *first = world_ask(the_world, "What does express shipping cost?", ",\"conversation_id\":\"follow\"");
    cJSON *again = world_ask(the_world, "How long does it take?", ",\"conversation_id\":\"follow\",\"explain\":true");
    cJSON *other = world_ask(the_world, "How long does it take?", ",\"conversation_id\":\"another\"");
    const char *resolved = json_text(again, "resolved_question");
    assert_null(cJSON_GetObjectItemCaseSensitive(first, "resolved_question"));
    assert_null(cJSON_GetObjectItemCaseSensitive(other, "resolved_question"));
    assert_non_null(strstr(resolved, "express shipping"));
    assert_string_not_equal(json_text(json_item(again, "explain"), "followup"), "none");
    cJSON *c = world_json(the_world, "GET", "/v1/conversations/follow", NULL);
    cJSON *turns = json_item(c, "turns"), *second = cJSON_GetArrayItem(turns, 1);
    assert_int_equal(cJSON_GetArraySize(turns), 2);
    assert_string_equal(json_text(second, "question"), "How long does it take?");
    assert_string_equal(json_text(second, "resolved_question"), resolved);
    assert_string_equal(json_text(second, "answer"), json_text(again, "answer"));
    assert_string_equal(json_text(second, "answer_id"), json_text(again, "answer_id"));
    assert_true(cJSON_GetArraySize(json_item(second, "documents")) > 0);
    cJSON_Delete(first);
    cJSON_Delete(again);
    cJSON_Delete(other);
    cJSON_Delete(c);
}

static void test_daemon_ask__what_is_searched_for_is_the_resolved_question(void **state)
{
    (void)state;
    cJSON_Delete(world_ask(the_world, "What does express shipping cost?", ",\"conversation_id\":\"s\",\"mode\":\"extract\""));
    cJSON *a = world_ask(the_world, "How long does it take?", ",\"conversation_id\":\"s\",\"mode\":\"extract\"");
    cJSON *b = world_ask(the_world, json_text(a, "resolved_question"), ",\"mode\":\"extract\"");
    assert_string_equal(json_text(a, "answer"), json_text(b, "answer"));
    assert_true(json_value(a, "confidence") == json_value(b, "confidence"));
    cJSON_Delete(a);
    cJSON_Delete(b);
}

static void test_daemon_ask__the_next_question_finds_the_turn_of_a_stream(void **state)
{
    reply r;
    (void)state;
    world_call(the_world, "POST", "/v1/ask",
               "{\"question\":\"What does express shipping cost?\",\"conversation_id\":\"streamed\",\"stream\":true}", &r);
    reply_free(&r);
    cJSON *a = world_ask(the_world, "How long does it take?", ",\"conversation_id\":\"streamed\"");
    assert_non_null(cJSON_GetObjectItemCaseSensitive(a, "resolved_question"));
    cJSON_Delete(a);
}

static int status_of(const world *w, const char *method, const char *path, const char *body, bool tcp, const char *code)
{
    reply r;
    int status = tcp ? world_call_tcp(w, method, path, "", body, &r) : world_call(w, method, path, body, &r);
    if (code)
        assert_non_null(strstr(r.body.ptr, code));
    reply_free(&r);
    return status;
}

static void test_daemon_ask__another_callers_conversation_is_not_found(void **state)
{
    static const char body[] = "{\"question\":\"warranty\",\"conversation_id\":\"mine\"}";
    static const char code[] = "conversation_not_found", path[] = "/v1/conversations/mine";
    (void)state;
    assert_int_equal(status_of(the_world, "POST", "/v1/ask", body, false, NULL), 200);
    assert_int_equal(status_of(the_world, "POST", "/v1/ask", body, true, code), 404);
    assert_int_equal(status_of(the_world, "GET", path, NULL, true, code), 404);
    assert_int_equal(status_of(the_world, "DELETE", path, NULL, true, code), 404);
    assert_int_equal(status_of(the_world, "GET", path, NULL, false, NULL), 200);
    assert_int_equal(status_of(the_world, "POST", path, NULL, false, NULL), 405);
}

static void test_daemon_ask__keys_are_callers_of_their_own(void **state)
{
    static const char body[] = "{\"question\":\"warranty\",\"conversation_id\":\"k\"}";
    reply r;
    world *w = world_new();
    char *keys = world_path(w, "keys"), option[160];
    (void)state;
    world_fill(w);
    FILE *f = fopen(keys, "w");
    fputs("one\ntwo\n", f);
    fclose(f);
    snprintf(option, sizeof option, "http.key_file=%s", keys);
    START(w, "--set", option);
    assert_int_equal(world_call_tcp(w, "POST", "/v1/ask", "Authorization: Bearer one\r\n", body, &r), 200);
    reply_free(&r);
    assert_int_equal(world_call_tcp(w, "POST", "/v1/ask", "Authorization: Bearer two\r\n", body, &r), 404);
    reply_free(&r);
    assert_int_equal(world_call_tcp(w, "GET", "/v1/conversations/k", "Authorization: Bearer one\r\n", NULL, &r), 200);
    reply_free(&r);
    assert_int_equal(world_stop(w, SIGTERM), 0);
    free(keys);
    world_free(w);
}

static void test_daemon_ask__a_deleted_conversation_is_forgotten(void **state)
{
    (void)state;
    cJSON_Delete(world_ask(the_world, "What does express shipping cost?", ",\"conversation_id\":\"gone\""));
    cJSON *deleted = world_json(the_world, "DELETE", "/v1/conversations/gone", NULL);
    assert_true(cJSON_IsTrue(json_item(deleted, "deleted")));
    assert_int_equal(status_of(the_world, "GET", "/v1/conversations/gone", NULL, false, "conversation_not_found"), 404);
    assert_int_equal(status_of(the_world, "DELETE", "/v1/conversations/gone", NULL, false, NULL), 404);
    cJSON *a = world_ask(the_world, "How long does it take?", ",\"conversation_id\":\"gone\"");
    assert_null(cJSON_GetObjectItemCaseSensitive(a, "resolved_question"));
    cJSON_Delete(deleted);
    cJSON_Delete(a);
}

static void test_daemon_ask__conversations_outlive_a_restart_and_damage_only_loses_them(void **state)
{
    world *w = world_new();
    char *db = world_path(w, "data/state.db");
    (void)state;
    world_fill(w);
    START(w);
    cJSON_Delete(world_ask(w, "What does express shipping cost?", ",\"conversation_id\":\"c\""));
    assert_int_equal(world_stop(w, SIGTERM), 0);
    START(w);
    cJSON *a = world_ask(w, "How long does it take?", ",\"conversation_id\":\"c\"");
    assert_non_null(cJSON_GetObjectItemCaseSensitive(a, "resolved_question"));
    cJSON_Delete(a);
    assert_int_equal(world_stop(w, SIGTERM), 0);
    FILE *f = fopen(db, "w");
    for (int i = 0; i < 100; i++)
        fputs("this is no database\n", f);
    fclose(f);
    START(w);
    assert_true(world_log_has(w, "state.db.damaged"));
    a = world_ask(w, "How long does it take?", ",\"conversation_id\":\"c\"");
    assert_null(cJSON_GetObjectItemCaseSensitive(a, "resolved_question"));
    cJSON_Delete(a);
    cJSON_Delete(world_json(w, "GET", "/v1/conversations/c", NULL));
    assert_int_equal(world_stop(w, SIGTERM), 0);
    free(db);
    world_free(w);
}

static void test_daemon_ask__without_turns_every_question_stands_alone(void **state)
{
    world *w = world_new();
    (void)state;
    world_fill(w);
    START(w, "--set", "conversation.turns=0");
    cJSON_Delete(world_ask(w, "What does express shipping cost?", ",\"conversation_id\":\"c\""));
    cJSON *a = world_ask(w, "How long does it take?", ",\"conversation_id\":\"c\"");
    assert_null(cJSON_GetObjectItemCaseSensitive(a, "resolved_question"));
    assert_int_equal(status_of(w, "GET", "/v1/conversations/c", NULL, false, NULL), 404);
    cJSON_Delete(a);
    assert_int_equal(world_stop(w, SIGTERM), 0);
    world_free(w);
}

/* ---- what is not there -------------------------------------------------------------- */

static void test_daemon_ask__empty_knowledge_base_refuses_politely(void **state)
{
    world *w = world_new();
    (void)state;
    START(w);
    cJSON *found = world_search(w, "anything", "");
    assert_int_equal(cJSON_GetArraySize(json_item(found, "results")), 0);
    assert_true(json_value(found, "generation") == 0);
    cJSON_Delete(found);
    cJSON *en = world_ask(w, "What is it?", ""), *zh = world_ask(w, "这是什么？", ",\"mode\":\"generate\"");
    assert_string_equal(json_text(en, "outcome"), "refused");
    assert_string_equal(json_text(zh, "outcome"), "refused");
    assert_true(strlen(json_text(en, "answer")) > 0);
    assert_string_not_equal(json_text(en, "answer"), json_text(zh, "answer"));
    check_answer(w, en);
    check_answer(w, zh);
    cJSON_Delete(en);
    cJSON_Delete(zh);
    assert_int_equal(world_stop(w, SIGTERM), 0);
    world_free(w);
}

static void test_daemon_ask__without_a_decoder_auto_extracts_and_generate_is_503(void **state)
{
    static const char *const decoders[] = { "models.decoder=none", "models.decoder=/x/missing.gguf" };
    (void)state;
    for (size_t i = 0; i < 2; i++) {
        reply r;
        world *w = world_new();
        world_fill(w);
        START(w, "--set", decoders[i]);
        if (i == 1)
            assert_true(world_log_gets(w, "no decoder"));
        cJSON *a = world_ask(w, QUESTIONS[0], "");
        assert_string_equal(json_text(a, "mode"), "extract");
        assert_string_equal(json_text(a, "degraded"), i == 0 ? "decoder_absent" : "decoder_failed");
        cJSON_Delete(a);
        a = world_ask(w, QUESTIONS[0], ",\"mode\":\"span\"");
        assert_string_equal(json_text(a, "mode"), "extract");
        assert_string_equal(json_text(a, "degraded"), i == 0 ? "decoder_absent" : "decoder_failed");
        cJSON_Delete(a);
        a = world_ask(w, QUESTIONS[0], ",\"mode\":\"extract\"");
        assert_null(cJSON_GetObjectItemCaseSensitive(a, "degraded"));
        cJSON_Delete(a);
        world_call(w, "POST", "/v1/ask", "{\"question\":\"x\",\"mode\":\"generate\"}", &r);
        assert_int_equal(r.status, 503);
        check_error(&r, "overloaded_error", "decoder_unavailable");
        reply_free(&r);
        assert_int_equal(world_stop(w, SIGTERM), 0);
        world_free(w);
    }
}

static void test_daemon_ask__while_the_decoder_loads_auto_extracts_and_generate_waits(void **state)
{
    world *w = world_new();
    (void)state;
    world_fill(w);
    setenv("RAGD_FAKE_LLM_OPEN_MS", "1500", 1);
    START(w);
    unsetenv("RAGD_FAKE_LLM_OPEN_MS");
    cJSON *health = world_json(w, "GET", "/readyz", NULL);
    assert_string_equal(json_text(health, "decoder"), "loading");
    cJSON *a = world_ask(w, QUESTIONS[0], "");
    cJSON *late = world_ask(w, QUESTIONS[0], ",\"mode\":\"generate\",\"deadline_ms\":50");
    cJSON *g = world_ask(w, QUESTIONS[0], ",\"mode\":\"generate\"");
    assert_string_equal(json_text(a, "mode"), "extract");
    assert_string_equal(json_text(a, "degraded"), "decoder_loading");
    assert_string_equal(json_text(late, "mode"), "extract");
    assert_string_equal(json_text(late, "degraded"), "deadline");
    assert_null(cJSON_GetObjectItemCaseSensitive(g, "degraded"));
    assert_string_equal(json_text(g, "mode"), "generate");
    cJSON_Delete(health);
    cJSON_Delete(late);
    cJSON_Delete(a);
    cJSON_Delete(g);
    assert_int_equal(world_stop(w, SIGTERM), 0);
    world_free(w);
}

static void test_daemon_ask__sends_the_extract_when_the_deadline_is_over(void **state)
{
    world *w = world_new();
    (void)state;
    world_fill(w);
    setenv("RAGD_FAKE_LLM_DELAY_MS", "60000", 1);
    START(w);
    unsetenv("RAGD_FAKE_LLM_DELAY_MS");
    double start = rag_clock_ms();
    cJSON *a = world_ask(w, QUESTIONS[0], ",\"mode\":\"generate\",\"deadline_ms\":200");
    assert_true(rag_clock_ms() - start < 30000); /* one step of the decoder takes 60 s */
    assert_string_equal(json_text(a, "mode"), "extract");
    assert_string_equal(json_text(a, "degraded"), "deadline");
    check_answer(w, a);
    cJSON_Delete(a);
    a = world_ask(w, QUESTIONS[0], ",\"deadline_ms\":1");
    assert_string_equal(json_text(a, "mode"), "extract");
    assert_string_equal(json_text(a, "outcome"), "answered");
    assert_string_equal(json_text(a, "degraded"), "deadline");
    cJSON_Delete(a);
    assert_int_equal(world_stop(w, SIGTERM), 0);
    world_free(w);
}

static void test_daemon_ask__refuses_below_the_wanted_confidence(void **state)
{
    world *w = world_new();
    (void)state;
    world_fill(w);
    START(w, "--set", "answer.refuse_below=1");
    cJSON *a = world_ask(w, "Who wrote the symphony about islands?", "");
    assert_string_equal(json_text(a, "outcome"), "refused");
    check_answer(w, a);
    cJSON_Delete(a);
    assert_int_equal(world_stop(w, SIGTERM), 0);
    world_free(w);
}

static void test_daemon_ask__between_the_thresholds_an_answer_needs_review(void **state)
{
    world *w = world_new();
    (void)state;
    world_fill(w);
    START(w, "--set", "answer.review_below=1");
    cJSON *a = world_ask(w, QUESTIONS[0], "");
    assert_string_equal(json_text(a, "outcome"), "answered");
    assert_true(cJSON_IsTrue(json_item(a, "needs_review")));
    cJSON_Delete(a);
    assert_int_equal(world_stop(w, SIGTERM), 0);
    START(w, "--set", "answer.review_below=0");
    a = world_ask(w, QUESTIONS[0], "");
    assert_true(cJSON_IsFalse(json_item(a, "needs_review")));
    cJSON_Delete(a);
    assert_int_equal(world_stop(w, SIGTERM), 0);
    START(w, "--set", "answer.review_below=1", "--set", "answer.refuse_below=1");
    a = world_ask(w, "Who wrote the symphony about islands?", "");
    assert_string_equal(json_text(a, "outcome"), "refused");
    assert_true(cJSON_IsFalse(json_item(a, "needs_review")));
    cJSON_Delete(a);
    assert_int_equal(world_stop(w, SIGTERM), 0);
    world_free(w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_daemon_ask__answers_with_quotes_that_are_the_stored_bytes),
        cmocka_unit_test(test_daemon_ask__says_how_the_answer_was_made),
        cmocka_unit_test(test_daemon_ask__echoes_the_conversation_or_names_a_new_one),
        cmocka_unit_test(test_daemon_ask__streams_events_in_order),
        cmocka_unit_test(test_daemon_ask__draft_is_the_extract_with_its_citations),
        cmocka_unit_test(test_daemon_ask__a_stream_that_fails_early_has_its_status),
        cmocka_unit_test(test_daemon_ask__a_slow_reader_gets_everything_and_one_that_leaves_nothing),
        cmocka_unit_test(test_daemon_ask__a_span_stands_in_the_sentence_that_it_cites),
        cmocka_unit_test(test_daemon_ask__the_memory_of_spans_is_told),
        cmocka_unit_test(test_daemon_ask__a_follow_up_is_resolved_with_the_turns_before),
        cmocka_unit_test(test_daemon_ask__what_is_searched_for_is_the_resolved_question),
        cmocka_unit_test(test_daemon_ask__the_next_question_finds_the_turn_of_a_stream),
        cmocka_unit_test(test_daemon_ask__another_callers_conversation_is_not_found),
        cmocka_unit_test(test_daemon_ask__keys_are_callers_of_their_own),
        cmocka_unit_test(test_daemon_ask__a_deleted_conversation_is_forgotten),
        cmocka_unit_test(test_daemon_ask__conversations_outlive_a_restart_and_damage_only_loses_them),
        cmocka_unit_test(test_daemon_ask__without_turns_every_question_stands_alone),
        cmocka_unit_test(test_daemon_ask__empty_knowledge_base_refuses_politely),
        cmocka_unit_test(test_daemon_ask__without_a_decoder_auto_extracts_and_generate_is_503),
        cmocka_unit_test(test_daemon_ask__while_the_decoder_loads_auto_extracts_and_generate_waits),
        cmocka_unit_test(test_daemon_ask__sends_the_extract_when_the_deadline_is_over),
        cmocka_unit_test(test_daemon_ask__between_the_thresholds_an_answer_needs_review),
        cmocka_unit_test(test_daemon_ask__refuses_below_the_wanted_confidence),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
