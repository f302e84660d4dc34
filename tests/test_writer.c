#include "kb.h"

#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/file.h"

static int64_t count(const char *dir, const char *what)
{
    char sql[200];
    snprintf(sql, sizeof sql, "SELECT count(*) FROM %s", what);
    return kb_sql_number(dir, sql);
}

static void assert_clean(rag_index *ix)
{
    int64_t problems;
    assert_ok(rag_index_verify(ix, NULL, NULL, &problems, &kb_err));
    assert_int_equal(problems, 0);
}

static void test_writer__what_is_published_is_found(void **state)
{
    rag_index *ix = kb_open(*state);
    rag_published p = kb_ingest(ix, "a.md", "apples are red", "b.md", "bananas\n\nand yellow", NULL);
    assert_true(p.changed);
    assert_int_equal(p.generation, 1);
    assert_int_equal(p.documents_added, 2);
    assert_int_equal(p.chunks_added, 3);
    assert_true(kb_finds(ix, "apple", "a.md"));
    assert_false(kb_finds(ix, "apple", "b.md"));
    assert_clean(ix);
    rag_index_close(ix);
}

static void test_writer__nothing_changed_publishes_nothing(void **state)
{
    rag_index *ix = kb_open(*state);
    kb_ingest(ix, "a.md", "apples", NULL);
    rag_published p = kb_ingest(ix, NULL);
    assert_false(p.changed);
    assert_int_equal(p.generation, 1);
    assert_int_equal(count(*state, "generations"), 1);
    rag_index_close(ix);
}

static void test_writer__a_dry_run_leaves_nothing_and_cannot_publish(void **state)
{
    rag_index *ix = kb_open(*state);
    kb_ingest(ix, "a.md", "apples", NULL);
    rag_writer_options dry = kb_run();
    dry.dry_run = true;
    rag_writer *w;
    rag_published p;
    assert_ok(rag_writer_begin(&w, ix, &dry, &kb_err));
    kb_put(w, kb_source(w, "other", "/elsewhere", ""), "b.md", "bananas");
    assert_code(rag_writer_publish(w, &p, &kb_err), RAG_INVALID);
    rag_writer_end(w);
    assert_int_equal(count(*state, "sources"), 1);
    assert_int_equal(count(*state, "collections"), 1);
    assert_int_equal(count(*state, "versions"), 1);
    assert_clean(ix);
    rag_index_close(ix);
}

static void test_writer__a_damaged_embedding_is_made_anew_or_told(void **state)
{
    rag_index *ix = kb_open(*state);
    kb_ingest(ix, "a.md", "apples", NULL);
    kb_sql(*state, "UPDATE embeddings SET vector = zeroblob(length(vector))");
    char *vectors = kb_path(*state, "vectors/1"); /* with it the run would not need the old embedding */
    assert_ok(rag_dir_remove(vectors, &kb_err));
    free(vectors);
    rag_writer *w = kb_begin(ix);
    rag_published p;
    rag_writer_options full = kb_run();
    kb_put(w, kb_source(w, "default", "/root", ""), "b.md", "bananas");
    assert_code(rag_writer_publish(w, &p, &kb_err), RAG_CORRUPT);
    assert_non_null(strstr(kb_err.message, "--full"));
    rag_writer_end(w);
    assert_int_equal(count(*state, "generations"), 1);
    full.full = true;
    assert_ok(rag_writer_begin(&w, ix, &full, &kb_err));
    kb_put(w, kb_source(w, "default", "/root", ""), "a.md", "apples");
    assert_ok(rag_writer_publish(w, &p, &kb_err));
    rag_writer_end(w);
    assert_true(kb_finds(ix, "apple", "a.md"));
    assert_clean(ix);
    rag_index_close(ix);
}

static void test_writer__an_update_keeps_the_documents_id(void **state)
{
    rag_index *ix = kb_open(*state);
    rag_writer *w = kb_begin(ix);
    int64_t source = kb_source(w, "default", "/root", "");
    int64_t a = kb_put(w, source, "a.md", "apples"), b = kb_put(w, source, "b.md", "bananas");
    kb_publish(w);
    int64_t again = kb_put(w, source, "a.md", "cherries");
    rag_published p = kb_publish(w);
    rag_writer_end(w);
    assert_int_equal(a, again);
    assert_int_not_equal(a, b);
    assert_int_equal(p.documents_updated, 1);
    assert_int_equal(p.documents_added, 0);
    assert_int_equal(p.chunks_removed, 1);
    assert_true(kb_finds(ix, "cherries", "a.md"));
    assert_false(kb_finds(ix, "apples", "a.md"));
    assert_clean(ix);
    rag_index_close(ix);
}

