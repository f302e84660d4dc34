/* tests/test_daemon_store.c: search, documents, generations, verification of the running daemon. */
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "index/index.h"
#include "tests/daemon_fixture.h"

static world *the_world;

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

static void expect_error(const world *w, const char *method, const char *path, int status, const char *code)
{
    reply r;
    world_call(w, method, path, NULL, &r);
    assert_int_equal(r.status, status);
    check_error(&r, status == 404 ? "not_found_error" : "invalid_request_error", code);
    reply_free(&r);
}

/* ---- search ------------------------------------------------------------------------- */

static void check_result(const cJSON *hit, int rank)
{
    static const char *const keys[] = { "rank",       "document", "document_id", "chunk_id", "title",
                                        "heading",    "page",     "line_start",  "line_end", "start",
                                        "end",        "text",     "score",       "vector_rank", "text_rank" };
    char path[128];
    reply r;
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++)
        json_item(hit, keys[i]);
    assert_int_equal((int)json_value(hit, "rank"), rank);
    assert_true(cJSON_IsNull(json_item(hit, "page")));
    snprintf(path, sizeof path, "/v1/documents/%.0f/text?start=%.0f&end=%.0f", json_value(hit, "document_id"),
             json_value(hit, "start"), json_value(hit, "end"));
    world_call(the_world, "GET", path, NULL, &r);
    assert_int_equal(r.status, 200);
    assert_string_equal(r.body.ptr, json_text(hit, "text"));
    reply_free(&r);
}

static void test_daemon_store__search_finds_passages_by_either_half(void **state)
{
    static const char *const modes[] = { "hybrid", "vector", "text" };
    (void)state;
    for (size_t i = 0; i < 3; i++) {
        char more[64];
        int rank = 1;
        const cJSON *hit;
        snprintf(more, sizeof more, ",\"mode\":\"%s\"", modes[i]);
        cJSON *found = world_search(the_world, "express shipping costs", more);
        cJSON_ArrayForEach(hit, json_item(found, "results")) check_result(hit, rank++);
        assert_true(rank > 1);
        assert_string_equal(json_text(cJSON_GetArrayItem(json_item(found, "results"), 0), "document"), "shipping.md");
        assert_true(json_value(json_item(found, "timings_ms"), "total") >= 0);
        assert_true(json_value(found, "generation") >= 1);
        cJSON_Delete(found);
    }
}

static void test_daemon_store__search_obeys_top_k_and_explains(void **state)
{
    (void)state;
    cJSON *found = world_search(the_world, "days", ",\"top_k\":2,\"explain\":true");
    cJSON *results = json_item(found, "results");
    assert_int_equal(cJSON_GetArraySize(results), 2);
    assert_true(json_value(json_item(cJSON_GetArrayItem(results, 0), "explain"), "text_score") > 0);
    cJSON_Delete(found);
    found = world_search(the_world, "days", "");
    assert_null(cJSON_GetObjectItemCaseSensitive(cJSON_GetArrayItem(json_item(found, "results"), 0), "explain"));
    cJSON_Delete(found);
}

static void test_daemon_store__search_takes_any_text(void **state)
{
    static const char *const texts[] = { "a",  "*",   "\"", "NEAR(a b)", "退", "\"unclosed", "AND OR NOT", "col:x ^ { }",
                                         "💥", "-",   "',;--", "\t?\n" };
    (void)state;
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        cJSON_Delete(world_search(the_world, texts[i], ""));
}

/* ---- documents ---------------------------------------------------------------------- */

/* Takes a page's documents in; returns `next`, 0 at the end. */
static double read_page(double after, double *last, int *seen)
{
    char path[64];
    const cJSON *doc;
    snprintf(path, sizeof path, "/v1/documents?limit=3&after=%.0f", after);
    cJSON *page = world_json(the_world, "GET", path, NULL);
    cJSON_ArrayForEach(doc, json_item(page, "documents"))
    {
        assert_true(json_value(doc, "id") > *last);
        *last = json_value(doc, "id");
        (*seen)++;
    }
    const cJSON *next = json_item(page, "next");
    assert_true(cJSON_IsNull(next) || cJSON_IsNumber(next));
    double value = cJSON_IsNull(next) ? 0 : next->valuedouble;
    cJSON_Delete(page);
    return value;
}

