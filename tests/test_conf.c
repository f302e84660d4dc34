#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "conf/conf.h"

extern char **environ;

static char root[64], start_dir[4096];

static void forget_environment(void)
{
    for (char **v = environ; *v;) {
        char name[256];
        snprintf(name, sizeof name, "%.*s", (int)strcspn(*v, "="), *v);
        if (strncmp(name, "RAGD_", 5) == 0) {
            unsetenv(name);
            v = environ;
        } else {
            v++;
        }
    }
}

static int make_root(void **state)
{
    (void)state;
    forget_environment();
    strcpy(root, "/tmp/ragd-test-conf-XXXXXX");
    return !getcwd(start_dir, sizeof start_dir) || !mkdtemp(root) || chdir(root) != 0;
}

static int remove_root(void **state)
{
    (void)state;
    char command[128];
    forget_environment();
    snprintf(command, sizeof command, "rm -rf '%s'", root);
    return chdir(start_dir) != 0 || system(command) != 0;
}

/* Paths are relative to root, which is the working directory. */
static void write_bytes(const char *path, rag_str bytes)
{
    char *dir = rag_path_dir(path);
    assert_int_equal(rag_dir_make(dir, NULL), RAG_OK);
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    assert_int_equal(fwrite(bytes.ptr, 1, bytes.len, f), bytes.len);
    assert_int_equal(fclose(f), 0);
    free(dir);
}

static void write_text(const char *path, const char *text)
{
    write_bytes(path, rag_str_of(text));
}

static rag_conf *load(const char *file, const char *set)
{
    rag_conf *c;
    rag_err err = { 0 };
    rag_conf_options opt = { .file = file, .sets = &set, .n_sets = set != NULL };
    if (rag_conf_load(&c, &opt, &err) != RAG_OK)
        fail_msg("%s", err.message);
    return c;
}

static void assert_refused(const char *file, const char *set, const char *want)
{
    rag_conf *c;
    rag_err err = { 0 };
    rag_conf_options opt = { .file = file, .sets = &set, .n_sets = set != NULL };
    assert_int_equal(rag_conf_load(&c, &opt, &err), RAG_CONFIG);
    assert_null(c);
    assert_int_equal(err.code, RAG_CONFIG);
    assert_string_equal(err.message, want);
}

static void assert_path(const rag_conf *c, const char *name, const char *under_root)
{
    char want[256];
    snprintf(want, sizeof want, "%s/%s", root, under_root);
    assert_string_equal(rag_conf_path(c, name), want);
}

static void test_conf__empty_file_gives_the_defaults(void **state)
{
    (void)state;
    write_text("empty.conf", "");
    rag_conf *c = load("empty.conf", NULL);
    assert_string_equal(rag_conf_file(c), "empty.conf");
    assert_string_equal(rag_conf_string(c, "http.listen"), "127.0.0.1:8765");
    assert_int_equal(rag_conf_int(c, "unix.mode"), 0660);
    assert_int_equal(rag_conf_int(c, "http.max_header"), 16384);
    assert_int_equal(rag_conf_int(c, "http.max_body"), 1048576);
    assert_int_equal(rag_conf_int(c, "limits.deadline"), 60000);
    assert_int_equal(rag_conf_int(c, "limits.connections"), 512);
    assert_int_equal(rag_conf_int(c, "ingest.max_bytes"), 64 << 20);
    assert_int_equal(rag_conf_int(c, "storage.keep_generations"), 10);
    assert_int_equal(rag_conf_int(c, "llm.threads"), 0);
    assert_false(rag_conf_bool(c, "llm.deterministic"));
    assert_true(rag_conf_number(c, "answer.refuse_below") == 0.25);
    assert_string_equal(rag_conf_string(c, "answer.mode"), "auto");
    assert_string_equal(rag_conf_path(c, "http.key_file"), "");
    assert_string_equal(rag_conf_path(c, "models.reranker"), "");
    assert_string_equal(rag_conf_path(c, "log.file"), "");
    assert_int_equal(rag_conf_source_count(c), 0);
    rag_conf_free(c);
    rag_conf_free(NULL);
}

static void assert_queue(const char *set, int64_t want)
{
    rag_conf *c = load("ragd.conf", set);
    assert_int_equal(rag_conf_int(c, "limits.queue"), want);
    rag_conf_free(c);
}

