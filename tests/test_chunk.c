/* Documents into chunks, counted by the fake embedder (a word or a Han character is a token). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/unicode.h"
#include "base/utf8.h"
#include "ingest/ingest.h"

static rag_embedder *embedder;
static rag_arena *arena;
static rag_err err;

typedef struct cut {
    rag_parsed doc;
    rag_chunk *chunks;
    size_t n;
} cut;

static int open_embedder(void **state)
{
    (void)state;
    rag_embed_options opt = { 0 };
    return rag_embed_open(&embedder, &opt, &err);
}

static int close_embedder(void **state)
{
    (void)state;
    rag_embed_close(embedder);
    return 0;
}

static int set_up(void **state)
{
    (void)state;
    arena = rag_arena_new();
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    rag_arena_free(arena);
    return 0;
}

/* ---- the property ------------------------------------------------------------------ */

static bool in_heading(const rag_parsed *doc, size_t pos)
{
    for (size_t i = 0; i < doc->n_blocks; i++)
        if (doc->blocks[i].kind == RAG_BLOCK_HEADING && pos >= doc->blocks[i].start && pos < doc->blocks[i].end)
            return true;
    return false;
}

static void check_gap(const rag_parsed *doc, size_t start, size_t end)
{
    for (size_t pos = start, at; pos < end;) {
        at = pos;
        bool is_space = rag_unicode_is_space(rag_utf8_next(doc->text, &pos));
        assert_true(is_space || in_heading(doc, at));
    }
}

static size_t line_of(rag_str text, size_t pos)
{
    size_t line = 1;
    for (size_t i = 0; i < pos; i++)
        line += text.ptr[i] == '\n';
    return line;
}

static void check_property(const cut *c, size_t max)
{
    rag_str text = c->doc.text;
    size_t done = 0;
    for (size_t i = 0; i < c->n; i++) {
        const rag_chunk *k = &c->chunks[i];
        rag_str own = rag_str_sub(text, k->start, k->end);
        assert_true(k->start >= done && k->end > k->start && k->end <= text.len);
        check_gap(&c->doc, done, k->start);
        assert_int_equal(rag_utf8_floor(text, k->start), k->start);
        assert_int_equal(rag_utf8_floor(text, k->end), k->end);
        assert_int_equal(k->tokens, rag_embed_count(embedder, own));
        assert_true(k->tokens <= max);
        assert_int_equal(k->line_start, line_of(text, k->start));
        assert_int_equal(k->line_end, line_of(text, k->end - 1));
        assert_true(rag_str_ends(k->embed_text, own));
        done = k->end;
    }
    check_gap(&c->doc, done, text.len);
}

/* ---- cutting ----------------------------------------------------------------------- */

static cut cut_with(const char *path, rag_str text, size_t target, size_t max)
{
    cut c;
    rag_chunker_options opt = { target, max };
    assert_int_equal(rag_parse(rag_format_of(rag_str_of(path)), rag_str_of(path), text, arena, &c.doc, &err), RAG_OK);
    assert_int_equal(rag_chunk_document(&c.doc, embedder, &opt, arena, &c.chunks, &c.n, &err), RAG_OK);
    check_property(&c, max);
    return c;
}

static cut cut_text(const char *path, const char *text)
{
    return cut_with(path, rag_str_of(text), 20, 25);
}

static void check_chunk(const cut *c, size_t i, const char *bytes)
{
    assert_true(i < c->n);
    rag_str own = rag_str_sub(c->doc.text, c->chunks[i].start, c->chunks[i].end);
    assert_string_equal(rag_arena_cstr(arena, own), bytes);
}

static void check_embedded(const cut *c, size_t i, const char *bytes)
{
    assert_true(i < c->n);
    assert_string_equal(rag_arena_cstr(arena, c->chunks[i].embed_text), bytes);
}

static rag_str repeat(const char *piece, size_t times)
{
    rag_buf b;
    rag_buf_init(&b, RAG_MAX_TEXT);
    for (size_t i = 0; i < times; i++)
        rag_buf_puts(&b, piece);
    rag_str out = rag_arena_str(arena, rag_buf_str(&b));
    rag_buf_free(&b);
    return out;
}

