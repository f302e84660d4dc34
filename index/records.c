#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <zstd.h>

#include "base/file.h"
#include "index/records_impl.h"
#include "index/store.h"

/* "RAGS" */
#define RECORDS_APPLICATION_ID 0x52414753
enum {
    RECORDS_VERSION = 1,
    LEVEL = 3,
    WAIT_MS = 2000, /* for another process's lock, with our mutex held */
    MAX_LIST = 1000,
};

static const int64_t ms_ns = 1000000, day_ns = 24 * 3600 * INT64_C(1000000000);

static const char create_1[] =
    "CREATE TABLE answers(number INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE,"
    " created_ns INTEGER NOT NULL, conversation TEXT NOT NULL, collection TEXT NOT NULL, generation INTEGER NOT NULL,"
    " question TEXT NOT NULL, resolved TEXT NOT NULL, outcome TEXT NOT NULL, mode TEXT NOT NULL,"
    " confidence REAL NOT NULL, audit_bytes INTEGER NOT NULL, audit BLOB NOT NULL) STRICT;"
    "CREATE INDEX answers_created ON answers(created_ns);"
    "CREATE INDEX answers_conversation ON answers(conversation) WHERE conversation <> '';"

    "CREATE TABLE conversations(number INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE,"
    " owner TEXT NOT NULL, created_ns INTEGER NOT NULL, used_ns INTEGER NOT NULL, turns INTEGER NOT NULL) STRICT;"
    "CREATE INDEX conversations_used ON conversations(used_ns);"

    "CREATE TABLE turns(id INTEGER PRIMARY KEY,"
    " conversation INTEGER NOT NULL REFERENCES conversations(number) ON DELETE CASCADE, ordinal INTEGER NOT NULL,"
    " question TEXT NOT NULL, resolved TEXT NOT NULL, answer TEXT NOT NULL, answer_id TEXT NOT NULL,"
    " documents TEXT NOT NULL, UNIQUE(conversation, ordinal)) STRICT;";

/* steps[i] takes a file from version i to i + 1. */
static const char *const steps[RECORDS_VERSION] = { create_1 };

/* ---- open ------------------------------------------------------------------------------------ */

static void fill_defaults(rag_records_options *o)
{
    o->max_answers = o->max_answers > 0 ? o->max_answers : 10000;
    o->keep_days = o->keep_days > 0 ? o->keep_days : 30;
    o->max_conversations = o->max_conversations > 0 ? o->max_conversations : 10000;
    o->max_turns = o->max_turns > 0 ? o->max_turns : 20;
    o->conversation_ms = o->conversation_ms > 0 ? o->conversation_ms : day_ns / ms_ns;
    o->dir = NULL;
}

/* *version: -1 = an empty file. */
static rag_code read_version(db *d, const char *file, int64_t *version, rag_err *err)
{
    int64_t application_id = 0, tables = 0;
    rag_code code = db_number(d, &application_id, "PRAGMA application_id", NO_VALUES, err);
    if (code == RAG_OK)
        code = db_number(d, version, "PRAGMA user_version", NO_VALUES, err);
    if (code == RAG_OK)
        code = db_number(d, &tables, "SELECT count(*) FROM sqlite_schema", NO_VALUES, err);
    if (code != RAG_OK)
        return code;
    if (application_id == 0 && *version == 0 && tables == 0)
        *version = -1;
    else if (application_id != RECORDS_APPLICATION_ID)
        return rag_fail(err, RAG_CORRUPT, "'%s' does not hold ragd's records", file);
    if (*version > RECORDS_VERSION)
        return rag_fail(err, RAG_CONFIG, "'%s' has schema version %lld, this ragd knows up to %d", file,
                        (long long)*version, RECORDS_VERSION);
    return RAG_OK;
}

