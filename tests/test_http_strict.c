/* Raw requests: what is refused, what is accepted, and that it does not depend on how the bytes arrive. */

#include "tests/http_fixture.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/arena.h"
#include "daemon/http_head.h"

typedef struct row {
    const char *name;
    rag_str bytes;
    int status;
    const char *code; /* of the error, NULL: any */
} row;

#define ROW(name, bytes, status, code) { name, { bytes, sizeof bytes - 1 }, status, code }
#define OK(name, bytes) ROW(name, bytes, 200, NULL)
#define BAD(name, bytes) ROW(name, bytes, 400, NULL)
#define GET "GET / HTTP/1.1\r\n"
#define POST "POST / HTTP/1.1\r\nHost: a\r\n"
#define CHUNKED POST "Transfer-Encoding: chunked\r\n\r\n"
#define HOST "Host: a\r\n"
#define END "\r\n"

/* The cases of the h1spec suite that end in a reply, written afresh (the others are its
 * fragments: see test_http_strict__every_split_reads_the_same). */
static const row basics[] = {
    BAD("no version", "GET / \r\n" HOST END),
    BAD("no version, no space", "GET /\r\n" HOST END),
    OK("expect without a body", GET HOST "Expect: 100-continue\r\n" END),
    OK("get", GET HOST END),
    OK("odd case, tab, empty value", GET "hoSt:\texample.com\r\nempty:\r\n" END),
    BAD("space in a name", GET HOST "X-Bad Name: 1\r\n" END),
    BAD("control character in a name", GET HOST "X\x01: 1\r\n" END),
    BAD("bracket in a name", GET HOST "X[]: 1\r\n" END),
    BAD("high byte in a name", GET HOST "X\xe9: 1\r\n" END),
    ROW("no host", GET END, 400, "missing_host"),
    ROW("two hosts", GET HOST HOST END, 400, "duplicate_header"),
    ROW("two different hosts", GET HOST "host: b\r\n" END, 400, "duplicate_header"),
    ROW("overflowing negative length", POST "Content-Length: -1844674407370955161600\r\n" END, 400, "invalid_content_length"),
    ROW("negative length", POST "Content-Length: -1\r\n" END, 400, "invalid_content_length"),
    ROW("length of letters", POST "Content-Length: abc\r\n" END, 400, "invalid_content_length"),
    OK("empty value", GET HOST "X:\r\n" END),
    BAD("control character in a value", GET HOST "X: a\x07" "b\r\n" END),
    BAD("delete in a value", GET HOST "X: a\x7f" "b\r\n" END),
    ROW("version 9.9", "GET / HTTP/9.9\r\n" HOST END, 400, "unknown_version"),
    ROW("version 1.2", "GET / HTTP/1.2\r\n" HOST END, 400, "unknown_version"),
    ROW("version 2.0", "GET / HTTP/2.0\r\n" HOST END, 400, "unknown_version"),
    ROW("version 0.9", "GET / HTTP/0.9\r\n" HOST END, 400, "unknown_version"),
    ROW("version 1.10", "GET / HTTP/1.10\r\n" HOST END, 400, "unknown_version"),
    ROW("version 1", "GET / HTTP/1\r\n" HOST END, 400, "unknown_version"),
    ROW("version in small letters", "GET / http/1.1\r\n" HOST END, 400, "unknown_version"),
    BAD("line before the request", "Extra lineGET / HTTP/1.1\r\n" HOST END),
    BAD("line end of LF CR", "GET / HTTP/1.1\n\rHost: a\n\r\n\r"),
    BAD("line end of LF", "GET / HTTP/1.1\nHost: a\n\n"),
    BAD("line end of CR", "GET / HTTP/1.1\rHost: a\r\r"),
    OK("post", POST "Content-Length: 5\r\n" END "hello"),
    OK("chunks", CHUNKED "5\r\nhello\r\n6\r\n world\r\n0\r\n" END),
    ROW("length and chunks", POST "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n" END "0\r\n" END, 400,
        "ambiguous_length"),
};