static void test_chunk__small_blocks_are_packed_and_whole_ones_not_torn(void **state)
{
    (void)state;
    cut c = cut_text("a.txt", "one two three.\n\nfour five.\n\na b c d e f g h i j k l m n o p q\n\nlast");
    assert_int_equal(c.n, 2);
    check_chunk(&c, 0, "one two three.\n\nfour five.");
    check_chunk(&c, 1, "a b c d e f g h i j k l m n o p q\n\nlast");
}

static void test_chunk__never_spans_a_heading(void **state)
{
    (void)state;
    cut c = cut_text("a.md", "# Shop\n\nhello\n\n## Returns\n\nthirty days\n\n### Lamps\n\nten\n\n## Other\n\nx\n");
    assert_int_equal(c.n, 4);
    check_embedded(&c, 0, "Shop\nhello");
    check_embedded(&c, 1, "Shop\nReturns\nthirty days");
    check_embedded(&c, 2, "Shop\nReturns > Lamps\nten");
    check_embedded(&c, 3, "Shop\nOther\nx");
    assert_int_equal(c.chunks[2].n_heading, 3);
    assert_string_equal(rag_arena_cstr(arena, c.chunks[2].heading[0]), "Shop");
    assert_string_equal(rag_arena_cstr(arena, c.chunks[2].heading[2]), "Lamps");
    assert_int_equal(c.chunks[3].n_heading, 2);
    assert_int_equal(c.chunks[2].line_start, 11);
}

static void test_chunk__a_heading_alone_is_a_chunk(void **state)
{
    (void)state;
    cut c = cut_text("a.md", "# Where is my parcel?\n");
    assert_int_equal(c.n, 1);
    check_chunk(&c, 0, "# Where is my parcel?");
    c = cut_text("a.md", "# Shop\n\n## Empty\n\n## Full\n\nx\n\n## End\n");
    assert_int_equal(c.n, 3);
    check_chunk(&c, 0, "## Empty");
    check_chunk(&c, 1, "x");
    check_chunk(&c, 2, "## End");
}

static void test_chunk__the_name_of_a_file_is_not_embedded(void **state)
{
    (void)state;
    cut c = cut_text("secret_name.txt", "body");
    check_embedded(&c, 0, "body");
}

static void test_chunk__long_paragraphs_break_between_sentences(void **state)
{
    (void)state;
    cut c = cut_text("a.txt", "A b c d e f g h i j. B b c d e f g h i j. C b c d e f g h i j. D b c d e f g h i j.");
    assert_int_equal(c.n, 2);
    check_chunk(&c, 0, "A b c d e f g h i j. B b c d e f g h i j.");
    check_chunk(&c, 1, "C b c d e f g h i j. D b c d e f g h i j.");
    c = cut_text("a.txt", "今天天气很好我们去公园。明天下雨就在家里看书吧。后天再去商店买一些东西回来。");
    assert_int_equal(c.n, 2);
    check_chunk(&c, 0, "今天天气很好我们去公园。明天下雨就在家里看书吧。");
}

static void test_chunk__splits_are_even(void **state)
{
    (void)state;
    cut c = cut_with("a.txt", repeat("Ten words make one sentence of this even long text. ", 7), 60, 64);
    assert_int_equal(c.n, 2);
    assert_true(c.chunks[1].tokens >= 30);
}

static void test_chunk__tables_break_between_rows(void **state)
{
    (void)state;
    rag_buf b;
    rag_buf_init(&b, 4096);
    rag_buf_puts(&b, "| name | price |\n|---|---|\n");
    for (int i = 0; i < 12; i++)
        rag_buf_puts(&b, "| a lamp. Big one | 5 |\n");
    cut c = cut_with("a.md", rag_arena_str(arena, rag_buf_str(&b)), 20, 25);
    rag_buf_free(&b);
    assert_true(c.n >= 3);
    for (size_t i = 0; i < c.n; i++) {
        assert_int_equal(c.doc.text.ptr[c.chunks[i].start], '|');
        assert_int_equal(c.doc.text.ptr[c.chunks[i].end - 1], '|');
    }
}

