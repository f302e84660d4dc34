/* Whole runs over a folder and a store of their own, with the fake embedder. */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "ingest/ingest.h"

static char base[32], docs[48], store[48];
static rag_index *index_;
static rag_embedder *embedder;
static rag_arena *arena;
static rag_err err;
static rag_ingest_summary sum;

/* ---- files ------------------------------------------------------------------------- */

static const char *in(const char *folder, const char *name)
{
    return rag_arena_printf(arena, "%s/%s", folder, name);
}

static void write_bytes(const char *path, rag_str bytes)
{
    int fd = open(path, O_CREAT | O_WRONLY | O_TRUNC, 0644);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, bytes.ptr, bytes.len), (ssize_t)bytes.len);
    close(fd);
}

/* Seconds before now, so that a file is not racy. */
static void age(const char *path, int seconds)
{
    struct timespec now, times[2] = { { .tv_nsec = UTIME_OMIT } };
    clock_gettime(CLOCK_REALTIME, &now);
    times[1] = (struct timespec){ now.tv_sec - seconds, 123456789 };
    assert_int_equal(utimensat(AT_FDCWD, path, times, 0), 0);
}

static void put(const char *name, const char *text)
{
    const char *path = in(docs, name);
    write_bytes(path, rag_str_of(text));
    age(path, 100);
}

static void put_many(int n)
{
    for (int i = 0; i < n; i++)
        put(rag_arena_printf(arena, "%03d.txt", i), rag_arena_printf(arena, "document number %d", i));
}

static void drop(const char *name)
{
    assert_int_equal(unlink(in(docs, name)), 0);
}

/* ---- the store --------------------------------------------------------------------- */

static void open_store(void)
{
    rag_index_options opt = { .dir = store, .create = true };
    assert_int_equal(rag_index_open(&index_, &opt, &err), RAG_OK);
}

static int set_up(void **state)
{
    (void)state;
    rag_embed_options embed = { 0 };
    strcpy(base, "/tmp/ragd_ingest_XXXXXX");
    assert_non_null(mkdtemp(base));
    snprintf(docs, sizeof docs, "%s/docs", base);
    snprintf(store, sizeof store, "%s/kb", base);
    assert_int_equal(mkdir(docs, 0755), 0);
    arena = rag_arena_new();
    open_store();
    return rag_embed_open(&embedder, &embed, &err);
}

static int tear_down(void **state)
{
    (void)state;
    char command[64];
    rag_index_close(index_);
    rag_embed_close(embedder);
    rag_arena_free(arena);
    snprintf(command, sizeof command, "rm -rf %s", base);
    return system(command);
}

static rag_code run_paths(rag_ingest_options opt, const rag_ingest_path *paths, size_t n)
{
    opt.paths = paths;
    opt.n_paths = n;
    return rag_ingest_run(index_, embedder, &opt, arena, &sum, &err);
}

static rag_code run_with(rag_ingest_options opt)
{
    rag_ingest_path path = { .path = docs };
    return run_paths(opt, &path, 1);
}

static void run(void)
{
    assert_int_equal(run_with((rag_ingest_options){ 0 }), RAG_OK);
}

static void check_counts(int added, int updated, int unchanged, int removed, int failed)
{
    assert_int_equal(sum.documents_added, added);
    assert_int_equal(sum.documents_updated, updated);
    assert_int_equal(sum.documents_unchanged, unchanged);
    assert_int_equal(sum.documents_removed, removed);
    assert_int_equal(sum.documents_failed, failed);
}

static void check_failure(size_t i, const char *path, const char *code)
{
    assert_true(i < sum.n_failures);
    assert_string_equal(sum.failures[i].path, path);
    assert_string_equal(sum.failures[i].code, code);
    assert_true(strlen(sum.failures[i].message) > 0);
}

/* "path|path|…" of a collection, by id. */
static const char *paths_in(const char *collection)
{
    rag_reader *reader = NULL;
    rag_document *list = NULL;
    size_t n = 0;
    rag_buf b;
    rag_filter f = { .collection = rag_str_of(collection), .all_groups = true };
    assert_int_equal(rag_index_refresh(index_, NULL, &err), RAG_OK);
    rag_snapshot *s = rag_index_acquire(index_);
    assert_int_equal(rag_reader_open(&reader, index_, &err), RAG_OK);
    assert_int_equal(rag_reader_documents(reader, s, &f, 0, 1000, arena, &list, &n, &err), RAG_OK);
    rag_buf_init(&b, 1024 * 1024);
    for (size_t i = 0; i < n; i++) {
        rag_buf_puts(&b, i ? "|" : "");
        rag_buf_put(&b, list[i].path);
    }
    const char *out = rag_arena_cstr(arena, rag_buf_str(&b));
    rag_buf_free(&b);
    rag_reader_close(reader);
    rag_snapshot_release(s);
    return out;
}

