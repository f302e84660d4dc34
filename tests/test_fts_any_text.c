/* Any text is a valid query: nothing a user writes reaches FTS5 as syntax. */
#include "kb.h"

#include "base/file.h"
#include "base/utf8.h"

static const char *const hostile[] = {
    "\"", "\"\"", "\"\"\"", "'", "*", "a*", "^a", "a^", "(", ")", "()", "((((((((((", "a AND", "AND", "OR OR OR", "NOT", "a NOT b",
    "NEAR", "NEAR(", "NEAR(a b, 5)", "title:", "title:a", "{title body}:a", "-a", "- title : a", "a + b", "+", "a:b:c",
    ":", "\\", "\\\"", "%", "%s%n", ";", "a;DROP TABLE chunks;--", "rank", "chunk_fts", "\x01" "run", "\x02" "run",
    "\x1f", "a\x1f" "b", "\x02\x02\x02", "\"\x02\"", "\x7f", "\n", "\r\n\t", "\xef\xbb\xbf", "\xe2\x80\xae" "abc", "\xf0\x9f\x98\x80",
    "e\xcc\x81\xcc\x81\xcc\x81", "\xcc\x81", "ﷺ", "ﷺﷺﷺ", "İ", "ß", "a\xe2\x80\x8d" "b", "的", "\"的\"", "的的的的的", "\"a\" \"b\" \"c\"",
    "\"AND\" OR", "\"a", "a\"", "a \"b\" c\"", "。", "\"。\"", "１", "½", "\xef\xbf\xbd", "null", "NULL", "undefined", "0", "-1", "1e400",
    "<script>alert(1)</script>", "../../etc/passwd", "$(reboot)", "`id`", "{{7*7}}", "\xf3\xa0\x81\x81",
};

typedef struct world {
    rag_index *ix;
    rag_snapshot *s;
    rag_reader *r;
} world;

static void enter(world *w, const char *dir)
{
    w->ix = kb_open(dir);
    kb_ingest(w->ix, "a", "plain words and title: AND OR NOT NEAR * ( ) \" quotes", "b", "的 中文 文字", "c", "e\xcc\x81 ﷺ 1 0", NULL);
    assert_ok(rag_index_refresh(w->ix, NULL, &kb_err));
    w->s = rag_index_acquire(w->ix);
    assert_ok(rag_reader_open(&w->r, w->ix, &kb_err));
}

static void leave(world *w)
{
    rag_reader_close(w->r);
    rag_snapshot_release(w->s);
    rag_index_close(w->ix);
}

static void ask(world *w, rag_str query)
{
    rag_arena *arena = rag_arena_new();
    rag_hit *hits;
    size_t n;
    rag_search q = { .query = query, .mode = RAG_SEARCH_TEXT, .filter = { .all_groups = true } };
    if (kb_hits(w->r, w->s, &q, arena, &hits, &n) != RAG_OK)
        fail_msg("'%.*s': %s", RAG_STR_ARG(query), kb_err.message);
    rag_arena_free(arena);
}

static void test_fts_any_text__hostile_strings_are_plain(void **state)
{
    world w;
    enter(&w, *state);
    for (size_t i = 0; i < sizeof hostile / sizeof *hostile; i++)
        ask(&w, rag_str_of(hostile[i]));
    ask(&w, (rag_str){ "a\0b \"c\0d\"", 9 });
    leave(&w);
}

static void test_fts_any_text__pairs_of_hostile_strings_are_plain(void **state)
{
    world w;
    rag_buf b;
    size_t n = sizeof hostile / sizeof *hostile;
    enter(&w, *state);
    rag_buf_init(&b, 1000);
    for (size_t i = 0; i < n; i++)
        for (size_t k = 0; k < n; k++) {
            rag_buf_clear(&b);
            rag_buf_putf(&b, "%s%s%s", hostile[i], (i + k) % 2 ? " " : "", hostile[k]);
            ask(&w, rag_buf_str(&b));
        }
    rag_buf_free(&b);
    leave(&w);
}

static void test_fts_any_text__random_characters_are_plain(void **state)
{
    static const char syntax[] = "\"'*^(){}:+-,.ANDORNEAR ";
    world w;
    enter(&w, *state);
    srandom(3);
    for (int round = 0; round < 2000; round++) {
        char text[300];
        size_t n = 0;
        while (n < 200) {
            uint32_t c = (uint32_t)random() % 3 ? (uint32_t)syntax[random() % (long)(sizeof syntax - 1)] : (uint32_t)random() % 0x30000;
            if (c < 0xD800 || c > 0xDFFF)
                n += rag_utf8_encode(c, text + n);
        }
        ask(&w, (rag_str){ text, n });
    }
    leave(&w);
}

static void test_fts_any_text__huge_queries_are_answered(void **state)
{
    world w;
    rag_buf b;
    enter(&w, *state);
    rag_buf_init(&b, 4 << 20);
    for (int i = 0; i < 100000; i++)
        rag_buf_putf(&b, "w%d ", i);
    ask(&w, rag_buf_str(&b));
    rag_buf_clear(&b);
    for (int i = 0; i < 100000; i++)
        rag_buf_puts(&b, "\"的中\" ");
    ask(&w, rag_buf_str(&b));
    rag_buf_clear(&b);
    for (int i = 0; i < 1000000; i++)
        rag_buf_putc(&b, i % 2 ? '"' : 'x');
    ask(&w, rag_buf_str(&b));
    rag_buf_free(&b);
    leave(&w);
}

static void test_fts_any_text__naughty_strings_are_plain(void **state)
{
    world w;
    rag_buf file;
    rag_buf_init(&file, 4 << 20);
    if (rag_file_read("../shared/data/attack/blns/blns.txt", &file, NULL) != RAG_OK) {
        print_message("no ../shared/data: skipped\n");
        skip();
    }
    enter(&w, *state);
    for (char *line = strtok(file.ptr, "\n"); line; line = strtok(NULL, "\n")) {
        char quoted[8192];
        if (!rag_utf8_valid(rag_str_of(line), NULL))
            continue;
        ask(&w, rag_str_of(line));
        snprintf(quoted, sizeof quoted, "\"%s\"", line);
        if (rag_utf8_valid(rag_str_of(quoted), NULL))
            ask(&w, rag_str_of(quoted));
    }
    rag_buf_free(&file);
    leave(&w);
}

#define ROW(name) cmocka_unit_test_setup_teardown(test_fts_any_text__##name, kb_setup, kb_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        ROW(hostile_strings_are_plain),
        ROW(pairs_of_hostile_strings_are_plain),
        ROW(random_characters_are_plain),
        ROW(huge_queries_are_answered),
        ROW(naughty_strings_are_plain),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
