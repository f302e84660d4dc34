/* ragctl from outside: command line, exit codes, what is printed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/file.h"
#include "base/str.h"
#include "tests/ctl_fixture.h"

static int start(void **state)
{
    *state = fake_daemon_start();
    return 0;
}

static int stop(void **state)
{
    fake_daemon_stop(*state);
    return 0;
}

#define SOCKET(state) "--socket", fake_daemon_socket(*(state))

static void expect(outcome o, int exit_code, const char *out)
{
    if (o.exit_code != exit_code)
        print_error("stdout: %s\nstderr: %s\n", o.out, o.err);
    assert_int_equal(o.exit_code, exit_code);
    if (out)
        assert_string_equal(o.out, out);
    outcome_free(&o);
}

static void expect_error(outcome o, int exit_code, const char *part)
{
    if (o.exit_code != exit_code || !strstr(o.err, part))
        print_error("exit %d, stdout: %s\nstderr: %s\n", o.exit_code, o.out, o.err);
    assert_int_equal(o.exit_code, exit_code);
    assert_non_null(strstr(o.err, part));
    assert_memory_equal(o.err, "ragctl: ", 8);
    outcome_free(&o);
}

/* ---- command line ----------------------------------------------------------------- */

static void test_ctl__usage_errors_exit_2_and_say_what(void **state)
{
    (void)state;
    expect_error(RAGCTL(NULL, "nonsense"), 2, "unknown command 'nonsense'");
    expect_error(RAGCTL(NULL, "docs"), 2, "'docs' needs to know what to do");
    expect_error(RAGCTL(NULL, "ask", "--nonsense", "x"), 2, "unknown option '--nonsense' of ask");
    expect_error(RAGCTL(NULL, "ask", "--top-k"), 2, "--top-k needs a value");
    expect_error(RAGCTL(NULL, "ask", "--top-k", "1x", "q"), 2, "whole number");
    expect_error(RAGCTL(NULL, "ask", "--temperature", "0x1", "q"), 2, "takes a number");
    expect_error(RAGCTL(NULL, "ask", "--mode", "magic", "q"), 2, "auto|generate|extract|span");
    expect_error(RAGCTL(NULL, "ask", "--explain=1", "q"), 2, "takes no value");
    expect_error(RAGCTL(NULL, "ask", "  "), 2, "no question given");
    expect_error(RAGCTL(NULL, "ask", "\xff"), 2, "not valid UTF-8");
    expect_error(RAGCTL(NULL, "get"), 2, "get needs DOCUMENT");
    expect_error(RAGCTL(NULL, "verify", "x"), 2, "does not know what to do with 'x'");
    expect_error(RAGCTL(NULL, "generations", "activate", "0"), 2, "'latest'");
    expect_error(RAGCTL(NULL, "ask", "--socket", "a", "--url", "b", "q"), 2, "exclude each other");
    expect_error(RAGCTL(NULL, "ask", "--timeout", "soon", "q"), 2, "--timeout");
    expect_error(RAGCTL(NULL, "completion", "csh"), 2, "bash, zsh and fish");
}

static void test_ctl__commands_of_later_versions_say_so(void **state)
{
    (void)state;
    expect_error(RAGCTL(NULL, "docs", "rm", "x"), 2, "'docs rm' is not available in this version");
    expect_error(RAGCTL(NULL, "generations", "diff"), 2, "'generations diff' is not available in this version");
    expect_error(RAGCTL(NULL, "tickets"), 2, "'tickets' is not available in this version");
    expect_error(RAGCTL(NULL, "keys", "create"), 2, "'keys' is not available in this version");
    outcome o = RAGCTL(NULL, "--help");
    assert_null(strstr(o.out, "tickets"));
    assert_null(strstr(o.out, "docs rm"));
    outcome_free(&o);
}

