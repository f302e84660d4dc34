/* tests/test_daemon_strict.c: what the daemon refuses, and how it says so. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
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

static cJSON *error_of(const reply *r)
{
    cJSON *json = cJSON_Parse(r->body.ptr);
    cJSON *error = cJSON_DetachItemFromObjectCaseSensitive(json, "error");
    assert_non_null(error);
    cJSON_Delete(json);
    return error;
}

/* What an error must look like, whatever it is about; param "" stands for null. */
static void check_refusal(const char *what, const reply *r, int status, const char *code, const char *param)
{
    if (r->status != status)
        fail_msg("%s: %d, not %d: %s", what, r->status, status, r->body.ptr);
    cJSON *error = error_of(r);
    const cJSON *given = json_item(error, "param");
    if (strcmp(json_text(error, "code"), code) != 0)
        fail_msg("%s: code '%s', not '%s'", what, json_text(error, "code"), code);
    if (strcmp(cJSON_IsString(given) ? given->valuestring : "", param) != 0)
        fail_msg("%s: param is not '%s'", what, param);
    assert_true(strlen(json_text(error, "message")) > 0);
    assert_true(strlen(json_text(error, "type")) > 0);
    assert_string_equal(json_text(error, "request_id"), reply_header(r, "X-Request-Id"));
    cJSON_Delete(error);
}

static void refuse(const char *path, const char *body, int status, const char *code, const char *param)
{
    reply r;
    world_call(the_world, "POST", path, body, &r);
    check_refusal(body, &r, status, code, param);
    reply_free(&r);
}

static void test_daemon_strict__bodies_that_are_not_json(void **state)
{
    static const struct {
        const char *body, *code;
    } cases[] = {
        { "", "empty_body" },
        { " ", "invalid_json" },
        { "{", "invalid_json" },
        { "{\"question\":\"x\"}garbage", "invalid_json" },
        { "{\"question\":\"x\"}{}", "invalid_json" },
        { "{\"question\":\"a\\u0000b\"}", "null_character" },
        { "{\"question\":\"\xFF\"}", "invalid_utf8" },
        { "{\"question\":\"\xC0\xAF\"}", "invalid_utf8" },
        { "{\"question\":\"\\ud800\"}", "lone_surrogate" },
        { "{\"question\":\"x\",\"question\":\"y\"}", "duplicate_key" },
        { "{\"question\":\"x\",\"top_k\":1e400}", "number_out_of_range" },
        { "[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]", "too_deep" },
        { "\xEF\xBB\xBF{\"question\":\"x\"}", "invalid_json" },
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        refuse("/v1/ask", cases[i].body, 400, cases[i].code, "body");
        refuse("/v1/search", cases[i].body, 400, cases[i].code, "body");
    }
}

