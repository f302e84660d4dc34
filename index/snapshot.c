#include "index/snapshot.h"

#include <stdlib.h>
#include <string.h>

#include "index/bm25.h"
#include "index/store.h"

/* Version ids with their place in path order, to be searched. */
typedef struct place {
    int64_t version_id;
    uint32_t index;
} place;

typedef struct loader {
    db *d;
    rag_snapshot *s;
    place *places;
    kept_row *positions;
    size_t n, cap, paths_cap;
} loader;

/* What some kept generation shows: the rows that vectors and positions are made of. */
#define IS_KEPT \
    "EXISTS (SELECT 1 FROM generations g WHERE g.number >= v.gen_from AND g.number < v.gen_to)"

/* ---- versions ------------------------------------------------------------------------------- */

static uint32_t intern_access(rag_snapshot *s, rag_str access)
{
    for (size_t i = s->n_accesses; i-- > 0;)
        if (rag_str_eq(rag_str_of(s->accesses[i]), access))
            return (uint32_t)i;
    s->accesses = rag_realloc(s->accesses, (s->n_accesses + 1) * sizeof *s->accesses);
    s->accesses[s->n_accesses] = rag_strndup(access);
    return (uint32_t)s->n_accesses++;
}

static uint32_t find_collection(const rag_snapshot *s, int64_t id)
{
    for (size_t i = 0; i < s->n_collections; i++)
        if (s->collections[i].id == id)
            return (uint32_t)i;
    return UINT32_MAX;
}

static rag_code load_collections(loader *l, rag_err *err)
{
    sqlite3_stmt *q;
    bool row = true;
    rag_snapshot *s = l->s;
    rag_code code = db_query(l->d, &q, "SELECT id, name FROM collections WHERE gen_from <= ? ORDER BY id",
                             BIND(num(s->state.latest)), err);
    while (code == RAG_OK && (code = db_step(l->d, q, &row, err)) == RAG_OK && row) {
        s->collections = rag_realloc(s->collections, (s->n_collections + 1) * sizeof *s->collections);
        s->collections[s->n_collections++] =
            (held_collection){ sqlite3_column_int64(q, 0), rag_strndup(column_str(q, 1)) };
    }
    db_done(q);
    return code;
}

/* Versions come in order of paths: those of one document stand together and share it. */
static size_t keep_path(loader *l, rag_str path)
{
    rag_snapshot *s = l->s;
    if (s->n_versions > 0) {
        size_t last = s->versions[s->n_versions - 1].path;
        if (rag_str_eq(rag_str_of(s->paths + last), path))
            return last;
    }
    while (s->paths_bytes + path.len + 1 > l->paths_cap) {
        l->paths_cap = l->paths_cap ? 2 * l->paths_cap : 4096;
        s->paths = rag_realloc(s->paths, l->paths_cap);
    }
    size_t at = s->paths_bytes;
    if (path.len)
        memcpy(s->paths + at, path.ptr, path.len);
    s->paths[at + path.len] = '\0';
    s->paths_bytes += path.len + 1;
    return at;
}

static void add_version(loader *l, sqlite3_stmt *q)
{
    rag_snapshot *s = l->s;
    int64_t g = s->state.generation, from = sqlite3_column_int64(q, 4), to = sqlite3_column_int64(q, 5);
    if (s->n_versions == l->cap) {
        l->cap = l->cap ? 2 * l->cap : 256;
        s->versions = rag_realloc(s->versions, l->cap * sizeof *s->versions);
    }
    size_t path = keep_path(l, column_str(q, 9));
    held_version *v = &s->versions[s->n_versions++];
    *v = (held_version){ .id = sqlite3_column_int64(q, 0), .document_id = sqlite3_column_int64(q, 1),
                         .mtime_ns = sqlite3_column_int64(q, 8), .path = path,
                         .collection = find_collection(s, sqlite3_column_int64(q, 2)),
                         .access = intern_access(s, column_str(q, 3)), .lang = (uint8_t)sqlite3_column_int(q, 7),
                         .is_visible = from <= g && g < to };
    if (v->is_visible) {
        s->documents++;
        s->chunks += sqlite3_column_int64(q, 6);
    }
}

