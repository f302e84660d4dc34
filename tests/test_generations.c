#include "kb.h"

#include <pthread.h>
#include <stdatomic.h>

static int64_t served(rag_index *ix)
{
    assert_ok(rag_index_refresh(ix, NULL, &kb_err));
    rag_snapshot *s = rag_index_acquire(ix);
    int64_t number = rag_snapshot_generation(s);
    rag_snapshot_release(s);
    return number;
}

static void test_generations__an_empty_store_is_generation_0(void **state)
{
    rag_index *ix = kb_open(*state);
    rag_arena *arena = rag_arena_new();
    rag_hit *hits;
    rag_generation *list;
    size_t n;
    assert_null(rag_index_acquire(ix));
    assert_int_equal(served(ix), 0);
    assert_int_equal(kb_search(ix, "anything", RAG_SEARCH_HYBRID, arena, &hits), 0);
    assert_ok(rag_index_generations(ix, arena, &list, &n, &kb_err));
    assert_int_equal(n, 0);
    rag_arena_free(arena);
    rag_index_close(ix);
}

static void test_generations__another_handle_sees_a_publish(void **state)
{
    rag_index *writes = kb_open(*state), *serves = kb_open(*state);
    bool changed;
    assert_int_equal(served(serves), 0);
    assert_ok(rag_index_refresh(serves, &changed, &kb_err));
    assert_false(changed);
    kb_ingest(writes, "a", "apples", NULL);
    assert_ok(rag_index_refresh(serves, &changed, &kb_err));
    assert_true(changed);
    assert_true(kb_finds(serves, "apples", "a"));
    assert_ok(rag_index_refresh(serves, &changed, &kb_err));
    assert_false(changed);
    rag_index_close(writes);
    rag_index_close(serves);
}

static void test_generations__a_held_snapshot_stays_as_it_was(void **state)
{
    rag_index *ix = kb_open(*state);
    rag_arena *arena = rag_arena_new();
    rag_reader *r;
    rag_hit *hits;
    rag_document doc;
    rag_buf text;
    size_t n;
    rag_buf_init(&text, 1000);
    kb_ingest(ix, "a", "old apples", "b", "bananas", NULL);
    assert_int_equal(served(ix), 1);
    rag_snapshot *held = rag_index_acquire(ix);
    kb_ingest(ix, "a", "new pears", "c", "cherries", NULL);
    assert_int_equal(served(ix), 2);

    rag_search q = { .query = RAG_STR("apples pears cherries"), .mode = RAG_SEARCH_TEXT,
                     .filter = { .all_groups = true } };
    assert_ok(rag_reader_open(&r, ix, &kb_err));
    assert_ok(kb_hits(r, held, &q, arena, &hits, &n));
    assert_int_equal(n, 1);
    assert_true(rag_str_eq(hits[0].text, RAG_STR("old apples")));
    assert_ok(rag_reader_document_by_path(r, held, RAG_STR(""), RAG_STR("a"), arena, &doc, &kb_err));
    assert_int_equal(doc.gen_from, 1);
    assert_ok(rag_reader_text(r, held, doc.id, 0, SIZE_MAX, &text, &kb_err));
    assert_string_equal(text.ptr, "old apples");
    assert_code(rag_reader_document_by_path(r, held, RAG_STR(""), RAG_STR("c"), arena, &doc, &kb_err), RAG_NOT_FOUND);
    rag_reader_close(r);
    rag_snapshot_release(held);
    rag_buf_free(&text);
    rag_arena_free(arena);
    rag_index_close(ix);
}

static void test_generations__activate_goes_back_and_stays(void **state)
{
    rag_index *ix = kb_open(*state), *other = kb_open(*state);
    kb_ingest(ix, "a", "apples", NULL);
    kb_ingest(ix, "a", "bananas", NULL);
    assert_ok(rag_index_activate(ix, 1, &kb_err));
    assert_int_equal(served(ix), 1);
    assert_int_equal(served(other), 1);
    assert_true(kb_finds(ix, "apples", "a"));
    assert_int_equal(kb_ingest(ix, "a", "cherries", NULL).generation, 3);
    assert_int_equal(served(ix), 1);
    assert_code(rag_index_activate(ix, 9, &kb_err), RAG_NOT_FOUND);
    assert_int_equal(served(ix), 1);
    assert_ok(rag_index_activate(other, 0, &kb_err));
    assert_int_equal(served(ix), 3);
    assert_true(kb_finds(ix, "cherries", "a"));
    assert_false(kb_finds(ix, "apples", "a"));
    rag_index_close(other);
    rag_index_close(ix);
}

static void test_generations__a_pinned_one_outlives_the_limit(void **state)
{
    rag_index *ix;
    rag_index_options opt = { .dir = *state, .create = true, .keep_generations = 1 };
    int64_t problems;
    assert_ok(rag_index_open(&ix, &opt, &kb_err));
    kb_ingest(ix, "a", "apples", NULL);
    assert_ok(rag_index_activate(ix, 1, &kb_err));
    kb_ingest(ix, "a", "bananas", NULL);
    kb_ingest(ix, "a", "cherries", NULL);
    assert_int_equal(kb_sql_number(*state, "SELECT count(*) FROM versions"), 2);
    assert_int_equal(served(ix), 1);
    assert_true(kb_finds(ix, "apples", "a"));
    assert_ok(rag_index_verify(ix, NULL, NULL, &problems, &kb_err));
    assert_int_equal(problems, 0);
    rag_index_close(ix);
}

