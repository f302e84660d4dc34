/* The index on disk through the life of a store: rows come, rows go, it is made anew and swapped while others read. */
#include "kb.h"

#include <pthread.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/file.h"
#include "index/store.h"

enum { PARAGRAPHS = 60, DOCUMENTS = 20 };

static rag_index *open_typed(const char *dir, rag_index_type type)
{
    rag_index *ix;
    rag_index_options opt = { .dir = dir, .create = true, .keep_generations = 1, .type = type };
    assert_ok(rag_index_open(&ix, &opt, &kb_err));
    return ix;
}

static void put(rag_writer *w, int64_t source, int number)
{
    char path[16], text[PARAGRAPHS * 40];
    size_t len = 0;
    snprintf(path, sizeof path, "d%d", number);
    for (int p = 0; p < PARAGRAPHS; p++)
        len += (size_t)snprintf(text + len, sizeof text - len, "%sdoc%d par%d both%dx%d", p ? "\n\n" : "", number, p, number, p);
    kb_put(w, source, path, text);
}

typedef struct run {
    int first, last;       /* documents to put */
    int removed, removed_last;
    bool renew;
    atomic_bool *stop;
    bool renewed;
} run;

static void ingest(rag_index *ix, run *r)
{
    rag_writer *w = kb_begin(ix);
    rag_arena *arena = rag_arena_new();
    int64_t source = kb_source(w, "default", "/root", "");
    for (int i = r->first; i < r->last; i++)
        put(w, source, i);
    for (int i = r->removed; i < r->removed_last; i++) {
        char path[16];
        rag_stored doc;
        snprintf(path, sizeof path, "d%d", i);
        assert_ok(rag_writer_lookup(w, source, rag_str_of(path), arena, &doc, &kb_err));
        assert_ok(rag_writer_remove(w, doc.document_id, &kb_err));
    }
    kb_publish(w);
    if (r->renew)
        assert_code(rag_writer_renew_vectors(w, r->stop, &r->renewed, &kb_err),
                    r->stop && atomic_load(r->stop) ? RAG_CANCELED : RAG_OK);
    rag_writer_end(w);
    rag_arena_free(arena);
}

static bool renews(rag_index *ix)
{
    run r = { .renew = true };
    ingest(ix, &r);
    return r.renewed;
}

/* A store of 1,200 chunks with an index of this type. */
static rag_index *make_store(const char *dir, rag_index_type type)
{
    rag_index *ix = open_typed(dir, type);
    run r = { .last = DOCUMENTS, .renew = true };
    ingest(ix, &r);
    assert_int_equal(r.renewed, type == RAG_INDEX_HNSW || type == RAG_INDEX_IVF);
    return ix;
}

/* ---- what is served ---------------------------------------------------------------------------------- */

static rag_snapshot *current(rag_index *ix)
{
    assert_ok(rag_index_refresh(ix, NULL, &kb_err));
    return rag_index_acquire(ix);
}

static vectors_shape shape_served(rag_index *ix, size_t *positions)
{
    rag_snapshot *s = current(ix);
    vectors_shape shape = vectors_shape_of(s->vectors);
    if (positions)
        *positions = vectors_count(s->vectors);
    rag_snapshot_release(s);
    return shape;
}

/* Whether the document's own words find it first. */
static bool finds(rag_index *ix, rag_snapshot *s, int number)
{
    char query[64], path[16];
    float vector[KB_DIM];
    rag_reader *r;
    rag_arena *arena = rag_arena_new();
    rag_results out;
    snprintf(query, sizeof query, "doc%d par%d both%dx%d", number, number % PARAGRAPHS, number, number % PARAGRAPHS);
    snprintf(path, sizeof path, "d%d", number);
    kb_vector(rag_str_of(query), vector);
    rag_search q = { .query = rag_str_of(query), .vector = vector, .mode = RAG_SEARCH_VECTOR,
                     .filter = { .all_groups = true } };
    assert_ok(rag_reader_open(&r, ix, &kb_err));
    assert_ok(rag_reader_search(r, s, &q, arena, &out, &kb_err));
    bool found = out.n > 0 && rag_str_eq(out.hits[0].document, rag_str_of(path)) && out.hits[0].vector_score > 0.999;
    rag_reader_close(r);
    rag_arena_free(arena);
    return found;
}

static void assert_finds(rag_index *ix, int first, int last, bool wanted)
{
    rag_snapshot *s = current(ix);
    for (int i = first; i < last; i++)
        if (finds(ix, s, i) != wanted)
            fail_msg("document %d is %sfound", i, wanted ? "not " : "");
    rag_snapshot_release(s);
}

static void assert_whole(rag_index *ix)
{
    int64_t problems;
    assert_ok(rag_index_verify(ix, NULL, NULL, &problems, &kb_err));
    assert_int_equal(problems, 0);
}

