/* Requests and replies of well-behaved clients, and the doors. */

#include "tests/http_fixture.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/file.h"

#define HOST "Host: a\r\n"

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

/* Requests. */

static void test_http__both_doors_answer(void **state)
{
    (void)state;
    int tcp = dial(f), local = dial_unix(f);
    expect(tcp, "GET /echo HTTP/1.1\r\n" HOST "X-Show-Door: 1\r\n\r\n", 200, "GET /echo||tcp");
    expect(local, "GET /echo HTTP/1.1\r\n" HOST "X-Show-Door: 1\r\n\r\n", 200, "GET /echo||local");
    close(tcp);
    close(local);
}

static void test_http__methods_are_told_apart(void **state)
{
    static const char *const methods[] = { "GET", "POST", "PUT", "DELETE", "OPTIONS", "PATCH" };
    (void)state;
    int fd = dial(f);
    for (size_t i = 0; i < sizeof methods / sizeof *methods; i++) {
        char request[128], body[64];
        snprintf(request, sizeof request, "%s /echo HTTP/1.1\r\n" HOST "\r\n", methods[i]);
        snprintf(body, sizeof body, "%s /echo||", methods[i]);
        expect(fd, request, 200, body);
    }
    close(fd);
}

static void test_http__path_and_parameters_are_decoded(void **state)
{
    (void)state;
    int fd = dial(f);
    expect(fd, "GET /a%20b%2Fc+?q=%E4%BD%A0+b%2B&&empty=&bare HTTP/1.1\r\n" HOST "\r\n", 200,
           "GET /a b/c+||q=\xe4\xbd\xa0 b+;empty=;bare=;");
    expect(fd, "GET /\xe4\xbd\xa0 HTTP/1.1\r\n" HOST "\r\n", 200, "GET /\xe4\xbd\xa0||");
    close(fd);
}

static void test_http__absolute_form_names_the_host(void **state)
{
    (void)state;
    int fd = dial(f);
    expect(fd, "GET http://b.example:80/x?y=1 HTTP/1.1\r\n" HOST "X-Show-Host: 1\r\n\r\n", 200,
           "GET /x||y=1;host=b.example:80");
    expect(fd, "GET HTTP://[::1]?y=1 HTTP/1.1\r\n" HOST "X-Show-Host: 1\r\n\r\n", 200, "GET /||y=1;host=[::1]");
    expect(fd, "OPTIONS * HTTP/1.1\r\n" HOST "\r\n", 200, "OPTIONS *||");
    close(fd);
}

static void test_http__bodies_arrive_whole(void **state)
{
    (void)state;
    int fd = dial(f);
    expect(fd, "POST /echo HTTP/1.1\r\n" HOST "Content-Length: 5\r\n\r\nhello", 200, "POST /echo|hello|");
    expect(fd,
           "POST /echo HTTP/1.1\r\n" HOST "Transfer-Encoding: Chunked\r\n\r\n"
           "5;a=\"b\"\r\nhello\r\n00a\r\n, world!!!\r\n0\r\nX-Trailer: 1\r\n\r\n",
           200, "POST /echo|hello, world!!!|");
    expect(fd, "POST /echo HTTP/1.1\r\n" HOST "Content-Length: 0\r\n\r\n", 200, "POST /echo||");
    close(fd);
}

static void test_http__large_bodies_arrive_whole(void **state)
{
    (void)state;
    size_t n = 100000;
    char *body = malloc(n + 1), *expected = malloc(n + 32), head[128];
    for (size_t i = 0; i < n; i++)
        body[i] = (char)('a' + i % 26);
    body[n] = '\0';
    sprintf(expected, "POST /echo|%s|", body);
    int fd = dial_unix(f);
    snprintf(head, sizeof head, "POST /echo HTTP/1.1\r\n" HOST "Content-Length: %zu\r\n\r\n", n);
    send_text(fd, head);
    expect(fd, body, 200, expected);
    snprintf(head, sizeof head, "POST /echo HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n%zx\r\n", n);
    send_text(fd, head);
    send_text(fd, body);
    expect(fd, "\r\n0\r\n\r\n", 200, expected);
    close(fd);
    free(body);
    free(expected);
}

