/* Markdown and plain text into blocks. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "ingest/ingest.h"

static rag_arena *arena;
static rag_err err;

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

static rag_parsed parse(const char *path, const char *text)
{
    rag_parsed doc;
    rag_format format = rag_format_of(rag_str_of(path));
    assert_int_equal(rag_parse(format, rag_str_of(path), rag_str_of(text), arena, &doc, &err), RAG_OK);
    assert_ptr_equal(doc.text.ptr, text);
    assert_int_equal(doc.text.len, strlen(text));
    return doc;
}

static void check_block(const rag_parsed *doc, size_t i, rag_block_kind kind, const char *bytes)
{
    assert_true(i < doc->n_blocks);
    const rag_block *b = &doc->blocks[i];
    rag_str got = rag_str_sub(doc->text, b->start, b->end);
    assert_string_equal(rag_arena_cstr(arena, got), bytes);
    assert_int_equal(b->kind, kind);
}

static void check_heading(const rag_parsed *doc, size_t i, int level, const char *text)
{
    assert_true(i < doc->n_blocks);
    assert_int_equal(doc->blocks[i].kind, RAG_BLOCK_HEADING);
    assert_int_equal(doc->blocks[i].level, level);
    assert_string_equal(rag_arena_cstr(arena, doc->blocks[i].heading_text), text);
}

static void check_title(const rag_parsed *doc, const char *title)
{
    assert_string_equal(rag_arena_cstr(arena, doc->title), title);
}

static void test_format__follows_the_ending(void **state)
{
    (void)state;
    assert_int_equal(rag_format_of(RAG_STR("a/b.TXT")), RAG_FORMAT_TEXT);
    assert_int_equal(rag_format_of(RAG_STR("b.text")), RAG_FORMAT_TEXT);
    assert_int_equal(rag_format_of(RAG_STR("b.md")), RAG_FORMAT_MARKDOWN);
    assert_int_equal(rag_format_of(RAG_STR("b.markdown")), RAG_FORMAT_MARKDOWN);
    assert_int_equal(rag_format_of(RAG_STR("b.xhtml")), RAG_FORMAT_HTML);
    assert_int_equal(rag_format_of(RAG_STR("b.htm")), RAG_FORMAT_HTML);
    assert_int_equal(rag_format_of(RAG_STR("md")), RAG_FORMAT_NONE);
    assert_int_equal(rag_format_of(RAG_STR(".md")), RAG_FORMAT_NONE);
    assert_int_equal(rag_format_of(RAG_STR("b.pdf")), RAG_FORMAT_NONE);
}

static void test_markdown__blocks_keep_their_bytes(void **state)
{
    (void)state;
    rag_parsed doc = parse("a.md", "# Shop *help*\n\nOne\ntwo.\n\n- a\n- b\n  - c\n\n> quoted\n\n```\ncode\n```\n"
                                   "\n| a | b |\n|---|---|\n| 1 | 2 |\n\nSetext\n------\nlast");
    assert_int_equal(doc.n_blocks, 9);
    check_heading(&doc, 0, 1, "Shop help");
    check_block(&doc, 1, RAG_BLOCK_PARAGRAPH, "One\ntwo.");
    check_block(&doc, 2, RAG_BLOCK_ITEM, "- a");
    check_block(&doc, 3, RAG_BLOCK_ITEM, "- b\n  - c");
    check_block(&doc, 4, RAG_BLOCK_QUOTE, "> quoted");
    check_block(&doc, 5, RAG_BLOCK_CODE, "```\ncode\n```");
    check_block(&doc, 6, RAG_BLOCK_TABLE, "| a | b |\n|---|---|\n| 1 | 2 |");
    check_heading(&doc, 7, 2, "Setext");
    check_block(&doc, 8, RAG_BLOCK_PARAGRAPH, "last");
    check_title(&doc, "Shop help");
}

static void test_markdown__what_has_no_node_is_a_paragraph(void **state)
{
    (void)state;
    rag_parsed doc = parse("a.md", "text [x]\n\n[x]: https://example.org/x \"t\"\n");
    assert_int_equal(doc.n_blocks, 2);
    check_block(&doc, 1, RAG_BLOCK_PARAGRAPH, "[x]: https://example.org/x \"t\"");
}

static void test_markdown__comments_are_no_text(void **state)
{
    (void)state;
    rag_parsed doc = parse("a.md", "<!-- lint\n off -->\n\ntext\n\n<!-- a --> b\n");
    assert_int_equal(doc.n_blocks, 2);
    check_block(&doc, 0, RAG_BLOCK_PARAGRAPH, "text");
    check_block(&doc, 1, RAG_BLOCK_PARAGRAPH, "<!-- a --> b");
}

static void test_markdown__front_matter_gives_the_title(void **state)
{
    (void)state;
    rag_parsed doc = parse("a.md", "---\ntitle: \"Engineering: roles\"\nx: y\n---\n\n## Part\n\nbody\n");
    assert_int_equal(doc.n_blocks, 3);
    check_heading(&doc, 0, 0, "Engineering: roles");
    check_heading(&doc, 1, 2, "Part");
    check_block(&doc, 2, RAG_BLOCK_PARAGRAPH, "body");
    check_title(&doc, "Engineering: roles");
    assert_true(doc.has_title);
}

static void test_markdown__a_rule_at_the_top_is_no_front_matter(void **state)
{
    (void)state;
    rag_parsed doc = parse("notes.md", "---\n\nbody without an end\n");
    assert_int_equal(doc.n_blocks, 2);
    check_block(&doc, 1, RAG_BLOCK_PARAGRAPH, "body without an end");
    check_title(&doc, "notes.md");
    assert_false(doc.has_title);
}

static void test_markdown__a_byte_order_mark_is_in_no_block(void **state)
{
    (void)state;
    rag_parsed doc = parse("a.md", "\xef\xbb\xbf# T\n\nbody\n");
    check_heading(&doc, 0, 1, "T");
    assert_int_equal(doc.blocks[0].start, 3);
    check_title(&doc, "T");
    doc = parse("b.md", "\xef\xbb\xbf---\ntitle: F\n---\nbody\n");
    check_title(&doc, "F");
}

static void test_markdown__line_ends_of_all_systems(void **state)
{
    (void)state;
    rag_parsed doc = parse("a.md", "# A\r\n\r\none\r\ntwo\r\n\r\n## B\r\rthree\r");
    assert_int_equal(doc.n_blocks, 4);
    check_heading(&doc, 0, 1, "A");
    check_block(&doc, 1, RAG_BLOCK_PARAGRAPH, "one\r\ntwo");
    check_heading(&doc, 2, 2, "B");
    check_block(&doc, 3, RAG_BLOCK_PARAGRAPH, "three");
}

static void test_markdown__anchors_and_markup_leave_headings(void **state)
{
    (void)state;
    rag_parsed doc = parse("a.md", "## [Ship](/x) `it` &amp; **go** {#ship}\n\n# 退货 政策 #\n\n七天之内可以退货，请保留收据和包装。\n");
    check_heading(&doc, 0, 2, "Ship it & go");
    check_heading(&doc, 1, 1, "退货 政策");
    check_title(&doc, "退货 政策");
    assert_int_equal(doc.lang, RAG_LANG_ZH);
}

static void test_markdown__an_endless_heading_is_text(void **state)
{
    (void)state;
    char text[2003];
    memset(text, 'x', sizeof text);
    memcpy(text, "# ", 2);
    text[sizeof text - 1] = 0;
    rag_parsed doc = parse("a.md", text);
    assert_int_equal(doc.n_blocks, 1);
    assert_int_equal(doc.blocks[0].kind, RAG_BLOCK_PARAGRAPH);
    assert_false(doc.has_title);
}

static void test_markdown__deep_nesting_ends(void **state)
{
    (void)state;
    enum { DEPTH = 20000 };
    char *text = calloc(2 * DEPTH + 10, 1);
    for (size_t i = 0; i < DEPTH; i++)
        memcpy(text + 2 * i, "> ", 2);
    strcat(text, "deep");
    rag_parsed doc = parse("a.md", text);
    assert_int_equal(doc.n_blocks, 1);
    assert_int_equal(doc.blocks[0].end, strlen(text));
    free(text);
}

static void test_text__paragraphs_and_items(void **state)
{
    (void)state;
    rag_parsed doc = parse("folder/a.txt", "One\ntwo.\n \t\n- a\n  more\n2) b\n* c\nEnd\n\n\n-5 degrees\n");
    assert_int_equal(doc.n_blocks, 5);
    check_block(&doc, 0, RAG_BLOCK_PARAGRAPH, "One\ntwo.");
    check_block(&doc, 1, RAG_BLOCK_ITEM, "- a\n  more");
    check_block(&doc, 2, RAG_BLOCK_ITEM, "2) b");
    check_block(&doc, 3, RAG_BLOCK_ITEM, "* c\nEnd");
    check_block(&doc, 4, RAG_BLOCK_PARAGRAPH, "-5 degrees");
    check_title(&doc, "a.txt");
    assert_false(doc.has_title);
}

static void test_text__a_first_line_may_be_a_title(void **state)
{
    (void)state;
    rag_parsed doc = parse("a.txt", "# The title\nbody\n# no title\n");
    check_heading(&doc, 0, 1, "The title");
    check_block(&doc, 1, RAG_BLOCK_PARAGRAPH, "body\n# no title");
    check_title(&doc, "The title");
}

static void test_parse__empty_documents_have_no_blocks(void **state)
{
    (void)state;
    assert_int_equal(parse("a.md", "").n_blocks, 0);
    assert_int_equal(parse("a.txt", " \n\n\t\xe3\x80\x80\n").n_blocks, 0);
    assert_int_equal(parse("a.txt", "\xef\xbb\xbf").n_blocks, 0);
}

static void test_parse__says_why_bytes_are_no_text(void **state)
{
    (void)state;
    rag_parsed doc;
    rag_str nul = RAG_STR("ab\0c"), latin = RAG_STR("ab\xe9 c");
    assert_int_equal(rag_parse(RAG_FORMAT_TEXT, RAG_STR("a.txt"), nul, arena, &doc, &err), RAG_UNSUPPORTED);
    assert_non_null(strstr(err.message, "offset 2"));
    assert_int_equal(rag_parse(RAG_FORMAT_MARKDOWN, RAG_STR("a.md"), latin, arena, &doc, &err), RAG_INVALID);
    assert_non_null(strstr(err.message, "offset 2"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_format__follows_the_ending, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_markdown__blocks_keep_their_bytes, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_markdown__what_has_no_node_is_a_paragraph, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_markdown__comments_are_no_text, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_markdown__front_matter_gives_the_title, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_markdown__a_rule_at_the_top_is_no_front_matter, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_markdown__a_byte_order_mark_is_in_no_block, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_markdown__line_ends_of_all_systems, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_markdown__anchors_and_markup_leave_headings, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_markdown__an_endless_heading_is_text, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_markdown__deep_nesting_ends, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_text__paragraphs_and_items, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_text__a_first_line_may_be_a_title, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_parse__empty_documents_have_no_blocks, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_parse__says_why_bytes_are_no_text, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