static rag_document document(const char *collection, const char *path)
{
    rag_reader *reader = NULL;
    rag_document out = { 0 };
    assert_int_equal(rag_index_refresh(index_, NULL, &err), RAG_OK);
    rag_snapshot *s = rag_index_acquire(index_);
    assert_int_equal(rag_reader_open(&reader, index_, &err), RAG_OK);
    assert_int_equal(rag_reader_document_by_path(reader, s, rag_str_of(collection), rag_str_of(path), arena, &out, &err),
                     RAG_OK);
    rag_reader_close(reader);
    rag_snapshot_release(s);
    return out;
}

/* The first hit of a text search: "path: text". */
static const char *find(const char *query)
{
    rag_reader *reader = NULL;
    rag_results found;
    rag_search q = { .query = rag_str_of(query), .mode = RAG_SEARCH_TEXT, .filter.all_groups = true };
    assert_int_equal(rag_index_refresh(index_, NULL, &err), RAG_OK);
    rag_snapshot *s = rag_index_acquire(index_);
    assert_int_equal(rag_reader_open(&reader, index_, &err), RAG_OK);
    assert_int_equal(rag_reader_search(reader, s, &q, arena, &found, &err), RAG_OK);
    const char *out = found.n == 0 ? ""
                                  : rag_arena_printf(arena, "%.*s: %.*s", RAG_STR_ARG(found.hits[0].document),
                                                     RAG_STR_ARG(found.hits[0].text));
    rag_reader_close(reader);
    rag_snapshot_release(s);
    return out;
}

/* ---- a mirrored folder -------------------------------------------------------------- */

static void test_ingest__adds_updates_and_removes(void **state)
{
    (void)state;
    put("a.txt", "apples are red");
    put("b.md", "# Pears\n\npears are green");
    put("c.pdf", "%PDF");
    run();
    check_counts(2, 0, 0, 0, 0);
    assert_int_equal(sum.generation, 1);
    assert_int_equal(sum.documents_skipped, 1);
    assert_int_equal(sum.chunks_added, 2);
    assert_int_equal(sum.bytes, 14 + 24);
    assert_true(sum.tokens > 0);
    assert_string_equal(paths_in("default"), "a.txt|b.md");
    put("a.txt", "apples are blue now");
    drop("b.md");
    put("d.html", "<h1>Dates</h1><p>dates are brown");
    run();
    check_counts(1, 1, 0, 1, 0);
    assert_int_equal(sum.generation, 2);
    assert_int_equal(sum.chunks_removed, 2);
    assert_string_equal(find("brown"), "d.html: dates are brown");
    assert_string_equal(find("pears"), "");
    assert_string_equal(find("blue"), "a.txt: apples are blue now");
}

static void test_ingest__a_run_without_changes_makes_no_generation(void **state)
{
    (void)state;
    put("a.txt", "one");
    put("empty.txt", "");
    run();
    check_counts(2, 0, 0, 0, 0);
    run();
    check_counts(0, 0, 2, 0, 0);
    assert_int_equal(sum.generation, 1);
    assert_int_equal(sum.tokens, 0);
    assert_int_equal(sum.bytes, 0);
}

static rag_code must_not_open(void *context, rag_embedder **out, rag_err *e)
{
    (void)out;
    ++*(int *)context;
    return rag_fail(e, RAG_CONFIG, "opened");
}

static void test_ingest__an_unchanged_run_opens_no_embedder(void **state)
{
    (void)state;
    int opened = 0;
    rag_ingest_model model = { .name = "fake-embedder", .open = must_not_open, .context = &opened };
    rag_ingest_path path = { .path = docs };
    rag_ingest_options opt = { .paths = &path, .n_paths = 1, .model = &model };
    assert_int_equal(rag_embed_identify("m", &model.id, &model.dim, &err), RAG_OK);
    put("a.txt", "one");
    run();
    assert_int_equal(rag_ingest_run(index_, NULL, &opt, arena, &sum, &err), RAG_OK);
    check_counts(0, 0, 1, 0, 0);
    assert_int_equal(opened, 0);
    put("a.txt", "another");
    assert_int_equal(rag_ingest_run(index_, NULL, &opt, arena, &sum, &err), RAG_CONFIG);
    assert_int_equal(opened, 1);
    assert_string_equal(find("one"), "a.txt: one");
}

