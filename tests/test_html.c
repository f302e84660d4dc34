/* HTML into stored text and blocks. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/utf8.h"
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

static rag_parsed parse(const char *html)
{
    rag_parsed doc;
    assert_int_equal(rag_parse(RAG_FORMAT_HTML, RAG_STR("dir/page.html"), rag_str_of(html), arena, &doc, &err), RAG_OK);
    return doc;
}

static void check_text(const char *html, const char *text)
{
    rag_parsed doc = parse(html);
    assert_string_equal(rag_arena_cstr(arena, doc.text), text);
}

static const char *title_of(const char *html)
{
    rag_parsed doc = parse(html);
    return rag_arena_cstr(arena, doc.title);
}

static void test_html__paragraphs_collapse_white_space(void **state)
{
    (void)state;
    check_text("<p>One\n  <b>two</b>&nbsp;three</p>tail<div>four<br>five</div>", "One two three\n\ntail\n\nfour\nfive\n");
}

static void test_html__entities_are_decoded(void **state)
{
    (void)state;
    check_text("<p>a &amp; b &lt;c&gt; &#x4f60;&eacute; &#1;x</p>", "a & b <c> 你é x\n");
}

static void test_html__what_is_not_content_is_left_out(void **state)
{
    (void)state;
    check_text("<head><title>T</title><style>p{}</style></head><nav>menu</nav><script>x()</script>"
               "<template><p>t</p></template><p hidden>h</p><!-- c --><p>body</p><noscript>n</noscript>",
               "body\n");
}

static void test_html__headings_lists_and_rows(void **state)
{
    (void)state;
    check_text("<h1>Shop</h1><p>Intro</p><h2>Prices <a>¶</a></h2>"
               "<ul><li>a<ol><li>x</li><li>y<p>more</p></li></ol></li><li>b</li></ul>"
               "<table><tr><th>Item</th><th>Price</th></tr><tr><td><p>Lamp</p></td><td>5 <br>EUR</td></tr></table>after",
               "# Shop\n\nIntro\n\n## Prices \n\n- a\n  1. x\n  2. y\n    more\n- b\n\nItem | Price\nLamp | 5 EUR\n\nafter\n");
}

static void test_html__blocks_of_the_stored_text(void **state)
{
    (void)state;
    rag_parsed doc = parse("<h1>Shop</h1><p>Intro</p><ul><li>a<li>b</ul><table><tr><td>1<td>2<tr><td>3<td>4</table>"
                           "<pre># no heading\n\nmake</pre>");
    static const rag_block_kind kinds[] = { RAG_BLOCK_HEADING, RAG_BLOCK_PARAGRAPH, RAG_BLOCK_ITEM, RAG_BLOCK_ITEM,
                                            RAG_BLOCK_TABLE,   RAG_BLOCK_CODE,      RAG_BLOCK_CODE };
    assert_int_equal(doc.n_blocks, sizeof kinds / sizeof *kinds);
    for (size_t i = 0; i < doc.n_blocks; i++)
        assert_int_equal(doc.blocks[i].kind, kinds[i]);
    assert_string_equal(rag_arena_cstr(arena, doc.blocks[0].heading_text), "Shop");
    rag_str table = rag_str_sub(doc.text, doc.blocks[4].start, doc.blocks[4].end);
    assert_string_equal(rag_arena_cstr(arena, table), "1 | 2\n3 | 4");
}

static void test_html__code_keeps_its_lines(void **state)
{
    (void)state;
    check_text("<pre>\nif (x)\n    y();\n</pre>", "    if (x)\n        y();\n");
}

static void test_html__a_layout_table_is_no_table(void **state)
{
    (void)state;
    check_text("<table><tr><td><h1>T</h1><p>one</p></td><td><table><tr><td>a</td><td>b</td></tr></table></td></tr></table>",
               "# T\n\none\n\na | b\n");
}

static void test_html__title_is_h1_then_title_then_name(void **state)
{
    (void)state;
    assert_string_equal(title_of("<title>A &amp;\n B</title><h1>C</h1>"), "C");
    assert_string_equal(title_of("<title>A &amp;\n B</title><p>x"), "A & B");
    assert_string_equal(title_of("<p>x"), "page.html");
    assert_false(parse("<p>x").has_title);
}

static void test_html__a_reference_beyond_Unicode_is_replaced(void **state)
{
    (void)state;
    rag_str text = parse("<p>a&#x99999999;b").text;
    assert_true(rag_utf8_valid(text, NULL));
    assert_true(rag_str_starts(text, RAG_STR("a\xef\xbf\xbd")));
    assert_true(rag_str_ends(text, RAG_STR("\xef\xbf\xbd" "b\n")));
    assert_true(rag_utf8_valid(rag_str_of(title_of("<title>a&#x99999999;b</title>")), NULL));
}

static void test_html__a_long_title_is_cut_once(void **state)
{
    (void)state;
    char html[700], *at = html + sprintf(html, "<title>");
    memset(at, 'x', 600);
    at[511] = ' ';
    strcpy(at + 600, "</title><p>y");
    rag_parsed doc = parse(html), again;
    rag_parse_stored(RAG_FORMAT_HTML, RAG_STR("a.html"), doc.text, doc.title, arena, &again);
    assert_int_equal(doc.title.len, 511);
    assert_true(rag_str_eq(again.title, doc.title));
}

static void test_html__the_stored_text_parses_to_the_same_blocks(void **state)
{
    (void)state;
    rag_parsed doc = parse("<title>P</title><h2>A</h2><p>one<ul><li>i<li>j</ul><h3>B</h3><table><tr><td>1<td>2</table>"),
               again;
    rag_parse_stored(RAG_FORMAT_HTML, RAG_STR("dir/page.html"), doc.text, doc.title, arena, &again);
    assert_int_equal(again.n_blocks, doc.n_blocks);
    for (size_t i = 0; i < doc.n_blocks; i++) {
        assert_int_equal(again.blocks[i].kind, doc.blocks[i].kind);
        assert_int_equal(again.blocks[i].start, doc.blocks[i].start);
        assert_int_equal(again.blocks[i].end, doc.blocks[i].end);
        assert_true(rag_str_eq(again.blocks[i].heading_text, doc.blocks[i].heading_text));
    }
    assert_true(rag_str_eq(again.title, doc.title));
    assert_true(again.has_title);
}

static char *repeat(const char *tags, size_t depth)
{
    size_t n = strlen(tags);
    char *html = calloc(depth * n + 10, 1);
    assert_non_null(html);
    for (size_t i = 0; i < depth; i++)
        memcpy(html + i * n, tags, n);
    strcat(html, "deep");
    return html;
}

static void check_depth(const char *tags, size_t depth)
{
    char *html = repeat(tags, depth);
    rag_parsed doc = parse(html);
    assert_int_not_equal(rag_str_find(doc.text, RAG_STR("deep"), 0), SIZE_MAX);
    free(html);
}

static void test_html__deep_nesting_costs_no_stack(void **state)
{
    (void)state;
    check_depth("<b>", 50000);
    check_depth("<table><tr><td>", 20000);
    check_depth("<div>", 20000);
    check_depth("<ul><li>", 5000);
}

static void test_html__absurd_nesting_is_refused_at_once(void **state)
{
    (void)state;
    rag_parsed doc;
    char *html = repeat("<ul><li>", 1000000);
    assert_int_equal(rag_parse(RAG_FORMAT_HTML, RAG_STR("a.html"), rag_str_of(html), arena, &doc, &err), RAG_TOO_LARGE);
    free(html);
    check_depth("<p>x<br><li>y<img>", 110000); /* none of these nests */
    check_depth("<b>x</b><path/>", 110000);
}

static void test_html__no_bytes_are_no_text(void **state)
{
    (void)state;
    assert_int_equal(parse("").n_blocks, 0);
    assert_int_equal(parse("\xef\xbb\xbf<p>  </p>").n_blocks, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_html__paragraphs_collapse_white_space, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_html__entities_are_decoded, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_html__what_is_not_content_is_left_out, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_html__headings_lists_and_rows, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_html__blocks_of_the_stored_text, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_html__code_keeps_its_lines, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_html__a_layout_table_is_no_table, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_html__title_is_h1_then_title_then_name, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_html__a_reference_beyond_Unicode_is_replaced, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_html__a_long_title_is_cut_once, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_html__the_stored_text_parses_to_the_same_blocks, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_html__deep_nesting_costs_no_stack, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_html__absurd_nesting_is_refused_at_once, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_html__no_bytes_are_no_text, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
