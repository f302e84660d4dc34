#include "kb.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"

static void assert_clean(rag_index *ix)
{
    int64_t problems;
    assert_ok(rag_index_verify(ix, NULL, NULL, &problems, &kb_err));
    assert_int_equal(problems, 0);
}

static void test_backup__comes_back_in_another_folder(void **state)
{
    rag_index *ix = kb_open(*state);
    char *file = kb_path(*state, "backup"), *wal = kb_path(*state, "backup-wal"), *dir = kb_path(*state, "new/store");
    struct stat st;
    kb_ingest(ix, "a", "apples", "b", "bananas", NULL);
    assert_ok(rag_index_backup(ix, file, &kb_err));
    assert_int_equal(stat(file, &st), 0);
    assert_int_equal(st.st_mode & 0007, 0);
    assert_int_equal(stat(wal, &st), -1);
    assert_ok(rag_index_restore(dir, file, &kb_err));
    rag_index *back = kb_open(dir);
    assert_true(kb_finds(back, "bananas", "b"));
    assert_clean(back);
    rag_index_close(back);
    rag_index_close(ix);
    free(dir);
    free(wal);
    free(file);
}

static void test_backup__an_existing_file_is_not_replaced(void **state)
{
    rag_index *ix = kb_open(*state);
    char *file = kb_path(*state, "backup");
    rag_buf b;
    rag_buf_init(&b, 100);
    assert_ok(rag_file_write_atomic(file, RAG_STR("precious"), &kb_err));
    assert_code(rag_index_backup(ix, file, &kb_err), RAG_INVALID);
    assert_ok(rag_file_read(file, &b, &kb_err));
    assert_string_equal(b.ptr, "precious");
    rag_buf_free(&b);
    free(file);
    rag_index_close(ix);
}

/* A daemon has the store open, with a snapshot and a reader of the state that is replaced. */
static void test_backup__a_restore_is_seen_while_serving(void **state)
{
    rag_index *ix = kb_open(*state), *serves = kb_open(*state);
    char *file = kb_path(*state, "backup");
    rag_arena *arena = rag_arena_new();
    rag_reader *r;
    rag_hit *hits;
    size_t n;
    bool changed;
    kb_ingest(ix, "a", "apples", NULL);
    assert_ok(rag_index_backup(ix, file, &kb_err));
    kb_ingest(ix, "a", "bananas", NULL);
    assert_true(kb_finds(serves, "bananas", "a"));
    rag_snapshot *held = rag_index_acquire(serves);
    assert_ok(rag_reader_open(&r, serves, &kb_err));

    assert_ok(rag_index_restore(*state, file, &kb_err));
    rag_search q = { .query = RAG_STR("bananas"), .filter = { .all_groups = true } };
    assert_code(kb_hits(r, held, &q, arena, &hits, &n), RAG_BUSY);
    assert_ok(rag_index_refresh(serves, &changed, &kb_err));
    assert_true(changed);
    assert_true(kb_finds(serves, "apples", "a"));
    assert_false(kb_finds(serves, "bananas", "a"));
    assert_clean(serves);
    rag_reader_close(r);
    rag_snapshot_release(held);
    rag_arena_free(arena);
    rag_index_close(serves);
    rag_index_close(ix);
    free(file);
}

static void test_backup__numbers_are_not_given_out_again(void **state)
{
    rag_index *ix = kb_open(*state);
    char *file = kb_path(*state, "backup");
    kb_ingest(ix, "a", "apples", NULL);
    assert_ok(rag_index_backup(ix, file, &kb_err));
    kb_ingest(ix, "b", "bananas", NULL);
    int64_t document = kb_sql_number(*state, "SELECT max(id) FROM documents");
    int64_t chunk = kb_sql_number(*state, "SELECT max(id) FROM chunks");
    assert_ok(rag_index_restore(*state, file, &kb_err));
    rag_published p = kb_ingest(ix, "c", "cherries", NULL);
    assert_int_equal(p.generation, 3);
    assert_true(kb_sql_number(*state, "SELECT max(id) FROM documents") > document);
    assert_true(kb_sql_number(*state, "SELECT max(id) FROM chunks") > chunk);
    assert_clean(ix);
    rag_index_close(ix);
    free(file);
}

