#include "index/store.h"

enum { VERSIONS_PER_TRANSACTION = 32 };

/* FTS5 forgets a row only when it is told the row's text again: before the text goes.  One statement a row,
 * since INSERT … SELECT would make FTS5 write its buffer out for each version. */
static rag_code delete_fts_rows(db *d, int64_t version_id, rag_err *err)
{
    sqlite3_stmt *q;
    bool row = true;
    rag_code code = db_query(d, &q,
                             "SELECT v.id, v.title, v.heading, v.body FROM chunk_content v "
                             "WHERE v.id IN (SELECT id FROM chunks WHERE version_id = ?)",
                             BIND(num(version_id)), err);
    while (code == RAG_OK && (code = db_step(d, q, &row, err)) == RAG_OK && row)
        code = db_run(d, "INSERT INTO chunk_fts(chunk_fts, rowid, title, heading, body) VALUES('delete', ?, ?, ?, ?)",
                      BIND(num(sqlite3_column_int64(q, 0)), text(column_str(q, 1)), text(column_str(q, 2)),
                           text(column_str(q, 3))),
                      err);
    db_done(q);
    return code;
}

rag_code delete_version(db *d, int64_t version_id, rag_err *err)
{
    rag_code code = delete_fts_rows(d, version_id, err);
    if (code == RAG_OK)
        code = db_run(d, "DELETE FROM chunks WHERE version_id = ?", BIND(num(version_id)), err);
    if (code == RAG_OK)
        code = db_run(d, "DELETE FROM texts WHERE version_id = ?", BIND(num(version_id)), err);
    if (code == RAG_OK)
        code = db_run(d, "DELETE FROM versions WHERE id = ?", BIND(num(version_id)), err);
    return code;
}

static rag_code collect(db *d, const char *select, int64_t ids[VERSIONS_PER_TRANSACTION], size_t *n, rag_err *err)
{
    sqlite3_stmt *q;
    bool row = true;
    *n = 0;
    rag_code code = db_query(d, &q, select, BIND(num(VERSIONS_PER_TRANSACTION)), err);
    while (code == RAG_OK && (code = db_step(d, q, &row, err)) == RAG_OK && row)
        ids[(*n)++] = sqlite3_column_int64(q, 0);
    db_done(q);
    return code;
}

static rag_code delete_some(db *d, const char *select, size_t *n, rag_err *err)
{
    int64_t ids[VERSIONS_PER_TRANSACTION];
    rag_code code = db_exec(d, "BEGIN IMMEDIATE", err);
    if (code != RAG_OK)
        return code;
    code = collect(d, select, ids, n, err);
    for (size_t i = 0; code == RAG_OK && i < *n; i++)
        code = delete_version(d, ids[i], err);
    if (code == RAG_OK)
        code = db_exec(d, "COMMIT", err);
    if (code != RAG_OK)
        db_exec(d, "ROLLBACK", NULL);
    return code;
}

static rag_code delete_all(db *d, const char *select, size_t *deleted, rag_err *err)
{
    size_t n = VERSIONS_PER_TRANSACTION;
    rag_code code = RAG_OK;
    for (*deleted = 0; code == RAG_OK && n == VERSIONS_PER_TRANSACTION; *deleted += n)
        code = delete_some(d, select, &n, err);
    return code;
}

static rag_code delete_orphan_documents(db *d, rag_err *err)
{
    return db_run(d,
                  "DELETE FROM documents WHERE NOT EXISTS "
                  "(SELECT 1 FROM versions v WHERE v.document_id = documents.id)",
                  NO_VALUES, err);
}

rag_code sweep_pending(db *d, rag_err *err)
{
    size_t deleted;
    rag_code code =
        delete_all(d, "SELECT id FROM versions WHERE gen_from = 9223372036854775807 LIMIT ?", &deleted, err);
    return code == RAG_OK && deleted ? delete_orphan_documents(d, err) : code;
}

rag_code sweep_history(db *d, rag_err *err)
{
    size_t deleted;
    rag_code code = delete_all(d,
                               "SELECT v.id FROM versions v WHERE v.gen_to < 9223372036854775807 AND NOT EXISTS "
                               "(SELECT 1 FROM generations g WHERE g.number >= v.gen_from AND g.number < v.gen_to) LIMIT ?",
                               &deleted, err);
    if (code == RAG_OK && deleted)
        code = delete_orphan_documents(d, err);
    if (code == RAG_OK)
        code = db_run(d,
                      "DELETE FROM embeddings WHERE id IN (SELECT e.id FROM embeddings e WHERE NOT EXISTS "
                      "(SELECT 1 FROM chunks c WHERE c.embedding_id = e.id))",
                      NO_VALUES, err);
    return code;
}