static void test_writer__vanished_documents_leave(void **state)
{
    rag_index *ix = kb_open(*state);
    rag_arena *arena = rag_arena_new();
    rag_stored stored;
    int64_t documents, vanished;
    kb_ingest(ix, "a.md", "apples", "b.md", "bananas", "c.md", "cherries", NULL);
    rag_writer *w = kb_begin(ix);
    int64_t source = kb_source(w, "default", "/root", "");
    assert_ok(rag_writer_lookup(w, source, RAG_STR("a.md"), arena, &stored, &kb_err));
    assert_true(stored.is_current);
    assert_int_equal(stored.mtime_ns, 1);
    assert_ok(rag_writer_lookup(w, source, RAG_STR("c.md"), arena, &stored, &kb_err));
    assert_code(rag_writer_lookup(w, source, RAG_STR("d.md"), arena, &stored, &kb_err), RAG_NOT_FOUND);
    assert_ok(rag_writer_vanished(w, source, &documents, &vanished, &kb_err));
    assert_int_equal(documents, 3);
    assert_int_equal(vanished, 1);
    assert_ok(rag_writer_remove_vanished(w, source, &kb_err));
    rag_published p = kb_publish(w);
    rag_writer_end(w);
    assert_int_equal(p.documents_removed, 1);
    assert_false(kb_finds(ix, "bananas", "b.md"));
    assert_true(kb_finds(ix, "cherries", "c.md"));
    assert_clean(ix);
    rag_arena_free(arena);
    rag_index_close(ix);
}

static void test_writer__kept_documents_do_not_vanish(void **state)
{
    rag_index *ix = kb_open(*state);
    int64_t documents, vanished;
    kb_ingest(ix, "a.md", "apples", NULL);
    int64_t id = kb_sql_number(*state, "SELECT id FROM documents");
    rag_writer *w = kb_begin(ix);
    int64_t source = kb_source(w, "default", "/root", "");
    assert_ok(rag_writer_keep(w, id, &kb_err));
    assert_ok(rag_writer_vanished(w, source, &documents, &vanished, &kb_err));
    assert_int_equal(vanished, 0);
    rag_writer_end(w);
    rag_index_close(ix);
}

static void test_writer__another_folders_path_is_refused_by_name(void **state)
{
    rag_index *ix = kb_open(*state);
    int64_t id;
    kb_ingest(ix, "a.md", "apples", NULL);
    rag_writer *w = kb_begin(ix);
    int64_t other = kb_source(w, "default", "/other", ""), single = kb_source(w, "default", "", "");
    assert_code(kb_try_put(w, other, "a.md", "mine", &id), RAG_INVALID);
    assert_non_null(strstr(kb_err.message, "/other"));
    assert_non_null(strstr(kb_err.message, "/root"));
    assert_code(kb_try_put(w, single, "a.md", "mine", &id), RAG_INVALID);
    assert_ok(kb_try_put(w, kb_source(w, "elsewhere", "/other", ""), "a.md", "mine", &id));
    rag_writer_end(w);
    rag_index_close(ix);
}

static void test_writer__adopt_takes_a_path_over(void **state)
{
    rag_index *ix = kb_open(*state);
    rag_arena *arena = rag_arena_new();
    rag_stored stored;
    int64_t id, documents, vanished;
    kb_ingest(ix, "a.md", "apples", NULL);
    rag_writer *w = kb_begin(ix);
    rag_source s = { .collection = RAG_STR("default"), .root = RAG_STR("/moved"), .adopt = true };
    assert_ok(rag_writer_source(w, &s, &id, &kb_err));
    assert_ok(rag_writer_lookup(w, id, RAG_STR("a.md"), arena, &stored, &kb_err));
    assert_true(rag_str_eq(stored.source_root, RAG_STR("/root")));
    assert_false(stored.is_current);
    kb_put(w, id, "a.md", "apples");
    kb_publish(w);
    assert_ok(rag_writer_vanished(w, id, &documents, &vanished, &kb_err));
    assert_int_equal(documents, 1);
    assert_ok(rag_writer_vanished(w, kb_source(w, "default", "/root", ""), &documents, &vanished, &kb_err));
    assert_int_equal(documents, 0);
    rag_writer_end(w);
    rag_arena_free(arena);
    rag_index_close(ix);
}

