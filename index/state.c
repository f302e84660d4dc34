#include <stdio.h>
#include <string.h>

#include "index/snapshot.h"
#include "index/store.h"

static rag_code read_model(db *d, store_state *st, rag_err *err)
{
    sqlite3_stmt *q;
    bool row = false;
    rag_code code = db_query(d, &q,
                             "SELECT m.id, m.sha256, m.dim FROM generations g JOIN models m ON m.id = g.model_id "
                             "WHERE g.number = ?",
                             BIND(num(st->generation)), err);
    if (code == RAG_OK)
        code = db_step(d, q, &row, err);
    if (code == RAG_OK && row) {
        st->model_id = sqlite3_column_int64(q, 0);
        st->dim = sqlite3_column_int(q, 2);
        if (!column_hash(q, 1, &st->model))
            code = rag_fail(err, RAG_CORRUPT, "the model of generation %lld is damaged", (long long)st->generation);
    } else if (code == RAG_OK && st->generation) {
        code = rag_fail(err, RAG_CORRUPT, "generation %lld has no model", (long long)st->generation);
    }
    db_done(q);
    return code;
}

static rag_code read_numbers(db *d, store_state *out, rag_err *err)
{
    *out = (store_state){ 0 };
    rag_code code = meta_text(d, "store_id", out->store_id, sizeof out->store_id, err);
    if (code == RAG_OK)
        code = meta_text(d, "epoch", out->epoch, sizeof out->epoch, err);
    if (code == RAG_OK)
        code = meta_number(d, "files", &out->files, err);
    if (code == RAG_OK)
        code = db_number(d, &out->latest, "SELECT coalesce(max(number), 0) FROM generations", NO_VALUES, err);
    if (code == RAG_OK && out->latest)
        code = db_number(d, &out->files_model_id, "SELECT model_id FROM generations WHERE number = ?",
                         BIND(num(out->latest)), err);
    return code;
}

rag_code state_read(db *d, store_state *out, rag_err *err)
{
    int64_t kept = 0;
    rag_code code = read_numbers(d, out, err);
    if (code == RAG_OK)
        code = meta_number(d, "pinned", &out->pinned, err);
    if (code == RAG_OK && out->pinned)
        code = db_number(d, &kept, "SELECT count(*) FROM generations WHERE number = ?", BIND(num(out->pinned)), err);
    if (code != RAG_OK)
        return code;
    out->generation = kept ? out->pinned : out->latest;
    return read_model(d, out, err);
}

rag_code state_read_latest(db *d, store_state *out, rag_err *err)
{
    rag_code code = read_numbers(d, out, err);
    out->generation = out->latest;
    return code == RAG_OK ? read_model(d, out, err) : code;
}

vectors_identity state_identity(const store_state *st)
{
    return (vectors_identity){ st->store_id, st->epoch, st->latest, &st->model, st->dim };
}