/* ---- what belongs together ------------------------------------------------------------- */

static void test_chunk__a_list_that_fits_is_whole(void **state)
{
    (void)state;
    cut c = cut_text("a.md", "A b c d e f g h.\n\n- one two three four five six\n- one two three four five six\n"
                             "- one two three four five six\n- one two three four five\n");
    assert_int_equal(c.n, 2);
    check_chunk(&c, 0, "A b c d e f g h.");
    assert_int_equal(c.chunks[1].tokens, 23); /* above the target, not above the maximum */
}

static void test_chunk__a_list_that_is_too_long_is_cut_between_items(void **state)
{
    (void)state;
    cut c = cut_with("a.md", repeat("- one two three four. Five six seven\n", 12), 20, 25);
    assert_true(c.n >= 4);
    for (size_t i = 0; i < c.n; i++) {
        assert_int_equal(c.doc.text.ptr[c.chunks[i].start], '-');
        assert_true(rag_str_ends(rag_str_sub(c.doc.text, 0, c.chunks[i].end), RAG_STR("seven")));
    }
}

static void test_chunk__a_sentence_goes_with_what_it_introduces(void **state)
{
    (void)state;
    cut c = cut_text("a.md", "A b c d e f g h. You need **this:**\n\n- one two three four five\n- six seven eight nine ten\n");
    assert_int_equal(c.n, 2);
    check_chunk(&c, 0, "A b c d e f g h.");
    check_chunk(&c, 1, "You need **this:**\n\n- one two three four five\n- six seven eight nine ten");
    c = cut_text("a.md", "甲乙丙丁戊己庚辛壬癸。需要：\n\n```\none two three four five six seven\neight nine ten\n```\n");
    assert_int_equal(c.n, 2);
    check_chunk(&c, 0, "甲乙丙丁戊己庚辛壬癸。");
    c = cut_text("a.md", "A b c d e f g h i j k l.\n\n**Returns**\n\nWhat you need:\n\n- one two three four\n- six seven eight\n");
    assert_int_equal(c.n, 2);
    check_chunk(&c, 0, "A b c d e f g h i j k l.");
}

/* A block that is whole by itself is not torn: then the embedder alone sees the sentence in front. */
static void test_chunk__a_block_that_fits_is_not_torn_for_its_introduction(void **state)
{
    (void)state;
    const char *table = "| a | b |\n|---|---|\n| one two three four five six | seven |\n"
                        "| one two three four five six | eight |\n| one two three four five six | nine |";
    cut c = cut_text("a.md", rag_arena_printf(arena, "See right here:\n\n%s\n", table));
    assert_int_equal(c.n, 2);
    check_chunk(&c, 0, "See right here:");
    check_chunk(&c, 1, table);
    check_embedded(&c, 1, rag_arena_printf(arena, "See right here:\n%s", table));
}

static void test_chunk__a_line_like_a_heading_does_not_end_a_chunk(void **state)
{
    (void)state;
    cut c = cut_text("a.txt", "A b c d e f g h i j k l m n.\n\nCan I return it?\n\nYou can, a b c d e f g.");
    assert_int_equal(c.n, 2);
    check_chunk(&c, 0, "A b c d e f g h i j k l m n.");
    check_chunk(&c, 1, "Can I return it?\n\nYou can, a b c d e f g.");
    c = cut_text("a.txt", "A b c d e f g h i j k l m n.\n\nSo it is.\n\nYou can, a b c d e f g.");
    check_chunk(&c, 0, "A b c d e f g h i j k l m n.\n\nSo it is.");
}

static const char *rows(const char *header, const char *row, int n)
{
    rag_buf b;
    rag_buf_init(&b, 4096);
    rag_buf_puts(&b, header);
    for (int i = 0; i < n; i++)
        rag_buf_puts(&b, row);
    const char *out = rag_arena_cstr(arena, rag_buf_str(&b));
    rag_buf_free(&b);
    return out;
}

