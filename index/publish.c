#include "base/file.h"
#include "base/log.h"
#include "index/writer.h"

typedef struct change {
    int64_t pending, removed, updated;
    int64_t chunks_added, chunks_removed;
} change;

/* Live documents that this run takes away, or gives a new version. */
#define IS_REMOVED "document_id IN (SELECT document_id FROM removals)"
#define IS_REPLACED "document_id IN (SELECT document_id FROM versions WHERE gen_from = 9223372036854775807)"

static rag_code count_changes(db *d, change *c, rag_err *err)
{
    rag_code code = db_number(d, &c->pending, "SELECT count(*) FROM versions WHERE " IS_PENDING, NO_VALUES, err);
    if (code == RAG_OK)
        code = db_number(d, &c->removed, "SELECT count(*) FROM versions WHERE " IS_LIVE " AND " IS_REMOVED, NO_VALUES, err);
    if (code == RAG_OK)
        code = db_number(d, &c->updated, "SELECT count(*) FROM versions WHERE " IS_LIVE " AND " IS_REPLACED, NO_VALUES, err);
    if (code == RAG_OK)
        code = db_number(d, &c->chunks_added, "SELECT coalesce(sum(n_chunks), 0) FROM versions WHERE " IS_PENDING,
                         NO_VALUES, err);
    if (code == RAG_OK)
        code = db_number(d, &c->chunks_removed,
                         "SELECT coalesce(sum(n_chunks), 0) FROM versions WHERE " IS_LIVE " AND (" IS_REMOVED
                         " OR " IS_REPLACED ")",
                         NO_VALUES, err);
    return code;
}

/* A generation holds one model's vectors only. */
static rag_code check_one_model(rag_writer *w, rag_err *err)
{
    sqlite3_stmt *q;
    bool row = false;
    rag_code code = db_query(w->db, &q,
                             "SELECT d.path FROM versions v JOIN documents d ON d.id = v.document_id "
                             "WHERE v.gen_to = 9223372036854775807 AND v.gen_from < 9223372036854775807 "
                             "AND v.model_id <> ? AND NOT (v." IS_REPLACED " OR v." IS_REMOVED ") LIMIT 1",
                             BIND(num(w->model_id)), err);
    if (code == RAG_OK)
        code = db_step(w->db, q, &row, err);
    if (code == RAG_OK && row)
        code = rag_fail(err, RAG_INVALID, "cannot publish: '%.*s' is still embedded with the old model",
                        RAG_STR_ARG(column_str(q, 0)));
    db_done(q);
    return code;
}

static rag_code make_visible(rag_writer *w, const change *c, int64_t *number, rag_err *err)
{
    db *d = w->db;
    rag_code code = db_run(d,
                           "INSERT INTO generations(published_ns, model_id, documents, chunks, added, updated, removed) "
                           "VALUES(?, ?, 0, 0, ?, ?, ?)",
                           BIND(num(rag_clock_wall_ns()), num(w->model_id), num(c->pending - c->updated),
                                num(c->updated), num(c->removed)),
                           err);
    *number = db_last_id(d);
    if (code == RAG_OK)
        code = db_run(d, "UPDATE versions SET gen_to = ? WHERE " IS_LIVE " AND (" IS_REMOVED " OR " IS_REPLACED ")",
                      BIND(num(*number)), err);
    if (code == RAG_OK)
        code = db_run(d, "UPDATE versions SET gen_from = ? WHERE " IS_PENDING, BIND(num(*number)), err);
    if (code == RAG_OK)
        code = db_run(d,
                      "UPDATE collections SET gen_from = ?1 WHERE gen_from = 9223372036854775807 AND id IN "
                      "(SELECT d.collection_id FROM documents d JOIN versions v ON v.document_id = d.id "
                      "WHERE v.gen_from = ?1)",
                      BIND(num(*number)), err);
    if (code == RAG_OK)
        code = db_run(d,
                      "UPDATE generations SET (documents, chunks) = (SELECT count(*), coalesce(sum(n_chunks), 0) "
                      "FROM versions WHERE " IS_LIVE ") WHERE number = ?",
                      BIND(num(*number)), err);
    return code;
}

