/* tests/test_json.c: strict JSON in, valid JSON out. */
#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/file.h"
#include "base/utf8.h"
#include "daemon/fields.h"

static const char *const SUITE = "../shared/data/attack/JSONTestSuite/test_parsing";

/* The code that refuses text, or "" when it is accepted. */
static const char *verdict(rag_str text)
{
    cJSON *json;
    const char *code;
    rag_err err = { 0 };
    if (json_parse(text, &json, &code, &err) == RAG_OK) {
        assert_non_null(json);
        cJSON_Delete(json);
        return "";
    }
    assert_null(json);
    assert_true(strlen(err.message) > 0);
    return code;
}

static void test_json__refuses_what_is_not_json(void **state)
{
    static const struct {
        const char *text, *code;
    } cases[] = {
        { "", "invalid_json" },
        { " ", "invalid_json" },
        { "{", "invalid_json" },
        { "{}x", "invalid_json" },
        { "{} {}", "invalid_json" },
        { "\xEF\xBB\xBF{}", "invalid_json" },
        { "[01]", "invalid_json" },
        { "[1.]", "invalid_json" },
        { "[.5]", "invalid_json" },
        { "[+1]", "invalid_json" },
        { "[0x1]", "invalid_json" },
        { "[NaN]", "invalid_json" },
        { "[1e]", "invalid_json" },
        { "[1e400]", "number_out_of_range" },
        { "[-1e400]", "number_out_of_range" },
        { "[\"a\tb\"]", "invalid_json" },
        { "[\"\\x41\"]", "invalid_json" },
        { "[\"\\u12\"]", "invalid_json" },
        { "[\"\\u0000\"]", "null_character" },
        { "{\"a\\u0000b\":1}", "null_character" },
        { "[\"\\ud800\"]", "lone_surrogate" },
        { "[\"\\udc00\"]", "lone_surrogate" },
        { "[\"\\ud800\\ud800\"]", "lone_surrogate" },
        { "[\"\xC0\xAF\"]", "invalid_utf8" },
        { "[\"\xED\xA0\x80\"]", "invalid_utf8" },
        { "[\"\xFF\"]", "invalid_utf8" },
        { "{\"a\":1,\"a\":2}", "duplicate_key" },
        { "{\"a\":1,\"\\u0061\":2}", "duplicate_key" },
        { "{\"x\":[{\"a\":1,\"a\":1}]}", "duplicate_key" },
        { "{'a':1}", "invalid_json" },
        { "{\"a\":1,}", "invalid_json" },
        { "[1,]", "invalid_json" },
        { "{a:1}", "invalid_json" },
        { "/**/{}", "invalid_json" },
        { "truex", "invalid_json" },
        { "tru", "invalid_json" },
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        assert_string_equal(verdict(rag_str_of(cases[i].text)), cases[i].code);
    assert_string_equal(verdict((rag_str){ "[1]\0", 4 }), "invalid_json");
    assert_string_equal(verdict((rag_str){ "[\"a\0b\"]", 7 }), "invalid_json");
}

static void test_json__accepts_what_is_json(void **state)
{
    static const char *const cases[] = {
        "{}", " [] \r\n\t", "null", "-0", "1E+2", "[1e-400]", "\"\"", "{\"a\":1,\"A\":2}", "[\"\\ud83d\\ude00\"]",
        "{\"\":{\"\":{}}}", "[0.0000000000000000000000000000000000000000000000000000000000000000000000000000001]",
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        assert_string_equal(verdict(rag_str_of(cases[i])), "");
}

static void test_json__keeps_strings_and_long_numbers(void **state)
{
    cJSON *json;
    const char *code;
    (void)state;
    rag_str text = RAG_STR("[\"a\\\"\\u00e9\\ud83d\\ude00\\n\","
                           "1234567890.00000000000000000000000000000000000000000000000000000000000000000005, 7]");
    assert_int_equal(json_parse(text, &json, &code, NULL), RAG_OK);
    assert_string_equal(cJSON_GetArrayItem(json, 0)->valuestring, "a\"\xC3\xA9\xF0\x9F\x98\x80\n");
    assert_true(cJSON_GetArrayItem(json, 1)->valuedouble == 1234567890.0);
    assert_true(cJSON_GetArrayItem(json, 2)->valuedouble == 7);
    cJSON_Delete(json);
}

static char *repeated(const char *unit, size_t n)
{
    rag_buf b;
    rag_buf_init(&b, RAG_MAX_TEXT);
    for (size_t i = 0; i < n; i++)
        rag_buf_puts(&b, unit);
    return rag_buf_detach(&b);
}

/* head, n times unit, tail. */
static const char *verdict_of_many(const char *head, const char *unit, size_t n, const char *tail)
{
    char *middle = repeated(unit, n);
    rag_buf b;
    rag_buf_init(&b, RAG_MAX_TEXT);
    rag_buf_putf(&b, "%s%s%s", head, middle, tail);
    const char *code = verdict(rag_buf_str(&b));
    rag_buf_free(&b);
    free(middle);
    return code;
}

static void test_json__bounds_depth_and_size(void **state)
{
    (void)state;
    assert_string_equal(verdict_of_many("", "[", 1000000, ""), "too_deep");
    assert_string_equal(verdict_of_many("[[1],", "[", JSON_MAX_DEPTH, ""), "too_deep");
    assert_string_equal(verdict_of_many("", "{\"a\":", JSON_MAX_DEPTH, "1"), "invalid_json"); /* not too deep */
    assert_string_equal(verdict_of_many("[", "[],", JSON_MAX_VALUES - 2, "0]"), "");
    assert_string_equal(verdict_of_many("[", "[],", JSON_MAX_VALUES - 1, "0]"), "too_many_values");
    rag_buf keys;
    rag_buf_init(&keys, RAG_MAX_TEXT);
    for (int i = 0; i < JSON_MAX_KEYS; i++)
        rag_buf_putf(&keys, "\"k%d\":1,", i);
    assert_string_equal(verdict_of_many("{\"a\":1}", "", 0, ""), "");
    assert_string_equal(verdict_of_many("{", keys.ptr, 1, "\"last\":1}"), "too_many_values");
    assert_string_equal(verdict_of_many("{", keys.ptr + 7, 1, "\"last\":1}"), "");
    rag_buf_free(&keys);
}

/* Well-formed, and refused on purpose: interface.md forbids duplicate keys and \u0000. */
static const char *wanted(const char *name)
{
    if (strstr(name, "duplicated_key"))
        return "duplicate_key";
    if (strstr(name, "escaped_null_in_key") || strcmp(name, "y_string_null_escape.json") == 0)
        return "null_character";
    return "";
}

static void check_file(const char *name, int *n_refused, int *n_accepted)
{
    rag_buf text;
    char *path = rag_path_join(SUITE, name);
    rag_buf_init(&text, RAG_MAX_TEXT);
    assert_int_equal(rag_file_read(path, &text, NULL), RAG_OK);
    const char *code = verdict(rag_buf_str(&text));
    if (name[0] == 'n' && !*code)
        fail_msg("%s was accepted", name);
    if (name[0] == 'y' && strcmp(code, wanted(name)) != 0)
        fail_msg("%s: '%s'", name, code);
    *n_refused += name[0] == 'n';
    *n_accepted += name[0] == 'y';
    rag_buf_free(&text);
    free(path);
}

static void test_json__agrees_with_JSONTestSuite(void **state)
{
    int n_refused = 0, n_accepted = 0;
    DIR *dir = opendir(SUITE);
    (void)state;
    if (!dir)
        skip();
    for (struct dirent *e; (e = readdir(dir));)
        if (strstr(e->d_name, ".json"))
            check_file(e->d_name, &n_refused, &n_accepted);
    closedir(dir);
    assert_int_equal(n_refused, 188);
    assert_int_equal(n_accepted, 95);
}

static void test_json__writes_valid_single_line_json(void **state)
{
    rag_buf b;
    json_writer w;
    cJSON *json;
    const char *code;
    (void)state;
    rag_buf_init(&b, 4096);
    json_begin(&w, &b);
    json_open(&w, NULL, '{');
    json_str(&w, "bad", (rag_str){ "a\xFF\n\r\0\"\\\xE2\x80\xA8", 10 });
    json_open(&w, "list", '[');
    json_int(&w, NULL, -9007199254740993);
    json_num(&w, NULL, 0.5000, 3);
    json_num(&w, NULL, -0.00001, 2);
    json_num(&w, NULL, 1.0 / 0.0, 2);
    json_close(&w, ']');
    json_cstr(&w, "none", NULL);
    json_bool(&w, "yes", true);
    json_close(&w, '}');
    assert_string_equal(b.ptr, "{\"bad\":\"a\xEF\xBF\xBD\\n\\u000d\\u0000\\\"\\\\\\u2028\",\"list\":[-9007199254740993,"
                               "0.5,0,0],\"none\":null,\"yes\":true}");
    assert_null(strchr(b.ptr, '\n'));
    assert_true(rag_utf8_valid(rag_buf_str(&b), NULL));
    assert_int_equal(json_parse(rag_buf_str(&b), &json, &code, NULL), RAG_INVALID);
    assert_string_equal(code, "null_character"); /* our own input rules are stricter than the writer */
    rag_buf_free(&b);
}

static const char *const KEYS[] = { "s", "n", "b", "c", NULL };
static const char *const CHOICES[] = { "one", "two", NULL };

/* Reads all fields of a text; returns the problem's code. */
static const char *read_fields(const char *text, problem *bad)
{
    cJSON *json;
    const char *code;
    fields f;
    rag_str s = { 0 };
    int64_t n = 3;
    bool b = false;
    int choice = 0;
    *bad = (problem){ 0 };
    assert_int_equal(json_parse(rag_str_of(text), &json, &code, NULL), RAG_OK);
    (void)(fields_open(&f, json, "", KEYS, bad) && fields_require(&f, "s") && fields_str(&f, "s", 8, "too_long", &s) &&
           fields_int(&f, "n", 1, 100, &n) && fields_bool(&f, "b", &b) && fields_choice(&f, "c", CHOICES, &choice));
    cJSON_Delete(json);
    return bad->status ? bad->code : "";
}

static void test_json__fields_name_what_is_wrong(void **state)
{
    static const struct {
        const char *text, *code, *param;
        int status;
    } cases[] = {
        { "{\"s\":\"x\",\"n\":100,\"b\":true,\"c\":\"two\"}", "", "", 0 },
        { "[]", "invalid_type", "", 400 },
        { "{}", "missing_field", "s", 400 },
        { "{\"s\":1}", "invalid_type", "s", 400 },
        { "{\"s\":null}", "invalid_type", "s", 400 },
        { "{\"s\":\"123456789\"}", "too_long", "s", 413 },
        { "{\"s\":\"x\",\"S\":1}", "unknown_key", "S", 400 },
        { "{\"s\":\"x\",\"n\":0}", "out_of_range", "n", 400 },
        { "{\"s\":\"x\",\"n\":101}", "out_of_range", "n", 400 },
        { "{\"s\":\"x\",\"n\":1.5}", "invalid_type", "n", 400 },
        { "{\"s\":\"x\",\"n\":\"1\"}", "invalid_type", "n", 400 },
        { "{\"s\":\"x\",\"n\":1e300}", "out_of_range", "n", 400 },
        { "{\"s\":\"x\",\"b\":1}", "invalid_type", "b", 400 },
        { "{\"s\":\"x\",\"c\":\"three\"}", "unsupported_value", "c", 400 },
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        problem bad;
        assert_string_equal(read_fields(cases[i].text, &bad), cases[i].code);
        assert_string_equal(bad.param, cases[i].param);
        assert_int_equal(bad.status, cases[i].status);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_json__refuses_what_is_not_json),
        cmocka_unit_test(test_json__accepts_what_is_json),
        cmocka_unit_test(test_json__keeps_strings_and_long_numbers),
        cmocka_unit_test(test_json__bounds_depth_and_size),
        cmocka_unit_test(test_json__agrees_with_JSONTestSuite),
        cmocka_unit_test(test_json__writes_valid_single_line_json),
        cmocka_unit_test(test_json__fields_name_what_is_wrong),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
