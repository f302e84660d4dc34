#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/file.h"

static char root[64];

static char *in_root(const char *name)
{
    return rag_path_join(root, name);
}

static int make_root(void **state)
{
    (void)state;
    strcpy(root, "/tmp/ragd-test-file-XXXXXX");
    return mkdtemp(root) ? 0 : -1;
}

static int remove_root(void **state)
{
    (void)state;
    char command[128];
    snprintf(command, sizeof command, "rm -rf '%s'", root);
    return system(command);
}

static size_t entries(const char *dir)
{
    size_t n = 0;
    DIR *d = opendir(dir);
    assert_non_null(d);
    while (readdir(d))
        n++;
    closedir(d);
    return n - 2;
}

static void test_file__written_bytes_are_read_back(void **state)
{
    (void)state;
    char *path = in_root("a.bin");
    rag_buf b;
    rag_buf_init(&b, 16);
    assert_int_equal(rag_file_write_atomic(path, RAG_STR("first"), NULL), RAG_OK);
    assert_int_equal(rag_file_write_atomic(path, RAG_STR("a\0b\xFF"), NULL), RAG_OK);
    rag_buf_puts(&b, "old");
    assert_int_equal(rag_file_read(path, &b, NULL), RAG_OK);
    assert_true(rag_str_eq(rag_buf_str(&b), RAG_STR("a\0b\xFF")));
    assert_int_equal(entries(root), 1); /* no temporary file stays */
    rag_buf_free(&b);
    free(path);
}

static void test_file__failed_write_leaves_the_old_file(void **state)
{
    (void)state;
    rag_err err;
    char *dir = in_root("folder"), *inside = in_root("folder/x"), *absent = in_root("absent/a");
    assert_int_equal(rag_dir_make(inside, NULL), RAG_OK);
    assert_int_not_equal(rag_file_write_atomic(dir, RAG_STR("x"), &err), RAG_OK);
    assert_non_null(strstr(err.message, "folder"));
    assert_int_equal(entries(dir), 1);
    assert_int_equal(entries(root), 1);
    assert_int_equal(rag_file_write_atomic(absent, RAG_STR("x"), &err), RAG_NOT_FOUND);
    free(dir);
    free(inside);
    free(absent);
}

static void test_file__read_refuses_what_it_should(void **state)
{
    (void)state;
    rag_err err;
    rag_buf b;
    rag_buf_init(&b, 4);
    char *path = in_root("a"), *fifo = in_root("fifo"), *absent = in_root("absent");
    assert_int_equal(rag_file_write_atomic(path, RAG_STR("abcd"), NULL), RAG_OK);
    assert_int_equal(rag_file_read(path, &b, &err), RAG_OK);
    assert_int_equal(rag_file_write_atomic(path, RAG_STR("abcde"), NULL), RAG_OK);
    assert_int_equal(rag_file_read(path, &b, &err), RAG_TOO_LARGE);
    assert_int_equal(rag_file_read(root, &b, &err), RAG_UNSUPPORTED);
    assert_int_equal(mkfifo(fifo, 0600), 0);
    assert_int_equal(rag_file_read(fifo, &b, &err), RAG_UNSUPPORTED);
    assert_int_equal(rag_file_read(absent, &b, &err), RAG_NOT_FOUND);
    assert_non_null(strstr(err.message, "absent"));
    assert_int_equal(rag_file_read("/proc/self/maps", &b, &err), RAG_TOO_LARGE); /* size says 0 */
    rag_buf_free(&b);
    free(path);
    free(fifo);
    free(absent);
}