/* The rows go later; what no generation shows any more is no longer kept from here on. */
static rag_code forget_generations(rag_writer *w, rag_err *err)
{
    return db_run(w->db,
                  "DELETE FROM generations WHERE number NOT IN (SELECT number FROM generations ORDER BY number DESC LIMIT ?) "
                  "AND number <> coalesce((SELECT value FROM meta WHERE key = 'pinned'), 0)",
                  BIND(num(w->ix->keep_generations)), err);
}

static rag_code publish_change(rag_writer *w, const change *c, int64_t *number, rag_err *err)
{
    rag_code code = check_one_model(w, err);
    if (code == RAG_OK)
        code = make_visible(w, c, number, err);
    if (code == RAG_OK)
        code = meta_set_number(w->db, "model", w->model_id, err);
    if (code == RAG_OK)
        code = forget_generations(w, err);
    /* Before the commit, so that a daemon that sees the generation finds its vectors.  If the commit fails they belong
     * to no generation, and nobody takes them. */
    return code == RAG_OK ? files_save(w->db, w->ix->dir, w->ix->type, err) : code;
}

/* Nothing to publish; an empty store may still go over to another model. */
static rag_code publish_nothing(rag_writer *w, int64_t *number, rag_err *err)
{
    int64_t live = 0;
    rag_code code = db_number(w->db, number, "SELECT coalesce(max(number), 0) FROM generations", NO_VALUES, err);
    if (code == RAG_OK)
        code = db_number(w->db, &live, "SELECT count(*) FROM versions WHERE " IS_LIVE, NO_VALUES, err);
    if (code == RAG_OK && live == 0 && w->full)
        code = meta_set_number(w->db, "model", w->model_id, err);
    if (code == RAG_OK && *number && !vectors_exist(w->ix->dir, *number))
        code = files_save(w->db, w->ix->dir, w->ix->type, err);
    return code;
}

static rag_code publish(rag_writer *w, rag_published *out, rag_err *err)
{
    change c = { 0 };
    rag_code code = count_changes(w->db, &c, err);
    out->changed = c.pending > 0 || c.removed > 0;
    if (code == RAG_OK)
        code = out->changed ? publish_change(w, &c, &out->generation, err) : publish_nothing(w, &out->generation, err);
    out->documents_added = c.pending - c.updated;
    out->documents_updated = c.updated;
    out->documents_removed = c.removed;
    out->chunks_added = c.chunks_added;
    out->chunks_removed = c.chunks_removed;
    return code;
}

/* What the commit made superfluous.  A failure here leaves only waste, which the next run meets again. */
static void clean_up(rag_writer *w, int64_t number)
{
    rag_err why;
    crash_point("before_prune");
    if (sweep_history(w->db, &why) != RAG_OK)
        rag_log(RAG_WARN, "old generations are not deleted yet: %s", why.message);
    vectors_sweep(w->ix->dir, number);
}

rag_code rag_writer_publish(rag_writer *w, rag_published *out, rag_err *err)
{
    *out = (rag_published){ 0 };
    if (w->is_dry)
        return rag_fail(err, RAG_INVALID, "a dry run cannot publish");
    rag_code code = writer_commit(w, err);
    if (code == RAG_OK)
        code = db_exec(w->db, "PRAGMA synchronous = FULL", err);
    if (code == RAG_OK)
        code = writer_ready(w, err);
    if (code != RAG_OK)
        return code;
    code = publish(w, out, err);
    crash_point("before_publish");
    if (code == RAG_INVALID) {
        /* The run is not complete: it may go on and publish later. */
        db_exec(w->db, "ROLLBACK", NULL);
        w->in_transaction = false;
    } else if (code == RAG_OK) {
        code = writer_commit(w, err);
    } else {
        code = writer_wrote(w, code, 0, err);
    }
    crash_point("after_publish");
    if (code == RAG_OK) {
        db_run(w->db, "DELETE FROM removals", NO_VALUES, NULL);
        db_run(w->db, "DELETE FROM seen", NO_VALUES, NULL);
        if (out->changed)
            clean_up(w, out->generation);
    }
    db_exec(w->db, "PRAGMA synchronous = NORMAL", NULL);
    return code;
}
