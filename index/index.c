#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zstd.h>

#include "base/file.h"
#include "base/log.h"
#include "index/faiss_c.h"
#include "index/store.h"

/* ---- open ----------------------------------------------------------------------------------- */

static rag_code check_model(const rag_index *ix, rag_err *err)
{
    char stored[65], used[65];
    sqlite3_stmt *st;
    bool row = false;
    rag_sha256 model;
    if (!ix->has_model)
        return RAG_OK;
    rag_code code = db_query(ix->db, &st,
                             "SELECT sha256, name FROM models WHERE id = (SELECT value FROM meta WHERE key = 'model')",
                             NO_VALUES, err);
    if (code == RAG_OK)
        code = db_step(ix->db, st, &row, err);
    if (code == RAG_OK && row && column_hash(st, 0, &model) && memcmp(&model, &ix->model, sizeof model) != 0) {
        rag_sha256_hex(&model, stored);
        rag_sha256_hex(&ix->model, used);
        code = rag_fail(err, RAG_CONFIG,
                        "'%s' was embedded with '%.*s' (%.12s…), not with the configured model (%.12s…): run "
                        "ragd-ingest --full, or configure the old model",
                        ix->file, RAG_STR_ARG(column_str(st, 1)), stored, used);
    }
    db_done(st);
    return code;
}

static rag_code prepare_dir(const rag_index_options *opt, const char *file, rag_err *err)
{
    struct stat st;
    if (stat(file, &st) == 0)
        return RAG_OK;
    if (!opt->create)
        return rag_fail(err, RAG_NOT_FOUND, "no knowledge base in '%s': there is no '%s'", opt->dir, file);
    rag_code code = rag_dir_make(opt->dir, err);
    return code == RAG_OK ? store_make_file(file, err) : code;
}

static float weight_of(double option)
{
    return option < 0 ? 0 : option > 0 ? (float)option : 1;
}

rag_code rag_index_open(rag_index **out, const rag_index_options *opt, rag_err *err)
{
    *out = NULL;
    rag_index *ix = rag_calloc(1, sizeof *ix);
    ix->dir = rag_strdup(opt->dir);
    ix->file = rag_path_join(opt->dir, "kb.db");
    ix->keep_generations = opt->keep_generations > 0 ? opt->keep_generations : DEFAULT_KEEP_GENERATIONS;
    ix->type = opt->type;
    ix->has_model = opt->model != NULL;
    if (opt->model)
        ix->model = *opt->model;
    ix->weight[COLUMN_TITLE] = weight_of(opt->title_weight);
    ix->weight[COLUMN_HEADING] = weight_of(opt->heading_weight);
    ix->weight[COLUMN_BODY] = 1;
    pthread_mutex_init(&ix->refresh_mu, NULL);
    pthread_mutex_init(&ix->mu, NULL);
    rag_code code = prepare_dir(opt, ix->file, err);
    if (code == RAG_OK)
        code = db_open(&ix->db, ix->file, opt->create ? DB_CREATE : DB_WRITE, err);
    if (code == RAG_OK)
        code = schema_prepare(ix->db, ix->file, err);
    if (code == RAG_OK)
        code = check_model(ix, err);
    if (code != RAG_OK) {
        rag_index_close(ix);
        return code;
    }
    *out = ix;
    return RAG_OK;
}

void rag_index_close(rag_index *ix)
{
    if (!ix)
        return;
    rag_snapshot_release(ix->current);
    db_close(ix->db);
    pthread_mutex_destroy(&ix->mu);
    pthread_mutex_destroy(&ix->refresh_mu);
    free(ix->file);
    free(ix->dir);
    free(ix);
}

const char *rag_index_dir(const rag_index *ix)
{
    return ix->dir;
}

bool rag_index_type_parse(const char *name, rag_index_type *out)
{
    static const char *const names[] = { "auto", "Flat", "HNSW", "IVF" };
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (strcmp(name, names[i]) == 0) {
            *out = (rag_index_type)i;
            return true;
        }
    return false;
}

static char versions[128];

static void write_versions(void)
{
    snprintf(versions, sizeof versions, "SQLite %s, FAISS %s, zstd %s", sqlite3_libversion(), fx_version(),
             ZSTD_versionString());
}

const char *rag_index_versions(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, write_versions);
    return versions;
}

/* ---- refresh -------------------------------------------------------------------------------- */

static bool is_current(const rag_index *ix, const store_state *st)
{
    const rag_snapshot *s = ix->current;
    return s && s->state.generation == st->generation && s->state.files == st->files && strcmp(s->state.epoch, st->epoch) == 0 &&
           strcmp(s->state.store_id, st->store_id) == 0;
}

static bool is_other_model(const rag_index *ix, const store_state *st)
{
    return ix->has_model && st->generation && memcmp(&ix->model, &st->model, sizeof st->model) != 0;
}

static rag_code refuse_model(rag_index *ix, const store_state *st, rag_err *err)
{
    if (!ix->current)
        return rag_fail(err, RAG_CONFIG, "generation %lld of '%s' was embedded with another model",
                        (long long)st->generation, ix->file);
    if (ix->refused_generation != st->generation)
        rag_log(RAG_WARN, "generation %lld was embedded with another model: generation %lld is served on",
                (long long)st->generation, (long long)ix->current->state.generation);
    ix->refused_generation = st->generation;
    return RAG_OK;
}

static void make_current(rag_index *ix, rag_snapshot *s)
{
    pthread_mutex_lock(&ix->mu);
    rag_snapshot *old = ix->current;
    ix->current = s;
    pthread_mutex_unlock(&ix->mu);
    rag_snapshot_release(old);
}

