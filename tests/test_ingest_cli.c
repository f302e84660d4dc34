/* ragd-ingest as a program, linked with the fake embedder: exit codes and what it prints. */
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>
#include <cjson/cJSON.h>

#include "base/file.h"
#include "index/index.h"

enum { MAX_ARGS = 16 };

static char base[32], docs[64], set_store[64], conf[64];
static char *out, *errors;

/* ---- running it --------------------------------------------------------------------- */

static char *read_text(const char *name)
{
    char path[128];
    rag_buf b;
    snprintf(path, sizeof path, "%s/%s", base, name);
    rag_buf_init(&b, 1024 * 1024);
    assert_int_equal(rag_file_read(path, &b, NULL), RAG_OK);
    return rag_buf_detach(&b);
}

static void redirect(const char *name, int fd)
{
    char path[128];
    snprintf(path, sizeof path, "%s/%s", base, name);
    int file = open(path, O_CREAT | O_TRUNC | O_WRONLY, 0644);
    dup2(file, fd);
}

static pid_t start(const char *const *args)
{
    const char *argv[MAX_ARGS + 6] = { RAGD_INGEST, "-c", conf, "--set", set_store };
    for (size_t i = 0; args[i]; i++)
        argv[5 + i] = args[i];
    pid_t pid = fork();
    if (pid == 0) {
        redirect("out", STDOUT_FILENO);
        redirect("err", STDERR_FILENO);
        execv(argv[0], (char *const *)argv);
        _exit(127);
    }
    assert_true(pid > 0);
    return pid;
}

static int finish(pid_t pid)
{
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    free(out);
    free(errors);
    out = read_text("out");
    errors = read_text("err");
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

#define RUN(...) finish(start((const char *const[]){ __VA_ARGS__, NULL }))

static double number(const char *key)
{
    cJSON *json = cJSON_Parse(out);
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(json, key);
    assert_true(cJSON_IsNumber(item));
    double value = item->valuedouble;
    cJSON_Delete(json);
    return value;
}

/* ---- files -------------------------------------------------------------------------- */

static void put(const char *name, const char *text)
{
    char path[128];
    snprintf(path, sizeof path, "%s/%s", docs, name);
    int fd = open(path, O_CREAT | O_WRONLY | O_TRUNC, 0644);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
    close(fd);
}

static void put_conf(const char *text)
{
    assert_int_equal(rag_file_write_atomic(conf, rag_str_of(text), NULL), RAG_OK);
}

static bool exists(const char *name)
{
    char path[128];
    snprintf(path, sizeof path, "%s/%s", base, name);
    return access(path, F_OK) == 0;
}

static int set_up(void **state)
{
    (void)state;
    strcpy(base, "/tmp/ragd_cli_XXXXXX");
    assert_non_null(mkdtemp(base));
    snprintf(docs, sizeof docs, "%s/docs", base);
    snprintf(conf, sizeof conf, "%s/ragd.conf", base);
    snprintf(set_store, sizeof set_store, "storage.dir=%s/kb", base);
    unsetenv("RAGD_FAKE_EMBED_DELAY_MS");
    put_conf("# nothing\n");
    return mkdir(docs, 0755);
}

static int tear_down(void **state)
{
    (void)state;
    char command[64];
    free(out);
    free(errors);
    out = errors = NULL;
    snprintf(command, sizeof command, "rm -rf %s", base);
    return system(command);
}

/* ---- tests -------------------------------------------------------------------------- */

static void test_ingest_cli__json_has_the_promised_keys(void **state)
{
    (void)state;
    static const char *const keys[] = { "generation", "documents_added", "documents_updated", "documents_unchanged",
                                        "documents_removed", "documents_failed", "documents_skipped", "chunks_added",
                                        "chunks_removed", "bytes", "tokens", "seconds" };
    put("a.txt", "hello world");
    put("b.png", "x");
    assert_int_equal(RUN("--json", docs), 0);
    assert_non_null(strchr(out, '\n'));
    assert_string_equal(strchr(out, '\n'), "\n");
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++)
        number(keys[i]);
    assert_int_equal(number("generation"), 1);
    assert_int_equal(number("documents_added"), 1);
    assert_int_equal(number("documents_skipped"), 1);
    assert_int_equal(number("bytes"), 11);
    assert_non_null(strstr(out, "\"failures\":[]"));
    assert_string_equal(errors, "");
}

