/* tests/test_daemon_rerank.c: the running daemon with a reranker that reverses what it sees (rerank_fake.c). */
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "tests/daemon_fixture.h"

enum { N_DOCUMENTS = 12, PATIENCE_MS = 20000 };

#define RERANKER "--set", "models.reranker=reverse.gguf"

/* Each is one passage, and all but one of their words differ. */
static const char *const TEXTS[N_DOCUMENTS] = {
    "A kettle boils water for tea in three minutes.",
    "Copper pans want a kettle beside them, said grandmother Agnes while she polished silver spoons.",
    "Kettle drums thunder behind violins when orchestras play marches.",
    "Whistling tells cooks that their kettle has finished heating.",
    "Geologists call a hollow left by melting glaciers a kettle hole.",
    "Mountaineers carry one light kettle, ropes, boots and dried fruit.",
    "Limescale inside any kettle dissolves overnight under vinegar.",
    "Auctioneers sold an antique kettle from Delft to collectors yesterday.",
    "Police surrounded demonstrators; newspapers named this tactic a kettle.",
    "Electric models switch off automatically once their kettle reaches boiling point.",
    "Fishermen store bait inside rusty kettle lids along windy harbours.",
    "Error E-4012 means that the thermostat of the kettle is broken.",
};

static const char QUERY[] = "kettle water tea boils minutes";

static world *world_with_kettles(void)
{
    world *w = world_new();
    for (int i = 0; i < N_DOCUMENTS; i++) {
        char name[32];
        snprintf(name, sizeof name, "k%02d.md", i);
        world_write(w, name, TEXTS[i]);
    }
    world_ingest(w, "default", NULL);
    return w;
}

static void end(world *w)
{
    assert_int_equal(world_stop(w, SIGTERM), 0);
    world_free(w);
}

static bool reranker_is(const world *w, const char *state)
{
    cJSON *status = world_json(w, "GET", "/v1/status", NULL);
    bool same = strcmp(json_text(json_item(status, "models"), "reranker_state"), state) == 0;
    cJSON_Delete(status);
    return same;
}

static void wait_for_reranker(const world *w)
{
    double until = rag_clock_ms() + PATIENCE_MS;
    while (!reranker_is(w, "ready")) {
        assert_true(rag_clock_ms() < until);
        usleep(10000);
    }
}

/* With what the environment of the fake says. */
#define START_RERANKING(w, ...) (START(w, RERANKER, "--set", "search.rerank_budget=1h" __VA_OPT__(,) __VA_ARGS__), wait_for_reranker(w))

static const cJSON *result(const cJSON *found, int i)
{
    const cJSON *r = cJSON_GetArrayItem(json_item(found, "results"), i);
    assert_non_null(r);
    return r;
}

static void assert_same_hit(const cJSON *a, int i, const cJSON *b, int k)
{
    assert_string_equal(json_text(result(a, i), "document"), json_text(result(b, k), "document"));
}

static bool has_rerank_score(const cJSON *hit)
{
    return cJSON_IsNumber(cJSON_GetObjectItemCaseSensitive(json_item(hit, "explain"), "rerank_score"));
}

static int count_scored(const cJSON *found)
{
    int n = 0;
    for (int i = 0; i < cJSON_GetArraySize(json_item(found, "results")); i++)
        n += has_rerank_score(result(found, i));
    return n;
}

/* What the same search gives without a reranker. */
static cJSON *search_without(world *w, const char *more)
{
    START(w);
    cJSON *found = world_search(w, QUERY, more);
    assert_int_equal(world_stop(w, SIGTERM), 0);
    return found;
}

/* ---- order -------------------------------------------------------------------------- */

static void test_daemon_rerank__reorders_the_first_hits_and_no_others(void **state)
{
    static const int order[] = { 3, 2, 1, 0, 4, 5, 6, 7 };
    (void)state;
    world *w = world_with_kettles();
    cJSON *before = search_without(w, ",\"top_k\":8,\"explain\":true");
    START_RERANKING(w, "--set", "search.rerank=4");
    cJSON *after = world_search(w, QUERY, ",\"top_k\":8,\"explain\":true");
    assert_int_equal(cJSON_GetArraySize(json_item(after, "results")), 8);
    for (int i = 0; i < 8; i++) {
        assert_same_hit(after, i, before, order[i]);
        assert_int_equal((int)json_value(result(after, i), "rank"), i + 1);
        assert_true(has_rerank_score(result(after, i)) == (i < 4));
        assert_false(has_rerank_score(result(before, i)));
        assert_true(i == 0 || json_value(result(after, i), "score") <= json_value(result(after, i - 1), "score"));
    }
    assert_true(json_value(result(after, 0), "score") == 4);
    assert_true(json_value(json_item(result(after, 0), "explain"), "rerank_score") == 4);
    cJSON_Delete(before);
    cJSON_Delete(after);
    end(w);
}