/* In a transaction: two programs may start on a fresh folder at once. */
static rag_code migrate(db *d, const char *file, rag_err *err)
{
    char pragmas[96];
    int64_t version = 0;
    rag_code code = read_version(d, file, &version, err);
    if (code != RAG_OK)
        return code;
    for (int64_t v = version < 0 ? 0 : version; code == RAG_OK && v < RECORDS_VERSION; v++)
        code = db_exec(d, steps[v], err);
    snprintf(pragmas, sizeof pragmas, "PRAGMA application_id = %d; PRAGMA user_version = %d", RECORDS_APPLICATION_ID,
             RECORDS_VERSION);
    return code == RAG_OK ? db_exec(d, pragmas, err) : code;
}

static rag_code prepare(db *d, const char *file, bool read_only, rag_err *err)
{
    int64_t version = 0;
    rag_code code = read_version(d, file, &version, err);
    if (code == RAG_OK && read_only && version < 0)
        return rag_fail(err, RAG_NOT_FOUND, "'%s' holds no records yet", file);
    if (code == RAG_OK && read_only && version < RECORDS_VERSION)
        return rag_fail(err, RAG_CONFIG, "'%s' is of an older ragd: start ragd once to migrate it", file);
    if (code == RAG_OK && !read_only)
        code = db_exec(d, "PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; PRAGMA secure_delete = FAST; "
                          "PRAGMA wal_autocheckpoint = 256", err);
    if (code != RAG_OK || version == RECORDS_VERSION)
        return code;
    code = db_exec(d, "BEGIN IMMEDIATE", err);
    if (code == RAG_OK)
        code = migrate(d, file, err);
    if (code == RAG_OK)
        code = db_exec(d, "COMMIT", err);
    if (code != RAG_OK)
        db_exec(d, "ROLLBACK", NULL);
    return code;
}

static rag_code open_file(rag_records *r, const char *file, rag_err *err)
{
    struct stat st;
    rag_code code = RAG_OK;
    if (r->opt.read_only && stat(file, &st) < 0)
        return rag_fail_errno(err, RAG_IO, errno, "cannot open '%s'", file);
    if (!r->opt.read_only)
        code = store_make_file(file, err);
    if (code == RAG_OK)
        code = db_open(&r->db, file, r->opt.read_only ? DB_READ : DB_WRITE, err);
    if (code == RAG_OK)
        sqlite3_busy_timeout(db_handle(r->db), WAIT_MS);
    if (code == RAG_OK)
        code = prepare(r->db, file, r->opt.read_only, err);
    if (code == RAG_OK)
        code = db_number(r->db, &r->n_answers, "SELECT count(*) FROM answers", NO_VALUES, err);
    if (code == RAG_OK)
        code = db_number(r->db, &r->n_conversations, "SELECT count(*) FROM conversations", NO_VALUES, err);
    return code;
}

rag_code rag_records_open(rag_records **out, const rag_records_options *opt, rag_err *err)
{
    *out = NULL;
    rag_records *r = rag_calloc(1, sizeof *r);
    char *file = rag_path_join(opt->dir, "state.db");
    r->opt = *opt;
    fill_defaults(&r->opt);
    pthread_mutex_init(&r->mu, NULL);
    rag_code code = open_file(r, file, err);
    free(file);
    if (code != RAG_OK) {
        rag_records_close(r);
        return code;
    }
    *out = r;
    return RAG_OK;
}

void rag_records_close(rag_records *r)
{
    if (!r)
        return;
    db_close(r->db);
    pthread_mutex_destroy(&r->mu);
    free(r);
}

rag_code rag_records_set_aside(const char *dir, rag_err *err)
{
    static const char *const files[][2] = {
        { "state.db", "state.db.damaged" },
        { "state.db-wal", "state.db.damaged-wal" },
        { "state.db-shm", "state.db.damaged-shm" },
    };
    rag_code code = RAG_OK;
    for (size_t i = 0; code == RAG_OK && i < sizeof files / sizeof *files; i++) {
        char *from = rag_path_join(dir, files[i][0]), *to = rag_path_join(dir, files[i][1]);
        /* An earlier WAL must not stay beside this file. */
        if (rename(from, to) < 0 && (errno != ENOENT || (remove(to) < 0 && errno != ENOENT)))
            code = rag_fail_errno(err, RAG_IO, errno, "cannot set '%s' aside", from);
        free(from);
        free(to);
    }
    return code;
}