static void test_generations__the_list_counts(void **state)
{
    rag_index *ix = kb_open(*state);
    rag_arena *arena = rag_arena_new();
    rag_generation *list;
    size_t n;
    kb_ingest(ix, "a", "apples\n\npears", "b", "bananas", NULL);
    kb_ingest(ix, "a", "apples", "c", "cherries", NULL);
    assert_ok(rag_index_generations(ix, arena, &list, &n, &kb_err));
    assert_int_equal(n, 2);
    assert_int_equal(list[0].number, 2);
    assert_true(list[0].active && !list[1].active);
    assert_int_equal(list[0].documents, 3);
    assert_int_equal(list[0].chunks, 3);
    assert_int_equal(list[0].documents_added, 1);
    assert_int_equal(list[0].documents_updated, 1);
    assert_int_equal(list[1].chunks, 3);
    assert_true(list[0].published_ns >= list[1].published_ns && list[1].published_ns > 0);
    rag_arena_free(arena);
    rag_index_close(ix);
}

static void test_generations__a_snapshot_that_was_let_go_is_told(void **state)
{
    rag_index *ix;
    rag_index_options opt = { .dir = *state, .create = true, .keep_generations = 1 };
    rag_arena *arena = rag_arena_new();
    rag_reader *r;
    rag_hit *hits;
    size_t n;
    assert_ok(rag_index_open(&ix, &opt, &kb_err));
    kb_ingest(ix, "a", "apples", NULL);
    served(ix);
    rag_snapshot *held = rag_index_acquire(ix);
    kb_ingest(ix, "a", "bananas", NULL);
    rag_search q = { .query = RAG_STR("apples"), .filter = { .all_groups = true } };
    assert_ok(rag_reader_open(&r, ix, &kb_err));
    assert_code(kb_hits(r, held, &q, arena, &hits, &n), RAG_BUSY);
    rag_reader_close(r);
    rag_snapshot_release(held);
    rag_arena_free(arena);
    rag_index_close(ix);
}

static void test_generations__another_models_generation_is_not_taken(void **state)
{
    rag_index *writes = kb_open(*state), *serves;
    rag_sha256 model = kb_run().model;
    rag_index_options opt = { .dir = *state, .model = &model };
    rag_writer_options run = kb_run();
    rag_writer *w;
    kb_ingest(writes, "a", "apples", NULL);
    assert_ok(rag_index_open(&serves, &opt, &kb_err));
    assert_int_equal(served(serves), 1);
    run.model = rag_sha256_of(RAG_STR("another"));
    run.full = true;
    assert_ok(rag_writer_begin(&w, writes, &run, &kb_err));
    kb_put(w, kb_source(w, "default", "/root", ""), "a", "apples");
    assert_int_equal(kb_publish(w).generation, 2);
    rag_writer_end(w);
    assert_int_equal(served(serves), 1);
    assert_int_equal(served(writes), 2);
    assert_code(rag_index_activate(serves, 2, &kb_err), RAG_CONFIG);
    assert_ok(rag_index_activate(serves, 1, &kb_err));
    assert_int_equal(served(writes), 1);
    rag_index_close(serves);
    rag_index_close(writes);
}

/* ---- many threads ------------------------------------------------------------------------- */

typedef struct crowd {
    rag_index *ix;
    atomic_bool stop;
    atomic_int searches, wrong;
} crowd;

/* Every generation g holds exactly g documents "word"; a search must find all of one generation. */
static void *search_all_the_time(void *context)
{
    crowd *c = context;
    rag_reader *r;
    rag_err err;
    if (rag_reader_open(&r, c->ix, &err) != RAG_OK) {
        atomic_fetch_add(&c->wrong, 1);
        return NULL;
    }
    while (!atomic_load(&c->stop)) {
        rag_arena *arena = rag_arena_new();
        rag_results found;
        rag_snapshot *s = rag_index_acquire(c->ix);
        rag_search q = { .query = RAG_STR("word"), .mode = RAG_SEARCH_TEXT, .pool = 100,
                         .filter = { .all_groups = true } };
        rag_code code = rag_reader_search(r, s, &q, arena, &found, &err);
        if (code != RAG_OK || (int64_t)found.n != rag_snapshot_generation(s))
            atomic_fetch_add(&c->wrong, 1);
        atomic_fetch_add(&c->searches, 1);
        rag_snapshot_release(s);
        rag_arena_free(arena);
    }
    rag_reader_close(r);
    return NULL;
}

static void test_generations__searches_never_mix_two(void **state)
{
    enum { THREADS = 3, RUNS = 8 };
    pthread_t threads[THREADS];
    crowd c = { .ix = kb_open(*state) };
    assert_int_equal(served(c.ix), 0);
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, search_all_the_time, &c), 0);
    for (int run = 0; run < RUNS; run++) {
        char path[16];
        snprintf(path, sizeof path, "d%d", run);
        kb_ingest(c.ix, path, "word", NULL);
        int before = atomic_load(&c.searches);
        assert_int_equal(served(c.ix), run + 1);
        while (atomic_load(&c.searches) < before + THREADS)
            ;
    }
    atomic_store(&c.stop, true);
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    assert_int_equal(atomic_load(&c.wrong), 0);
    rag_index_close(c.ix);
}

#define ROW(name) cmocka_unit_test_setup_teardown(test_generations__##name, kb_setup, kb_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        ROW(an_empty_store_is_generation_0),
        ROW(another_handle_sees_a_publish),
        ROW(a_held_snapshot_stays_as_it_was),
        ROW(activate_goes_back_and_stays),
        ROW(a_pinned_one_outlives_the_limit),
        ROW(the_list_counts),
        ROW(a_snapshot_that_was_let_go_is_told),
        ROW(another_models_generation_is_not_taken),
        ROW(searches_never_mix_two),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