static void test_http__expect_continue_is_told_to_go_on(void **state)
{
    (void)state;
    int fd = dial(f);
    expect(fd, "POST /echo HTTP/1.1\r\n" HOST "Expect: 100-Continue\r\nContent-Length: 2\r\n\r\n", 100, NULL);
    expect(fd, "ok", 200, "POST /echo|ok|");
    expect(fd, "POST /echo HTTP/1.1\r\n" HOST "Expect: 100-continue\r\nTransfer-Encoding: chunked\r\n\r\n", 100, NULL);
    expect(fd, "2\r\nok\r\n0\r\n\r\n", 200, "POST /echo|ok|");
    expect(fd, "POST /echo HTTP/1.1\r\n" HOST "Expect: 100-continue\r\nContent-Length: 2\r\n\r\nok", 200, NULL);
    expect(fd, "GET /echo HTTP/1.1\r\n" HOST "Expect: 100-continue\r\n\r\n", 200, NULL);
    expect(fd, "POST /echo HTTP/1.1\r\n" HOST "Expect: 100-continue\r\nContent-Length: 200000\r\n\r\n", 413, NULL);
    assert_true(closed_by_server(fd));
    close(fd);
}

static void test_http__empty_lines_before_a_request_are_forgiven(void **state)
{
    (void)state;
    int fd = dial(f);
    expect(fd, "\r\nGET /a HTTP/1.1\r\n" HOST "\r\n", 200, "GET /a||");
    expect(fd, "\r\n\r\nGET /b HTTP/1.1\r\n" HOST "\r\n", 200, "GET /b||");
    close(fd);
}

/* Connections. */

static void test_http__close_is_obeyed_and_announced(void **state)
{
    (void)state;
    reply r;
    int fd = dial(f);
    send_text(fd, "GET /echo HTTP/1.1\r\n" HOST "Connection: x,\tClose\r\n\r\n");
    read_reply(fd, &r, false);
    assert_int_equal(r.status, 200);
    assert_string_equal(reply_header(&r, "Connection"), "close");
    assert_true(closed_by_server(fd));
    reply_free(&r);
    close(fd);
}

static void test_http__one_dot_zero_closes_unless_asked(void **state)
{
    (void)state;
    reply r;
    int fd = dial(f);
    send_text(fd, "GET /echo HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n");
    read_reply(fd, &r, false);
    assert_int_equal(r.status, 200);
    assert_string_equal(reply_header(&r, "Connection"), "keep-alive");
    reply_free(&r);
    expect(fd, "GET /echo HTTP/1.0\r\n\r\n", 200, "GET /echo||");
    assert_true(closed_by_server(fd));
    close(fd);
}

static void test_http__head_gets_the_length_without_the_body(void **state)
{
    (void)state;
    reply r;
    int fd = dial(f);
    send_text(fd, "HEAD /echo HTTP/1.1\r\n" HOST "\r\n");
    read_reply(fd, &r, true);
    assert_string_equal(reply_header(&r, "Content-Length"), "12");
    reply_free(&r);
    expect(fd, "HEAD /count HTTP/1.1\r\n" HOST "\r\n", 200, NULL);
    expect(fd, "GET /echo HTTP/1.1\r\n" HOST "\r\n", 200, "GET /echo||");
    close(fd);
}

static void send_many(int fd, const char *path, int n)
{
    rag_buf b;
    rag_buf_init(&b, RAG_MAX_REPLY);
    for (int i = 0; i < n; i++)
        rag_buf_putf(&b, "GET %s?i=%d HTTP/1.1\r\n" HOST "\r\n", path, i);
    send_bytes(fd, b.ptr, b.len);
    rag_buf_free(&b);
}

static void expect_many(int fd, const char *path, int n)
{
    char body[64];
    for (int i = 0; i < n; i++) {
        snprintf(body, sizeof body, "GET %s||i=%d;", path, i);
        expect(fd, "", 200, body);
    }
}