/* ---- bounds ---------------------------------------------------------------------------------- */

int64_t records_now(const rag_records *r)
{
    return r->opt.now_ns ? r->opt.now_ns(r->opt.clock) : rag_clock_wall_ns();
}

int64_t records_oldest_answer(const rag_records *r)
{
    return records_now(r) - r->opt.keep_days * day_ns;
}

int64_t records_oldest_conversation(const rag_records *r)
{
    return records_now(r) - r->opt.conversation_ms * ms_ns;
}

static int64_t at_most_step(int64_t n)
{
    return n < 0 ? 0 : n < RECORDS_STEP ? n : RECORDS_STEP;
}

static rag_code prune_answers(rag_records *r, rag_err *err)
{
    rag_code code = db_run(r->db, "DELETE FROM answers WHERE number IN (SELECT number FROM answers WHERE created_ns < ?"
                                  " ORDER BY created_ns LIMIT ?)",
                           BIND(num(records_oldest_answer(r)), num(RECORDS_STEP)), err);
    if (code != RAG_OK)
        return code;
    r->n_answers -= db_changes(r->db);
    int64_t surplus = at_most_step(r->n_answers - r->opt.max_answers);
    if (surplus == 0)
        return RAG_OK;
    code = db_run(r->db, "DELETE FROM answers WHERE number IN (SELECT number FROM answers ORDER BY number LIMIT ?)",
                  BIND(num(surplus)), err);
    if (code == RAG_OK)
        r->n_answers -= db_changes(r->db);
    return code;
}

static rag_code prune_conversations(rag_records *r, rag_err *err)
{
    rag_code code = db_run(r->db, "DELETE FROM conversations WHERE number IN (SELECT number FROM conversations"
                                  " WHERE used_ns < ? ORDER BY used_ns LIMIT ?)",
                           BIND(num(records_oldest_conversation(r)), num(RECORDS_STEP)), err);
    if (code != RAG_OK)
        return code;
    r->n_conversations -= db_changes(r->db);
    int64_t surplus = at_most_step(r->n_conversations - r->opt.max_conversations);
    if (surplus == 0)
        return RAG_OK;
    code = db_run(r->db, "DELETE FROM conversations WHERE number IN (SELECT number FROM conversations"
                         " ORDER BY used_ns, number LIMIT ?)",
                  BIND(num(surplus)), err);
    if (code == RAG_OK)
        r->n_conversations -= db_changes(r->db);
    return code;
}

static rag_code prune(rag_records *r, rag_err *err)
{
    rag_code code = prune_answers(r, err);
    return code == RAG_OK ? prune_conversations(r, err) : code;
}

rag_code records_begin(rag_records *r, rag_err *err)
{
    pthread_mutex_lock(&r->mu);
    if (r->opt.read_only)
        return rag_fail(err, RAG_DENIED, "the records are open for reading only");
    return db_exec(r->db, "BEGIN IMMEDIATE", err);
}

/* After a rollback the counts are whatever the file says; where even that fails they stay, and the next open counts. */
static void roll_back(rag_records *r)
{
    int64_t n;
    if (sqlite3_get_autocommit(db_handle(r->db)))
        return;
    db_exec(r->db, "ROLLBACK", NULL);
    if (db_number(r->db, &n, "SELECT count(*) FROM answers", NO_VALUES, NULL) == RAG_OK)
        r->n_answers = n;
    if (db_number(r->db, &n, "SELECT count(*) FROM conversations", NO_VALUES, NULL) == RAG_OK)
        r->n_conversations = n;
}

rag_code records_end(rag_records *r, rag_code code, rag_err *err)
{
    if (code == RAG_OK)
        code = prune(r, err);
    if (code == RAG_OK)
        code = db_exec(r->db, "COMMIT", err);
    if (code != RAG_OK)
        roll_back(r);
    pthread_mutex_unlock(&r->mu);
    return code;
}

