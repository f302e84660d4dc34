/* Question sets: what is read, what is refused, where evidence is found; and what one reply is worth. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "ctl/eval_run.h"
#include "ctl/json.h"

typedef struct folder {
    char path[64];
} folder;

static void put(const folder *f, const char *name, const char *text)
{
    char *path = rag_path_join(f->path, name);
    assert_int_equal(rag_file_write_atomic(path, rag_str_of(text), NULL), RAG_OK);
    free(path);
}

static int make(void **state)
{
    folder *f = rag_calloc(1, sizeof *f);
    snprintf(f->path, sizeof f->path, "/tmp/test_eval.XXXXXX");
    if (!mkdtemp(f->path))
        return 1;
    char *docs = rag_path_join(f->path, "docs");
    rag_dir_make(docs, NULL);
    free(docs);
    put(f, "docs/a.md", "# Title\n\nIt **takes**\nthirty [days](http://x/y(z) \"t\") \xe2\x80\x94 no more.\nAnd a second line.\n");
    put(f, "docs/b.md", "Another document.\n");
    *state = f;
    return 0;
}

static int drop(void **state)
{
    folder *f = *state;
    char *docs = rag_path_join(f->path, "docs");
    rag_dir_remove(docs, NULL);
    rag_dir_remove(f->path, NULL);
    free(docs);
    free(f);
    return 0;
}

static rag_code read_set(const folder *f, eval_set *out, rag_err *err)
{
    *err = (rag_err){ 0 };
    return eval_set_read(out, &(eval_set_options){ .path = f->path }, err);
}

static void refuse(const folder *f, const char *questions, const char *part)
{
    eval_set s;
    rag_err err;
    put(f, "questions.jsonl", questions);
    rag_code code = read_set(f, &s, &err);
    if (code != RAG_INVALID || !strstr(err.message, part))
        print_error("%d %s\n", code, err.message);
    assert_int_equal(code, RAG_INVALID);
    assert_non_null(strstr(err.message, part));
    eval_set_free(&s);
}

static void test_eval_set__bad_lines_are_named_by_file_and_line(void **state)
{
    folder *f = *state;
    refuse(f, "{\"id\":\"a\",\"question\":\"q\"}\n{\"id\":", "questions.jsonl':2: not a JSON value");
    refuse(f, "\n\n[1]\n", "':3: the line is no JSON object");
    refuse(f, "{\"id\":\"a\"}\n", "':1: a question needs a text as its 'question'");
    refuse(f, "{\"question\":\"a\"}\n", "':1: a question needs a text as its 'id'");
    refuse(f, "{\"id\":\"a\",\"question\":\"q\"}\n\n{\"id\":\"a\",\"question\":\"p\"}\n", "':3: the id stands on line 1 already: 'a'");
    refuse(f, "{\"id\":\"a\",\"question\":\"q\",\"answers\":[1]}\n", "'answers' is no list of texts");
    refuse(f, "{\"id\":\"a\",\"question\":\"q\",\"gold_docs\":{}}\n", "'gold_docs' is no list of texts");
    refuse(f, "{\"id\":\"a\",\"question\":\"q\",\"match\":\"fuzzy\"}\n", "'match' is none of");
    refuse(f, "{\"id\":\"a\",\"question\":\"q\",\"gold_spans\":[{\"doc\":\"a\",\"para\":[5,2]}]}\n", "'gold_spans' needs objects");
    refuse(f, "{\"id\":\"a\",\"question\":\"q\",\"gold_spans\":[{\"doc\":\"a\",\"para\":[-1,2]}]}\n", "'gold_spans' needs objects");
    refuse(f, "{\"id\":\"a\",\"question\":\"\xff\"}\n", "':1: byte");
    refuse(f, "\n \n", "holds no question");
    refuse(f, "", "holds no question");
}

static void test_eval_set__a_missing_file_is_not_found(void **state)
{
    folder *f = *state;
    eval_set s;
    rag_err err;
    assert_int_equal(eval_set_read(&s, &(eval_set_options){ .path = "/nonexistent/set" }, &err), RAG_NOT_FOUND);
    assert_non_null(strstr(err.message, "/nonexistent/set"));
    eval_set_free(&s);
    put(f, "questions.jsonl", "{\"id\":\"a\",\"question\":\"q\"}\n");
    assert_int_equal(eval_set_read(&s, &(eval_set_options){ .path = f->path, .small = true }, &err), RAG_NOT_FOUND);
    assert_non_null(strstr(err.message, "questions.small.jsonl"));
    eval_set_free(&s);
}

static void test_eval_set__members_become_a_question(void **state)
{
    folder *f = *state;
    eval_set s;
    rag_err err;
    put(f, "questions.jsonl",
        "{\"id\":\"a\",\"question\":\"q\",\"answers\":[\"x\",\"y\"],\"gold_docs\":[\"a.md\",\"b.md\",\"a.md\"],\"lang\":\"zh-Hant\",\"near_doc\":\"b.md\","
        "\"gold_spans\":[{\"doc\":\"a.md\",\"para\":[1,9],\"ans\":[2,3]},{\"doc\":\"a.md\",\"para\":[1,9],\"ans\":[4,5]}]}\n"
        "{\"id\":\"b\",\"question\":\"r\",\"answers\":[[\"x\",\"y\"],\"z\"],\"match\":\"all_groups\",\"answerable\":false}\r\n"
        "{\"id\":\"c\",\"question\":\"s\",\"match\":\"judge\",\"history\":[{\"role\":\"user\",\"text\":\"t\"}]}");
    assert_int_equal(read_set(f, &s, &err), RAG_OK);
    assert_int_equal(s.n, 3);
    assert_int_equal(s.questions[0].n_spans, 1);
    assert_int_equal(s.questions[0].gold_docs.n, 2);
    assert_int_equal(s.questions[0].n_groups, 1);
    assert_int_equal(s.questions[0].groups[0].n, 2);
    assert_true(s.questions[0].is_chinese && s.questions[0].is_answerable);
    assert_int_equal(s.questions[1].n_groups, 2);
    assert_false(s.questions[1].is_answerable);
    assert_int_equal(s.questions[2].match, EVAL_MATCH_NONE);
    assert_memory_equal(s.name, "test_eval.", 10);
    eval_set_free(&s);
    char *file = rag_path_join(f->path, "questions.jsonl");
    assert_int_equal(eval_set_read(&s, &(eval_set_options){ .path = file, .limit = 2 }, &err), RAG_OK);
    assert_int_equal(s.n, 2);
    eval_set_free(&s);
    free(file);
}

static void test_eval_set__evidence_is_found_through_markup_and_line_breaks(void **state)
{
    folder *f = *state;
    eval_set s;
    rag_err err;
    rag_str text;
    put(f, "questions.jsonl",
        "{\"id\":\"a\",\"question\":\"q\",\"gold_docs\":[\"b.md\",\"a.md\"],"
        "\"evidence\":[\"It takes thirty days - no more.\",\"nowhere at all\",\"...\"]}\n");
    assert_int_equal(read_set(f, &s, &err), RAG_OK);
    assert_int_equal(s.evidence, 3);
    assert_int_equal(s.evidence_missing, 2);
    assert_int_equal(s.questions[0].n_spans, 1);
    const eval_span *span = &s.questions[0].spans[0];
    assert_string_equal(span->doc, "a.md");
    assert_true(eval_docs_text(s.docs, "a.md", &text));
    rag_str found = rag_str_sub(text, span->span.start, span->span.end);
    assert_true(rag_str_starts(found, RAG_STR("It **takes**")));
    assert_true(rag_str_ends(found, RAG_STR("no more")));
    eval_set_free(&s);
}

static void test_eval_set__names_do_not_lead_out_of_the_folder(void **state)
{
    folder *f = *state;
    rag_str text;
    char *docs = rag_path_join(f->path, "docs");
    eval_docs *d = eval_docs_open(docs);
    assert_true(eval_docs_text(d, "a.md", &text));
    assert_true(eval_docs_text(d, "./a.md", &text));
    assert_false(eval_docs_text(d, "../docs/a.md", &text));
    assert_false(eval_docs_text(d, "x/../a.md", &text));
    assert_false(eval_docs_text(d, "/etc/passwd", &text));
    assert_false(eval_docs_text(d, "", &text));
    assert_true(eval_docs_is_plain("a/b.MD"));
    assert_false(eval_docs_is_plain("a.md/page.html"));
    for (int i = 0; i < 2000; i++) {
        char name[32];
        snprintf(name, sizeof name, "none-%d.md", i);
        assert_false(eval_docs_text(d, name, &text));
    }
    assert_true(eval_docs_text(d, "b.md", &text));
    eval_docs_close(d);
    free(docs);
}

/* ---- scoring ------------------------------------------------------------------------ */