static void test_daemon_strict__ask_names_the_field(void **state)
{
    static const struct {
        const char *body, *code, *param;
    } cases[] = {
        { "[]", "invalid_type", "" },
        { "\"x\"", "invalid_type", "" },
        { "{}", "missing_field", "question" },
        { "{\"question\":null}", "invalid_type", "question" },
        { "{\"question\":5}", "invalid_type", "question" },
        { "{\"question\":\"\"}", "empty_question", "question" },
        { "{\"question\":\" \\n\\u3000\"}", "empty_question", "question" },
        { "{\"question\":\"x\",\"Question\":\"y\"}", "unknown_key", "Question" },
        { "{\"question\":\"x\",\"model\":\"y\"}", "unknown_key", "model" },
        { "{\"question\":\"x\",\"collection\":1}", "invalid_type", "collection" },
        { "{\"question\":\"x\",\"collection\":\"\"}", "invalid_value", "collection" },
        { "{\"question\":\"x\",\"collection\":\"*\"}", "invalid_value", "collection" },
        { "{\"question\":\"x\",\"top_k\":0}", "out_of_range", "top_k" },
        { "{\"question\":\"x\",\"top_k\":101}", "out_of_range", "top_k" },
        { "{\"question\":\"x\",\"top_k\":-1}", "out_of_range", "top_k" },
        { "{\"question\":\"x\",\"top_k\":2.5}", "invalid_type", "top_k" },
        { "{\"question\":\"x\",\"top_k\":\"5\"}", "invalid_type", "top_k" },
        { "{\"question\":\"x\",\"top_k\":9007199254740993}", "out_of_range", "top_k" },
        { "{\"question\":\"x\",\"mode\":\"fast\"}", "unsupported_value", "mode" },
        { "{\"question\":\"x\",\"mode\":true}", "invalid_type", "mode" },
        { "{\"question\":\"x\",\"stream\":\"yes\"}", "invalid_type", "stream" },
        { "{\"question\":\"x\",\"explain\":1}", "invalid_type", "explain" },
        { "{\"question\":\"x\",\"deadline_ms\":0}", "out_of_range", "deadline_ms" },
        { "{\"question\":\"x\",\"deadline_ms\":99999999}", "out_of_range", "deadline_ms" },
        { "{\"question\":\"x\",\"conversation_id\":\"\"}", "invalid_value", "conversation_id" },
        { "{\"question\":\"x\",\"sampling\":[]}", "invalid_type", "sampling" },
        { "{\"question\":\"x\",\"sampling\":{\"method\":\"dice\"}}", "unsupported_value", "sampling.method" },
        { "{\"question\":\"x\",\"sampling\":{\"method\":\"beam\"}}", "unsupported_value", "sampling.method" },
        { "{\"question\":\"x\",\"sampling\":{\"beams\":2}}", "unsupported_value", "sampling.beams" },
        { "{\"question\":\"x\",\"sampling\":{\"temperature\":-1}}", "out_of_range", "sampling.temperature" },
        { "{\"question\":\"x\",\"sampling\":{\"seed\":4294967296}}", "out_of_range", "sampling.seed" },
        { "{\"question\":\"x\",\"sampling\":{\"max_tokens\":0}}", "out_of_range", "sampling.max_tokens" },
        { "{\"question\":\"x\",\"sampling\":{\"heat\":1}}", "unknown_key", "sampling.heat" },
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        refuse("/v1/ask", cases[i].body, 400, cases[i].code, cases[i].param);
    refuse("/v1/ask", "{\"question\":\"x\",\"collection\":\"nowhere\"}", 404, "collection_not_found", "collection");
}

static void test_daemon_strict__search_names_the_field(void **state)
{
    static const struct {
        const char *body, *code, *param;
    } cases[] = {
        { "{}", "missing_field", "query" },
        { "{\"query\":\"\"}", "empty_query", "query" },
        { "{\"query\":\"x\",\"question\":\"y\"}", "unknown_key", "question" },
        { "{\"query\":\"x\",\"mode\":\"auto\"}", "unsupported_value", "mode" },
        { "{\"query\":\"x\",\"top_k\":0}", "out_of_range", "top_k" },
        { "{\"query\":[\"x\"]}", "invalid_type", "query" },
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        refuse("/v1/search", cases[i].body, 400, cases[i].code, cases[i].param);
    refuse("/v1/search", "{\"query\":\"x\",\"collection\":\"nowhere\"}", 404, "collection_not_found", "collection");
}

/* The same filter in both routes. */
static void refuse_filter(const char *filter, const char *code, const char *param)
{
    char body[512];
    snprintf(body, sizeof body, "{\"query\":\"x\",\"filter\":%s}", filter);
    refuse("/v1/search", body, 400, code, param);
    snprintf(body, sizeof body, "{\"question\":\"x\",\"filter\":%s}", filter);
    refuse("/v1/ask", body, 400, code, param);
}

static void test_daemon_strict__a_filter_is_what_it_says(void **state)
{
    static const struct {
        const char *filter, *code, *param;
    } cases[] = {
        { "null", "invalid_type", "filter" },
        { "[]", "invalid_type", "filter" },
        { "\"zh\"", "invalid_type", "filter" },
        { "{\"lang\":\"zh\"}", "unknown_key", "filter.lang" },
        { "{\"collection\":\"default\"}", "unknown_key", "filter.collection" },
        { "{\"language\":\"en\",\"language\":\"zh\"}", "duplicate_key", "body" },
        { "{\"language\":null}", "invalid_type", "filter.language" },
        { "{\"language\":5}", "invalid_type", "filter.language" },
        { "{\"language\":\"fr\"}", "unsupported_value", "filter.language" },
        { "{\"language\":\"ZH\"}", "unsupported_value", "filter.language" },
        { "{\"language\":\"\"}", "invalid_value", "filter.language" },
        { "{\"language\":[]}", "invalid_value", "filter.language" },
        { "{\"language\":[\"zh\",1]}", "invalid_type", "filter.language" },
        { "{\"language\":[\"zh\",\"fr\"]}", "unsupported_value", "filter.language" },
        { "{\"language\":[\"zh\",[\"en\"]]}", "invalid_type", "filter.language" },
        { "{\"language\":[\"zh\",\"zh\",\"zh\",\"zh\",\"zh\",\"zh\",\"zh\",\"zh\",\"zh\"]}", "invalid_value", "filter.language" },
        { "{\"path_prefix\":1}", "invalid_type", "filter.path_prefix" },
        { "{\"path_prefix\":[\"hr/\"]}", "invalid_type", "filter.path_prefix" },
        { "{\"path_prefix\":\"\"}", "invalid_value", "filter.path_prefix" },
        { "{\"path_prefix\":\"a\\u0000b\"}", "null_character", "body" },
        { "{\"modified_after\":1795525028}", "invalid_type", "filter.modified_after" },
        { "{\"modified_after\":\"\"}", "invalid_value", "filter.modified_after" },
        { "{\"modified_after\":\"yesterday\"}", "invalid_value", "filter.modified_after" },
        { "{\"modified_after\":\"2026-11-24\"}", "invalid_value", "filter.modified_after" },
        { "{\"modified_after\":\"2026-11-24T08:00:00\"}", "invalid_value", "filter.modified_after" },
        { "{\"modified_after\":\"2026-11-24T08:00:00+02:00\"}", "invalid_value", "filter.modified_after" },
        { "{\"modified_before\":\"2026-02-30T00:00:00Z\"}", "invalid_value", "filter.modified_before" },
        { "{\"modified_before\":\"2300-01-01T00:00:00Z\"}", "invalid_value", "filter.modified_before" },
        { "{\"modified_before\":true}", "invalid_type", "filter.modified_before" },
        { "{\"groups\":\"staff\"}", "invalid_type", "filter.groups" },
        { "{\"groups\":[]}", "invalid_value", "filter.groups" },
        { "{\"groups\":[\"\"]}", "invalid_value", "filter.groups" },
        { "{\"groups\":[\"staff\",null]}", "invalid_type", "filter.groups" },
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        refuse_filter(cases[i].filter, cases[i].code, cases[i].param);
}

/* head, n times unit, tail. */
static char *repeat(const char *head, const char *unit, size_t n, const char *tail)
{
    rag_buf b;
    rag_buf_init(&b, RAG_MAX_TEXT);
    rag_buf_puts(&b, head);
    for (size_t i = 0; i < n; i++)
        rag_buf_puts(&b, unit);
    rag_buf_puts(&b, tail);
    return rag_buf_detach(&b);
}

static void test_daemon_strict__what_is_too_long_is_413(void **state)
{
    char *words = repeat("{\"question\":\"", "word ", 300, "\"}"), *bytes = repeat("{\"question\":\"", "x", 70000, "\"}"),
         *query = repeat("{\"query\":\"", "x", 70000, "\"}"),
         *prefix = repeat("{\"query\":\"x\",\"filter\":{\"path_prefix\":\"", "x", 5000, "\"}}"),
         *groups = repeat("{\"query\":\"x\",\"filter\":{\"groups\":[\"g\"", ",\"g\"", 64, "]}}"),
         *group = repeat("{\"query\":\"x\",\"filter\":{\"groups\":[\"", "x", 129, "\"]}}"), *body = repeat("{\"question\":\"", "x", 1100000, "\"}"),
         *terms = repeat("{\"query\":\"", "a b OR ", 9000, "\"}");
    reply r;
    (void)state;
    refuse("/v1/ask", words, 413, "question_too_long", "question");
    refuse("/v1/ask", bytes, 413, "question_too_long", "question");
    refuse("/v1/search", query, 413, "query_too_long", "query");
    refuse("/v1/search", prefix, 413, "path_prefix_too_long", "filter.path_prefix");
    refuse("/v1/search", groups, 400, "invalid_value", "filter.groups");
    refuse("/v1/search", group, 400, "invalid_value", "filter.groups");
    world_call(the_world, "POST", "/v1/ask", body, &r);
    assert_int_equal(r.status, 413);
    reply_free(&r);
    world_call(the_world, "POST", "/v1/search", terms, &r);
    assert_int_equal(r.status, 200);
    reply_free(&r);
    free(words);
    free(bytes);
    free(query);
    free(prefix);
    free(groups);
    free(group);
    free(body);
    free(terms);
}

static void call_with_type(const char *type, bool is_local, int status)
{
    static const char body[] = "{\"query\":\"warranty\"}";
    char request[512];
    reply r;
    int fd = is_local ? world_dial(the_world) : world_dial_tcp(the_world);
    snprintf(request, sizeof request, "POST /v1/search HTTP/1.1\r\nHost: x\r\n%s%s%sContent-Length: %zu\r\n\r\n%s",
             *type ? "Content-Type: " : "", type, *type ? "\r\n" : "", strlen(body), body);
    send_text(fd, request);
    read_reply(fd, &r, false);
    if (status == 415)
        check_refusal(type, &r, 415, "unsupported_media_type", "Content-Type");
    if (r.status != status)
        fail_msg("'%s': %d", type, r.status);
    reply_free(&r);
    close(fd);
}

static void test_daemon_strict__the_body_is_json_and_says_so(void **state)
{
    (void)state;
    call_with_type("application/json", false, 200);
    call_with_type("Application/JSON; charset=UTF-8", false, 200);
    call_with_type("application/json;charset=\"utf-8\"", false, 200);
    call_with_type("application/json; charset=gbk", false, 415);
    call_with_type("application/jsonp", false, 415);
    call_with_type("text/plain", false, 415);
    call_with_type("application/x-www-form-urlencoded", false, 200); /* curl -d */
    call_with_type("application/x-www-form-urlencoded\r\nOrigin: http://elsewhere.example", false, 415);
    call_with_type("", false, 200);
    call_with_type("application/x-www-form-urlencoded", true, 200); /* curl -d on the Unix socket */
    call_with_type("text/plain", true, 415);
}

static void test_daemon_strict__unknown_routes_are_404_and_wrong_methods_405(void **state)
{
    static const struct {
        const char *method, *path;
        int status;
        const char *allow;
    } cases[] = {
        { "GET", "/nowhere", 404, NULL },
        { "GET", "/v1", 404, NULL },
        { "GET", "/v1/ask/", 404, NULL },
        { "GET", "/v1/documents/", 404, NULL },
        { "GET", "/v1/documents/1/text/2", 404, NULL },
        { "POST", "/v1/generations//activate", 404, NULL },
        { "GET", "/v1/ask", 405, "POST" },
        { "PUT", "/v1/search", 405, "POST" },
        { "DELETE", "/v1/documents/1", 405, "GET, HEAD" },
        { "POST", "/v1/documents", 405, "GET, HEAD" },
        { "POST", "/", 405, "GET, HEAD" },
        { "OPTIONS", "/v1/ask", 405, "POST" },
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        reply r;
        world_call(the_world, cases[i].method, cases[i].path, NULL, &r);
        check_refusal(cases[i].path, &r, cases[i].status,
                      cases[i].status == 404 ? "unknown_route" : "method_not_allowed", "");
        if (cases[i].allow)
            assert_string_equal(reply_header(&r, "Allow"), cases[i].allow);
        reply_free(&r);
    }
}

static void test_daemon_strict__head_is_get_without_a_body(void **state)
{
    reply r;
    (void)state;
    world_call(the_world, "HEAD", "/v1/documents", NULL, &r);
    assert_int_equal(r.status, 200);
    assert_int_equal(r.body.len, 0);
    reply_free(&r);
}

static void test_daemon_strict__bodies_of_bare_routes_are_empty_objects(void **state)
{
    (void)state;
    refuse("/v1/verify", "{\"deep\":true}", 400, "unknown_key", "deep");
    refuse("/v1/generations/1/activate", "[]", 400, "invalid_type", "");
    refuse("/v1/reload", "{", 400, "invalid_json", "body");
    cJSON_Delete(world_json(the_world, "POST", "/v1/verify", "{}"));
    cJSON_Delete(world_json(the_world, "POST", "/v1/reload", NULL));
}

/* ---- files -------------------------------------------------------------------------- */

static void test_daemon_strict__the_page_runs_nothing_but_its_own_script(void **state)
{
    static const char *const paths[] = { "/", "/page.js", "/page.css" };
    static const char *const files[] = { "daemon/page/index.html", "daemon/page/page.js", "daemon/page/page.css" };
    (void)state;
    for (size_t i = 0; i < 3; i++) {
        reply r;
        rag_buf file;
        rag_buf_init(&file, RAG_MAX_TEXT);
        assert_int_equal(rag_file_read(files[i], &file, NULL), RAG_OK);
        world_call(the_world, "GET", paths[i], NULL, &r);
        assert_int_equal(r.status, 200);
        const char *policy = reply_header(&r, "Content-Security-Policy");
        assert_true(strncmp(policy, "default-src 'none'; script-src 'self';", 38) == 0);
        assert_null(strstr(policy, "unsafe"));
        assert_string_equal(reply_header(&r, "X-Content-Type-Options"), "nosniff");
        assert_true(rag_str_eq(rag_buf_str(&file), rag_buf_str(&r.body)));
        rag_buf_free(&file);
        reply_free(&r);
    }
}

/* A route that openapi.json describes exists: it answers something else than 404 unknown_route and 405. */
static void check_described(const char *path, const char *method)
{
    reply r;
    char real[128] = "";
    for (size_t n = 0; *path; path++) {
        real[n++] = *path == '{' ? '1' : *path;
        path = *path == '{' ? strchr(path, '}') : path;
    }
    bool is_post = strcmp(method, "post") == 0;
    const char *verb = is_post ? "POST" : strcmp(method, "delete") == 0 ? "DELETE" : "GET";
    world_call(the_world, verb, real, is_post ? "[" : NULL, &r);
    if (r.status == 405 || r.status == 501 || (r.body.ptr && strstr(r.body.ptr, "unknown_route")))
        fail_msg("%s %s is described and is not there", method, real);
    reply_free(&r);
}

static void test_daemon_strict__openapi_describes_the_routes_that_exist(void **state)
{
    static const char *const known[] = {
        "/v1/ask", "/v1/search", "/v1/answers/{id}", "/v1/answers/{id}/replay", "/v1/conversations/{id}", "/v1/documents", "/v1/documents/{id}", "/v1/documents/{id}/text", "/v1/generations",
        "/v1/generations/{n}/activate", "/v1/verify", "/v1/reload", "/v1/backup", "/v1/status", "/metrics", "/livez",
        "/readyz", "/health", "/openapi.json", "/",
    };
    const cJSON *path, *method;
    (void)state;
    cJSON *spec = world_json(the_world, "GET", "/openapi.json", NULL);
    cJSON *paths = json_item(spec, "paths");
    assert_int_equal(cJSON_GetArraySize(paths), sizeof known / sizeof *known);
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        json_item(paths, known[i]);
    cJSON_ArrayForEach(path, paths) cJSON_ArrayForEach(method, path) check_described(path->string, method->string);
    cJSON_Delete(spec);
}

static void test_daemon_strict__status_and_metrics_count(void **state)
{
    reply r;
    (void)state;
    cJSON *status = world_json(the_world, "GET", "/v1/status", NULL);
    cJSON *memory = json_item(status, "memory");
    assert_string_equal(json_text(status, "status"), "ready");
    assert_true(json_value(status, "documents") == 4);
    assert_true(json_value(memory, "models") == json_value(memory, "kv_cache") + json_value(memory, "runtime_buffers"));
    assert_true(json_value(memory, "rss_anon") > 0);
    assert_true(json_value(json_item(status, "requests"), "errors_4xx") > 0);
    cJSON_Delete(status);
    world_call(the_world, "GET", "/metrics", NULL, &r);
    assert_int_equal(r.status, 200);
    assert_non_null(strstr(r.body.ptr, "\nragd_documents 4\n"));
    reply_free(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_daemon_strict__bodies_that_are_not_json),
        cmocka_unit_test(test_daemon_strict__ask_names_the_field),
        cmocka_unit_test(test_daemon_strict__search_names_the_field),
        cmocka_unit_test(test_daemon_strict__a_filter_is_what_it_says),
        cmocka_unit_test(test_daemon_strict__what_is_too_long_is_413),
        cmocka_unit_test(test_daemon_strict__the_body_is_json_and_says_so),
        cmocka_unit_test(test_daemon_strict__unknown_routes_are_404_and_wrong_methods_405),
        cmocka_unit_test(test_daemon_strict__head_is_get_without_a_body),
        cmocka_unit_test(test_daemon_strict__bodies_of_bare_routes_are_empty_objects),
        cmocka_unit_test(test_daemon_strict__the_page_runs_nothing_but_its_own_script),
        cmocka_unit_test(test_daemon_strict__openapi_describes_the_routes_that_exist),
        cmocka_unit_test(test_daemon_strict__status_and_metrics_count),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