static void test_http__pipelined_requests_are_answered_in_order(void **state)
{
    (void)state;
    int fd = dial(f);
    send_text(fd, "GET /later?i=0 HTTP/1.1\r\n" HOST "\r\nPOST /echo HTTP/1.1\r\n" HOST "Content-Length: 3\r\n\r\nabc"
                  "GET /count HTTP/1.1\r\n" HOST "\r\nGET /later?i=1 HTTP/1.1\r\n" HOST "\r\n");
    expect(fd, "", 200, "GET /later||i=0;");
    expect(fd, "", 200, "POST /echo|abc|");
    expect(fd, "", 200, NULL);
    expect(fd, "", 200, "GET /later||i=1;");
    send_many(fd, "/later", 200);
    expect_many(fd, "/later", 200);
    close(fd);
}

/* Sends from a thread: sender and server would wait for each other's buffers. */
static void *send_ten_thousand(void *fd)
{
    send_many(*(int *)fd, "/echo", 10000);
    return NULL;
}

static void test_http__ten_thousand_pipelined_requests_are_answered(void **state)
{
    (void)state;
    pthread_t sender;
    int fd = dial_unix(f);
    pthread_create(&sender, NULL, send_ten_thousand, &fd);
    expect_many(fd, "/echo", 10000);
    pthread_join(sender, NULL);
    close(fd);
}

/* Replies. */

static void test_http__replies_carry_the_standard_headers(void **state)
{
    (void)state;
    reply r;
    int fd = dial(f);
    send_text(fd, "GET /echo HTTP/1.1\r\n" HOST "\r\n");
    read_reply(fd, &r, false);
    assert_string_equal(reply_header(&r, "Content-Type"), "text/plain");
    assert_string_equal(reply_header(&r, "X-Content-Type-Options"), "nosniff");
    assert_string_equal(reply_header(&r, "Cache-Control"), "no-store");
    assert_non_null(reply_header(&r, "Date"));
    const char *id = reply_header(&r, "X-Request-Id");
    assert_int_equal(strlen(id), 18);
    assert_int_equal(strspn(id + 2, "0123456789abcdef"), 16);
    reply_free(&r);
    close(fd);
}

static void test_http__own_headers_replace_defaults_and_cannot_inject(void **state)
{
    (void)state;
    reply r;
    int fd = dial(f);
    send_text(fd, "GET /headers HTTP/1.1\r\n" HOST "\r\n");
    read_reply(fd, &r, false);
    assert_string_equal(reply_header(&r, "Cache-Control"), "max-age=60");
    assert_null(strstr(r.head.ptr, "no-store"));
    assert_null(strstr(r.head.ptr, "Set-Cookie"));
    assert_string_equal(reply_header(&r, "X-Good"), "\xe4\xbd\xa0");
    reply_free(&r);
    close(fd);
}

static void test_http__no_content_has_no_length(void **state)
{
    (void)state;
    reply r;
    int fd = dial(f);
    send_text(fd, "GET /empty HTTP/1.1\r\n" HOST "\r\n");
    read_reply(fd, &r, false);
    assert_int_equal(r.status, 204);
    assert_null(reply_header(&r, "Content-Length"));
    assert_null(reply_header(&r, "Content-Type"));
    reply_free(&r);
    expect(fd, "GET /echo HTTP/1.1\r\n" HOST "\r\n", 200, NULL);
    close(fd);
}

static void test_http__errors_are_escaped_json(void **state)
{
    (void)state;
    reply r;
    int fd = dial(f);
    send_text(fd, "GET /error HTTP/1.1\r\n" HOST "\r\n");
    read_reply(fd, &r, false);
    assert_int_equal(r.status, 503);
    check_error(&r, "overloaded_error", "queue_full");
    assert_non_null(strstr(r.body.ptr, "\"a \\\"b\\\" \\\\ \\u000a\\u0001 \xe4\xbd\xa0 \xef\xbf\xbd\""));
    assert_non_null(strstr(r.body.ptr, "\"param\":\"x\\u0009y\""));
    assert_string_equal(reply_header(&r, "Retry-After"), "7");
    reply_free(&r);
    expect(fd, "GET /echo HTTP/1.1\r\n" HOST "\r\n", 200, NULL);
    close(fd);
}

