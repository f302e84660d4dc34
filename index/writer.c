#include "index/writer.h"

#include <stdlib.h>
#include <string.h>

#include "base/file.h"

/* A transaction is ended by whichever comes first, so that the WAL stays small and others get to write. */
enum { MAX_PUTS = 64, MAX_BYTES = 4 * 1024 * 1024, MAX_OPEN_MS = 500 };

/* What this run has met; gone with the connection. */
static const char temporary_tables[] = "CREATE TEMP TABLE seen(document_id INTEGER PRIMARY KEY);"
                                       "CREATE TEMP TABLE removals(document_id INTEGER PRIMARY KEY);"
                                       "CREATE TEMP TABLE renewed(embedding_id INTEGER PRIMARY KEY)";

/* ---- transactions ---------------------------------------------------------------------------- */

rag_code writer_ready(rag_writer *w, rag_err *err)
{
    if (w->failed != RAG_OK) {
        if (err)
            *err = w->why;
        return w->failed;
    }
    if (w->in_transaction)
        return RAG_OK;
    rag_code code = db_exec(w->db, "BEGIN IMMEDIATE", err);
    if (code != RAG_OK)
        return code;
    w->in_transaction = true;
    w->begun_ms = rag_clock_ms();
    w->puts = 0;
    w->bytes = 0;
    return RAG_OK;
}

static rag_code give_up(rag_writer *w, rag_code code, rag_err *err)
{
    w->failed = code;
    rag_fail(&w->why, code, "an earlier write of this run failed");
    if (err)
        w->why = *err;
    if (w->in_transaction)
        db_exec(w->db, "ROLLBACK", NULL);
    w->in_transaction = false;
    return code;
}

rag_code writer_commit(rag_writer *w, rag_err *err)
{
    if (!w->in_transaction || w->is_dry)
        return w->failed;
    crash_point("before_commit");
    rag_code code = db_exec(w->db, "COMMIT", err);
    if (code != RAG_OK)
        return give_up(w, code, err);
    w->in_transaction = false;
    crash_point("after_commit");
    return RAG_OK;
}

rag_code writer_wrote(rag_writer *w, rag_code code, size_t bytes, rag_err *err)
{
    if (code != RAG_OK)
        return give_up(w, code, err);
    w->puts++;
    w->bytes += bytes;
    bool is_time = w->puts >= MAX_PUTS || w->bytes >= MAX_BYTES || rag_clock_ms() - w->begun_ms >= MAX_OPEN_MS;
    return is_time ? writer_commit(w, err) : RAG_OK;
}

/* ---- begin and end --------------------------------------------------------------------------- */

static rag_code check_model(rag_writer *w, const rag_writer_options *opt, rag_err *err)
{
    sqlite3_stmt *q;
    bool row = false;
    rag_sha256 stored;
    rag_code code = meta_number(w->db, "model", &w->old_model_id, err);
    if (code != RAG_OK || w->old_model_id == 0)
        return code;
    code = db_query(w->db, &q, "SELECT sha256, name FROM models WHERE id = ?", BIND(num(w->old_model_id)), err);
    if (code == RAG_OK)
        code = db_step(w->db, q, &row, err);
    if (code == RAG_OK && (!row || !column_hash(q, 0, &stored)))
        code = rag_fail(err, RAG_CORRUPT, "'%s' does not know its model", w->ix->file);
    if (code == RAG_OK && !opt->full && memcmp(&stored, &opt->model, sizeof stored) != 0)
        code = rag_fail(err, RAG_CONFIG, "'%s' was embedded with '%.*s', not with '%s': run ragd-ingest --full",
                        w->ix->file, RAG_STR_ARG(column_str(q, 1)), opt->model_name ? opt->model_name : "this model");
    db_done(q);
    return code;
}

static rag_code register_model(rag_writer *w, const rag_writer_options *opt, rag_err *err)
{
    int64_t dim = 0;
    rag_str name = rag_str_of(opt->model_name);
    rag_code code = db_run(w->db, "INSERT INTO models(sha256, name, dim) VALUES(?, ?, ?) ON CONFLICT DO NOTHING",
                           BIND(hash(&opt->model), text(name), num(opt->dim)), err);
    if (code == RAG_OK)
        code = db_number(w->db, &w->model_id, "SELECT id FROM models WHERE sha256 = ?", BIND(hash(&opt->model)), err);
    if (code == RAG_OK)
        code = db_number(w->db, &dim, "SELECT dim FROM models WHERE id = ?", BIND(num(w->model_id)), err);
    if (code == RAG_OK && dim != opt->dim)
        code = rag_fail(err, RAG_INVALID, "model '%.*s' has dimension %lld, not %d", RAG_STR_ARG(name), (long long)dim,
                        opt->dim);
    return code;
}