static void test_ctl__help_and_version_come_for_every_command(void **state)
{
    static const char *const commands[][2] = { { "ask", NULL }, { "search", NULL }, { "chat", NULL }, { "get", NULL },
        { "docs", "ls" }, { "docs", "show" }, { "status", NULL }, { "reload", NULL }, { "generations", "ls" },
        { "generations", "activate" }, { "verify", NULL }, { "backup", NULL }, { "restore", NULL },
        { "completion", NULL } };
    (void)state;
    for (size_t i = 0; i < sizeof commands / sizeof *commands; i++) {
        const char *words[] = { commands[i][0], commands[i][1] ? commands[i][1] : "--help",
                                commands[i][1] ? "--help" : NULL, NULL };
        outcome o = ragctl_run(NULL, words);
        assert_int_equal(o.exit_code, 0);
        assert_non_null(strstr(o.out, "usage: ragctl "));
        assert_non_null(strstr(o.out, "--socket PATH"));
        outcome_free(&o);
    }
    outcome o = RAGCTL(NULL, "--version");
    assert_int_equal(o.exit_code, 0);
    assert_memory_equal(o.out, "ragctl ", 7);
    assert_non_null(strstr(o.out, "libcurl"));
    outcome_free(&o);
}

/* Every "--option" of a help text stands in the manual as "Fl -option". */
static void check_options_in_manual(const char *help, const char *manual)
{
    for (const char *at = strstr(help, "--"); at; at = strstr(at + 2, "--")) {
        char want[80];
        size_t n = strspn(at + 2, "abcdefghijklmnopqrstuvwxyz-");
        snprintf(want, sizeof want, "Fl -%.*s", (int)n, at + 2);
        if (n && !strstr(manual, want))
            fail_msg("the manual lacks '%s'", want);
    }
}

static void test_ctl__the_manual_names_every_command_and_option(void **state)
{
    (void)state;
    rag_buf manual;
    rag_buf_init(&manual, RAG_MAX_LINE);
    assert_int_equal(rag_file_read("docs/man/ragctl.1", &manual, NULL), RAG_OK);
    outcome help = RAGCTL(NULL, "--help");
    char *end = strstr(help.out, "\nOptions"), *line = strstr(help.out, "Commands:\n") + 10;
    while (line < end) {
        char name[80], want[128];
        assert_int_equal(sscanf(line, "  %30[^\n]", name), 1);
        while (name[strlen(name) - 1] == ' ')
            name[strlen(name) - 1] = 0;
        snprintf(want, sizeof want, ".It Ic %s", name);
        assert_non_null(strstr(manual.ptr, want));
        const char *words[4] = { NULL };
        size_t n = 0;
        for (char *word = strtok(name, " "); word; word = strtok(NULL, " "))
            words[n++] = word;
        words[n] = "--help";
        outcome one = ragctl_run(NULL, words);
        check_options_in_manual(one.out, manual.ptr);
        outcome_free(&one);
        line = strchr(line, '\n') + 1;
    }
    outcome_free(&help);
    rag_buf_free(&manual);
}

static void test_ctl__no_command_prints_the_usage_and_exits_2(void **state)
{
    (void)state;
    outcome o = ragctl_run(NULL, (const char *const[]){ NULL });
    assert_int_equal(o.exit_code, 2);
    assert_string_equal(o.out, "");
    assert_non_null(strstr(o.err, "usage: ragctl"));
    outcome_free(&o);
}

static void test_ctl__options_become_keys_of_the_request(void **state)
{
    outcome o = RAGCTL(NULL, "ask", "--json", SOCKET(state), "--top-k=3", "--seed", "18446744073709551615",
                       "--temperature", "0.70", "--collection", "a\"b", "--explain", "--", "-x", "y");
    assert_int_equal(o.exit_code, 0);
    assert_non_null(strstr(o.out, "\\\"collection\\\":\\\"a\\\\\\\"b\\\",\\\"top_k\\\":3,\\\"explain\\\":true,"
                                  "\\\"sampling\\\":{\\\"temperature\\\":0.70,\\\"seed\\\":18446744073709551615},"
                                  "\\\"question\\\":\\\"-x y\\\"}"));
    assert_ptr_equal(strchr(o.out, '\n'), o.out + strlen(o.out) - 1);
    outcome_free(&o);
}