static void test_file__folders_are_made_and_removed(void **state)
{
    (void)state;
    rag_err err;
    char *deep = in_root("a/b//c/"), *file = in_root("a/b/c/f"), *under_file = in_root("a/b/c/f/g"), *a = in_root("a");
    assert_int_equal(rag_dir_make(deep, NULL), RAG_OK);
    assert_int_equal(rag_dir_make(deep, NULL), RAG_OK);
    assert_int_equal(rag_file_write_atomic(file, RAG_STR("x"), NULL), RAG_OK);
    assert_int_equal(rag_dir_make(file, &err), RAG_IO);
    assert_int_equal(rag_dir_make(under_file, &err), RAG_IO);
    assert_int_equal(rag_dir_remove(a, &err), RAG_IO); /* more than one level */
    assert_int_equal(access(file, F_OK), 0);
    assert_int_equal(rag_dir_remove(deep, &err), RAG_OK);
    assert_int_equal(rag_dir_remove(deep, &err), RAG_NOT_FOUND);
    free(deep);
    free(file);
    free(under_file);
    free(a);
}

static void assert_owned(char *got, const char *want)
{
    assert_string_equal(got, want);
    free(got);
}

static void test_file__paths(void **state)
{
    (void)state;
    assert_owned(rag_path_join("a", "b"), "a/b");
    assert_owned(rag_path_join("a/", "b"), "a/b");
    assert_owned(rag_path_join("/", "b"), "/b");
    assert_owned(rag_path_join("a", "/b"), "/b");
    assert_owned(rag_path_join("", "b"), "b");
    assert_owned(rag_path_dir("a/b"), "a");
    assert_owned(rag_path_dir("a//b//"), "a");
    assert_owned(rag_path_dir("/a"), "/");
    assert_owned(rag_path_dir("/"), "/");
    assert_owned(rag_path_dir("a"), ".");
    assert_owned(rag_path_dir(""), ".");
    char *link = in_root("link"), *real_root = rag_path_real(root);
    assert_int_equal(symlink(root, link), 0);
    assert_owned(rag_path_real(link), real_root);
    assert_null(rag_path_real("/no/such/file"));
    char *self = rag_path_self_dir();
    assert_int_equal(self[0], '/');
    assert_int_equal(access(self, X_OK), 0);
    free(self);
    free(link);
    free(real_root);
}

static int try_in_child(const char *path)
{
    pid_t pid = fork();
    if (pid == 0) {
        int fd;
        rag_err err;
        rag_code code = rag_lock_take(path, &fd, &err);
        char want[32];
        snprintf(want, sizeof want, "process %ld ", (long)getppid());
        _exit(code == RAG_BUSY && strstr(err.message, want) && fd == -1 ? 10 : (int)code);
    }
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return WEXITSTATUS(status);
}

static void test_file__lock_belongs_to_one_process(void **state)
{
    (void)state;
    int fd, again;
    char *path = in_root("lock"), *absent = in_root("no/lock");
    assert_int_equal(rag_lock_take(path, &fd, NULL), RAG_OK);
    assert_int_equal(try_in_child(path), 10);
    assert_int_equal(rag_lock_take(path, &again, NULL), RAG_BUSY);
    rag_lock_release(fd);
    assert_int_equal(try_in_child(path), RAG_OK);
    assert_int_equal(rag_lock_take(absent, &fd, NULL), RAG_NOT_FOUND);
    assert_int_equal(fd, -1);
    rag_lock_release(-1);
    free(path);
    free(absent);
}

static void test_file__time_is_rfc_3339(void **state)
{
    (void)state;
    char out[32];
    rag_time_format(0, out);
    assert_string_equal(out, "1970-01-01T00:00:00Z");
    rag_time_format(1795525028123999999, out);
    assert_string_equal(out, "2026-11-24T12:57:08.123Z");
    rag_time_format(-1, out);
    assert_string_equal(out, "1969-12-31T23:59:59.999Z");
    double before = rag_clock_ms();
    assert_true(rag_clock_ms() >= before);
    assert_true(rag_clock_wall_ns() > 1700000000000000000);
}