static void test_writer__the_folder_of_a_file_is_the_nearest(void **state)
{
    rag_index *ix = kb_open(*state);
    rag_arena *arena = rag_arena_new();
    rag_source found;
    int64_t id, inner;
    rag_writer *w = kb_begin(ix);
    kb_source(w, "default", "/docs", "");
    inner = kb_source(w, "default", "/docs/inner", "b,a,b");
    assert_ok(rag_writer_source_of(w, RAG_STR("default"), RAG_STR("/docs/inner/x.md"), arena, &id, &found, &kb_err));
    assert_int_equal(id, inner);
    assert_true(rag_str_eq(found.groups, RAG_STR("a,b")));
    assert_ok(rag_writer_source_of(w, RAG_STR(""), RAG_STR("/docs/innermost.md"), arena, &id, &found, &kb_err));
    assert_true(rag_str_eq(found.root, RAG_STR("/docs")));
    assert_code(rag_writer_source_of(w, RAG_STR(""), RAG_STR("/docsx/a.md"), arena, &id, &found, &kb_err), RAG_NOT_FOUND);
    rag_writer_end(w);
    rag_arena_free(arena);
    rag_index_close(ix);
}

static void test_writer__an_unpublished_run_is_never_seen_and_swept(void **state)
{
    rag_index *ix = kb_open(*state);
    rag_arena *arena = rag_arena_new();
    kb_ingest(ix, "a.md", "apples", NULL);
    rag_writer *w = kb_begin(ix);
    int64_t source = kb_source(w, "default", "/root", "");
    kb_put(w, source, "a.md", "changed");
    kb_put(w, source, "new.md", "newcomer");
    rag_writer_end(w); /* as after a kill behind the last commit */
    assert_int_equal(count(*state, "versions WHERE gen_from = 9223372036854775807"), 2);
    assert_true(kb_finds(ix, "apples", "a.md"));
    assert_false(kb_finds(ix, "newcomer", "new.md"));
    assert_clean(ix);

    int64_t embeddings = count(*state, "embeddings");
    w = kb_begin(ix);
    assert_int_equal(count(*state, "versions"), 1);
    assert_int_equal(count(*state, "documents"), 1);
    assert_int_equal(count(*state, "chunk_fts_docsize"), 1);
    assert_int_equal(count(*state, "embeddings"), embeddings);
    bool has;
    rag_sha256 key = rag_sha256_of(RAG_STR("newcomer"));
    assert_ok(rag_writer_has_embedding(w, &key, &has, &kb_err));
    assert_true(has);
    rag_writer_end(w);
    assert_clean(ix);
    rag_arena_free(arena);
    rag_index_close(ix);
}

static void test_writer__history_beyond_the_limit_goes(void **state)
{
    rag_index *ix;
    rag_index_options opt = { .dir = *state, .create = true, .keep_generations = 2 };
    assert_ok(rag_index_open(&ix, &opt, &kb_err));
    kb_ingest(ix, "a.md", "one", NULL);
    kb_ingest(ix, "a.md", "two", NULL);
    assert_int_equal(count(*state, "versions"), 2);
    kb_ingest(ix, "a.md", "three", NULL);
    assert_int_equal(count(*state, "generations"), 2);
    assert_int_equal(count(*state, "versions"), 2);
    assert_int_equal(count(*state, "chunks"), 2);
    assert_int_equal(count(*state, "embeddings"), 2);
    assert_int_equal(count(*state, "chunk_fts_docsize"), 2);
    assert_clean(ix);
    rag_index_close(ix);
}

