/* Any text is a valid MATCH, and its terms lie in it in order. */
#include "fuzz/fuzz.h"
#include "tests/kb.h"

static char *dir;
static rag_index *ix;
static rag_snapshot *snapshot;
static rag_reader *reader;

static void leave(void)
{
    rag_reader_close(reader);
    rag_snapshot_release(snapshot);
    rag_index_close(ix);
    kb_dir_remove(dir);
}

static void enter(void)
{
    dir = kb_dir_new();
    ix = kb_open(dir);
    kb_ingest(ix, "a", "plain words and title: AND OR NOT NEAR * ( ) \" quotes", "b", "的 中文 文字 黑豹队",
              "c", "e\xcc\x81 ﷺ 1 0 E-4012 wi-fi", NULL);
    MUST(rag_index_refresh(ix, NULL, &kb_err) == RAG_OK);
    snapshot = rag_index_acquire(ix);
    MUST(rag_reader_open(&reader, ix, &kb_err) == RAG_OK);
    atexit(leave);
}

static void check_terms(rag_str text, rag_arena *arena)
{
    rag_term *terms;
    size_t n, done = 0;
    MUST(rag_terms(text, arena, &terms, &n) == RAG_OK);
    for (size_t i = 0; i < n; i++) {
        MUST(terms[i].start >= done && is_range(text, terms[i].start, terms[i].end));
        MUST(terms[i].exact.len > 0 && rag_utf8_valid(terms[i].exact, NULL) && rag_utf8_valid(terms[i].stem, NULL));
        done = terms[i].start;
    }
}

/* What is told about the query stands in it. */
static void check_told(rag_str text, const rag_results *found)
{
    for (size_t i = 0; i < found->n_absent; i++)
        MUST(found->absent[i].len > 0 && rag_str_find(text, found->absent[i], 0) != SIZE_MAX);
    for (size_t i = 0; i < found->n_corrections; i++) {
        MUST(rag_str_find(text, found->corrections[i].from, 0) != SIZE_MAX);
        MUST(found->corrections[i].to.len > 0 && rag_utf8_valid(found->corrections[i].to, NULL));
    }
    for (size_t i = 0; i < found->n_candidates; i++)
        for (size_t k = 0; k < found->candidates[i].n_terms; k++)
            MUST(rag_utf8_valid(found->candidates[i].terms[k], NULL));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    rag_results found;
    rag_str text = input_of(data, size);
    rag_search q = { .query = text, .mode = RAG_SEARCH_TEXT, .explain = true, .filter = { .all_groups = true } };
    bool valid = rag_utf8_valid(text, NULL);
    if (!dir)
        enter();
    rag_arena *arena = rag_arena_new();
    MUST(rag_reader_search(reader, snapshot, &q, arena, &found, &kb_err) == (valid ? RAG_OK : RAG_INVALID));
    if (valid) {
        check_terms(text, arena);
        check_told(text, &found);
    }
    rag_arena_free(arena);
    return 0;
}