static void test_ctl__key_file_is_sent_as_bearer(void **state)
{
    char path[128];
    snprintf(path, sizeof path, "%s/key", fake_daemon_folder(*state));
    FILE *f = fopen(path, "w");
    fputs("sk-abc\n", f);
    fclose(f);
    expect(RAGCTL(NULL, "ask", SOCKET(state), "--key-file", path, "q"), 0, NULL);
    assert_non_null(strstr(fake_daemon_last_head(*state), "\r\nAuthorization: Bearer sk-abc\r\n"));
    f = fopen(path, "w");
    fputs("a\r\nX-Evil: 1", f);
    fclose(f);
    expect_error(RAGCTL(NULL, "ask", SOCKET(state), "--key-file", path, "q"), 2, "does not hold one bearer key");
    expect_error(RAGCTL(NULL, "ask", SOCKET(state), "--key-file", "/nonexistent", "q"), 1, "/nonexistent");
}

static void test_ctl__completions_are_valid_and_know_the_commands(void **state)
{
    char path[128];
    outcome script = RAGCTL(NULL, "completion", "bash");
    assert_int_equal(script.exit_code, 0);
    snprintf(path, sizeof path, "%s/c.bash", fake_daemon_folder(*state));
    FILE *f = fopen(path, "w");
    fputs(script.out, f);
    fputs("try() { COMP_WORDS=(\"$@\"); COMP_CWORD=$(($# - 1)); _ragctl; echo \"${COMPREPLY[*]}\"; }\n"
          "try ragctl gen\ntry ragctl --socket x docs ''\ntry ragctl docs ls --coll\ntry ragctl ask --mode e\n"
          "try ragctl completion f\n", f);
    fclose(f);
    expect(program_run(NULL, (const char *const[]){ "/bin/bash", "-n", path, NULL }), 0, "");
    expect(program_run(NULL, (const char *const[]){ "/bin/bash", path, NULL }), 0,
           "generations\nls show\n--collection\nextract\nfish\n");
    outcome_free(&script);
    outcome fish = RAGCTL(NULL, "completion", "fish");
    assert_non_null(strstr(fish.out, "-l batch"));
    outcome_free(&fish);
    outcome zsh = RAGCTL(NULL, "completion", "zsh");
    assert_memory_equal(zsh.out, "#compdef ragctl", 15);
    outcome_free(&zsh);
}

/* ---- talking to the daemon -------------------------------------------------------- */

static void test_ctl__an_unreachable_daemon_is_exit_3_with_its_address(void **state)
{
    (void)state;
    expect_error(RAGCTL(NULL, "ask", "--socket", "/nonexistent/s", "q"), 3,
                 "cannot reach the daemon at /nonexistent/s: No such file or directory; is ragd running?");
    expect_error(RAGCTL(NULL, "search", "--url", "http://127.0.0.1:1", "q"), 3, "Connection refused");
    expect_error(RAGCTL(NULL, "status", "--set", "unix.path=/nonexistent/c.sock"), 3, "/nonexistent/c.sock");
    expect_error(RAGCTL(NULL, "status", "--set", "unix.path=off", "--set", "http.listen=0.0.0.0:1"), 3,
                 "http://127.0.0.1:1");
    expect_error(RAGCTL(NULL, "status", "--set", "no.such=1"), 78, "no.such");
}

static void test_ctl__statuses_become_exit_codes_with_the_servers_sentence(void **state)
{
    expect_error(RAGCTL(NULL, "ask", SOCKET(state), "status 400"), 2, "the fake says no (HTTP 400, canned)");
    expect_error(RAGCTL(NULL, "ask", SOCKET(state), "status 401"), 6, "HTTP 401");
    expect_error(RAGCTL(NULL, "ask", SOCKET(state), "status 403"), 6, "HTTP 403");
    expect_error(RAGCTL(NULL, "ask", SOCKET(state), "status 404"), 1, "HTTP 404");
    expect_error(RAGCTL(NULL, "ask", SOCKET(state), "status 500"), 1, "HTTP 500");
    expect_error(RAGCTL(NULL, "search", SOCKET(state), "status 503"), 1, "HTTP 503");
    expect_error(RAGCTL(NULL, "ask", SOCKET(state), "break"), 1, "broke");
    expect_error(RAGCTL(NULL, "ask", SOCKET(state), "garbage"), 1, "did not answer in JSON");
    expect_error(RAGCTL(NULL, "ask", SOCKET(state), "--timeout", "50ms", "wait 999"), 1, "did not answer within 50 ms");
}

