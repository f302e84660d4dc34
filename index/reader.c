#include "index/reader.h"

#include <stdlib.h>
#include <string.h>

#include "base/utf8.h"
#include "index/tokenizer.h"

enum { MAX_HEADINGS = 16 };

rag_code rag_reader_open(rag_reader **out, rag_index *ix, rag_err *err)
{
    *out = NULL;
    rag_reader *r = rag_calloc(1, sizeof *r);
    r->ix = ix;
    r->bm25 = bm25_new();
    r->data_version = -1;
    rag_code code = db_open(&r->db, ix->file, DB_READ, err);
    if (code == RAG_OK)
        code = db_exec(r->db, "PRAGMA cache_size = -1000; CREATE VIRTUAL TABLE temp.vocabulary USING "
                              "fts5vocab('main', 'chunk_fts', 'row')", err);
    if (code != RAG_OK) {
        rag_reader_close(r);
        return code;
    }
    *out = r;
    return RAG_OK;
}

void rag_reader_close(rag_reader *r)
{
    if (!r)
        return;
    bm25_free(r->bm25);
    db_close(r->db);
    free(r->only);
    free(r);
}

/* ---- transactions ------------------------------------------------------------------------------ */

static rag_code check_state(rag_reader *r, const rag_snapshot *s, rag_err *err)
{
    char epoch[33];
    int64_t kept = 1;
    rag_code code = meta_text(r->db, "epoch", epoch, sizeof epoch, err);
    if (code == RAG_OK && s->state.generation)
        code = db_number(r->db, &kept, "SELECT count(*) FROM generations WHERE number = ?",
                         BIND(num(s->state.generation)), err);
    if (code == RAG_OK && (strcmp(epoch, s->state.epoch) != 0 || !kept))
        code = rag_fail(err, RAG_BUSY, "generation %lld is no longer in '%s': look for the current one",
                        (long long)s->state.generation, r->ix->file);
    return code;
}

rag_code reader_begin(rag_reader *r, const rag_snapshot *s, rag_err *err)
{
    rag_code code = db_exec(r->db, "BEGIN", err);
    if (code != RAG_OK)
        return code;
    code = check_state(r, s, err);
    if (code != RAG_OK)
        reader_end(r);
    return code;
}

void reader_end(rag_reader *r)
{
    db_set_deadline(r->db, 0);
    db_exec(r->db, "COMMIT", NULL);
}

/* ---- documents ---------------------------------------------------------------------------------- */

#define DOCUMENT_COLUMNS \
    "SELECT d.id, d.path, c.name, v.title, v.url, v.access, v.lang, v.bytes, v.n_chunks, v.sha256, v.mtime_ns, " \
    "v.gen_from FROM documents d JOIN collections c ON c.id = d.collection_id JOIN versions v ON v.document_id = d.id "

static rag_code take_document(sqlite3_stmt *q, rag_arena *arena, rag_document *out, rag_err *err)
{
    *out = (rag_document){ .id = sqlite3_column_int64(q, 0), .path = rag_arena_str(arena, column_str(q, 1)),
                           .collection = rag_arena_str(arena, column_str(q, 2)),
                           .title = rag_arena_str(arena, column_str(q, 3)),
                           .url = rag_arena_str(arena, column_str(q, 4)),
                           .groups = rag_arena_str(arena, column_str(q, 5)),
                           .lang = (rag_lang)sqlite3_column_int(q, 6), .bytes = (size_t)sqlite3_column_int64(q, 7),
                           .chunks = sqlite3_column_int64(q, 8), .mtime_ns = sqlite3_column_int64(q, 10),
                           .gen_from = sqlite3_column_int64(q, 11) };
    if (!column_hash(q, 9, &out->sha256))
        return rag_fail(err, RAG_CORRUPT, "document %lld has a damaged hash", (long long)out->id);
    return RAG_OK;
}

static bool admits(const rag_filter *f, sqlite3_stmt *q)
{
    rag_str wanted = f->collection.len ? f->collection : RAG_STR("default");
    bool all = rag_str_eq(wanted, RAG_STR("*"));
    return (all || rag_str_eq(column_str(q, 2), wanted)) && filter_admits(f, column_str(q, 5)) &&
           rag_str_starts(column_str(q, 1), f->path_prefix) &&
           filter_admits_document(f, (rag_lang)sqlite3_column_int(q, 6), sqlite3_column_int64(q, 10));
}

