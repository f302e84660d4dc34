#include "kb.h"

#include <ftw.h>
#include <math.h>
#include <sqlite3.h>
#include <unistd.h>

#include "base/file.h"
#include "index/db.h"

rag_err kb_err;

char *kb_dir_new(void)
{
    char name[] = "/tmp/ragd-kb-XXXXXX";
    assert_non_null(mkdtemp(name));
    return rag_strdup(name);
}

static int on_entry(const char *path, const struct stat *st, int kind, struct FTW *ftw)
{
    (void)st, (void)kind, (void)ftw;
    return remove(path);
}

void kb_dir_remove(char *dir)
{
    if (dir)
        nftw(dir, on_entry, 16, FTW_DEPTH | FTW_PHYS);
    free(dir);
}

int kb_setup(void **state)
{
    *state = kb_dir_new();
    return 0;
}

int kb_teardown(void **state)
{
    kb_dir_remove(*state);
    return 0;
}

rag_index *kb_open(const char *dir)
{
    rag_index *ix;
    rag_index_options opt = { .dir = dir, .create = true };
    assert_ok(rag_index_open(&ix, &opt, &kb_err));
    return ix;
}

rag_writer_options kb_run(void)
{
    return (rag_writer_options){ .model = rag_sha256_of(RAG_STR("m")), .model_name = "m", .dim = KB_DIM, .chunker = "c" };
}

rag_writer *kb_begin(rag_index *ix)
{
    rag_writer *w;
    rag_writer_options opt = kb_run();
    assert_ok(rag_writer_begin(&w, ix, &opt, &kb_err));
    return w;
}

int64_t kb_source(rag_writer *w, const char *collection, const char *root, const char *groups)
{
    int64_t id;
    rag_source s = { .collection = rag_str_of(collection), .root = rag_str_of(root), .groups = rag_str_of(groups) };
    assert_ok(rag_writer_source(w, &s, &id, &kb_err));
    return id;
}

rag_published kb_publish(rag_writer *w)
{
    rag_published out;
    assert_ok(rag_writer_publish(w, &out, &kb_err));
    return out;
}

static void add_word(rag_str word, float out[KB_DIM])
{
    for (uint64_t i = 0; i < KB_DIM; i++)
        out[i] += (float)(rag_xxh3(word, i) % 2001) / 1000 - 1;
}

void kb_vector(rag_str text, float out[KB_DIM])
{
    double norm = 0;
    memset(out, 0, KB_DIM * sizeof *out);
    for (size_t at = 0; at < text.len;) {
        size_t space = rag_str_find(text, RAG_STR(" "), at);
        size_t end = space == SIZE_MAX ? text.len : space;
        add_word(rag_str_sub(text, at, end), out);
        at = end + 1;
    }
    out[0] += 0.001f; /* an empty text has a direction too */
    for (int i = 0; i < KB_DIM; i++)
        norm += (double)out[i] * out[i];
    for (int i = 0; i < KB_DIM; i++)
        out[i] = (float)(out[i] / sqrt(norm));
}

static size_t split(rag_str text, rag_chunk_in *chunks, size_t max)
{
    size_t n = 0, line = 1;
    for (size_t at = 0; at < text.len && n < max;) {
        size_t blank = rag_str_find(text, RAG_STR("\n\n"), at);
        size_t end = blank == SIZE_MAX ? text.len : blank;
        chunks[n++] = (rag_chunk_in){ .start = at, .end = end, .line_start = line, .line_end = line, .tokens = 1,
                                      .embedding = rag_sha256_of(rag_str_sub(text, at, end)) };
        line += 2;
        at = end + 2;
    }
    return n;
}

