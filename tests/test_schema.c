#include "kb.h"

#include <fcntl.h>
#include <sqlite3.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "index/store.h"

static rag_code try_open(const char *dir, bool create)
{
    rag_index *ix;
    rag_index_options opt = { .dir = dir, .create = create };
    rag_code code = rag_index_open(&ix, &opt, &kb_err);
    if (code != RAG_OK)
        assert_null(ix);
    rag_index_close(ix);
    return code;
}

/* A database made without any of our code. */
static void make_file(const char *dir, const char *sql)
{
    sqlite3 *handle;
    char *file = kb_path(dir, "kb.db");
    assert_int_equal(sqlite3_open(file, &handle), SQLITE_OK);
    assert_int_equal(sqlite3_exec(handle, sql, NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close(handle);
    free(file);
}

static void test_schema__an_absent_store_is_not_found_unless_created(void **state)
{
    char *inner = kb_path(*state, "new/folder");
    assert_code(try_open(inner, false), RAG_NOT_FOUND);
    assert_code(try_open(inner, true), RAG_OK);
    assert_code(try_open(inner, false), RAG_OK);
    free(inner);
}

static void test_schema__the_file_is_for_its_owner_and_group(void **state)
{
    struct stat st;
    char *file = kb_path(*state, "kb.db");
    assert_code(try_open(*state, true), RAG_OK);
    assert_int_equal(stat(file, &st), 0);
    assert_int_equal(st.st_mode & 0007, 0);
    free(file);
}

static void test_schema__an_older_version_is_migrated(void **state)
{
    make_file(*state, "PRAGMA application_id = 0x52414744; PRAGMA user_version = 0");
    assert_code(try_open(*state, false), RAG_OK);
    assert_int_equal(kb_sql_number(*state, "PRAGMA user_version"), SCHEMA_VERSION);
    rag_index *ix = kb_open(*state);
    kb_ingest(ix, "a.md", "apples", NULL);
    assert_true(kb_finds(ix, "apples", "a.md"));
    rag_index_close(ix);
}

static void test_schema__a_newer_version_is_refused(void **state)
{
    assert_code(try_open(*state, true), RAG_OK);
    kb_sql(*state, "PRAGMA user_version = 99");
    assert_code(try_open(*state, true), RAG_CONFIG);
    assert_non_null(strstr(kb_err.message, "99"));
    assert_int_equal(kb_sql_number(*state, "PRAGMA user_version"), 99);
}

static void test_schema__a_foreign_database_is_refused_and_left_alone(void **state)
{
    make_file(*state, "CREATE TABLE theirs(x)");
    assert_code(try_open(*state, true), RAG_CORRUPT);
    assert_int_equal(kb_sql_number(*state, "SELECT count(*) FROM sqlite_schema"), 1);
}

static void test_schema__a_file_that_is_no_database_is_refused(void **state)
{
    char *file = kb_path(*state, "kb.db");
    char garbage[5000];
    memset(garbage, 'x', sizeof garbage);
    assert_ok(rag_file_write_atomic(file, (rag_str){ garbage, sizeof garbage }, &kb_err));
    assert_code(try_open(*state, true), RAG_CORRUPT);
    free(file);
}

static void test_schema__another_tokenizer_indexes_again(void **state)
{
    rag_index *ix = kb_open(*state);
    kb_ingest(ix, "a.md", "apples", NULL);
    rag_index_close(ix);
    kb_sql(*state, "INSERT INTO chunk_fts(chunk_fts, rowid, title, heading, body) "
                   "SELECT 'delete', id, title, heading, body FROM chunk_content; "
                   "UPDATE meta SET value = 0 WHERE key = 'tokenizer'");
    ix = kb_open(*state);
    assert_true(kb_finds(ix, "apples", "a.md"));
    rag_index_close(ix);
}

static void test_schema__versions_are_named(void **state)
{
    (void)state;
    assert_non_null(strstr(rag_index_versions(), sqlite3_libversion()));
    assert_non_null(strstr(rag_index_versions(), "FAISS 1."));
}

#define ROW(name) cmocka_unit_test_setup_teardown(test_schema__##name, kb_setup, kb_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        ROW(an_absent_store_is_not_found_unless_created),
        ROW(the_file_is_for_its_owner_and_group),
        ROW(an_older_version_is_migrated),
        ROW(a_newer_version_is_refused),
        ROW(a_foreign_database_is_refused_and_left_alone),
        ROW(a_file_that_is_no_database_is_refused),
        ROW(another_tokenizer_indexes_again),
        ROW(versions_are_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
