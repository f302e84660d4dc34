#include <string.h>

#include "base/utf8.h"
#include "index/writer.h"

enum { MAX_PATH_BYTES = 8192, MAX_TITLE_BYTES = 4096 };

/* ---- embeddings -------------------------------------------------------------------------------- */

static rag_code find_embedding(rag_writer *w, const rag_sha256 *key, int64_t *id, rag_err *err)
{
    rag_code code = db_number(w->db, id, "SELECT id FROM embeddings WHERE key = ? AND model_id = ?",
                              BIND(hash(key), num(w->model_id)), err);
    return code == RAG_NOT_FOUND ? RAG_OK : code;
}

/* A damaged one counts as absent, and a full run takes none that it has not made itself. */
rag_code rag_writer_has_embedding(rag_writer *w, const rag_sha256 *key, bool *has, rag_err *err)
{
    sqlite3_stmt *q;
    *has = false;
    rag_code code = db_query(w->db, &q,
                             "SELECT sum, vector, EXISTS(SELECT 1 FROM renewed WHERE embedding_id = id) FROM embeddings "
                             "WHERE key = ? AND model_id = ?",
                             BIND(hash(key), num(w->model_id)), err);
    bool row = false;
    if (code == RAG_OK)
        code = db_step(w->db, q, &row, err);
    if (code == RAG_OK && row)
        *has = (uint64_t)sqlite3_column_int64(q, 0) == rag_xxh3(column_str(q, 1), 0) &&
               (!w->full || sqlite3_column_int(q, 2) != 0);
    db_done(q);
    return code;
}

static rag_code mark_renewed(rag_writer *w, const rag_sha256 *key, rag_err *err)
{
    int64_t id = 0;
    rag_code code = find_embedding(w, key, &id, err);
    return code == RAG_OK ? db_run(w->db, "INSERT OR IGNORE INTO renewed VALUES(?)", BIND(num(id)), err) : code;
}

rag_code rag_writer_add_embedding(rag_writer *w, const rag_sha256 *key, const float *vector, rag_err *err)
{
    rag_str bytes = { (const char *)vector, (size_t)w->dim * sizeof *vector };
    rag_code code = writer_ready(w, err);
    if (code != RAG_OK)
        return code;
    code = db_run(w->db,
                  "INSERT INTO embeddings(key, model_id, sum, vector) VALUES(?, ?, ?, ?) "
                  "ON CONFLICT(key, model_id) DO UPDATE SET sum = excluded.sum, vector = excluded.vector",
                  BIND(hash(key), num(w->model_id), num((int64_t)rag_xxh3(bytes, 0)), blob(bytes)), err);
    if (code == RAG_OK && w->full)
        code = mark_renewed(w, key, err);
    return writer_wrote(w, code, bytes.len, err);
}

/* ---- what is refused before anything is written ---------------------------------------------------- */

static bool is_boundary(rag_str s, size_t at)
{
    return at == s.len || ((unsigned char)s.ptr[at] & 0xC0) != 0x80;
}

static rag_code check_chunks(const rag_document_in *doc, rag_err *err)
{
    for (size_t i = 0; i < doc->n_chunks; i++) {
        const rag_chunk_in *c = &doc->chunks[i];
        if (c->start >= c->end || c->end > doc->text.len)
            return rag_fail(err, RAG_INVALID, "chunk %zu of '%.*s' lies outside the text", i, RAG_STR_ARG(doc->path));
        if (!is_boundary(doc->text, c->start) || !is_boundary(doc->text, c->end))
            return rag_fail(err, RAG_INVALID, "chunk %zu of '%.*s' cuts a character", i, RAG_STR_ARG(doc->path));
        if (c->line_start < 1 || c->line_end < c->line_start || c->page < 0)
            return rag_fail(err, RAG_INVALID, "chunk %zu of '%.*s' has no right lines", i, RAG_STR_ARG(doc->path));
    }
    return RAG_OK;
}

