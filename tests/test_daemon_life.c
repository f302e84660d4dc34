/* tests/test_daemon_life.c: start, overload, clients that leave, reload and end of the running daemon. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "tests/daemon_fixture.h"

static world *world_with_documents(void)
{
    world *w = world_new();
    world_fill(w);
    return w;
}

/* Starts with a decoder that takes so long for each word. */
static void start_slow(world *w, const char *step_ms, const char *const *words)
{
    setenv("RAGD_FAKE_LLM_DELAY_MS", step_ms, 1);
    world_start(w, words);
    unsetenv("RAGD_FAKE_LLM_DELAY_MS");
}

static const char *const NOTHING[] = { NULL };

static void end(world *w)
{
    assert_int_equal(world_stop(w, SIGTERM), 0);
    world_free(w);
}

static void write_conf(const world *w, const char *text)
{
    char *path = world_path(w, "ragd.conf");
    FILE *f = fopen(path, "a");
    fputs(text, f);
    fclose(f);
    free(path);
}

static double load_of(const world *w, const char *key)
{
    cJSON *status = world_json(w, "GET", "/v1/status", NULL);
    double n = json_value(json_item(status, "queue"), key);
    cJSON_Delete(status);
    return n;
}

static void wait_for_load(const world *w, const char *key, double n)
{
    double until = rag_clock_ms() + 20000;
    while (load_of(w, key) != n)
        assert_true(rag_clock_ms() < until);
}

/* ---- start -------------------------------------------------------------------------- */

static void test_daemon_life__doors_are_open_before_it_is_ready(void **state)
{
    reply r;
    world *w = world_with_documents();
    (void)state;
    setenv("RAGD_FAKE_EMBED_OPEN_MS", "1500", 1);
    world_spawn(w, NOTHING);
    unsetenv("RAGD_FAKE_EMBED_OPEN_MS");
    assert_int_equal(world_call(w, "GET", "/readyz", NULL, &r), 503);
    check_error(&r, "overloaded_error", "not_ready");
    assert_non_null(strstr(r.body.ptr, "\"embedder\":\"loading\""));
    reply_free(&r);
    assert_int_equal(world_call(w, "GET", "/livez", NULL, &r), 200);
    reply_free(&r);
    cJSON_Delete(world_search(w, "warranty", "")); /* waits until it can be answered */
    cJSON *ready = world_json(w, "GET", "/readyz", NULL);
    assert_string_equal(json_text(ready, "status"), "ready");
    assert_string_equal(json_text(ready, "embedder"), "ready");
    cJSON_Delete(ready);
    end(w);
}

static void test_daemon_life__ends_while_it_starts(void **state)
{
    world *w = world_with_documents();
    (void)state;
    setenv("RAGD_FAKE_EMBED_OPEN_MS", "500", 1);
    world_spawn(w, NOTHING);
    unsetenv("RAGD_FAKE_EMBED_OPEN_MS");
    int fd = world_dial(w);
    send_text(fd, "POST /v1/search HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 13\r\n\r\n"
                  "{\"query\":\"x\"}");
    wait_for_load(w, "others", 1);
    assert_int_equal(world_stop(w, SIGTERM), 0);
    reply r;
    read_reply(fd, &r, false);
    assert_true(r.status == 200 || r.status == 503);
    reply_free(&r);
    close(fd);
    world_free(w);
}

static void test_daemon_life__refuses_what_cannot_work(void **state)
{
    static const struct {
        const char *set, *sentence;
        int exit_code;
    } cases[] = {
        { "models.embed=/x/missing.gguf", "cannot open '/x/missing.gguf'", 78 },
        { "http.listen=0.0.0.0:0", "can be reached from other machines", 78 },
        { "http.listen=[::]:0", "can be reached from other machines", 78 },
        { "http.key_file=/nonexistent/keys", "keys", 78 },
        { "storage.dir=/dev/null/x", "/dev/null", 1 },
        { "no.such=1", "no.such", 78 },
        { "limits.queue=none", "limits.queue", 78 },
    };
    world *w = world_new();
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        assert_int_equal(RUN(w, "--set", cases[i].set), cases[i].exit_code);
        if (!world_log_has(w, cases[i].sentence))
            fail_msg("%s: no sentence with '%s'", cases[i].set, cases[i].sentence);
    }
    assert_int_equal(RUN(w, "--no-such-flag"), 2);
    assert_int_equal(RUN(w, "an argument"), 2);
    world_free(w);
}

