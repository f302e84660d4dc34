/* Every type of index against exact search, over a store that holds nothing but embeddings. */
#include "kb.h"

#include <math.h>
#include <pthread.h>
#include <sys/stat.h>

#include "base/file.h"
#include "index/store.h"
#include "index/vectors_impl.h"

enum { N = 3000, DIM = 24, CLUSTERS = 40, QUERIES = 40, K = 10 };

typedef struct world {
    char *dir, *file;
    db *d;
    float rows[N][DIM];
    float queries[QUERIES][DIM];
    rag_sha256 model;
} world;

static const vectors_type types[] = { VECTORS_FLAT, VECTORS_SQ8, VECTORS_HNSW, VECTORS_IVF };
enum { TYPES = sizeof types / sizeof *types };

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

static int make_world(void **state)
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

static int end_world(void **state)
{
    world *w = *state;
    db_close(w->d);
    kb_dir_remove(w->dir);
    free(w->file);
    free(w);
    return 0;
}

/* Chunk ids leave gaps, as they do in life. */
static kept_row row_of(size_t i)
{
    return (kept_row){ (int64_t)(3 * i + 5), (int64_t)i + 1 };
}

static kept_row *rows_of(size_t from, size_t to)
{
    kept_row *rows = rag_calloc(to - from + 1, sizeof *rows);
    for (size_t i = from; i < to; i++)
        rows[i - from] = row_of(i);
    return rows;
}

static vectors *build(world *w, vectors_type type, size_t n)
{
    vectors *v;
    assert_ok(vectors_build(&v, w->d, DIM, type, rows_of(0, n), n, NULL, &kb_err));
    return v;
}

static vectors_identity identity(const world *w, int64_t generation)
{
    return (vectors_identity){ "store", "epoch", generation, &w->model, DIM };
}

/* ---- exact search -------------------------------------------------------------------------------- */

static float product(const float *a, const float *b)
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

/* How many of the k (or fewer visible) ones found are among the best; each must be visible, new, and have its own exact
 * score. */
static size_t check(const world *w, const vectors *v, const float *q, const uint8_t *bits, size_t n, size_t k)
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

static double recall(const world *w, const vectors *v, const uint8_t *bits, size_t n)
{
    size_t right = 0, visible = 0;
    for (size_t i = 0; i < n; i++)
        visible += has_bit(bits, i);
    for (size_t i = 0; i < QUERIES; i++)
        right += check(w, v, w->queries[i], bits, n, K);
    return visible ? (double)right / (double)(QUERIES * (visible < K ? visible : K)) : 1;
}

static void random_bits(uint8_t bits[N / 8 + 1], unsigned one_in, uint64_t *state)
{
    memset(bits, 0, N / 8 + 1);
    for (size_t i = 0; i < N; i++)
        if (draw(state) % one_in == 0)
            bits[i >> 3] |= (uint8_t)(1u << (i & 7));
}

/* ---- search -------------------------------------------------------------------------------------- */

static void test_vectors_types__each_finds_what_exact_search_finds(void **state)
{
    world *w = *state;
    for (size_t t = 0; t < TYPES; t++) {
        vectors *v = build(w, types[t], N);
        v->few = 0; /* the index itself, not the look at all */
        double r = recall(w, v, NULL, N);
        bool is_exact = types[t] == VECTORS_FLAT || types[t] == VECTORS_SQ8;
        if (r < (is_exact ? 1.0 : 0.93))
            fail_msg("%s finds only %.3f", vectors_type_name(types[t]), r);
        assert_int_equal(vectors_shape_of(v).type, types[t]);
        vectors_release(v);
    }
}

static void test_vectors_types__filters_hide_and_never_shrink(void **state)
{
    static const unsigned parts[] = { 1, 2, 10, 100, 1000 };
    world *w = *state;
    uint8_t bits[N / 8 + 1];
    uint64_t random = 3;
    for (size_t t = 0; t < TYPES; t++) {
        vectors *v = build(w, types[t], N);
        v->few = 0;
        for (size_t p = 0; p < sizeof parts / sizeof *parts; p++) {
            random_bits(bits, parts[p], &random);
            double r = recall(w, v, bits, N);
            if (r < 0.9)
                fail_msg("%s with one of %u visible finds only %.3f", vectors_type_name(types[t]), parts[p], r);
        }
        vectors_release(v);
    }
}