static rag_code list_documents(rag_reader *r, const rag_snapshot *s, const rag_filter *f, int64_t after, size_t limit,
                               rag_arena *arena, rag_document *list, size_t *n, rag_err *err)
{
    sqlite3_stmt *q;
    bool row = true;
    rag_code code = db_query(r->db, &q,
                             DOCUMENT_COLUMNS "WHERE v.gen_from <= ?1 AND v.gen_to > ?1 AND d.id > ?2 ORDER BY d.id",
                             BIND(num(s->state.generation), num(after)), err);
    while (code == RAG_OK && *n < limit && (code = db_step(r->db, q, &row, err)) == RAG_OK && row)
        if (admits(f, q))
            code = take_document(q, arena, &list[(*n)++], err);
    db_done(q);
    return code;
}

rag_code rag_reader_documents(rag_reader *r, rag_snapshot *s, const rag_filter *f, int64_t after, size_t limit,
                              rag_arena *arena, rag_document **out, size_t *n, rag_err *err)
{
    const filter *bits;
    *n = 0;
    *out = NULL;
    rag_code code = filter_get(s, f, &bits, err);
    if (code != RAG_OK)
        return code;
    filter_release(s, bits);
    if (limit > (size_t)s->documents)
        limit = (size_t)s->documents;
    *out = rag_arena_array(arena, limit ? limit : 1, sizeof **out);
    code = reader_begin(r, s, err);
    if (code != RAG_OK)
        return code;
    code = list_documents(r, s, f, after, limit, arena, *out, n, err);
    reader_end(r);
    return code;
}

static rag_code one_document(rag_reader *r, sqlite3_stmt *q, rag_arena *arena, rag_document *out, rag_err *err)
{
    bool row = false;
    rag_code code = db_step(r->db, q, &row, err);
    if (code == RAG_OK && !row)
        return RAG_NOT_FOUND;
    return code == RAG_OK ? take_document(q, arena, out, err) : code;
}

rag_code rag_reader_document(rag_reader *r, rag_snapshot *s, int64_t id, rag_arena *arena, rag_document *out,
                             rag_err *err)
{
    sqlite3_stmt *q = NULL;
    rag_code code = reader_begin(r, s, err);
    if (code != RAG_OK)
        return code;
    code = db_query(r->db, &q, DOCUMENT_COLUMNS "WHERE d.id = ?2 AND v.gen_from <= ?1 AND v.gen_to > ?1",
                    BIND(num(s->state.generation), num(id)), err);
    if (code == RAG_OK)
        code = one_document(r, q, arena, out, err);
    db_done(q);
    reader_end(r);
    return code == RAG_NOT_FOUND ? rag_fail(err, code, "no document %lld", (long long)id) : code;
}

rag_code rag_reader_document_by_path(rag_reader *r, rag_snapshot *s, rag_str collection, rag_str path,
                                     rag_arena *arena, rag_document *out, rag_err *err)
{
    sqlite3_stmt *q = NULL;
    rag_str name = collection.len ? collection : RAG_STR("default");
    rag_code code = reader_begin(r, s, err);
    if (code != RAG_OK)
        return code;
    code = db_query(r->db, &q,
                    DOCUMENT_COLUMNS "WHERE c.name = ?2 AND d.path = ?3 AND v.gen_from <= ?1 AND v.gen_to > ?1",
                    BIND(num(s->state.generation), text(name), text(path)), err);
    if (code == RAG_OK)
        code = one_document(r, q, arena, out, err);
    db_done(q);
    reader_end(r);
    return code == RAG_NOT_FOUND ? rag_fail(err, code, "no document '%.*s'", RAG_STR_ARG(path)) : code;
}

/* ---- texts -------------------------------------------------------------------------------------- */

static rag_code find_version(rag_reader *r, const rag_snapshot *s, int64_t document, int64_t *version, size_t *bytes,
                             rag_err *err)
{
    sqlite3_stmt *q;
    bool row = false;
    rag_code code = db_query(r->db, &q,
                             "SELECT id, bytes FROM versions WHERE document_id = ?1 AND gen_from <= ?2 AND gen_to > ?2",
                             BIND(num(document), num(s->state.generation)), err);
    if (code == RAG_OK)
        code = db_step(r->db, q, &row, err);
    if (code == RAG_OK && row) {
        *version = sqlite3_column_int64(q, 0);
        *bytes = (size_t)sqlite3_column_int64(q, 1);
    }
    db_done(q);
    return code == RAG_OK && !row ? rag_fail(err, RAG_NOT_FOUND, "no document %lld", (long long)document) : code;
}

