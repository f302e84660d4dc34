#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/utf8.h"
#include "index/store.h"

enum { MAX_TOLD_EACH = 10 }; /* sentences of one kind */

typedef struct verification {
    rag_index *ix;
    db *d;
    void (*problem)(void *context, const char *sentence);
    void *context;
    int64_t problems;
} verification;

__attribute__((format(printf, 2, 3))) static void tell(verification *v, const char *format, ...)
{
    char sentence[512];
    va_list args;
    va_start(args, format);
    vsnprintf(sentence, sizeof sentence, format, args);
    va_end(args);
    v->problems++;
    if (v->problem)
        v->problem(v->context, sentence);
}

/* Each row of the select is the sentence of a problem. */
static rag_code tell_rows(verification *v, const char *select, rag_err *err)
{
    sqlite3_stmt *q;
    bool row = true;
    int64_t n = 0;
    rag_code code = db_query(v->d, &q, select, NO_VALUES, err);
    while (code == RAG_OK && (code = db_step(v->d, q, &row, err)) == RAG_OK && row)
        if (n++ < MAX_TOLD_EACH)
            tell(v, "%.*s", RAG_STR_ARG(column_str(q, 0)));
    db_done(q);
    if (n > MAX_TOLD_EACH)
        tell(v, "… and %lld more of that kind", (long long)(n - MAX_TOLD_EACH));
    return code;
}

/* ---- SQLite and FTS5 ------------------------------------------------------------------------------- */

static rag_code check_sqlite(verification *v, rag_err *err)
{
    sqlite3_stmt *q;
    bool row = true;
    rag_code code = db_query(v->d, &q, "PRAGMA integrity_check(10)", NO_VALUES, err);
    while (code == RAG_OK && (code = db_step(v->d, q, &row, err)) == RAG_OK && row)
        if (!rag_str_eq(column_str(q, 0), RAG_STR("ok")))
            tell(v, "SQLite: %.*s", RAG_STR_ARG(column_str(q, 0)));
    db_done(q);
    return code;
}

/* FTS5 compares its index with the text of every chunk: a write statement, though it writes nothing. */
static rag_code check_fts(verification *v, rag_err *err)
{
    rag_err why;
    rag_code code = db_run(v->d, "INSERT INTO chunk_fts(chunk_fts, rank) VALUES('integrity-check', 1)", NO_VALUES, &why);
    if (code == RAG_CORRUPT) {
        tell(v, "the full-text index does not agree with the chunks' texts");
        return RAG_OK;
    }
    if (code != RAG_OK && err)
        *err = why;
    return code;
}

static rag_code check_rows(verification *v, rag_err *err)
{
    static const char *const checks[] = {
        "SELECT format('chunk %d is not in the full-text index', id) FROM chunks "
        "WHERE id NOT IN (SELECT id FROM chunk_fts_docsize)",
        "SELECT format('the full-text index holds row %d, which is no chunk', id) FROM chunk_fts_docsize "
        "WHERE id NOT IN (SELECT id FROM chunks)",
        "SELECT format('chunk %d belongs to version %d, which is not there', id, version_id) FROM chunks "
        "WHERE version_id NOT IN (SELECT id FROM versions)",
        "SELECT format('version %d does not have its %d chunks', v.id, v.n_chunks) FROM versions v "
        "WHERE v.n_chunks <> (SELECT count(*) FROM chunks c WHERE c.version_id = v.id)",
        "SELECT format('version %d belongs to document %d, which is not there', id, document_id) FROM versions "
        "WHERE document_id NOT IN (SELECT id FROM documents)",
        "SELECT format('document %d has two versions in one generation, %d and %d', a.document_id, a.id, b.id) "
        "FROM versions a JOIN versions b ON b.document_id = a.document_id AND b.id > a.id "
        "WHERE a.gen_from < b.gen_to AND b.gen_from < a.gen_to",
        "SELECT format('version %d is of generation %d, which was never published', id, gen_from) FROM versions "
        "WHERE gen_from < 9223372036854775807 AND gen_from > (SELECT coalesce(max(number), 0) FROM generations)",
        "SELECT format('chunk %d has embedding %d, which is not there', id, embedding_id) FROM chunks "
        "WHERE embedding_id NOT IN (SELECT id FROM embeddings)",
        "SELECT format('chunk %d and its version %d are of different models', c.id, v.id) FROM chunks c "
        "JOIN versions v ON v.id = c.version_id JOIN embeddings e ON e.id = c.embedding_id WHERE e.model_id <> v.model_id",
        "SELECT format('embedding %d has %d bytes, not the %d of its model', e.id, length(e.vector), 4 * m.dim) "
        "FROM embeddings e JOIN models m ON m.id = e.model_id WHERE length(e.vector) <> 4 * m.dim",
    };
    rag_code code = RAG_OK;
    for (size_t i = 0; code == RAG_OK && i < sizeof checks / sizeof *checks; i++)
        code = tell_rows(v, checks[i], err);
    return code;
}

