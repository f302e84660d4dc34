#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "base/sentence.h"
#include "base/unicode.h"
#include "base/utf8.h"

/* Checks that text splits into the sentences that follow, up to NULL. */
static void assert_splits(const char *text, ...)
{
    rag_str s = rag_str_of(text);
    size_t pos = 0;
    rag_span span;
    va_list wanted;
    va_start(wanted, text);
    const char *want;
    while ((want = va_arg(wanted, const char *))) {
        if (!rag_sentence_next(s, &pos, &span))
            fail_msg("'%s' is missing in '%s'", want, text);
        rag_str got = rag_str_sub(s, span.start, span.end);
        if (!rag_str_eq(got, rag_str_of(want)))
            fail_msg("got '%.*s', want '%s'", RAG_STR_ARG(got), want);
    }
    va_end(wanted);
    if (rag_sentence_next(s, &pos, &span))
        fail_msg("too many: '%.*s'", RAG_STR_ARG(rag_str_sub(s, span.start, span.end)));
}

static void test_sentence__english_ends_before_white_space(void **state)
{
    (void)state;
    assert_splits("One is here. Two! Is it three? Yes", "One is here.", "Two!", "Is it three?", "Yes", NULL);
    assert_splits("What?! No... Really.", "What?!", "No...", "Really.", NULL);
    assert_splits("It waits… and then goes on. It waits… Then not.", "It waits… and then goes on.", "It waits…",
                  "Then not.", NULL);
    assert_splits("", NULL);
    assert_splits(" \n\t ", NULL);
}

static void test_sentence__closing_marks_belong_to_the_sentence(void **state)
{
    (void)state;
    assert_splits("He said \"go.\" She went. (See below.) It **is.** Cited.[12] End.", "He said \"go.\"", "She went.",
                  "(See below.)", "It **is.**", "Cited.[12]", "End.", NULL);
    assert_splits("\"Really?\" he asked. “Yes!” She left.", "\"Really?\" he asked.", "“Yes!”", "She left.", NULL);
}

static void test_sentence__abbreviations_do_not_end(void **state)
{
    (void)state;
    assert_splits("Dr. Smith met Mrs. Jones, e.g. Ann, at St. Mary on Sept. 5. They left.",
                  "Dr. Smith met Mrs. Jones, e.g. Ann, at St. Mary on Sept. 5.", "They left.", NULL);
    assert_splits("The U.S. Army came. He lives in the U.S. The rest does not.", "The U.S. Army came.",
                  "He lives in the U.S.", "The rest does not.", NULL);
    assert_splits("J. K. Rowling wrote it. Was it J.R.R. Tolkien?", "J. K. Rowling wrote it.", "Was it J.R.R. Tolkien?",
                  NULL);
    assert_splits("See No. 5 and Fig. 2. No. He did not.", "See No. 5 and Fig. 2.", "No.", "He did not.", NULL);
    assert_splits("Acme Inc. Research sells it. So does Acme Inc. They agree.", "Acme Inc. Research sells it.",
                  "So does Acme Inc.", "They agree.", NULL);
}

static void test_sentence__numbers_and_addresses_stay_whole(void **state)
{
    (void)state;
    assert_splits("It costs 3.50 or 1,000.5 in 1.2.3. See a.b@c.org or http://x.org/?q=1.y now. Done.",
                  "It costs 3.50 or 1,000.5 in 1.2.3.", "See a.b@c.org or http://x.org/?q=1.y now.", "Done.", NULL);
    assert_splits("It was built in 1984. Then it fell.", "It was built in 1984.", "Then it fell.", NULL);
}

static void test_sentence__chinese_ends_need_no_space(void **state)
{
    (void)state;
    assert_splits("我来了。你呢？好！第一；第二。", "我来了。", "你呢？", "好！", "第一；", "第二。", NULL);
    assert_splits("他说：“真的吗？”，然后走了。“好。”她说。「行！」完", "他说：“真的吗？”，然后走了。", "“好。”", "她说。",
                  "「行！」", "完", NULL);
    assert_splits("等等……明天见！？（完。）价格是3.5元。Use it. 中文Python.好的。", "等等……", "明天见！？", "（完。）",
                  "价格是3.5元。", "Use it.", "中文Python.", "好的。", NULL);
    assert_splits("1.打开设置。2.关闭。", "1.打开设置。", "2.关闭。", NULL);
    assert_splits("　　第一段。\n　　第二段", "第一段。", "第二段", NULL);
}

static void test_sentence__single_line_break_is_no_end(void **state)
{
    (void)state;
    assert_splits("A sentence that\nruns over\r\nlines. Next\none.", "A sentence that\nruns over\r\nlines.",
                  "Next\none.", NULL);
    assert_splits("No stop here\n\nNor here\n \t\nEnd", "No stop here", "Nor here", "End", NULL);
    assert_splits("Page one\fPage two", "Page one", "Page two", NULL);
    assert_splits("It was in\n1984. It was cold.", "It was in\n1984.", "It was cold.", NULL);
}