static void test_backup__wrong_files_are_refused_and_the_store_stays(void **state)
{
    rag_index *ix = kb_open(*state);
    char *file = kb_path(*state, "backup"), *absent = kb_path(*state, "absent");
    rag_buf b;
    rag_buf_init(&b, 8 << 20);
    kb_ingest(ix, "a", "apples", NULL);
    assert_code(rag_index_restore(*state, absent, &kb_err), RAG_NOT_FOUND);
    assert_ok(rag_file_write_atomic(file, RAG_STR("not a database, but long enough to be looked at"), &kb_err));
    assert_code(rag_index_restore(*state, file, &kb_err), RAG_CORRUPT);
    assert_ok(rag_file_write_atomic(file, RAG_STR(""), &kb_err));
    assert_code(rag_index_restore(*state, file, &kb_err), RAG_CORRUPT);
    unlink(file);
    assert_ok(rag_index_backup(ix, file, &kb_err));
    assert_ok(rag_file_read(file, &b, &kb_err));
    memset(b.ptr + b.len / 2, 0xff, 4096);
    assert_ok(rag_file_write_atomic(file, rag_buf_str(&b), &kb_err));
    assert_code(rag_index_restore(*state, file, &kb_err), RAG_CORRUPT);
    assert_true(kb_finds(ix, "apples", "a"));
    assert_clean(ix);
    rag_buf_free(&b);
    rag_index_close(ix);
    free(absent);
    free(file);
}

static void test_backup__a_running_ingest_is_not_overrun(void **state)
{
    rag_index *ix = kb_open(*state);
    char *file = kb_path(*state, "backup");
    kb_ingest(ix, "a", "apples", NULL);
    rag_writer *w = kb_begin(ix);
    kb_put(w, kb_source(w, "default", "/root", ""), "b", "half a run");
    assert_ok(rag_index_backup(ix, file, &kb_err)); /* a backup may be taken meanwhile */
    assert_code(rag_index_restore(*state, file, &kb_err), RAG_BUSY);
    kb_publish(w);
    rag_writer_end(w);
    assert_ok(rag_index_restore(*state, file, &kb_err));
    assert_true(kb_finds(ix, "apples", "a"));
    assert_false(kb_finds(ix, "half", "b"));
    assert_clean(ix);
    rag_index_close(ix);
    free(file);
}

static void test_backup__a_damaged_store_makes_room(void **state)
{
    rag_index *ix = kb_open(*state);
    char *file = kb_path(*state, "backup"), *store = kb_path(*state, "kb.db"), *kept = kb_path(*state, "kb.db.damaged");
    struct stat st;
    kb_ingest(ix, "a", "apples", NULL);
    assert_ok(rag_index_backup(ix, file, &kb_err));
    rag_index_close(ix);
    assert_ok(rag_file_write_atomic(store, RAG_STR("this was a database once, and now it is not one any more"), &kb_err));
    assert_ok(rag_index_restore(*state, file, &kb_err));
    assert_int_equal(stat(kept, &st), 0);
    ix = kb_open(*state);
    assert_true(kb_finds(ix, "apples", "a"));
    assert_clean(ix);
    rag_index_close(ix);
    free(kept);
    free(store);
    free(file);
}

#define ROW(name) cmocka_unit_test_setup_teardown(test_backup__##name, kb_setup, kb_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        ROW(comes_back_in_another_folder),
        ROW(an_existing_file_is_not_replaced),
        ROW(a_restore_is_seen_while_serving),
        ROW(numbers_are_not_given_out_again),
        ROW(wrong_files_are_refused_and_the_store_stays),
        ROW(a_running_ingest_is_not_overrun),
        ROW(a_damaged_store_makes_room),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