static void test_chunk__later_parts_of_a_table_know_its_header(void **state)
{
    (void)state;
    cut c = cut_text("a.md", rows("# Shop\n\nPrices:\n\n| name | price |\n|---|---|\n", "| lamp | five euros |\n", 16));
    assert_true(c.n >= 3);
    for (size_t i = 0; i < c.n; i++) {
        rag_str own = rag_str_sub(c.doc.text, c.chunks[i].start, c.chunks[i].end);
        const char *frame = i ? "Prices:\n| name | price |\n" : "";
        check_embedded(&c, i, rag_arena_printf(arena, "Shop\n%s%.*s", frame, RAG_STR_ARG(own)));
    }
}

static void test_chunk__a_first_row_with_figures_is_no_header(void **state)
{
    (void)state;
    cut c = cut_text("a.html", rows("<table><tr><th>name</th><th>price</th></tr>", "<tr><td>lamp</td><td>5</td></tr>", 16));
    assert_true(c.n >= 2);
    assert_true(rag_str_starts(c.chunks[1].embed_text, RAG_STR("name | price\nlamp | 5\n")));
    c = cut_text("a.html", rows("<table><tr><td>chair</td><td>6</td></tr>", "<tr><td>lamp</td><td>5</td></tr>", 16));
    assert_true(rag_str_starts(c.chunks[1].embed_text, RAG_STR("lamp | 5\n")));
}

static void test_chunk__a_header_that_is_too_long_is_left_out(void **state)
{
    (void)state;
    rag_str wide = repeat("| word word word ", 33);
    cut c = cut_with("a.md", rag_str_of(rows(rag_arena_printf(arena, "%.*s|\n%.*s|\n", RAG_STR_ARG(wide),
                                                              RAG_STR_ARG(repeat("|---", 33))),
                                             "| lamp |\n", 60)), 40, 50);
    assert_true(c.n >= 3);
    assert_true(rag_str_starts(c.chunks[c.n - 1].embed_text, RAG_STR("| lamp |\n")));
}

/* The window holds the chunk first: what stands in front of it must not push its end out. */
static void test_chunk__a_frame_never_pushes_the_text_out_of_the_window(void **state)
{
    (void)state;
    rag_embedder *whole = embedder;
    rag_embed_options opt = { .max_tokens = 40 };
    const char *text = rows("| a b c d e f g h i j k |\n|---|\n", "| lamp five euros |\n", 30);
    cut c = cut_text("a.md", text);
    assert_true(rag_str_starts(c.chunks[1].embed_text, RAG_STR("| a b c d e f g h i j k |\n")));
    assert_int_equal(rag_embed_open(&embedder, &opt, &err), RAG_OK);
    opt.max_tokens = 30;
    c = cut_text("a.md", text);
    assert_true(rag_str_starts(c.chunks[1].embed_text, RAG_STR("| a b c d e f g h i j k |\n")));
    rag_embed_close(embedder);
    assert_int_equal(rag_embed_open(&embedder, &opt, &err), RAG_OK);
    c = cut_text("a.md", text);
    assert_true(rag_str_starts(c.chunks[1].embed_text, RAG_STR("| lamp five euros |\n")));
    rag_embed_close(embedder);
    embedder = whole;
}

static void check_cuts_at_lines(const cut *c)
{
    assert_true(c->n >= 3);
    for (size_t i = 0; i + 1 < c->n; i++)
        assert_true(c->chunks[i].line_end < c->chunks[i + 1].line_start);
}

static void test_chunk__code_breaks_between_lines(void **state)
{
    (void)state;
    cut c = cut_text("a.md", rows("Run this:\n\n```c\n", "call(a, b); say. \"Hello. World, it is.\" and: more\n", 12));
    check_cuts_at_lines(&c);
    c = cut_text("a.md", rows("- Run this:\n\n  ```c\n", "  call: a, b, c, d, e, f, g\n", 12));
    check_cuts_at_lines(&c);
}

static void test_chunk__one_endless_word_is_cut(void **state)
{
    (void)state;
    cut c = cut_with("a.txt", repeat("x", 100000), 20, 25);
    assert_int_equal(c.n, 1); /* the fake counts one token */
    c = cut_with("a.txt", repeat("好", 1000), 20, 25);
    assert_true(c.n >= 40);
}

