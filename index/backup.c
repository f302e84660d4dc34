#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/log.h"
#include "index/store.h"

static char *with_suffix(const char *path, const char *suffix)
{
    char *out = rag_alloc(strlen(path) + strlen(suffix) + 1);
    sprintf(out, "%s%s", path, suffix);
    return out;
}

/* One step: from one read transaction of the source, into one write transaction of the target. */
static rag_code copy_pages(db *from, db *to, rag_err *err)
{
    sqlite3_backup *backup = sqlite3_backup_init(db_handle(to), "main", db_handle(from), "main");
    if (!backup)
        return db_fail(to, err);
    int rc;
    while ((rc = sqlite3_backup_step(backup, -1)) == SQLITE_BUSY || rc == SQLITE_LOCKED)
        sqlite3_sleep(20);
    int finished = sqlite3_backup_finish(backup);
    return rc == SQLITE_DONE && finished == SQLITE_OK ? RAG_OK : db_fail(to, err);
}

static rag_code make_durable(const char *file, rag_err *err)
{
    char *dir = rag_path_dir(file);
    int fd = open(file, O_RDONLY | O_CLOEXEC);
    rag_code code = RAG_OK;
    if (fd < 0 || fsync(fd) < 0)
        code = rag_fail_errno(err, RAG_IO, errno, "cannot sync '%s'", file);
    if (fd >= 0)
        close(fd);
    if (code == RAG_OK)
        code = rag_file_fsync_dir(dir, err);
    free(dir);
    return code;
}

/* A copy of an open store in a file of its own, without WAL. */
static rag_code copy_to_file(db *from, const char *file, rag_err *err)
{
    db *to = NULL;
    rag_code code = store_make_file(file, err);
    if (code == RAG_OK)
        code = db_open(&to, file, DB_CREATE, err);
    if (code == RAG_OK)
        code = copy_pages(from, to, err);
    if (code == RAG_OK)
        code = db_exec(to, "PRAGMA journal_mode = DELETE", err);
    db_close(to);
    return code;
}

/* ---- backup -------------------------------------------------------------------------------------- */

rag_code rag_index_backup(rag_index *ix, const char *file, rag_err *err)
{
    db *from = NULL;
    char *beside = with_suffix(file, ".part");
    struct stat st;
    rag_code code = RAG_OK;
    if (stat(file, &st) == 0)
        code = rag_fail(err, RAG_INVALID, "cannot write '%s': it exists", file);
    if (code == RAG_OK && unlink(beside) < 0 && errno != ENOENT)
        code = rag_fail_errno(err, RAG_IO, errno, "cannot replace '%s'", beside);
    if (code != RAG_OK)
        goto out;
    code = db_open(&from, ix->file, DB_READ, err);
    if (code == RAG_OK)
        code = copy_to_file(from, beside, err);
    if (code == RAG_OK)
        code = make_durable(beside, err);
    /* link, not rename: a file that has appeared meanwhile stays. */
    if (code == RAG_OK && link(beside, file) < 0)
        code = rag_fail_errno(err, RAG_IO, errno, "cannot write '%s'", file);
    unlink(beside);
    if (code == RAG_OK)
        code = make_durable(file, err);
out:
    db_close(from);
    free(beside);
    return code;
}

/* ---- restore ------------------------------------------------------------------------------------- */

static rag_code check_pages(db *d, const char *file, rag_err *err)
{
    sqlite3_stmt *q;
    bool row = false;
    rag_code code = db_query(d, &q, "PRAGMA quick_check(1)", NO_VALUES, err);
    if (code == RAG_OK)
        code = db_step(d, q, &row, err);
    if (code == RAG_OK && (!row || !rag_str_eq(column_str(q, 0), RAG_STR("ok"))))
        code = rag_fail(err, RAG_CORRUPT, "'%s' is damaged: %.*s", file, RAG_STR_ARG(column_str(q, 0)));
    db_done(q);
    return code;
}

static rag_code check_backup(db *d, const char *file, rag_err *err)
{
    int64_t tables = 0;
    rag_code code = schema_check(d, file, err);
    if (code == RAG_OK)
        code = db_number(d, &tables, "SELECT count(*) FROM sqlite_schema", NO_VALUES, err);
    if (code == RAG_OK && tables == 0)
        code = rag_fail(err, RAG_CORRUPT, "'%s' is not a ragd knowledge base", file);
    return code == RAG_OK ? check_pages(d, file, err) : code;
}

