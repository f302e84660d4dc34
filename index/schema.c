#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "index/store.h"
#include "index/tokenizer.h"

/* Version 1.  9223372036854775807 is FOREVER: gen_from of a pending row, gen_to of a live one. */
static const char create_1[] =
    "CREATE TABLE meta(key TEXT PRIMARY KEY, value ANY) STRICT, WITHOUT ROWID;"

    "CREATE TABLE models(id INTEGER PRIMARY KEY AUTOINCREMENT, sha256 BLOB NOT NULL UNIQUE, name TEXT NOT NULL,"
    " dim INTEGER NOT NULL) STRICT;"

    "CREATE TABLE generations(number INTEGER PRIMARY KEY AUTOINCREMENT, published_ns INTEGER NOT NULL,"
    " model_id INTEGER NOT NULL REFERENCES models(id), documents INTEGER NOT NULL, chunks INTEGER NOT NULL,"
    " added INTEGER NOT NULL, updated INTEGER NOT NULL, removed INTEGER NOT NULL) STRICT;"

    "CREATE TABLE collections(id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL UNIQUE,"
    " gen_from INTEGER NOT NULL DEFAULT 9223372036854775807) STRICT;"

    "CREATE TABLE sources(id INTEGER PRIMARY KEY AUTOINCREMENT,"
    " collection_id INTEGER NOT NULL REFERENCES collections(id), root TEXT NOT NULL, prefix TEXT NOT NULL,"
    " access TEXT NOT NULL, url TEXT NOT NULL, UNIQUE(collection_id, root)) STRICT;"

    "CREATE TABLE documents(id INTEGER PRIMARY KEY AUTOINCREMENT,"
    " collection_id INTEGER NOT NULL REFERENCES collections(id), path TEXT NOT NULL,"
    " UNIQUE(collection_id, path)) STRICT;"

    "CREATE TABLE versions(id INTEGER PRIMARY KEY AUTOINCREMENT,"
    " document_id INTEGER NOT NULL REFERENCES documents(id), gen_from INTEGER NOT NULL, gen_to INTEGER NOT NULL,"
    " source_id INTEGER NOT NULL REFERENCES sources(id), model_id INTEGER NOT NULL REFERENCES models(id),"
    " chunker TEXT NOT NULL, title TEXT NOT NULL, url TEXT NOT NULL, access TEXT NOT NULL, lang INTEGER NOT NULL,"
    " bytes INTEGER NOT NULL, n_chunks INTEGER NOT NULL, sha256 BLOB NOT NULL,"
    " size INTEGER NOT NULL, mtime_ns INTEGER NOT NULL, inode INTEGER NOT NULL, read_ns INTEGER NOT NULL,"
    " CHECK(gen_from < gen_to OR gen_from = 9223372036854775807)) STRICT;"
    "CREATE UNIQUE INDEX versions_live ON versions(document_id)"
    " WHERE gen_to = 9223372036854775807 AND gen_from < 9223372036854775807;"
    "CREATE UNIQUE INDEX versions_pending ON versions(document_id) WHERE gen_from = 9223372036854775807;"
    "CREATE INDEX versions_ended ON versions(gen_to) WHERE gen_to < 9223372036854775807;"
    "CREATE INDEX versions_document ON versions(document_id, gen_from);"

    "CREATE TABLE texts(id INTEGER PRIMARY KEY, version_id INTEGER NOT NULL REFERENCES versions(id),"
    " block INTEGER NOT NULL, lines INTEGER NOT NULL, bytes INTEGER NOT NULL, data BLOB NOT NULL,"
    " UNIQUE(version_id, block)) STRICT;"

    "CREATE TABLE embeddings(id INTEGER PRIMARY KEY AUTOINCREMENT, key BLOB NOT NULL,"
    " model_id INTEGER NOT NULL REFERENCES models(id), sum INTEGER NOT NULL, vector BLOB NOT NULL,"
    " UNIQUE(key, model_id)) STRICT;"

    "CREATE TABLE chunks(id INTEGER PRIMARY KEY AUTOINCREMENT, version_id INTEGER NOT NULL REFERENCES versions(id),"
    " ordinal INTEGER NOT NULL, start INTEGER NOT NULL, stop INTEGER NOT NULL, line_start INTEGER NOT NULL,"
    " line_end INTEGER NOT NULL, page INTEGER NOT NULL, tokens INTEGER NOT NULL, heading TEXT NOT NULL,"
    " embedding_id INTEGER NOT NULL REFERENCES embeddings(id), UNIQUE(version_id, ordinal)) STRICT;"
    "CREATE INDEX chunks_embedding ON chunks(embedding_id);"

    "CREATE VIEW chunk_content AS SELECT c.id AS id, v.title AS title, c.heading AS heading,"
    " rag_chunk_text(c.version_id, c.start, c.stop) AS body FROM chunks c JOIN versions v ON v.id = c.version_id;"
    "CREATE VIRTUAL TABLE chunk_fts USING fts5(title, heading, body, content='chunk_content', content_rowid='id',"
    " tokenize='ragd');";