static void test_sentence__markdown_lines(void **state)
{
    (void)state;
    assert_splits("Intro\n# What? A title\ntext\n## 1.2. Second ##\nUnder\n=====\nmore\n---\nend", "Intro",
                  "What? A title", "text", "1.2. Second ##", "Under", "more", "end", NULL);
    assert_splits("- first item\n- second. With two\n  continued lines\n* third\n1. one\n2) two\n  - inner\n- [ ] task",
                  "first item", "second.", "With two\n  continued lines", "third", "one", "two", "inner", "[ ] task", NULL);
    assert_splits("> quoted and\n> continued. Second\n\nafter", "quoted and\n> continued.", "Second", "after", NULL);
    assert_splits("see\n> quote\nback", "see", "quote", "back", NULL);
    assert_splits("| a. B | b |\n|---|---|\n| 1 | 2 |\ntext", "| a. B | b |", "|---|---|", "| 1 | 2 |", "text", NULL);
    assert_splits("run\n```sh\na. B\n\n# c\n```\nthen", "run", "```sh\na. B\n\n# c\n```", "then", NULL);
    assert_splits("- ```\n  a. B\n  ```\n~~~\nopen. To the end", "```\n  a. B\n  ```", "~~~\nopen. To the end", NULL);
    assert_splits("Steps: 1. Open it. 2. Close it.", "Steps: 1. Open it.", "2. Close it.", NULL);
}

static bool is_marker(char c)
{
    return strchr("-*+#>=_.)", c) || (c >= '0' && c <= '9');
}

static bool is_between(rag_str s, size_t start, size_t end)
{
    for (size_t pos = start; pos < end;) {
        uint32_t c = rag_utf8_next(s, &pos);
        if (!rag_unicode_is_space(c) && c != 0x2022 && !(c < 0x80 && is_marker((char)c)))
            return false;
    }
    return true;
}

static void check_property(rag_str s)
{
    size_t pos = 0, last_end = 0, n = 0;
    rag_span span;
    while (rag_sentence_next(s, &pos, &span)) {
        assert_true(span.start >= last_end && span.start < span.end && span.end <= s.len && pos >= span.end);
        assert_int_equal(rag_utf8_floor(s, span.start), span.start);
        assert_int_equal(rag_utf8_floor(s, span.end), span.end);
        if (!is_between(s, last_end, span.start))
            fail_msg("lost '%.*s' in '%.*s'", (int)(span.start - last_end), s.ptr + last_end, RAG_STR_ARG(s));
        last_end = span.end;
        assert_true(++n <= s.len);
    }
    assert_int_equal(pos, s.len);
    assert_true(is_between(s, last_end, s.len));
}

static void test_sentence__spans_cover_any_mixture(void **state)
{
    (void)state;
    static const char *const pieces[] = {
        "word", " ", "\n", "\n\n", ". ", ".", "! ", "?", "。", "；", "……", "”", "「", "\"", "'", "(", ")", "- ", "* ", "1. ", "12) ",
        "# ", "### ", "> ", "|", "| a |\n", "```", "```\n", "~~~", "---\n", "===\n", "中文", "Dr. ", "U.S. ", "e.g. ", "3.5", "a",
        "\f", "\r\n", "\t", "　", "•", "[1]", "é", "😀", "\xFF", "\xE4\xB8", "ｶﾞ", "：", ",",
    };
    enum { N_PIECES = sizeof pieces / sizeof *pieces };
    uint32_t seed = 42;
    rag_buf text;
    rag_buf_init(&text, 4096);
    for (int round = 0; round < 20000; round++) {
        rag_buf_clear(&text);
        for (size_t n = 1 + (seed >> 8) % 20; n > 0; n--) {
            seed = seed * 1664525u + 1013904223u;
            rag_buf_puts(&text, pieces[(seed >> 16) % N_PIECES]);
        }
        check_property(rag_buf_str(&text));
    }
    rag_buf_free(&text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sentence__english_ends_before_white_space),
        cmocka_unit_test(test_sentence__closing_marks_belong_to_the_sentence),
        cmocka_unit_test(test_sentence__abbreviations_do_not_end),
        cmocka_unit_test(test_sentence__numbers_and_addresses_stay_whole),
        cmocka_unit_test(test_sentence__chinese_ends_need_no_space),
        cmocka_unit_test(test_sentence__single_line_break_is_no_end),
        cmocka_unit_test(test_sentence__markdown_lines),
        cmocka_unit_test(test_sentence__spans_cover_any_mixture),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