static void test_vectors_types__few_visible_ones_are_searched_exactly(void **state)
{
    world *w = *state;
    uint8_t bits[N / 8 + 1];
    uint64_t random = 4;
    for (size_t t = 0; t < TYPES; t++) {
        vectors *v = build(w, types[t], N);
        for (unsigned one_in = 2; one_in < 2000; one_in *= 3) {
            random_bits(bits, one_in, &random);
            assert_true(recall(w, v, bits, N) == 1.0);
        }
        memset(bits, 0, sizeof bits);
        assert_int_equal(check(w, v, w->queries[0], bits, N, K), 0);
        vectors_release(v);
    }
}

static void test_vectors_types__lists_without_visible_rows_are_not_the_end(void **state)
{
    world *w = *state;
    uint8_t bits[N / 8 + 1] = { 0 };
    vectors *v = build(w, VECTORS_IVF, N);
    v->few = 0;
    v->shape.effort = 1;
    for (size_t i = 0; i < 7; i++)
        bits[i * 50] = 1;
    for (size_t i = 0; i < QUERIES; i++)
        assert_int_equal(check(w, v, w->queries[i], bits, N, K), 7);
    vectors_release(v);
}

static void test_vectors_types__codes_score_nearly_as_vectors_do(void **state)
{
    world *w = *state;
    for (size_t t = 0; t < TYPES; t++) {
        vectors *v = build(w, types[t], N);
        float allowed = types[t] == VECTORS_FLAT ? 1e-5f : 0.02f;
        for (size_t i = 0; i < N; i++)
            assert_true(fabsf(vectors_score(v, w->queries[0], i) - product(w->rows[i], w->queries[0])) < allowed);
        vectors_release(v);
    }
}

static void test_vectors_types__without_kb_db_codes_decide(void **state)
{
    world *w = *state;
    int64_t at[K];
    float scores[K];
    size_t n;
    vectors *v = build(w, VECTORS_IVF, N);
    assert_ok(vectors_search(v, NULL, w->queries[0], NULL, K, at, scores, &n, &kb_err));
    assert_int_equal(n, K);
    for (size_t i = 0; i < n; i++)
        assert_true(fabsf(scores[i] - product(w->rows[at[i]], w->queries[0])) < 0.02f);
    vectors_release(v);
}

static void test_vectors_types__a_damaged_vector_keeps_the_score_of_its_code(void **state)
{
    world *w = *state;
    int64_t at[1];
    float score[1];
    size_t n;
    vectors *v = build(w, VECTORS_SQ8, N);
    assert_ok(db_exec(w->d, "UPDATE embeddings SET vector = zeroblob(96) WHERE id = 1; DELETE FROM embeddings WHERE id = 2",
                      &kb_err));
    for (int64_t i = 0; i < 2; i++) {
        assert_ok(vectors_search(v, w->d, w->rows[i], NULL, 1, at, score, &n, &kb_err));
        assert_int_equal(at[0], i);
        assert_true(score[0] > 0.98f);
    }
    vectors_release(v);
    for (size_t t = 0; t < TYPES; t++)
        assert_code(vectors_build(&v, w->d, DIM, types[t], rows_of(0, N), N, NULL, &kb_err), RAG_CORRUPT);
}

typedef struct searcher {
    const world *w;
    vectors *v;
    int wrong;
} searcher;

static void *search_apart(void *context)
{
    searcher *s = context;
    db *d;
    if (db_open(&d, s->w->file, DB_READ, NULL) != RAG_OK) {
        s->wrong = 1;
        return NULL;
    }
    for (int i = 0; i < QUERIES; i++) {
        int64_t at[K];
        float scores[K];
        size_t n;
        if (vectors_search(s->v, d, s->w->queries[i], NULL, K, at, scores, &n, NULL) != RAG_OK || n != K)
            s->wrong++;
    }
    db_close(d);
    return NULL;
}