static void test_conf__stronger_layers_win(void **state)
{
    (void)state;
    write_text("ragd.conf", "[limits]\nqueue = 2\n");
    assert_queue(NULL, 2);
    write_text("conf.d/10-a.conf", "[limits]\nqueue = 3\n");
    assert_queue(NULL, 3);
    write_text("conf.d/9-b.conf", "[limits]\nqueue = 4\n"); /* bytes, not numbers: 9 comes last */
    assert_queue(NULL, 4);
    write_text("conf.d/zz.conf.bak", "[limits]\nqueue = 5\n");
    write_text("conf.d/.zz.conf", "[limits]\nqueue = 5\n");
    assert_queue(NULL, 4);
    setenv("RAGD_LIMITS__QUEUE", "6", 1);
    assert_queue(NULL, 6);
    assert_queue("limits.queue=7", 7);
}

static void test_conf__last_flag_wins(void **state)
{
    (void)state;
    write_text("ragd.conf", "");
    rag_conf *c;
    const char *sets[] = { "limits.queue=7", " limits.queue = 8 " };
    rag_conf_options opt = { .file = "ragd.conf", .sets = sets, .n_sets = 2 };
    assert_int_equal(rag_conf_load(&c, &opt, NULL), RAG_OK);
    assert_int_equal(rag_conf_int(c, "limits.queue"), 8);
    rag_conf_free(c);
}

static void test_conf__paths_start_where_the_value_stands(void **state)
{
    (void)state;
    write_text("co/conf/ragd.conf", "[storage]\ndir = ./kb\n[prompts]\ndir = /abs\n[log]\nfile = .\n");
    rag_conf *c = load("co/conf/ragd.conf", "http.key_file=keys");
    assert_path(c, "storage.dir", "co/kb");
    assert_string_equal(rag_conf_path(c, "prompts.dir"), "/abs");
    assert_path(c, "log.file", "co");
    assert_path(c, "http.key_file", "keys");
    rag_conf_free(c);

    write_text("etc/ragd.conf", "[storage]\ndir = kb\n");
    write_text("etc/conf.d/a.conf", "[prompts]\ndir = words\n");
    setenv("RAGD_LOG__FILE", "log", 1);
    c = load("etc/ragd.conf", NULL);
    assert_path(c, "storage.dir", "etc/kb");
    assert_path(c, "prompts.dir", "etc/words");
    assert_path(c, "log.file", "log");
    rag_conf_free(c);
}

static void test_conf__model_names_stand_in_the_models_folder(void **state)
{
    (void)state;
    write_text("etc/ragd.conf", "[models]\ndir = m\ndecoder = d.gguf\nreranker = sub/r.gguf\n");
    rag_conf *c = load("etc/ragd.conf", "models.embed=./e.gguf");
    assert_path(c, "models.decoder", "etc/m/d.gguf");
    assert_path(c, "models.reranker", "etc/sub/r.gguf");
    assert_path(c, "models.embed", "e.gguf");
    rag_conf_free(c);
    c = load("etc/ragd.conf", "models.decoder=none");
    assert_string_equal(rag_conf_path(c, "models.decoder"), "");
    assert_path(c, "models.embed", "etc/m/multilingual-e5-small-q4_0.gguf");
    rag_conf_free(c);
    assert_refused("etc/ragd.conf", "models.embed=", "--set models.embed: bad value '' for 'models.embed': must not be empty");
}

static void test_conf__socket_follows_the_storage(void **state)
{
    (void)state;
    write_text("ragd.conf", "");
    rag_conf *c = load("ragd.conf", "storage.dir=kb");
    assert_path(c, "unix.path", "kb/ragd.sock");
    rag_conf_free(c);
    setenv("RAGD_UNIX__PATH", "own.sock", 1);
    c = load("ragd.conf", "storage.dir=kb");
    assert_path(c, "unix.path", "own.sock");
    rag_conf_free(c);
    const char *const off[] = { "unix.path=off", "unix.path=" };
    for (size_t i = 0; i < 2; i++) {
        c = load("ragd.conf", off[i]);
        assert_string_equal(rag_conf_path(c, "unix.path"), "");
        rag_conf_free(c);
    }
}