static void test_daemon_life__informs_without_serving(void **state)
{
    world *w = world_new();
    (void)state;
    assert_int_equal(RUN(w, "--version"), 0);
    assert_true(world_log_has(w, "libevent") && world_log_has(w, "SQLite") && world_log_has(w, "cJSON"));
    assert_int_equal(RUN(w, "-t"), 0);
    assert_int_equal(RUN(w, "-t", "--set", "limits.queue=-1"), 78);
    assert_int_equal(RUN(w, "-T"), 0);
    assert_true(world_log_has(w, "limits.queue"));
    assert_int_equal(RUN(w, "--help"), 0);
    assert_true(world_log_has(w, "Usage: ragd"));
    world_free(w);
}

static void test_daemon_life__a_store_of_another_model_is_78(void **state)
{
    world *w = world_with_documents();
    (void)state;
    setenv("RAGD_FAKE_EMBED_ID", "another", 1);
    assert_int_equal(RUN(w), 78);
    unsetenv("RAGD_FAKE_EMBED_ID");
    assert_true(world_log_has(w, "--full"));
    world_free(w);
}

static void test_daemon_life__one_daemon_a_store(void **state)
{
    world *w = world_with_documents();
    (void)state;
    START(w);
    assert_int_equal(RUN(w, "--set", "unix.path=other.sock"), 75);
    assert_true(world_log_has(w, "another ragd serves"));
    cJSON_Delete(world_search(w, "warranty", ""));
    end(w);
}

/* ---- keys --------------------------------------------------------------------------- */

static void expect_status(const world *w, const char *headers, const char *path, int status)
{
    reply r;
    world_call_tcp(w, "GET", path, headers, NULL, &r);
    assert_int_equal(r.status, status);
    if (status == 401) {
        check_error(&r, "authentication_error", "invalid_key");
        assert_non_null(reply_header(&r, "WWW-Authenticate"));
    }
    reply_free(&r);
}

static void test_daemon_life__tcp_asks_for_a_key_and_the_socket_does_not(void **state)
{
    world *w = world_with_documents();
    char *keys = world_path(w, "keys"), set[128];
    (void)state;
    snprintf(set, sizeof set, "http.key_file=%s", keys);
    assert_int_equal(rag_file_write_atomic(keys, RAG_STR("# none yet\n"), NULL), RAG_OK);
    assert_int_equal(RUN(w, "--set", set), 78);
    assert_int_equal(rag_file_write_atomic(keys, RAG_STR("# clients\nalpha\n"), NULL), RAG_OK);
    START(w, "--set", set);
    expect_status(w, "", "/v1/documents", 401);
    expect_status(w, "Authorization: Bearer beta\r\n", "/v1/documents", 401);
    expect_status(w, "Authorization: Bearer alpha\r\n", "/v1/documents", 200);
    expect_status(w, "", "/v1/status", 401);
    expect_status(w, "", "/metrics", 401);
    expect_status(w, "", "/livez", 200);
    expect_status(w, "", "/readyz", 200);
    expect_status(w, "", "/", 200);
    cJSON_Delete(world_json(w, "GET", "/v1/documents", NULL));
    assert_int_equal(rag_file_write_atomic(keys, RAG_STR("beta\n"), NULL), RAG_OK);
    kill(w->pid, SIGHUP);
    assert_true(world_log_gets(w, "configuration read again"));
    expect_status(w, "Authorization: Bearer alpha\r\n", "/v1/documents", 401);
    expect_status(w, "Authorization: Bearer beta\r\n", "/v1/documents", 200);
    free(keys);
    end(w);
}

static void test_daemon_life__insecure_listens_where_it_is_told(void **state)
{
    world *w = world_with_documents();
    (void)state;
    START(w, "--set", "http.listen=0.0.0.0:0", "--insecure");
    end(w);
}

/* ---- overload, and clients that leave ----------------------------------------------- */

static const char ASK[] = "{\"question\":\"How long is the warranty?\",\"mode\":\"generate\"}";
static const char STREAM[] = "{\"question\":\"How long is the warranty?\",\"mode\":\"generate\",\"stream\":true}";

static int send_ask(const world *w, const char *body)
{
    char request[512];
    int fd = world_dial(w);
    assert_true(fd >= 0);
    snprintf(request, sizeof request,
             "POST /v1/ask HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: %zu\r\n\r\n%s",
             strlen(body), body);
    send_text(fd, request);
    return fd;
}