static rag_code check_strings(const rag_document_in *doc, rag_err *err)
{
    if (doc->path.len == 0 || doc->path.len > MAX_PATH_BYTES || !rag_utf8_valid(doc->path, NULL) ||
        memchr(doc->path.ptr, '\0', doc->path.len))
        return rag_fail(err, RAG_INVALID, "a document's path is empty, too long or not UTF-8");
    if (doc->text.len > RAG_MAX_TEXT)
        return rag_fail(err, RAG_TOO_LARGE, "the text of '%.*s' is larger than %d bytes", RAG_STR_ARG(doc->path),
                        RAG_MAX_TEXT);
    if (!rag_utf8_valid(doc->text, NULL) || !rag_utf8_valid(doc->title, NULL))
        return rag_fail(err, RAG_INVALID, "the text of '%.*s' is not UTF-8", RAG_STR_ARG(doc->path));
    return RAG_OK;
}

static rag_code check_embeddings(rag_writer *w, const rag_document_in *doc, rag_err *err)
{
    for (size_t i = 0; i < doc->n_chunks; i++) {
        int64_t id;
        rag_code code = find_embedding(w, &doc->chunks[i].embedding, &id, err);
        if (code != RAG_OK)
            return code;
        if (!id)
            return rag_fail(err, RAG_INVALID, "chunk %zu of '%.*s' has no embedding", i, RAG_STR_ARG(doc->path));
    }
    return RAG_OK;
}

/* Who holds the path after this run so far: a pending version, else a live one that is not removed. */
static const char select_holder[] =
    "SELECT s.root FROM documents d JOIN versions v ON v.document_id = d.id JOIN sources s ON s.id = v.source_id "
    "WHERE d.collection_id = ? AND d.path = ? AND v.source_id <> ? AND v.gen_to = 9223372036854775807 "
    "AND (v.gen_from = 9223372036854775807 OR NOT EXISTS (SELECT 1 FROM removals r WHERE r.document_id = d.id)) "
    "ORDER BY v.gen_from DESC LIMIT 1";

static rag_code check_holder(rag_writer *w, const writer_source *s, rag_str path, rag_err *err)
{
    sqlite3_stmt *q;
    bool row = false;
    if (s->adopt)
        return RAG_OK;
    rag_code code = db_query(w->db, &q, select_holder, BIND(num(s->collection_id), text(path), num(s->id)), err);
    if (code == RAG_OK)
        code = db_step(w->db, q, &row, err);
    /* Files given by themselves (root "") have no folder that could miss them. */
    if (code == RAG_OK && row && column_str(q, 0).len > 0)
        code = rag_fail(err, RAG_INVALID, "'%.*s' from '%s' is already there from folder '%.*s'", RAG_STR_ARG(path),
                        *s->root ? s->root : "a single file", RAG_STR_ARG(column_str(q, 0)));
    db_done(q);
    return code;
}

/* ---- rows ------------------------------------------------------------------------------------- */

static rag_code document_id(rag_writer *w, const writer_source *s, rag_str path, int64_t *id, rag_err *err)
{
    rag_code code = db_run(w->db, "INSERT INTO documents(collection_id, path) VALUES(?, ?) ON CONFLICT DO NOTHING",
                           BIND(num(s->collection_id), text(path)), err);
    if (code == RAG_OK)
        code = db_number(w->db, id, "SELECT id FROM documents WHERE collection_id = ? AND path = ?",
                         BIND(num(s->collection_id), text(path)), err);
    return code;
}

/* The same path put twice in a run: the later one counts. */
static rag_code drop_pending(rag_writer *w, int64_t document, rag_err *err)
{
    int64_t version;
    rag_code code = db_number(w->db, &version, "SELECT id FROM versions WHERE document_id = ? AND " IS_PENDING,
                              BIND(num(document)), err);
    if (code == RAG_NOT_FOUND)
        return RAG_OK;
    return code == RAG_OK ? delete_version(w->db, version, err) : code;
}