rag_code rag_records_prune(rag_records *r, bool *more, rag_err *err)
{
    int64_t before = 0;
    rag_code code = records_begin(r, err);
    before = r->n_answers + r->n_conversations;
    if (code == RAG_OK)
        code = prune(r, err);
    *more = code == RAG_OK && r->n_answers + r->n_conversations < before;
    return records_end(r, code, err);
}

/* ---- answers --------------------------------------------------------------------------------- */

rag_code records_check_length(const char *what, rag_str s, size_t max, rag_err *err)
{
    return s.len <= max ? RAG_OK : rag_fail(err, RAG_TOO_LARGE, "%s has more than %zu bytes", what, max);
}

rag_code records_check_name(const char *what, rag_str s, bool may_be_empty, rag_err *err)
{
    if (s.len == 0 && !may_be_empty)
        return rag_fail(err, RAG_INVALID, "%s is empty", what);
    return records_check_length(what, s, RAG_RECORD_NAME, err);
}

static rag_code check(const rag_record *a, rag_err *err)
{
    rag_code code = records_check_name("answer_id", a->answer_id, false, err);
    if (code == RAG_OK)
        code = records_check_name("conversation_id", a->conversation_id, true, err);
    if (code == RAG_OK)
        code = records_check_name("collection", a->collection, true, err);
    if (code == RAG_OK)
        code = records_check_name("outcome", a->outcome, true, err);
    if (code == RAG_OK)
        code = records_check_name("mode", a->mode, true, err);
    if (code == RAG_OK)
        code = records_check_length("question", a->question, RAG_MAX_QUERY, err);
    if (code == RAG_OK)
        code = records_check_length("resolved question", a->resolved, RAG_MAX_QUERY, err);
    return code == RAG_OK ? records_check_length("audit record", a->audit, RAG_RECORD_AUDIT, err) : code;
}

/* *out is to be freed. */
static rag_code pack(rag_str raw, rag_str *out, rag_err *err)
{
    size_t bound = ZSTD_compressBound(raw.len);
    char *bytes = rag_alloc(bound);
    ZSTD_CCtx *c = ZSTD_createCCtx();
    ZSTD_CCtx_setParameter(c, ZSTD_c_compressionLevel, LEVEL);
    ZSTD_CCtx_setParameter(c, ZSTD_c_checksumFlag, 1);
    size_t n = ZSTD_compress2(c, bytes, bound, raw.ptr, raw.len);
    ZSTD_freeCCtx(c);
    *out = (rag_str){ bytes, ZSTD_isError(n) ? 0 : n };
    return ZSTD_isError(n) ? rag_fail(err, RAG_IO, "cannot compress a record: %s", ZSTD_getErrorName(n)) : RAG_OK;
}

static rag_code insert(rag_records *r, const rag_record *a, rag_str packed, rag_err *err)
{
    rag_code code = db_run(r->db, "INSERT INTO answers(id, created_ns, conversation, collection, generation, question,"
                                  " resolved, outcome, mode, confidence, audit_bytes, audit)"
                                  " VALUES(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT(id) DO NOTHING",
                           BIND(text(a->answer_id), num(records_now(r)), text(a->conversation_id), text(a->collection),
                                num(a->generation), text(a->question), text(a->resolved), text(a->outcome),
                                text(a->mode), real(a->confidence), num((int64_t)a->audit.len), blob(packed)),
                           err);
    if (code == RAG_OK && db_changes(r->db) == 0)
        code = rag_fail(err, RAG_INVALID, "answer '%.*s' is recorded already", RAG_STR_ARG(a->answer_id));
    if (code == RAG_OK)
        r->n_answers++;
    return code;
}

rag_code rag_records_put(rag_records *r, const rag_record *record, rag_err *err)
{
    rag_str packed = { 0 };
    rag_code code = check(record, err);
    if (code == RAG_OK)
        code = pack(record->audit, &packed, err);
    if (code == RAG_OK) {
        code = records_begin(r, err);
        if (code == RAG_OK)
            code = insert(r, record, packed, err);
        code = records_end(r, code, err);
    }
    free((char *)packed.ptr);
    return code;
}

