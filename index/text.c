#include <stdlib.h>
#include <string.h>
#include <zstd.h>

#include "index/db.h"

enum { BLOCK_BYTES = 64 * 1024, LEVEL = 3 };

struct text_cache {
    ZSTD_CCtx *compressor;
    ZSTD_DCtx *decompressor;
    int64_t version_id, block; /* of what `bytes` holds; version 0 = nothing */
    size_t len;
    size_t lines_before;
    char bytes[BLOCK_BYTES];
    char packed[ZSTD_COMPRESSBOUND(BLOCK_BYTES)];
};

text_cache *text_cache_new(void)
{
    return rag_calloc(1, sizeof(text_cache));
}

void text_cache_free(text_cache *c)
{
    if (!c)
        return;
    ZSTD_freeCCtx(c->compressor);
    ZSTD_freeDCtx(c->decompressor);
    free(c);
}

static size_t count_lines(rag_str s)
{
    size_t n = 0;
    for (const char *p = s.ptr, *end = s.ptr + s.len; p < end && (p = memchr(p, '\n', (size_t)(end - p))); p++)
        n++;
    return n;
}

static rag_code pack(text_cache *c, rag_str raw, rag_str *out, rag_err *err)
{
    if (!c->compressor) {
        c->compressor = ZSTD_createCCtx();
        ZSTD_CCtx_setParameter(c->compressor, ZSTD_c_compressionLevel, LEVEL);
        ZSTD_CCtx_setParameter(c->compressor, ZSTD_c_checksumFlag, 1);
    }
    size_t n = ZSTD_compress2(c->compressor, c->packed, sizeof c->packed, raw.ptr, raw.len);
    if (ZSTD_isError(n))
        return rag_fail(err, RAG_IO, "cannot compress a text: %s", ZSTD_getErrorName(n));
    *out = (rag_str){ c->packed, n };
    return RAG_OK;
}

rag_code text_put(db *d, int64_t version_id, rag_str s, rag_err *err)
{
    text_cache *c = db_text_cache(d);
    rag_code code = RAG_OK;
    size_t lines = 0;
    for (size_t at = 0, block = 0; code == RAG_OK && at < s.len; at += BLOCK_BYTES, block++) {
        rag_str raw = rag_str_sub(s, at, at + BLOCK_BYTES), packed = { 0 };
        code = pack(c, raw, &packed, err);
        if (code == RAG_OK)
            code = db_run(d, "INSERT INTO texts(version_id, block, lines, bytes, data) VALUES(?, ?, ?, ?, ?)",
                          BIND(num(version_id), num((int64_t)block), num((int64_t)lines), num((int64_t)raw.len),
                               blob(packed)),
                          err);
        lines += count_lines(raw);
    }
    return code;
}

static rag_code unpack(text_cache *c, rag_str packed, size_t bytes, int64_t version_id, rag_err *err)
{
    if (!c->decompressor)
        c->decompressor = ZSTD_createDCtx();
    size_t n = ZSTD_decompressDCtx(c->decompressor, c->bytes, sizeof c->bytes, packed.ptr, packed.len);
    if (ZSTD_isError(n) || n != bytes)
        return rag_fail(err, RAG_CORRUPT, "stored text of version %lld is damaged: %s", (long long)version_id,
                        ZSTD_isError(n) ? ZSTD_getErrorName(n) : "wrong length");
    c->len = n;
    return RAG_OK;
}

static rag_code load_block(db *d, int64_t version_id, int64_t block, rag_err *err)
{
    text_cache *c = db_text_cache(d);
    if (c->version_id == version_id && c->block == block)
        return RAG_OK;
    sqlite3_stmt *st;
    bool row = false;
    c->version_id = 0;
    rag_code code = db_query(d, &st, "SELECT data, bytes, lines FROM texts WHERE version_id = ? AND block = ?",
                             BIND(num(version_id), num(block)), err);
    if (code == RAG_OK)
        code = db_step(d, st, &row, err);
    if (code == RAG_OK && !row)
        code = rag_fail(err, RAG_CORRUPT, "stored text of version %lld is incomplete", (long long)version_id);
    if (code == RAG_OK)
        code = unpack(c, column_str(st, 0), (size_t)sqlite3_column_int64(st, 1), version_id, err);
    if (code == RAG_OK) {
        c->version_id = version_id;
        c->block = block;
        c->lines_before = (size_t)sqlite3_column_int64(st, 2);
    }
    db_done(st);
    return code;
}

rag_code text_get(db *d, int64_t version_id, size_t start, size_t end, rag_buf *out, rag_err *err)
{
    text_cache *c = db_text_cache(d);
    while (start < end) {
        rag_code code = load_block(d, version_id, (int64_t)(start / BLOCK_BYTES), err);
        if (code != RAG_OK)
            return code;
        size_t from = start % BLOCK_BYTES;
        size_t to = end - start < BLOCK_BYTES - from ? from + (end - start) : BLOCK_BYTES;
        if (to > c->len)
            return rag_fail(err, RAG_CORRUPT, "stored text of version %lld is too short", (long long)version_id);
        rag_buf_put(out, (rag_str){ c->bytes + from, to - from });
        start += to - from;
    }
    return RAG_OK;
}

rag_code text_line(db *d, int64_t version_id, size_t at, size_t *line, rag_err *err)
{
    *line = 1;
    if (at == 0)
        return RAG_OK;
    /* By the byte in front, so that the end of the text needs no block of its own. */
    text_cache *c = db_text_cache(d);
    rag_code code = load_block(d, version_id, (int64_t)((at - 1) / BLOCK_BYTES), err);
    if (code != RAG_OK)
        return code;
    size_t upto = (at - 1) % BLOCK_BYTES + 1;
    if (upto > c->len)
        return rag_fail(err, RAG_CORRUPT, "stored text of version %lld is too short", (long long)version_id);
    *line = 1 + c->lines_before + count_lines((rag_str){ c->bytes, upto });
    return RAG_OK;
}

static void sql_chunk_text(sqlite3_context *context, int n, sqlite3_value **v)
{
    (void)n;
    db *d = sqlite3_user_data(context);
    sqlite3_int64 start = sqlite3_value_int64(v[1]), end = sqlite3_value_int64(v[2]);
    rag_err why = { .code = RAG_CORRUPT, .message = "a chunk's range is wrong" };
    rag_code code = RAG_CORRUPT;
    rag_buf out;
    rag_buf_init(&out, RAG_MAX_TEXT);
    if (start >= 0 && end >= start && end <= RAG_MAX_TEXT)
        code = text_get(d, sqlite3_value_int64(v[0]), (size_t)start, (size_t)end, &out, &why);
    if (code == RAG_OK) {
        sqlite3_result_text64(context, out.len ? out.ptr : "", out.len, SQLITE_TRANSIENT, SQLITE_UTF8);
    } else {
        sqlite3_result_error(context, why.message, -1);
        sqlite3_result_error_code(context, code == RAG_CORRUPT ? SQLITE_CORRUPT : SQLITE_ERROR);
    }
    rag_buf_free(&out);
}

rag_code text_register(db *d, rag_err *err)
{
    int rc = sqlite3_create_function(db_handle(d), "rag_chunk_text", 3, SQLITE_UTF8 | SQLITE_INNOCUOUS, d,
                                     sql_chunk_text, NULL, NULL);
    return rc == SQLITE_OK ? RAG_OK : db_fail(d, err);
}
