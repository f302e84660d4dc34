/* tests/test_auth.c: bearer keys, and which addresses are loopback. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "daemon/auth.h"

static rag_code load(const char *text, auth_keys **out, rag_err *err)
{
    char path[] = "/tmp/ragd-keys-XXXXXX";
    int fd = mkstemp(path);
    assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
    close(fd);
    rag_code code = auth_load(out, path, err);
    unlink(path);
    return code;
}

static void test_auth__accepts_exactly_the_keys_of_the_file(void **state)
{
    static const struct {
        const char *header;
        bool accepted;
    } cases[] = {
        { "Bearer first-key", true },   { "bearer second", true },      { "BEARER   second  ", true },
        { "Bearer first-ke", false },   { "Bearer first-key2", false }, { "Bearer # comment", false },
        { "Bearer comment", false },    { "Basic first-key", false },   { "first-key", false },
        { "Bearer ", false },           { "Bearer", false },            { "", false },
        { "Bearerfirst-key", false },   { "Bearer FIRST-KEY", false },  { "Bearer first-key second", false },
    };
    auth_keys *keys;
    (void)state;
    assert_int_equal(load("# comment\nfirst-key\r\n\n  second  \n", &keys, NULL), RAG_OK);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        if (auth_accepts(keys, rag_str_of(cases[i].header)) != cases[i].accepted)
            fail_msg("'%s'", cases[i].header);
    auth_free(keys);
}

static void test_auth__refuses_files_without_a_usable_key(void **state)
{
    static const char *const texts[] = { "", "\n\n", "# only a comment\n", "two words\n", "good\nb\x01" "d\n" };
    auth_keys *keys;
    (void)state;
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        rag_err err = { 0 };
        assert_int_equal(load(texts[i], &keys, &err), RAG_CONFIG);
        assert_int_equal(err.code, RAG_CONFIG);
        assert_non_null(strstr(err.message, "key"));
    }
    assert_int_equal(auth_load(&keys, "/nonexistent/keys", NULL), RAG_CONFIG);
    auth_free(NULL);
}

static void test_auth__knows_loopback_addresses(void **state)
{
    static const struct {
        const char *listen;
        bool is_loopback;
    } cases[] = {
        { "127.0.0.1:8765", true }, { "127.9.9.9:1", true },    { "[::1]:0", true },      { "localhost:80", true },
        { "off", true },            { "0.0.0.0:80", false },    { "[::]:80", false },     { "192.168.0.1:80", false },
        { "[fe80::1]:80", false },  { "example.org:80", false }, { ":80", false },        { "128.0.0.1:80", false },
        { "[::ffff:10.0.0.1]:80", false },
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        if (auth_is_loopback(cases[i].listen) != cases[i].is_loopback)
            fail_msg("'%s'", cases[i].listen);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_auth__accepts_exactly_the_keys_of_the_file),
        cmocka_unit_test(test_auth__refuses_files_without_a_usable_key),
        cmocka_unit_test(test_auth__knows_loopback_addresses),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