static void open_run(const folder *f, const char *questions, eval_set *s, eval_run *r)
{
    rag_err err;
    put(f, "questions.jsonl", questions);
    assert_int_equal(read_set(f, s, &err), RAG_OK);
    eval_run_init(r, s, &(eval_options){ .top_k = 10 }, NULL);
}

static void close_run(eval_set *s, eval_run *r)
{
    eval_run_free(r);
    eval_set_free(s);
}

static void score(eval_run *r, size_t question, void (*how)(eval_run *, size_t, const cJSON *), const char *reply)
{
    cJSON *json = json_parse(rag_str_of(reply), NULL);
    assert_non_null(json);
    how(r, question, json);
    cJSON_Delete(json);
}

static void is(const eval_run *r, eval_metric m, size_t question, double sum, double weight)
{
    if (r->data.sums[m][question] != sum || r->data.weights[m][question] != weight)
        print_error("%s: %g of %g\n", eval_metrics[m].key, r->data.sums[m][question], r->data.weights[m][question]);
    assert_true(r->data.sums[m][question] == sum && r->data.weights[m][question] == weight);
}

static void test_eval_score__a_document_counts_once_at_its_first_hit(void **state)
{
    eval_set s;
    eval_run r;
    open_run(*state, "{\"id\":\"a\",\"question\":\"q\",\"answers\":[\"thirty days\"],\"gold_docs\":[\"a.md\",\"c.md\"],"
                     "\"gold_spans\":[{\"doc\":\"a.md\",\"para\":[100,200]}]}\n", &s, &r);
    score(&r, 0, eval_score_search,
          "{\"results\":[{\"document\":\"b.md\",\"start\":0,\"end\":9,\"text\":\"x\"},{\"document\":\"b.md\",\"start\":9,\"end\":20,\"text\":\"y\"},"
          "{\"document\":\"a.md\",\"start\":0,\"end\":120,\"text\":\"Thirty, days!\"},{\"document\":\"a.md\",\"start\":120,\"end\":260,\"text\":\"z\"}],"
          "\"timings_ms\":{\"embed\":3,\"total\":5}}");
    is(&r, EVAL_DOC + EVAL_MRR, 0, 0.5, 1);
    is(&r, EVAL_DOC + EVAL_RECALL + 3, 0, 0.5, 1);
    is(&r, EVAL_SPAN + EVAL_MRR, 0, 0.25, 1); /* 20 of 100 bytes are too few */
    is(&r, EVAL_ANSWER_IN_1, 0, 0, 1);
    is(&r, EVAL_ANSWER_IN_5, 0, 1, 1);
    is(&r, EVAL_SEARCH_MS, 0, 5, 1);
    assert_int_equal(r.n_stages, 2);
    close_run(&s, &r);
}