static void test_writer__a_removed_document_is_forgotten_with_its_history(void **state)
{
    rag_index *ix;
    rag_index_options opt = { .dir = *state, .create = true, .keep_generations = 1 };
    assert_ok(rag_index_open(&ix, &opt, &kb_err));
    kb_ingest(ix, "a.md", "one", "b.md", "two", NULL);
    int64_t id = kb_sql_number(*state, "SELECT id FROM documents WHERE path = 'b.md'");
    rag_writer *w = kb_begin(ix);
    assert_ok(rag_writer_remove(w, id, &kb_err));
    assert_code(rag_writer_remove(w, 999, &kb_err), RAG_NOT_FOUND);
    kb_publish(w);
    rag_writer_end(w);
    assert_int_equal(count(*state, "documents"), 1);
    assert_int_equal(count(*state, "texts"), 1);
    kb_ingest(ix, "b.md", "two", NULL);
    assert_true(kb_sql_number(*state, "SELECT id FROM documents WHERE path = 'b.md'") > id);
    assert_clean(ix);
    rag_index_close(ix);
}

static void test_writer__the_same_text_is_embedded_once(void **state)
{
    rag_index *ix = kb_open(*state);
    kb_ingest(ix, "old.md", "the very same", NULL);
    rag_writer *w = kb_begin(ix);
    int64_t source = kb_source(w, "default", "/root", "");
    kb_put(w, source, "renamed.md", "the very same");
    assert_ok(rag_writer_remove_vanished(w, source, &kb_err));
    rag_published p = kb_publish(w);
    rag_writer_end(w);
    assert_int_equal(p.documents_added, 1);
    assert_int_equal(p.documents_removed, 1);
    assert_int_equal(count(*state, "embeddings"), 1);
    assert_clean(ix);
    rag_index_close(ix);
}

static void test_writer__touch_remembers_without_a_generation(void **state)
{
    rag_index *ix = kb_open(*state);
    rag_arena *arena = rag_arena_new();
    rag_stored stored;
    kb_ingest(ix, "a.md", "apples", NULL);
    rag_writer *w = kb_begin(ix);
    int64_t source = kb_source(w, "default", "/root", "");
    assert_ok(rag_writer_lookup(w, source, RAG_STR("a.md"), arena, &stored, &kb_err));
    assert_ok(rag_writer_touch(w, stored.document_id, 10, 20, 30, 40, &kb_err));
    assert_false(kb_publish(w).changed);
    assert_ok(rag_writer_lookup(w, source, RAG_STR("a.md"), arena, &stored, &kb_err));
    assert_int_equal(stored.size, 10);
    assert_int_equal(stored.mtime_ns, 20);
    assert_int_equal(stored.inode, 30);
    assert_int_equal(stored.read_ns, 40);
    rag_writer_end(w);
    rag_arena_free(arena);
    rag_index_close(ix);
}

static bool looks_current(rag_index *ix, const rag_writer_options *opt, const char *groups, const char *url)
{
    rag_arena *arena = rag_arena_new();
    rag_writer *w;
    rag_stored stored;
    int64_t id;
    assert_ok(rag_writer_begin(&w, ix, opt, &kb_err));
    rag_source s = { .collection = RAG_STR("default"), .root = RAG_STR("/root"), .groups = rag_str_of(groups),
                     .url = rag_str_of(url) };
    assert_ok(rag_writer_source(w, &s, &id, &kb_err));
    assert_ok(rag_writer_lookup(w, id, RAG_STR("a.md"), arena, &stored, &kb_err));
    rag_writer_end(w);
    rag_arena_free(arena);
    return stored.is_current;
}

static void test_writer__other_settings_make_a_document_outdated(void **state)
{
    rag_index *ix = kb_open(*state);
    rag_writer_options same = kb_run(), chunker = kb_run(), full = kb_run();
    chunker.chunker = "other";
    full.full = true;
    kb_ingest(ix, "a.md", "apples", NULL);
    assert_true(looks_current(ix, &same, "", ""));
    assert_false(looks_current(ix, &chunker, "", ""));
    assert_false(looks_current(ix, &full, "", ""));
    assert_false(looks_current(ix, &same, "staff", ""));
    assert_false(looks_current(ix, &same, "", "https://h/"));
    rag_index_close(ix);
}

static void test_writer__one_at_a_time(void **state)
{
    rag_index *ix = kb_open(*state);
    rag_writer_options opt = kb_run();
    rag_writer *w = kb_begin(ix), *second;
    assert_code(rag_writer_begin(&second, ix, &opt, &kb_err), RAG_BUSY);
    assert_null(second);
    rag_writer_end(w);
    rag_writer_end(kb_begin(ix));
    rag_writer_end(NULL);
    rag_index_close(ix);
}