static const row request_lines[] = {
    BAD("two spaces before the target", "GET  / HTTP/1.1\r\n" HOST END),
    BAD("two spaces before the version", "GET /  HTTP/1.1\r\n" HOST END),
    BAD("space behind the version", "GET / HTTP/1.1 \r\n" HOST END),
    BAD("space before the method", " GET / HTTP/1.1\r\n" HOST END),
    BAD("tabs between the words", "GET\t/\tHTTP/1.1\r\n" HOST END),
    BAD("space in the target", "GET /a b HTTP/1.1\r\n" HOST END),
    BAD("small letters in the method", "get / HTTP/1.1\r\n" HOST END),
    BAD("sign in the method", "GE{T / HTTP/1.1\r\n" HOST END),
    BAD("no method", " / HTTP/1.1\r\n" HOST END),
    ROW("unknown method", "BREW / HTTP/1.1\r\n" HOST END, 501, "method_not_implemented"),
    ROW("connect", "CONNECT a:80 HTTP/1.1\r\n" HOST END, 501, "method_not_implemented"),
    ROW("trace", "TRACE / HTTP/1.1\r\n" HOST END, 501, "method_not_implemented"),
    BAD("HTTP/2 preface", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
    BAD("TLS hello", "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"),
    BAD("NUL in the line", "GET /\0 HTTP/1.1\r\n" HOST END),
    BAD("CR in the target", "GET /\r/ HTTP/1.1\r\n" HOST END),
    BAD("target that is no path", "GET echo HTTP/1.1\r\n" HOST END),
    BAD("asterisk of GET", "GET * HTTP/1.1\r\n" HOST END),
    BAD("fragment", "GET /a#b HTTP/1.1\r\n" HOST END),
    BAD("tab in the target", "GET /a\tb HTTP/1.1\r\n" HOST END),
    BAD("other scheme", "GET ftp://a/ HTTP/1.1\r\n" HOST END),
    BAD("absolute form without a host", "GET http:///x HTTP/1.1\r\n" HOST END),
    BAD("absolute form with a user", "GET http://u@a/ HTTP/1.1\r\n" HOST END),
    BAD("absolute form with a bad port", "GET http://a:99999/ HTTP/1.1\r\n" HOST END),
    BAD("absolute form without Host", "GET http://a/ HTTP/1.1\r\n" END),
    ROW("percent at the end", "GET /a% HTTP/1.1\r\n" HOST END, 400, "invalid_target"),
    ROW("percent and one digit", "GET /a%4 HTTP/1.1\r\n" HOST END, 400, "invalid_target"),
    ROW("percent and letters", "GET /a%zz HTTP/1.1\r\n" HOST END, 400, "invalid_target"),
    ROW("percent and a sign", "GET /a%+1 HTTP/1.1\r\n" HOST END, 400, "invalid_target"),
    ROW("encoded NUL", "GET /a%00 HTTP/1.1\r\n" HOST END, 400, "invalid_target"),
    ROW("encoded NUL in the query", "GET /?a=%00 HTTP/1.1\r\n" HOST END, 400, "invalid_target"),
    ROW("encoded high byte", "GET /%ff HTTP/1.1\r\n" HOST END, 400, "invalid_target"),
    ROW("encoded overlong slash", "GET /%c0%af HTTP/1.1\r\n" HOST END, 400, "invalid_target"),
    ROW("encoded surrogate", "GET /?a=%ed%a0%80 HTTP/1.1\r\n" HOST END, 400, "invalid_target"),
    ROW("raw high byte", "GET /\xff HTTP/1.1\r\n" HOST END, 400, "invalid_target"),
    ROW("parameter twice", "GET /?a=1&b=2&a=1 HTTP/1.1\r\n" HOST END, 400, "duplicate_parameter"),
    ROW("parameter twice, once encoded", "GET /?a=1&%61=2 HTTP/1.1\r\n" HOST END, 400, "duplicate_parameter"),
    ROW("parameter without a name", "GET /?=1 HTTP/1.1\r\n" HOST END, 400, "invalid_target"),
    ROW("too many parameters",
        "GET /?a&b&c&d&e&f&g&h&i&j&k&l&m&n&o&p&q&r&s&t&u&v&w&x&y&z&A&B&C&D&E&F&G HTTP/1.1\r\n" HOST END, 400,
        "invalid_target"),
};

static const row fields[] = {
    BAD("space before a colon", GET "Host : a\r\n" END),
    BAD("tab before a colon", GET HOST "X\t: a\r\n" END),
    BAD("space before the first name", GET " Host: a\r\n" END),
    BAD("folded line", GET HOST "X: a\r\n b\r\n" END),
    BAD("folded line of a tab", GET HOST "X: a\r\n\tb\r\n" END),
    BAD("folded length", POST "Content-Length: 5\r\n 0\r\n" END "hello"),
    BAD("blank line with a space", GET HOST " \r\n" END),
    BAD("no colon", GET HOST "nonsense\r\n" END),
    BAD("no name", GET HOST ": a\r\n" END),
    BAD("NUL in a value", GET HOST "X: a\0b\r\n" END),
    BAD("NUL in a name", GET HOST "X\0: b\r\n" END),
    BAD("NUL behind a length", POST "Content-Length: 5\0\r\n" END "hello"),
    BAD("CR in a value", GET HOST "X: a\rb\r\n" END),
    BAD("CR CR LF", GET HOST "X: a\r\r\n" END),
    BAD("LF in a value", GET HOST "X: a\nY: b\r\n" END),
    BAD("LF before the blank line", GET HOST "\n" END),
    ROW("host with a space", GET "Host: a b\r\n" END, 400, "invalid_host"),
    ROW("host with a slash", GET "Host: a/b\r\n" END, 400, "invalid_host"),
    ROW("host with a user", GET "Host: u@a\r\n" END, 400, "invalid_host"),
    ROW("host list", GET "Host: a, b:x\r\n" END, 400, "invalid_host"),
    ROW("host with a bad port", GET "Host: a:8x\r\n" END, 400, "invalid_host"),
    ROW("host with an open bracket", GET "Host: [::1\r\n" END, 400, "invalid_host"),
    ROW("host of high bytes", GET "Host: \xe4\xbd\xa0\r\n" END, 400, "invalid_host"),
    ROW("two hosts in 1.0", "GET / HTTP/1.0\r\n" HOST HOST END, 400, "duplicate_header"),
    ROW("authorization twice", GET HOST "Authorization: Bearer a\r\nauthorization: Bearer b\r\n" END, 400,
        "duplicate_header"),
    ROW("content type twice", GET HOST "Content-Type: a/b\r\nContent-Type: a/b\r\n" END, 400, "duplicate_header"),
    ROW("unknown expectation", POST "Expect: 200-ok\r\nContent-Length: 1\r\n" END, 417, "expectation_failed"),
    OK("host with a port", GET "Host: a.example:8765\r\n" END),
    OK("host of IPv6", GET "Host: [::1]:80\r\n" END),
    OK("empty host", GET "Host:\r\n" END),
    OK("high bytes in a value", GET HOST "X: \xe4\xbd\xa0\xff\r\n" END),
    OK("blanks around a value", GET "Host: \t a \t \r\n" END),
    OK("repeated list header", GET HOST "Accept: a\r\nAccept: b\r\n" END),
};

static const row lengths[] = {
    ROW("plus", POST "Content-Length: +5\r\n" END "hello", 400, "invalid_content_length"),
    ROW("minus zero", POST "Content-Length: -0\r\n" END, 400, "invalid_content_length"),
    ROW("hexadecimal", POST "Content-Length: 0x5\r\n" END "hello", 400, "invalid_content_length"),
    ROW("letters behind", POST "Content-Length: 5a\r\n" END "hello", 400, "invalid_content_length"),
    ROW("fraction", POST "Content-Length: 5.0\r\n" END "hello", 400, "invalid_content_length"),
    ROW("exponent", POST "Content-Length: 5e0\r\n" END "hello", 400, "invalid_content_length"),
    ROW("underscore", POST "Content-Length: 1_0\r\n" END "hello", 400, "invalid_content_length"),
    ROW("space inside", POST "Content-Length: 5 5\r\n" END "hello", 400, "invalid_content_length"),
    ROW("list", POST "Content-Length: 5, 5\r\n" END "hello", 400, "invalid_content_length"),
    ROW("empty", POST "Content-Length:\r\n" END, 400, "invalid_content_length"),
    ROW("twice, differing", POST "Content-Length: 5\r\nContent-Length: 6\r\n" END "hello", 400, "duplicate_header"),
    ROW("twice, the same", POST "Content-Length: 5\r\nContent-Length: 5\r\n" END "hello", 400, "duplicate_header"),
    ROW("overflow", POST "Content-Length: 18446744073709551621\r\n" END "hello", 413, "body_too_large"),
    OK("leading zeros", POST "Content-Length: 005\r\n" END "hello"),
    ROW("chunks before a length", POST "Transfer-Encoding: chunked\r\nContent-Length: 0\r\n" END "0\r\n" END, 400,
        "ambiguous_length"),
    ROW("two codings", POST "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n" END "0\r\n" END, 400,
        "duplicate_header"),
    ROW("coding list", POST "Transfer-Encoding: gzip, chunked\r\n" END "0\r\n" END, 501, NULL),
    ROW("chunked twice", POST "Transfer-Encoding: chunked, chunked\r\n" END "0\r\n" END, 501, NULL),
    ROW("identity", POST "Transfer-Encoding: identity\r\n" END, 501, NULL),
    ROW("almost chunked", POST "Transfer-Encoding: xchunked\r\n" END, 501, NULL),
    ROW("quoted chunked", POST "Transfer-Encoding: \"chunked\"\r\n" END, 501, NULL),
    BAD("vertical tab before chunked", POST "Transfer-Encoding: \x0b" "chunked\r\n" END),
    BAD("empty coding", POST "Transfer-Encoding:\r\n" END),
    BAD("coding with a space before its colon", POST "Transfer-Encoding : chunked\r\n" END "0\r\n" END),
    BAD("chunks in 1.0", "POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n" END "0\r\n" END),
};

static const row chunks[] = {
    OK("capital coding", POST "Transfer-Encoding: CHUNKED\r\n" END "0\r\n" END),
    OK("capital digits", CHUNKED "A\r\n0123456789\r\n0\r\n" END),
    OK("extension", CHUNKED "5;a=b\r\nhello\r\n0;c\r\n" END),
    OK("trailer", CHUNKED "0\r\nX: 1\r\nY:\r\n" END),
    OK("leading zeros", CHUNKED "0005\r\nhello\r\n000\r\n" END),
    BAD("size 0x5", CHUNKED "0x5\r\nhello\r\n0\r\n" END),
    BAD("size +5", CHUNKED "+5\r\nhello\r\n0\r\n" END),
    BAD("size -1", CHUNKED "-1\r\nhello\r\n0\r\n" END),
    BAD("size g", CHUNKED "g\r\n"),
    BAD("empty size", CHUNKED "\r\nhello\r\n0\r\n" END),
    BAD("extension without a size", CHUNKED ";a\r\n"),
    BAD("space before the size", CHUNKED " 5\r\nhello\r\n0\r\n" END),
    BAD("space behind the size", CHUNKED "5 \r\nhello\r\n0\r\n" END),
    ROW("size of 16 digits", CHUNKED "ffffffffffffffff\r\n", 413, "body_too_large"),
    BAD("size that overflows", CHUNKED "10000000000000005\r\nhello\r\n0\r\n" END),
    BAD("LF behind the size", CHUNKED "5\nhello\r\n0\r\n" END),
    BAD("CR and a letter behind the size", CHUNKED "5\rXhello\r\n0\r\n" END),
    BAD("LF in an extension", CHUNKED "5;a\nb\r\nhello\r\n0\r\n" END),
    BAD("NUL in an extension", CHUNKED "5;a\0b\r\nhello\r\n0\r\n" END),
    BAD("data longer than its size", CHUNKED "4\r\nhello\r\n0\r\n" END),
    BAD("data shorter than its size", CHUNKED "6\r\nhello\r\n0\r\n" END),
    BAD("LF behind the data", CHUNKED "5\r\nhello\n0\r\n" END),
    BAD("nothing behind the data", CHUNKED "5\r\nhello0\r\n" END),
    BAD("LF behind the last chunk", CHUNKED "0\n\n"),
    BAD("trailer without a colon", CHUNKED "0\r\nnonsense\r\n" END),
    BAD("folded trailer", CHUNKED "0\r\nX: 1\r\n 2\r\n" END),
    BAD("space before a trailer's colon", CHUNKED "0\r\nX : 1\r\n" END),
    BAD("CR in a trailer", CHUNKED "0\r\nX: 1\rY\r\n" END),
};

static fixture *f;

static int start(void **state)
{
    (void)state;
    f = fixture_start(fixture_options());
    return 0;
}

static int stop(void **state)
{
    (void)state;
    fixture_stop(f);
    return 0;
}

/* A refusal is one reply, with the error object, and the end of the connection, whatever follows. */
static void check_row(const row *r)
{
    reply first;
    int fd = dial_unix(f);
    print_message("    %s\n", r->name);
    send_bytes(fd, r->bytes.ptr, r->bytes.len);
    if (r->status != 200)
        send_text(fd, "GET /second HTTP/1.1\r\nHost: a\r\n\r\n");
    read_reply(fd, &first, false);
    assert_int_equal(first.status, r->status);
    if (r->status == 200) {
        expect(fd, "GET /second HTTP/1.1\r\nHost: a\r\n\r\n", 200, "GET /second||");
    } else {
        check_error(&first, r->status == 501 ? "server_error" : "invalid_request_error", r->code);
        assert_string_equal(reply_header(&first, "Connection"), "close");
        assert_true(closed_by_server(fd));
    }
    reply_free(&first);
    close(fd);
}

static void check_rows(const row *rows, size_t n)
{
    for (size_t i = 0; i < n; i++)
        check_row(&rows[i]);
    size_t good = 0;
    for (size_t i = 0; i < n; i++)
        good += rows[i].status == 200;
    assert_int_equal(atomic_load(&f->seen), 2 * good); /* what is refused never reaches the daemon */
}

#define CHECK(rows) check_rows(rows, sizeof rows / sizeof *rows)

static void test_http_strict__basics(void **state)
{
    (void)state;
    CHECK(basics);
}

static void test_http_strict__request_lines(void **state)
{
    (void)state;
    CHECK(request_lines);
}

static void test_http_strict__fields(void **state)
{
    (void)state;
    CHECK(fields);
}

static void test_http_strict__lengths(void **state)
{
    (void)state;
    CHECK(lengths);
}

static void test_http_strict__chunks(void **state)
{
    (void)state;
    CHECK(chunks);
}

static void test_http_strict__the_parameter_at_fault_is_named(void **state)
{
    reply r;
    (void)state;
    int fd = dial(f);
    send_text(fd, "GET /?%22q=1&%22q=2 HTTP/1.1\r\nHost: a\r\n\r\n");
    read_reply(fd, &r, false);
    assert_non_null(strstr(r.body.ptr, "\"param\":\"\\\"q\""));
    reply_free(&r);
    close(fd);
}

static void test_http_strict__head_is_refused_without_a_body(void **state)
{
    reply r;
    (void)state;
    int fd = dial(f);
    send_text(fd, "HEAD /%zz HTTP/1.1\r\nHost: a\r\n\r\n");
    read_reply(fd, &r, true);
    assert_int_equal(r.status, 400);
    assert_true(strtoul(reply_header(&r, "Content-Length"), NULL, 10) > 0);
    assert_true(closed_by_server(fd));
    reply_free(&r);
    close(fd);
}

/* A good request before the bad one is answered first. */
static void test_http_strict__the_good_half_of_a_pipeline_is_answered(void **state)
{
    (void)state;
    int fd = dial(f);
    send_text(fd, "GET /later HTTP/1.1\r\nHost: a\r\n\r\nGET / HTTP/1.1\r\n\r\n");
    expect(fd, "", 200, "GET /later||");
    expect(fd, "", 400, NULL);
    assert_true(closed_by_server(fd));
    close(fd);
}

/* The parser alone. */

typedef struct outcome {
    int status; /* 200, 0 for more, or the fault's */
    size_t used;
    rag_buf body;
} outcome;

static int read_chunked(rag_str bytes, size_t step, size_t *at, rag_buf *body, http_fault *fault)
{
    http_chunks d = { 0 };
    http_progress p = HTTP_MORE;
    for (size_t end = *at; p == HTTP_MORE && end < bytes.len;) {
        size_t used;
        end = end + step < bytes.len ? end + step : bytes.len;
        p = http_chunks_read(&d, rag_str_sub(bytes, *at, end), &used, body, fault);
        *at += used;
    }
    return p == HTTP_READY ? 200 : p == HTTP_BAD ? fault->status : 0;
}

/* Reads one request out of bytes that arrive `step` at a time. */
static outcome read_in_steps(rag_str bytes, size_t step)
{
    outcome o = { 0 };
    http_scan scan = { 0 };
    http_fault fault;
    http_progress p = HTTP_MORE;
    rag_arena *arena = rag_arena_new();
    http_head head;
    rag_buf_init(&o.body, 1000);
    for (size_t end = 0; p == HTTP_MORE && end < bytes.len;) {
        end = end + step < bytes.len ? end + step : bytes.len;
        p = http_head_find(rag_str_sub(bytes, 0, end), &scan, &fault);
    }
    if (p == HTTP_READY && !http_head_parse(rag_str_sub(bytes, 0, scan.at), arena, &head, &fault))
        p = HTTP_BAD;
    o.status = p == HTTP_READY ? 200 : p == HTTP_BAD ? fault.status : 0;
    o.used = scan.at;
    if (p == HTTP_READY && head.chunked)
        o.status = read_chunked(bytes, step, &o.used, &o.body, &fault);
    rag_arena_free(arena);
    return o;
}

static void check_splits(rag_str bytes)
{
    outcome whole = read_in_steps(bytes, bytes.len);
    for (size_t step = 1; step < 8 && step < bytes.len; step += 2) {
        outcome o = read_in_steps(bytes, step);
        assert_int_equal(o.status, whole.status);
        assert_int_equal(o.used, whole.used);
        assert_true(rag_str_eq(rag_buf_str(&o.body), rag_buf_str(&whole.body)));
        rag_buf_free(&o.body);
    }
    rag_buf_free(&whole.body);
}

static void each_row(void (*check)(rag_str bytes))
{
    for (size_t i = 0; i < sizeof basics / sizeof *basics; i++)
        check(basics[i].bytes);
    for (size_t i = 0; i < sizeof request_lines / sizeof *request_lines; i++)
        check(request_lines[i].bytes);
    for (size_t i = 0; i < sizeof fields / sizeof *fields; i++)
        check(fields[i].bytes);
    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++)
        check(lengths[i].bytes);
    for (size_t i = 0; i < sizeof chunks / sizeof *chunks; i++)
        check(chunks[i].bytes);
}

