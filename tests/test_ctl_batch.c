/* ragctl ask|search --batch from outside. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cjson/cJSON.h>
#include <cmocka.h>

#include "base/file.h"
#include "base/str.h"
#include "tests/ctl_fixture.h"

static int start(void **state)
{
    *state = fake_daemon_start();
    return 0;
}

static int stop(void **state)
{
    fake_daemon_stop(*state);
    return 0;
}

#define SOCKET(state) "--socket", fake_daemon_socket(*(state))

/* The output's lines as an array of objects. */
static cJSON *lines_of(const char *out)
{
    cJSON *list = cJSON_CreateArray();
    while (*out) {
        const char *end = strchr(out, '\n');
        assert_non_null(end);
        cJSON *object = cJSON_ParseWithLength(out, (size_t)(end - out));
        assert_true(cJSON_IsObject(object));
        cJSON_AddItemToArray(list, object);
        out = end + 1;
    }
    return list;
}

static cJSON *batch(void **state, const char *input, int exit_code, const char *const *more)
{
    const char *words[32] = { "ask", "--batch", "-", SOCKET(state) };
    for (size_t n = 5, i = 0; more && more[i]; i++)
        words[n++] = more[i];
    outcome o = ragctl_run(input, words);
    if (o.exit_code != exit_code)
        print_error("stdout: %s\nstderr: %s\n", o.out, o.err);
    assert_int_equal(o.exit_code, exit_code);
    cJSON *list = lines_of(o.out);
    outcome_free(&o);
    return list;
}

#define WORDS(...) ((const char *const[]){ __VA_ARGS__, NULL })

static const char *text_at(const cJSON *list, int i, const char *key)
{
    const char *text = cJSON_GetStringValue(cJSON_GetObjectItem(cJSON_GetArrayItem(list, i), key));
    return text ? text : "";
}

static const char *code_at(const cJSON *list, int i)
{
    const char *code = cJSON_GetStringValue(
        cJSON_GetObjectItem(cJSON_GetObjectItem(cJSON_GetArrayItem(list, i), "error"), "code"));
    return code ? code : "";
}

static void test_batch__responses_come_in_input_order_though_the_first_is_answered_last(void **state)
{
    rag_buf input;
    rag_buf_init(&input, RAG_MAX_LINE);
    rag_buf_puts(&input, "{\"id\":0,\"question\":\"wait 20\"}\n");
    for (int i = 1; i < 20; i++)
        rag_buf_putf(&input, "{\"id\":%d,\"question\":\"q%d\"}\n", i, i);
    cJSON *list = batch(state, input.ptr, 0, WORDS("--concurrency", "3"));
    assert_int_equal(cJSON_GetArraySize(list), 20);
    for (int i = 0; i < 20; i++) {
        char want[64];
        assert_int_equal(cJSON_GetObjectItem(cJSON_GetArrayItem(list, i), "id")->valueint, i);
        snprintf(want, sizeof want, i ? "{\"question\":\"q%d\"}" : "{\"question\":\"wait 20\"}", i);
        assert_string_equal(text_at(list, i, "model"), want);
    }
    cJSON_Delete(list);
    rag_buf_free(&input);
}

static void test_batch__as_many_requests_run_at_once_as_asked_for_on_kept_connections(void **state)
{
    rag_buf input;
    rag_buf_init(&input, RAG_MAX_LINE);
    for (int i = 0; i < 5; i++)
        rag_buf_puts(&input, "{\"question\":\"wait 5\"}\n"); /* is only answered when all five have come */
    for (int i = 0; i < 40; i++)
        rag_buf_puts(&input, "{\"question\":\"q\"}\n");
    cJSON *list = batch(state, input.ptr, 0, WORDS("--concurrency", "5"));
    assert_int_equal(cJSON_GetArraySize(list), 45);
    assert_int_equal(fake_daemon_most_at_once(*state), 5);
    assert_int_equal(fake_daemon_connections(*state), 5);
    cJSON_Delete(list);
    rag_buf_free(&input);
}

static void test_batch__id_is_echoed_as_written_and_not_forwarded(void **state)
{
    outcome o = RAGCTL("{\"question\" : \"a\" , \"id\":12345678901234567890, \"top_k\":1.50}\n"
                       "{\"id\":{\"x\": [1,\"}\"]},\"question\":\"b\"}\n"
                       "{\"question\":\"\\u0069d\"}\n",
                       "ask", "--batch", "-", SOCKET(state));
    assert_int_equal(o.exit_code, 0);
    assert_memory_equal(o.out, "{\"id\":12345678901234567890,\"conversation_id\":", 44);
    assert_non_null(strstr(o.out, "{\\\"question\\\" : \\\"a\\\",\\\"top_k\\\":1.50}"));
    assert_non_null(strstr(o.out, "\n{\"id\":{\"x\":[1,\"}\"]},\"conversation_id\""));
    assert_non_null(strstr(o.out, "\"{\\\"question\\\":\\\"b\\\"}\""));
    assert_non_null(strstr(o.out, "\n{\"conversation_id\""));
    outcome_free(&o);
}

