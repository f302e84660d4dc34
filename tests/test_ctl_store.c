/* ragctl on storage.dir itself, without a daemon. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/file.h"
#include "index/index.h"
#include "tests/ctl_fixture.h"

enum { DIM = 4 };

static const char TEXT[] = "# Returns\n\xe4\xb8\x80 week\nlast\n";

typedef struct store {
    char folder[64], dir[96], set[128];
} store;

static void put_document(rag_writer *w, int64_t source, const char *path)
{
    static const float vector[DIM] = { 1 };
    rag_sha256 key = rag_sha256_of(RAG_STR("chunk"));
    rag_chunk_in chunk = { .end = sizeof TEXT - 2, .line_start = 1, .line_end = 3, .tokens = 5, .embedding = key };
    rag_document_in doc = { .source_id = source, .path = rag_str_of(path), .title = RAG_STR("Returns"),
                            .text = { TEXT, sizeof TEXT - 1 }, .chunks = &chunk, .n_chunks = 1, .size = 5 };
    rag_err err = { 0 };
    int64_t id = 0;
    bool has = false;
    assert_int_equal(rag_writer_has_embedding(w, &key, &has, &err), RAG_OK);
    if (!has)
        assert_int_equal(rag_writer_add_embedding(w, &key, vector, &err), RAG_OK);
    if (rag_writer_put(w, &doc, &id, &err))
        fail_msg("%s", err.message);
}

/* One run that adds a document: one more generation. */
static void ingest(const store *s, const char *collection, const char *path)
{
    rag_index *ix = NULL;
    rag_writer *w = NULL;
    rag_published published;
    rag_err err = { 0 };
    int64_t source = 0;
    rag_index_options opt = { .dir = s->dir, .create = true };
    rag_writer_options options = { .model = rag_sha256_of(RAG_STR("model")), .model_name = "m", .dim = DIM, .chunker = "c" };
    rag_source from = { .collection = rag_str_of(collection) };
    if (rag_index_open(&ix, &opt, &err) || rag_writer_begin(&w, ix, &options, &err) ||
        rag_writer_source(w, &from, &source, &err))
        fail_msg("%s", err.message);
    put_document(w, source, path);
    if (rag_writer_publish(w, &published, &err))
        fail_msg("%s", err.message);
    rag_writer_end(w);
    rag_index_close(ix);
}

static int start(void **state)
{
    store *s = calloc(1, sizeof *s);
    snprintf(s->folder, sizeof s->folder, "/tmp/test_ctl_store.XXXXXX");
    if (!mkdtemp(s->folder))
        return -1;
    snprintf(s->dir, sizeof s->dir, "%s/data", s->folder);
    snprintf(s->set, sizeof s->set, "storage.dir=%s", s->dir);
    *state = s;
    return 0;
}

static int start_filled(void **state)
{
    if (start(state))
        return -1;
    ingest(*state, "default", "a.md");
    ingest(*state, "default", "b:2");
    ingest(*state, "other", "c.md");
    return 0;
}

static int stop(void **state)
{
    store *s = *state;
    const char *words[] = { "/bin/rm", "-rf", s->folder, NULL };
    outcome o = program_run(NULL, words);
    outcome_free(&o);
    free(s);
    return 0;
}

#define STORE(state) "--set", ((const store *)*(state))->set

static void expect(outcome o, int exit_code, const char *out, const char *err)
{
    if (o.exit_code != exit_code || (out && strcmp(o.out, out)) || !strstr(o.err, err))
        print_error("exit %d\nstdout: %s\nstderr: %s\n", o.exit_code, o.out, o.err);
    assert_int_equal(o.exit_code, exit_code);
    if (out)
        assert_string_equal(o.out, out);
    assert_non_null(strstr(o.err, err));
    outcome_free(&o);
}

static void expect_part(outcome o, const char *part)
{
    if (o.exit_code || !strstr(o.out, part))
        print_error("exit %d\nstdout: %s\nstderr: %s\n", o.exit_code, o.out, o.err);
    assert_int_equal(o.exit_code, 0);
    assert_non_null(strstr(o.out, part));
    outcome_free(&o);
}

static void test_ctl_store__an_absent_knowledge_base_is_an_empty_one(void **state)
{
    expect(RAGCTL(NULL, "docs", "ls", STORE(state)), 0, "", "");
    expect(RAGCTL(NULL, "docs", "ls", "--json", STORE(state)), 0, "{\"generation\":0,\"documents\":[]}\n", "");
    expect(RAGCTL(NULL, "generations", "ls", "--json", STORE(state)), 0, "{\"generations\":[]}\n", "");
    expect(RAGCTL(NULL, "verify", STORE(state)), 0, "ok\n", "no knowledge base");
    expect(RAGCTL(NULL, "get", "a.md", STORE(state)), 4, "", "ragctl: ");
    expect(RAGCTL(NULL, "backup", "/nonexistent/b", STORE(state)), 1, "", "ragctl: ");
    expect(RAGCTL(NULL, "generations", "activate", "1", STORE(state)), 1, "", "ragctl: ");
    assert_int_equal(access(((store *)*state)->dir, F_OK), -1);
}