static rag_code load_versions(loader *l, rag_err *err)
{
    sqlite3_stmt *q;
    bool row = true;
    rag_code code = db_query(l->d, &q,
                             "SELECT v.id, v.document_id, d.collection_id, v.access, v.gen_from, v.gen_to, v.n_chunks, "
                             "v.lang, v.mtime_ns, d.path "
                             "FROM versions v JOIN documents d ON d.id = v.document_id "
                             "WHERE v.model_id = ? AND " IS_KEPT " ORDER BY d.path, d.collection_id, v.id",
                             BIND(num(l->s->state.model_id)), err);
    while (code == RAG_OK && (code = db_step(l->d, q, &row, err)) == RAG_OK && row)
        add_version(l, q);
    db_done(q);
    return code;
}

static int by_version_id(const void *a, const void *b)
{
    int64_t x = ((const place *)a)->version_id, y = ((const place *)b)->version_id;
    return (x > y) - (x < y);
}

static void sort_places(loader *l)
{
    rag_snapshot *s = l->s;
    l->places = rag_calloc(s->n_versions, sizeof *l->places);
    for (size_t i = 0; i < s->n_versions; i++)
        l->places[i] = (place){ s->versions[i].id, (uint32_t)i };
    qsort(l->places, s->n_versions, sizeof *l->places, by_version_id);
}

/* ---- positions ------------------------------------------------------------------------------ */

/* FTS5's varint: seven bits a byte, the most significant first. */
static uint32_t next_varint(rag_str s, size_t *at)
{
    uint32_t n = 0;
    while (*at < s.len) {
        unsigned char b = (unsigned char)s.ptr[(*at)++];
        n = n << 7 | (b & 0x7f);
        if (!(b & 0x80))
            break;
    }
    return n;
}

static float weighted_length(rag_str sizes, const float *weight)
{
    size_t at = 0;
    float length = 0;
    for (int i = 0; i < N_COLUMNS; i++)
        length += weight[i] * (float)next_varint(sizes, &at);
    return length;
}

static void grow_positions(loader *l)
{
    l->cap = l->cap ? 2 * l->cap : 1024;
    l->positions = rag_realloc(l->positions, l->cap * sizeof *l->positions);
    l->s->version_of = rag_realloc(l->s->version_of, l->cap * sizeof *l->s->version_of);
    l->s->length = rag_realloc(l->s->length, l->cap * sizeof *l->s->length);
}

static const place *find_place(const loader *l, const place *last, int64_t version_id)
{
    if (last && last->version_id == version_id)
        return last;
    place key = { .version_id = version_id };
    return l->s->n_versions ? bsearch(&key, l->places, l->s->n_versions, sizeof key, by_version_id) : NULL;
}

static rag_code load_positions(loader *l, rag_err *err)
{
    sqlite3_stmt *q;
    bool row = true;
    const place *last = NULL;
    l->cap = 0;
    rag_code code = db_query(l->d, &q,
                             "SELECT c.id, c.version_id, c.embedding_id, s.sz FROM chunks c "
                             "LEFT JOIN chunk_fts_docsize s ON s.id = c.id ORDER BY c.id",
                             NO_VALUES, err);
    while (code == RAG_OK && (code = db_step(l->d, q, &row, err)) == RAG_OK && row) {
        const place *p = find_place(l, last, sqlite3_column_int64(q, 1));
        if (!p)
            continue;
        last = p;
        if (l->n == l->cap)
            grow_positions(l);
        l->positions[l->n] = (kept_row){ sqlite3_column_int64(q, 0), sqlite3_column_int64(q, 2) };
        l->s->version_of[l->n] = p->index;
        l->s->length[l->n++] = weighted_length(column_str(q, 3), l->s->weight);
    }
    db_done(q);
    l->s->n = l->n;
    return code;
}