static void test_conf__errors_name_file_and_line(void **state)
{
    (void)state;
    static const struct {
        const char *text, *want;
    } cases[] = {
        { "\n[storage]\n\nstrage = x\n", "c.conf:4: unknown key 'storage.strage'" },
        { "[storage]\ndirr = x\n", "c.conf:2: unknown key 'storage.dirr' (did you mean 'storage.dir'?)" },
        { "[strage]\n", "c.conf:1: unknown section 'strage'" },
        { "queue = 1\n", "c.conf:1: key 'queue' stands before any section" },
        { "[limits]\nqueue = 1\nqueue = 2\n", "c.conf:3: 'limits.queue' is given twice, first in line 2" },
        { "[limits]\nqueue = 1\n[llm]\n[limits]\nqueue = 1", "c.conf:5: 'limits.queue' is given twice, first in line 2" },
        { "[limits]\nqueue\n", "c.conf:2: expected '[section]' or 'key = value'" },
        { "[limits\nqueue = 1\n", "c.conf:1: a section without ']'" },
        { "[limits] queue = 1\n", "c.conf:1: unexpected text behind '[limits]'" },
        { "[limits]\nqueue = many\n", "c.conf:2: bad value 'many' for 'limits.queue': expected a whole number" },
        { "[limits]\nqueue = 1 # one\n", "c.conf:2: bad value '1 # one' for 'limits.queue': expected a whole number" },
        { "[limits]\nqueue = 0\n", "c.conf:2: 'limits.queue = 0' is too small: the least is 1" },
        { "[limits]\nqueue = 65537\n", "c.conf:2: 'limits.queue = 65537' is too large: the most is 65536" },
        { "[limits]\nqueue = 99999999999999999999\n",
          "c.conf:2: bad value '99999999999999999999' for 'limits.queue': expected a whole number" },
        { "[limits]\ndeadline = 1w\n",
          "c.conf:2: bad value '1w' for 'limits.deadline': expected a duration such as 250ms, 10s, 5m or 2h" },
        { "[http]\nmax_body = 1x\n", "c.conf:2: bad value '1x' for 'http.max_body': expected a size such as 64k, 2M or 1G" },
        { "[llm]\ndeterministic = maybe\n", "c.conf:2: bad value 'maybe' for 'llm.deterministic': expected on or off" },
        { "[answer]\nmode = au\n", "c.conf:2: bad value 'au' for 'answer.mode': expected one of auto|generate|extract|span" },
        { "[answer]\nmode =\n", "c.conf:2: bad value '' for 'answer.mode': expected one of auto|generate|extract|span" },
        { "[answer]\nrefuse_below = nan\n", "c.conf:2: bad value 'nan' for 'answer.refuse_below': expected a number" },
        { "[answer]\nrefuse_below = 1.5\n", "c.conf:2: 'answer.refuse_below = 1.5' is too large: the most is 1" },
        { "[unix]\nmode = 0680\n", "c.conf:2: bad value '0680' for 'unix.mode': expected an octal number such as 0660" },
        { "[storage]\ndir =\n", "c.conf:2: bad value '' for 'storage.dir': must not be empty" },
        { "[log]\nfile = a\xFF\n", "c.conf:2: not valid UTF-8" },
        { "[log]\nfile = a\x1B\n", "c.conf:2: control character 0x1B" },
        { "[log]\n[limits]\nqueue = 0\nqueue = many\nx\n", "c.conf:3: 'limits.queue = 0' is too small: the least is 1" },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        write_text("c.conf", cases[i].text);
        assert_refused("c.conf", NULL, cases[i].want);
    }
    write_bytes("c.conf", RAG_STR("[limits]\nqueue = 1\0 2\n"));
    assert_refused("c.conf", NULL, "c.conf:2: control character 0x00");
    assert_refused("no.conf", NULL, "cannot open 'no.conf': No such file or directory");
    assert_refused(".", NULL, "cannot read '.': not a regular file");
}

static void test_conf__error_in_conf_d_names_that_file(void **state)
{
    (void)state;
    write_text("ragd.conf", "[limits]\nqueue = 1\n");
    write_text("conf.d/a.conf", "[limits]\n\nqueue = no\n");
    assert_refused("ragd.conf", NULL, "./conf.d/a.conf:3: bad value 'no' for 'limits.queue': expected a whole number");
}