static void test_daemon_life__a_full_queue_is_503_at_once(void **state)
{
    enum { CLIENTS = 8, LIMIT = 1 + 2 };
    int fds[CLIENTS], full = 0;
    world *w = world_with_documents();
    (void)state;
    start_slow(w, "100000", (const char *const[]){ "--set", "limits.queue=1", "--set", "limits.workers=2", NULL });
    for (int i = 0; i < LIMIT; i++)
        fds[i] = send_ask(w, ASK);
    wait_for_load(w, "asks", LIMIT);
    for (int i = LIMIT; i < CLIENTS; i++) {
        reply r;
        fds[i] = send_ask(w, ASK);
        read_reply(fds[i], &r, false);
        assert_int_equal(r.status, 503);
        check_error(&r, "overloaded_error", "queue_full");
        assert_true(atoi(reply_header(&r, "Retry-After")) > 0);
        reply_free(&r);
        full++;
    }
    cJSON_Delete(world_search(w, "warranty", ",\"mode\":\"text\"")); /* searches have a way of their own */
    for (int i = 0; i < CLIENTS; i++)
        close(fds[i]);
    wait_for_load(w, "asks", 0);
    assert_int_equal(full, CLIENTS - LIMIT);
    end(w);
}

static void wait_for_text(int fd, const char *text)
{
    rag_buf got;
    char piece[4096];
    rag_buf_init(&got, RAG_MAX_REPLY);
    while (!got.ptr || !strstr(got.ptr, text)) {
        ssize_t n = read(fd, piece, sizeof piece);
        assert_true(n > 0);
        rag_buf_put(&got, (rag_str){ piece, (size_t)n });
    }
    rag_buf_free(&got);
}

static void test_daemon_life__leaving_mid_answer_frees_the_slot(void **state)
{
    world *w = world_with_documents();
    (void)state;
    start_slow(w, "100000", NOTHING);
    for (int round = 0; round < 3; round++) {
        int fd = send_ask(w, round == 1 ? ASK : STREAM);
        if (round != 1)
            wait_for_text(fd, "event: sources");
        wait_for_load(w, "decoding", 1);
        if (round == 2)
            reset(fd);
        else
            close(fd);
        wait_for_load(w, "asks", 0);
        wait_for_load(w, "decoding", 0);
    }
    end(w);
}

static void test_daemon_life__leaving_while_waiting_gives_the_place_up(void **state)
{
    world *w = world_with_documents();
    (void)state;
    start_slow(w, "1000", NOTHING);
    int first = send_ask(w, ASK);
    wait_for_load(w, "decoding", 1);
    int second = send_ask(w, ASK);
    wait_for_load(w, "waiting_for_decoder", 1);
    close(second);
    wait_for_load(w, "waiting_for_decoder", 0);
    assert_true(load_of(w, "decoding") == 1);
    close(first);
    wait_for_load(w, "asks", 0);
    end(w);
}

static void test_daemon_life__answers_run_together_in_slots(void **state)
{
    world *w = world_with_documents();
    int fds[3];
    (void)state;
    start_slow(w, "20", (const char *const[]){ "--set", "llm.slots=3", NULL });
    for (int i = 0; i < 3; i++)
        fds[i] = send_ask(w, ASK);
    wait_for_load(w, "decoding", 3);
    for (int i = 0; i < 3; i++) {
        reply r;
        read_reply(fds[i], &r, false);
        assert_int_equal(r.status, 200);
        assert_non_null(strstr(r.body.ptr, "\"mode\":\"generate\""));
        reply_free(&r);
        close(fds[i]);
    }
    end(w);
}

/* ---- TERM and HUP ------------------------------------------------------------------- */

static void wait_for_closed_doors(const world *w)
{
    double until = rag_clock_ms() + 20000;
    for (int fd; (fd = world_dial(w)) >= 0; close(fd))
        assert_true(rag_clock_ms() < until);
}

static bool socket_is_gone(const world *w)
{
    return access(w->socket, F_OK) != 0;
}

static void test_daemon_life__term_lets_streams_finish(void **state)
{
    sse_event events[200];
    reply r;
    world *w = world_with_documents();
    (void)state;
    start_slow(w, "50", NOTHING);
    int fd = send_ask(w, STREAM);
    wait_for_load(w, "decoding", 1);
    kill(w->pid, SIGTERM);
    wait_for_closed_doors(w);
    read_reply(fd, &r, false);
    assert_int_equal(r.status, 200);
    size_t n = sse_parse(rag_buf_str(&r.body), events, 200);
    assert_string_equal(events[n - 1].name, "done");
    assert_string_equal(json_text(events[n - 1].data, "mode"), "generate");
    sse_free(events, n);
    reply_free(&r);
    close(fd);
    assert_int_equal(world_wait(w), 0);
    assert_true(socket_is_gone(w));
    world_free(w);
}

