/* Globs, ignore rules and the walk through folders. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "ingest/walk.h"

static char root[] = "/tmp/ragd_walk_XXXXXX";
static int root_fd;
static rag_arena *arena;
static rag_err err;
static walk_result found;
static char failures[16384];

/* ---- a folder to walk -------------------------------------------------------------- */

static int set_up(void **state)
{
    (void)state;
    strcpy(root + strlen(root) - 6, "XXXXXX");
    assert_non_null(mkdtemp(root));
    root_fd = open(root, O_RDONLY | O_DIRECTORY);
    arena = rag_arena_new();
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    char command[128];
    close(root_fd);
    rag_arena_free(arena);
    snprintf(command, sizeof command, "chmod -R u+rwx %s; rm -rf %s", root, root);
    return system(command);
}

static void make_folder(const char *path)
{
    assert_int_equal(mkdirat(root_fd, path, 0755), 0);
}

static void make_file(const char *path, const char *text)
{
    int fd = openat(root_fd, path, O_CREAT | O_WRONLY | O_TRUNC, 0644);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
    close(fd);
}

static void on_failure(void *context, rag_str path, const char *code, const char *message)
{
    (void)context;
    (void)message;
    size_t n = strlen(failures);
    snprintf(failures + n, sizeof failures - n, "%.*s:%s ", RAG_STR_ARG(path), code);
}

static rag_code walk_with(walk_options *opt)
{
    failures[0] = 0;
    opt->on_failure = on_failure;
    return walk_folder(root_fd, opt, arena, &found, &err);
}

static const char *paths(void)
{
    rag_buf b;
    rag_buf_init(&b, 1024 * 1024);
    for (size_t i = 0; i < found.n; i++) {
        rag_buf_puts(&b, i ? " " : "");
        rag_buf_put(&b, found.files[i].path);
    }
    const char *out = rag_arena_cstr(arena, rag_buf_str(&b));
    rag_buf_free(&b);
    return out;
}

static void check_walk(const char *expected)
{
    walk_options opt = { 0 };
    assert_int_equal(walk_with(&opt), RAG_OK);
    assert_string_equal(paths(), expected);
}

/* ---- globs ------------------------------------------------------------------------- */

static bool matches(const char *pattern, const char *path)
{
    return glob_match(rag_str_of(pattern), rag_str_of(path));
}

static void test_glob__stars_stay_inside_a_segment(void **state)
{
    (void)state;
    assert_true(matches("*.md", "a.md"));
    assert_true(matches("*", "x"));
    assert_true(matches("a*c*e", "abcde"));
    assert_true(matches("a/*/c", "a/b/c"));
    assert_true(matches("?.md", "好.md"));
    assert_true(matches("\\*.md", "*.md"));
    assert_false(matches("*.md", "a/b.md"));
    assert_false(matches("*.md", "a.mdx"));
    assert_false(matches("a*c*e", "abcd"));
    assert_false(matches("?", "/"));
    assert_false(matches("a", "ab"));
    assert_false(matches("ab", "a"));
    assert_false(matches("\\*.md", "a.md"));
}

static void test_glob__two_stars_cross_folders(void **state)
{
    (void)state;
    assert_true(matches("**/b", "b"));
    assert_true(matches("**/b", "x/y/b"));
    assert_true(matches("a/**", "a/b/c"));
    assert_true(matches("a/**/b", "a/b"));
    assert_true(matches("a/**/b", "a/x/y/b"));
    assert_true(matches("a/**/*.md", "a/x/y/c.md"));
    assert_false(matches("**/b", "xb"));
    assert_false(matches("a/**/b", "a/xb"));
    assert_false(matches("a/**/b", "c/b"));
}

static void test_glob__classes(void **state)
{
    (void)state;
    assert_true(matches("[abc].md", "b.md"));
    assert_true(matches("v[0-9]", "v7"));
    assert_true(matches("[!a-c]", "d"));
    assert_true(matches("[]]", "]"));
    assert_true(matches("[x", "[x"));
    assert_false(matches("[!a-c]", "b"));
    assert_false(matches("a[!x]b", "a/b"));
    assert_false(matches("[0-9]", "x"));
}

static void test_glob__many_stars_take_no_time(void **state)
{
    (void)state;
    char text[2001], pattern[401];
    memset(text, 'a', 2000);
    text[2000] = 0;
    for (int i = 0; i < 400; i += 2)
        memcpy(pattern + i, "*a", 2);
    pattern[398] = 'b';
    pattern[400] = 0;
    assert_false(matches(pattern, text));
}

/* ---- the walk ---------------------------------------------------------------------- */

static void test_walk__finds_supported_files_in_byte_order(void **state)
{
    (void)state;
    make_folder("b");
    make_folder("b/c");
    make_file("b/c/1.md", "");
    make_file("b.txt", "xyz");
    make_file("b/2.html", "");
    make_file("Z.md", "");
    make_file("a.pdf", "");
    check_walk("Z.md b.txt b/2.html b/c/1.md");
    assert_int_equal(found.skipped, 1);
    assert_int_equal(found.files[1].size, 3);
    assert_int_equal(found.files[1].format, RAG_FORMAT_TEXT);
    assert_false(found.incomplete);
}

static void test_walk__leaves_hidden_ones_out(void **state)
{
    (void)state;
    make_folder(".git");
    make_file(".git/x.md", "");
    make_file(".hidden.md", "");
    make_file("x.md", "");
    check_walk("x.md");
    assert_int_equal(found.skipped, 0);
}

