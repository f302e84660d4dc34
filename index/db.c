#include "index/db.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"

enum {
    MAX_STATEMENTS = 96,
    READER_WAIT_MS = 5000,
    WRITER_WAIT_MS = 60000, /* verify and restore hold the write lock for a while */
    STEPS_PER_LOOK = 4000,  /* virtual machine steps between two looks at the clock */
};

struct db {
    sqlite3 *handle;
    char *file;
    struct {
        const char *sql;
        sqlite3_stmt *st;
    } statements[MAX_STATEMENTS];
    size_t n_statements;
    double deadline_ms;
    text_cache *texts;
};

/* ---- errors ---------------------------------------------------------------------------- */

/* sqlite3_system_errno() is often overwritten by then; the files themselves remember. */
static int last_errno(sqlite3 *handle, int which_file)
{
    sqlite3_file *file = NULL;
    int why = 0;
    if (sqlite3_file_control(handle, "main", which_file, &file) == SQLITE_OK && file && file->pMethods)
        file->pMethods->xFileControl(file, SQLITE_FCNTL_LAST_ERRNO, &why);
    return why;
}

static bool is_full(int why)
{
    return why == ENOSPC || why == EDQUOT || why == EFBIG;
}

static bool disk_is_full(sqlite3 *handle)
{
    return is_full(last_errno(handle, SQLITE_FCNTL_FILE_POINTER)) ||
           is_full(last_errno(handle, SQLITE_FCNTL_JOURNAL_POINTER)) || is_full(sqlite3_system_errno(handle));
}

static rag_code code_of(sqlite3 *handle)
{
    switch (sqlite3_errcode(handle) & 0xff) {
    case SQLITE_FULL:
        return RAG_FULL;
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
        return RAG_CORRUPT;
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
        return RAG_BUSY;
    case SQLITE_INTERRUPT:
        return RAG_DEADLINE;
    case SQLITE_IOERR:
        return disk_is_full(handle) ? RAG_FULL : RAG_IO;
    default:
        return RAG_IO;
    }
}

rag_code db_fail(db *d, rag_err *err)
{
    rag_code code = code_of(d->handle);
    if (code == RAG_DEADLINE)
        return rag_fail(err, code, "out of time while reading '%s'", d->file);
    if (code == RAG_FULL)
        return rag_fail(err, code, "cannot write '%s': disk is full", d->file);
    return rag_fail(err, code, "cannot use '%s': %s", d->file, sqlite3_errmsg(d->handle));
}

/* ---- open ------------------------------------------------------------------------------- */

static int look_at_clock(void *context)
{
    db *d = context;
    return d->deadline_ms > 0 && rag_clock_ms() > d->deadline_ms;
}

void db_set_deadline(db *d, double deadline_ms)
{
    d->deadline_ms = deadline_ms;
    sqlite3_progress_handler(d->handle, deadline_ms > 0 ? STEPS_PER_LOOK : 0, look_at_clock, d);
}

double db_deadline(const db *d)
{
    return d->deadline_ms;
}

static int flags_of(db_mode mode)
{
    switch (mode) {
    case DB_READ:
        return SQLITE_OPEN_READONLY | SQLITE_OPEN_NOMUTEX;
    case DB_WRITE:
        return SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX;
    default:
        return SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX;
    }
}