/* What a process that starts now finds. */
static void assert_on_disk(const char *dir, vectors_type type, size_t positions)
{
    size_t n;
    rag_index *ix = open_typed(dir, RAG_INDEX_AUTO);
    assert_int_equal(shape_served(ix, &n).type, type);
    assert_int_equal(n, positions);
    rag_index_close(ix);
}

/* ---- making anew --------------------------------------------------------------------------------------- */

static void test_vectors_renew__a_trained_one_comes_after_the_publish(void **state)
{
    static const struct { rag_index_type asked; vectors_type made; } rows[] = {
        { RAG_INDEX_IVF, VECTORS_IVF }, { RAG_INDEX_HNSW, VECTORS_HNSW },
    };
    for (size_t i = 0; i < 2; i++) {
        char *dir = kb_path(*state, i ? "hnsw" : "ivf");
        rag_index *ix = open_typed(dir, rows[i].asked);
        run r = { .last = DOCUMENTS };
        ingest(ix, &r);
        assert_int_equal(shape_served(ix, NULL).type, VECTORS_FLAT);
        assert_finds(ix, 0, DOCUMENTS, true);
        assert_true(renews(ix));
        assert_int_equal(shape_served(ix, NULL).type, rows[i].made);
        assert_finds(ix, 0, DOCUMENTS, true);
        assert_false(renews(ix));
        assert_whole(ix);
        assert_on_disk(dir, rows[i].made, DOCUMENTS * PARAGRAPHS);
        rag_index_close(ix);
        free(dir);
    }
}

static void test_vectors_renew__a_held_snapshot_serves_on(void **state)
{
    rag_index *ix = open_typed(*state, RAG_INDEX_IVF), *other = open_typed(*state, RAG_INDEX_AUTO);
    bool changed;
    run r = { .last = DOCUMENTS };
    ingest(ix, &r);
    rag_snapshot *held = current(other);
    assert_true(renews(ix));
    assert_true(finds(other, held, 3));
    assert_ok(rag_index_refresh(other, &changed, &kb_err));
    assert_true(changed);
    rag_snapshot *now = rag_index_acquire(other);
    assert_ptr_not_equal(now, held);
    assert_int_equal(rag_snapshot_generation(now), rag_snapshot_generation(held));
    assert_int_equal(vectors_shape_of(now->vectors).type, VECTORS_IVF);
    assert_int_equal(vectors_shape_of(held->vectors).type, VECTORS_FLAT);
    assert_true(finds(other, held, 3) && finds(other, now, 3));
    rag_snapshot_release(held);
    rag_snapshot_release(now);
    rag_index_close(other);
    rag_index_close(ix);
}

static void test_vectors_renew__auto_is_flat_while_that_is_fast(void **state)
{
    rag_index *ix = make_store(*state, RAG_INDEX_AUTO);
    assert_int_equal(shape_served(ix, NULL).type, VECTORS_FLAT);
    assert_int_equal(shape_served(ix, NULL).recall, 1000);
    rag_index_close(ix);
}

static void test_vectors_renew__another_type_is_made_when_it_is_asked_for(void **state)
{
    rag_index_close(make_store(*state, RAG_INDEX_IVF));
    rag_index *ix = open_typed(*state, RAG_INDEX_FLAT);
    assert_true(renews(ix));
    assert_int_equal(shape_served(ix, NULL).type, VECTORS_FLAT);
    rag_index_close(ix);
    ix = open_typed(*state, RAG_INDEX_HNSW);
    assert_true(renews(ix));
    assert_int_equal(shape_served(ix, NULL).type, VECTORS_HNSW);
    assert_finds(ix, 0, DOCUMENTS, true);
    rag_index_close(ix);
}

static void test_vectors_renew__damage_is_mended_by_the_next_run(void **state)
{
    rag_index *ix = make_store(*state, RAG_INDEX_IVF);
    char *manifest = kb_path(*state, "vectors/1/manifest.json");
    assert_ok(rag_file_write_atomic(manifest, RAG_STR("{}"), &kb_err));
    assert_on_disk(*state, VECTORS_FLAT, DOCUMENTS * PARAGRAPHS); /* built from kb.db, at once */
    assert_true(renews(ix));
    assert_on_disk(*state, VECTORS_IVF, DOCUMENTS * PARAGRAPHS);
    free(manifest);
    rag_index_close(ix);
}

static void test_vectors_renew__a_stop_leaves_the_old_one(void **state)
{
    atomic_bool stop = true;
    rag_index *ix = open_typed(*state, RAG_INDEX_IVF);
    run r = { .last = DOCUMENTS, .renew = true, .stop = &stop };
    ingest(ix, &r);
    assert_false(r.renewed);
    assert_on_disk(*state, VECTORS_FLAT, DOCUMENTS * PARAGRAPHS);
    assert_whole(ix);
    rag_index_close(ix);
}