static void test_ingest__a_new_time_alone_changes_nothing(void **state)
{
    (void)state;
    put("a.txt", "one");
    run();
    age(in(docs, "a.txt"), 50);
    run();
    check_counts(0, 0, 1, 0, 0);
    assert_int_equal(sum.generation, 1);
}

/* Same size, same time, same inode: only the bytes tell, and they are looked at since the file is young. */
static void test_ingest__a_racy_change_is_seen(void **state)
{
    (void)state;
    struct stat st;
    const char *path = in(docs, "a.txt");
    write_bytes(path, RAG_STR("first one"));
    run();
    assert_int_equal(stat(path, &st), 0);
    write_bytes(path, RAG_STR("other one"));
    struct timespec times[2] = { st.st_atim, st.st_mtim };
    assert_int_equal(utimensat(AT_FDCWD, path, times, 0), 0);
    run();
    check_counts(0, 1, 0, 0, 0);
    assert_string_equal(find("other"), "a.txt: other one");
}

static void test_ingest__a_renamed_file_costs_no_tokens(void **state)
{
    (void)state;
    put("a.txt", "apples are red");
    put("h.html", "<p>pears are green");
    run();
    assert_int_equal(rename(in(docs, "a.txt"), in(docs, "b.txt")), 0);
    assert_int_equal(rename(in(docs, "h.html"), in(docs, "i.html")), 0);
    run();
    check_counts(2, 0, 0, 2, 0);
    assert_int_equal(sum.tokens, 0);
    assert_string_equal(find("apples"), "b.txt: apples are red");
}

static void test_ingest__keeps_missing_ones_when_asked(void **state)
{
    (void)state;
    put_many(2);
    run();
    drop("001.txt");
    assert_int_equal(run_with((rag_ingest_options){ .keep_missing = true }), RAG_OK);
    check_counts(0, 0, 1, 0, 0);
    assert_string_equal(paths_in("default"), "000.txt|001.txt");
}

static void test_ingest__the_guard_stops_an_emptied_folder(void **state)
{
    (void)state;
    put_many(43);
    run();
    for (int i = 0; i < 21; i++)
        drop(rag_arena_printf(arena, "%03d.txt", i));
    run();
    check_counts(0, 0, 22, 21, 0);
    for (int i = 21; i < 42; i++)
        drop(rag_arena_printf(arena, "%03d.txt", i));
    assert_int_equal(run_with((rag_ingest_options){ 0 }), RAG_CANCELED);
    assert_non_null(strstr(err.message, "21 of the 22"));
    assert_string_equal(find("number 30"), "030.txt: document number 30");
    assert_int_equal(run_with((rag_ingest_options){ .allow_removal = true }), RAG_OK);
    check_counts(0, 0, 1, 21, 0);
}

static void test_ingest__few_documents_may_all_vanish(void **state)
{
    (void)state;
    put_many(20);
    run();
    for (int i = 0; i < 20; i++)
        drop(rag_arena_printf(arena, "%03d.txt", i));
    run();
    check_counts(0, 0, 0, 20, 0);
}

static void test_ingest__a_missing_root_removes_nothing(void **state)
{
    (void)state;
    put_many(3);
    run();
    char moved[64];
    snprintf(moved, sizeof moved, "%s-unmounted", docs);
    assert_int_equal(rename(docs, moved), 0);
    run();
    check_counts(0, 0, 0, 0, 1);
    check_failure(0, docs, "not_found");
    assert_int_equal(sum.paths_failed, 1);
    assert_string_equal(paths_in("default"), "000.txt|001.txt|002.txt");
}

/* ---- files that fail ----------------------------------------------------------------- */

