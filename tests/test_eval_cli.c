/* `ragctl eval` from outside, against a daemon of canned replies. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cjson/cJSON.h>

#include "base/file.h"
#include "tests/ctl_fixture.h"

typedef struct bench {
    fake_daemon *daemon;
    char set[96], json[128], html[128];
} bench;

static char *path_in(const bench *b, const char *name)
{
    return rag_path_join(b->set, name);
}

static void put(const bench *b, const char *name, const char *text)
{
    char *path = path_in(b, name);
    assert_int_equal(rag_file_write_atomic(path, rag_str_of(text), NULL), RAG_OK);
    free(path);
}

/* returns.md is what the daemon finds; it says "30 days. [1]". */
static const char three[] =
    "{\"id\":\"a\",\"question\":\"How long?\",\"answers\":[\"30 days\"],\"gold_docs\":[\"returns.md\"],\"lang\":\"en\"}\n"
    "{\"id\":\"b\",\"question\":\"refuse\",\"answers\":[],\"answerable\":false}\n"
    "{\"id\":\"c\",\"question\":\"<b>\\\"quoted\\\" & 'so'</b>\",\"answers\":[\"90 weeks\"],\"gold_docs\":[\"other.md\"]}\n";

static int start(void **state)
{
    bench *b = rag_calloc(1, sizeof *b);
    b->daemon = fake_daemon_start();
    snprintf(b->set, sizeof b->set, "/tmp/test_eval_set.XXXXXX");
    if (!mkdtemp(b->set))
        return 1;
    snprintf(b->json, sizeof b->json, "%s/out.json", b->set);
    snprintf(b->html, sizeof b->html, "%s/out.html", b->set);
    put(b, "questions.jsonl", three);
    *state = b;
    return 0;
}

static int stop(void **state)
{
    bench *b = *state;
    fake_daemon_stop(b->daemon);
    rag_dir_remove(b->set, NULL);
    free(b);
    return 0;
}

#define SOCKET(b) "--socket", fake_daemon_socket((b)->daemon)

static void expect(outcome o, int exit_code, const char *part)
{
    if (o.exit_code != exit_code || !strstr(o.err, part))
        print_error("exit %d, stdout: %s\nstderr: %s\n", o.exit_code, o.out, o.err);
    assert_int_equal(o.exit_code, exit_code);
    assert_non_null(strstr(o.err, part));
    outcome_free(&o);
}

static cJSON *read_json(const char *path)
{
    rag_buf text;
    rag_buf_init(&text, RAG_MAX_REPLY);
    assert_int_equal(rag_file_read(path, &text, NULL), RAG_OK);
    cJSON *json = cJSON_Parse(text.ptr);
    assert_non_null(json);
    rag_buf_free(&text);
    return json;
}

static const cJSON *at(const cJSON *object, const char *key)
{
    return cJSON_GetObjectItemCaseSensitive(object, key);
}

static double metric(const cJSON *report, const char *key)
{
    const cJSON *value = at(at(at(report, "metrics"), key), "value");
    if (!cJSON_IsNumber(value))
        fail_msg("no %s", key);
    return value->valuedouble;
}

static void test_eval_cli__a_run_is_reported_as_json(void **state)
{
    bench *b = *state;
    expect(RAGCTL(NULL, "eval", SOCKET(b), "--output", b->json, b->set), 0, "");
    cJSON *report = read_json(b->json);
    assert_memory_equal(at(report, "set")->valuestring, "test_eval_set.", 14);
    assert_float_equal(at(at(report, "daemon"), "generation")->valuedouble, 7, 0);
    assert_float_equal(metric(report, "doc_hit_1"), 0.5, 1e-12);
    assert_float_equal(metric(report, "doc_ndcg_10"), 0.5, 1e-12);
    assert_float_equal(metric(report, "answer_in_1"), 0.5, 1e-12);
    assert_float_equal(metric(report, "exact_match"), 0.5, 1e-12);
    assert_float_equal(metric(report, "refusal_precision"), 1, 1e-12);
    assert_float_equal(metric(report, "refusal_recall"), 1, 1e-12);
    assert_float_equal(metric(report, "wrongly_refused"), 0, 1e-12);
    assert_true(cJSON_IsNull(at(at(report, "metrics"), "span_hit_1")));
    assert_true(cJSON_IsNull(at(at(report, "metrics"), "citation_precision")));
    const cJSON *questions = at(report, "questions"), *first = cJSON_GetArrayItem(questions, 0);
    assert_int_equal(cJSON_GetArraySize(questions), 3);
    assert_string_equal(at(first, "id")->valuestring, "a");
    assert_float_equal(at(at(first, "values"), "f1")->valuedouble, 1, 1e-12);
    assert_null(at(at(cJSON_GetArrayItem(questions, 1), "values"), "f1"));
    assert_int_equal(cJSON_GetArraySize(at(report, "calibration")), 10);
    cJSON_Delete(report);
}