/* ---- rows come and go ------------------------------------------------------------------------------------ */

static void test_vectors_renew__new_rows_join_the_old_index(void **state)
{
    rag_index *ix = make_store(*state, RAG_INDEX_IVF);
    run r = { .first = DOCUMENTS, .last = DOCUMENTS + 5, .renew = true };
    size_t n;
    ingest(ix, &r);
    assert_false(r.renewed);
    vectors_shape shape = shape_served(ix, &n);
    assert_int_equal(shape.type, VECTORS_IVF);
    assert_int_equal(shape.trained, DOCUMENTS * PARAGRAPHS);
    assert_int_equal(n, (DOCUMENTS + 5) * PARAGRAPHS);
    assert_finds(ix, 0, DOCUMENTS + 5, true);
    assert_whole(ix);
    assert_on_disk(*state, VECTORS_IVF, (DOCUMENTS + 5) * PARAGRAPHS);
    rag_index_close(ix);
}

static void test_vectors_renew__an_index_that_doubled_is_trained_again(void **state)
{
    rag_index *ix = make_store(*state, RAG_INDEX_IVF);
    run r = { .first = DOCUMENTS, .last = 2 * DOCUMENTS, .renew = true };
    ingest(ix, &r);
    assert_true(r.renewed);
    assert_int_equal(shape_served(ix, NULL).trained, 2 * DOCUMENTS * PARAGRAPHS);
    assert_whole(ix);
    rag_index_close(ix);
}

static void test_vectors_renew__dead_rows_are_never_found(void **state)
{
    static const rag_index_type types[] = { RAG_INDEX_FLAT, RAG_INDEX_HNSW, RAG_INDEX_IVF };
    static const char *const names[] = { "flat", "hnsw", "ivf" };
    for (size_t i = 0; i < 3; i++) {
        char *dir = kb_path(*state, names[i]);
        rag_index *ix = make_store(dir, types[i]);
        run r = { .removed = 2, .removed_last = 5, .renew = true };
        size_t n;
        ingest(ix, &r);
        assert_false(r.renewed);
        shape_served(ix, &n);
        assert_int_equal(n, DOCUMENTS * PARAGRAPHS);
        assert_finds(ix, 2, 5, false);
        assert_finds(ix, 5, DOCUMENTS, true);
        assert_whole(ix);
        assert_on_disk(dir, shape_served(ix, NULL).type, DOCUMENTS * PARAGRAPHS);
        rag_index_close(ix);
        free(dir);
    }
}

static void test_vectors_renew__many_dead_rows_are_dropped(void **state)
{
    static const rag_index_type types[] = { RAG_INDEX_FLAT, RAG_INDEX_IVF };
    for (size_t i = 0; i < 2; i++) {
        char *dir = kb_path(*state, i ? "ivf" : "flat");
        rag_index *ix = make_store(dir, types[i]);
        size_t n;
        run more = { .first = DOCUMENTS, .last = DOCUMENTS + 10, .renew = true };
        run less = { .removed = 0, .removed_last = 8, .renew = true };
        ingest(ix, &more);
        ingest(ix, &less);
        assert_int_equal(less.renewed, i == 1);
        shape_served(ix, &n);
        assert_int_equal(n, (DOCUMENTS + 2) * PARAGRAPHS);
        assert_finds(ix, 0, 8, false);
        assert_finds(ix, 8, DOCUMENTS + 10, true);
        assert_whole(ix);
        rag_index_close(ix);
        free(dir);
    }
}

/* Both halves: the text half's rows and lengths stand in the order of the positions too. */
static void test_vectors_renew__the_text_half_minds_dead_rows(void **state)
{
    rag_index *ix = make_store(*state, RAG_INDEX_IVF);
    run r = { .removed = 2, .removed_last = 4 };
    ingest(ix, &r);
    for (int i = 0; i < DOCUMENTS; i++) {
        char word[32], path[16];
        snprintf(word, sizeof word, "both%dx7", i);
        snprintf(path, sizeof path, "d%d", i);
        assert_int_equal(kb_finds(ix, word, path), i < 2 || i >= 4);
    }
    rag_index_close(ix);
}

/* ---- kills --------------------------------------------------------------------------------------------------- */

static void be_killed(const char *dir, const char *point)
{
    int status;
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        setenv("RAGD_CRASH_AT", point, 1);
        rag_index *ix = open_typed(dir, RAG_INDEX_IVF);
        renews(ix);
        _exit(0);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    if (!WIFSIGNALED(status) || WTERMSIG(status) != SIGKILL)
        fail_msg("the run passed '%s' alive", point);
}