rag_code db_open(db **out, const char *file, db_mode mode, rag_err *err)
{
    *out = NULL;
    db *d = rag_calloc(1, sizeof *d);
    d->file = rag_strdup(file);
    d->texts = text_cache_new();
    rag_code code = RAG_OK;
    if (sqlite3_open_v2(file, &d->handle, flags_of(mode), NULL) != SQLITE_OK) {
        code = d->handle ? db_fail(d, err) : rag_fail(err, RAG_IO, "cannot open '%s': out of memory", file);
        goto out;
    }
    sqlite3_extended_result_codes(d->handle, 1);
    sqlite3_busy_timeout(d->handle, mode == DB_READ ? READER_WAIT_MS : WRITER_WAIT_MS);
    sqlite3_db_config(d->handle, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
    code = db_exec(d, "PRAGMA cell_size_check = ON; PRAGMA foreign_keys = ON; PRAGMA temp_store = MEMORY; "
                      "PRAGMA journal_size_limit = 16777216; PRAGMA cache_size = -1000", err);
    if (code == RAG_OK)
        code = text_register(d, err);
    if (code == RAG_OK)
        code = fts_register(d, err);
out:
    if (code != RAG_OK) {
        db_close(d);
        return code;
    }
    *out = d;
    return RAG_OK;
}

void db_close(db *d)
{
    if (!d)
        return;
    for (size_t i = 0; i < d->n_statements; i++)
        sqlite3_finalize(d->statements[i].st);
    sqlite3_close_v2(d->handle);
    text_cache_free(d->texts);
    free(d->file);
    free(d);
}

sqlite3 *db_handle(const db *d)
{
    return d->handle;
}

text_cache *db_text_cache(const db *d)
{
    return d->texts;
}

/* ---- statements --------------------------------------------------------------------------- */

rag_code db_exec(db *d, const char *sql, rag_err *err)
{
    return sqlite3_exec(d->handle, sql, NULL, NULL, NULL) == SQLITE_OK ? RAG_OK : db_fail(d, err);
}

static rag_code prepare(db *d, sqlite3_stmt **out, const char *sql, rag_err *err)
{
    *out = NULL;
    for (size_t i = 0; i < d->n_statements; i++)
        if (d->statements[i].sql == sql) {
            *out = d->statements[i].st;
            return RAG_OK;
        }
    if (d->n_statements == MAX_STATEMENTS)
        return rag_fail(err, RAG_IO, "too many statements on '%s'", d->file);
    if (sqlite3_prepare_v3(d->handle, sql, -1, SQLITE_PREPARE_PERSISTENT, out, NULL) != SQLITE_OK)
        return db_fail(d, err);
    d->statements[d->n_statements].sql = sql;
    d->statements[d->n_statements++].st = *out;
    return RAG_OK;
}

static int bind_one(sqlite3_stmt *st, int i, const bind_value *v)
{
    const char *bytes = v->bytes.len ? v->bytes.ptr : "";
    switch (v->kind) {
    case BIND_NUM:
        return sqlite3_bind_int64(st, i, v->number);
    case BIND_REAL:
        return sqlite3_bind_double(st, i, v->real);
    case BIND_TEXT:
        return sqlite3_bind_text64(st, i, bytes, v->bytes.len, SQLITE_STATIC, SQLITE_UTF8);
    case BIND_BLOB:
        return sqlite3_bind_blob64(st, i, bytes, v->bytes.len, SQLITE_STATIC);
    default:
        return sqlite3_bind_pointer(st, i, v->pointer, v->type, NULL);
    }
}

rag_code db_query(db *d, sqlite3_stmt **st, const char *sql, const bind_value *values, rag_err *err)
{
    rag_code code = prepare(d, st, sql, err);
    for (int i = 1; code == RAG_OK && values && values->kind != BIND_END; i++, values++)
        if (bind_one(*st, i, values) != SQLITE_OK)
            code = db_fail(d, err);
    return code;
}

rag_code db_step(db *d, sqlite3_stmt *st, bool *row, rag_err *err)
{
    int rc = sqlite3_step(st);
    *row = rc == SQLITE_ROW;
    return rc == SQLITE_ROW || rc == SQLITE_DONE ? RAG_OK : db_fail(d, err);
}

void db_done(sqlite3_stmt *st)
{
    if (st) {
        sqlite3_reset(st);
        sqlite3_clear_bindings(st);
    }
}

rag_code db_run(db *d, const char *sql, const bind_value *values, rag_err *err)
{
    sqlite3_stmt *st;
    bool row = true;
    rag_code code = db_query(d, &st, sql, values, err);
    while (code == RAG_OK && row)
        code = db_step(d, st, &row, err);
    db_done(st);
    return code;
}

rag_code db_number(db *d, int64_t *out, const char *sql, const bind_value *values, rag_err *err)
{
    sqlite3_stmt *st;
    bool row = false;
    *out = 0;
    rag_code code = db_query(d, &st, sql, values, err);
    if (code == RAG_OK)
        code = db_step(d, st, &row, err);
    if (code == RAG_OK && row)
        *out = sqlite3_column_int64(st, 0);
    db_done(st);
    return code == RAG_OK && !row ? RAG_NOT_FOUND : code;
}

int64_t db_changes(const db *d)
{
    return sqlite3_changes64(d->handle);
}

int64_t db_last_id(const db *d)
{
    return sqlite3_last_insert_rowid(d->handle);
}

rag_str column_str(sqlite3_stmt *st, int i)
{
    const char *bytes = sqlite3_column_blob(st, i);
    return (rag_str){ bytes, (size_t)sqlite3_column_bytes(st, i) };
}

bool column_hash(sqlite3_stmt *st, int i, rag_sha256 *out)
{
    rag_str s = column_str(st, i);
    if (s.len != sizeof out->bytes)
        return false;
    memcpy(out->bytes, s.ptr, sizeof out->bytes);
    return true;
}