static void test_eval_cli__the_requests_carry_the_options(void **state)
{
    bench *b = *state;
    expect(RAGCTL(NULL, "eval", SOCKET(b), "--search-only", "--limit", "2", "--concurrency", "2", b->set), 0, "");
    assert_int_equal(fake_daemon_requests(b->daemon), 3); /* the status, two searches */
    outcome o = RAGCTL(NULL, "eval", SOCKET(b), "--json", "--limit", "1", "--search-mode", "text", "--top-k", "7",
                       "--mode", "extract", "--collection", "kb", b->set);
    assert_int_equal(o.exit_code, 0);
    assert_ptr_equal(strchr(o.out, '\n'), o.out + strlen(o.out) - 1);
    assert_non_null(strstr(o.out, "\"options\":{\"top_k\":7,\"search_mode\":\"text\",\"mode\":\"extract\",\"collection\":\"kb\","));
    outcome_free(&o);
}

static void test_eval_cli__the_table_shows_what_does_not_apply_as_a_dash(void **state)
{
    bench *b = *state;
    outcome o = RAGCTL(NULL, "eval", SOCKET(b), b->set);
    assert_int_equal(o.exit_code, 0);
    assert_non_null(strstr(o.out, "3 questions in "));
    assert_non_null(strstr(o.out, "\n  hit@1                             0.500 [0.000, 1.000]      -"));
    assert_non_null(strstr(o.out, "\n  citation precision                -"));
    assert_non_null(strstr(o.out, "\n  refusal recall                    1.000 ["));
    assert_null(strstr(o.out, "nan"));
    assert_null(strstr(o.out, " \n"));
    outcome_free(&o);
}

static void test_eval_cli__the_page_stands_alone_and_escapes(void **state)
{
    bench *b = *state;
    rag_buf page;
    rag_buf_init(&page, RAG_MAX_REPLY);
    expect(RAGCTL(NULL, "eval", SOCKET(b), "--html", b->html, b->set), 0, "");
    assert_int_equal(rag_file_read(b->html, &page, NULL), RAG_OK);
    assert_memory_equal(page.ptr, "<!DOCTYPE html>", 15);
    assert_non_null(strstr(page.ptr, "&lt;b&gt;&quot;quoted&quot; &amp; &#39;so&#39;&lt;/b&gt;"));
    assert_null(strstr(page.ptr, "<b>\"quoted"));
    assert_null(strstr(page.ptr, "http://"));
    assert_null(strstr(page.ptr, "https://"));
    assert_null(strstr(page.ptr, "<script"));
    assert_null(strstr(page.ptr, "src="));
    assert_null(strstr(page.ptr, "url("));
    assert_null(strstr(page.ptr, "nan"));
    assert_non_null(strstr(page.ptr, "<svg"));
    assert_non_null(strstr(page.ptr, "other.md"));
    assert_non_null(strstr(page.ptr, "</html>"));
    rag_buf_free(&page);
}

static void test_eval_cli__failures_are_counted_and_exit_5(void **state)
{
    bench *b = *state;
    put(b, "questions.jsonl",
        "{\"id\":\"a\",\"question\":\"How long?\",\"answers\":[\"30 days\"],\"gold_docs\":[\"returns.md\"]}\n"
        "{\"id\":\"x\",\"question\":\"status 500\",\"answers\":[\"30 days\"],\"gold_docs\":[\"returns.md\"]}\n"
        "{\"id\":\"y\",\"question\":\"garbage\",\"gold_docs\":[\"returns.md\"]}\n"
        "{\"id\":\"z\",\"question\":\"busy 2\",\"answers\":[\"30 days\"],\"gold_docs\":[\"returns.md\"]}\n");
    outcome o = RAGCTL(NULL, "eval", SOCKET(b), "--output", b->json, b->set);
    assert_int_equal(o.exit_code, 5);
    assert_non_null(strstr(o.out, "2 questions failed and are left out"));
    assert_non_null(strstr(o.out, "  x: search: the fake says no"));
    outcome_free(&o);
    cJSON *report = read_json(b->json);
    assert_float_equal(at(report, "failed")->valuedouble, 2, 0);
    assert_float_equal(metric(report, "doc_hit_1"), 1, 1e-12);
    assert_float_equal(at(at(at(report, "metrics"), "doc_hit_1"), "n")->valuedouble, 2, 0);
    assert_non_null(at(cJSON_GetArrayItem(at(report, "questions"), 1), "error"));
    cJSON_Delete(report);
}