static void test_file__times_are_read(void **state)
{
    static const struct {
        const char *text;
        int64_t want;
    } good[] = {
        { "1970-01-01T00:00:00Z", 0 },
        { "2026-11-24T12:57:08.123Z", 1795525028123000000 },
        { "2026-11-24t12:57:08.1234567891z", 1795525028123456789 },
        { "2026-11-24T12:57:08+00:00", 1795525028000000000 },
        { "1969-12-31T23:59:59.999999999-00:00", -1 },
        { "2024-02-29T00:00:00Z", 1709164800000000000 },
        { "2016-12-31T23:59:60Z", 1483228800000000000 },
        { "2262-04-11T23:47:16.854775807Z", INT64_MAX },
    };
    static const char *const bad[] = {
        "", "now", "2026-11-24", "2026-11-24T12:57Z", "2026-11-24T12:57:08", "2026-11-24T12:57:08+01:00",
        "2026-11-24 12:57:08Z", "2026-11-24T12:57:08Z ", " 2026-11-24T12:57:08Z", "2026-13-01T00:00:00Z",
        "2026-00-01T00:00:00Z", "2025-02-29T00:00:00Z", "2026-01-00T00:00:00Z", "2026-01-32T00:00:00Z",
        "2026-01-01T24:00:00Z", "2026-01-01T00:60:00Z", "2026-01-01T00:00:60Z", "2026-01-01T00:00:00.Z",
        "2026-01-01T00:00:00,5Z", "2026\r11\r24T12:57:08Z", "2026-1-1T0:0:0Z", "-026-01-01T00:00:00Z", "2263-01-01T00:00:00Z",
        "0000-01-01T00:00:00Z", "9999-12-31T23:59:59Z", "12026-11-24T12:57:08Z", "2026-11-24T12:57:08ZZ",
    };
    int64_t ns;
    (void)state;
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        ns = 42;
        if (!rag_time_parse(rag_str_of(good[i].text), &ns) || ns != good[i].want)
            fail_msg("'%s' gives %lld", good[i].text, (long long)ns);
    }
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        if (rag_time_parse(rag_str_of(bad[i]), &ns))
            fail_msg("'%s' is taken", bad[i]);
}

static void test_file__sizes(void **state)
{
    (void)state;
    int64_t n;
    static const struct {
        const char *text;
        int64_t want;
    } good[] = {
        { "0", 0 },           { "10", 10 },          { "64k", 65536 },       { "64K", 65536 },    { "2M", 2097152 },
        { "1G", 1073741824 }, { "3 MiB", 3145728 },  { "3MB", 3145728 },     { "7B", 7 },         { "1T", 1099511627776 },
        { "9223372036854775807", INT64_MAX },
    };
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        assert_true(rag_parse_size(good[i].text, &n));
        assert_int_equal(n, good[i].want);
    }
    const char *bad[] = { "", "-1", "k", "1x", "1.5M", "1 2", " 1", "1M ", "9223372036854775808", "9223372036854775807k", "0x10" };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        if (rag_parse_size(bad[i], &n))
            fail_msg("'%s' was taken", bad[i]);
}

static void test_file__durations(void **state)
{
    (void)state;
    int64_t ms;
    static const struct {
        const char *text;
        int64_t want;
    } good[] = {
        { "250", 250 }, { "250ms", 250 }, { "10s", 10000 }, { "5m", 300000 }, { "2h", 7200000 }, { "7d", 604800000 }, { "0", 0 },
    };
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        assert_true(rag_parse_duration(good[i].text, &ms));
        assert_int_equal(ms, good[i].want);
    }
    const char *bad[] = { "", "s", "-1s", "1w", "1.5s", "1s1", "106751991168d" };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        if (rag_parse_duration(bad[i], &ms))
            fail_msg("'%s' was taken", bad[i]);
}

int main(void)
{
#define WITH_ROOT(f) cmocka_unit_test_setup_teardown(f, make_root, remove_root)
    const struct CMUnitTest tests[] = {
        WITH_ROOT(test_file__written_bytes_are_read_back),
        WITH_ROOT(test_file__failed_write_leaves_the_old_file),
        WITH_ROOT(test_file__read_refuses_what_it_should),
        WITH_ROOT(test_file__folders_are_made_and_removed),
        WITH_ROOT(test_file__paths),
        WITH_ROOT(test_file__lock_belongs_to_one_process),
        cmocka_unit_test(test_file__time_is_rfc_3339),
        cmocka_unit_test(test_file__times_are_read),
        cmocka_unit_test(test_file__sizes),
        cmocka_unit_test(test_file__durations),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