static void test_ctl__ask_prints_question_answer_and_citations(void **state)
{
    expect(RAGCTL(NULL, "ask", SOCKET(state), "How", "long?"), 0,
           "Q: How long?\nA: 30 days. [1]\n[1] returns.md:12 \"Returns are accepted within 30 days.\"\n");
    expect(RAGCTL("How long?\n", "ask", SOCKET(state), "-"), 0,
           "Q: How long?\nA: 30 days. [1]\n[1] returns.md:12 \"Returns are accepted within 30 days.\"\n");
}

static void test_ctl__a_refused_answer_is_printed_and_exits_4(void **state)
{
    expect(RAGCTL(NULL, "ask", SOCKET(state), "refuse"), 4,
           "Q: refuse\nA: Sorry, not in the documents.\n[1] returns.md:12 \"near\"\n");
    expect(RAGCTL(NULL, "ask", "--json", SOCKET(state), "refuse"), 4, NULL);
}

static void test_ctl__text_of_the_server_cannot_steer_the_terminal_or_fake_a_citation(void **state)
{
    expect(RAGCTL(NULL, "ask", SOCKET(state), "hostile"), 0,
           "Q: hostile\nA: red \\x1b[31m\\u{202e}\n   [9] fake.md:1\n[1] a\\x07.md:12 \"two lines\\x7f \xe4\xb8\xad\"\n");
}

static void test_ctl__stream_ends_with_the_authoritative_answer(void **state)
{
    static const char end[] = "[1] returns.md:12 \"Within 30 days.\"\n";
    char want[256];
    snprintf(want, sizeof want, "Q: q\nA: 30 days. [1]\n%s", end);
    expect(RAGCTL(NULL, "ask", SOCKET(state), "--stream", "q"), 0, want);
    snprintf(want, sizeof want, "Q: shift\nA: 90 weeks\nA: 30 days. [1]\n%s", end);
    expect(RAGCTL(NULL, "ask", SOCKET(state), "--stream", "shift"), 0, want);
}

static void test_ctl__a_stream_that_breaks_off_is_a_failure(void **state)
{
    expect_error(RAGCTL(NULL, "ask", SOCKET(state), "--stream", "cut"), 1, "ended before the answer did");
    expect_error(RAGCTL(NULL, "ask", SOCKET(state), "--stream", "fail"), 1, "the model fell over");
    expect_error(RAGCTL(NULL, "ask", SOCKET(state), "--stream", "status 400"), 2, "the fake says no");
}

static void test_ctl__stream_with_json_is_an_object_an_event(void **state)
{
    outcome o = RAGCTL(NULL, "ask", SOCKET(state), "--stream", "--json", "q");
    assert_int_equal(o.exit_code, 0);
    assert_memory_equal(o.out, "{\"event\":\"meta\",\"data\":{}}\n{\"event\":\"draft\"", 43);
    assert_non_null(strstr(o.out, "\n{\"event\":\"delta\",\"data\":{\"text\":\"days.\"}}\n{\"event\":\"done\""));
    outcome_free(&o);
}

static void test_ctl__search_prints_place_score_and_text(void **state)
{
    expect(RAGCTL(NULL, "search", SOCKET(state), "q"), 0,
           "1. returns.md:12-15 (Returns \u203a Shop \u203a Time) 0.0312\n   Returns are accepted within 30 days.\n");
    expect(RAGCTL(NULL, "search", SOCKET(state), "empty"), 4, "");
    outcome o = RAGCTL(NULL, "search", "--json", "--stream", SOCKET(state), "q");
    assert_memory_equal(o.out, "{\"rank\":1,", 10);
    outcome_free(&o);
}