static void test_ingest__one_bad_file_costs_that_file(void **state)
{
    (void)state;
    put("good.txt", "good");
    write_bytes(in(docs, "binary.txt"), RAG_STR("a\0b"));
    write_bytes(in(docs, "latin.md"), RAG_STR("caf\xe9"));
    put("large.txt", "0123456789012345678901234567890");
    write_bytes(in(docs, "na\xffme.md"), RAG_STR("x"));
    assert_int_equal(mkfifo(in(docs, "pipe.txt"), 0644), 0);
    assert_int_equal(run_with((rag_ingest_options){ .max_bytes = 30 }), RAG_OK);
    check_counts(1, 0, 0, 0, 4);
    check_failure(0, "na\\xFFme.md", "encoding");
    check_failure(1, "binary.txt", "binary");
    check_failure(2, "large.txt", "too_large");
    check_failure(3, "latin.md", "encoding");
    assert_non_null(strstr(sum.failures[3].message, "offset 3"));
    assert_int_equal(sum.documents_skipped, 1);
    assert_string_equal(paths_in("default"), "good.txt");
}

static void test_ingest__a_failed_file_keeps_its_last_good_version(void **state)
{
    (void)state;
    put("a.txt", "good words");
    run();
    write_bytes(in(docs, "a.txt"), RAG_STR("bad\xff"));
    run();
    check_counts(0, 0, 0, 0, 1);
    assert_int_equal(sum.generation, 1);
    assert_string_equal(find("good"), "a.txt: good words");
}

static void on_progress(void *context, const rag_ingest_progress *p)
{
    const char *victim = context;
    if (strcmp(p->stage, "index") == 0)
        unlink(victim);
}

static void test_ingest__a_vanishing_file_is_told_and_kept(void **state)
{
    (void)state;
    put("a.txt", "one");
    put("b.txt", "two");
    run();
    put("b.txt", "three");
    rag_ingest_options opt = { .on_progress = on_progress, .context = (void *)in(docs, "b.txt") };
    assert_int_equal(run_with(opt), RAG_OK);
    check_counts(0, 0, 1, 0, 1);
    check_failure(0, "b.txt", "vanished");
    assert_string_equal(find("two"), "b.txt: two");
}

static void swap_for_link(void *context, const rag_ingest_progress *p)
{
    const char *victim = context;
    if (strcmp(p->stage, "index") == 0 && unlink(victim) == 0)
        assert_int_equal(symlink("/etc/passwd", victim), 0);
}

static void test_ingest__a_file_swapped_for_a_link_is_not_read(void **state)
{
    (void)state;
    put("a.txt", "one");
    rag_ingest_options opt = { .on_progress = swap_for_link, .context = (void *)in(docs, "a.txt") };
    assert_int_equal(run_with(opt), RAG_OK);
    check_counts(0, 0, 0, 0, 1);
    assert_string_equal(paths_in("default"), "");
}

/* ---- sources ------------------------------------------------------------------------- */

static void test_ingest__two_folders_cannot_hold_one_path(void **state)
{
    (void)state;
    char other[64];
    snprintf(other, sizeof other, "%s/other", base);
    assert_int_equal(mkdir(other, 0755), 0);
    put("a.txt", "ours");
    write_bytes(in(other, "a.txt"), RAG_STR("theirs"));
    run();
    rag_ingest_path path = { .path = other };
    assert_int_equal(run_paths((rag_ingest_options){ 0 }, &path, 1), RAG_OK);
    check_counts(0, 0, 0, 0, 1);
    check_failure(0, "a.txt", "conflict");
    assert_non_null(strstr(sum.failures[0].message, docs));
    assert_non_null(strstr(sum.failures[0].message, other));
    assert_string_equal(find("ours"), "a.txt: ours");
    path.prefix = "/p/";
    assert_int_equal(run_paths((rag_ingest_options){ 0 }, &path, 1), RAG_OK);
    check_counts(1, 0, 0, 0, 0);
    assert_string_equal(find("theirs"), "p/a.txt: theirs");
    path.prefix = NULL;
    assert_int_equal(run_paths((rag_ingest_options){ .adopt = true }, &path, 1), RAG_OK);
    assert_string_equal(find("ours"), "");
}

static void test_ingest__two_new_folders_of_one_run_conflict_too(void **state)
{
    (void)state;
    char other[64];
    snprintf(other, sizeof other, "%s/other", base);
    assert_int_equal(mkdir(other, 0755), 0);
    put("a.txt", "ours");
    write_bytes(in(other, "a.txt"), RAG_STR("theirs"));
    rag_ingest_path paths[] = { { .path = docs }, { .path = other }, { .path = docs } };
    assert_int_equal(run_paths((rag_ingest_options){ 0 }, paths, 3), RAG_OK);
    check_counts(1, 0, 0, 0, 1);
    check_failure(0, "a.txt", "conflict");
}