static void test_conf__long_line_is_an_error_and_never_cut(void **state)
{
    (void)state;
    char text[1024];
    for (int n = 1; n < 900; n++) {
        int len = snprintf(text, sizeof text, "[log]\nfile = /%0*d", n, 7);
        write_text("c.conf", text);
        rag_conf *c;
        rag_err err;
        rag_conf_options opt = { .file = "c.conf" };
        if (rag_conf_load(&c, &opt, &err) == RAG_OK)
            assert_string_equal(rag_conf_path(c, "log.file"), text + strlen("[log]\nfile = "));
        else
            assert_non_null(strstr(err.message, "c.conf:2: the line is too long: "));
        assert_true((c != NULL) == (len - 6 <= 197));
        rag_conf_free(c);
    }
    write_text("c.conf", "[source a123456789012345678901234567890123456789012345]\npath = x\n");
    assert_refused("c.conf", NULL, "c.conf:1: the section's name is longer than 49 bytes");
}

static void test_conf__lenient_where_it_is_clear(void **state)
{
    (void)state;
    write_text("c.conf", "\xEF\xBB\xBF; note\r\n  # note\r\n[limits] ; note\r\n   queue = 5 ; five\r\n\tworkers: 3\r\n[http]\r\nmax_body=2 MiB\r\n"
                         "[llm]\ndeterministic = YES");
    rag_conf *c = load("c.conf", NULL);
    assert_int_equal(rag_conf_int(c, "limits.queue"), 5);
    assert_int_equal(rag_conf_int(c, "limits.workers"), 3);
    assert_int_equal(rag_conf_int(c, "http.max_body"), 2 << 20);
    assert_true(rag_conf_bool(c, "llm.deterministic"));
    rag_conf_free(c);
}

static void test_conf__environment_is_checked(void **state)
{
    (void)state;
    write_text("c.conf", "");
    setenv("RAGD_CACHE", "x", 1);
    setenv("RAGD_CRASH_AT", "1", 1);
    setenv("RAGD_", "x", 1);
    rag_conf_free(load("c.conf", NULL));
    setenv("RAGD_STORAGE__DIRX", "x", 1);
    assert_refused("c.conf", NULL,
                   "environment RAGD_STORAGE__DIRX: unknown key 'storage.dirx' (did you mean 'storage.dir'?)");
    unsetenv("RAGD_STORAGE__DIRX");
    setenv("RAGD_HTTP__MAX_BODY", "1", 1);
    assert_refused("c.conf", NULL, "environment RAGD_HTTP__MAX_BODY: 'http.max_body = 1' is too small: the least is 1024");
    setenv("RAGD_HTTP__MAX_BODY", "a\xFF", 1);
    assert_refused("c.conf", NULL, "environment RAGD_HTTP__MAX_BODY: not valid UTF-8");
}

static void test_conf__flags_are_checked(void **state)
{
    (void)state;
    write_text("c.conf", "");
    assert_refused("c.conf", "limits.queue", "--set 'limits.queue': expected SECTION.KEY=VALUE");
    assert_refused("c.conf", "a.b=1", "--set a.b: unknown key 'a.b'");
    assert_refused("c.conf", "=1", "--set : unknown key ''");
    assert_refused("c.conf", "limits.queue=-1", "--set limits.queue: 'limits.queue = -1' is too small: the least is 1");
    char long_name[2000];
    memset(long_name, 'a', sizeof long_name);
    memcpy(long_name + sizeof long_name - 3, "=1", 3);
    rag_conf *c;
    const char *set = long_name;
    rag_conf_options opt = { .file = "c.conf", .sets = &set, .n_sets = 1 };
    assert_int_equal(rag_conf_load(&c, &opt, NULL), RAG_CONFIG);
}

static void test_conf__threads_are_at_most_the_cores(void **state)
{
    (void)state;
    write_text("c.conf", "");
    rag_conf_free(load("c.conf", "llm.threads=1"));
    rag_conf *c;
    rag_err err;
    const char *set = "llm.threads=100000";
    rag_conf_options opt = { .file = "c.conf", .sets = &set, .n_sets = 1 };
    assert_int_equal(rag_conf_load(&c, &opt, &err), RAG_CONFIG);
    assert_non_null(strstr(err.message, "is more than this machine's"));
}

