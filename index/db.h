/* index/db.h: one SQLite connection of this room: opening, errors, statements, transactions.
 *
 * Every connection knows the tokenizer, rag_bm25() and rag_chunk_text(), without which the schema
 * cannot be used.  Statements are prepared once and found again by the address of their text,
 * so the SQL stands where it is used.
 *
 * Threads: one at a time. */
#ifndef RAG_INDEX_DB_H
#define RAG_INDEX_DB_H

#include <sqlite3.h>

#include "base/digest.h"
#include "base/err.h"
#include "base/str.h"

typedef struct db db;

typedef enum db_mode { DB_READ, DB_WRITE, DB_CREATE } db_mode;

rag_code db_open(db **out, const char *file, db_mode mode, rag_err *err);
void db_close(db *d); /* copes with NULL */
sqlite3 *db_handle(const db *d);

/* A value to bind: BIND(num(id), text(path)). */
typedef struct bind_value {
    enum { BIND_END, BIND_NUM, BIND_REAL, BIND_TEXT, BIND_BLOB, BIND_POINTER } kind;
    int64_t number;
    double real;
    rag_str bytes; /* must outlive the statement's run */
    void *pointer;
    const char *type;
} bind_value;

#define BIND(...) ((const bind_value[]){ __VA_ARGS__, { .kind = BIND_END } })
#define NO_VALUES NULL

static inline bind_value num(int64_t n)
{
    return (bind_value){ .kind = BIND_NUM, .number = n };
}
static inline bind_value real(double x)
{
    return (bind_value){ .kind = BIND_REAL, .real = x };
}
static inline bind_value text(rag_str s)
{
    return (bind_value){ .kind = BIND_TEXT, .bytes = s };
}
static inline bind_value blob(rag_str s)
{
    return (bind_value){ .kind = BIND_BLOB, .bytes = s };
}
static inline bind_value hash(const rag_sha256 *h)
{
    return blob((rag_str){ (const char *)h->bytes, sizeof h->bytes });
}
static inline bind_value pointer(void *p, const char *type)
{
    return (bind_value){ .kind = BIND_POINTER, .pointer = p, .type = type };
}

/* Several statements, nothing bound. */
rag_code db_exec(db *d, const char *sql, rag_err *err);
/* One statement to its end; rows are ignored. */
rag_code db_run(db *d, const char *sql, const bind_value *values, rag_err *err);
/* One statement, to be stepped. `sql` must be a literal.  The statement belongs to the connection; reset it with
 * db_done (also after an error; copes with NULL). */
rag_code db_query(db *d, sqlite3_stmt **st, const char *sql, const bind_value *values, rag_err *err);
rag_code db_step(db *d, sqlite3_stmt *st, bool *row, rag_err *err);
void db_done(sqlite3_stmt *st);
/* The first column of the first row; RAG_NOT_FOUND, without a sentence, when there is none. */
rag_code db_number(db *d, int64_t *out, const char *sql, const bind_value *values, rag_err *err);
int64_t db_changes(const db *d);
int64_t db_last_id(const db *d);

rag_str column_str(sqlite3_stmt *st, int i); /* text or blob, until the next step */
bool column_hash(sqlite3_stmt *st, int i, rag_sha256 *out);

/* What SQLite last said, as our error: FULL → RAG_FULL, CORRUPT and NOTADB → RAG_CORRUPT, BUSY → RAG_BUSY,
 * INTERRUPT → RAG_DEADLINE. */
rag_code db_fail(db *d, rag_err *err);

/* Statements end with RAG_DEADLINE once rag_clock_ms passes it; 0 = no deadline. */
void db_set_deadline(db *d, double deadline_ms);
double db_deadline(const db *d);

/* ---- stored texts (text.c) ------------------------------------------------------------ */

typedef struct text_cache text_cache; /* the block last read, and zstd's contexts */
text_cache *text_cache_new(void);
void text_cache_free(text_cache *c);
text_cache *db_text_cache(const db *d);

/* Stores a text in compressed blocks, each with zstd's checksum, so that any range is read without the rest. */
rag_code text_put(db *d, int64_t version_id, rag_str s, rag_err *err);
/* Appends bytes [start, end); the range must lie inside.  RAG_CORRUPT when a block is missing or damaged. */
rag_code text_get(db *d, int64_t version_id, size_t start, size_t end, rag_buf *out, rag_err *err);
/* The line, from 1, in which byte `at` lies. */
rag_code text_line(db *d, int64_t version_id, size_t at, size_t *line, rag_err *err);
/* SQL: rag_chunk_text(version_id, start, end). */
rag_code text_register(db *d, rag_err *err);

/* ---- full text (fts.c, bm25.c) -------------------------------------------------------- */

rag_code fts_register(db *d, rag_err *err);
int bm25_register(fts5_api *api);

/* ---- named crash points (crash.c) ------------------------------------------------------- */

/* Kills the process when RAGD_CRASH_AT is "name", or at the n-th pass with "name:n": how tests prove the
 * crash story of docs/FORMAT.md. */
void crash_point(const char *name);

#endif