#define RESULT "1. returns.md:12-15 (Returns \u203a Shop \u203a Time) 0.0312\n   Returns are accepted within 30 days.\n"

static void test_ctl__search_says_what_is_nowhere_in_the_askers_language(void **state)
{
    expect(RAGCTL(NULL, "search", SOCKET(state), "absent"), 0,
           "“E-4012” is not in the documents.\n“a\\x1bb” is not in the documents.\n"
           "“recieve” is not in the documents: “receive” was looked for.\n" RESULT);
    expect(RAGCTL(NULL, "search", SOCKET(state), "没有"), 0,
           "文档中没有“E-4012”。\n文档中没有“a\\x1bb”。\n文档中没有“recieve”，已改查“receive”。\n" RESULT);
}

/* Characters of these tests: ASCII, punctuation of one column, and Han of two. */
static size_t columns_of(const char *line, size_t bytes)
{
    size_t columns = 0;
    for (size_t i = 0; i < bytes; i++) {
        unsigned char c = (unsigned char)line[i];
        columns += (c & 0xC0) == 0x80 ? 0 : c >= 0xE3 ? 2 : 1;
    }
    return columns;
}

/* No line is too long, and all terms begin in one column, whatever the script of what stands before. */
static void check_table(const char *table)
{
    size_t place = 0, lines = 0;
    for (const char *line = table; *line; lines++) {
        size_t n = strcspn(line, "\n");
        if (columns_of(line, n) > 100)
            fail_msg("%zu columns: %.*s", columns_of(line, n), (int)n, line);
        const char *chunk = memmem(line, n, " #123456", 8);
        const char *terms = chunk ? chunk + 8 + strspn(chunk + 8, " ") : NULL;
        if (terms && terms < line + n) {
            size_t at = columns_of(line, (size_t)(terms - line));
            assert_true(!place || at == place);
            place = at;
        }
        line += n + (line[n] == '\n');
    }
    assert_true(place > 0);
    assert_true(lines > 20);
}

static void test_ctl__search_explains_in_a_table_of_100_columns(void **state)
{
    outcome o = RAGCTL(NULL, "search", SOCKET(state), "--explain", "explain");
    assert_int_equal(o.exit_code, 0);
    assert_ptr_equal(strstr(o.out, RESULT "\n33 candidates of 412 visible passages, fusion adaptive\n"), o.out);
    const char *table = strstr(o.out, "became");
    assert_non_null(table);
    check_table(table);
    assert_non_null(strstr(table, "\nresult 1        0.9123    12  0.8765     -   7.213  returns.md #123456            return, day\n"));
    assert_non_null(strstr(table, "\nduplicate 100"));
    assert_non_null(strstr(table, "\u2026y/to/the/returns.md #123456  "));
    assert_null(strchr(o.out, '\x1b'));
    assert_non_null(strstr(table, "one, two"));
    assert_null(strstr(table, "six")); /* cut */
    assert_non_null(strstr(table, "\n10 more came below; --json has them all\n“E-4012” is not in the documents.\n"));
    outcome_free(&o);
}

static void test_ctl__search_explains_the_reranker_too(void **state)
{
    outcome o = RAGCTL(NULL, "search", SOCKET(state), "--explain", "explain reranked");
    const char *table = strstr(o.out, "became");
    assert_non_null(table);
    check_table(table);
    assert_non_null(strstr(table, "\nresult 1        0.9123    1.500    12  0.8765     -   7.213  returns.md #123456"));
    outcome_free(&o);
}