static void test_conf__listen_addresses(void **state)
{
    (void)state;
    static const char *const good[] = { "off", "127.0.0.1:0", "0.0.0.0:65535", "[::1]:8765", "localhost:80" };
    static const char *const bad[] = { "", "8765", ":8765", "127.0.0.1", "127.0.0.1:", "127.0.0.1:65536", "127.0.0.1:-1",
                                       "::1:8765", "[]:1", "[::1]", "a b:1", "http://a:1", "127.0.0.1:1 " "x" };
    write_text("c.conf", "");
    char set[100];
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        snprintf(set, sizeof set, "http.listen=%s", good[i]);
        rag_conf *c = load("c.conf", set);
        assert_string_equal(rag_conf_string(c, "http.listen"), good[i]);
        rag_conf_free(c);
    }
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        rag_conf *c;
        const char *one = set;
        rag_conf_options opt = { .file = "c.conf", .sets = &one, .n_sets = 1 };
        snprintf(set, sizeof set, "http.listen=%s", bad[i]);
        if (rag_conf_load(&c, &opt, NULL) != RAG_CONFIG)
            fail_msg("'%s' was taken", bad[i]);
    }
}

static void test_conf__sources(void **state)
{
    (void)state;
    write_text("conf/ragd.conf", "[source a]\npath = docs\n[source  b.2]\npath = /abs\ncollection = hr\ngroups = staff,boss\n"
                                 "prefix = P\nurl = https://x/\n");
    write_text("conf/conf.d/more.conf", "[source a]\ngroups = all\n[source c]\npath = c");
    rag_conf *c = load("conf/ragd.conf", NULL);
    assert_int_equal(rag_conf_source_count(c), 3);
    const rag_conf_source *a = rag_conf_source_at(c, 0), *b = rag_conf_source_at(c, 1);
    char want[128];
    snprintf(want, sizeof want, "%s/docs", root);
    assert_string_equal(a->name, "a");
    assert_string_equal(a->path, want);
    assert_string_equal(a->collection, "default");
    assert_string_equal(a->groups, "all");
    assert_string_equal(a->url, "");
    assert_string_equal(b->name, "b.2");
    assert_string_equal(b->path, "/abs");
    assert_string_equal(b->collection, "hr");
    assert_string_equal(b->groups, "staff,boss");
    assert_string_equal(b->prefix, "P");
    assert_string_equal(b->url, "https://x/");
    rag_conf_free(c);
}

static void test_conf__bad_sources_are_refused(void **state)
{
    (void)state;
    static const struct {
        const char *text, *want;
    } cases[] = {
        { "\n[source a]\n", "c.conf:2: source 'a' has no path" },
        { "[source a]\npath =\n", "c.conf:1: source 'a' has no path" },
        { "[source a]\npat = x\n", "c.conf:2: unknown key 'pat' of source 'a'" },
        { "[source a]\npath = x\npath = y\n", "c.conf:3: 'path' is given twice, first in line 2" },
        { "[source ]\npath = x\n", "c.conf:1: bad source name '': letters, digits, '-', '_' and '.' only" },
        { "[source a/b]\n", "c.conf:1: bad source name 'a/b': letters, digits, '-', '_' and '.' only" },
        { "[source]\n", "c.conf:1: unknown section 'source'" },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        write_text("c.conf", cases[i].text);
        assert_refused("c.conf", NULL, cases[i].want);
    }
}

/* ---- what is printed ---- */

static char *printed_effective(const rag_conf *c)
{
    char *text = NULL;
    size_t len;
    FILE *f = open_memstream(&text, &len);
    rag_conf_print_effective(c, f);
    fclose(f);
    return text;
}

static char *printed_example(void)
{
    char *text = NULL;
    size_t len;
    FILE *f = open_memstream(&text, &len);
    rag_conf_print_example(f);
    fclose(f);
    return text;
}