static void test_daemon_rerank__hits_from_below_top_k_come_up(void **state)
{
    (void)state;
    world *w = world_with_kettles();
    cJSON *before = search_without(w, ",\"top_k\":10");
    START_RERANKING(w, "--set", "search.rerank=10");
    cJSON *after = world_search(w, QUERY, ",\"top_k\":2");
    assert_int_equal(cJSON_GetArraySize(json_item(after, "results")), 2);
    assert_same_hit(after, 0, before, 9);
    assert_same_hit(after, 1, before, 8);
    cJSON_Delete(before);
    cJSON_Delete(after);
    end(w);
}

static void test_daemon_rerank__serves_every_mode_of_a_search(void **state)
{
    static const char *const modes[] = { "hybrid", "vector", "text" };
    cJSON *before[3];
    char more[64];
    (void)state;
    world *w = world_with_kettles();
    START(w);
    for (int i = 0; i < 3; i++) {
        snprintf(more, sizeof more, ",\"top_k\":4,\"mode\":\"%s\"", modes[i]);
        before[i] = world_search(w, QUERY, more);
    }
    assert_int_equal(world_stop(w, SIGTERM), 0);
    START_RERANKING(w, "--set", "search.rerank=4");
    for (int i = 0; i < 3; i++) {
        snprintf(more, sizeof more, ",\"top_k\":4,\"mode\":\"%s\"", modes[i]);
        cJSON *after = world_search(w, QUERY, more);
        for (int k = 0; k < 4; k++)
            assert_same_hit(after, k, before[i], 3 - k);
        cJSON_Delete(after);
        cJSON_Delete(before[i]);
    }
    end(w);
}

static const cJSON *passage(const cJSON *answer, int i)
{
    return cJSON_GetArrayItem(json_item(json_item(answer, "explain"), "passages"), i);
}

static void test_daemon_rerank__an_answers_passages_are_reordered(void **state)
{
    const char *more = ",\"mode\":\"extract\",\"top_k\":3,\"explain\":true";
    (void)state;
    world *w = world_with_kettles();
    START(w);
    cJSON *before = world_ask(w, QUERY, more);
    assert_int_equal(world_stop(w, SIGTERM), 0);
    START_RERANKING(w, "--set", "search.rerank=3");
    cJSON *after = world_ask(w, QUERY, more);
    for (int i = 0; i < 3; i++)
        assert_string_equal(json_text(passage(after, i), "document"), json_text(passage(before, 2 - i), "document"));
    assert_true(json_value(json_item(after, "timings_ms"), "rerank") >= 0);
    assert_null(cJSON_GetObjectItemCaseSensitive(json_item(before, "timings_ms"), "rerank"));
    double confidence = json_value(after, "confidence");
    assert_true(confidence >= 0 && confidence <= 1);
    cJSON_Delete(before);
    cJSON_Delete(after);
    end(w);
}

static void test_daemon_rerank__an_exact_string_stays_among_the_results(void **state)
{
    (void)state;
    world *w = world_with_kettles();
    START_RERANKING(w, "--set", "search.rerank=12");
    cJSON *found = world_search(w, "kettle E-4012", ",\"top_k\":3");
    bool is_there = false;
    assert_int_equal(cJSON_GetArraySize(json_item(found, "results")), 3);
    for (int i = 0; i < 3; i++)
        is_there = is_there || strstr(json_text(result(found, i), "text"), "E-4012");
    assert_true(is_there);
    cJSON_Delete(found);
    end(w);
}

static void test_daemon_rerank__nothing_found_is_nothing_to_score(void **state)
{
    (void)state;
    world *w = world_new();
    START_RERANKING(w);
    cJSON *found = world_search(w, QUERY, "");
    assert_int_equal(cJSON_GetArraySize(json_item(found, "results")), 0);
    cJSON_Delete(found);
    end(w);
}

/* ---- time --------------------------------------------------------------------------- */

/* The best n of `before` reversed, then the others. */
static void assert_first_reversed(const cJSON *after, const cJSON *before, int n)
{
    for (int i = 0; i < cJSON_GetArraySize(json_item(after, "results")); i++)
        assert_same_hit(after, i, before, i < n ? n - 1 - i : i);
    assert_int_equal(count_scored(after), n);
}