static rag_str shorten(rag_str title)
{
    return title.len > MAX_TITLE_BYTES ? rag_str_sub(title, 0, rag_utf8_floor(title, MAX_TITLE_BYTES)) : title;
}

static rag_code put_version(rag_writer *w, const writer_source *s, const rag_document_in *doc, int64_t document,
                            int64_t *version, rag_err *err)
{
    rag_buf url;
    rag_buf_init(&url, RAG_MAX_LINE);
    writer_url(s, doc->path, &url);
    rag_code code = db_run(
        w->db,
        "INSERT INTO versions(document_id, gen_from, gen_to, source_id, model_id, chunker, title, url, access, lang, "
        "bytes, n_chunks, sha256, size, mtime_ns, inode, read_ns) "
        "VALUES(?, 9223372036854775807, 9223372036854775807, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        BIND(num(document), num(s->id), num(w->model_id), text(rag_str_of(w->chunker)), text(shorten(doc->title)),
             text(rag_buf_str(&url)), text(rag_str_of(s->access)), num(doc->lang), num((int64_t)doc->text.len),
             num((int64_t)doc->n_chunks), hash(&doc->sha256), num(doc->size), num(doc->mtime_ns), num(doc->inode),
             num(doc->read_ns)),
        err);
    *version = db_last_id(w->db);
    rag_buf_free(&url);
    return code;
}

/* Outermost first, one a line: what FTS5 indexes as it is. */
static void join_heading(const rag_chunk_in *c, rag_buf *out)
{
    for (size_t i = 0; i < c->n_heading; i++) {
        if (i > 0)
            rag_buf_putc(out, '\n');
        for (size_t k = 0; k < c->heading[i].len; k++)
            rag_buf_putc(out, c->heading[i].ptr[k] == '\n' ? ' ' : c->heading[i].ptr[k]);
    }
}

static rag_code put_chunk(rag_writer *w, const rag_document_in *doc, size_t i, int64_t version, rag_err *err)
{
    const rag_chunk_in *c = &doc->chunks[i];
    rag_buf heading;
    rag_buf_init(&heading, RAG_MAX_LINE);
    join_heading(c, &heading);
    int64_t embedding;
    rag_code code = find_embedding(w, &c->embedding, &embedding, err);
    if (code == RAG_OK)
        code = db_run(w->db,
                      "INSERT INTO chunks(version_id, ordinal, start, stop, line_start, line_end, page, tokens, "
                      "heading, embedding_id) VALUES(?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                      BIND(num(version), num((int64_t)i), num((int64_t)c->start), num((int64_t)c->end),
                           num((int64_t)c->line_start), num((int64_t)c->line_end), num(c->page),
                           num((int64_t)c->tokens), text(rag_buf_str(&heading)), num(embedding)),
                      err);
    if (code == RAG_OK)
        code = db_run(w->db, "INSERT INTO chunk_fts(rowid, title, heading, body) VALUES(?, ?, ?, ?)",
                      BIND(num(db_last_id(w->db)), text(shorten(doc->title)), text(rag_buf_str(&heading)),
                           text(rag_str_sub(doc->text, c->start, c->end))),
                      err);
    rag_buf_free(&heading);
    return code;
}

static rag_code mark_put(rag_writer *w, int64_t document, rag_err *err)
{
    rag_code code = db_run(w->db, "INSERT OR IGNORE INTO seen VALUES(?)", BIND(num(document)), err);
    if (code == RAG_OK)
        code = db_run(w->db, "DELETE FROM removals WHERE document_id = ?", BIND(num(document)), err);
    return code;
}

static rag_code put_rows(rag_writer *w, const writer_source *s, const rag_document_in *doc, int64_t *id, rag_err *err)
{
    int64_t version;
    rag_code code = document_id(w, s, doc->path, id, err);
    if (code == RAG_OK)
        code = drop_pending(w, *id, err);
    if (code == RAG_OK)
        code = put_version(w, s, doc, *id, &version, err);
    if (code == RAG_OK)
        code = text_put(w->db, version, doc->text, err);
    for (size_t i = 0; code == RAG_OK && i < doc->n_chunks; i++) {
        code = put_chunk(w, doc, i, version, err);
        crash_point("after_row");
    }
    return code == RAG_OK ? mark_put(w, *id, err) : code;
}