static void assert_line(const char *text, const char *start, const char *end)
{
    const char *line = strstr(text, start);
    if (!line)
        fail_msg("no '%s' in\n%s", start, text);
    size_t n = strcspn(line, "\n"), m = strlen(end);
    if (n < m || memcmp(line + n - m, end, m) != 0)
        fail_msg("'%.*s' does not end with '%s'", (int)n, line, end);
}

static void test_conf__effective_values_name_their_origin(void **state)
{
    (void)state;
    write_text("ragd.conf", "[limits]\nqueue = 5\n[source a]\npath = docs\n");
    setenv("RAGD_LIMITS__WORKERS", "3", 1);
    rag_conf *c = load("ragd.conf", "storage.dir=kb");
    char *text = printed_effective(c), want[128];
    assert_line(text, "limits.queue = 5 ", " # ragd.conf:2");
    assert_line(text, "limits.workers = 3 ", " # environment RAGD_LIMITS__WORKERS");
    assert_line(text, "search.rrf_k = 60 ", " # built-in");
    snprintf(want, sizeof want, "storage.dir = %s/kb ", root);
    assert_line(text, want, "# --set storage.dir");
    snprintf(want, sizeof want, "unix.path = %s/kb/ragd.sock ", root);
    assert_line(text, want, "# built-in, in storage.dir");
    snprintf(want, sizeof want, "source a.path = %s/docs ", root);
    assert_line(text, want, "# ragd.conf:4");
    free(text);
    rag_conf_free(c);
}

static void test_conf__committed_example_is_the_printed_one(void **state)
{
    (void)state;
    char *path = rag_path_join(start_dir, "conf/ragd.conf"), *want = printed_example();
    rag_buf b;
    rag_buf_init(&b, 1 << 20);
    rag_err err;
    if (rag_file_read(path, &b, &err) != RAG_OK)
        fail_msg("%s (run from the source folder)", err.message);
    assert_string_equal(b.ptr, want);
    rag_buf_free(&b);
    free(path);
    free(want);
}

/* ---- the program's own place: this program, copied, run as "probe" ---- */

static int probe(int argc, char **argv)
{
    rag_conf *c;
    rag_err err;
    rag_conf_options opt = { .sets = (const char *const *)argv, .n_sets = (size_t)argc };
    if (rag_conf_load(&c, &opt, &err) != RAG_OK) {
        printf("%s\n", err.message);
        return 78;
    }
    printf("checkout %s.\nfile %s.\n", rag_conf_checkout(c), rag_conf_file(c));
    rag_conf_print_effective(c, stdout);
    rag_conf_free(c);
    return 0;
}

static char *run_probe_in(const char *dir)
{
    char *self = rag_path_real("/proc/self/exe"), command[8192];
    assert_int_equal(rag_dir_make(dir, NULL), RAG_OK);
    snprintf(command, sizeof command, "cp '%s' %s/probe && %s/probe probe", self, dir, dir);
    free(self);
    FILE *f = popen(command, "r");
    assert_non_null(f);
    rag_buf b;
    rag_buf_init(&b, 1 << 20);
    char piece[4096];
    size_t n;
    while ((n = fread(piece, 1, sizeof piece, f)) > 0)
        rag_buf_put(&b, (rag_str){ piece, n });
    assert_int_equal(pclose(f), 0);
    return rag_buf_detach(&b);
}

static void test_conf__checkout_is_found_above_the_program(void **state)
{
    (void)state;
    char want[256];
    write_text("co/conf/ragd.conf", "[limits]\nqueue = 9\n");
    static const char *const places[] = { "co/build/bin", "co/build-asan/bin", "co/build/tests" };
    for (size_t i = 0; i < 3; i++) {
        char *text = run_probe_in(places[i]);
        snprintf(want, sizeof want, "checkout %s/co.\nfile %s/co/conf/ragd.conf.\n", root, root);
        assert_memory_equal(text, want, strlen(want));
        assert_line(text, "limits.queue = 9 ", "/co/conf/ragd.conf:2");
        snprintf(want, sizeof want, "storage.dir = %s/co/data ", root);
        assert_line(text, want, "# built-in");
        snprintf(want, sizeof want, "unix.path = %s/co/data/ragd.sock ", root);
        assert_line(text, want, "# built-in");
        snprintf(want, sizeof want, "models.embed = %s/co/models/multilingual-e5-small-q4_0.gguf ", root);
        assert_line(text, want, "# built-in");
        snprintf(want, sizeof want, "prompts.dir = %s/co/conf/prompts ", root);
        assert_line(text, want, "# built-in");
        free(text);
    }
}