/* ---- embeddings and texts --------------------------------------------------------------------------- */

static rag_code check_embeddings(verification *v, rag_err *err)
{
    sqlite3_stmt *q;
    bool row = true;
    rag_code code = db_query(v->d, &q, "SELECT vector, sum, id FROM embeddings", NO_VALUES, err);
    while (code == RAG_OK && (code = db_step(v->d, q, &row, err)) == RAG_OK && row)
        if (rag_xxh3(column_str(q, 0), 0) != (uint64_t)sqlite3_column_int64(q, 1))
            tell(v, "embedding %lld does not have its checksum", (long long)sqlite3_column_int64(q, 2));
    db_done(q);
    return code;
}

static bool is_boundary(rag_str s, size_t at)
{
    return at == s.len || ((unsigned char)s.ptr[at] & 0xC0) != 0x80;
}

static rag_code check_chunks_of(verification *v, int64_t version, rag_str whole, rag_err *err)
{
    sqlite3_stmt *q;
    bool row = true;
    rag_code code = db_query(v->d, &q, "SELECT id, start, stop FROM chunks WHERE version_id = ?", BIND(num(version)), err);
    while (code == RAG_OK && (code = db_step(v->d, q, &row, err)) == RAG_OK && row) {
        long long id = sqlite3_column_int64(q, 0);
        sqlite3_int64 start = sqlite3_column_int64(q, 1), stop = sqlite3_column_int64(q, 2);
        if (start < 0 || start >= stop || (uint64_t)stop > whole.len)
            tell(v, "chunk %lld lies outside its text", id);
        else if (!is_boundary(whole, (size_t)start) || !is_boundary(whole, (size_t)stop))
            tell(v, "chunk %lld cuts a character of its text", id);
    }
    db_done(q);
    return code;
}

static rag_code check_text(verification *v, int64_t version, size_t bytes, rag_buf *whole, rag_err *err)
{
    rag_err why;
    rag_buf_clear(whole);
    rag_code code = text_get(v->d, version, 0, bytes, whole, &why);
    if (code == RAG_CORRUPT) {
        tell(v, "%s", why.message);
        return RAG_OK;
    }
    if (code != RAG_OK) {
        if (err)
            *err = why;
        return code;
    }
    if (!rag_utf8_valid(rag_buf_str(whole), NULL))
        tell(v, "the text of version %lld is not UTF-8", (long long)version);
    return check_chunks_of(v, version, rag_buf_str(whole), err);
}

static rag_code check_texts(verification *v, rag_err *err)
{
    sqlite3_stmt *q;
    bool row = true;
    rag_buf whole;
    rag_buf_init(&whole, RAG_MAX_TEXT);
    rag_code code = db_query(v->d, &q,
                             "SELECT v.id, v.bytes, (SELECT coalesce(sum(t.bytes), 0) FROM texts t WHERE t.version_id = v.id) "
                             "FROM versions v",
                             NO_VALUES, err);
    while (code == RAG_OK && (code = db_step(v->d, q, &row, err)) == RAG_OK && row) {
        int64_t version = sqlite3_column_int64(q, 0), bytes = sqlite3_column_int64(q, 1);
        if (bytes < 0 || bytes > RAG_MAX_TEXT || bytes != sqlite3_column_int64(q, 2))
            tell(v, "the text of version %lld is not %lld bytes long", (long long)version, (long long)bytes);
        else
            code = check_text(v, version, (size_t)bytes, &whole, err);
    }
    db_done(q);
    rag_buf_free(&whole);
    return code;
}

/* ---- generations and vectors --------------------------------------------------------------------------- */

/* The bitmap of a generation, built as for serving it, against what SQL says is visible. */
static rag_code check_bitmap(verification *v, rag_snapshot *s, rag_err *err)
{
    const filter *all;
    bool row = true;
    sqlite3_stmt *q = NULL;
    size_t seen = 0;
    rag_filter want = { .collection = RAG_STR("*"), .all_groups = true };
    long long number = s->state.generation;
    rag_code code = filter_get(s, &want, &all, err);
    if (code == RAG_OK)
        code = db_query(v->d, &q,
                        "SELECT c.id FROM chunks c JOIN versions v ON v.id = c.version_id "
                        "WHERE v.gen_from <= ?1 AND v.gen_to > ?1 ORDER BY c.id",
                        BIND(num(number)), err);
    while (code == RAG_OK && (code = db_step(v->d, q, &row, err)) == RAG_OK && row) {
        size_t at = vectors_find(s->vectors, sqlite3_column_int64(q, 0), 0);
        if (at == SIZE_MAX || !bit_is_set(all->bits, at))
            tell(v, "generation %lld does not show chunk %lld", number, (long long)sqlite3_column_int64(q, 0));
        seen++;
    }
    db_done(q);
    if (code == RAG_OK && seen != all->n_visible)
        tell(v, "the bitmap of generation %lld shows %zu chunks, kb.db %zu", number, all->n_visible, seen);
    filter_release(s, all);
    return code;
}