/* steps[i] takes a file from version i to i + 1. */
static const char *const steps[SCHEMA_VERSION] = { create_1 };

/* ---- meta --------------------------------------------------------------------------------- */

rag_code meta_text(db *d, const char *key, char *out, size_t size, rag_err *err)
{
    sqlite3_stmt *st;
    bool row = false;
    out[0] = '\0';
    rag_code code = db_query(d, &st, "SELECT value FROM meta WHERE key = ?", BIND(text(rag_str_of(key))), err);
    if (code == RAG_OK)
        code = db_step(d, st, &row, err);
    if (code == RAG_OK && row)
        snprintf(out, size, "%.*s", RAG_STR_ARG(column_str(st, 0)));
    db_done(st);
    return code;
}

rag_code meta_number(db *d, const char *key, int64_t *out, rag_err *err)
{
    rag_code code = db_number(d, out, "SELECT value FROM meta WHERE key = ?", BIND(text(rag_str_of(key))), err);
    return code == RAG_NOT_FOUND ? RAG_OK : code;
}

static const char set_meta[] = "INSERT OR REPLACE INTO meta(key, value) VALUES(?, ?)";

rag_code meta_set_text(db *d, const char *key, const char *value, rag_err *err)
{
    return db_run(d, set_meta, BIND(text(rag_str_of(key)), text(rag_str_of(value))), err);
}

rag_code meta_set_number(db *d, const char *key, int64_t value, rag_err *err)
{
    return db_run(d, set_meta, BIND(text(rag_str_of(key)), num(value)), err);
}

void random_hex(char out[33])
{
    unsigned char bytes[16];
    rag_random(bytes, sizeof bytes);
    for (size_t i = 0; i < sizeof bytes; i++)
        snprintf(out + 2 * i, 3, "%02x", bytes[i]);
}

rag_code store_make_file(const char *file, rag_err *err)
{
    int fd = open(file, O_RDWR | O_CREAT | O_CLOEXEC, 0640);
    if (fd < 0)
        return rag_fail_errno(err, RAG_IO, errno, "cannot create '%s'", file);
    close(fd);
    return RAG_OK;
}

/* ---- checks and migration ------------------------------------------------------------------- */

typedef struct header {
    int64_t application_id, version, tables;
} header;

static rag_code read_header(db *d, header *out, rag_err *err)
{
    rag_code code = db_number(d, &out->application_id, "PRAGMA application_id", NO_VALUES, err);
    if (code == RAG_OK)
        code = db_number(d, &out->version, "PRAGMA user_version", NO_VALUES, err);
    if (code == RAG_OK)
        code = db_number(d, &out->tables, "SELECT count(*) FROM sqlite_schema", NO_VALUES, err);
    return code;
}