static void test_writer__another_model_needs_a_full_run(void **state)
{
    rag_index *ix = kb_open(*state), *old;
    rag_arena *arena = rag_arena_new();
    rag_outdated left;
    rag_writer_options opt = kb_run();
    rag_writer *w;
    rag_published p;
    kb_ingest(ix, "a.md", "apples", "b.md", "bananas", NULL);
    opt.model = rag_sha256_of(RAG_STR("another"));
    assert_code(rag_writer_begin(&w, ix, &opt, &kb_err), RAG_CONFIG);
    opt.full = true;
    assert_ok(rag_writer_begin(&w, ix, &opt, &kb_err));
    int64_t source = kb_source(w, "default", "/root", "");
    kb_put(w, source, "a.md", "apples");
    assert_code(rag_writer_publish(w, &p, &kb_err), RAG_INVALID);
    assert_non_null(strstr(kb_err.message, "b.md"));
    assert_ok(rag_writer_outdated(w, 0, arena, &left, &kb_err));
    assert_true(rag_str_eq(left.path, RAG_STR("b.md")));
    assert_int_equal(left.source_id, source);
    rag_buf text;
    rag_buf_init(&text, 1000);
    assert_ok(rag_writer_stored_text(w, left.document_id, &text, &kb_err));
    assert_string_equal(text.ptr, "bananas");
    rag_buf_free(&text);
    kb_put(w, source, "b.md", "bananas");
    assert_code(rag_writer_outdated(w, 0, arena, &left, NULL), RAG_NOT_FOUND);
    assert_ok(rag_writer_publish(w, &p, &kb_err));
    assert_int_equal(p.documents_updated, 2);
    rag_writer_end(w);
    assert_clean(ix);

    rag_sha256 first = rag_sha256_of(RAG_STR("m"));
    rag_index_options open = { .dir = *state, .model = &first };
    assert_code(rag_index_open(&old, &open, &kb_err), RAG_CONFIG);
    open.model = &opt.model;
    assert_ok(rag_index_open(&old, &open, &kb_err));
    rag_index_close(old);
    rag_arena_free(arena);
    rag_index_close(ix);
}

static rag_code put_chunk(rag_writer *w, const char *path, const char *text, size_t start, size_t end, bool embedded)
{
    rag_chunk_in c = { .start = start, .end = end, .line_start = 1, .line_end = 1 };
    rag_source s = { .collection = RAG_STR("default"), .root = RAG_STR("/root") };
    rag_document_in doc = { .path = rag_str_of(path), .text = rag_str_of(text), .chunks = &c, .n_chunks = 1 };
    float vector[KB_DIM] = { 1 };
    int64_t id;
    assert_ok(rag_writer_source(w, &s, &doc.source_id, &kb_err));
    c.embedding = rag_sha256_of(embedded ? RAG_STR("here") : RAG_STR("absent"));
    if (embedded)
        assert_ok(rag_writer_add_embedding(w, &c.embedding, vector, &kb_err));
    return rag_writer_put(w, &doc, &id, &kb_err);
}

static void test_writer__wrong_documents_are_refused_and_the_run_goes_on(void **state)
{
    rag_index *ix = kb_open(*state);
    rag_writer *w = kb_begin(ix);
    assert_code(put_chunk(w, "a", "text", 0, 5, true), RAG_INVALID);
    assert_code(put_chunk(w, "a", "text", 2, 2, true), RAG_INVALID);
    assert_code(put_chunk(w, "a", "ä", 0, 1, true), RAG_INVALID);
    assert_code(put_chunk(w, "a", "bad \xff", 0, 3, true), RAG_INVALID);
    assert_code(put_chunk(w, "", "text", 0, 4, true), RAG_INVALID);
    assert_code(put_chunk(w, "a", "text", 0, 4, false), RAG_INVALID);
    assert_ok(put_chunk(w, "a", "text", 0, 4, true));
    assert_int_equal(kb_publish(w).documents_added, 1);
    rag_writer_end(w);
    assert_clean(ix);
    rag_index_close(ix);
}