static void test_ingest__a_single_file_has_its_base_name_and_mirrors_nothing(void **state)
{
    (void)state;
    put("a.txt", "alpha");
    put("b.txt", "beta");
    rag_ingest_path path = { .path = in(docs, "a.txt") };
    assert_int_equal(run_paths((rag_ingest_options){ 0 }, &path, 1), RAG_OK);
    path.path = in(docs, "b.txt");
    assert_int_equal(run_paths((rag_ingest_options){ 0 }, &path, 1), RAG_OK);
    check_counts(1, 0, 0, 0, 0);
    assert_string_equal(paths_in("default"), "a.txt|b.txt");
    run(); /* the folder takes them over */
    check_counts(0, 2, 0, 0, 0);
    assert_int_equal(sum.tokens, 0);
    drop("a.txt");
    run();
    check_counts(0, 0, 1, 1, 0);
}

static void test_ingest__a_single_file_in_a_mirrored_folder_has_its_path_there(void **state)
{
    (void)state;
    assert_int_equal(mkdir(in(docs, "sub"), 0755), 0);
    put("a.txt", "alpha");
    put("sub/b.txt", "beta");
    rag_ingest_path folder = { .path = docs, .groups = "staff, hr,staff", .prefix = "p" };
    assert_int_equal(run_paths((rag_ingest_options){ 0 }, &folder, 1), RAG_OK);
    put("sub/b.txt", "gamma");
    rag_ingest_path file = { .path = in(docs, "sub/b.txt") };
    assert_int_equal(run_paths((rag_ingest_options){ 0 }, &file, 1), RAG_OK);
    check_counts(0, 1, 0, 0, 0);
    rag_document d = document("default", "p/sub/b.txt");
    assert_string_equal(rag_arena_cstr(arena, d.groups), "hr,staff");
    assert_int_equal(run_paths((rag_ingest_options){ 0 }, &folder, 1), RAG_OK);
    check_counts(0, 0, 2, 0, 0);
}

static void test_ingest__files_of_one_name_conflict(void **state)
{
    (void)state;
    assert_int_equal(mkdir(in(docs, "sub"), 0755), 0);
    put("a.txt", "alpha");
    put("sub/a.txt", "beta");
    rag_ingest_path files[] = { { .path = in(docs, "a.txt") }, { .path = in(docs, "sub/a.txt") },
                                { .path = in(docs, "none.txt") }, { .path = in(docs, "x.pdf") } };
    write_bytes(in(docs, "x.pdf"), RAG_STR("x"));
    assert_int_equal(run_paths((rag_ingest_options){ 0 }, files, 4), RAG_OK);
    check_counts(1, 0, 0, 0, 2);
    check_failure(0, in(docs, "none.txt"), "not_found");
    check_failure(1, in(docs, "sub/a.txt"), "conflict");
    assert_int_equal(sum.documents_skipped, 1);
    assert_int_equal(sum.paths_failed, 1);
    assert_string_equal(find("alpha"), "a.txt: alpha");
}

static void test_ingest__new_groups_reach_unchanged_files(void **state)
{
    (void)state;
    put("a.txt", "alpha");
    run();
    rag_ingest_path path = { .path = docs, .groups = "hr" };
    assert_int_equal(run_paths((rag_ingest_options){ 0 }, &path, 1), RAG_OK);
    check_counts(0, 1, 0, 0, 0);
    assert_int_equal(sum.tokens, 0);
    assert_string_equal(rag_arena_cstr(arena, document("default", "a.txt").groups), "hr");
}

static void test_ingest__collections_are_apart(void **state)
{
    (void)state;
    put("a.txt", "alpha");
    run();
    rag_ingest_path path = { .path = docs, .collection = "shop" };
    assert_int_equal(run_paths((rag_ingest_options){ 0 }, &path, 1), RAG_OK);
    check_counts(1, 0, 0, 0, 0);
    assert_string_equal(paths_in("shop"), "a.txt");
}