static rag_code open_store(rag_writer *w, rag_err *err)
{
    rag_code code = db_open(&w->db, w->ix->file, DB_WRITE, err);
    if (code == RAG_OK)
        code = schema_check(w->db, w->ix->file, err);
    if (code == RAG_OK)
        code = db_exec(w->db, "PRAGMA synchronous = NORMAL; PRAGMA cache_size = -16000", err);
    if (code == RAG_OK)
        code = db_exec(w->db, temporary_tables, err);
    return code;
}

rag_code rag_writer_begin(rag_writer **out, rag_index *ix, const rag_writer_options *opt, rag_err *err)
{
    *out = NULL;
    if (opt->dim <= 0)
        return rag_fail(err, RAG_INVALID, "the embedder's dimension is %d", opt->dim);
    rag_writer *w = rag_calloc(1, sizeof *w);
    char *lock = rag_path_join(ix->dir, "ingest.lock");
    w->ix = ix;
    w->model = opt->model;
    w->dim = opt->dim;
    w->full = opt->full;
    w->chunker = rag_strdup(opt->chunker ? opt->chunker : "");
    rag_code code = rag_lock_take(lock, &w->lock, err);
    if (code == RAG_OK)
        code = open_store(w, err);
    if (code == RAG_OK)
        code = check_model(w, opt, err);
    if (code == RAG_OK && !opt->dry_run)
        code = sweep_pending(w->db, err);
    if (code == RAG_OK && opt->dry_run)
        code = writer_ready(w, err);
    w->is_dry = opt->dry_run;
    if (code == RAG_OK)
        code = register_model(w, opt, err);
    free(lock);
    if (code != RAG_OK) {
        rag_writer_end(w);
        return code;
    }
    *out = w;
    return RAG_OK;
}

void rag_writer_end(rag_writer *w)
{
    if (!w)
        return;
    /* Pending rows stay for the next run to sweep; the embeddings among them are worth keeping. */
    writer_commit(w, NULL); /* a dry run's transaction ends with its connection */
    db_close(w->db);
    rag_lock_release(w->lock);
    for (size_t i = 0; i < w->n_sources; i++) {
        free(w->sources[i].root);
        free(w->sources[i].prefix);
        free(w->sources[i].access);
        free(w->sources[i].url);
    }
    free(w->sources);
    free(w->chunker);
    free(w);
}

/* ---- what the last generation knows ------------------------------------------------------------- */

static const char select_live[] =
    "SELECT d.id, v.source_id, s.root, v.size, v.mtime_ns, v.inode, v.read_ns, v.sha256, v.access, v.chunker, "
    "v.model_id, v.url FROM documents d JOIN versions v ON v.document_id = d.id JOIN sources s ON s.id = v.source_id "
    "WHERE d.collection_id = ? AND d.path = ? AND v.gen_to = 9223372036854775807 AND v.gen_from < 9223372036854775807";

static bool has_same_url(const writer_source *s, rag_str path, rag_str url)
{
    rag_buf now;
    rag_buf_init(&now, RAG_MAX_LINE);
    writer_url(s, path, &now);
    bool same = rag_str_eq(rag_buf_str(&now), url);
    rag_buf_free(&now);
    return same;
}

static bool may_stay(const rag_writer *w, const writer_source *s, rag_str path, sqlite3_stmt *q)
{
    return !w->full && sqlite3_column_int64(q, 1) == s->id && sqlite3_column_int64(q, 10) == w->model_id &&
           rag_str_eq(column_str(q, 8), rag_str_of(s->access)) &&
           rag_str_eq(column_str(q, 9), rag_str_of(w->chunker)) && has_same_url(s, path, column_str(q, 11));
}

static rag_code mark(rag_writer *w, int64_t document_id, rag_err *err)
{
    return db_run(w->db, "INSERT OR IGNORE INTO seen VALUES(?)", BIND(num(document_id)), err);
}

rag_code rag_writer_lookup(rag_writer *w, int64_t source_id, rag_str path, rag_arena *arena, rag_stored *out,
                           rag_err *err)
{
    const writer_source *s = writer_find_source(w, source_id);
    sqlite3_stmt *q = NULL;
    bool row = false;
    *out = (rag_stored){ 0 };
    if (!s)
        return rag_fail(err, RAG_INVALID, "no source %lld in this run", (long long)source_id);
    rag_code code = db_query(w->db, &q, select_live, BIND(num(s->collection_id), text(path)), err);
    if (code == RAG_OK)
        code = db_step(w->db, q, &row, err);
    if (code == RAG_OK && row) {
        *out = (rag_stored){ .document_id = sqlite3_column_int64(q, 0), .source_id = sqlite3_column_int64(q, 1),
                             .source_root = rag_arena_str(arena, column_str(q, 2)),
                             .size = sqlite3_column_int64(q, 3), .mtime_ns = sqlite3_column_int64(q, 4),
                             .inode = sqlite3_column_int64(q, 5), .read_ns = sqlite3_column_int64(q, 6),
                             .groups = rag_arena_str(arena, column_str(q, 8)),
                             .is_current = may_stay(w, s, path, q) };
        if (!column_hash(q, 7, &out->sha256))
            code = rag_fail(err, RAG_CORRUPT, "document '%.*s' has a damaged hash", RAG_STR_ARG(path));
    }
    db_done(q);
    if (code == RAG_OK && !row)
        return rag_fail(err, RAG_NOT_FOUND, "no document '%.*s'", RAG_STR_ARG(path));
    return code == RAG_OK ? mark(w, out->document_id, err) : code;
}

