/* An ingest killed at random moments: readers see the old generation or the new one and nothing between, and the
 * next run ends where an undisturbed one does.  RAGD_KILLS says how often (6). */
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

#include "base/file.h"
#include "embed/embed.h"
#include "index/index.h"

enum { DOCUMENTS = 40, DEFAULT_KILLS = 6 };

static char base[32], docs[64];
static rag_arena *arena;
static rag_err err;

/* ---- files -------------------------------------------------------------------------- */

static void put(int n, int version)
{
    char path[128];
    rag_buf b;
    rag_buf_init(&b, 1024 * 1024);
    rag_buf_putf(&b, "# Document %d\n\n", n);
    for (int i = 0; i < 12; i++)
        rag_buf_putf(&b, "## Part %d\n\nWord%d of version %d says that lamp %d is number %d.\n\n", i, n, version, n, i);
    snprintf(path, sizeof path, "%s/%d.md", docs, n);
    int fd = open(path, O_CREAT | O_WRONLY | O_TRUNC, 0644);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, b.ptr, b.len), (ssize_t)b.len);
    close(fd);
    rag_buf_free(&b);
}

static void write_first(void)
{
    for (int i = 0; i < DOCUMENTS; i++)
        put(i, 1);
}

/* A third updated, a few gone, a few new. */
static void write_second(void)
{
    char path[128];
    for (int i = 0; i < DOCUMENTS; i += 3)
        put(i, 2);
    for (int i = 1; i < DOCUMENTS; i += 10) {
        snprintf(path, sizeof path, "%s/%d.md", docs, i);
        assert_int_equal(unlink(path), 0);
    }
    for (int i = DOCUMENTS; i < DOCUMENTS + 8; i++)
        put(i, 2);
}

static void shell(const char *format, const char *a, const char *b)
{
    char command[256];
    snprintf(command, sizeof command, format, a, b);
    assert_int_equal(system(command), 0);
}

/* ---- runs --------------------------------------------------------------------------- */

static const char *in_base(const char *name)
{
    return rag_arena_printf(arena, "%s/%s", base, name);
}

static pid_t start(const char *store)
{
    char set[128];
    const char *conf = in_base("ragd.conf");
    snprintf(set, sizeof set, "storage.dir=%s", in_base(store));
    pid_t pid = fork();
    if (pid == 0) {
        int nowhere = open("/dev/null", O_WRONLY);
        dup2(nowhere, STDOUT_FILENO);
        execl(RAGD_INGEST, RAGD_INGEST, "-c", conf, "--set", set, docs, (char *)NULL);
        _exit(127);
    }
    assert_true(pid > 0);
    return pid;
}