static void test_http__error_types_follow_the_status(void **state)
{
    static const struct {
        int status;
        const char *type;
    } rows[] = { { 400, "invalid_request_error" }, { 401, "authentication_error" }, { 403, "permission_error" },
                 { 404, "not_found_error" },       { 405, "invalid_request_error" }, { 429, "rate_limit_error" },
                 { 500, "server_error" },          { 501, "server_error" },          { 503, "overloaded_error" } };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char expected[64];
        rag_buf b;
        rag_buf_init(&b, 4096);
        http_error_object(&b, rows[i].status, "c", "m", NULL, "r-1");
        snprintf(expected, sizeof expected, "{\"error\":{\"type\":\"%s\",", rows[i].type);
        assert_true(rag_str_starts(rag_buf_str(&b), rag_str_of(expected)));
        assert_true(rag_str_ends(rag_buf_str(&b), RAG_STR("\"param\":null,\"request_id\":\"r-1\"}}")));
        rag_buf_free(&b);
    }
}

static void test_http__big_replies_arrive_whole(void **state)
{
    (void)state;
    reply r;
    int fd = dial(f);
    send_text(fd, "GET /big HTTP/1.1\r\n" HOST "\r\nGET /echo HTTP/1.1\r\n" HOST "\r\n");
    read_reply(fd, &r, false);
    assert_int_equal(r.body.len, BIG);
    assert_int_equal(strspn(r.body.ptr, "b"), BIG);
    reply_free(&r);
    expect(fd, "", 200, "GET /echo||");
    close(fd);
}

static void test_http__wide_replies_do_not_stop_a_pipeline(void **state)
{
    (void)state;
    reply r;
    int fd = dial_unix(f);
    for (int i = 0; i < 10; i++)
        send_text(fd, "GET /wide HTTP/1.1\r\n" HOST "\r\nGET /wide HTTP/1.1\r\n" HOST "\r\nGET /echo HTTP/1.1\r\n" HOST "\r\n");
    for (int i = 0; i < 10; i++) {
        for (int k = 0; k < 2; k++) {
            read_reply(fd, &r, false);
            assert_int_equal(r.body.len, WIDE);
            reply_free(&r);
        }
        expect(fd, "", 200, "GET /echo||");
    }
    close(fd);
}

static void check_count(const char *request, bool chunked)
{
    reply r;
    int fd = dial(f);
    send_text(fd, request);
    read_reply(fd, &r, false);
    assert_int_equal(reply_header(&r, "Transfer-Encoding") != NULL, chunked);
    assert_null(reply_header(&r, "Content-Length"));
    assert_true(rag_str_starts(rag_buf_str(&r.body), RAG_STR("1 2 3 4 ")));
    assert_true(rag_str_ends(rag_buf_str(&r.body), RAG_STR(" 98 99 100 ")));
    reply_free(&r);
    if (chunked)
        expect(fd, "GET /echo HTTP/1.1\r\n" HOST "\r\n", 200, "GET /echo||");
    else
        assert_true(closed_by_server(fd));
    close(fd);
}

static void test_http__streams_are_chunked_or_end_with_the_connection(void **state)
{
    (void)state;
    check_count("GET /count HTTP/1.1\r\n" HOST "\r\n", true);
    check_count("GET /count HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", false);
}

static void test_http__a_request_ended_without_reply_is_a_500(void **state)
{
    (void)state;
    int fd = dial(f);
    expect(fd, "GET /silent HTTP/1.1\r\n" HOST "\r\n", 500, NULL);
    close(fd);
}

static void test_http__in_flight_counts_unanswered_requests(void **state)
{
    (void)state;
    int a = dial(f), b = dial(f);
    send_text(a, "GET /hold HTTP/1.1\r\n" HOST "\r\n");
    wait_for_int(&f->seen, 1);
    send_text(b, "GET /hold HTTP/1.1\r\n" HOST "\r\n");
    wait_for_int(&f->seen, 2);
    assert_int_equal(fixture_in_flight(f), 2);
    assert_int_equal(fixture_connections(f), 2);
    fixture_release(f, 0);
    expect(a, "", 200, "held");
    assert_int_equal(fixture_in_flight(f), 1);
    fixture_release(f, 1);
    expect(b, "", 200, "held");
    assert_int_equal(fixture_in_flight(f), 0);
    close(a);
    close(b);
    assert_true(wait_for_connections(f, 0));
}