static void test_eval_score__an_answer_is_held_against_gold_and_files(void **state)
{
    eval_set s;
    eval_run r;
    open_run(*state, "{\"id\":\"a\",\"question\":\"q\",\"answers\":[\"thirty days\",\"Title\"],\"gold_docs\":[\"a.md\"],"
                     "\"gold_spans\":[{\"doc\":\"a.md\",\"para\":[0,8]},{\"doc\":\"a.md\",\"para\":[9,30]}]}\n", &s, &r);
    score(&r, 0, eval_score_ask,
          "{\"outcome\":\"answered\",\"answer\":\"The title. [1]\",\"confidence\":0.75,\"citations\":["
          "{\"document\":\"a.md\",\"start\":2,\"end\":7,\"quote\":\"Title\"},{\"document\":\"b.md\",\"start\":0,\"end\":7,\"quote\":\"Bnother\"},"
          "{\"document\":\"a.md\",\"start\":2,\"end\":4000,\"quote\":\"Title\"}],\"timings_ms\":{\"total\":7}}");
    is(&r, EVAL_EXACT_MATCH, 0, 1, 1);
    is(&r, EVAL_F1, 0, 1, 1);
    is(&r, EVAL_INCLUSION, 0, 1, 1);
    is(&r, EVAL_ANSWER_WORDS, 0, 2, 1);
    is(&r, EVAL_ANSWER_CHARS, 0, 0, 0);
    is(&r, EVAL_CITATION_PRECISION, 0, 2, 3);
    is(&r, EVAL_CITATION_RECALL, 0, 2, 2);
    is(&r, EVAL_CITED_DOCUMENTS, 0, 2, 3);
    is(&r, EVAL_EXACT_QUOTES, 0, 1, 3);
    is(&r, EVAL_WRONGLY_REFUSED, 0, 0, 1);
    is(&r, EVAL_REFUSAL_PRECISION, 0, 0, 0);
    is(&r, EVAL_RIGHT, 0, 1, 1);
    is(&r, EVAL_BRIER, 0, 0.0625, 1);
    close_run(&s, &r);
}