static void test_daemon_store__documents_are_listed_in_pages(void **state)
{
    int seen = 0, pages = 0;
    double last = 0, after = 0;
    (void)state;
    do {
        after = read_page(after, &last, &seen);
        assert_true(after == 0 || after == last);
        pages++;
    } while (after > 0);
    assert_int_equal(seen, 4);
    assert_int_equal(pages, 2);
}

static void test_daemon_store__stored_text_is_the_file_byte_for_byte(void **state)
{
    const cJSON *doc;
    (void)state;
    cJSON *list = world_json(the_world, "GET", "/v1/documents", NULL);
    cJSON_ArrayForEach(doc, json_item(list, "documents"))
    {
        char path[64];
        reply r;
        rag_buf file;
        char *docs = world_path(the_world, "docs"), *name = rag_path_join(docs, json_text(doc, "path"));
        rag_buf_init(&file, RAG_MAX_TEXT);
        assert_int_equal(rag_file_read(name, &file, NULL), RAG_OK);
        snprintf(path, sizeof path, "/v1/documents/%.0f/text", json_value(doc, "id"));
        assert_int_equal(world_call(the_world, "GET", path, NULL, &r), 200);
        assert_string_equal(reply_header(&r, "Content-Type"), "text/plain; charset=utf-8");
        assert_true(rag_str_eq(rag_buf_str(&r.body), rag_buf_str(&file)));
        assert_true(json_value(doc, "bytes") == (double)file.len);
        *strrchr(path, '/') = '\0';
        cJSON *one = world_json(the_world, "GET", path, NULL);
        assert_true(cJSON_Compare(one, doc, true));
        cJSON_Delete(one);
        reply_free(&r);
        rag_buf_free(&file);
        free(name);
        free(docs);
    }
    cJSON_Delete(list);
}

static void test_daemon_store__says_what_is_wrong_with_a_document(void **state)
{
    (void)state;
    expect_error(the_world, "GET", "/v1/documents/999", 404, "document_not_found");
    expect_error(the_world, "GET", "/v1/documents/999/text", 404, "document_not_found");
    expect_error(the_world, "GET", "/v1/documents/x", 400, "invalid_type");
    expect_error(the_world, "GET", "/v1/documents/-1", 400, "invalid_type");
    expect_error(the_world, "GET", "/v1/documents/99999999999999999999", 400, "invalid_type");
    expect_error(the_world, "GET", "/v1/documents?limit=0", 400, "out_of_range");
    expect_error(the_world, "GET", "/v1/documents?limit=1001", 400, "out_of_range");
    expect_error(the_world, "GET", "/v1/documents?order=up", 400, "unknown_parameter");
    expect_error(the_world, "GET", "/v1/documents?collection=nowhere", 404, "collection_not_found");
    expect_error(the_world, "GET", "/v1/documents/1/text?start=5&end=4", 400, "invalid_range");
    expect_error(the_world, "GET", "/v1/documents/1/text?start=0&end=99999999", 400, "invalid_range");
    expect_error(the_world, "GET", "/v1/documents/1/text?start=one", 400, "invalid_type");
}

static void test_daemon_store__groups_hide_documents_from_tcp_without_keys(void **state)
{
    reply r;
    world *w = world_new();
    (void)state;
    world_write(w, "secret.md", "# Salaries\n\nThe canary is worth 4711 euros.\n");
    world_ingest(w, "default", "hr");
    START(w);
    cJSON *local = world_search(w, "canary", "");
    assert_int_equal(cJSON_GetArraySize(json_item(local, "results")), 1);
    assert_int_equal(world_call_tcp(w, "POST", "/v1/search", "", "{\"query\":\"canary\"}", &r), 200);
    assert_null(strstr(r.body.ptr, "4711"));
    reply_free(&r);
    assert_int_equal(world_call_tcp(w, "GET", "/v1/documents", "", NULL, &r), 200);
    assert_null(strstr(r.body.ptr, "secret"));
    reply_free(&r);
    assert_int_equal(world_call_tcp(w, "GET", "/v1/documents/1", "", NULL, &r), 404);
    reply_free(&r);
    assert_int_equal(world_call_tcp(w, "GET", "/v1/documents/1/text", "", NULL, &r), 404);
    reply_free(&r);
    cJSON_Delete(local);
    assert_int_equal(world_stop(w, SIGTERM), 0);
    world_free(w);
}