static void test_ingest__a_linked_root_is_followed(void **state)
{
    (void)state;
    char link[64];
    snprintf(link, sizeof link, "%s/link", base);
    put("a.txt", "alpha");
    assert_int_equal(symlink(docs, link), 0);
    rag_ingest_path path = { .path = link };
    assert_int_equal(run_paths((rag_ingest_options){ 0 }, &path, 1), RAG_OK);
    check_counts(1, 0, 0, 0, 0);
    run();
    check_counts(0, 0, 1, 0, 0);
}

/* ---- special runs ---------------------------------------------------------------------- */

static void test_ingest__a_dry_run_tells_and_changes_nothing(void **state)
{
    (void)state;
    put("a.txt", "one");
    put("b.txt", "two");
    put("c.txt", "three");
    run();
    put("a.txt", "changed");
    drop("b.txt");
    put("d.txt", "new");
    write_bytes(in(docs, "e.txt"), RAG_STR("\xff"));
    assert_int_equal(run_with((rag_ingest_options){ .dry_run = true }), RAG_OK);
    check_counts(1, 1, 1, 1, 1);
    assert_int_equal(sum.tokens, 0);
    assert_string_equal(paths_in("default"), "a.txt|b.txt|c.txt");
    assert_string_equal(find("one"), "a.txt: one");
    run();
    check_counts(1, 1, 1, 1, 1);
}

static void test_ingest__a_dry_run_needs_no_store(void **state)
{
    (void)state;
    rag_ingest_path path = { .path = docs };
    rag_ingest_options opt = { .paths = &path, .n_paths = 1, .dry_run = true };
    put("a.txt", "one");
    assert_int_equal(rag_ingest_run(NULL, NULL, &opt, arena, &sum, &err), RAG_OK);
    check_counts(1, 0, 0, 0, 0);
}

static void test_ingest__full_puts_everything_again(void **state)
{
    (void)state;
    char other[64];
    snprintf(other, sizeof other, "%s/other", base);
    assert_int_equal(mkdir(other, 0755), 0);
    put("a.txt", "alpha");
    put("b.html", "<title>Beta</title><h2>Part</h2><p>beta words");
    run();
    write_bytes(in(other, "o.txt"), RAG_STR("omega"));
    rag_ingest_path path = { .path = other, .groups = "hr" };
    assert_int_equal(run_paths((rag_ingest_options){ 0 }, &path, 1), RAG_OK);
    int64_t before = sum.generation;
    assert_int_equal(run_with((rag_ingest_options){ .full = true }), RAG_OK);
    check_counts(0, 3, 0, 0, 0);
    assert_int_equal(sum.generation, before + 1);
    assert_string_equal(rag_arena_cstr(arena, document("default", "o.txt").groups), "hr");
    assert_int_equal(run_paths((rag_ingest_options){ .full = true }, NULL, 0), RAG_OK);
    check_counts(0, 3, 0, 0, 0);
    assert_string_equal(find("omega"), "o.txt: omega");
    assert_string_equal(find("beta"), "b.html: beta words");
    assert_string_equal(rag_arena_cstr(arena, document("default", "b.html").title), "Beta");
    assert_string_equal(rag_arena_cstr(arena, document("default", "o.txt").groups), "hr");
    run();
    check_counts(0, 0, 2, 0, 0);
}

static void test_ingest__full_leaves_vanished_ones_removed(void **state)
{
    (void)state;
    put_many(3);
    run();
    drop("001.txt");
    assert_int_equal(run_with((rag_ingest_options){ .full = true }), RAG_OK);
    check_counts(0, 2, 0, 1, 0);
    assert_string_equal(paths_in("default"), "000.txt|002.txt");
}

static void test_ingest__another_model_needs_full(void **state)
{
    (void)state;
    rag_ingest_model model = { .name = "other", .dim = 384 };
    rag_ingest_path path = { .path = docs };
    rag_ingest_options opt = { .paths = &path, .n_paths = 1, .model = &model };
    model.id = rag_sha256_of(RAG_STR("another model"));
    put("a.txt", "one");
    run();
    assert_int_equal(rag_ingest_run(index_, NULL, &opt, arena, &sum, &err), RAG_CONFIG);
    assert_non_null(strstr(err.message, "--full"));
}