static void test_ctl_store__documents_are_listed_and_shown(void **state)
{
    outcome o = RAGCTL(NULL, "docs", "ls", STORE(state));
    assert_int_equal(o.exit_code, 0);
    assert_non_null(strstr(o.out, "1 chunks  a.md  (Returns)\n"));
    assert_non_null(strstr(o.out, "other: c.md"));
    outcome_free(&o);
    o = RAGCTL(NULL, "docs", "ls", "--collection", "other", "--json", STORE(state));
    assert_non_null(strstr(o.out, "{\"generation\":3,\"documents\":[{\"id\":"));
    assert_null(strstr(o.out, "a.md"));
    outcome_free(&o);
    expect_part(RAGCTL(NULL, "docs", "show", "a.md", STORE(state)), "lang                         en\n");
    expect_part(RAGCTL(NULL, "docs", "show", "--json", "c.md", "--collection", "other", STORE(state)),
                "\"collection\":\"other\"");
    expect(RAGCTL(NULL, "docs", "show", "c.md", STORE(state)), 4, "", "no document 'c.md'");
    expect(RAGCTL(NULL, "docs", "ls", "--collection", "never", STORE(state)), 4, "", "never");
}

static void test_ctl_store__get_prints_the_stored_bytes(void **state)
{
    expect(RAGCTL(NULL, "get", "a.md", STORE(state)), 0, TEXT, "");
    expect(RAGCTL(NULL, "get", "a.md:2-3", STORE(state)), 0, "\xe4\xb8\x80 week\nlast\n", "");
    expect(RAGCTL(NULL, "get", "b:2", STORE(state)), 0, TEXT, "");
    expect(RAGCTL(NULL, "get", "b:2:3", STORE(state)), 0, "last\n", "");
    expect(RAGCTL(NULL, "get", "a.md", "--start", "10", "--end", "13", STORE(state)), 0, "\xe4\xb8\x80", "");
    expect(RAGCTL(NULL, "get", "a.md", "--start", "11", STORE(state)), 2, "", "ragctl: ");
    expect(RAGCTL(NULL, "get", "a.md", "--end", "999", STORE(state)), 2, "", "ragctl: ");
    expect(RAGCTL(NULL, "get", "a.md:4", STORE(state)), 4, "", "has no line 4");
}

static void test_ctl_store__a_generation_can_be_activated_and_the_latest_again(void **state)
{
    outcome o = RAGCTL(NULL, "generations", "ls", STORE(state));
    assert_int_equal(o.exit_code, 0);
    assert_memory_equal(o.out, "*     3  20", 11);
    assert_non_null(strstr(o.out, "3 documents (+1 ~0 -0)  3 chunks\n"));
    outcome_free(&o);
    expect(RAGCTL(NULL, "generations", "activate", "1", STORE(state)), 0, "generation 1 is served from now on\n", "");
    expect(RAGCTL(NULL, "get", "b:2", STORE(state)), 4, "", "no document 'b'");
    expect(RAGCTL(NULL, "generations", "activate", "latest", "--json", STORE(state)), 0, "{\"active\":\"latest\"}\n", "");
    expect(RAGCTL(NULL, "get", "b:2", STORE(state)), 0, TEXT, "");
    expect(RAGCTL(NULL, "generations", "activate", "99", STORE(state)), 1, "", "99");
}

static void test_ctl_store__a_backup_can_be_restored_elsewhere(void **state)
{
    const store *s = *state;
    char file[128], set[192];
    snprintf(file, sizeof file, "%s/backup", s->folder);
    snprintf(set, sizeof set, "storage.dir=%s/new", s->folder);
    expect_part(RAGCTL(NULL, "backup", file, STORE(state)), "backed up to /");
    expect(RAGCTL(NULL, "backup", file, STORE(state)), 2, "", file);
    expect_part(RAGCTL(NULL, "restore", file, "--set", set), "restored from /");
    expect(RAGCTL(NULL, "get", "a.md", "--set", set), 0, TEXT, "");
    expect(RAGCTL(NULL, "verify", "--set", set), 0, "ok\n", "");
    expect(RAGCTL(NULL, "restore", "/nonexistent/backup", "--set", set), 1, "", "/nonexistent/backup");
}

static void test_ctl_store__verify_names_what_is_damaged(void **state)
{
    const store *s = *state;
    char path[128];
    struct stat before;
    expect(RAGCTL(NULL, "verify", STORE(state)), 0, "ok\n", "");
    snprintf(path, sizeof path, "%s/kb.db", s->dir);
    assert_int_equal(stat(path, &before), 0);
    FILE *f = fopen(path, "r+");
    for (long at = 8192; at + 2000 < before.st_size; at += 4096) {
        fseek(f, at, SEEK_SET);
        for (int i = 0; i < 2000; i++)
            fputc(0xa5, f);
    }
    fclose(f);
    outcome o = RAGCTL(NULL, "verify", "--json", STORE(state));
    assert_int_equal(o.exit_code, 1);
    assert_memory_equal(o.out, "{\"ok\":false,\"problems\":[\"", 25);
    outcome_free(&o);
}

#define EMPTY(name) cmocka_unit_test_setup_teardown(name, start, stop)
#define FILLED(name) cmocka_unit_test_setup_teardown(name, start_filled, stop)

int main(void)
{
    const struct CMUnitTest tests[] = {
        EMPTY(test_ctl_store__an_absent_knowledge_base_is_an_empty_one),
        FILLED(test_ctl_store__documents_are_listed_and_shown),
        FILLED(test_ctl_store__get_prints_the_stored_bytes),
        FILLED(test_ctl_store__a_generation_can_be_activated_and_the_latest_again),
        FILLED(test_ctl_store__a_backup_can_be_restored_elsewhere),
        FILLED(test_ctl_store__verify_names_what_is_damaged),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