static void test_http_strict__every_split_reads_the_same(void **state)
{
    (void)state;
    each_row(check_splits);
}

static uint32_t next_random(void)
{
    static uint32_t x = 2463534242u;
    x ^= x << 13;
    x ^= x >> 17;
    x ^= x << 5;
    return x;
}

static void mutate(char *bytes, size_t n)
{
    static const char interesting[] = "\0\r\n\t :;,%?&=+-0aAfF\x7f\xff\x0b";
    for (uint32_t k = next_random() % 4 + 1; k; k--) {
        size_t at = next_random() % n;
        switch (next_random() % 3) {
        case 0: bytes[at] = interesting[next_random() % (sizeof interesting - 1)]; break;
        case 1: bytes[at] = (char)next_random(); break;
        default: memmove(bytes + at, bytes + next_random() % (at + 1), (n - at) / 2); break;
        }
    }
}

/* Properties over mutated requests: arrival does not matter, and what is accepted holds no line end or
 * control character that another reader could split at. */
static void check_mutants(rag_str bytes)
{
    char *copy = malloc(bytes.len);
    for (int i = 0; i < 200; i++) {
        memcpy(copy, bytes.ptr, bytes.len);
        mutate(copy, bytes.len);
        check_splits((rag_str){ copy, bytes.len });
        outcome o = read_in_steps((rag_str){ copy, bytes.len }, bytes.len);
        if (o.status == 200)
            for (size_t at = 0; at < o.used && !o.body.len; at++) {
                assert_true(copy[at] != '\0');
                assert_true(copy[at] != '\n' || copy[at - 1] == '\r');
                assert_true(copy[at] != '\r' || copy[at + 1] == '\n');
            }
        rag_buf_free(&o.body);
    }
    free(copy);
}

static void test_http_strict__mutants_are_read_one_way(void **state)
{
    (void)state;
    each_row(check_mutants);
}

#define WITH_SERVER(test) cmocka_unit_test_setup_teardown(test, start, stop)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_SERVER(test_http_strict__basics),
        WITH_SERVER(test_http_strict__request_lines),
        WITH_SERVER(test_http_strict__fields),
        WITH_SERVER(test_http_strict__lengths),
        WITH_SERVER(test_http_strict__chunks),
        WITH_SERVER(test_http_strict__the_parameter_at_fault_is_named),
        WITH_SERVER(test_http_strict__head_is_refused_without_a_body),
        WITH_SERVER(test_http_strict__the_good_half_of_a_pipeline_is_answered),
        cmocka_unit_test(test_http_strict__every_split_reads_the_same),
        cmocka_unit_test(test_http_strict__mutants_are_read_one_way),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