static void test_ingest_cli__a_bad_file_is_five(void **state)
{
    (void)state;
    put("a.txt", "hello");
    put("b\n.md", "caf\xe9");
    assert_int_equal(RUN("--json", docs), 5);
    assert_non_null(strstr(out, "\"failures\":[{\"path\":\"b\\n.md\",\"code\":\"encoding\",\"message\":\""));
    assert_non_null(strstr(errors, "'b\\n.md'"));
    assert_int_equal(number("documents_failed"), 1);
}

static void test_ingest_cli__a_missing_path_is_one_or_five(void **state)
{
    (void)state;
    char missing[80];
    snprintf(missing, sizeof missing, "%s/none", base);
    put("a.txt", "hello");
    assert_int_equal(RUN("--json", missing), 1);
    assert_non_null(strstr(out, "\"not_found\""));
    assert_int_equal(RUN("--json", docs, missing), 5);
    assert_int_equal(number("documents_added"), 1);
}

static void test_ingest_cli__wrong_usage_is_two(void **state)
{
    (void)state;
    assert_int_equal(RUN("--json"), 2);
    assert_int_equal(RUN("--nonsense", docs), 2);
    assert_non_null(strstr(errors, "'--nonsense'"));
    assert_int_equal(RUN("--progress", "loud", docs), 2);
    assert_int_equal(RUN("--collection", "", docs), 2);
    assert_int_equal(RUN("--collection"), 2);
    assert_int_equal(RUN(""), 2);
    assert_false(exists("kb"));
}

static void test_ingest_cli__help_and_version_are_zero(void **state)
{
    (void)state;
    assert_int_equal(RUN("--help"), 0);
    assert_non_null(strstr(out, "--keep-missing"));
    assert_int_equal(RUN("--version"), 0);
    assert_non_null(strstr(out, "SQLite"));
}

static void test_ingest_cli__bad_configuration_is_78(void **state)
{
    (void)state;
    put("a.txt", "hello");
    assert_int_equal(RUN("--set", "no.such=1", docs), 78);
    assert_int_equal(RUN("--set", "models.embed=/missing.gguf", docs), 78);
    assert_int_equal(RUN("--set", "models.embed=/missing.gguf", "--json", docs), 78);
    assert_non_null(strstr(out, "\"error\":{\"code\":\"config\""));
}

static void test_ingest_cli__a_held_lock_is_75(void **state)
{
    (void)state;
    put("a.txt", "hello");
    assert_int_equal(RUN(docs), 0);
    char lock[80];
    int fd = -1;
    snprintf(lock, sizeof lock, "%s/kb/ingest.lock", base);
    assert_int_equal(rag_lock_take(lock, &fd, NULL), RAG_OK);
    assert_int_equal(RUN(docs), 75);
    rag_lock_release(fd);
    assert_int_equal(RUN(docs), 0);
}

static void test_ingest_cli__the_guard_is_one(void **state)
{
    (void)state;
    char name[32];
    for (int i = 0; i < 21; i++) {
        snprintf(name, sizeof name, "%d.txt", i);
        put(name, name);
    }
    assert_int_equal(RUN(docs), 0);
    char command[128];
    snprintf(command, sizeof command, "rm %s/*.txt", docs);
    assert_int_equal(system(command), 0);
    assert_int_equal(RUN("--json", docs), 1);
    assert_non_null(strstr(errors, "--allow-removal"));
    assert_int_equal(RUN("--json", "--allow-removal", docs), 0);
    assert_int_equal(number("documents_removed"), 21);
}

static void test_ingest_cli__a_dry_run_makes_no_store(void **state)
{
    (void)state;
    put("a.txt", "hello");
    assert_int_equal(RUN("--dry-run", "--json", docs), 0);
    assert_int_equal(number("documents_added"), 1);
    assert_false(exists("kb"));
}

static void test_ingest_cli__sources_serve_without_a_path(void **state)
{
    (void)state;
    char text[256];
    put("a.txt", "hello");
    snprintf(text, sizeof text, "[source shop]\npath = %s\ncollection = shop\nurl = https://example.org/docs\n", docs);
    put_conf(text);
    assert_int_equal(RUN("--json"), 0);
    assert_int_equal(number("documents_added"), 1);
    assert_int_equal(RUN("--json"), 0);
    assert_int_equal(number("generation"), 1);
}

static void test_ingest_cli__full_needs_no_path(void **state)
{
    (void)state;
    put("a.txt", "hello");
    assert_int_equal(RUN(docs), 0);
    assert_int_equal(RUN("--full", "--json"), 0);
    assert_int_equal(number("documents_updated"), 1);
    assert_int_equal(number("generation"), 2);
}