/* ---- generations -------------------------------------------------------------------- */

static bool finds(const world *w, const char *query, const char *text)
{
    cJSON *found = world_search(w, query, ",\"mode\":\"text\"");
    char *line = cJSON_PrintUnformatted(found);
    bool has = strstr(line, text) != NULL;
    cJSON_free(line);
    cJSON_Delete(found);
    return has;
}

/* Waits until the daemon serves the generation. */
static double wait_for_generation(const world *w, int64_t generation)
{
    double start = rag_clock_ms(), now = start;
    for (double served = -1; served != (double)generation; now = rag_clock_ms()) {
        cJSON *found = world_search(w, "x", ",\"mode\":\"text\"");
        served = json_value(found, "generation");
        cJSON_Delete(found);
        assert_true(now - start < 20000);
    }
    return now - start;
}

static void test_daemon_store__activate_goes_back_and_latest_returns(void **state)
{
    world *w = world_new();
    (void)state;
    world_write(w, "a.md", "The old price is nineteen euros.\n");
    int64_t first = world_ingest(w, "default", NULL);
    START(w);
    world_write(w, "a.md", "The new price is thirty euros.\n");
    int64_t second = world_ingest(w, "default", NULL);
    wait_for_generation(w, second);
    assert_true(finds(w, "price", "thirty"));
    char path[64];
    snprintf(path, sizeof path, "/v1/generations/%lld/activate", (long long)first);
    cJSON *active = world_json(w, "POST", path, "{}");
    assert_true(json_value(active, "active") == (double)first);
    assert_true(finds(w, "price", "nineteen"));
    assert_false(finds(w, "price", "thirty"));
    cJSON *list = world_json(w, "GET", "/v1/generations", NULL);
    assert_int_equal(cJSON_GetArraySize(json_item(list, "generations")), 2);
    assert_true(json_value(list, "active") == (double)first);
    assert_true(cJSON_IsTrue(json_item(list, "pinned")));
    cJSON *latest = world_json(w, "POST", "/v1/generations/latest/activate", NULL);
    assert_true(json_value(latest, "active") == (double)second);
    assert_true(finds(w, "price", "thirty"));
    expect_error(w, "POST", "/v1/generations/99/activate", 404, "generation_not_found");
    expect_error(w, "POST", "/v1/generations/0/activate", 400, "out_of_range");
    expect_error(w, "POST", "/v1/generations/last/activate", 400, "invalid_type");
    cJSON_Delete(latest);
    cJSON_Delete(list);
    cJSON_Delete(active);
    assert_int_equal(world_stop(w, SIGTERM), 0);
    world_free(w);
}

typedef struct searcher {
    const world *w;
    int searches, failures;
    atomic_bool *stop;
} searcher;

static void *search_on(void *context)
{
    searcher *s = context;
    int fd = world_dial(s->w);
    static const char request[] = "POST /v1/search HTTP/1.1\r\nHost: ragd\r\nContent-Type: application/json\r\n"
                                  "Content-Length: 26\r\n\r\n{\"query\":\"working days ?\"}";
    while (!atomic_load(s->stop)) {
        reply r;
        send_text(fd, request);
        read_reply(fd, &r, false);
        s->searches++;
        s->failures += r.status != 200 || !strstr(r.body.ptr, "returns.md");
        reply_free(&r);
    }
    close(fd);
    return NULL;
}

static void test_daemon_store__new_generations_are_served_while_searches_go_on(void **state)
{
    enum { CLIENTS = 4, ROUNDS = 4 };
    world *w = world_new();
    atomic_bool stop = false;
    searcher searchers[CLIENTS];
    pthread_t threads[CLIENTS];
    (void)state;
    world_fill(w);
    START(w);
    for (int i = 0; i < CLIENTS; i++) {
        searchers[i] = (searcher){ .w = w, .stop = &stop };
        pthread_create(&threads[i], NULL, search_on, &searchers[i]);
    }
    for (int i = 0; i < ROUNDS; i++) {
        char text[64];
        snprintf(text, sizeof text, "Notice number %d about the lighthouse.\n", i);
        world_write(w, "notice.txt", text);
        wait_for_generation(w, world_ingest(w, "default", NULL));
        snprintf(text, sizeof text, "number %d about", i);
        assert_true(finds(w, "lighthouse", text));
    }
    atomic_store(&stop, true);
    for (int i = 0; i < CLIENTS; i++) {
        pthread_join(threads[i], NULL);
        assert_int_equal(searchers[i].failures, 0);
        assert_true(searchers[i].searches > ROUNDS);
    }
    assert_int_equal(world_stop(w, SIGTERM), 0);
    world_free(w);
}