static void test_daemon_rerank__what_there_was_no_time_for_keeps_its_place_behind(void **state)
{
    (void)state;
    world *w = world_with_kettles();
    cJSON *before = search_without(w, ",\"top_k\":8");
    setenv("RAGD_FAKE_RERANK_MOST", "3", 1);
    START_RERANKING(w);
    unsetenv("RAGD_FAKE_RERANK_MOST");
    cJSON *after = world_search(w, QUERY, ",\"top_k\":8,\"explain\":true");
    assert_first_reversed(after, before, 3);
    cJSON_Delete(after);
    after = world_search(w, QUERY, ",\"top_k\":8,\"explain\":true"); /* it has no time at all now */
    assert_first_reversed(after, before, 0);
    for (int i = 0; i < 8; i++)
        assert_true(json_value(result(after, i), "score") == json_value(result(before, i), "score"));
    cJSON_Delete(after);
    cJSON_Delete(before);
    end(w);
}

static void test_daemon_rerank__its_time_is_the_configured_one(void **state)
{
    (void)state;
    world *w = world_with_kettles();
    setenv("RAGD_FAKE_RERANK_DELAY_MS", "300", 1);
    START(w, RERANKER, "--set", "search.rerank_budget=500ms");
    unsetenv("RAGD_FAKE_RERANK_DELAY_MS");
    wait_for_reranker(w);
    cJSON *found = world_search(w, QUERY, ",\"top_k\":8,\"explain\":true");
    assert_int_equal(cJSON_GetArraySize(json_item(found, "results")), 8);
    assert_true(count_scored(found) <= 1); /* a nap is never shorter */
    cJSON_Delete(found);
    end(w);
}

static void test_daemon_rerank__a_pair_that_fails_is_no_failure_of_the_search(void **state)
{
    (void)state;
    world *w = world_with_kettles();
    cJSON *before = search_without(w, ",\"top_k\":8");
    setenv("RAGD_FAKE_RERANK_FAIL", "3", 1);
    START_RERANKING(w);
    unsetenv("RAGD_FAKE_RERANK_FAIL");
    cJSON *after = world_search(w, QUERY, ",\"top_k\":8,\"explain\":true");
    assert_first_reversed(after, before, 2);
    assert_true(world_log_gets(w, "the rest keeps its order: cannot score a pair"));
    cJSON_Delete(after);
    cJSON_Delete(before);
    end(w);
}

/* ---- the model thread --------------------------------------------------------------- */

static int send_search(const world *w)
{
    static const char body[] = "{\"query\":\"kettle water\",\"top_k\":5}";
    char request[256];
    int fd = world_dial(w);
    snprintf(request, sizeof request,
             "POST /v1/search HTTP/1.1\r\nHost: ragd\r\nContent-Type: application/json\r\nContent-Length: %zu\r\n\r\n%s",
             strlen(body), body);
    send_bytes(fd, request, strlen(request));
    return fd;
}

static char *trace_of(const world *w)
{
    rag_buf b;
    char *path = world_path(w, "trace");
    rag_buf_init(&b, RAG_MAX_TEXT);
    rag_file_read(path, &b, NULL);
    free(path);
    return rag_buf_detach(&b);
}

static void wait_for_trace(const world *w, const char *text)
{
    double until = rag_clock_ms() + PATIENCE_MS;
    for (bool same = false; !same; usleep(5000)) {
        char *trace = trace_of(w);
        same = strcmp(trace, text) == 0;
        free(trace);
        assert_true(rag_clock_ms() < until);
    }
}

static double status_of(const world *w, const char *object, const char *key)
{
    cJSON *status = world_json(w, "GET", "/v1/status", NULL);
    double n = json_value(json_item(status, object), key);
    cJSON_Delete(status);
    return n;
}

static void wait_for_status(const world *w, const char *object, const char *key, double n)
{
    double until = rag_clock_ms() + PATIENCE_MS;
    while (status_of(w, object, key) != n) {
        assert_true(rag_clock_ms() < until);
        usleep(5000);
    }
}

static world *world_with_gate(char **gate)
{
    world *w = world_with_kettles();
    char *trace = world_path(w, "trace");
    *gate = world_path(w, "gate");
    setenv("RAGD_FAKE_RERANK_GATE", *gate, 1);
    setenv("RAGD_FAKE_TRACE", trace, 1);
    START_RERANKING(w, "--set", "search.rerank=10");
    unsetenv("RAGD_FAKE_RERANK_GATE");
    unsetenv("RAGD_FAKE_TRACE");
    free(trace);
    return w;
}

static void test_daemon_rerank__a_waiting_question_goes_before_the_next_pair(void **state)
{
    char *gate;
    reply r;
    (void)state;
    world *w = world_with_gate(&gate);
    int first = send_search(w);
    wait_for_trace(w, "ep"); /* it is at its first pair */
    int second = send_search(w);
    wait_for_status(w, "queue", "others", 2);
    assert_int_equal(rag_file_write_atomic(gate, RAG_STR(""), NULL), RAG_OK);
    read_reply(first, &r, false);
    assert_int_equal(r.status, 200);
    reply_free(&r);
    read_reply(second, &r, false);
    assert_int_equal(r.status, 200);
    reply_free(&r);
    char *trace = trace_of(w);
    assert_int_equal(strncmp(trace, "epep", 4), 0);
    assert_int_equal(strlen(trace), 2 + 2 * 10); /* and each has all its pairs scored */
    free(trace);
    free(gate);
    close(first);
    close(second);
    end(w);
}

