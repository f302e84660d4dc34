#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/log.h"
#include "base/utf8.h"

static char path[64], rotated[80];

static int open_log(void **state)
{
    (void)state;
    strcpy(path, "/tmp/ragd-test-log-XXXXXX");
    int fd = mkstemp(path);
    close(fd);
    snprintf(rotated, sizeof rotated, "%s.1", path);
    return fd < 0 || rag_log_open(path, RAG_INFO, NULL) != RAG_OK;
}

static int close_log(void **state)
{
    (void)state;
    rag_log_close();
    unlink(path);
    unlink(rotated);
    return 0;
}

static char *written(const char *from)
{
    rag_buf b;
    rag_buf_init(&b, 16 << 20);
    assert_int_equal(rag_file_read(from, &b, NULL), RAG_OK);
    return rag_buf_detach(&b);
}

static size_t lines_of(const char *text)
{
    size_t n = 0;
    for (; *text; text++)
        n += *text == '\n';
    return n;
}

static void test_log__an_event_is_one_line_with_time_and_level(void **state)
{
    (void)state;
    rag_log(RAG_WARN, "request_id=%d done", 7);
    char *text = written(path);
    assert_non_null(strstr(text, "Z WARN  request_id=7 done\n"));
    assert_memory_equal(text, "20", 2);
    assert_int_equal(text[10], 'T');
    assert_int_equal(lines_of(text), 1);
    free(text);
}

static void test_log__levels_below_are_silent(void **state)
{
    (void)state;
    rag_log(RAG_DEBUG, "hidden");
    rag_log_set_level(RAG_ERROR);
    rag_log(RAG_WARN, "hidden");
    rag_log(RAG_ERROR, "shown");
    char *text = written(path);
    assert_null(strstr(text, "hidden"));
    assert_non_null(strstr(text, "ERROR shown"));
    free(text);
}

static void test_log__controls_and_bad_bytes_are_escaped(void **state)
{
    (void)state;
    rag_log(RAG_INFO, "%s", "a\nforged\r\x1B[2J\xFF中");
    char *text = written(path);
    assert_non_null(strstr(text, "a\\nforged\\x0D\\x1B[2J\\xFF中\n"));
    assert_int_equal(lines_of(text), 1);
    free(text);
}

static void test_log__endless_line_is_cut_at_a_character(void **state)
{
    (void)state;
    static const char *const fillers[] = { "中", "\x01", "a" };
    for (size_t f = 0; f < 3; f++) {
        rag_buf b;
        rag_buf_init(&b, 1 << 20);
        while (b.len < 200000)
            rag_buf_puts(&b, fillers[f]);
        rag_log(RAG_INFO, "%s", b.ptr);
        rag_buf_free(&b);
    }
    char *text = written(path);
    assert_int_equal(lines_of(text), 3);
    assert_true(rag_utf8_valid(rag_str_of(text), NULL));
    assert_true(strlen(text) <= 3 * (size_t)RAG_MAX_LINE);
    free(text);
}

static void test_log__reopen_follows_a_rotation(void **state)
{
    (void)state;
    rag_log(RAG_INFO, "first");
    assert_int_equal(rename(path, rotated), 0);
    rag_log(RAG_INFO, "second");
    assert_int_equal(rag_log_reopen(NULL), RAG_OK);
    rag_log(RAG_INFO, "third");
    char *old = written(rotated), *new = written(path);
    assert_non_null(strstr(old, "second"));
    assert_null(strstr(old, "third"));
    assert_non_null(strstr(new, "third"));
    free(old);
    free(new);
}

static void test_log__failed_open_keeps_the_old_file(void **state)
{
    (void)state;
    rag_err err;
    assert_int_equal(rag_log_open("/no/such/folder/log", RAG_DEBUG, &err), RAG_NOT_FOUND);
    assert_non_null(strstr(err.message, "'/no/such/folder/log'"));
    rag_log(RAG_INFO, "still here");
    char *text = written(path);
    assert_non_null(strstr(text, "still here"));
    free(text);
}

static void *write_many(void *arg)
{
    for (int i = 0; i < 500; i++)
        rag_log(RAG_INFO, "thread %d line %d end", *(int *)arg, i);
    return NULL;
}

static void test_log__threads_do_not_mix_lines(void **state)
{
    (void)state;
    enum { N = 4 };
    pthread_t threads[N];
    int ids[N];
    for (int i = 0; i < N; i++) {
        ids[i] = i;
        assert_int_equal(pthread_create(&threads[i], NULL, write_many, &ids[i]), 0);
    }
    for (int i = 0; i < 20; i++)
        assert_int_equal(rag_log_reopen(NULL), RAG_OK);
    for (int i = 0; i < N; i++)
        pthread_join(threads[i], NULL);
    char *text = written(path);
    assert_int_equal(lines_of(text), N * 500);
    for (char *line = strtok(text, "\n"); line; line = strtok(NULL, "\n"))
        assert_string_equal(line + strlen(line) - 4, " end");
    free(text);
}

static void test_log__level_names(void **state)
{
    (void)state;
    rag_level level;
    assert_true(rag_level_parse("warn", &level));
    assert_int_equal(level, RAG_WARN);
    assert_true(rag_level_parse("DEBUG", &level));
    assert_int_equal(level, RAG_DEBUG);
    assert_false(rag_level_parse("loud", &level));
    assert_false(rag_level_parse("", &level));
}

int main(void)
{
#define WITH_LOG(f) cmocka_unit_test_setup_teardown(f, open_log, close_log)
    const struct CMUnitTest tests[] = {
        WITH_LOG(test_log__an_event_is_one_line_with_time_and_level),
        WITH_LOG(test_log__levels_below_are_silent),
        WITH_LOG(test_log__controls_and_bad_bytes_are_escaped),
        WITH_LOG(test_log__endless_line_is_cut_at_a_character),
        WITH_LOG(test_log__reopen_follows_a_rotation),
        WITH_LOG(test_log__failed_open_keeps_the_old_file),
        WITH_LOG(test_log__threads_do_not_mix_lines),
        cmocka_unit_test(test_log__level_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