static void test_ctl__filters_become_an_object(void **state)
{
    outcome o = RAGCTL(NULL, "search", "--json", SOCKET(state), "--language", "en,zh", "--path-prefix", "hr/",
                       "--modified-after", "2026-11-24", "--modified-before=2026-12-01T08:00:00Z", "--group", "g1,g 2", "q");
    assert_int_equal(o.exit_code, 0);
    assert_non_null(strstr(o.out, "{\\\"filter\\\":{\\\"language\\\":[\\\"en\\\",\\\"zh\\\"],\\\"path_prefix\\\":\\\"hr/\\\","
                                  "\\\"modified_after\\\":\\\"2026-11-24T00:00:00Z\\\","
                                  "\\\"modified_before\\\":\\\"2026-12-01T08:00:00Z\\\","
                                  "\\\"groups\\\":[\\\"g1\\\",\\\"g 2\\\"]},\\\"query\\\":\\\"q\\\"}"));
    outcome_free(&o);
    o = RAGCTL(NULL, "ask", "--json", SOCKET(state), "--group", "g1", "q");
    assert_non_null(strstr(o.out, "{\\\"filter\\\":{\\\"groups\\\":[\\\"g1\\\"]},"));
    outcome_free(&o);
    expect_error(RAGCTL(NULL, "search", "--modified-after", "yesterday", "q"), 2, "takes a date or a time in UTC");
    expect_error(RAGCTL(NULL, "search", "--modified-after", "2026-02-30", "q"), 2, "takes a date or a time in UTC");
    expect_error(RAGCTL(NULL, "search", "--group", "", "q"), 2, "takes names with commas");
    expect_error(RAGCTL(NULL, "search", "--language", "en,,zh", "q"), 2, "takes names with commas");
}

static void test_ctl__chat_keeps_the_conversation_until_new(void **state)
{
    outcome o = RAGCTL("one\n\nraw\n:new\nhostile\n:quit\nnever\n", "chat", SOCKET(state), "--json");
    assert_int_equal(o.exit_code, 0);
    char *first = strstr(o.out, "{\\\"question\\\":\\\"one\\\"}");
    char *second = strstr(o.out, "{\\\"conversation_id\\\":\\\"c-1\\\",\\\"question\\\":\\\"raw\\\"}");
    char *third = strstr(o.out, "{\\\"question\\\":\\\"hostile\\\"}");
    assert_true(first && second && third && first < second && second < third);
    assert_null(strstr(o.out, "never"));
    outcome_free(&o);
}

static void test_ctl__chat_goes_on_after_a_failed_question_and_reports_it(void **state)
{
    outcome o = RAGCTL("status 500\nrefuse\nfine", "chat", SOCKET(state));
    assert_int_equal(o.exit_code, 1);
    assert_non_null(strstr(o.out, "Q: refuse\nA: Sorry, not in the documents.\n"));
    assert_non_null(strstr(o.out, "Q: fine\nA: 30 days. [1]\n"));
    outcome_free(&o);
    expect_error(RAGCTL("a\nb\n", "chat", "--socket", "/nonexistent/s"), 3, "is ragd running?");
}

static void test_ctl__admin_commands_ask_the_daemon_when_told_to(void **state)
{
    expect_error(RAGCTL(NULL, "reload", SOCKET(state)), 78, "stays");
    expect(RAGCTL(NULL, "verify", SOCKET(state)), 1, "chunk 3 has no embedding\ntwo\n");
    expect(RAGCTL(NULL, "verify", "--json", SOCKET(state)), 1,
           "{\"ok\":false,\"problems\":[\"chunk 3 has no embedding\",\"two\"]}\n");
    expect(RAGCTL(NULL, "docs", "ls", "--json", SOCKET(state)), 0,
           "{\"generation\":4,\"documents\":[{\"id\":7,\"path\":\"a b.md\",\"title\":\"T\"}]}\n");
    expect_error(RAGCTL(NULL, "restore", SOCKET(state), "x"), 2, "leave --socket and --url out");
    expect_error(RAGCTL(NULL, "backup", SOCKET(state), "x"), 1, "HTTP 404");
}

static void test_ctl__status_prints_the_memory_sum(void **state)
{
    outcome o = RAGCTL(NULL, "status", SOCKET(state));
    assert_int_equal(o.exit_code, 0);
    assert_non_null(strstr(o.out, "ragd 9.9  ready, process 0, up 1h 2m 3s\n"));
    assert_non_null(strstr(o.out, "generation 7: 42 documents"));
    assert_non_null(strstr(o.out, "KV cache 1.5 MB + runtime buffers 2.0 MB + rest 5.5 MB = RssAnon 9.0 MB\n"));
    assert_non_null(strstr(o.out, "80 MB = 83.5 MB"));
    outcome_free(&o);
}