/* Draining and closing. */

static void drain(fixture *x, void *arg)
{
    (void)arg;
    http_server_drain(x->server);
}

static void test_http__drain_finishes_running_requests_only(void **state)
{
    (void)state;
    reply r;
    int idle = dial(f), busy = dial_unix(f);
    expect(idle, "GET /echo HTTP/1.1\r\n" HOST "\r\n", 200, NULL);
    send_text(busy, "GET /hold HTTP/1.1\r\n" HOST "\r\nGET /echo HTTP/1.1\r\n" HOST "\r\n");
    wait_for_int(&f->seen, 2);
    fixture_call(f, drain, NULL);
    assert_true(closed_by_server(idle));
    assert_int_not_equal(access(f->path, F_OK), 0);
    fixture_release(f, 0);
    read_reply(busy, &r, false);
    assert_int_equal(r.status, 200);
    assert_string_equal(reply_header(&r, "Connection"), "close");
    reply_free(&r);
    assert_true(closed_by_server(busy));
    close(idle);
    close(busy);
    assert_true(wait_for_connections(f, 0));
}

static void test_http__close_tells_running_requests(void **state)
{
    (void)state;
    int fd = dial(f);
    fixture *mine = fixture_start(fixture_options());
    int other = dial(mine);
    send_text(other, "GET /hold HTTP/1.1\r\n" HOST "\r\n");
    wait_for_int(&mine->seen, 1);
    fixture_stop(mine); /* ASan: the request is freed by its on_leave */
    assert_true(closed_by_server(other));
    close(other);
    close(fd);
}

/* The doors. */

static void noop(void *context, http_request *q)
{
    (void)context;
    http_stream_end(q);
}

static rag_code open_doors(fixture *x, const char *tcp, const char *local, http_server **out, rag_err *err)
{
    http_options o = fixture_options();
    o.listen = tcp;
    o.unix_path = local;
    o.unix_mode = 0620;
    o.on_request = noop;
    return http_server_open(out, x->base, &o, err);
}

static void test_http__socket_has_the_mode_asked_for(void **state)
{
    (void)state;
    struct stat st;
    assert_int_equal(stat(f->path, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0660);
    assert_true(S_ISSOCK(st.st_mode));
}

/* A socket file that nobody listens on. */
static void leave_stale(const char *path)
{
    struct sockaddr_un a = { .sun_family = AF_UNIX };
    strcpy(a.sun_path, path);
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&a, sizeof a), 0);
    close(fd);
}

static void replace_stale(fixture *x, void *arg)
{
    http_server *s;
    rag_err err;
    struct stat st;
    char *path = arg;
    leave_stale(path);
    assert_int_equal(open_doors(x, "off", path, &s, &err), RAG_OK);
    assert_int_equal(http_server_port(s), 0);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0620);
    http_server_close(s);
    assert_int_not_equal(access(path, F_OK), 0);
}

static void test_http__a_stale_socket_is_replaced(void **state)
{
    (void)state;
    char path[128];
    snprintf(path, sizeof path, "%s/stale", f->folder);
    fixture_call(f, replace_stale, path);
}

static void refuse_live(fixture *x, void *arg)
{
    http_server *s;
    rag_err err;
    (void)arg;
    assert_int_equal(open_doors(x, "off", x->path, &s, &err), RAG_BUSY);
    assert_null(s);
    assert_int_equal(access(x->path, F_OK), 0);
}

static void test_http__a_live_socket_is_busy(void **state)
{
    (void)state;
    fixture_call(f, refuse_live, NULL);
    int fd = dial_unix(f);
    expect(fd, "GET /echo HTTP/1.1\r\n" HOST "\r\n", 200, NULL);
    close(fd);
}

