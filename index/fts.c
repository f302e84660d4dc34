#include <stdlib.h>
#include <string.h>

#include "index/db.h"
#include "index/tokenizer.h"

typedef int fts5_token_fn(void *, int, const char *, int, int, int);

typedef struct sink {
    fts5_token_fn *put;
    void *context;
    bool with_stems;
} sink;

static int put_token(void *context, const token *t)
{
    const sink *s = context;
    char marked[64] = { MARK_STEM };
    int start = (int)t->start, end = (int)t->end;
    int rc = s->put(s->context, 0, t->exact.ptr, (int)t->exact.len, start, end);
    if (rc != SQLITE_OK || !s->with_stems || t->stem.len == 0 || t->stem.len >= sizeof marked)
        return rc;
    memcpy(marked + 1, t->stem.ptr, t->stem.len);
    return s->put(s->context, FTS5_TOKEN_COLOCATED, marked, (int)t->stem.len + 1, start, end);
}

/* A query of ours comes tokenised: it is taken apart at the marks, never tokenised again. */
static int put_marked(const sink *s, rag_str text)
{
    int rc = SQLITE_OK;
    for (size_t at = 1; rc == SQLITE_OK && at < text.len;) {
        const char *next = memchr(text.ptr + at, MARK_NEXT, text.len - at);
        size_t end = next ? (size_t)(next - text.ptr) : text.len;
        rc = s->put(s->context, 0, text.ptr + at, (int)(end - at), (int)at, (int)end);
        at = end + 1;
    }
    return rc;
}

static int tokenize(Fts5Tokenizer *self, void *context, int flags, const char *bytes, int n, fts5_token_fn *put)
{
    rag_str text = { bytes, n > 0 ? (size_t)n : 0 };
    bool is_query = flags & FTS5_TOKENIZE_QUERY;
    sink s = { put, context, !is_query };
    if (is_query && text.len > 0 && text.ptr[0] == MARK_QUERY)
        return put_marked(&s, text);
    return tokenizer_run((tokenizer *)self, text, put_token, &s);
}

static int create(void *context, const char **args, int n_args, Fts5Tokenizer **out)
{
    (void)context, (void)args, (void)n_args;
    *out = (Fts5Tokenizer *)tokenizer_new();
    return SQLITE_OK;
}

static void destroy(Fts5Tokenizer *self)
{
    tokenizer_free((tokenizer *)self);
}

static fts5_api *api_of(sqlite3 *handle)
{
    fts5_api *api = NULL;
    sqlite3_stmt *st = NULL;
    if (sqlite3_prepare_v2(handle, "SELECT fts5(?1)", -1, &st, NULL) == SQLITE_OK) {
        sqlite3_bind_pointer(st, 1, &api, "fts5_api_ptr", NULL);
        sqlite3_step(st);
    }
    sqlite3_finalize(st);
    return api;
}

rag_code fts_register(db *d, rag_err *err)
{
    fts5_tokenizer ours = { create, destroy, tokenize };
    fts5_api *api = api_of(db_handle(d));
    if (!api)
        return rag_fail(err, RAG_IO, "this SQLite %s has no FTS5", sqlite3_libversion());
    if (api->xCreateTokenizer(api, "ragd", NULL, &ours, NULL) != SQLITE_OK)
        return db_fail(d, err);
    return bm25_register(api) == SQLITE_OK ? RAG_OK : db_fail(d, err);
}