static void test_vectors_types__threads_search_together(void **state)
{
    enum { THREADS = 3 };
    for (size_t t = 0; t < TYPES; t++) {
        pthread_t threads[THREADS];
        searcher searchers[THREADS];
        vectors *v = build(*state, types[t], N);
        v->few = 0;
        for (int i = 0; i < THREADS; i++) {
            searchers[i] = (searcher){ .w = *state, .v = v };
            assert_int_equal(pthread_create(&threads[i], NULL, search_apart, &searchers[i]), 0);
        }
        for (int i = 0; i < THREADS; i++) {
            pthread_join(threads[i], NULL);
            assert_int_equal(searchers[i].wrong, 0);
        }
        vectors_release(v);
    }
}

/* ---- building -------------------------------------------------------------------------------------- */

static void test_vectors_types__effort_is_as_large_as_recall_needs(void **state)
{
    vectors *v = build(*state, VECTORS_IVF, N);
    vectors_shape s = vectors_shape_of(v);
    assert_true(s.lists > 30 && s.effort >= 8 && s.effort <= s.lists);
    assert_true(s.recall >= 970);
    assert_int_equal(s.trained, N);
    assert_int_equal(v->few, 20000);
    vectors_release(v);
    v = build(*state, VECTORS_HNSW, N);
    assert_true(vectors_shape_of(v).recall >= 970 && vectors_shape_of(v).effort >= 16);
    vectors_release(v);
}

static void test_vectors_types__few_rows_are_always_flat(void **state)
{
    for (size_t t = 0; t < TYPES; t++) {
        vectors *v = build(*state, types[t], VECTORS_MIN_TRAINED - 1);
        assert_int_equal(vectors_shape_of(v).type, types[t] == VECTORS_SQ8 ? VECTORS_SQ8 : VECTORS_FLAT);
        vectors_release(v);
    }
}

static void test_vectors_types__building_can_be_stopped(void **state)
{
    world *w = *state;
    atomic_bool stop = true;
    vectors *v;
    assert_code(vectors_build(&v, w->d, DIM, VECTORS_IVF, rows_of(0, N), N, &stop, &kb_err), RAG_CANCELED);
    assert_null(v);
}

static void test_vectors_types__the_same_rows_make_the_same_index(void **state)
{
    world *w = *state;
    vectors_identity id = identity(w, 1);
    rag_buf first, second;
    char *path = kb_path(w->dir, "vectors/1/manifest.json");
    rag_buf *texts[] = { &first, &second };
    for (int i = 0; i < 2; i++) {
        vectors *v = build(w, VECTORS_IVF, N);
        assert_ok(vectors_save(v, w->dir, &id, &kb_err));
        rag_buf_init(texts[i], 10000);
        assert_ok(rag_file_read(path, texts[i], &kb_err));
        vectors_release(v);
    }
    assert_true(rag_str_eq(rag_buf_str(&first), rag_buf_str(&second)));
    rag_buf_free(&first);
    rag_buf_free(&second);
    free(path);
}

/* ---- files ------------------------------------------------------------------------------------------- */

static rag_code try_load(const world *w, vectors **out, size_t n)
{
    vectors_identity id = identity(w, 1);
    kept_row *rows = rows_of(0, n);
    rag_code code = vectors_load(out, w->dir, &id, rows, n, &kb_err);
    free(rows);
    return code;
}

static void save(world *w, vectors_type type, size_t n)
{
    vectors_identity id = identity(w, 1);
    vectors *v = build(w, type, n);
    assert_ok(vectors_save(v, w->dir, &id, &kb_err));
    vectors_release(v);
}

