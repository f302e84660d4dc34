/* Every type of index against exact search. */
#include "vector_world.h"

#include <math.h>
#include <pthread.h>

#include "base/file.h"

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
        if (types[t] == VECTORS_IVF)
            v->shape.effort = v->shape.lists / 2;
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
        if (types[t] == VECTORS_IVF)
            v->shape.effort = v->shape.lists / 2;
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
    assert_true(s.lists > 30);
    assert_int_equal(s.effort, s.lists); /* 32,768 rows are looked at at least */
    assert_true(s.recall >= 970);
    assert_int_equal(s.trained, N);
    assert_int_equal(v->few, 20000);
    vectors_release(v);
    v = build(*state, VECTORS_HNSW, N);
    assert_true(vectors_shape_of(v).recall >= 970 && vectors_shape_of(v).effort >= 64 && vectors_shape_of(v).effort <= 512);
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

static bool always(const void *context)
{
    (void)context;
    return true;
}

static void test_vectors_types__training_can_be_interrupted(void **state)
{
    world *w = *state;
    vectors *v;
    fx_set_interrupt(always, NULL);
    assert_code(vectors_build(&v, w->d, DIM, VECTORS_IVF, rows_of(0, N), N, NULL, &kb_err), RAG_IO);
    fx_set_interrupt(NULL, NULL);
    assert_non_null(strstr(kb_err.message, "interrupted"));
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
        ROW(training_can_be_interrupted),
        ROW(the_same_rows_make_the_same_index),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