static rag_code judge(const header *h, const char *file, rag_err *err)
{
    bool is_empty = h->application_id == 0 && h->version == 0 && h->tables == 0;
    if (h->application_id != APPLICATION_ID && !is_empty)
        return rag_fail(err, RAG_CORRUPT, "'%s' is not a ragd knowledge base", file);
    if (h->version > SCHEMA_VERSION)
        return rag_fail(err, RAG_CONFIG, "'%s' has schema version %lld, this ragd knows up to %d", file,
                        (long long)h->version, SCHEMA_VERSION);
    return RAG_OK;
}

static rag_code number_store(db *d, rag_err *err)
{
    char id[33], epoch[33];
    random_hex(id);
    random_hex(epoch);
    rag_code code = meta_set_text(d, "store_id", id, err);
    if (code == RAG_OK)
        code = meta_set_text(d, "epoch", epoch, err);
    if (code == RAG_OK)
        code = meta_set_number(d, "tokenizer", TOKENIZER_VERSION, err);
    return code;
}

static rag_code migrate(db *d, int64_t from, rag_err *err)
{
    char pragmas[96];
    rag_code code = RAG_OK;
    for (int64_t v = from; code == RAG_OK && v < SCHEMA_VERSION; v++)
        code = db_exec(d, steps[v], err);
    if (code == RAG_OK && from == 0)
        code = number_store(d, err);
    snprintf(pragmas, sizeof pragmas, "PRAGMA application_id = %d; PRAGMA user_version = %d", APPLICATION_ID,
             SCHEMA_VERSION);
    return code == RAG_OK ? db_exec(d, pragmas, err) : code;
}

/* Another tokenizer's tokens would not be found: the text is there to make them again. */
static rag_code retokenize(db *d, rag_err *err)
{
    int64_t version;
    rag_code code = meta_number(d, "tokenizer", &version, err);
    if (code != RAG_OK || version == TOKENIZER_VERSION)
        return code;
    code = db_exec(d, "INSERT INTO chunk_fts(chunk_fts) VALUES('rebuild')", err);
    return code == RAG_OK ? meta_set_number(d, "tokenizer", TOKENIZER_VERSION, err) : code;
}

static rag_code change(db *d, const char *file, rag_err *err)
{
    header h;
    /* Looked at again inside the transaction: two programs may start on a fresh folder at once. */
    rag_code code = read_header(d, &h, err);
    if (code == RAG_OK)
        code = judge(&h, file, err);
    if (code == RAG_OK && h.version < SCHEMA_VERSION)
        code = migrate(d, h.version, err);
    if (code == RAG_OK)
        code = retokenize(d, err);
    return code;
}

rag_code schema_check(db *d, const char *file, rag_err *err)
{
    header h;
    rag_code code = read_header(d, &h, err);
    return code == RAG_OK ? judge(&h, file, err) : code;
}

static rag_code is_up_to_date(db *d, bool *out, rag_err *err)
{
    header h;
    int64_t tokens = 0;
    rag_code code = read_header(d, &h, err);
    if (code == RAG_OK && h.version == SCHEMA_VERSION)
        code = meta_number(d, "tokenizer", &tokens, err);
    *out = h.version == SCHEMA_VERSION && tokens == TOKENIZER_VERSION;
    return code;
}

rag_code schema_prepare(db *d, const char *file, rag_err *err)
{
    bool ready = false;
    rag_code code = schema_check(d, file, err);
    if (code == RAG_OK)
        code = is_up_to_date(d, &ready, err);
    if (code != RAG_OK || ready)
        return code;
    code = db_exec(d, "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; BEGIN IMMEDIATE", err);
    if (code != RAG_OK)
        return code;
    code = change(d, file, err);
    if (code == RAG_OK)
        code = db_exec(d, "COMMIT", err);
    if (code != RAG_OK)
        db_exec(d, "ROLLBACK", NULL);
    return code;
}