rag_code rag_writer_put(rag_writer *w, const rag_document_in *doc, int64_t *document_id_out, rag_err *err)
{
    const writer_source *s = writer_find_source(w, doc->source_id);
    int64_t id = 0;
    if (!s)
        return rag_fail(err, RAG_INVALID, "no source %lld in this run", (long long)doc->source_id);
    rag_code code = check_strings(doc, err);
    if (code == RAG_OK)
        code = check_chunks(doc, err);
    if (code == RAG_OK)
        code = check_embeddings(w, doc, err);
    if (code == RAG_OK)
        code = check_holder(w, s, doc->path, err);
    if (code == RAG_OK)
        code = writer_ready(w, err);
    if (code != RAG_OK)
        return code;
    code = put_rows(w, s, doc, &id, err);
    if (code == RAG_OK && document_id_out)
        *document_id_out = id;
    return writer_wrote(w, code, doc->text.len, err);
}

/* ---- what a full run still owes -------------------------------------------------------------------- */

static const char select_outdated[] =
    "SELECT d.id, v.source_id, d.path, v.title, v.lang, v.size, v.mtime_ns, v.inode, v.read_ns, v.sha256, c.name, s.root, "
    "v.access, s.prefix, s.url "
    "FROM versions v JOIN documents d ON d.id = v.document_id JOIN collections c ON c.id = d.collection_id "
    "JOIN sources s ON s.id = v.source_id "
    "WHERE v.gen_to = 9223372036854775807 AND v.gen_from < 9223372036854775807 AND d.id > ?1 "
    "AND (v.model_id <> ?2 OR v.chunker <> ?3 OR ?4) "
    "AND NOT EXISTS (SELECT 1 FROM removals r WHERE r.document_id = d.id) "
    "AND NOT EXISTS (SELECT 1 FROM versions p WHERE p.document_id = d.id AND p.gen_from = 9223372036854775807) "
    "ORDER BY d.id LIMIT 1";

rag_code rag_writer_outdated(rag_writer *w, int64_t after, rag_arena *arena, rag_outdated *out, rag_err *err)
{
    sqlite3_stmt *q;
    bool row = false;
    *out = (rag_outdated){ 0 };
    rag_code code = db_query(w->db, &q, select_outdated,
                             BIND(num(after), num(w->model_id), text(rag_str_of(w->chunker)), num(w->full)), err);
    if (code == RAG_OK)
        code = db_step(w->db, q, &row, err);
    if (code == RAG_OK && row) {
        *out = (rag_outdated){ .document_id = sqlite3_column_int64(q, 0), .source_id = sqlite3_column_int64(q, 1),
                               .path = rag_arena_str(arena, column_str(q, 2)),
                               .title = rag_arena_str(arena, column_str(q, 3)),
                               .lang = (rag_lang)sqlite3_column_int(q, 4), .size = sqlite3_column_int64(q, 5),
                               .mtime_ns = sqlite3_column_int64(q, 6), .inode = sqlite3_column_int64(q, 7),
                               .read_ns = sqlite3_column_int64(q, 8),
                               .collection = rag_arena_str(arena, column_str(q, 10)),
                               .source_root = rag_arena_str(arena, column_str(q, 11)),
                               .groups = rag_arena_str(arena, column_str(q, 12)),
                               .prefix = rag_arena_str(arena, column_str(q, 13)),
                               .url = rag_arena_str(arena, column_str(q, 14)) };
        column_hash(q, 9, &out->sha256);
    }
    db_done(q);
    if (code == RAG_OK && !row)
        return RAG_NOT_FOUND;
    return code;
}