rag_code rag_writer_stored_text(rag_writer *w, int64_t document_id, rag_buf *out, rag_err *err)
{
    int64_t version, bytes = 0;
    rag_code code = db_number(w->db, &version, "SELECT id FROM versions WHERE document_id = ? AND " IS_LIVE,
                              BIND(num(document_id)), err);
    if (code == RAG_NOT_FOUND)
        return rag_fail(err, code, "no document %lld", (long long)document_id);
    if (code == RAG_OK)
        code = db_number(w->db, &bytes, "SELECT bytes FROM versions WHERE id = ?", BIND(num(version)), err);
    return code == RAG_OK ? text_get(w->db, version, 0, (size_t)bytes, out, err) : code;
}

rag_code rag_writer_touch(rag_writer *w, int64_t document_id, int64_t size, int64_t mtime_ns, int64_t inode,
                          int64_t read_ns, rag_err *err)
{
    rag_code code = writer_ready(w, err);
    if (code != RAG_OK)
        return code;
    code = db_run(w->db,
                  "UPDATE versions SET size = ?, mtime_ns = ?, inode = ?, read_ns = ? WHERE document_id = ? AND " IS_LIVE,
                  BIND(num(size), num(mtime_ns), num(inode), num(read_ns), num(document_id)), err);
    return writer_wrote(w, code, 0, err);
}

rag_code rag_writer_keep(rag_writer *w, int64_t document_id, rag_err *err)
{
    rag_code code = mark(w, document_id, err);
    if (code == RAG_OK)
        code = db_run(w->db, "DELETE FROM removals WHERE document_id = ?", BIND(num(document_id)), err);
    return code;
}

#define OF_SOURCE "FROM versions WHERE source_id = ? AND " IS_LIVE

rag_code rag_writer_vanished(rag_writer *w, int64_t source_id, int64_t *documents, int64_t *vanished, rag_err *err)
{
    rag_code code = db_number(w->db, documents, "SELECT count(*) " OF_SOURCE, BIND(num(source_id)), err);
    if (code == RAG_OK)
        code = db_number(w->db, vanished,
                         "SELECT count(*) " OF_SOURCE " AND document_id NOT IN (SELECT document_id FROM seen)",
                         BIND(num(source_id)), err);
    return code;
}

rag_code rag_writer_remove_vanished(rag_writer *w, int64_t source_id, rag_err *err)
{
    return db_run(w->db,
                  "INSERT OR IGNORE INTO removals SELECT document_id " OF_SOURCE
                  " AND document_id NOT IN (SELECT document_id FROM seen)",
                  BIND(num(source_id)), err);
}

static rag_code drop_pending(rag_writer *w, int64_t document_id, bool *dropped, rag_err *err)
{
    int64_t version;
    rag_code code = db_number(w->db, &version, "SELECT id FROM versions WHERE document_id = ? AND " IS_PENDING,
                              BIND(num(document_id)), err);
    *dropped = code == RAG_OK;
    if (code != RAG_OK)
        return code == RAG_NOT_FOUND ? RAG_OK : code;
    code = writer_ready(w, err);
    return code == RAG_OK ? writer_wrote(w, delete_version(w->db, version, err), 0, err) : code;
}

rag_code rag_writer_remove(rag_writer *w, int64_t document_id, rag_err *err)
{
    int64_t live = 0;
    bool dropped = false;
    rag_code code = db_number(w->db, &live, "SELECT count(*) FROM versions WHERE document_id = ? AND " IS_LIVE,
                              BIND(num(document_id)), err);
    if (code == RAG_OK)
        code = drop_pending(w, document_id, &dropped, err);
    if (code == RAG_OK && !live && !dropped)
        code = rag_fail(err, RAG_NOT_FOUND, "no document %lld", (long long)document_id);
    if (code == RAG_OK && live)
        code = db_run(w->db, "INSERT OR IGNORE INTO removals VALUES(?)", BIND(num(document_id)), err);
    return code;
}
