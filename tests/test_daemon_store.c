/* tests/test_daemon_store.c: search, documents, generations, verification of the running daemon. */
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
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

/* ---- filters ------------------------------------------------------------------------ */

static void put_file(world *w, const char *name, const char *text, int year)
{
    char *path = world_path(w, name);
    struct tm date = { .tm_year = year - 1900, .tm_mday = 1 };
    time_t seconds = timegm(&date);
    struct timespec times[2] = { { .tv_sec = seconds }, { .tv_sec = seconds } };
    for (char *slash = strchr(path + strlen(w->folder) + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        mkdir(path, 0700);
        *slash = '/';
    }
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    fputs(text, f);
    fclose(f);
    assert_int_equal(utimensat(AT_FDCWD, path, times, 0), 0);
    free(path);
}

/* Documents of each kind, all about the canteen. */
static world *filter_world(void)
{
    world *w = world_new();
    put_file(w, "docs/menu.md", "The canteen serves soup and salad on weekdays.\n", 2020);
    put_file(w, "docs/zh.md", "食堂每天早上八点开门，晚上九点关门，周末休息，节假日另行通知。canteen\n", 2021);
    put_file(w, "docs/hr/leave.md", "During parental leave the canteen card stays valid for a year.\n", 2022);
    put_file(w, "staff/rota.md", "Who cleans the canteen kitchen is written down in this rota.\n", 2023);
    put_file(w, "boss/budget.md", "Next year the canteen loses a third of its budget.\n", 2024);
    world_ingest_folder(w, "docs", "default", NULL);
    world_ingest_folder(w, "staff", "default", "staff");
    world_ingest_folder(w, "boss", "default", "boss,board");
    START(w);
    return w;
}

/* "bl" for budget.md and hr/leave.md: the first letters of what was found, in the order of the alphabet. */
static const char *letters_of(const cJSON *found)
{
    static const char *const names[] = { "budget.md", "hr/leave.md", "menu.md", "rota.md", "zh.md" };
    static char letters[32];
    const cJSON *hit;
    size_t n = 0;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        cJSON_ArrayForEach(hit, json_item(found, "results"))
            if (strcmp(json_text(hit, "document"), names[i]) == 0)
                letters[n++] = i == 1 ? 'l' : names[i][0];
    letters[n] = '\0';
    return letters;
}

static void expect_found(const world *w, const char *filter, const char *letters)
{
    static const char *const modes[] = { "hybrid", "vector", "text" };
    for (size_t i = 0; i < 3; i++) {
        char more[256];
        snprintf(more, sizeof more, ",\"mode\":\"%s\",\"filter\":%s", modes[i], filter);
        cJSON *found = world_search(w, "canteen", more);
        if (strcmp(letters_of(found), letters) != 0)
            fail_msg("%s, %s: '%s', not '%s'", filter, modes[i], letters_of(found), letters);
        cJSON_Delete(found);
    }
}

static void test_daemon_store__a_filter_lets_through_what_it_says(void **state)
{
    (void)state;
    world *w = filter_world();
    expect_found(w, "{}", "blmrz");
    expect_found(w, "{\"language\":\"zh\"}", "z");
    expect_found(w, "{\"language\":[\"en\"]}", "blmr");
    expect_found(w, "{\"language\":[\"en\",\"zh\"]}", "blmrz");
    expect_found(w, "{\"path_prefix\":\"hr/\"}", "l");
    expect_found(w, "{\"path_prefix\":\"h\"}", "l");
    expect_found(w, "{\"path_prefix\":\"/hr\"}", "");
    expect_found(w, "{\"path_prefix\":\"nowhere/\"}", "");
    expect_found(w, "{\"modified_after\":\"2022-01-01T00:00:00Z\"}", "blr"); /* inclusive */
    expect_found(w, "{\"modified_before\":\"2022-01-01T00:00:00Z\"}", "mz"); /* exclusive */
    expect_found(w, "{\"modified_after\":\"2021-01-01T00:00:00.000000001Z\",\"modified_before\":\"2023-01-01T00:00:00.5Z\"}",
                 "lr");
    expect_found(w, "{\"modified_before\":\"1970-01-01T00:00:00Z\"}", "");
    expect_found(w, "{\"groups\":[\"staff\"]}", "lmrz");
    expect_found(w, "{\"groups\":[\"board\"]}", "blmz");
    expect_found(w, "{\"groups\":[\"board\",\"staff\"]}", "blmrz");
    expect_found(w, "{\"groups\":[\"nobody\"]}", "lmz");
    expect_found(w, "{\"groups\":[\"nobody\"],\"modified_after\":\"2023-01-01T00:00:00Z\"}", "");
    expect_found(w, "{\"groups\":[\"boss,board\"]}", "lmz");
    assert_int_equal(world_stop(w, SIGTERM), 0);
    world_free(w);
}

static void test_daemon_store__groups_narrow_and_never_widen(void **state)
{
    static const char body[] = "{\"query\":\"canteen\",\"explain\":true,\"filter\":{\"groups\":[\"staff\",\"boss\"]}}";
    reply r;
    (void)state;
    world *w = filter_world();
    assert_int_equal(world_call_tcp(w, "POST", "/v1/search", "", body, &r), 200);
    cJSON *found = cJSON_Parse(r.body.ptr);
    assert_string_equal(letters_of(found), "lmz");
    assert_int_equal((int)json_value(json_item(found, "explain"), "visible"), 3);
    assert_null(strstr(r.body.ptr, "rota"));
    assert_null(strstr(r.body.ptr, "budget"));
    cJSON_Delete(found);
    reply_free(&r);
    assert_int_equal(world_stop(w, SIGTERM), 0);
    world_free(w);
}

static void test_daemon_store__ask_obeys_the_filter(void **state)
{
    const cJSON *citation;
    (void)state;
    world *w = filter_world();
    cJSON *answer = world_ask(w, "How long does the canteen card stay valid?",
                              ",\"mode\":\"extract\",\"explain\":true,\"filter\":{\"path_prefix\":\"hr/\"}");
    cJSON_ArrayForEach(citation, json_item(answer, "citations"))
        assert_string_equal(json_text(citation, "document"), "hr/leave.md");
    cJSON *explain = json_item(answer, "explain");
    assert_int_equal(cJSON_GetArraySize(json_item(explain, "passages")), 1);
    assert_int_equal((int)json_value(explain, "visible"), 1);
    assert_string_equal(json_text(json_item(explain, "filter"), "path_prefix"), "hr/");
    cJSON_Delete(answer);
    assert_int_equal(world_stop(w, SIGTERM), 0);
    world_free(w);
}

static void test_daemon_store__an_unknown_collection_is_404_under_any_filter(void **state)
{
    reply r;
    (void)state;
    world_call(the_world, "POST", "/v1/search",
               "{\"query\":\"x\",\"collection\":\"nowhere\",\"filter\":{\"path_prefix\":\"no\"}}", &r);
    assert_int_equal(r.status, 404);
    check_error(&r, "not_found_error", "collection_not_found");
    reply_free(&r);
}

/* ---- explain ------------------------------------------------------------------------ */

static int check_candidate(const cJSON *c, const cJSON *results)
{
    static const char *const keys[] = { "chunk_id",   "document_id", "document",    "vector_rank",  "vector_score", "text_rank",
                                        "text_score", "terms",       "fused_score", "rerank_score", "fate",         "result" };
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++)
        json_item(c, keys[i]);
    assert_true(cJSON_IsArray(json_item(c, "terms")));
    assert_true(cJSON_IsNull(json_item(c, "rerank_score")));
    const cJSON *result = json_item(c, "result");
    if (strcmp(json_text(c, "fate"), "result") != 0)
        return 0;
    const cJSON *hit = cJSON_GetArrayItem(results, (int)result->valuedouble - 1);
    assert_true(json_value(hit, "chunk_id") == json_value(c, "chunk_id"));
    assert_string_equal(json_text(hit, "document"), json_text(c, "document"));
    return 1;
}