static void test_ingest_cli__includes_and_excludes(void **state)
{
    (void)state;
    put("a.txt", "hello");
    put("b.md", "hello");
    put("c.md", "hello");
    assert_int_equal(RUN("--json", "--include", "*.md", "--exclude", "c.*", docs), 0);
    assert_int_equal(number("documents_added"), 1);
}

static void test_ingest_cli__progress_is_lines_of_json(void **state)
{
    (void)state;
    put("a.txt", "hello");
    assert_int_equal(RUN("--progress", "json", docs), 0);
    const char *last = strstr(errors, "{\"stage\":\"publish\",\"files_done\":1,\"files_total\":1,");
    assert_non_null(last);
    assert_non_null(strchr(last, '}'));
    assert_int_equal(RUN("--progress", "bar", docs), 0);
    assert_non_null(strstr(errors, "1/1 files"));
    assert_int_equal(RUN(docs), 0);
    assert_string_equal(errors, "");
    assert_non_null(strstr(out, "generation 1: 0 added, 0 updated, 1 unchanged"));
}

static void wait_for(const char *name)
{
    for (int i = 0; i < 2000 && !exists(name); i++)
        nanosleep(&(struct timespec){ .tv_nsec = 5000000 }, NULL);
    assert_true(exists(name));
}

static void test_ingest_cli__a_signal_ends_it_without_a_generation(void **state)
{
    (void)state;
    char name[32];
    for (int i = 0; i < 50; i++) {
        snprintf(name, sizeof name, "%d.txt", i);
        put(name, name);
    }
    setenv("RAGD_FAKE_EMBED_DELAY_MS", "200", 1);
    pid_t pid = start((const char *const[]){ "--json", docs, NULL });
    wait_for("kb/ingest.lock");
    kill(pid, SIGTERM);
    assert_int_equal(finish(pid), 1);
    assert_non_null(strstr(errors, "interrupted"));
    unsetenv("RAGD_FAKE_EMBED_DELAY_MS");
    assert_int_equal(RUN("--json", docs), 0);
    assert_int_equal(number("generation"), 1);
    assert_int_equal(number("documents_added"), 50);
}

static int64_t generation_in_store(void)
{
    char dir[64];
    rag_index *ix = NULL;
    rag_generation *list = NULL;
    size_t n = 0;
    snprintf(dir, sizeof dir, "%s/kb", base);
    rag_index_options opt = { .dir = dir };
    if (rag_index_open(&ix, &opt, NULL) != RAG_OK)
        return 0;
    rag_arena *arena = rag_arena_new();
    int64_t newest = rag_index_generations(ix, arena, &list, &n, NULL) == RAG_OK && n > 0 ? list[0].number : 0;
    rag_arena_free(arena);
    rag_index_close(ix);
    return newest;
}

static void wait_for_generation(int64_t number_wanted)
{
    for (int i = 0; i < 2000 && generation_in_store() < number_wanted; i++)
        nanosleep(&(struct timespec){ .tv_nsec = 10000000 }, NULL);
    assert_int_equal(generation_in_store(), number_wanted);
}

static void test_ingest_cli__watching_sees_changes_until_a_signal(void **state)
{
    (void)state;
    put("a.txt", "one");
    pid_t pid = start((const char *const[]){ "--watch", docs, NULL });
    wait_for_generation(1);
    put("b.txt", "two");
    wait_for_generation(2);
    kill(pid, SIGTERM);
    assert_int_equal(finish(pid), 0);
    assert_non_null(strstr(out, "generation 2: 1 added"));
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_ingest_cli__json_has_the_promised_keys),
        TEST(test_ingest_cli__a_bad_file_is_five),
        TEST(test_ingest_cli__a_missing_path_is_one_or_five),
        TEST(test_ingest_cli__wrong_usage_is_two),
        TEST(test_ingest_cli__help_and_version_are_zero),
        TEST(test_ingest_cli__bad_configuration_is_78),
        TEST(test_ingest_cli__a_held_lock_is_75),
        TEST(test_ingest_cli__the_guard_is_one),
        TEST(test_ingest_cli__a_dry_run_makes_no_store),
        TEST(test_ingest_cli__sources_serve_without_a_path),
        TEST(test_ingest_cli__full_needs_no_path),
        TEST(test_ingest_cli__includes_and_excludes),
        TEST(test_ingest_cli__progress_is_lines_of_json),
        TEST(test_ingest_cli__a_signal_ends_it_without_a_generation),
        TEST(test_ingest_cli__watching_sees_changes_until_a_signal),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