static void test_daemon_rerank__no_pair_is_scored_for_a_client_that_left(void **state)
{
    char *gate;
    (void)state;
    world *w = world_with_gate(&gate);
    int client = send_search(w);
    wait_for_trace(w, "ep");
    close(client);
    wait_for_status(w, "requests", "canceled", 1);
    assert_int_equal(rag_file_write_atomic(gate, RAG_STR(""), NULL), RAG_OK);
    wait_for_status(w, "queue", "others", 0);
    wait_for_trace(w, "ep");
    free(gate);
    end(w);
}

/* ---- start -------------------------------------------------------------------------- */

static void test_daemon_rerank__without_one_nothing_changes(void **state)
{
    (void)state;
    world *w = world_with_kettles();
    START(w);
    cJSON *found = world_search(w, QUERY, "");
    cJSON *status = world_json(w, "GET", "/v1/status", NULL);
    assert_null(cJSON_GetObjectItemCaseSensitive(json_item(found, "timings_ms"), "rerank"));
    assert_true(cJSON_IsNull(json_item(json_item(status, "models"), "reranker")));
    assert_string_equal(json_text(json_item(status, "models"), "reranker_state"), "none");
    cJSON_Delete(status);
    cJSON_Delete(found);
    end(w);
}

static void test_daemon_rerank__searches_do_not_wait_for_it_to_load(void **state)
{
    (void)state;
    world *w = world_with_kettles();
    char *gate = world_path(w, "gate");
    setenv("RAGD_FAKE_RERANK_OPEN_GATE", gate, 1);
    START(w, RERANKER);
    unsetenv("RAGD_FAKE_RERANK_OPEN_GATE");
    cJSON *found = world_search(w, QUERY, "");
    assert_null(cJSON_GetObjectItemCaseSensitive(json_item(found, "timings_ms"), "rerank"));
    assert_true(reranker_is(w, "loading"));
    cJSON_Delete(found);
    assert_int_equal(rag_file_write_atomic(gate, RAG_STR(""), NULL), RAG_OK);
    wait_for_reranker(w);
    cJSON *status = world_json(w, "GET", "/v1/status", NULL);
    assert_string_equal(json_text(json_item(status, "models"), "reranker"), "reverse.gguf");
    cJSON_Delete(status);
    found = world_search(w, QUERY, "");
    assert_true(json_value(json_item(found, "timings_ms"), "rerank") >= 0);
    cJSON_Delete(found);
    free(gate);
    end(w);
}

static void test_daemon_rerank__a_file_that_is_no_reranker_stops_the_start(void **state)
{
    static const struct {
        const char *set, *says;
    } bad[] = { { "models.reranker=missing.gguf", "missing.gguf': no such file" },
                { "models.reranker=headless.gguf", "headless.gguf' is not a reranker" } };
    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        world *w = world_with_kettles();
        assert_int_equal(RUN(w, "--set", bad[i].set), 78);
        assert_true(world_log_has(w, bad[i].says));
        world_free(w);
        w = world_with_kettles();
        assert_int_equal(RUN(w, "-t", "--set", bad[i].set), 78);
        assert_true(world_log_has(w, bad[i].says));
        world_free(w);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_daemon_rerank__reorders_the_first_hits_and_no_others),
        cmocka_unit_test(test_daemon_rerank__hits_from_below_top_k_come_up),
        cmocka_unit_test(test_daemon_rerank__serves_every_mode_of_a_search),
        cmocka_unit_test(test_daemon_rerank__an_answers_passages_are_reordered),
        cmocka_unit_test(test_daemon_rerank__an_exact_string_stays_among_the_results),
        cmocka_unit_test(test_daemon_rerank__nothing_found_is_nothing_to_score),
        cmocka_unit_test(test_daemon_rerank__what_there_was_no_time_for_keeps_its_place_behind),
        cmocka_unit_test(test_daemon_rerank__its_time_is_the_configured_one),
        cmocka_unit_test(test_daemon_rerank__a_pair_that_fails_is_no_failure_of_the_search),
        cmocka_unit_test(test_daemon_rerank__a_waiting_question_goes_before_the_next_pair),
        cmocka_unit_test(test_daemon_rerank__no_pair_is_scored_for_a_client_that_left),
        cmocka_unit_test(test_daemon_rerank__without_one_nothing_changes),
        cmocka_unit_test(test_daemon_rerank__searches_do_not_wait_for_it_to_load),
        cmocka_unit_test(test_daemon_rerank__a_file_that_is_no_reranker_stops_the_start),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