static void test_daemon_store__explain_tells_what_became_of_every_candidate(void **state)
{
    const cJSON *c;
    int results = 0;
    (void)state;
    cJSON *found = world_search(the_world, "shipping days", ",\"top_k\":2,\"explain\":true,\"filter\":{\"language\":\"en\"}");
    cJSON *explain = json_item(found, "explain"), *filter = json_item(explain, "filter");
    assert_true(json_value(explain, "visible") >= 4);
    assert_string_equal(json_text(json_item(explain, "fusion"), "method"), "adaptive");
    assert_true(json_value(json_item(explain, "fusion"), "text_ceiling") > 0);
    assert_string_equal(json_text(filter, "collection"), "default");
    assert_string_equal(cJSON_GetArrayItem(json_item(filter, "language"), 0)->valuestring, "en");
    assert_null(cJSON_GetObjectItemCaseSensitive(filter, "groups"));
    cJSON_ArrayForEach(c, json_item(explain, "candidates")) results += check_candidate(c, json_item(found, "results"));
    assert_int_equal(results, 2);
    cJSON_Delete(found);
    found = world_search(the_world, "shipping days", "");
    assert_null(cJSON_GetObjectItemCaseSensitive(found, "explain"));
    cJSON_Delete(found);
}

static void test_daemon_store__what_is_absent_is_said_when_there_is_any(void **state)
{
    (void)state;
    cJSON *found = world_search(the_world, "shipping \"no such words\"", "");
    assert_string_equal(cJSON_GetArrayItem(json_item(found, "absent"), 0)->valuestring, "no such words");
    assert_int_equal(cJSON_GetArraySize(json_item(found, "results")), 0);
    cJSON_Delete(found);
    found = world_search(the_world, "shipping costs", "");
    assert_null(cJSON_GetObjectItemCaseSensitive(found, "absent"));
    assert_null(cJSON_GetObjectItemCaseSensitive(found, "corrections"));
    cJSON_Delete(found);
    cJSON *answer = world_ask(the_world, "What does \"E-4012\" mean?", ",\"mode\":\"extract\"");
    assert_string_equal(cJSON_GetArrayItem(json_item(answer, "absent"), 0)->valuestring, "E-4012");
    cJSON_Delete(answer);
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
        cmocka_unit_test(test_daemon_store__a_filter_lets_through_what_it_says),
        cmocka_unit_test(test_daemon_store__groups_narrow_and_never_widen),
        cmocka_unit_test(test_daemon_store__ask_obeys_the_filter),
        cmocka_unit_test(test_daemon_store__an_unknown_collection_is_404_under_any_filter),
        cmocka_unit_test(test_daemon_store__explain_tells_what_became_of_every_candidate),
        cmocka_unit_test(test_daemon_store__what_is_absent_is_said_when_there_is_any),
        cmocka_unit_test(test_daemon_store__activate_goes_back_and_latest_returns),
        cmocka_unit_test(test_daemon_store__new_generations_are_served_while_searches_go_on),
        cmocka_unit_test(test_daemon_store__a_restore_is_served_without_an_error),
        cmocka_unit_test(test_daemon_store__verify_finds_a_sound_store_sound),
        cmocka_unit_test(test_daemon_store__backup_is_made_over_the_unix_socket_only),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
