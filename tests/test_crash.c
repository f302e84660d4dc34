/* The crash story of docs/FORMAT.md: a run killed at each named point leaves the last generation, or the new one, whole. */
#include "kb.h"

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

static const char *const points[] = {
    "after_row", "after_row:2", "after_row:70", "before_commit", "before_commit:2", "after_commit", "after_commit:2",
    "snapshot_tmp", "before_rename", "after_rename", "before_publish", "after_publish", "before_prune",
};

static rag_index *open_keeping_one(const char *dir)
{
    rag_index *ix;
    rag_index_options opt = { .dir = dir, .create = true, .keep_generations = 1 };
    assert_ok(rag_index_open(&ix, &opt, &kb_err));
    return ix;
}

/* Changes some documents, adds many, so that the run has several transactions and something to prune. */
static void run(rag_index *ix)
{
    rag_writer *w = kb_begin(ix);
    int64_t source = kb_source(w, "default", "/root", "");
    for (int i = 0; i < 100; i++) {
        char path[16], text[64];
        snprintf(path, sizeof path, "p%02d", i);
        snprintf(text, sizeof text, "new words of number%d", i);
        kb_put(w, source, path, text);
    }
    kb_publish(w);
    rag_writer_end(w);
}

static void be_killed(const char *dir, const char *point)
{
    int status;
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        setenv("RAGD_CRASH_AT", point, 1);
        rag_index *ix = open_keeping_one(dir);
        run(ix);
        _exit(0);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    if (!WIFSIGNALED(status) || WTERMSIG(status) != SIGKILL)
        fail_msg("the run passed '%s' alive", point);
}

static void assert_whole(const char *dir, const char *point)
{
    rag_index *ix = open_keeping_one(dir);
    int64_t problems;
    assert_ok(rag_index_refresh(ix, NULL, &kb_err));
    rag_snapshot *s = rag_index_acquire(ix);
    bool is_new = rag_snapshot_generation(s) == 2;
    if (rag_snapshot_documents(s) != (is_new ? 100 : 3))
        fail_msg("'%s' leaves generation %lld with %lld documents", point, (long long)rag_snapshot_generation(s),
                 (long long)rag_snapshot_documents(s));
    rag_snapshot_release(s);
    assert_int_equal(kb_finds(ix, "old", "p00"), !is_new);
    assert_int_equal(kb_finds(ix, "number0", "p00"), is_new);
    assert_ok(rag_index_verify(ix, NULL, NULL, &problems, &kb_err));
    if (problems)
        fail_msg("'%s' leaves %lld problems", point, (long long)problems);
    rag_index_close(ix);
}

static void assert_finishes(const char *dir, const char *point)
{
    rag_index *ix = open_keeping_one(dir);
    int64_t problems;
    run(ix);
    kb_ingest(ix, "last", "last", NULL); /* prunes what a kill behind the publish left */
    assert_true(kb_finds(ix, "number99", "p99"));
    assert_false(kb_finds(ix, "old", "p00"));
    assert_ok(rag_index_verify(ix, NULL, NULL, &problems, &kb_err));
    assert_int_equal(problems, 0);
    if (kb_sql_number(dir, "SELECT count(*) FROM versions") != 101)
        fail_msg("'%s' leaves rows that nobody sweeps", point);
    rag_index_close(ix);
}

static void test_crash__a_kill_at_any_point_harms_nothing(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof points / sizeof *points; i++) {
        char *dir = kb_dir_new();
        rag_index *ix = open_keeping_one(dir);
        kb_ingest(ix, "p00", "old words", "p01", "old too", "p02", "old as well", NULL);
        rag_index_close(ix);
        be_killed(dir, points[i]);
        assert_whole(dir, points[i]);
        be_killed(dir, "after_row:3"); /* again, while recovering */
        assert_whole(dir, points[i]);
        assert_finishes(dir, points[i]);
        kb_dir_remove(dir);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_crash__a_kill_at_any_point_harms_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