static int finish(pid_t pid)
{
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

/* ---- what a reader sees --------------------------------------------------------------- */

static void print_problem(void *context, const char *sentence)
{
    print_message("%s: %s\n", (const char *)context, sentence);
}

static void put_documents(rag_reader *r, rag_snapshot *s, rag_buf *b)
{
    rag_document *list = NULL;
    size_t n = 0;
    char hex[65];
    rag_filter all = { .all_groups = true };
    assert_int_equal(rag_reader_documents(r, s, &all, 0, 1000, arena, &list, &n, &err), RAG_OK);
    for (int i = 0; i < DOCUMENTS + 8; i++) { /* in the order of their numbers: ids depend on the history */
        const char *path = rag_arena_printf(arena, "%d.md", i);
        for (size_t k = 0; k < n; k++)
            if (rag_str_eq(list[k].path, rag_str_of(path))) {
                rag_sha256_hex(&list[k].sha256, hex);
                rag_buf_putf(b, "%s %s %zu %lld\n", path, hex, list[k].bytes, (long long)list[k].chunks);
            }
    }
}

static void put_hits(rag_reader *r, rag_snapshot *s, rag_embedder *e, const char *query, rag_buf *b)
{
    float vector[384];
    rag_results found;
    assert_int_equal(rag_embed_text(e, RAG_EMBED_QUERY, rag_str_of(query), true, vector, NULL, &err), RAG_OK);
    rag_search q = { .query = rag_str_of(query), .vector = vector, .top_k = 10, .filter.all_groups = true };
    assert_int_equal(rag_reader_search(r, s, &q, arena, &found, &err), RAG_OK);
    for (size_t i = 0; i < found.n; i++)
        rag_buf_putf(b, "%s: %.*s %zu %zu %.6f %d %d\n", query, RAG_STR_ARG(found.hits[i].document), found.hits[i].start,
                     found.hits[i].end, found.hits[i].score, found.hits[i].vector_rank, found.hits[i].text_rank);
}

/* Documents and search results of the store in words; fails when the store does not agree with itself. */
static const char *state_of(const char *store)
{
    static const char *const queries[] = { "lamp 7", "version 2", "word3 of version 1", "number 11 of document 44" };
    rag_index *ix = NULL;
    rag_reader *r = NULL;
    rag_embedder *e = NULL;
    rag_buf b;
    int64_t problems = -1;
    rag_index_options opt = { .dir = in_base(store), .create = true };
    rag_embed_options embed = { 0 };
    rag_buf_init(&b, 1024 * 1024);
    assert_int_equal(rag_embed_open(&e, &embed, &err), RAG_OK);
    assert_int_equal(rag_index_open(&ix, &opt, &err), RAG_OK);
    assert_int_equal(rag_index_verify(ix, print_problem, (void *)store, &problems, &err), RAG_OK);
    assert_int_equal(problems, 0);
    assert_int_equal(rag_index_refresh(ix, NULL, &err), RAG_OK);
    rag_snapshot *s = rag_index_acquire(ix);
    assert_int_equal(rag_reader_open(&r, ix, &err), RAG_OK);
    put_documents(r, s, &b);
    for (size_t i = 0; i < sizeof queries / sizeof *queries; i++)
        put_hits(r, s, e, queries[i], &b);
    const char *out = rag_arena_cstr(arena, rag_buf_str(&b));
    rag_buf_free(&b);
    rag_reader_close(r);
    rag_snapshot_release(s);
    rag_index_close(ix);
    rag_embed_close(e);
    return out;
}

/* ---- the test ------------------------------------------------------------------------- */

static int set_up(void **state)
{
    (void)state;
    strcpy(base, "/tmp/ragd_kill_XXXXXX");
    assert_non_null(mkdtemp(base));
    snprintf(docs, sizeof docs, "%s/docs", base);
    arena = rag_arena_new();
    assert_int_equal(rag_file_write_atomic(in_base("ragd.conf"), RAG_STR("# nothing\n"), NULL), RAG_OK);
    setenv("RAGD_FAKE_EMBED_DELAY_MS", "1", 1);
    return mkdir(docs, 0755);
}

static int tear_down(void **state)
{
    (void)state;
    shell("rm -rf %s%s", base, "");
    rag_arena_free(arena);
    return 0;
}

static double run_store(const char *store)
{
    double begun = rag_clock_ms();
    assert_int_equal(finish(start(store)), 0);
    return rag_clock_ms() - begun;
}

static void kill_after(const char *store, double milliseconds)
{
    pid_t pid = start(store);
    nanosleep(&(struct timespec){ .tv_sec = (time_t)(milliseconds / 1000),
                                  .tv_nsec = (long)(milliseconds * 1e6) % 1000000000L }, NULL);
    kill(pid, SIGKILL);
    int code = finish(pid);
    assert_true(code == -SIGKILL || code == 0);
}

static void test_ingest_kill__readers_see_one_generation_and_the_next_run_ends_the_same(void **state)
{
    (void)state;
    const char *wanted = getenv("RAGD_KILLS");
    int kills = wanted ? atoi(wanted) : DEFAULT_KILLS;
    write_first();
    run_store("first");
    const char *before = state_of("first");
    shell("cp -r %s %s", in_base("first"), in_base("undisturbed"));
    write_second();
    double duration = run_store("undisturbed");
    const char *after = state_of("undisturbed");
    assert_string_not_equal(before, after);
    srand(7);
    for (int i = 0; i < kills; i++) {
        shell("rm -rf %s; cp -r %s", in_base("killed"), rag_arena_printf(arena, "%s %s", in_base("first"), in_base("killed")));
        kill_after("killed", duration * (rand() % 1000) / 1000);
        const char *seen = state_of("killed");
        assert_true(strcmp(seen, before) == 0 || strcmp(seen, after) == 0);
        if (i % 2)
            kill_after("killed", duration * (rand() % 1000) / 1000);
        run_store("killed");
        assert_string_equal(state_of("killed"), after);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(
            test_ingest_kill__readers_see_one_generation_and_the_next_run_ends_the_same, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
