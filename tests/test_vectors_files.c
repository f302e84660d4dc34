/* Files of every type of index: read back, damaged, of another type, and continued. */
#include "vector_world.h"

#include "base/file.h"

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

static void test_vectors_files__files_of_each_are_loaded_as_they_were(void **state)
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

static void test_vectors_files__large_ones_are_loaded(void **state)
{
    enum { MANY = 70000 }; /* positions of more than a mebibyte */
    world *w = *state;
    vectors_identity id = identity(w, 1);
    vectors *v, *loaded;
    kept_row *rows = rows_of(0, MANY);
    for (size_t i = 0; i < MANY; i++)
        rows[i].embedding_id = (int64_t)(i % N) + 1;
    assert_ok(vectors_build(&v, w->d, DIM, VECTORS_SQ8, rows, MANY, NULL, &kb_err));
    assert_ok(vectors_save(v, w->dir, &id, &kb_err));
    assert_ok(vectors_load(&loaded, w->dir, &id, v->positions, MANY, &kb_err));
    assert_memory_equal(loaded->positions, v->positions, MANY * sizeof *rows);
    vectors_release(v);
    vectors_release(loaded);
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

static void test_vectors_files__changed_files_are_noticed(void **state)
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
static void test_vectors_files__an_index_of_another_type_is_not_taken(void **state)
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
            m.shape.type = types[other];
            m.shape.effort = 10;
            m.shape.lists = m.shape.lists ? m.shape.lists : 10;
            manifest_render(text, &id, &m);
            assert_ok(rag_file_write_atomic(path, rag_str_of(text), &kb_err));
            assert_code(try_load(w, &v, N), other == t ? RAG_OK : RAG_CORRUPT);
            vectors_release(v);
            rag_buf_free(&whole);
        }
    }
    free(path);
}

static void test_vectors_files__manifests_are_read_back_and_nothing_else_is(void **state)
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

static void test_vectors_files__rows_are_added_and_others_die(void **state)
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

static void test_vectors_files__rows_that_do_not_follow_are_not_added(void **state)
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

#define ROW(name) cmocka_unit_test_setup_teardown(test_vectors_files__##name, make_world, end_world)

int main(void)
{
    const struct CMUnitTest tests[] = {
        ROW(files_of_each_are_loaded_as_they_were),
        ROW(large_ones_are_loaded),
        ROW(changed_files_are_noticed),
        ROW(an_index_of_another_type_is_not_taken),
        ROW(manifests_are_read_back_and_nothing_else_is),
        ROW(rows_are_added_and_others_die),
        ROW(rows_that_do_not_follow_are_not_added),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