static void test_writer__a_path_put_twice_counts_once(void **state)
{
    rag_index *ix = kb_open(*state);
    rag_published p = kb_ingest(ix, "a.md", "first", "a.md", "second", NULL);
    assert_int_equal(p.documents_added, 1);
    assert_true(kb_finds(ix, "second", "a.md"));
    assert_false(kb_finds(ix, "first", "a.md"));
    assert_clean(ix);
    rag_index_close(ix);
}

/* In a process of its own, whose files may not grow. */
static int fill_the_disk(const char *dir)
{
    struct rlimit small = { 1 << 20, 1 << 20 };
    rag_index *ix = kb_open(dir);
    rag_writer *w = kb_begin(ix);
    rag_published published;
    int64_t source = kb_source(w, "default", "/root", ""), id;
    rag_code code = RAG_OK;
    signal(SIGXFSZ, SIG_IGN);
    setrlimit(RLIMIT_FSIZE, &small);
    for (int i = 0; code == RAG_OK && i < 100000; i++) {
        char path[16], text[64];
        snprintf(path, sizeof path, "p%d", i);
        snprintf(text, sizeof text, "words %d", i * 7919);
        code = kb_try_put(w, source, path, text, &id);
    }
    bool stays_failed = rag_writer_publish(w, &published, &kb_err) == RAG_FULL;
    rag_writer_end(w);
    rag_index_close(ix);
    return code == RAG_FULL && stays_failed ? 0 : 1;
}

static void test_writer__a_full_disk_ends_the_run_and_harms_nothing(void **state)
{
    int status;
    rag_index *ix = kb_open(*state);
    kb_ingest(ix, "a.md", "apples", NULL);
    rag_index_close(ix);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0)
        _exit(fill_the_disk(*state));
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
    ix = kb_open(*state);
    assert_true(kb_finds(ix, "apples", "a.md"));
    assert_clean(ix);
    assert_int_equal(kb_ingest(ix, "b.md", "bananas", NULL).documents_added, 1);
    assert_true(kb_finds(ix, "bananas", "b.md"));
    assert_clean(ix);
    rag_index_close(ix);
}

static void test_writer__originals_have_addresses(void **state)
{
    rag_index *ix = kb_open(*state);
    rag_arena *arena = rag_arena_new();
    rag_hit *hits;
    int64_t id;
    rag_writer *w = kb_begin(ix);
    rag_source s = { .collection = RAG_STR("default"), .root = RAG_STR("/root"), .prefix = RAG_STR("help"),
                     .url = RAG_STR("https://example.org/x") };
    assert_ok(rag_writer_source(w, &s, &id, &kb_err));
    kb_put(w, id, "help/a b/ü.md", "apples");
    kb_publish(w);
    rag_writer_end(w);
    assert_int_equal(kb_search(ix, "apples", RAG_SEARCH_TEXT, arena, &hits), 1);
    assert_true(rag_str_eq(hits[0].url, RAG_STR("https://example.org/x/a%20b/%C3%BC.md")));
    rag_arena_free(arena);
    rag_index_close(ix);
}

#define ROW(name) cmocka_unit_test_setup_teardown(test_writer__##name, kb_setup, kb_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        ROW(what_is_published_is_found),
        ROW(nothing_changed_publishes_nothing),
        ROW(a_damaged_embedding_is_made_anew_or_told),
        ROW(a_dry_run_leaves_nothing_and_cannot_publish),
        ROW(an_update_keeps_the_documents_id),
        ROW(vanished_documents_leave),
        ROW(kept_documents_do_not_vanish),
        ROW(another_folders_path_is_refused_by_name),
        ROW(adopt_takes_a_path_over),
        ROW(the_folder_of_a_file_is_the_nearest),
        ROW(an_unpublished_run_is_never_seen_and_swept),
        ROW(history_beyond_the_limit_goes),
        ROW(a_removed_document_is_forgotten_with_its_history),
        ROW(the_same_text_is_embedded_once),
        ROW(touch_remembers_without_a_generation),
        ROW(other_settings_make_a_document_outdated),
        ROW(one_at_a_time),
        ROW(another_model_needs_a_full_run),
        ROW(wrong_documents_are_refused_and_the_run_goes_on),
        ROW(a_path_put_twice_counts_once),
        ROW(originals_have_addresses),
        ROW(a_full_disk_ends_the_run_and_harms_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