static void test_chunk__a_large_block_comes_in_pieces(void **state)
{
    (void)state;
    cut c = cut_with("a.txt", repeat("The quick brown fox jumps over the lazy dog. ", 5000), 256, 320);
    assert_true(c.n > 100);
    c = cut_with("a.txt", repeat("他说：“今天，价格是３．５元。”\n", 4000), 256, 320);
    assert_true(c.n > 100);
}

/* U+FDFA is 18 characters, four words, after NFKC. */
static void test_chunk__counts_what_normalisation_makes(void **state)
{
    (void)state;
    cut c = cut_with("a.txt", repeat("\xef\xb7\xba", 500), 40, 50);
    assert_true(c.n > 1);
}

static void test_chunk__refuses_a_target_above_the_maximum(void **state)
{
    (void)state;
    rag_parsed doc = { 0 };
    rag_chunk *chunks;
    size_t n;
    rag_chunker_options opt = { 400, 320 };
    assert_int_equal(rag_chunk_document(&doc, embedder, &opt, arena, &chunks, &n, &err), RAG_CONFIG);
}

/* Texts out of pieces that are awkward next to each other, in all formats and sizes. */
static void test_chunk__property_holds_for_odd_texts(void **state)
{
    (void)state;
    static const char *const pieces[] = {
        "\n", "\n\n", " ", "# ", "## Head\n", "### \n", "- item\n", "1. one\n", "> q\n", "```\n", "|a|b|\n", "|-|-|\n",
        "word ", "Sentence one. ", "好", "你好。", "，", "e\xcc\x81", "\xe3\x81\x8b\xe3\x82\x99", "\xef\xac\x81",
        "\xef\xb7\xba", "\xf0\x9f\x91\xa8\xe2\x80\x8d\xf0\x9f\x91\xa9", "\xef\xbb\xbf", "\xe3\x80\x80", "\t", "\r\n", "\r",
        "---\n", "===\n", "<div>", "</div>\n", "[x]: y\n", "&amp;", "    code\n", "\f", "a,b;c:d", "1.5", "***", "<p>",
        "<li>", "<table><tr><td>", "<h2>x</h2>", "<pre>", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
    };
    static const char *const paths[] = { "a.txt", "a.md", "a.html" };
    unsigned seed = 1;
    for (int round = 0; round < 600; round++) {
        rag_buf b;
        rag_buf_init(&b, 1024 * 1024);
        for (int i = 0; i < 120; i++) {
            seed = seed * 1103515245 + 12345;
            rag_buf_puts(&b, pieces[(seed >> 16) % (sizeof pieces / sizeof *pieces)]);
        }
        size_t max = 8 + (seed >> 8) % 40;
        cut_with(paths[round % 3], rag_buf_str(&b), max - max / 4, max);
        rag_buf_free(&b);
        rag_arena_reset(arena);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_chunk__small_blocks_are_packed_and_whole_ones_not_torn, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_chunk__never_spans_a_heading, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_chunk__a_heading_alone_is_a_chunk, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_chunk__the_name_of_a_file_is_not_embedded, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_chunk__long_paragraphs_break_between_sentences, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_chunk__splits_are_even, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_chunk__tables_break_between_rows, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_chunk__a_list_that_fits_is_whole, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_chunk__a_list_that_is_too_long_is_cut_between_items, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_chunk__a_sentence_goes_with_what_it_introduces, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_chunk__a_block_that_fits_is_not_torn_for_its_introduction, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_chunk__a_line_like_a_heading_does_not_end_a_chunk, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_chunk__later_parts_of_a_table_know_its_header, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_chunk__a_first_row_with_figures_is_no_header, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_chunk__a_header_that_is_too_long_is_left_out, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_chunk__a_frame_never_pushes_the_text_out_of_the_window, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_chunk__code_breaks_between_lines, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_chunk__one_endless_word_is_cut, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_chunk__a_large_block_comes_in_pieces, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_chunk__counts_what_normalisation_makes, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_chunk__refuses_a_target_above_the_maximum, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_chunk__property_holds_for_odd_texts, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, open_embedder, close_embedder);
}