static rag_code check_counts(verification *v, const rag_snapshot *s, rag_err *err)
{
    int64_t documents, chunks;
    rag_code code = db_number(v->d, &documents, "SELECT documents FROM generations WHERE number = ?",
                              BIND(num(s->state.generation)), err);
    if (code == RAG_OK)
        code = db_number(v->d, &chunks, "SELECT chunks FROM generations WHERE number = ?",
                         BIND(num(s->state.generation)), err);
    if (code == RAG_OK && (documents != s->documents || chunks != s->chunks))
        tell(v, "generation %lld says %lld documents and %lld chunks, but shows %lld and %lld",
             (long long)s->state.generation, (long long)documents, (long long)chunks, (long long)s->documents,
             (long long)s->chunks);
    return code;
}

static rag_code check_generation(verification *v, const store_state *st, rag_snapshot **last, rag_err *err)
{
    rag_snapshot *s;
    rag_err why;
    rag_code code = snapshot_build(&s, v->d, v->ix->dir, st, *last, v->ix->weight, &why);
    if (code == RAG_CORRUPT) {
        tell(v, "generation %lld cannot be served: %s", (long long)st->generation, why.message);
        return RAG_OK;
    }
    if (code != RAG_OK) {
        if (err)
            *err = why;
        return code;
    }
    rag_snapshot_release(*last);
    *last = s;
    code = check_bitmap(v, s, err);
    return code == RAG_OK ? check_counts(v, s, err) : code;
}

static rag_code check_generations(verification *v, rag_err *err)
{
    sqlite3_stmt *q = NULL;
    bool row = true;
    rag_snapshot *last = NULL;
    store_state st;
    rag_code code = state_read(v->d, &st, err);
    if (code == RAG_OK)
        code = db_query(v->d, &q,
                        "SELECT g.number, m.id, m.dim, m.sha256 FROM generations g JOIN models m ON m.id = g.model_id "
                        "ORDER BY g.number DESC",
                        NO_VALUES, err);
    while (code == RAG_OK && (code = db_step(v->d, q, &row, err)) == RAG_OK && row) {
        st.generation = sqlite3_column_int64(q, 0);
        st.model_id = sqlite3_column_int64(q, 1);
        st.dim = sqlite3_column_int(q, 2);
        column_hash(q, 3, &st.model);
        code = check_generation(v, &st, &last, err);
    }
    db_done(q);
    rag_snapshot_release(last);
    return code;
}

/* Files that are absent are made again; files that are there and wrong are damage. */
static rag_code check_files(verification *v, rag_err *err)
{
    store_state st;
    kept_row *positions = NULL;
    vectors *loaded = NULL;
    size_t n = 0;
    rag_err why;
    rag_code code = state_read_latest(v->d, &st, err);
    if (code == RAG_OK)
        code = kept_positions(v->d, st.model_id, &positions, &n, err);
    if (code != RAG_OK || n == 0)
        return code;
    vectors_identity id = state_identity(&st);
    rag_code loads = vectors_load(&loaded, v->ix->dir, &id, positions, n, &why);
    if (loads == RAG_CORRUPT)
        tell(v, "vectors of generation %lld: %s", (long long)st.latest, why.message);
    free(positions);
    vectors_release(loaded);
    return RAG_OK;
}

/* ---- all --------------------------------------------------------------------------------------------- */

/* Damage that a query trips over is a problem found, not a failure to look. */
static rag_code absorb(verification *v, rag_code code, const rag_err *why, rag_err *err)
{
    if (code == RAG_OK)
        return RAG_OK;
    if (code == RAG_CORRUPT) {
        tell(v, "%s", why->message);
        return RAG_OK;
    }
    if (err)
        *err = *why;
    return code;
}

static rag_code check_all(verification *v, rag_err *err)
{
    typedef rag_code check(verification *, rag_err *);
    static check *const checks[] = { check_rows, check_embeddings, check_texts, check_generations, check_files };
    rag_err why;
    rag_code code = db_exec(v->d, "BEGIN", err);
    if (code != RAG_OK)
        return code;
    code = absorb(v, check_sqlite(v, &why), &why, err);
    for (size_t i = 0; code == RAG_OK && i < sizeof checks / sizeof *checks; i++)
        code = absorb(v, checks[i](v, &why), &why, err);
    db_exec(v->d, "COMMIT", NULL);
    return code;
}

rag_code rag_index_verify(rag_index *ix, void (*problem)(void *context, const char *sentence), void *context,
                          int64_t *problems, rag_err *err)
{
    verification v = { .ix = ix, .problem = problem, .context = context };
    rag_code code = db_open(&v.d, ix->file, DB_WRITE, err);
    if (code == RAG_OK)
        code = schema_check(v.d, ix->file, err);
    if (code == RAG_OK)
        code = check_all(&v, err);
    if (code == RAG_OK)
        code = check_fts(&v, err);
    db_close(v.d);
    *problems = v.problems;
    return code;
}