/* cJSON_Minify 1.7.15 takes the quote behind an escaped backslash for an escaped one. */
static void test_batch__an_id_that_ends_in_a_backslash_survives(void **state)
{
    outcome o = RAGCTL("{\"id\":[\"a \\\\\" , \" b c\"],\"question\":\" \\\\\"}\n", "ask", "--batch", "-", SOCKET(state));
    assert_int_equal(o.exit_code, 0);
    static const char want[] = "{\"id\":[\"a \\\\\",\" b c\"],";
    assert_memory_equal(o.out, want, sizeof want - 1);
    outcome_free(&o);
}

static void test_batch__options_fill_in_what_a_line_does_not_say(void **state)
{
    cJSON *list = batch(state, "{\"question\":\"a\"}\n{\"question\":\"b\",\"top_k\":9,\"sampling\":{}}\n{\"id\":1}\n", 0,
                        WORDS("--top-k", "2", "--seed", "7"));
    assert_string_equal(text_at(list, 0, "model"), "{\"question\":\"a\",\"top_k\":2,\"sampling\":{\"seed\":7}}");
    assert_string_equal(text_at(list, 1, "model"), "{\"question\":\"b\",\"top_k\":9,\"sampling\":{}}");
    assert_string_equal(text_at(list, 2, "model"), "{\"top_k\":2,\"sampling\":{\"seed\":7}}");
    cJSON_Delete(list);
}

static void test_batch__a_bad_line_is_an_error_with_its_number_and_the_others_go_on(void **state)
{
    cJSON *list = batch(state,
                        "{\"question\":\"a\"}\n\n{\"question\":\n[1]\n{\"question\":\"b\"} x\n"
                        "{\"question\":\"\xff\"}\n{\"id\":\"s\",\"question\":\"q\",\"stream\":true}\n{\"question\":\"z\"}",
                        5, NULL);
    static const char *const codes[] = { "", "invalid_json", "invalid_json", "invalid_json", "invalid_json",
                                         "invalid_value", "" };
    static const int numbers[] = { 0, 3, 4, 5, 6, 7, 0 };
    assert_int_equal(cJSON_GetArraySize(list), 7);
    for (int i = 0; i < 7; i++) {
        const cJSON *line = cJSON_GetObjectItem(cJSON_GetArrayItem(list, i), "line");
        assert_string_equal(code_at(list, i), codes[i]);
        assert_int_equal(line ? line->valueint : 0, numbers[i]);
    }
    assert_string_equal(text_at(list, 5, "id"), "s");
    assert_string_equal(text_at(list, 6, "model"), "{\"question\":\"z\"}");
    cJSON_Delete(list);
}

static void test_batch__an_over_long_line_is_refused_without_being_kept(void **state)
{
    size_t big = 6 * 1024 * 1024;
    rag_buf input;
    rag_buf_init(&input, 2 * big);
    rag_buf_puts(&input, "{\"question\":\"");
    for (size_t i = 0; i < big; i++)
        rag_buf_putc(&input, 'x');
    rag_buf_puts(&input, "\"}\n{\"question\":\"after\"}\n");
    cJSON *list = batch(state, input.ptr, 5, NULL);
    assert_int_equal(cJSON_GetArraySize(list), 2);
    assert_string_equal(code_at(list, 0), "too_large");
    assert_string_equal(text_at(list, 1, "model"), "{\"question\":\"after\"}");
    assert_int_equal(fake_daemon_requests(*state), 1);
    cJSON_Delete(list);
    rag_buf_free(&input);
}

static void test_batch__503_is_tried_again_until_it_is_answered(void **state)
{
    cJSON *list = batch(state, "{\"id\":1,\"question\":\"busy 3\"}\n{\"id\":2,\"question\":\"b\"}\n", 0, NULL);
    assert_int_equal(cJSON_GetArraySize(list), 2);
    assert_string_equal(text_at(list, 0, "model"), "{\"question\":\"busy 3\"}");
    assert_int_equal(fake_daemon_requests(*state), 5);
    cJSON_Delete(list);
}

static void test_batch__503_is_given_up_in_the_end_with_the_servers_error(void **state)
{
    cJSON *list = batch(state, "{\"id\":1,\"question\":\"full\"}\n{\"id\":2,\"question\":\"b\"}\n", 5, NULL);
    assert_string_equal(code_at(list, 0), "canned");
    assert_string_equal(code_at(list, 1), "");
    int requests = fake_daemon_requests(*state);
    assert_true(requests > 10);
    cJSON_Delete(list);
    list = batch(state, "{\"question\":\"status 503\"}\n", 5, NULL); /* names no time: fewer tries */
    assert_string_equal(code_at(list, 0), "canned");
    assert_in_range(fake_daemon_requests(*state) - requests, 2, 10);
    cJSON_Delete(list);
}