static void test_walk__follows_no_link_and_opens_no_pipe(void **state)
{
    (void)state;
    make_file("x.md", "");
    assert_int_equal(symlinkat("x.md", root_fd, "link.md"), 0);
    assert_int_equal(symlinkat("/", root_fd, "outside"), 0);
    assert_int_equal(symlinkat(".", root_fd, "loop"), 0);
    assert_int_equal(mkfifoat(root_fd, "pipe.md", 0644), 0);
    check_walk("x.md");
    assert_int_equal(found.skipped, 4);
}

static void test_walk__a_link_inside_a_path_is_not_opened(void **state)
{
    (void)state;
    make_folder("real");
    assert_int_equal(symlinkat("real", root_fd, "link"), 0);
    int fd = walk_open_folder(root_fd, RAG_STR("real"));
    assert_true(fd >= 0);
    close(fd);
    assert_int_equal(walk_open_folder(root_fd, RAG_STR("link")), -1);
    assert_int_equal(walk_open_folder(root_fd, RAG_STR("link/x")), -1);
}

static void test_walk__obeys_ignore_files(void **state)
{
    (void)state;
    make_folder("drafts");
    make_folder("sub");
    make_folder("sub/drafts");
    make_folder("sub/keep");
    make_file(".ragdignore", "# a comment\n*.txt\n!good.txt\n/drafts/\nsub/keep/*.html\n\n");
    make_file("sub/.ragdignore", "!b.txt\nc.md\n");
    make_file("a.txt", "");
    make_file("good.txt", "");
    make_file("drafts/x.md", "");
    make_file("sub/drafts/x.md", "");
    make_file("sub/b.txt", "");
    make_file("sub/c.md", "");
    make_file("sub/keep/p.html", "");
    make_file("sub/keep/p.md", "");
    make_file("c.md", "");
    check_walk("c.md good.txt sub/b.txt sub/drafts/x.md sub/keep/p.md");
    assert_int_equal(found.skipped, 0);
}

static void test_walk__includes_and_excludes(void **state)
{
    (void)state;
    ignore_rule include[2], exclude[1];
    make_folder("api");
    make_folder("old");
    make_file("api/x.html", "");
    make_file("a.md", "");
    make_file("b.txt", "");
    make_file("old/c.md", "");
    assert_true(ignore_parse(RAG_STR("*.md"), &include[0]));
    assert_true(ignore_parse(RAG_STR("api/"), &include[1]));
    assert_true(ignore_parse(RAG_STR("old"), &exclude[0]));
    walk_options opt = { .include = include, .n_include = 2, .exclude = exclude, .n_exclude = 1 };
    assert_int_equal(walk_with(&opt), RAG_OK);
    assert_string_equal(paths(), "a.md api/x.html");
}

static void test_walk__names_that_are_not_utf8_fail(void **state)
{
    (void)state;
    make_folder("d\xff");
    make_file("d\xff/x.md", "");
    make_file("\xe9.md", "");
    make_file("\xe9.pdf", "");
    make_file("new\nline.md", "");
    check_walk("new\nline.md");
    assert_int_equal(found.skipped, 1);
    assert_non_null(strstr(failures, "d\xff:encoding"));
    assert_non_null(strstr(failures, "\xe9.md:encoding"));
}

/* Out of descriptors: the one reason that holds for root, too. */
static void test_walk__a_folder_that_cannot_be_read_is_told(void **state)
{
    (void)state;
    struct rlimit before;
    make_folder("locked");
    make_file("x.md", "");
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    struct rlimit none_left = { (rlim_t)root_fd + 1, before.rlim_max };
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &none_left), 0);
    walk_options opt = { 0 };
    rag_code code = walk_with(&opt);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
    assert_int_equal(code, RAG_OK);
    assert_int_equal(found.n, 0);
    assert_true(found.incomplete);
    assert_string_equal(failures, ":unreadable ");
}

static void test_walk__depth_ends_at_the_length_of_a_path(void **state)
{
    (void)state;
    enum { DEPTH = 2100 };
    int fd = dup(root_fd);
    make_file("x.md", "");
    for (int i = 0; i < DEPTH; i++) {
        assert_int_equal(mkdirat(fd, "d", 0755), 0);
        int inner = openat(fd, "d", O_RDONLY | O_DIRECTORY);
        close(fd);
        fd = inner;
        assert_true(fd >= 0);
    }
    close(fd);
    check_walk("x.md");
    assert_true(found.incomplete);
    assert_non_null(strstr(failures, ":unreadable"));
}

static void test_walk__stops_when_asked(void **state)
{
    (void)state;
    atomic_bool stop = true;
    walk_options opt = { .stop = &stop };
    assert_int_equal(walk_with(&opt), RAG_CANCELED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_glob__stars_stay_inside_a_segment),
        cmocka_unit_test(test_glob__two_stars_cross_folders),
        cmocka_unit_test(test_glob__classes),
        cmocka_unit_test(test_glob__many_stars_take_no_time),
        cmocka_unit_test_setup_teardown(test_walk__finds_supported_files_in_byte_order, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_walk__leaves_hidden_ones_out, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_walk__follows_no_link_and_opens_no_pipe, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_walk__a_link_inside_a_path_is_not_opened, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_walk__obeys_ignore_files, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_walk__includes_and_excludes, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_walk__names_that_are_not_utf8_fail, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_walk__a_folder_that_cannot_be_read_is_told, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_walk__depth_ends_at_the_length_of_a_path, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_walk__stops_when_asked, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