static void test_conf__without_checkout_the_system_paths_serve(void **state)
{
    (void)state;
    if (access("/etc/ragd/ragd.conf", F_OK) == 0)
        skip();
    char *text = run_probe_in("usr/bin");
    assert_memory_equal(text, "checkout .\nfile .\n", 18);
    assert_line(text, "storage.dir = /var/lib/ragd ", "# built-in");
    assert_line(text, "unix.path = /run/ragd/ragd.sock ", "# built-in");
    assert_line(text, "models.decoder = /usr/share/ragd/models/gemma-3-270m-q4_k_m.gguf ", "# built-in");
    free(text);
}

/* Takes the # from "#key = value" and "#[section]", and the origins from -T's lines. */
static void uncomment(char *text)
{
    char *to = text;
    for (char *line = text; *line;) {
        size_t n = strcspn(line, "\n") + 1;
        size_t skip_mark = line[0] == '#' && line[1] != ' ' && line[1] != '\n';
        memmove(to, line + skip_mark, n - skip_mark);
        to += n - skip_mark;
        line += n;
    }
    *to = '\0';
}

static void cut_origins(char *text)
{
    char *to = text;
    bool skipping = false;
    for (char *p = text; *p; p++) {
        skipping = *p == '\n' ? false : skipping || strncmp(p, " #", 2) == 0;
        if (!skipping && *p != ' ')
            *to++ = *p;
    }
    *to = '\0';
}

static void test_conf__example_states_the_defaults(void **state)
{
    (void)state;
    char *example = printed_example();
    write_text("co/conf/ragd.conf", example);
    char *commented = run_probe_in("co/build/bin");
    uncomment(example);
    write_text("co/conf/ragd.conf", example);
    char *spelled_out = run_probe_in("co/build/bin");
    assert_null(strstr(spelled_out, "# built-in")); /* no option is left out */
    cut_origins(commented);
    cut_origins(spelled_out);
    char *source = strstr(spelled_out, "sourcehandbook.path=");
    assert_non_null(source);
    *source = '\0';
    assert_string_equal(spelled_out, commented);
    free(example);
    free(commented);
    free(spelled_out);
}

int main(int argc, char **argv)
{
    if (argc > 1 && strcmp(argv[1], "probe") == 0)
        return probe(argc - 2, argv + 2);
    if (argc > 1 && strcmp(argv[1], "example") == 0) {
        rag_conf_print_example(stdout);
        return 0;
    }
#define WITH_ROOT(f) cmocka_unit_test_setup_teardown(f, make_root, remove_root)
    const struct CMUnitTest tests[] = {
        WITH_ROOT(test_conf__empty_file_gives_the_defaults),
        WITH_ROOT(test_conf__stronger_layers_win),
        WITH_ROOT(test_conf__last_flag_wins),
        WITH_ROOT(test_conf__paths_start_where_the_value_stands),
        WITH_ROOT(test_conf__model_names_stand_in_the_models_folder),
        WITH_ROOT(test_conf__socket_follows_the_storage),
        WITH_ROOT(test_conf__errors_name_file_and_line),
        WITH_ROOT(test_conf__error_in_conf_d_names_that_file),
        WITH_ROOT(test_conf__long_line_is_an_error_and_never_cut),
        WITH_ROOT(test_conf__lenient_where_it_is_clear),
        WITH_ROOT(test_conf__environment_is_checked),
        WITH_ROOT(test_conf__flags_are_checked),
        WITH_ROOT(test_conf__threads_are_at_most_the_cores),
        WITH_ROOT(test_conf__listen_addresses),
        WITH_ROOT(test_conf__sources),
        WITH_ROOT(test_conf__bad_sources_are_refused),
        WITH_ROOT(test_conf__effective_values_name_their_origin),
        WITH_ROOT(test_conf__committed_example_is_the_printed_one),
        WITH_ROOT(test_conf__checkout_is_found_above_the_program),
        WITH_ROOT(test_conf__without_checkout_the_system_paths_serve),
        WITH_ROOT(test_conf__example_states_the_defaults),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