static rag_code unpack(rag_str packed, int64_t bytes, rag_arena *arena, rag_str *out, rag_err *err)
{
    if (bytes < 0 || bytes > RAG_RECORD_AUDIT)
        return rag_fail(err, RAG_CORRUPT, "an audit record's length is wrong");
    char *raw = rag_arena_alloc(arena, (size_t)bytes + 1);
    size_t n = ZSTD_decompress(raw, (size_t)bytes, packed.ptr, packed.len);
    if (ZSTD_isError(n) || n != (size_t)bytes)
        return rag_fail(err, RAG_CORRUPT, "an audit record is damaged: %s",
                        ZSTD_isError(n) ? ZSTD_getErrorName(n) : "wrong length");
    *out = (rag_str){ raw, n };
    return RAG_OK;
}

#define COLUMNS "number, created_ns, id, conversation, collection, generation, question, resolved, outcome, mode, confidence"

static void take(sqlite3_stmt *st, rag_arena *arena, rag_record *out)
{
    *out = (rag_record){
        .number = sqlite3_column_int64(st, 0),
        .created_ns = sqlite3_column_int64(st, 1),
        .answer_id = rag_arena_str(arena, column_str(st, 2)),
        .conversation_id = rag_arena_str(arena, column_str(st, 3)),
        .collection = rag_arena_str(arena, column_str(st, 4)),
        .generation = sqlite3_column_int64(st, 5),
        .question = rag_arena_str(arena, column_str(st, 6)),
        .resolved = rag_arena_str(arena, column_str(st, 7)),
        .outcome = rag_arena_str(arena, column_str(st, 8)),
        .mode = rag_arena_str(arena, column_str(st, 9)),
        .confidence = sqlite3_column_double(st, 10),
    };
}

rag_code rag_records_get(rag_records *r, rag_str answer_id, rag_arena *arena, rag_record *out, rag_err *err)
{
    sqlite3_stmt *st = NULL;
    bool row = false;
    pthread_mutex_lock(&r->mu);
    rag_code code = db_query(r->db, &st, "SELECT " COLUMNS ", audit_bytes, audit FROM answers WHERE id = ?"
                                         " AND created_ns >= ?",
                             BIND(text(answer_id), num(records_oldest_answer(r))), err);
    if (code == RAG_OK)
        code = db_step(r->db, st, &row, err);
    if (code == RAG_OK && !row)
        code = rag_fail(err, RAG_NOT_FOUND, "no answer '%.*s' is recorded", RAG_STR_ARG(answer_id));
    if (code == RAG_OK) {
        take(st, arena, out);
        code = unpack(column_str(st, 12), sqlite3_column_int64(st, 11), arena, &out->audit, err);
    }
    db_done(st);
    pthread_mutex_unlock(&r->mu);
    return code;
}

rag_code rag_records_list(rag_records *r, int64_t before, size_t limit, rag_arena *arena, rag_record **out, size_t *n,
                          rag_err *err)
{
    sqlite3_stmt *st = NULL;
    bool row = true;
    *n = 0;
    limit = limit < MAX_LIST ? limit : MAX_LIST;
    *out = rag_arena_array(arena, limit + 1, sizeof **out);
    pthread_mutex_lock(&r->mu);
    rag_code code = db_query(r->db, &st, "SELECT " COLUMNS " FROM answers WHERE number < ? AND created_ns >= ?"
                                         " ORDER BY number DESC LIMIT ?",
                             BIND(num(before > 0 ? before : INT64_MAX), num(records_oldest_answer(r)),
                                  num((int64_t)limit)),
                             err);
    while (code == RAG_OK && row && *n < limit) {
        code = db_step(r->db, st, &row, err);
        if (code == RAG_OK && row)
            take(st, arena, &(*out)[(*n)++]);
    }
    db_done(st);
    pthread_mutex_unlock(&r->mu);
    return code;
}