static void test_eval_cli__bad_input_has_its_exit_code(void **state)
{
    bench *b = *state;
    expect(RAGCTL(NULL, "eval", SOCKET(b), "/nonexistent/set"), 1, "/nonexistent/set");
    expect(RAGCTL(NULL, "eval", SOCKET(b), "--small", b->set), 1, "questions.small.jsonl");
    expect(RAGCTL(NULL, "eval", SOCKET(b)), 2, "eval needs SET");
    expect(RAGCTL(NULL, "eval", SOCKET(b), b->set, b->set), 2, "one question set");
    expect(RAGCTL(NULL, "eval", SOCKET(b), "--limit", "0", b->set), 2, "--limit");
    expect(RAGCTL(NULL, "eval", SOCKET(b), "--top-k", "101", b->set), 2, "--top-k");
    expect(RAGCTL(NULL, "eval", SOCKET(b), "--data", "/tmp", b->set), 2, "--data starts a daemon");
    expect(RAGCTL(NULL, "eval", "--data", b->set, b->set), 1, "holds no knowledge base");
    expect(RAGCTL(NULL, "eval", SOCKET(b), "--output", "/nonexistent/x.json", b->set), 1, "cannot write '/nonexistent/x.json'");
    expect(RAGCTL(NULL, "eval", "--socket", "/nonexistent/s", b->set), 3, "cannot reach the daemon");
    put(b, "questions.jsonl", "{\"id\":\"a\",\"question\":\"q\"}\n{\"id\":\"a\"");
    expect(RAGCTL(NULL, "eval", SOCKET(b), b->set), 2, "questions.jsonl':2:");
    put(b, "questions.jsonl", "\n");
    expect(RAGCTL(NULL, "eval", SOCKET(b), b->set), 2, "holds no question");
    put(b, "questions.jsonl", "{\"id\":\"a\",\"question\":\"q\"}\n{\"id\":\"a\",\"question\":\"r\"}");
    expect(RAGCTL(NULL, "eval", SOCKET(b), b->set), 2, "the id stands on line 1 already");
    assert_int_equal(fake_daemon_requests(b->daemon), 0);
}

/* ---- comparing ---------------------------------------------------------------------- */

static char *report_of(const bench *b, const char *name, int hits, int from)
{
    rag_buf text;
    rag_buf_init(&text, RAG_MAX_REPLY);
    rag_buf_puts(&text, "{\"set\":\"s\",\"date\":\"d\",\"questions\":[");
    for (int i = from; i < from + 100; i++)
        rag_buf_putf(&text, "%s{\"id\":\"q%d\",\"question\":\"Q%d\\u001b[31m?\",\"values\":{\"doc_hit_1\":%d,\"citation_precision\":[1,2]}}",
                     i > from ? "," : "", i, i, i < hits);
    rag_buf_puts(&text, "]}");
    put(b, name, text.ptr);
    rag_buf_free(&text);
    return path_in(b, name);
}