static void test_ingest__new_chunk_sizes_cut_anew(void **state)
{
    (void)state;
    put("a.txt", "One two three four five. Six seven eight nine ten. Eleven twelve and so on it goes.");
    run();
    assert_int_equal(sum.chunks_added, 1);
    assert_int_equal(run_with((rag_ingest_options){ .chunker = { 8, 10 } }), RAG_OK);
    check_counts(0, 1, 0, 0, 0);
    assert_true(sum.chunks_added >= 2);
}

static void test_ingest__a_stopped_run_publishes_nothing(void **state)
{
    (void)state;
    atomic_bool stop = true;
    put("a.txt", "one");
    assert_int_equal(run_with((rag_ingest_options){ .stop = &stop }), RAG_CANCELED);
    assert_string_equal(paths_in("default"), "");
    run();
    check_counts(1, 0, 0, 0, 0);
}

static void test_ingest__a_second_run_finds_the_lock(void **state)
{
    (void)state;
    rag_writer *w = NULL;
    rag_writer_options opt = { .model = *rag_embed_model_id(embedder), .model_name = "fake", .dim = 384, .chunker = "x" };
    assert_int_equal(rag_writer_begin(&w, index_, &opt, &err), RAG_OK);
    put("a.txt", "one");
    assert_int_equal(run_with((rag_ingest_options){ 0 }), RAG_BUSY);
    rag_writer_end(w);
    run();
    check_counts(1, 0, 0, 0, 0);
}

typedef struct seen_progress {
    rag_ingest_progress last;
    int calls;
} seen_progress;

static void note_progress(void *context, const rag_ingest_progress *p)
{
    seen_progress *s = context;
    s->last = *p;
    s->calls++;
}

static void test_ingest__progress_reaches_its_totals(void **state)
{
    (void)state;
    seen_progress seen = { 0 };
    put("a.txt", "12345");
    put("b.txt", "123");
    assert_int_equal(run_with((rag_ingest_options){ .on_progress = note_progress, .context = &seen }), RAG_OK);
    assert_string_equal(seen.last.stage, "publish");
    assert_int_equal(seen.last.files_done, 2);
    assert_int_equal(seen.last.files_total, 2);
    assert_int_equal(seen.last.bytes_done, 8);
    assert_int_equal(seen.last.bytes_total, 8);
    assert_int_equal(seen.last.tokens, sum.tokens);
    assert_true(seen.calls >= 4);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_ingest__adds_updates_and_removes),
        TEST(test_ingest__a_run_without_changes_makes_no_generation),
        TEST(test_ingest__an_unchanged_run_opens_no_embedder),
        TEST(test_ingest__a_new_time_alone_changes_nothing),
        TEST(test_ingest__a_racy_change_is_seen),
        TEST(test_ingest__a_renamed_file_costs_no_tokens),
        TEST(test_ingest__keeps_missing_ones_when_asked),
        TEST(test_ingest__the_guard_stops_an_emptied_folder),
        TEST(test_ingest__few_documents_may_all_vanish),
        TEST(test_ingest__a_missing_root_removes_nothing),
        TEST(test_ingest__one_bad_file_costs_that_file),
        TEST(test_ingest__a_failed_file_keeps_its_last_good_version),
        TEST(test_ingest__a_vanishing_file_is_told_and_kept),
        TEST(test_ingest__a_file_swapped_for_a_link_is_not_read),
        TEST(test_ingest__two_folders_cannot_hold_one_path),
        TEST(test_ingest__two_new_folders_of_one_run_conflict_too),
        TEST(test_ingest__a_single_file_has_its_base_name_and_mirrors_nothing),
        TEST(test_ingest__a_single_file_in_a_mirrored_folder_has_its_path_there),
        TEST(test_ingest__files_of_one_name_conflict),
        TEST(test_ingest__new_groups_reach_unchanged_files),
        TEST(test_ingest__collections_are_apart),
        TEST(test_ingest__a_linked_root_is_followed),
        TEST(test_ingest__a_dry_run_tells_and_changes_nothing),
        TEST(test_ingest__a_dry_run_needs_no_store),
        TEST(test_ingest__full_puts_everything_again),
        TEST(test_ingest__full_leaves_vanished_ones_removed),
        TEST(test_ingest__another_model_needs_full),
        TEST(test_ingest__new_chunk_sizes_cut_anew),
        TEST(test_ingest__a_stopped_run_publishes_nothing),
        TEST(test_ingest__a_second_run_finds_the_lock),
        TEST(test_ingest__progress_reaches_its_totals),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
