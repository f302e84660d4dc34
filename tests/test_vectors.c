#include "kb.h"

#include <errno.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "index/store.h"

/* Three documents, and what a question finds among them: the answer that must survive any damage to the files. */
static rag_index *open_store(const char *dir)
{
    rag_index *ix = kb_open(dir);
    kb_ingest(ix, "a", "apple pie", "b", "banana bread", "c", "cherry cake", NULL);
    return ix;
}

static void assert_serves(const char *dir)
{
    rag_index *ix = kb_open(dir);
    rag_arena *arena = rag_arena_new();
    rag_hit *hits;
    assert_int_equal(kb_search(ix, "banana bread", RAG_SEARCH_VECTOR, arena, &hits), 3);
    assert_true(rag_str_eq(hits[0].document, RAG_STR("b")));
    assert_true(hits[0].vector_score > 0.999);
    rag_arena_free(arena);
    rag_index_close(ix);
}

/* What loading the files says, with the rows and the state that kb.db has now. */
static rag_code try_load(const char *dir)
{
    db *d;
    store_state st;
    kept_row *rows;
    size_t n;
    vectors *v = NULL;
    char *file = kb_path(dir, "kb.db");
    assert_ok(db_open(&d, file, DB_READ, &kb_err));
    assert_ok(state_read_latest(d, &st, &kb_err));
    assert_ok(kept_positions(d, st.model_id, &rows, &n, &kb_err));
    vectors_identity id = state_identity(&st);
    rag_code code = vectors_load(&v, dir, &id, rows, n, &kb_err);
    free(rows);
    vectors_release(v);
    db_close(d);
    free(file);
    return code;
}

static void read_file(const char *dir, const char *name, rag_buf *out)
{
    char *path = kb_path(dir, name);
    rag_buf_init(out, 1 << 20);
    assert_ok(rag_file_read(path, out, &kb_err));
    free(path);
}

static void write_file(const char *dir, const char *name, rag_str bytes)
{
    char *path = kb_path(dir, name);
    assert_ok(rag_file_write_atomic(path, bytes, &kb_err));
    free(path);
}

static const char *const files[] = { "vectors/1/index.faiss", "vectors/1/positions", "vectors/1/manifest.json" };

static void test_vectors__whole_files_are_loaded(void **state)
{
    rag_index_close(open_store(*state));
    assert_code(try_load(*state), RAG_OK);
    assert_serves(*state);
}

static void test_vectors__any_flipped_bit_is_noticed(void **state)
{
    rag_index_close(open_store(*state));
    for (size_t f = 0; f < sizeof files / sizeof *files; f++) {
        rag_buf whole;
        read_file(*state, files[f], &whole);
        for (size_t i = 0; i < whole.len; i++) {
            whole.ptr[i] ^= (char)(1 << i % 8);
            write_file(*state, files[f], rag_buf_str(&whole));
            assert_code(try_load(*state), RAG_CORRUPT);
            whole.ptr[i] ^= (char)(1 << i % 8);
        }
        whole.ptr[whole.len / 2] ^= 1;
        write_file(*state, files[f], rag_buf_str(&whole));
        assert_serves(*state);
        whole.ptr[whole.len / 2] ^= 1;
        write_file(*state, files[f], rag_buf_str(&whole));
        rag_buf_free(&whole);
    }
    assert_code(try_load(*state), RAG_OK);
}

static void test_vectors__cut_and_missing_files_are_noticed(void **state)
{
    rag_index_close(open_store(*state));
    for (size_t f = 0; f < sizeof files / sizeof *files; f++) {
        rag_buf whole;
        char *path = kb_path(*state, files[f]);
        read_file(*state, files[f], &whole);
        for (size_t len = 0; len < whole.len; len += 7) {
            write_file(*state, files[f], rag_str_sub(rag_buf_str(&whole), 0, len));
            assert_code(try_load(*state), RAG_CORRUPT);
        }
        assert_int_equal(unlink(path), 0);
        assert_code(try_load(*state), RAG_CORRUPT);
        assert_serves(*state);
        write_file(*state, files[f], rag_buf_str(&whole));
        rag_buf_free(&whole);
        free(path);
    }
}

static void test_vectors__files_of_another_store_are_not_taken(void **state)
{
    char *other = kb_path(*state, "other"), *mine = kb_path(*state, "mine");
    rag_index_close(open_store(other));
    rag_index_close(open_store(mine));
    for (size_t f = 0; f < sizeof files / sizeof *files; f++) {
        rag_buf whole;
        read_file(other, files[f], &whole);
        write_file(mine, files[f], rag_buf_str(&whole));
        rag_buf_free(&whole);
    }
    assert_code(try_load(mine), RAG_CORRUPT);
    assert_serves(mine);
    free(other);
    free(mine);
}

