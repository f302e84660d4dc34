#include "kb.h"

#include "base/file.h"

typedef struct findings {
    rag_buf sentences;
    int64_t n;
} findings;

static void on_problem(void *context, const char *sentence)
{
    findings *f = context;
    rag_buf_puts(&f->sentences, sentence);
    rag_buf_putc(&f->sentences, '\n');
}

static void look(rag_index *ix, findings *f)
{
    rag_buf_init(&f->sentences, 1 << 20);
    assert_ok(rag_index_verify(ix, on_problem, f, &f->n, &kb_err));
}

static rag_index *open_store(const char *dir)
{
    rag_index *ix = kb_open(dir);
    kb_ingest(ix, "a", "apple pie\n\napple cake", "b", "brötchen", NULL);
    kb_ingest(ix, "a", "apple tart", "c", "cherry", NULL);
    return ix;
}

/* Does the damage, and expects verify to say something with `word` in it. */
static void assert_named(const char *dir, const char *damage, const char *word)
{
    findings f;
    rag_index *ix = open_store(dir);
    look(ix, &f);
    if (f.n)
        fail_msg("not clean to begin with: %s", f.sentences.ptr);
    rag_buf_free(&f.sentences);
    kb_sql(dir, damage);
    look(ix, &f);
    if (f.n == 0 || !strstr(f.sentences.ptr, word))
        fail_msg("'%s' gives '%s', not '%s'", damage, f.sentences.ptr ? f.sentences.ptr : "", word);
    rag_buf_free(&f.sentences);
    rag_index_close(ix);
}

#define DAMAGE(name, sql, word)                              \
    static void test_verify__names_##name(void **state)      \
    {                                                        \
        assert_named(*state, sql, word);                     \
    }

DAMAGE(a_chunk_without_full_text, "DELETE FROM chunk_fts_docsize WHERE id = 2", "chunk 2 is not in the full-text index")
DAMAGE(full_text_without_a_chunk, "DELETE FROM chunks WHERE id = 5", "row 5, which is no chunk")
DAMAGE(full_text_of_other_words,
       "INSERT INTO chunk_fts(chunk_fts, rowid, title, heading, body) VALUES('delete', 4, 'a', '', 'apple tart'); "
       "INSERT INTO chunk_fts(rowid, title, heading, body) VALUES(4, 'a', '', 'peach tart')",
       "full-text index does not agree")
DAMAGE(a_missing_version, "DELETE FROM versions WHERE id = 3", "version 3, which is not there")
DAMAGE(a_missing_document, "DELETE FROM documents WHERE id = 2", "document 2, which is not there")
DAMAGE(two_versions_at_once, "UPDATE versions SET gen_to = 3 WHERE id = 1", "two versions in one generation")
DAMAGE(an_unpublished_generation, "UPDATE versions SET gen_from = 8 WHERE id = 4", "never published")
DAMAGE(a_missing_embedding, "DELETE FROM embeddings WHERE id = 3", "embedding 3, which is not there")
DAMAGE(a_short_embedding, "UPDATE embeddings SET vector = x'00' WHERE id = 1", "has 1 bytes")
DAMAGE(a_changed_embedding, "UPDATE embeddings SET vector = zeroblob(64) WHERE id = 1", "does not have its checksum")
DAMAGE(a_chunk_outside_its_text, "UPDATE chunks SET stop = 999 WHERE id = 3", "chunk 3 lies outside")
DAMAGE(a_cut_character, "UPDATE chunks SET stop = 3 WHERE id = 3", "chunk 3 cuts a character")
DAMAGE(a_damaged_text,
       "UPDATE texts SET data = CAST(substr(data, 1, length(data) - 1) || x'00' AS BLOB) WHERE version_id = 3",
       "text of version 3 is damaged")
DAMAGE(a_missing_text, "DELETE FROM texts WHERE version_id = 3", "text of version 3")
DAMAGE(wrong_counts, "UPDATE generations SET documents = 7 WHERE number = 1", "generation 1 says 7 documents")
DAMAGE(a_lost_chunk_count, "UPDATE versions SET n_chunks = 5 WHERE id = 1", "does not have its 5 chunks")
DAMAGE(files_of_other_rows, "UPDATE chunks SET embedding_id = 1 WHERE id = 3", "vectors of generation 2")
DAMAGE(a_broken_index, "DELETE FROM chunk_fts_data WHERE id > 100", "full-text")

static void test_verify__names_a_damaged_file_of_vectors(void **state)
{
    findings f;
    rag_index *ix = open_store(*state);
    rag_buf bytes;
    char *path = kb_path(*state, "vectors/2/index.faiss");
    rag_buf_init(&bytes, 1 << 20);
    assert_ok(rag_file_read(path, &bytes, &kb_err));
    bytes.ptr[bytes.len - 3] ^= 4;
    assert_ok(rag_file_write_atomic(path, rag_buf_str(&bytes), &kb_err));
    look(ix, &f);
    assert_int_equal(f.n, 1);
    assert_non_null(strstr(f.sentences.ptr, "vectors of generation 2"));
    rag_buf_free(&f.sentences);
    rag_buf_free(&bytes);
    free(path);
    rag_index_close(ix);
}

static void test_verify__absent_files_of_vectors_are_no_damage(void **state)
{
    findings f;
    rag_index *ix = open_store(*state);
    char *path = kb_path(*state, "vectors/2");
    assert_ok(rag_dir_remove(path, &kb_err));
    look(ix, &f);
    assert_int_equal(f.n, 0);
    rag_buf_free(&f.sentences);
    free(path);
    rag_index_close(ix);
}

static void test_verify__an_empty_store_and_a_running_writer_are_fine(void **state)
{
    findings f;
    rag_index *ix = kb_open(*state);
    look(ix, &f);
    assert_int_equal(f.n, 0);
    rag_writer *w = kb_begin(ix);
    kb_put(w, kb_source(w, "default", "/root", ""), "a", "apples");
    rag_writer_end(w);
    look(ix, &f);
    assert_int_equal(f.n, 0);
    rag_index_close(ix);
}

#define ROW(name) cmocka_unit_test_setup_teardown(test_verify__##name, kb_setup, kb_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        ROW(names_a_chunk_without_full_text),
        ROW(names_full_text_without_a_chunk),
        ROW(names_full_text_of_other_words),
        ROW(names_a_missing_version),
        ROW(names_a_missing_document),
        ROW(names_two_versions_at_once),
        ROW(names_an_unpublished_generation),
        ROW(names_a_missing_embedding),
        ROW(names_a_short_embedding),
        ROW(names_a_changed_embedding),
        ROW(names_a_chunk_outside_its_text),
        ROW(names_a_cut_character),
        ROW(names_a_damaged_text),
        ROW(names_a_missing_text),
        ROW(names_wrong_counts),
        ROW(names_a_lost_chunk_count),
        ROW(names_files_of_other_rows),
        ROW(names_a_broken_index),
        ROW(names_a_damaged_file_of_vectors),
        ROW(absent_files_of_vectors_are_no_damage),
        ROW(an_empty_store_and_a_running_writer_are_fine),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