static void test_eval_cli__a_comparison_pairs_by_id(void **state)
{
    bench *b = *state;
    char *x = report_of(b, "x.json", 50, 0), *y = report_of(b, "y.json", 75, 10);
    outcome o = RAGCTL(NULL, "eval", "--compare", "--json", "--metric", "doc_hit_1", "--changes", "3", x, y);
    assert_int_equal(o.exit_code, 0);
    cJSON *json = cJSON_Parse(o.out);
    const cJSON *hit = at(at(json, "metrics"), "doc_hit_1");
    assert_float_equal(at(json, "paired")->valuedouble, 90, 0);
    assert_float_equal(at(json, "only_a")->valuedouble, 10, 0);
    assert_float_equal(at(json, "only_b")->valuedouble, 10, 0);
    assert_float_equal(at(hit, "a")->valuedouble, 40.0 / 90, 1e-12);
    assert_float_equal(at(hit, "difference")->valuedouble, 25.0 / 90, 1e-12);
    assert_float_equal(at(hit, "better")->valuedouble, 25, 0);
    assert_float_equal(at(hit, "worse")->valuedouble, 0, 0);
    assert_true(cJSON_IsTrue(at(hit, "significant")));
    assert_true(cJSON_IsFalse(at(at(at(json, "metrics"), "citation_precision"), "significant")));
    assert_true(cJSON_IsNull(at(at(json, "metrics"), "f1")));
    assert_int_equal(cJSON_GetArraySize(at(json, "changes")), 3);
    cJSON_Delete(json);
    outcome_free(&o);
    o = RAGCTL(NULL, "eval", "--compare", "--metric", "doc_hit_1", "--changes", "2", x, y);
    assert_int_equal(o.exit_code, 0);
    assert_non_null(strstr(o.out, "significantly better in B: hit@1 by document\n"));
    assert_null(strstr(o.out, "significantly worse"));
    assert_non_null(strstr(o.out, "largest changes of hit@1 by document\n    0.000 ->   1.000  q50  Q50\\x1b[31m?\n"));
    assert_null(strstr(o.out, "\x1b"));
    outcome_free(&o);
    o = RAGCTL(NULL, "eval", "--compare", x, x);
    assert_non_null(strstr(o.out, "no figure differs significantly\n"));
    outcome_free(&o);
    free(x);
    free(y);
}

static void test_eval_cli__a_report_compares_with_itself(void **state)
{
    bench *b = *state;
    expect(RAGCTL(NULL, "eval", SOCKET(b), "--output", b->json, b->set), 0, "");
    outcome o = RAGCTL(NULL, "eval", "--compare", "--json", b->json, b->json);
    assert_int_equal(o.exit_code, 0);
    cJSON *json = cJSON_Parse(o.out);
    assert_float_equal(at(json, "paired")->valuedouble, 3, 0);
    assert_float_equal(at(at(at(json, "metrics"), "exact_match"), "a")->valuedouble, 0.5, 1e-12);
    assert_float_equal(at(at(at(json, "metrics"), "ece"), "difference")->valuedouble, 0, 0);
    cJSON_Delete(json);
    outcome_free(&o);
}

static void test_eval_cli__reports_that_cannot_be_compared_are_refused(void **state)
{
    bench *b = *state;
    char *x = report_of(b, "x.json", 50, 0), *far = report_of(b, "far.json", 50, 500), *set = path_in(b, "questions.jsonl");
    put(b, "twice.json", "{\"questions\":[{\"id\":\"q1\"},{\"id\":\"q1\"}]}");
    put(b, "other.json", "{\"results\":[]}");
    char *twice = path_in(b, "twice.json"), *other = path_in(b, "other.json");
    expect(RAGCTL(NULL, "eval", "--compare", x), 2, "--compare takes two reports");
    expect(RAGCTL(NULL, "eval", "--compare", x, "/nonexistent"), 1, "/nonexistent");
    expect(RAGCTL(NULL, "eval", "--compare", x, set), 2, "not a JSON value");
    expect(RAGCTL(NULL, "eval", "--compare", x, other), 2, "is no report of 'ragctl eval'");
    expect(RAGCTL(NULL, "eval", "--compare", x, twice), 2, "the id 'q1' stands twice");
    expect(RAGCTL(NULL, "eval", "--compare", x, far), 2, "no question in common");
    expect(RAGCTL(NULL, "eval", "--compare", "--metric", "beauty", x, x), 2, "--metric knows no 'beauty'");
    free(x);
    free(far);
    free(set);
    free(twice);
    free(other);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_eval_cli__a_run_is_reported_as_json, start, stop),
        cmocka_unit_test_setup_teardown(test_eval_cli__the_requests_carry_the_options, start, stop),
        cmocka_unit_test_setup_teardown(test_eval_cli__the_table_shows_what_does_not_apply_as_a_dash, start, stop),
        cmocka_unit_test_setup_teardown(test_eval_cli__the_page_stands_alone_and_escapes, start, stop),
        cmocka_unit_test_setup_teardown(test_eval_cli__failures_are_counted_and_exit_5, start, stop),
        cmocka_unit_test_setup_teardown(test_eval_cli__bad_input_has_its_exit_code, start, stop),
        cmocka_unit_test_setup_teardown(test_eval_cli__a_comparison_pairs_by_id, start, stop),
        cmocka_unit_test_setup_teardown(test_eval_cli__a_report_compares_with_itself, start, stop),
        cmocka_unit_test_setup_teardown(test_eval_cli__reports_that_cannot_be_compared_are_refused, start, stop),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