/* Numbers that the replaced store gave out are not given out again. */
static rag_code keep_numbers(db *copy, db *old, rag_err *err)
{
    sqlite3_stmt *q;
    bool row = true;
    rag_code code = db_query(old, &q, "SELECT name, seq FROM sqlite_sequence", NO_VALUES, err);
    while (code == RAG_OK && (code = db_step(old, q, &row, err)) == RAG_OK && row) {
        const bind_value *values = BIND(text(column_str(q, 0)), num(sqlite3_column_int64(q, 1)));
        code = db_run(copy, "UPDATE sqlite_sequence SET seq = max(seq, ?2) WHERE name = ?1", values, err);
        if (code == RAG_OK)
            code = db_run(copy,
                          "INSERT INTO sqlite_sequence(name, seq) SELECT ?1, ?2 WHERE NOT EXISTS "
                          "(SELECT 1 FROM sqlite_sequence WHERE name = ?1)",
                          values, err);
    }
    db_done(q);
    return code;
}

/* What the store shall hold, complete before the store is touched: the replacement is then one transaction. */
static rag_code prepare_copy(db *backup, db *store, const char *copy_file, rag_err *err)
{
    db *copy = NULL;
    char epoch[33];
    random_hex(epoch);
    rag_code code = copy_to_file(backup, copy_file, err);
    if (code == RAG_OK)
        code = db_open(&copy, copy_file, DB_WRITE, err);
    if (code == RAG_OK)
        code = schema_prepare(copy, copy_file, err);
    if (code == RAG_OK)
        code = sweep_pending(copy, err);
    if (code == RAG_OK)
        code = keep_numbers(copy, store, err);
    if (code == RAG_CORRUPT) /* the store's own numbers are lost with it */
        code = RAG_OK;
    if (code == RAG_OK)
        code = meta_set_text(copy, "epoch", epoch, err);
    db_close(copy);
    return code;
}

static void move_aside(const char *file, const char *suffix)
{
    char *from = with_suffix(file, suffix), *kept = with_suffix(file, ".damaged"), *to = with_suffix(kept, suffix);
    if (rename(from, to) == 0)
        rag_log(RAG_WARN, "'%s' is damaged and now named '%s'", from, to);
    free(to);
    free(kept);
    free(from);
}

static rag_code make_and_open(db **out, const char *file, rag_err *err)
{
    *out = NULL;
    rag_code code = store_make_file(file, err);
    if (code == RAG_OK)
        code = db_open(out, file, DB_WRITE, err);
    return code == RAG_OK ? schema_prepare(*out, file, err) : code;
}

/* A store that cannot be read any more makes room for the backup. */
static rag_code open_store(db **out, const char *file, rag_err *err)
{
    rag_code code = make_and_open(out, file, err);
    if (code != RAG_CORRUPT)
        return code;
    db_close(*out);
    move_aside(file, "");
    move_aside(file, "-wal");
    char *index = with_suffix(file, "-shm");
    unlink(index);
    free(index);
    return make_and_open(out, file, err);
}

static rag_code replace_store(const char *dir, db *backup, rag_err *err)
{
    db *store = NULL, *copy = NULL;
    char *store_file = rag_path_join(dir, "kb.db"), *copy_file = rag_path_join(dir, "restore.part");
    unlink(copy_file);
    rag_code code = open_store(&store, store_file, err);
    if (code == RAG_OK)
        code = prepare_copy(backup, store, copy_file, err);
    if (code == RAG_OK)
        code = db_open(&copy, copy_file, DB_READ, err);
    if (code == RAG_OK)
        code = db_exec(store, "PRAGMA synchronous = FULL", err);
    if (code == RAG_OK)
        code = copy_pages(copy, store, err);
    db_close(copy);
    db_close(store);
    unlink(copy_file);
    if (code == RAG_OK)
        code = db_open(&store, store_file, DB_READ, err);
    if (code == RAG_OK) {
        code = files_save(store, dir, RAG_INDEX_AUTO, err);
        db_close(store);
    }
    free(copy_file);
    free(store_file);
    return code;
}

rag_code rag_index_restore(const char *dir, const char *file, rag_err *err)
{
    int lock = -1;
    db *backup = NULL;
    char *lock_file = rag_path_join(dir, "ingest.lock");
    struct stat st;
    rag_code code = RAG_OK;
    if (stat(file, &st) < 0)
        code = rag_fail_errno(err, RAG_IO, errno, "cannot open '%s'", file);
    if (code == RAG_OK)
        code = db_open(&backup, file, DB_READ, err);
    if (code == RAG_OK)
        code = check_backup(backup, file, err);
    if (code == RAG_OK)
        code = rag_dir_make(dir, err);
    if (code == RAG_OK)
        code = rag_lock_take(lock_file, &lock, err);
    if (code == RAG_OK)
        code = replace_store(dir, backup, err);
    rag_lock_release(lock);
    db_close(backup);
    free(lock_file);
    return code;
}
