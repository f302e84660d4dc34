#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/digest.h"

static void assert_hex(const rag_sha256 *d, const char *want)
{
    char hex[65];
    rag_sha256_hex(d, hex);
    assert_string_equal(hex, want);
}

static void test_digest__known_sums(void **state)
{
    (void)state;
    rag_sha256 empty = rag_sha256_of((rag_str){ 0 }), abc = rag_sha256_of(RAG_STR("abc"));
    assert_hex(&empty, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    assert_hex(&abc, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

static void test_digest__file_equals_its_bytes(void **state)
{
    (void)state;
    char path[] = "/tmp/ragd-test-digest-XXXXXX";
    FILE *f = fdopen(mkstemp(path), "w");
    assert_non_null(f);
    size_t n = 300001;
    char *bytes = malloc(n);
    for (size_t i = 0; i < n; i++)
        bytes[i] = (char)(i * 31 % 251);
    assert_int_equal(fwrite(bytes, 1, n, f), n);
    fclose(f);
    rag_sha256 of_file, of_bytes = rag_sha256_of((rag_str){ bytes, n });
    assert_int_equal(rag_sha256_file(path, &of_file, NULL), RAG_OK);
    assert_memory_equal(of_file.bytes, of_bytes.bytes, 32);
    unlink(path);
    free(bytes);
    rag_err err;
    assert_int_equal(rag_sha256_file(path, &of_file, &err), RAG_NOT_FOUND);
    assert_int_equal(rag_sha256_file("/tmp", &of_file, &err), RAG_IO);
}

static void test_digest__hex_is_parsed_strictly(void **state)
{
    (void)state;
    rag_sha256 abc = rag_sha256_of(RAG_STR("abc")), back;
    char hex[66];
    rag_sha256_hex(&abc, hex);
    assert_true(rag_sha256_parse(hex, &back));
    assert_memory_equal(back.bytes, abc.bytes, 32);
    hex[5] = 'g';
    assert_false(rag_sha256_parse(hex, &back));
    assert_memory_equal(back.bytes, abc.bytes, 32);
    rag_sha256_hex(&abc, hex);
    strcat(hex, "0");
    assert_false(rag_sha256_parse(hex, &back));
    assert_false(rag_sha256_parse("", &back));
}

static void test_digest__xxh3_is_the_published_one(void **state)
{
    (void)state;
    assert_true(rag_xxh3((rag_str){ 0 }, 0) == 0x2D06800538D394C2u);
    assert_true(rag_xxh3(RAG_STR("a"), 0) != rag_xxh3(RAG_STR("a"), 1));
    assert_true(rag_xxh3(RAG_STR("a"), 0) != rag_xxh3(RAG_STR("b"), 0));
}

static void test_digest__constant_time_equality(void **state)
{
    (void)state;
    assert_true(rag_equal_constant_time(RAG_STR("secret"), RAG_STR("secret")));
    assert_false(rag_equal_constant_time(RAG_STR("secret"), RAG_STR("secreT")));
    assert_false(rag_equal_constant_time(RAG_STR("secret"), RAG_STR("secrets")));
    assert_true(rag_equal_constant_time((rag_str){ 0 }, RAG_STR("")));
}

static void test_digest__random_bytes_differ(void **state)
{
    (void)state;
    unsigned char a[1000] = { 0 }, b[1000] = { 0 };
    rag_random(a, sizeof a);
    rag_random(b, sizeof b);
    assert_memory_not_equal(a, b, sizeof a);
    unsigned char none[16] = { 0 };
    assert_memory_not_equal(a + sizeof a - 16, none, 16);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_digest__known_sums),
        cmocka_unit_test(test_digest__file_equals_its_bytes),
        cmocka_unit_test(test_digest__hex_is_parsed_strictly),
        cmocka_unit_test(test_digest__xxh3_is_the_published_one),
        cmocka_unit_test(test_digest__constant_time_equality),
        cmocka_unit_test(test_digest__random_bytes_differ),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