static void refuse_addresses(fixture *x, void *arg)
{
    static const char *const bad[] = { "localhost", "127.0.0.1", "127.0.0.1:", "127.0.0.1:65536", "127.0.0.1:8a",
                                       "::1:80",    ":80",       "no such host:80" };
    http_server *s;
    rag_err err;
    char busy[32], longer[200], file[128];
    (void)arg;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_int_equal(open_doors(x, bad[i], "off", &s, &err), RAG_CONFIG);
    snprintf(busy, sizeof busy, "127.0.0.1:%d", http_server_port(x->server));
    assert_int_equal(open_doors(x, busy, "", &s, &err), RAG_IO);
    assert_non_null(strstr(err.message, busy));
    memset(longer, 'a', sizeof longer);
    longer[0] = '/';
    longer[sizeof longer - 1] = '\0';
    assert_int_equal(open_doors(x, "off", longer, &s, &err), RAG_CONFIG);
    snprintf(file, sizeof file, "%s/file", x->folder);
    assert_int_equal(rag_file_write_atomic(file, RAG_STR("precious"), &err), RAG_OK);
    assert_int_equal(open_doors(x, "off", file, &s, &err), RAG_CONFIG);
    assert_int_equal(access(file, F_OK), 0);
    unlink(file);
}

static void test_http__bad_addresses_are_refused(void **state)
{
    (void)state;
    fixture_call(f, refuse_addresses, NULL);
}

static void open_ipv6(fixture *x, void *arg)
{
    http_server *s;
    rag_err err;
    (void)arg;
    int probe = socket(AF_INET6, SOCK_STREAM, 0);
    if (probe < 0)
        return;
    close(probe);
    rag_code rc = open_doors(x, "[::1]:0", "off", &s, &err);
    if (rc == RAG_OK)
        assert_true(http_server_port(s) > 0);
    else
        assert_non_null(strstr(err.message, "Cannot assign requested address")); /* a machine without IPv6 */
    http_server_close(s);
}

static void test_http__ipv6_is_served(void **state)
{
    (void)state;
    fixture_call(f, open_ipv6, NULL);
}

#define WITH_SERVER(test) cmocka_unit_test_setup_teardown(test, start, stop)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_SERVER(test_http__both_doors_answer),
        WITH_SERVER(test_http__methods_are_told_apart),
        WITH_SERVER(test_http__path_and_parameters_are_decoded),
        WITH_SERVER(test_http__absolute_form_names_the_host),
        WITH_SERVER(test_http__bodies_arrive_whole),
        WITH_SERVER(test_http__large_bodies_arrive_whole),
        WITH_SERVER(test_http__expect_continue_is_told_to_go_on),
        WITH_SERVER(test_http__empty_lines_before_a_request_are_forgiven),
        WITH_SERVER(test_http__close_is_obeyed_and_announced),
        WITH_SERVER(test_http__one_dot_zero_closes_unless_asked),
        WITH_SERVER(test_http__head_gets_the_length_without_the_body),
        WITH_SERVER(test_http__pipelined_requests_are_answered_in_order),
        WITH_SERVER(test_http__ten_thousand_pipelined_requests_are_answered),
        WITH_SERVER(test_http__replies_carry_the_standard_headers),
        WITH_SERVER(test_http__own_headers_replace_defaults_and_cannot_inject),
        WITH_SERVER(test_http__no_content_has_no_length),
        WITH_SERVER(test_http__errors_are_escaped_json),
        WITH_SERVER(test_http__error_types_follow_the_status),
        WITH_SERVER(test_http__big_replies_arrive_whole),
        WITH_SERVER(test_http__wide_replies_do_not_stop_a_pipeline),
        WITH_SERVER(test_http__streams_are_chunked_or_end_with_the_connection),
        WITH_SERVER(test_http__a_request_ended_without_reply_is_a_500),
        WITH_SERVER(test_http__in_flight_counts_unanswered_requests),
        WITH_SERVER(test_http__drain_finishes_running_requests_only),
        WITH_SERVER(test_http__close_tells_running_requests),
        WITH_SERVER(test_http__socket_has_the_mode_asked_for),
        WITH_SERVER(test_http__a_stale_socket_is_replaced),
        WITH_SERVER(test_http__a_live_socket_is_busy),
        WITH_SERVER(test_http__bad_addresses_are_refused),
        WITH_SERVER(test_http__ipv6_is_served),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