static void test_daemon_life__term_ends_what_does_not_finish(void **state)
{
    sse_event events[200];
    reply r;
    world *w = world_with_documents();
    (void)state;
    start_slow(w, "500", (const char *const[]){ "--set", "limits.drain=100ms", "--set", "llm.slots=2", NULL });
    int whole = send_ask(w, ASK), streamed = send_ask(w, STREAM);
    wait_for_load(w, "decoding", 2);
    assert_int_equal(world_stop(w, SIGTERM), 0);
    read_reply(whole, &r, false);
    assert_int_equal(r.status, 503);
    check_error(&r, "overloaded_error", "shutting_down");
    reply_free(&r);
    read_reply(streamed, &r, false);
    size_t n = sse_parse(rag_buf_str(&r.body), events, 200);
    assert_string_equal(events[n - 1].name, "error");
    assert_string_equal(json_text(json_item(events[n - 1].data, "error"), "code"), "shutting_down");
    sse_free(events, n);
    reply_free(&r);
    close(whole);
    close(streamed);
    world_free(w);
}

static void test_daemon_life__hup_keeps_the_old_when_the_new_is_bad(void **state)
{
    reply r;
    world *w = world_with_documents();
    (void)state;
    START(w);
    write_conf(w, "[limits]\nqueue = many\n");
    kill(w->pid, SIGHUP);
    assert_true(world_log_gets(w, "the old configuration stays"));
    cJSON_Delete(world_search(w, "warranty", ""));
    world_call(w, "POST", "/v1/reload", "{}", &r);
    assert_int_equal(r.status, 400);
    check_error(&r, "invalid_request_error", "bad_configuration");
    reply_free(&r);
    end(w);
}

static void test_daemon_life__hup_takes_limits_and_names_what_needs_a_restart(void **state)
{
    reply r;
    world *w = world_with_documents();
    (void)state;
    START(w);
    cJSON_Delete(world_ask(w, "one two three four five six seven eight nine ten", ""));
    write_conf(w, "[limits]\nquestion_tokens = 8\n[llm]\nslots = 7\n");
    cJSON_Delete(world_json(w, "POST", "/v1/reload", "{}"));
    assert_true(world_log_has(w, "'llm' was changed: that needs a restart"));
    world_call(w, "POST", "/v1/ask", "{\"question\":\"one two three four five six seven eight nine ten\"}", &r);
    assert_int_equal(r.status, 413);
    check_error(&r, "invalid_request_error", "question_too_long");
    reply_free(&r);
    end(w);
}

static void test_daemon_life__hup_opens_the_log_again(void **state)
{
    world *w = world_with_documents();
    char *old = world_path(w, "log"), *moved = world_path(w, "log.1"), set[128];
    (void)state;
    snprintf(set, sizeof set, "log.file=%s", old);
    START(w, "--set", set);
    assert_int_equal(rename(old, moved), 0);
    kill(w->pid, SIGHUP);
    assert_true(world_log_gets(w, "configuration read again"));
    free(moved);
    free(old);
    end(w);
}

static void test_daemon_life__hangups_drop_no_request(void **state)
{
    world *w = world_with_documents();
    (void)state;
    START(w);
    for (int i = 0; i < 100; i++) {
        if (i == 50)
            write_conf(w, "[limits]\nqueue = many\n");
        kill(w->pid, SIGHUP);
        cJSON_Delete(world_search(w, "warranty", ""));
    }
    end(w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_daemon_life__doors_are_open_before_it_is_ready),
        cmocka_unit_test(test_daemon_life__ends_while_it_starts),
        cmocka_unit_test(test_daemon_life__refuses_what_cannot_work),
        cmocka_unit_test(test_daemon_life__informs_without_serving),
        cmocka_unit_test(test_daemon_life__a_store_of_another_model_is_78),
        cmocka_unit_test(test_daemon_life__one_daemon_a_store),
        cmocka_unit_test(test_daemon_life__tcp_asks_for_a_key_and_the_socket_does_not),
        cmocka_unit_test(test_daemon_life__insecure_listens_where_it_is_told),
        cmocka_unit_test(test_daemon_life__a_full_queue_is_503_at_once),
        cmocka_unit_test(test_daemon_life__leaving_mid_answer_frees_the_slot),
        cmocka_unit_test(test_daemon_life__leaving_while_waiting_gives_the_place_up),
        cmocka_unit_test(test_daemon_life__answers_run_together_in_slots),
        cmocka_unit_test(test_daemon_life__term_lets_streams_finish),
        cmocka_unit_test(test_daemon_life__term_ends_what_does_not_finish),
        cmocka_unit_test(test_daemon_life__hup_keeps_the_old_when_the_new_is_bad),
        cmocka_unit_test(test_daemon_life__hup_takes_limits_and_names_what_needs_a_restart),
        cmocka_unit_test(test_daemon_life__hup_opens_the_log_again),
        cmocka_unit_test(test_daemon_life__hangups_drop_no_request),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