rag_code kept_count(db *d, int64_t model_id, size_t *n, rag_err *err)
{
    int64_t count = 0;
    rag_code code = db_number(d, &count, "SELECT coalesce(sum(v.n_chunks), 0) FROM versions v WHERE v.model_id = ? AND " IS_KEPT,
                              BIND(num(model_id)), err);
    *n = (size_t)count;
    return code;
}

rag_code kept_positions(db *d, int64_t model_id, kept_row **out, size_t *n, rag_err *err)
{
    sqlite3_stmt *q;
    bool row = true;
    size_t cap = 0;
    *out = NULL;
    *n = 0;
    rag_code code = db_query(d, &q,
                             "SELECT c.id, c.embedding_id FROM chunks c JOIN versions v ON v.id = c.version_id "
                             "WHERE v.model_id = ? AND " IS_KEPT " ORDER BY c.id",
                             BIND(num(model_id)), err);
    while (code == RAG_OK && (code = db_step(d, q, &row, err)) == RAG_OK && row) {
        if (*n == cap)
            *out = rag_realloc(*out, (cap = cap ? 2 * cap : 1024) * sizeof **out);
        (*out)[(*n)++] = (kept_row){ sqlite3_column_int64(q, 0), sqlite3_column_int64(q, 1) };
    }
    db_done(q);
    if (code != RAG_OK) {
        free(*out);
        *out = NULL;
    }
    return code;
}

/* ---- a snapshot ------------------------------------------------------------------------------ */

rag_code snapshot_build(rag_snapshot **out, db *d, const char *dir, const store_state *st, rag_snapshot *like,
                        const float weight[N_COLUMNS], rag_err *err)
{
    loader l = { .d = d, .s = rag_calloc(1, sizeof *l.s) };
    rag_snapshot *s = l.s;
    *out = NULL;
    atomic_init(&s->refs, 1);
    pthread_mutex_init(&s->mu, NULL);
    s->state = *st;
    memcpy(s->weight, weight, sizeof s->weight);
    rag_code code = load_collections(&l, err);
    if (code == RAG_OK)
        code = load_versions(&l, err);
    if (code == RAG_OK) {
        sort_places(&l);
        code = load_positions(&l, err);
    }
    if (code == RAG_OK)
        code = snapshot_take_vectors(s, d, dir, like, l.positions, l.n, err);
    free(l.places);
    free(l.positions);
    if (code != RAG_OK) {
        rag_snapshot_release(s);
        return code;
    }
    *out = s;
    return RAG_OK;
}

static void destroy(rag_snapshot *s)
{
    filter_forget_all(s);
    for (size_t i = 0; i < s->n_accesses; i++)
        free(s->accesses[i]);
    for (size_t i = 0; i < s->n_collections; i++)
        free(s->collections[i].name);
    free(s->accesses);
    free(s->collections);
    free(s->versions);
    free(s->paths);
    free(s->version_of);
    free(s->length);
    vectors_release(s->vectors);
    pthread_mutex_destroy(&s->mu);
    free(s);
}

void rag_snapshot_release(rag_snapshot *s)
{
    if (s && atomic_fetch_sub_explicit(&s->refs, 1, memory_order_acq_rel) == 1)
        destroy(s);
}

int64_t rag_snapshot_generation(const rag_snapshot *s)
{
    return s->state.generation;
}

int64_t rag_snapshot_documents(const rag_snapshot *s)
{
    return s->documents;
}

int64_t rag_snapshot_chunks(const rag_snapshot *s)
{
    return s->chunks;
}

size_t rag_snapshot_bytes(const rag_snapshot *s)
{
    pthread_mutex_t *mu = (pthread_mutex_t *)&s->mu;
    pthread_mutex_lock(mu);
    size_t n_filters = s->n_filters;
    pthread_mutex_unlock(mu);
    return vectors_bytes(s->vectors) + s->n * (sizeof *s->version_of + sizeof *s->length) +
           s->n_versions * sizeof *s->versions + s->paths_bytes + n_filters * bits_bytes(s->n);
}