static void test_vectors_types__files_of_each_are_loaded_as_they_were(void **state)
{
    world *w = *state;
    vectors_identity id = identity(w, 1);
    for (size_t t = 0; t < TYPES; t++) {
        vectors *loaded, *v = build(w, types[t], N);
        vectors_shape shape;
        size_t n;
        assert_ok(vectors_save(v, w->dir, &id, &kb_err));
        assert_ok(try_load(w, &loaded, N));
        assert_ok(vectors_peek(&shape, &n, w->dir, &id, &kb_err));
        assert_int_equal(n, N);
        assert_memory_equal(&shape, &loaded->shape, sizeof shape);
        assert_memory_equal(&shape, &v->shape, sizeof shape);
        loaded->few = v->few = 0;
        for (size_t i = 0; i < QUERIES; i++)
            assert_int_equal(check(w, loaded, w->queries[i], NULL, N, K), check(w, v, w->queries[i], NULL, N, K));
        vectors_release(loaded);
        vectors_release(v);
    }
}

static void change_file(const world *w, const char *name, size_t every, bool cut)
{
    vectors *v;
    rag_buf whole;
    char *path = kb_path(w->dir, name);
    rag_buf_init(&whole, 10 << 20);
    assert_ok(rag_file_read(path, &whole, &kb_err));
    for (size_t i = 0; i < whole.len; i += every) {
        whole.ptr[i] ^= (char)(1 << i % 8);
        assert_ok(rag_file_write_atomic(path, rag_str_sub(rag_buf_str(&whole), 0, cut ? i : whole.len), &kb_err));
        assert_code(try_load(w, &v, N), RAG_CORRUPT);
        assert_null(v);
        whole.ptr[i] ^= (char)(1 << i % 8);
    }
    assert_ok(rag_file_write_atomic(path, rag_buf_str(&whole), &kb_err));
    assert_ok(try_load(w, &v, N));
    vectors_release(v);
    rag_buf_free(&whole);
    free(path);
}

static void test_vectors_types__changed_files_are_noticed(void **state)
{
    world *w = *state;
    for (size_t t = 1; t < TYPES; t++) {
        save(w, types[t], N);
        for (int cut = 0; cut < 2; cut++) {
            change_file(w, "vectors/1/manifest.json", types[t] == VECTORS_IVF ? 1 : 50, cut);
            change_file(w, "vectors/1/index.faiss", 7919, cut);
            change_file(w, "vectors/1/positions", 7919, cut);
        }
    }
}

/* A manifest that is right in itself, over an index of another type. */
static void test_vectors_types__an_index_of_another_type_is_not_taken(void **state)
{
    world *w = *state;
    vectors_identity id = identity(w, 1);
    char *path = kb_path(w->dir, "vectors/1/manifest.json"), text[MANIFEST_MAX];
    for (size_t t = 0; t < TYPES; t++) {
        save(w, types[t], N);
        for (size_t other = 0; other < TYPES; other++) {
            vectors *v;
            rag_buf whole;
            manifest m;
            rag_buf_init(&whole, MANIFEST_MAX);
            assert_ok(rag_file_read(path, &whole, &kb_err));
            assert_true(manifest_parse(&m, &id, rag_buf_str(&whole)));
            m.shape = (vectors_shape){ .type = types[other], .lists = 10, .effort = 10, .trained = N };
            manifest_render(text, &id, &m);
            assert_ok(rag_file_write_atomic(path, rag_str_of(text), &kb_err));
            assert_code(try_load(w, &v, N), other == t ? RAG_OK : RAG_CORRUPT);
            vectors_release(v);
            rag_buf_free(&whole);
        }
    }
    free(path);
}

static void test_vectors_types__manifests_are_read_back_and_nothing_else_is(void **state)
{
    world *w = *state;
    vectors_identity id = identity(w, 1), other = identity(w, 2);
    manifest m = { .shape = { VECTORS_IVF, 100, 16, 975, 900 }, .n = 1000, .index = { 5, 6 }, .positions = { 16000, 7 } };
    manifest back;
    char text[MANIFEST_MAX];
    manifest_render(text, &id, &m);
    assert_true(manifest_parse(&back, &id, rag_str_of(text)));
    assert_memory_equal(&back.shape, &m.shape, sizeof m.shape);
    assert_int_equal(back.n, 1000);
    assert_false(manifest_parse(&back, &other, rag_str_of(text)));
    strcat(text, " ");
    assert_false(manifest_parse(&back, &id, rag_str_of(text)));
    m.shape.lists = 0;
    manifest_render(text, &id, &m);
    assert_false(manifest_parse(&back, &id, rag_str_of(text)));
    m = (manifest){ .shape = { .type = VECTORS_SQ8 }, .n = 1000, .positions = { 15999, 7 } };
    manifest_render(text, &id, &m);
    assert_false(manifest_parse(&back, &id, rag_str_of(text)));
    assert_false(manifest_parse(&back, &id, RAG_STR("")));
}