static void test_vectors__files_of_other_rows_are_not_taken(void **state)
{
    rag_index_close(open_store(*state));
    kb_sql(*state, "UPDATE chunks SET embedding_id = 1 WHERE id = 2");
    assert_code(try_load(*state), RAG_CORRUPT);
}

static void test_vectors__a_writer_makes_missing_files_again(void **state)
{
    rag_index *ix = open_store(*state);
    char *folder = kb_path(*state, "vectors/1");
    assert_ok(rag_dir_remove(folder, &kb_err));
    assert_code(try_load(*state), RAG_NOT_FOUND);
    assert_serves(*state);
    assert_false(kb_ingest(ix, NULL).changed);
    assert_code(try_load(*state), RAG_OK);
    free(folder);
    rag_index_close(ix);
}

static void test_vectors__only_the_latest_folder_stays(void **state)
{
    struct stat st;
    rag_index *ix = open_store(*state);
    char *old = kb_path(*state, "vectors/1"), *killed = kb_path(*state, "vectors/7.tmp");
    assert_ok(rag_dir_make(killed, &kb_err));
    kb_ingest(ix, "d", "date", NULL);
    assert_int_equal(stat(old, &st), -1);
    assert_int_equal(stat(killed, &st), -1);
    assert_code(try_load(*state), RAG_OK);
    free(old);
    free(killed);
    rag_index_close(ix);
}

static void test_vectors__damaged_embeddings_are_never_served(void **state)
{
    rag_index *ix = open_store(*state);
    char *folder = kb_path(*state, "vectors/1");
    assert_ok(rag_dir_remove(folder, &kb_err));
    kb_sql(*state, "UPDATE embeddings SET vector = zeroblob(64) WHERE id = 2");
    assert_code(rag_index_refresh(ix, NULL, &kb_err), RAG_CORRUPT);
    assert_non_null(strstr(kb_err.message, "embedding 2"));
    assert_null(rag_index_acquire(ix));
    free(folder);
    rag_index_close(ix);
}

static void test_vectors__find_gives_the_position_of_a_chunk(void **state)
{
    (void)state;
    kept_row *rows = rag_calloc(5, sizeof *rows);
    static const int64_t ids[] = { 2, 3, 7, 8, 100 };
    db *d;
    vectors *v;
    char *dir = *state, *file = kb_path(dir, "kb.db");
    rag_index_close(kb_open(dir));
    kb_sql(dir, "INSERT INTO models(sha256, name, dim) VALUES(x'00', 'm', 1); "
                "INSERT INTO embeddings(key, model_id, sum, vector) VALUES(x'00', 1, 0, x'00000000')");
    assert_ok(db_open(&d, file, DB_READ, &kb_err));
    float zero = 0;
    char set[200];
    snprintf(set, sizeof set, "UPDATE embeddings SET sum = %lld",
             (long long)rag_xxh3((rag_str){ (const char *)&zero, sizeof zero }, 0));
    kb_sql(dir, set);
    for (size_t i = 0; i < 5; i++)
        rows[i] = (kept_row){ ids[i], 1 };
    assert_ok(vectors_build(&v, d, 1, VECTORS_FLAT, rows, 5, NULL, &kb_err));
    for (int64_t id = 0; id < 120; id++) {
        size_t want = SIZE_MAX;
        for (size_t i = 0; i < 5; i++)
            if (ids[i] == id)
                want = i;
        assert_int_equal(vectors_find(v, id, 0), want);
    }
    assert_int_equal(vectors_find(v, 8, 3), 3);
    assert_int_equal(vectors_find(v, 7, 3), SIZE_MAX);
    vectors_release(v);
    db_close(d);
    free(file);
}

#define ROW(name) cmocka_unit_test_setup_teardown(test_vectors__##name, kb_setup, kb_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        ROW(whole_files_are_loaded),
        ROW(any_flipped_bit_is_noticed),
        ROW(cut_and_missing_files_are_noticed),
        ROW(files_of_another_store_are_not_taken),
        ROW(files_of_other_rows_are_not_taken),
        ROW(a_writer_makes_missing_files_again),
        ROW(only_the_latest_folder_stays),
        ROW(damaged_embeddings_are_never_served),
        ROW(find_gives_the_position_of_a_chunk),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
