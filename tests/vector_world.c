#include "vector_world.h"

#include <math.h>

#include "base/file.h"

enum { CLUSTERS = 40 };

const vectors_type types[] = { VECTORS_FLAT, VECTORS_SQ8, VECTORS_HNSW, VECTORS_IVF };

/* ---- a world of vectors ------------------------------------------------------------------------- */

static float noise(uint64_t *state)
{
    float sum = 0;
    for (int i = 0; i < 4; i++)
        sum += (float)(draw(state) % 2001) / 1000 - 1;
    return sum / 2;
}

static void make_vector(uint64_t *state, const float *centre, float *out)
{
    double norm = 0;
    for (int i = 0; i < DIM; i++) {
        out[i] = 0.5f * centre[i] + 0.6f * noise(state);
        norm += (double)out[i] * out[i];
    }
    for (int i = 0; i < DIM; i++)
        out[i] = (float)(out[i] / sqrt(norm));
}

static void make_vectors(world *w)
{
    static float centres[CLUSTERS][DIM];
    uint64_t state = 7;
    for (int c = 0; c < CLUSTERS; c++)
        for (int i = 0; i < DIM; i++)
            centres[c][i] = noise(&state);
    for (int i = 0; i < N; i++)
        make_vector(&state, centres[draw(&state) % CLUSTERS], w->rows[i]);
    for (int i = 0; i < QUERIES; i++)
        make_vector(&state, centres[draw(&state) % CLUSTERS], w->queries[i]);
}

static void store_vectors(world *w)
{
    assert_ok(db_exec(w->d, "BEGIN", &kb_err));
    assert_ok(db_run(w->d, "INSERT INTO models(sha256, name, dim) VALUES(x'00', 'm', ?)", BIND(num(DIM)), &kb_err));
    for (int i = 0; i < N; i++) {
        rag_str bytes = { (const char *)w->rows[i], sizeof w->rows[i] };
        assert_ok(db_run(w->d, "INSERT INTO embeddings(id, key, model_id, sum, vector) VALUES(?1, CAST(?1 AS BLOB), 1, ?2, ?3)",
                         BIND(num(i + 1), num((int64_t)rag_xxh3(bytes, 0)), blob(bytes)), &kb_err));
    }
    assert_ok(db_exec(w->d, "COMMIT", &kb_err));
}

int make_world(void **state)
{
    world *w = rag_calloc(1, sizeof *w);
    w->dir = kb_dir_new();
    w->file = kb_path(w->dir, "kb.db");
    rag_index_close(kb_open(w->dir));
    make_vectors(w);
    w->model = rag_sha256_of(RAG_STR("m"));
    if (db_open(&w->d, w->file, DB_WRITE, &kb_err) != RAG_OK)
        return -1;
    store_vectors(w);
    *state = w;
    return 0;
}

int end_world(void **state)
{
    world *w = *state;
    db_close(w->d);
    kb_dir_remove(w->dir);
    free(w->file);
    free(w);
    return 0;
}

/* Chunk ids leave gaps, as they do in life. */
kept_row row_of(size_t i)
{
    return (kept_row){ (int64_t)(3 * i + 5), (int64_t)i + 1 };
}

kept_row *rows_of(size_t from, size_t to)
{
    kept_row *rows = rag_calloc(to - from + 1, sizeof *rows);
    for (size_t i = from; i < to; i++)
        rows[i - from] = row_of(i);
    return rows;
}

vectors *build(world *w, vectors_type type, size_t n)
{
    vectors *v;
    assert_ok(vectors_build(&v, w->d, DIM, type, rows_of(0, n), n, NULL, &kb_err));
    return v;
}

vectors_identity identity(const world *w, int64_t generation)
{
    return (vectors_identity){ "store", "epoch", generation, &w->model, DIM };
}

/* ---- exact search -------------------------------------------------------------------------------- */

float product(const float *a, const float *b)
{
    float sum = 0;
    for (int i = 0; i < DIM; i++)
        sum += a[i] * b[i];
    return sum;
}

static int descending(const void *a, const void *b)
{
    float x = *(const float *)a, y = *(const float *)b;
    return (x < y) - (x > y);
}

static bool has_bit(const uint8_t *bits, size_t i)
{
    return !bits || bits[i >> 3] >> (i & 7) & 1;
}

/* The scores of the visible ones, best first. */
static size_t exact(const world *w, const float *q, const uint8_t *bits, size_t n, float out[N])
{
    size_t found = 0;
    for (size_t i = 0; i < n; i++)
        if (has_bit(bits, i))
            out[found++] = product(w->rows[i], q);
    qsort(out, found, sizeof *out, descending);
    return found;
}

size_t check(const world *w, const vectors *v, const float *q, const uint8_t *bits, size_t n, size_t k)
{
    float best[N], scores[N];
    int64_t at[N];
    size_t found, right = 0, visible = exact(w, q, bits, n, best);
    assert_ok(vectors_search(v, w->d, q, bits, k, at, scores, &found, &kb_err));
    assert_int_equal(found, k < visible ? k : visible);
    for (size_t i = 0; i < found; i++) {
        assert_true(at[i] >= 0 && (size_t)at[i] < n && has_bit(bits, (size_t)at[i]));
        assert_true(fabsf(scores[i] - product(w->rows[at[i]], q)) < 1e-5f);
        assert_true(i == 0 || scores[i] <= scores[i - 1]);
        for (size_t j = 0; j < i; j++)
            assert_int_not_equal(at[i], at[j]);
        right += scores[i] >= best[found - 1] - 1e-5f;
    }
    return right;
}

double recall(const world *w, const vectors *v, const uint8_t *bits, size_t n)
{
    size_t right = 0, visible = 0;
    for (size_t i = 0; i < n; i++)
        visible += has_bit(bits, i);
    for (size_t i = 0; i < QUERIES; i++)
        right += check(w, v, w->queries[i], bits, n, K);
    return visible ? (double)right / (double)(QUERIES * (visible < K ? visible : K)) : 1;
}