/* In a read transaction, so that state and rows belong together. */
static rag_code take_newer(rag_index *ix, bool *changed, rag_err *err)
{
    store_state st;
    rag_snapshot *s;
    rag_code code = state_read(ix->db, &st, err);
    if (code != RAG_OK || is_current(ix, &st))
        return code;
    if (is_other_model(ix, &st))
        return refuse_model(ix, &st, err);
    code = snapshot_build(&s, ix->db, ix->dir, &st, ix->current, ix->weight, err);
    if (code == RAG_OK) {
        make_current(ix, s);
        *changed = true;
    }
    return code;
}

static rag_code refresh(rag_index *ix, bool *changed, rag_err *err)
{
    int64_t version;
    rag_code code = db_number(ix->db, &version, "PRAGMA data_version", NO_VALUES, err);
    if (code != RAG_OK || (ix->current && version == ix->data_version))
        return code;
    code = db_exec(ix->db, "BEGIN", err);
    if (code != RAG_OK)
        return code;
    code = take_newer(ix, changed, err);
    db_exec(ix->db, "COMMIT", NULL);
    if (code == RAG_OK)
        ix->data_version = version;
    return code;
}

rag_code rag_index_refresh(rag_index *ix, bool *changed, rag_err *err)
{
    bool ignored;
    if (!changed)
        changed = &ignored;
    *changed = false;
    pthread_mutex_lock(&ix->refresh_mu);
    rag_code code = refresh(ix, changed, err);
    pthread_mutex_unlock(&ix->refresh_mu);
    return code;
}

rag_snapshot *rag_index_acquire(rag_index *ix)
{
    pthread_mutex_lock(&ix->mu);
    rag_snapshot *s = ix->current;
    if (s)
        atomic_fetch_add_explicit(&s->refs, 1, memory_order_relaxed);
    pthread_mutex_unlock(&ix->mu);
    return s;
}

/* ---- generations ---------------------------------------------------------------------------- */

static rag_code list_generations(db *d, rag_arena *arena, rag_generation **out, size_t *n, rag_err *err)
{
    store_state st;
    sqlite3_stmt *q = NULL;
    int64_t count;
    rag_code code = state_read(d, &st, err);
    if (code == RAG_OK)
        code = db_number(d, &count, "SELECT count(*) FROM generations", NO_VALUES, err);
    if (code == RAG_OK)
        code = db_query(d, &q,
                        "SELECT number, published_ns, documents, chunks, added, updated, removed FROM generations "
                        "ORDER BY number DESC",
                        NO_VALUES, err);
    if (code != RAG_OK)
        return code;
    rag_generation *list = rag_arena_array(arena, (size_t)count, sizeof *list);
    bool row = true;
    for (*n = 0; code == RAG_OK && *n < (size_t)count;) {
        code = db_step(d, q, &row, err);
        if (code != RAG_OK || !row)
            break;
        rag_generation *g = &list[(*n)++];
        *g = (rag_generation){ sqlite3_column_int64(q, 0), sqlite3_column_int64(q, 1), sqlite3_column_int64(q, 2),
                               sqlite3_column_int64(q, 3), sqlite3_column_int64(q, 4), sqlite3_column_int64(q, 5),
                               sqlite3_column_int64(q, 6), false };
        g->active = g->number == st.generation;
    }
    db_done(q);
    *out = list;
    return code;
}

rag_code rag_index_generations(rag_index *ix, rag_arena *arena, rag_generation **out, size_t *n, rag_err *err)
{
    *out = NULL;
    *n = 0;
    pthread_mutex_lock(&ix->refresh_mu);
    rag_code code = db_exec(ix->db, "BEGIN", err);
    if (code == RAG_OK) {
        code = list_generations(ix->db, arena, out, n, err);
        db_exec(ix->db, "COMMIT", NULL);
    }
    pthread_mutex_unlock(&ix->refresh_mu);
    return code;
}

static rag_code check_pin(const rag_index *ix, db *d, int64_t number, rag_err *err)
{
    rag_sha256 model;
    sqlite3_stmt *q;
    bool row = false;
    rag_code code = db_query(d, &q,
                             "SELECT m.sha256 FROM generations g JOIN models m ON m.id = g.model_id WHERE g.number = ?",
                             BIND(num(number)), err);
    if (code == RAG_OK)
        code = db_step(d, q, &row, err);
    if (code == RAG_OK && !row)
        code = rag_fail(err, RAG_NOT_FOUND, "generation %lld is not kept", (long long)number);
    if (code == RAG_OK && ix->has_model && column_hash(q, 0, &model) && memcmp(&model, &ix->model, sizeof model) != 0)
        code = rag_fail(err, RAG_CONFIG, "generation %lld was embedded with another model", (long long)number);
    db_done(q);
    return code;
}

static rag_code pin(const rag_index *ix, db *d, int64_t number, rag_err *err)
{
    rag_code code = number ? check_pin(ix, d, number, err) : RAG_OK;
    return code == RAG_OK ? meta_set_number(d, "pinned", number, err) : code;
}

rag_code rag_index_activate(rag_index *ix, int64_t number, rag_err *err)
{
    db *d;
    rag_code code = db_open(&d, ix->file, DB_WRITE, err);
    if (code == RAG_OK)
        code = db_exec(d, "PRAGMA synchronous = FULL; BEGIN IMMEDIATE", err);
    if (code == RAG_OK) {
        code = pin(ix, d, number, err);
        if (code == RAG_OK)
            code = db_exec(d, "COMMIT", err);
        if (code != RAG_OK)
            db_exec(d, "ROLLBACK", NULL);
    }
    db_close(d);
    return code == RAG_OK ? rag_index_refresh(ix, NULL, err) : code;
}