static void test_eval_score__a_refusal_scores_nothing_and_has_no_confidence(void **state)
{
    static const char refusal[] = "{\"outcome\":\"refused\",\"answer\":\"Sorry, title unknown.\",\"confidence\":0.1,\"citations\":["
                                  "{\"document\":\"a.md\",\"start\":2,\"end\":7,\"quote\":\"Title\"}]}";
    eval_set s;
    eval_run r;
    open_run(*state, "{\"id\":\"a\",\"question\":\"q\",\"answers\":[\"Title\"],\"gold_docs\":[\"a.md\"],\"gold_spans\":[{\"doc\":\"a.md\",\"para\":[0,8]}]}\n"
                     "{\"id\":\"b\",\"question\":\"r\",\"answerable\":false}\n", &s, &r);
    score(&r, 0, eval_score_ask, refusal);
    score(&r, 1, eval_score_ask, refusal);
    is(&r, EVAL_INCLUSION, 0, 0, 1);
    is(&r, EVAL_F1, 0, 0, 1);
    is(&r, EVAL_CITATION_RECALL, 0, 0, 1);
    is(&r, EVAL_ANSWER_WORDS, 0, 0, 0);
    is(&r, EVAL_CITATION_PRECISION, 0, 0, 0);
    is(&r, EVAL_EXACT_QUOTES, 0, 1, 1);
    is(&r, EVAL_WRONGLY_REFUSED, 0, 1, 1);
    is(&r, EVAL_REFUSAL_PRECISION, 0, 0, 1);
    is(&r, EVAL_RIGHT, 0, 0, 0);
    is(&r, EVAL_REFUSAL_PRECISION, 1, 1, 1);
    is(&r, EVAL_REFUSAL_RECALL, 1, 1, 1);
    is(&r, EVAL_INCLUSION, 1, 0, 0);
    close_run(&s, &r);
}

static void test_eval_score__what_cannot_be_compared_is_left_out(void **state)
{
    eval_set s;
    eval_run r;
    open_run(*state, "{\"id\":\"a\",\"question\":\"q\",\"answers\":[\"Title\"],\"gold_docs\":[\"a.md\"],\"match\":\"judge\"}\n"
                     "{\"id\":\"b\",\"question\":\"r\",\"answerable\":false}\n"
                     "{\"id\":\"c\",\"question\":\"r\",\"answers\":[[\"one\",\"uno\"],[\"two\"]],\"match\":\"all_groups\"}\n", &s, &r);
    score(&r, 0, eval_score_search, "{\"results\":[{\"document\":\"a.md\",\"text\":\"Title\"}]}");
    score(&r, 0, eval_score_ask, "{\"outcome\":\"answered\",\"answer\":\"x\",\"confidence\":1,\"citations\":[{\"document\":\"a.md\",\"start\":2,\"end\":7,\"quote\":\"Title\"}]}");
    score(&r, 1, eval_score_search, "{\"results\":[]}");
    score(&r, 1, eval_score_ask, "{\"outcome\":\"answered\",\"answer\":\"x\",\"confidence\":1,\"citations\":[]}");
    score(&r, 2, eval_score_ask, "{\"outcome\":\"answered\",\"answer\":\"Two and uno\",\"confidence\":1,\"citations\":[]}");
    is(&r, EVAL_DOC + EVAL_HIT, 0, 1, 1);
    is(&r, EVAL_SPAN + EVAL_HIT, 0, 0, 0);
    is(&r, EVAL_ANSWER_IN_1, 0, 0, 0);
    is(&r, EVAL_EXACT_MATCH, 0, 0, 0);
    is(&r, EVAL_CITATION_PRECISION, 0, 0, 0);
    is(&r, EVAL_RIGHT, 0, 1, 1); /* by the document that it cites */
    is(&r, EVAL_DOC + EVAL_HIT, 1, 0, 0);
    is(&r, EVAL_REFUSAL_RECALL, 1, 0, 1);
    is(&r, EVAL_RIGHT, 1, 0, 1);
    is(&r, EVAL_INCLUSION, 2, 1, 1);
    is(&r, EVAL_F1, 2, 0, 0);
    close_run(&s, &r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_eval_set__bad_lines_are_named_by_file_and_line, make, drop),
        cmocka_unit_test_setup_teardown(test_eval_set__a_missing_file_is_not_found, make, drop),
        cmocka_unit_test_setup_teardown(test_eval_set__members_become_a_question, make, drop),
        cmocka_unit_test_setup_teardown(test_eval_set__evidence_is_found_through_markup_and_line_breaks, make, drop),
        cmocka_unit_test_setup_teardown(test_eval_set__names_do_not_lead_out_of_the_folder, make, drop),
        cmocka_unit_test_setup_teardown(test_eval_score__a_document_counts_once_at_its_first_hit, make, drop),
        cmocka_unit_test_setup_teardown(test_eval_score__an_answer_is_held_against_gold_and_files, make, drop),
        cmocka_unit_test_setup_teardown(test_eval_score__a_refusal_scores_nothing_and_has_no_confidence, make, drop),
        cmocka_unit_test_setup_teardown(test_eval_score__what_cannot_be_compared_is_left_out, make, drop),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