/* ---- adding to an older one ------------------------------------------------------------------------------ */

static void test_vectors_types__rows_are_added_and_others_die(void **state)
{
    enum { BEFORE = 2500, GONE = 100 };
    world *w = *state;
    vectors_identity id = identity(w, 1);
    for (size_t t = 0; t < TYPES; t++) {
        uint8_t live[N / 8 + 1];
        vectors *v;
        kept_row *kept = rows_of(GONE, N);
        save(w, types[t], BEFORE);
        assert_ok(vectors_extend(&v, w->d, w->dir, &id, kept, N - GONE, N, &kb_err));
        assert_int_equal(vectors_count(v), N);
        assert_int_equal(vectors_shape_of(v).trained, BEFORE);
        memset(live, 0xff, sizeof live);
        for (size_t i = 0; i < GONE; i++)
            live[i >> 3] &= (uint8_t)~(1u << (i & 7));
        assert_true(recall(w, v, live, N) == 1.0);
        v->few = 0;
        assert_true(recall(w, v, live, N) > 0.93);
        assert_true(vectors_hold(v, kept, N - GONE));
        vectors_release(v);
        free(kept);
    }
}

static void test_vectors_types__rows_that_do_not_follow_are_not_added(void **state)
{
    enum { BEFORE = 2500 };
    world *w = *state;
    vectors_identity id = identity(w, 1);
    vectors *v;
    kept_row *kept = rows_of(0, N);
    save(w, VECTORS_IVF, BEFORE);
    assert_code(vectors_extend(&v, w->d, w->dir, &id, kept, N, N - BEFORE - 1, &kb_err), RAG_INVALID);
    kept[1].chunk_id--; /* no position has it */
    assert_code(vectors_extend(&v, w->d, w->dir, &id, kept, N, N, &kb_err), RAG_INVALID);
    kept[1] = row_of(1);
    kept[1].embedding_id = 1;
    assert_code(vectors_extend(&v, w->d, w->dir, &id, kept, N, N, &kb_err), RAG_INVALID);
    assert_null(v);
    id.generation = 2;
    kept[1] = row_of(1);
    assert_code(vectors_extend(&v, w->d, w->dir, &id, kept, N, N, &kb_err), RAG_NOT_FOUND);
    free(kept);
}

#define ROW(name) cmocka_unit_test_setup_teardown(test_vectors_types__##name, make_world, end_world)

int main(void)
{
    const struct CMUnitTest tests[] = {
        ROW(each_finds_what_exact_search_finds),
        ROW(filters_hide_and_never_shrink),
        ROW(few_visible_ones_are_searched_exactly),
        ROW(lists_without_visible_rows_are_not_the_end),
        ROW(codes_score_nearly_as_vectors_do),
        ROW(without_kb_db_codes_decide),
        ROW(a_damaged_vector_keeps_the_score_of_its_code),
        ROW(threads_search_together),
        ROW(effort_is_as_large_as_recall_needs),
        ROW(few_rows_are_always_flat),
        ROW(building_can_be_stopped),
        ROW(the_same_rows_make_the_same_index),
        ROW(files_of_each_are_loaded_as_they_were),
        ROW(changed_files_are_noticed),
        ROW(an_index_of_another_type_is_not_taken),
        ROW(manifests_are_read_back_and_nothing_else_is),
        ROW(rows_are_added_and_others_die),
        ROW(rows_that_do_not_follow_are_not_added),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