rag_code kb_try_put(rag_writer *w, int64_t source, const char *path, const char *text, int64_t *id)
{
    enum { MAX_CHUNKS = 64 };
    rag_chunk_in chunks[MAX_CHUNKS];
    rag_document_in doc = { .source_id = source, .path = rag_str_of(path), .title = rag_str_of(path),
                            .text = rag_str_of(text), .size = (int64_t)strlen(text), .mtime_ns = 1, .inode = 2,
                            .read_ns = 3, .sha256 = rag_sha256_of(rag_str_of(text)), .chunks = chunks };
    doc.n_chunks = split(doc.text, chunks, MAX_CHUNKS);
    for (size_t i = 0; i < doc.n_chunks; i++) {
        float vector[KB_DIM];
        bool has;
        kb_vector(rag_str_sub(doc.text, chunks[i].start, chunks[i].end), vector);
        assert_ok(rag_writer_has_embedding(w, &chunks[i].embedding, &has, &kb_err));
        rag_code code = has ? RAG_OK : rag_writer_add_embedding(w, &chunks[i].embedding, vector, &kb_err);
        if (code != RAG_OK)
            return code;
    }
    return rag_writer_put(w, &doc, id, &kb_err);
}

int64_t kb_put(rag_writer *w, int64_t source, const char *path, const char *text)
{
    int64_t id;
    assert_ok(kb_try_put(w, source, path, text, &id));
    return id;
}

rag_published kb_ingest(rag_index *ix, ...)
{
    va_list args;
    const char *path;
    rag_writer *w = kb_begin(ix);
    int64_t source = kb_source(w, "default", "/root", "");
    va_start(args, ix);
    while ((path = va_arg(args, const char *)))
        kb_put(w, source, path, va_arg(args, const char *));
    va_end(args);
    rag_published out = kb_publish(w);
    rag_writer_end(w);
    return out;
}

rag_code kb_hits(rag_reader *r, rag_snapshot *s, const rag_search *q, rag_arena *arena, rag_hit **out, size_t *n)
{
    rag_results found;
    rag_search raw = *q;
    raw.pool = q->pool ? q->pool : q->top_k ? q->top_k : 5;
    rag_code code = rag_reader_search(r, s, &raw, arena, &found, &kb_err);
    *out = found.hits;
    *n = found.n;
    return code;
}

size_t kb_search(rag_index *ix, const char *query, rag_search_mode mode, rag_arena *arena, rag_hit **out)
{
    rag_reader *r;
    size_t n;
    float vector[KB_DIM];
    kb_vector(rag_str_of(query), vector);
    rag_search q = { .query = rag_str_of(query), .vector = vector, .mode = mode, .top_k = 100,
                     .filter = { .collection = RAG_STR("*"), .all_groups = true } };
    assert_ok(rag_index_refresh(ix, NULL, &kb_err));
    rag_snapshot *s = rag_index_acquire(ix);
    assert_ok(rag_reader_open(&r, ix, &kb_err));
    assert_ok(kb_hits(r, s, &q, arena, out, &n));
    rag_reader_close(r);
    rag_snapshot_release(s);
    return n;
}

bool kb_finds(rag_index *ix, const char *query, const char *document)
{
    rag_arena *arena = rag_arena_new();
    rag_hit *hits;
    bool found = false;
    size_t n = kb_search(ix, query, RAG_SEARCH_TEXT, arena, &hits);
    for (size_t i = 0; i < n; i++)
        found = found || rag_str_eq(hits[i].document, rag_str_of(document));
    rag_arena_free(arena);
    return found;
}

char *kb_path(const char *dir, const char *name)
{
    return rag_path_join(dir, name);
}

/* With our functions, but without the guard against writing to FTS5's own tables. */
static db *open_bare(const char *dir)
{
    db *d;
    char *file = kb_path(dir, "kb.db");
    assert_ok(db_open(&d, file, DB_WRITE, &kb_err));
    sqlite3_db_config(db_handle(d), SQLITE_DBCONFIG_DEFENSIVE, 0, NULL);
    assert_ok(db_exec(d, "PRAGMA foreign_keys = OFF", &kb_err));
    free(file);
    return d;
}

void kb_sql(const char *dir, const char *sql)
{
    db *d = open_bare(dir);
    assert_ok(db_exec(d, sql, &kb_err));
    db_close(d);
}

int64_t kb_sql_number(const char *dir, const char *sql)
{
    int64_t n;
    db *d = open_bare(dir);
    assert_ok(db_number(d, &n, sql, NO_VALUES, &kb_err));
    db_close(d);
    return n;
}