static void test_ctl__get_finds_by_path_or_id_and_cuts_lines(void **state)
{
    expect(RAGCTL(NULL, "get", SOCKET(state), "7"), 0, "one\ntwo\nthree");
    expect(RAGCTL(NULL, "get", SOCKET(state), "a b.md"), 0, "one\ntwo\nthree");
    expect(RAGCTL(NULL, "get", SOCKET(state), "a b.md:2"), 0, "two\n");
    expect(RAGCTL(NULL, "get", SOCKET(state), "7:2-9"), 0, "two\nthree");
    expect_error(RAGCTL(NULL, "get", SOCKET(state), "7:4"), 4, "has no line 4");
    expect_error(RAGCTL(NULL, "get", SOCKET(state), "other.md"), 4, "no document 'other.md'");
    expect_error(RAGCTL(NULL, "get", SOCKET(state), "7:0"), 4, "no document '7:0'");
    expect_error(RAGCTL(NULL, "get", SOCKET(state), "7:1", "--start", "3"), 2, "exclude each other");
    expect(RAGCTL(NULL, "get", "--json", SOCKET(state), "7:1"), 0,
           "{\"document_id\":7,\"document\":\"a b.md\",\"line_start\":1,\"line_end\":1,\"text\":\"one\\n\"}\n");
}

static void test_ctl__output_that_cannot_be_written_is_a_failure(void **state)
{
    char command[512];
    char self[256];
    ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);
    assert_true(n > 0);
    self[n] = 0;
    *strrchr(self, '/') = 0;
    snprintf(command, sizeof command, "%s/../bin/ragctl ask --socket %s q >/dev/full", self, fake_daemon_socket(*state));
    expect_error(program_run(NULL, (const char *const[]){ "/bin/sh", "-c", command, NULL }), 1, "cannot write the output");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, start, stop)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_ctl__usage_errors_exit_2_and_say_what),
        TEST(test_ctl__commands_of_later_versions_say_so),
        TEST(test_ctl__help_and_version_come_for_every_command),
        TEST(test_ctl__the_manual_names_every_command_and_option),
        TEST(test_ctl__no_command_prints_the_usage_and_exits_2),
        TEST(test_ctl__options_become_keys_of_the_request),
        TEST(test_ctl__key_file_is_sent_as_bearer),
        TEST(test_ctl__completions_are_valid_and_know_the_commands),
        TEST(test_ctl__an_unreachable_daemon_is_exit_3_with_its_address),
        TEST(test_ctl__statuses_become_exit_codes_with_the_servers_sentence),
        TEST(test_ctl__ask_prints_question_answer_and_citations),
        TEST(test_ctl__a_refused_answer_is_printed_and_exits_4),
        TEST(test_ctl__text_of_the_server_cannot_steer_the_terminal_or_fake_a_citation),
        TEST(test_ctl__stream_ends_with_the_authoritative_answer),
        TEST(test_ctl__a_stream_that_breaks_off_is_a_failure),
        TEST(test_ctl__stream_with_json_is_an_object_an_event),
        TEST(test_ctl__search_prints_place_score_and_text),
        TEST(test_ctl__search_says_what_is_nowhere_in_the_askers_language),
        TEST(test_ctl__search_explains_in_a_table_of_100_columns),
        TEST(test_ctl__search_explains_the_reranker_too),
        TEST(test_ctl__filters_become_an_object),
        TEST(test_ctl__chat_keeps_the_conversation_until_new),
        TEST(test_ctl__chat_goes_on_after_a_failed_question_and_reports_it),
        TEST(test_ctl__admin_commands_ask_the_daemon_when_told_to),
        TEST(test_ctl__status_prints_the_memory_sum),
        TEST(test_ctl__get_finds_by_path_or_id_and_cuts_lines),
        TEST(test_ctl__output_that_cannot_be_written_is_a_failure),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