static void test_vectors_renew__a_kill_leaves_the_old_one_or_the_new(void **state)
{
    static const struct { const char *point; bool is_new; } rows[] = {
        { "renew_built", false }, { "snapshot_tmp", false }, { "before_rename", false },
        { "after_rename", true }, { "renew_saved", true },
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char *dir = kb_path(*state, rows[i].point);
        rag_index *ix = open_typed(dir, RAG_INDEX_IVF);
        run r = { .last = DOCUMENTS };
        ingest(ix, &r);
        rag_index_close(ix);
        be_killed(dir, rows[i].point);
        assert_on_disk(dir, rows[i].is_new ? VECTORS_IVF : VECTORS_FLAT, DOCUMENTS * PARAGRAPHS);
        ix = open_typed(dir, RAG_INDEX_IVF);
        assert_finds(ix, 0, DOCUMENTS, true);
        assert_whole(ix);
        assert_int_equal(renews(ix), !rows[i].is_new);
        assert_int_equal(shape_served(ix, NULL).type, VECTORS_IVF);
        rag_index_close(ix);
        free(dir);
    }
}

/* ---- while others read ------------------------------------------------------------------------------------------ */

typedef struct crowd {
    rag_index *ix;
    atomic_bool stop;
    atomic_int searches, wrong;
} crowd;

static bool search_once(crowd *c, rag_reader *r, int number)
{
    char query[64];
    float vector[KB_DIM];
    rag_results out;
    rag_err err;
    rag_arena *arena = rag_arena_new();
    rag_snapshot *s = rag_index_acquire(c->ix);
    snprintf(query, sizeof query, "doc%d par%d both%dx%d", number, number, number, number);
    kb_vector(rag_str_of(query), vector);
    rag_search q = { .query = rag_str_of(query), .vector = vector, .mode = RAG_SEARCH_HYBRID,
                     .filter = { .all_groups = true } };
    rag_code code = rag_reader_search(r, s, &q, arena, &out, &err);
    bool right = code == RAG_BUSY || (code == RAG_OK && out.n > 0 && out.hits[0].vector_score > 0.999);
    rag_snapshot_release(s);
    rag_arena_free(arena);
    return right;
}

static void *search_all_the_time(void *context)
{
    crowd *c = context;
    rag_reader *r;
    if (rag_reader_open(&r, c->ix, NULL) != RAG_OK) {
        atomic_fetch_add(&c->wrong, 1);
        return NULL;
    }
    for (int i = 0; !atomic_load(&c->stop); i = (i + 1) % DOCUMENTS) {
        if (!search_once(c, r, i))
            atomic_fetch_add(&c->wrong, 1);
        atomic_fetch_add(&c->searches, 1);
    }
    rag_reader_close(r);
    return NULL;
}

static void test_vectors_renew__searches_run_through_it(void **state)
{
    enum { THREADS = 2, RUNS = 5 };
    pthread_t threads[THREADS];
    rag_index *ix = open_typed(*state, RAG_INDEX_IVF);
    crowd c = { .ix = open_typed(*state, RAG_INDEX_AUTO) };
    run r = { .last = DOCUMENTS };
    ingest(ix, &r);
    assert_ok(rag_index_refresh(c.ix, NULL, &kb_err));
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, search_all_the_time, &c), 0);
    for (int i = 0; i < RUNS; i++) {
        run more = { .first = DOCUMENTS + i, .last = DOCUMENTS + i + 1, .renew = true };
        ingest(ix, &more);
        assert_ok(rag_index_refresh(c.ix, NULL, &kb_err));
        int before = atomic_load(&c.searches);
        while (atomic_load(&c.searches) < before + THREADS)
            usleep(1000);
    }
    atomic_store(&c.stop, true);
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    assert_int_equal(atomic_load(&c.wrong), 0);
    assert_int_equal(shape_served(c.ix, NULL).type, VECTORS_IVF);
    rag_index_close(c.ix);
    rag_index_close(ix);
}

#define ROW(name) cmocka_unit_test_setup_teardown(test_vectors_renew__##name, kb_setup, kb_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        ROW(a_trained_one_comes_after_the_publish),
        ROW(a_held_snapshot_serves_on),
        ROW(auto_is_flat_while_that_is_fast),
        ROW(another_type_is_made_when_it_is_asked_for),
        ROW(damage_is_mended_by_the_next_run),
        ROW(a_stop_leaves_the_old_one),
        ROW(new_rows_join_the_old_index),
        ROW(an_index_that_doubled_is_trained_again),
        ROW(dead_rows_are_never_found),
        ROW(many_dead_rows_are_dropped),
        ROW(the_text_half_minds_dead_rows),
        ROW(a_kill_leaves_the_old_one_or_the_new),
        ROW(searches_run_through_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