/* ---- care --------------------------------------------------------------------------- */

static void test_daemon_store__a_restore_is_served_without_an_error(void **state)
{
    (void)state;
    world *w = world_new();
    rag_err err = { 0 };
    rag_index *ix;
    char *data = world_path(w, "data"), *backup = world_path(w, "backup.db");
    world_write(w, "a.md", "The old price is nineteen euros.\n");
    world_ingest(w, "default", NULL);
    assert_int_equal(rag_index_open(&ix, &(rag_index_options){ .dir = data }, &err), RAG_OK);
    assert_int_equal(rag_index_backup(ix, backup, &err), RAG_OK);
    rag_index_close(ix);
    world_write(w, "a.md", "The new price is thirty euros.\n");
    world_ingest(w, "default", NULL);
    START(w);
    assert_true(finds(w, "price", "thirty"));
    assert_int_equal(rag_index_restore(data, backup, &err), RAG_OK);
    assert_true(finds(w, "price", "nineteen")); /* at once, not at the next refresh */
    cJSON_Delete(world_json(w, "GET", "/v1/documents", NULL));
    assert_int_equal(world_stop(w, SIGTERM), 0);
    free(data);
    free(backup);
    world_free(w);
}

static void test_daemon_store__verify_finds_a_sound_store_sound(void **state)
{
    (void)state;
    cJSON *report = world_json(the_world, "POST", "/v1/verify", NULL);
    assert_true(cJSON_IsTrue(json_item(report, "ok")));
    assert_int_equal(cJSON_GetArraySize(json_item(report, "problems")), 0);
    cJSON_Delete(report);
}

static void test_daemon_store__backup_is_made_over_the_unix_socket_only(void **state)
{
    reply r;
    rag_buf body;
    char *file = world_path(the_world, "backup.db");
    (void)state;
    rag_buf_init(&body, RAG_MAX_LINE);
    rag_buf_putf(&body, "{\"file\":\"%s\"}", file);
    assert_int_equal(world_call_tcp(the_world, "POST", "/v1/backup", "", body.ptr, &r), 403);
    check_error(&r, "permission_error", "local_only");
    reply_free(&r);
    assert_int_equal(access(file, F_OK), -1);
    cJSON_Delete(world_json(the_world, "POST", "/v1/backup", body.ptr));
    assert_int_equal(access(file, F_OK), 0);
    world_call(the_world, "POST", "/v1/backup", "{\"file\":\"relative.db\"}", &r);
    assert_int_equal(r.status, 400);
    reply_free(&r);
    rag_buf_free(&body);
    free(file);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_daemon_store__search_finds_passages_by_either_half),
        cmocka_unit_test(test_daemon_store__search_obeys_top_k_and_explains),
        cmocka_unit_test(test_daemon_store__search_takes_any_text),
        cmocka_unit_test(test_daemon_store__documents_are_listed_in_pages),
        cmocka_unit_test(test_daemon_store__stored_text_is_the_file_byte_for_byte),
        cmocka_unit_test(test_daemon_store__says_what_is_wrong_with_a_document),
        cmocka_unit_test(test_daemon_store__groups_hide_documents_from_tcp_without_keys),
        cmocka_unit_test(test_daemon_store__activate_goes_back_and_latest_returns),
        cmocka_unit_test(test_daemon_store__new_generations_are_served_while_searches_go_on),
        cmocka_unit_test(test_daemon_store__a_restore_is_served_without_an_error),
        cmocka_unit_test(test_daemon_store__verify_finds_a_sound_store_sound),
        cmocka_unit_test(test_daemon_store__backup_is_made_over_the_unix_socket_only),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