static void test_batch__failed_items_have_an_error_and_make_exit_5(void **state)
{
    cJSON *list = batch(state,
                        "{\"question\":\"ok\"}\n{\"id\":\"x\",\"question\":\"status 404\"}\n{\"question\":\"break\"}\n"
                        "{\"question\":\"garbage\"}\n{\"question\":\"refuse\"}\n",
                        5, WORDS("--concurrency", "1"));
    static const char *const codes[] = { "", "canned", "io", "bad_reply", "" };
    assert_int_equal(cJSON_GetArraySize(list), 5);
    for (int i = 0; i < 5; i++)
        assert_string_equal(code_at(list, i), codes[i]);
    assert_string_equal(text_at(list, 1, "id"), "x");
    cJSON_Delete(list);
}

static void test_batch__an_empty_batch_is_done(void **state)
{
    cJSON *list = batch(state, "", 0, NULL);
    assert_int_equal(cJSON_GetArraySize(list), 0);
    cJSON_Delete(list);
    assert_int_equal(fake_daemon_requests(*state), 0);
}

static void test_batch__an_unreachable_daemon_is_exit_3(void **state)
{
    (void)state;
    outcome o = RAGCTL("{\"question\":\"a\"}\n", "ask", "--batch", "-", "--socket", "/nonexistent/s");
    assert_int_equal(o.exit_code, 3);
    assert_string_equal(o.out, "");
    assert_non_null(strstr(o.err, "is ragd running?"));
    outcome_free(&o);
}

static void test_batch__search_takes_a_file(void **state)
{
    char path[128];
    snprintf(path, sizeof path, "%s/b.jsonl", fake_daemon_folder(*state));
    rag_code code = rag_file_write_atomic(path, RAG_STR("{\"id\":1,\"query\":\"q\"}\n{\"id\":2,\"query\":\"empty\"}"), NULL);
    assert_int_equal(code, RAG_OK);
    outcome o = RAGCTL(NULL, "search", "--batch", path, SOCKET(state));
    assert_int_equal(o.exit_code, 0);
    cJSON *list = lines_of(o.out);
    assert_int_equal(cJSON_GetArraySize(cJSON_GetObjectItem(cJSON_GetArrayItem(list, 0), "results")), 1);
    assert_int_equal(cJSON_GetArraySize(cJSON_GetObjectItem(cJSON_GetArrayItem(list, 1), "results")), 0);
    cJSON_Delete(list);
    outcome_free(&o);
    o = RAGCTL(NULL, "search", "--batch", "/nonexistent/b", SOCKET(state));
    assert_int_equal(o.exit_code, 1);
    outcome_free(&o);
    o = RAGCTL(NULL, "search", "--batch", path, SOCKET(state), "words");
    assert_int_equal(o.exit_code, 2);
    outcome_free(&o);
    o = RAGCTL(NULL, "search", "--batch", path, "--concurrency", "0", SOCKET(state));
    assert_int_equal(o.exit_code, 2);
    outcome_free(&o);
}

/* Writes a question, and the next only when the first one's answer has been read: deadlocks unless lines are
 * answered as they arrive. */
static void test_batch__a_line_is_answered_before_the_next_one_comes(void **state)
{
    int in[2], out[2], status = 0;
    char line[4096], *here = rag_path_self_dir(), *program = rag_path_join(here, "../bin/ragctl");
    assert_int_equal(pipe(in) | pipe(out), 0);
    pid_t child = fork();
    if (child == 0) {
        dup2(in[0], 0);
        dup2(out[1], 1);
        close(in[1]);
        execl(program, program, "ask", "--batch", "-", SOCKET(state), (char *)NULL);
        _exit(127);
    }
    close(in[0]);
    close(out[1]);
    FILE *answers = fdopen(out[0], "r");
    for (int i = 0; i < 3; i++) {
        assert_int_equal(write(in[1], "{\"question\":\"q\"}\n", 17), 17);
        assert_non_null(fgets(line, sizeof line, answers));
        assert_non_null(strstr(line, "30 days"));
    }
    close(in[1]);
    assert_null(fgets(line, sizeof line, answers));
    waitpid(child, &status, 0);
    assert_int_equal(status, 0);
    fclose(answers);
    free(program);
    free(here);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, start, stop)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_batch__responses_come_in_input_order_though_the_first_is_answered_last),
        TEST(test_batch__as_many_requests_run_at_once_as_asked_for_on_kept_connections),
        TEST(test_batch__id_is_echoed_as_written_and_not_forwarded),
        TEST(test_batch__an_id_that_ends_in_a_backslash_survives),
        TEST(test_batch__options_fill_in_what_a_line_does_not_say),
        TEST(test_batch__a_bad_line_is_an_error_with_its_number_and_the_others_go_on),
        TEST(test_batch__an_over_long_line_is_refused_without_being_kept),
        TEST(test_batch__503_is_tried_again_until_it_is_answered),
        TEST(test_batch__503_is_given_up_in_the_end_with_the_servers_error),
        TEST(test_batch__failed_items_have_an_error_and_make_exit_5),
        TEST(test_batch__an_empty_batch_is_done),
        TEST(test_batch__an_unreachable_daemon_is_exit_3),
        TEST(test_batch__search_takes_a_file),
        TEST(test_batch__a_line_is_answered_before_the_next_one_comes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