/* Whether the text begins or ends a character at this byte; both ends of the text do. */
static rag_code check_boundary(rag_reader *r, int64_t version, size_t at, size_t bytes, rag_err *err)
{
    if (at == bytes)
        return RAG_OK;
    rag_buf one;
    rag_buf_init(&one, 8);
    rag_code code = text_get(r->db, version, at, at + 1, &one, err);
    /* The buffer's ceiling would cut a broken character off, so its first byte is looked at in place. */
    bool inside = code == RAG_OK && one.len == 1 && ((unsigned char)one.ptr[0] & 0xC0) == 0x80;
    rag_buf_free(&one);
    return inside ? rag_fail(err, RAG_INVALID, "byte %zu lies inside a character", at) : code;
}

rag_code rag_reader_text(rag_reader *r, rag_snapshot *s, int64_t document_id, size_t start, size_t end,
                         rag_buf *out, rag_err *err)
{
    int64_t version = 0;
    size_t bytes = 0;
    rag_code code = reader_begin(r, s, err);
    if (code != RAG_OK)
        return code;
    code = find_version(r, s, document_id, &version, &bytes, err);
    if (end == SIZE_MAX)
        end = bytes;
    if (code == RAG_OK && (start > end || end > bytes))
        code = rag_fail(err, RAG_INVALID, "bytes %zu to %zu are not inside the text of %zu bytes", start, end, bytes);
    if (code == RAG_OK)
        code = check_boundary(r, version, start, bytes, err);
    if (code == RAG_OK)
        code = check_boundary(r, version, end, bytes, err);
    if (code == RAG_OK)
        code = text_get(r->db, version, start, end, out, err);
    reader_end(r);
    return code;
}

rag_code rag_reader_line(rag_reader *r, rag_snapshot *s, int64_t document_id, size_t at, size_t *line, rag_err *err)
{
    int64_t version = 0;
    size_t bytes = 0;
    rag_code code = reader_begin(r, s, err);
    if (code != RAG_OK)
        return code;
    code = find_version(r, s, document_id, &version, &bytes, err);
    if (code == RAG_OK && at > bytes)
        code = rag_fail(err, RAG_INVALID, "byte %zu is not inside the text of %zu bytes", at, bytes);
    if (code == RAG_OK)
        code = text_line(r->db, version, at, line, err);
    reader_end(r);
    return code;
}

const rag_str *reader_split_heading(rag_str heading, rag_arena *arena, size_t *n)
{
    *n = 0;
    if (heading.len == 0)
        return NULL;
    rag_str *list = rag_arena_array(arena, MAX_HEADINGS, sizeof *list);
    for (size_t at = 0; at <= heading.len && *n < MAX_HEADINGS;) {
        size_t newline = rag_str_find(heading, RAG_STR("\n"), at);
        size_t end = newline == SIZE_MAX ? heading.len : newline;
        list[(*n)++] = rag_arena_str(arena, rag_str_sub(heading, at, end));
        at = end + 1;
    }
    return list;
}

/* ---- frequencies ---------------------------------------------------------------------------------- */

/* Counted once for each state of kb.db: a question asks for every term. */
static rag_code count_rows(rag_reader *r, int64_t *rows, rag_err *err)
{
    int64_t version;
    rag_code code = db_number(r->db, &version, "PRAGMA data_version", NO_VALUES, err);
    if (code == RAG_OK && version != r->data_version)
        code = db_number(r->db, &r->rows, "SELECT coalesce(sum(n_chunks), 0) FROM versions", NO_VALUES, err);
    if (code == RAG_OK)
        r->data_version = version;
    *rows = r->rows;
    return code;
}

rag_code rag_reader_frequency(rag_reader *r, const rag_term *term, int64_t *df, int64_t *rows, rag_err *err)
{
    char marked[64] = { MARK_STEM };
    rag_str indexed = term->exact;
    if (term->stem.ptr != term->exact.ptr && term->stem.len < sizeof marked) {
        memcpy(marked + 1, term->stem.ptr, term->stem.len);
        indexed = (rag_str){ marked, term->stem.len + 1 };
    }
    rag_code code = db_number(r->db, df, "SELECT doc FROM vocabulary WHERE term = ?", BIND(text(indexed)), err);
    if (code == RAG_NOT_FOUND)
        code = RAG_OK;
    return code == RAG_OK ? count_rows(r, rows, err) : code;
}
