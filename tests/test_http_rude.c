/* Clients that leave, flood, stall, crawl or come in crowds. */

#include "tests/http_fixture.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/file.h"
#include "base/log.h"

#define HOST "Host: a\r\n"
#define HOLD "GET /hold HTTP/1.1\r\n" HOST "\r\n"
#define STREAM "GET /stream HTTP/1.1\r\n" HOST "\r\n"
#define ECHO "GET /echo HTTP/1.1\r\n" HOST "\r\n"

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

/* Leaving before the reply. */

static void check_left(void)
{
    wait_for_int(&f->leaves, 1);
    assert_int_equal(fixture_in_flight(f), 0);
    assert_true(wait_for_connections(f, 0));
}

static void test_http_rude__fin_before_the_reply_is_noticed(void **state)
{
    (void)state;
    int fd = dial(f);
    send_text(fd, HOLD);
    wait_for_int(&f->seen, 1);
    close(fd);
    check_left();
}

static void test_http_rude__rst_before_the_reply_is_noticed(void **state)
{
    (void)state;
    int fd = dial(f);
    send_text(fd, HOLD);
    wait_for_int(&f->seen, 1);
    reset(fd);
    check_left();
}

static void test_http_rude__leaving_the_unix_socket_is_noticed(void **state)
{
    (void)state;
    int fd = dial_unix(f);
    send_text(fd, HOLD);
    wait_for_int(&f->seen, 1);
    close(fd);
    check_left();
}

static void test_http_rude__request_and_fin_together_are_noticed(void **state)
{
    (void)state;
    int fd = dial(f);
    send_text(fd, HOLD);
    close(fd);
    check_left();
}

static void test_http_rude__leaving_is_noticed_behind_unread_input(void **state)
{
    (void)state;
    char junk[32 * 1024];
    memset(junk, 'j', sizeof junk);
    for (int rst = 0; rst < 2; rst++) {
        int fd = dial(f);
        send_text(fd, HOLD);
        wait_for_int(&f->seen, rst + 1);
        send_bytes(fd, junk, sizeof junk);
        usleep(10000); /* the server sees the junk's edge first */
        rst ? reset(fd) : (void)close(fd);
        wait_for_int(&f->leaves, rst + 1);
    }
    assert_true(wait_for_connections(f, 0));
}

/* Cannot be told from leaving before something is written; nginx does the same. */
static void test_http_rude__half_close_while_waiting_is_leaving(void **state)
{
    (void)state;
    int fd = dial(f);
    send_text(fd, HOLD);
    wait_for_int(&f->seen, 1);
    shutdown(fd, SHUT_WR);
    check_left();
    close(fd);
}

static void test_http_rude__half_close_still_gets_replies_made_at_once(void **state)
{
    (void)state;
    int fd = dial(f);
    send_text(fd, ECHO "nonsense\r\n\r\n");
    shutdown(fd, SHUT_WR);
    expect(fd, "", 200, "GET /echo||");
    expect(fd, "", 400, NULL);
    assert_true(closed_by_server(fd));
    close(fd);
}

static void test_http_rude__an_incomplete_request_is_a_400(void **state)
{
    static const char *const requests[] = { "GET / HT", "GET / HTTP/1.1\r\nHost: a\r\n",
                                            "POST / HTTP/1.1\r\n" HOST "Content-Length: 5\r\n\r\nhell",
                                            "POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n" };
    (void)state;
    for (size_t i = 0; i < sizeof requests / sizeof *requests; i++) {
        reply r;
        int fd = dial_unix(f);
        send_text(fd, requests[i]);
        shutdown(fd, SHUT_WR);
        read_reply(fd, &r, false);
        assert_int_equal(r.status, 400);
        check_error(&r, "invalid_request_error", "incomplete_request");
        reply_free(&r);
        assert_true(closed_by_server(fd));
        close(fd);
    }
    assert_int_equal(atomic_load(&f->seen), 0);
}

static void test_http_rude__leaving_in_the_middle_of_a_request_frees_it(void **state)
{
    (void)state;
    int a = dial(f), b = dial(f);
    send_text(a, "POST / HTTP/1.1\r\n" HOST "Content-Length: 500\r\n\r\nabc");
    send_text(b, "POST / HTTP/1.1\r\nHost");
    assert_true(wait_for_connections(f, 2));
    reset(a);
    reset(b);
    assert_true(wait_for_connections(f, 0));
}

/* Leaving a stream. */

static void leave_stream(int fd, void (*leave)(int fd))
{
    char some[4096];
    send_text(fd, STREAM);
    assert_true(recv(fd, some, sizeof some, 0) > 0);
    leave(fd);
    check_left();
}

static void close_it(int fd)
{
    close(fd);
}

static void test_http_rude__fin_in_a_stream_is_noticed(void **state)
{
    (void)state;
    leave_stream(dial(f), close_it);
}

static void test_http_rude__rst_in_a_stream_is_noticed(void **state)
{
    (void)state;
    leave_stream(dial(f), reset);
}

static void test_http_rude__leaving_a_stream_on_the_unix_socket_is_noticed(void **state)
{
    (void)state;
    leave_stream(dial_unix(f), close_it);
}

static void test_http_rude__sigpipe_is_ignored(void **state)
{
    struct sigaction action;
    (void)state;
    assert_int_equal(sigaction(SIGPIPE, NULL, &action), 0);
    assert_ptr_equal(action.sa_handler, SIG_IGN);
}

/* Floods. */

/* What the server and the kernel take before nothing moves any more. */
static size_t flood(int fd)
{
    static char junk[64 * 1024];
    size_t total = 0;
    int quiet = 0;
    memset(junk, 'j', sizeof junk);
    fcntl(fd, F_SETFL, O_NONBLOCK);
    while (quiet < 100 && total < 64u * 1024 * 1024) {
        ssize_t n = send(fd, junk, sizeof junk, MSG_NOSIGNAL);
        quiet = n > 0 ? 0 : quiet + 1;
        total += n > 0 ? (size_t)n : 0;
        if (n <= 0)
            usleep(1000);
    }
    return total;
}

static void check_flood(const char *request)
{
    int fd = dial_unix(f), good = dial(f);
    send_text(fd, request);
    wait_for_int(&f->seen, 1);
    size_t taken = flood(fd);
    assert_true(taken < 2u * 1024 * 1024); /* the socket's buffer, and the input's high mark */
    expect(good, ECHO, 200, NULL);
    close(good);
    close(fd);
    check_left();
}

static void test_http_rude__a_flood_before_the_reply_stays_in_the_kernel(void **state)
{
    (void)state;
    check_flood(HOLD);
}

static void test_http_rude__a_flood_during_a_stream_stays_in_the_kernel(void **state)
{
    (void)state;
    check_flood(STREAM);
}

static void test_http_rude__pipelining_without_reading_is_bounded(void **state)
{
    (void)state;
    int fd = dial_unix(f);
    size_t taken = 0, quiet = 0;
    fcntl(fd, F_SETFL, O_NONBLOCK);
    while (quiet < 100 && taken < 64u * 1024 * 1024) {
        ssize_t n = send(fd, ECHO, sizeof ECHO - 1, MSG_NOSIGNAL);
        quiet = n > 0 ? 0 : quiet + 1;
        taken += n > 0 ? (size_t)n : 0;
        if (n <= 0)
            usleep(1000);
    }
    assert_true(taken < 2u * 1024 * 1024);
    close(fd);
    assert_true(wait_for_connections(f, 0));
}

/* Slow readers. */

static int start_stalling(void **state)
{
    http_options o = fixture_options();
    (void)state;
    o.stall_timeout_ms = 200;
    f = fixture_start(o);
    return 0;
}

static void test_http_rude__a_client_that_does_not_read_is_dropped(void **state)
{
    (void)state;
    int fd = dial_unix(f);
    send_text(fd, STREAM);
    check_left();
    assert_true(atomic_load(&f->most_backlog) <= HTTP_STREAM_HIGH + 32 * 1024);
    assert_true(atomic_load(&f->streamed) < 2u * 1024 * 1024);
    close(fd);
}

static void test_http_rude__a_client_that_crawls_is_dropped(void **state)
{
    char byte;
    (void)state;
    int fd = dial_unix(f);
    send_text(fd, STREAM);
    while (atomic_load(&f->leaves) == 0 && recv(fd, &byte, 1, 0) == 1)
        usleep(5000);
    check_left();
    close(fd);
}

static void test_http_rude__a_reply_that_is_not_read_is_dropped(void **state)
{
    (void)state;
    int fd = dial_unix(f);
    send_text(fd, "GET /big HTTP/1.1\r\n" HOST "\r\n");
    wait_for_int(&f->seen, 1);
    assert_int_equal(fixture_in_flight(f), 0);
    assert_true(wait_for_connections(f, 0));
    close(fd);
}

static void test_http_rude__a_steady_reader_is_kept(void **state)
{
    static char block[64 * 1024];
    size_t total = 0;
    (void)state;
    int fd = dial_unix(f);
    send_text(fd, "GET /big HTTP/1.1\r\n" HOST "Connection: close\r\n\r\n");
    for (ssize_t n; (n = recv(fd, block, sizeof block, 0)) > 0; total += (size_t)n)
        usleep(10000); /* 4 MiB take several stall timeouts */
    assert_true(total > BIG);
    close(fd);
}

/* Slow senders. */

static int start_hurried(void **state)
{
    http_options o = fixture_options();
    (void)state;
    o.header_timeout_ms = o.body_timeout_ms = 300;
    o.idle_timeout_ms = 300;
    f = fixture_start(o);
    return 0;
}

/* Only the body's deadline is short. */
static int start_hurried_body(void **state)
{
    http_options o = fixture_options();
    (void)state;
    o.body_timeout_ms = 300;
    f = fixture_start(o);
    return 0;
}

/* Sends a byte every 20 ms until the server closes. */
static void crawl(int fd, const char *text, char filler)
{
    char c;
    send_text(fd, text);
    while (recv(fd, &c, 1, MSG_DONTWAIT | MSG_PEEK) < 0 && (errno == EAGAIN || errno == EINTR)) {
        send_bytes(fd, &filler, 1);
        usleep(20000);
    }
}

static void check_timeout(int fd)
{
    reply r;
    read_reply(fd, &r, false);
    assert_int_equal(r.status, 408);
    check_error(&r, "invalid_request_error", "request_timeout");
    reply_free(&r);
    assert_true(closed_by_server(fd));
    close(fd);
    assert_true(wait_for_connections(f, 0));
}

static void test_http_rude__slow_headers_end_at_an_absolute_deadline(void **state)
{
    (void)state;
    int fd = dial(f);
    crawl(fd, "GET / HTTP/1.1\r\nX: ", 'a');
    check_timeout(fd);
}

static void test_http_rude__slow_headers_of_a_later_request_end_too(void **state)
{
    (void)state;
    int fd = dial(f);
    expect(fd, ECHO, 200, NULL);
    crawl(fd, "GET / HTTP/1.1\r\nX: ", 'a');
    check_timeout(fd);
}

static void test_http_rude__a_slow_body_ends_at_an_absolute_deadline(void **state)
{
    (void)state;
    int fd = dial(f);
    crawl(fd, "POST / HTTP/1.1\r\n" HOST "Content-Length: 90000\r\n\r\n", 'a');
    check_timeout(fd);
}

static void test_http_rude__slow_chunks_end_at_an_absolute_deadline(void **state)
{
    (void)state;
    int fd = dial(f);
    crawl(fd, "POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n1000\r\n", 'a');
    check_timeout(fd);
}

static void test_http_rude__empty_lines_do_not_extend_the_deadline(void **state)
{
    (void)state;
    int fd = dial(f);
    for (int i = 0; i < 2000 && fixture_connections(f) > 0; i++) {
        send_text(fd, "\r\n");
        usleep(10000);
    }
    assert_int_equal(fixture_connections(f), 0);
    close(fd);
}

static void test_http_rude__silent_and_idle_connections_are_closed(void **state)
{
    (void)state;
    int silent = dial(f), idle = dial_unix(f);
    expect(idle, ECHO, 200, NULL);
    assert_true(closed_by_server(silent));
    assert_true(closed_by_server(idle));
    close(silent);
    close(idle);
}

static void test_http_rude__a_waiting_request_is_not_timed(void **state)
{
    (void)state;
    int fd = dial(f), silent = dial(f);
    send_text(fd, HOLD);
    wait_for_int(&f->seen, 1);
    assert_true(closed_by_server(silent));
    close(silent);
    silent = dial(f);
    assert_true(closed_by_server(silent));
    close(silent);
    fixture_release(f, 0);
    expect(fd, "", 200, "held");
    close(fd);
}

/* Limits. */

static void check_refusal(const char *request, size_t filler, int status, const char *code)
{
    reply r;
    char *junk = malloc(filler + 1);
    memset(junk, 'a', filler);
    int fd = dial(f);
    send_text(fd, request);
    send_bytes(fd, junk, filler);
    read_reply(fd, &r, false);
    assert_int_equal(r.status, status);
    check_error(&r, "invalid_request_error", code);
    assert_string_equal(reply_header(&r, "Connection"), "close");
    reply_free(&r);
    assert_true(closed_by_server(fd));
    close(fd);
    free(junk);
}

static void test_http_rude__large_headers_are_a_431(void **state)
{
    (void)state;
    check_refusal("GET / HTTP/1.1\r\nX: ", 5000, 431, "headers_too_large");
    rag_buf many;
    rag_buf_init(&many, 4096);
    rag_buf_puts(&many, "GET / HTTP/1.1\r\n" HOST);
    for (int i = 0; i < 101; i++)
        rag_buf_puts(&many, "X: y\r\n");
    rag_buf_puts(&many, "\r\n");
    check_refusal(many.ptr, 0, 431, "too_many_headers");
    rag_buf_free(&many);
}

static void test_http_rude__a_long_target_is_a_414(void **state)
{
    (void)state;
    check_refusal("GET /", 5000, 414, "target_too_long");
}

static void test_http_rude__a_large_body_is_a_413(void **state)
{
    (void)state;
    check_refusal("POST / HTTP/1.1\r\n" HOST "Content-Length: 100001\r\n\r\n", 0, 413, "body_too_large");
    check_refusal("POST / HTTP/1.1\r\n" HOST "Content-Length: 99999999999999999999999\r\n\r\n", 0, 413, "body_too_large");
    check_refusal("POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n186A1\r\n", 0, 413, "body_too_large");
    check_refusal("POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n1\r\na\r\n186A0\r\n", 0, 413,
                  "body_too_large");
    assert_int_equal(atomic_load(&f->seen), 0);
}

/* Closing with unread input would send RST, and with it the client may lose the reply. */
static void test_http_rude__the_refusal_arrives_although_the_body_goes_on(void **state)
{
    char c;
    static char junk[1000000];
    (void)state;
    int fd = dial(f);
    memset(junk, 'a', sizeof junk);
    send_text(fd, "POST / HTTP/1.1\r\n" HOST "Content-Length: 1000000\r\n\r\n");
    send_bytes(fd, junk, sizeof junk);
    expect(fd, "", 413, NULL);
    assert_int_equal(recv(fd, &c, 1, 0), 0);
    close(fd);
}

/* Crowds. */

static int start_small(void **state)
{
    http_options o = fixture_options();
    (void)state;
    o.max_connections = 2;
    f = fixture_start(o);
    return 0;
}

static void test_http_rude__a_connection_too_many_gets_a_503(void **state)
{
    reply r;
    (void)state;
    int a = dial(f), b = dial_unix(f);
    expect(a, ECHO, 200, NULL);
    expect(b, ECHO, 200, NULL);
    int c = dial(f);
    send_text(c, ECHO);
    read_reply(c, &r, false);
    assert_int_equal(r.status, 503);
    check_error(&r, "overloaded_error", "too_many_connections");
    assert_string_equal(reply_header(&r, "Retry-After"), "1");
    reply_free(&r);
    assert_true(closed_by_server(c));
    close(c);
    assert_int_equal(fixture_connections(f), 2);
    close(a);
    assert_true(wait_for_connections(f, 1));
    a = dial(f);
    expect(a, ECHO, 200, NULL);
    close(a);
    close(b);
}

static void test_http_rude__a_crowd_does_not_hold_descriptors(void **state)
{
    enum { CROWD = 200 };
    int crowd[CROWD], refused = 0;
    (void)state;
    int a = dial(f), b = dial(f);
    expect(a, ECHO, 200, NULL);
    expect(b, ECHO, 200, NULL);
    for (int i = 0; i < CROWD; i++)
        crowd[i] = dial(f);
    for (int i = 0; i < CROWD; i++) {
        reply r;
        read_reply(crowd[i], &r, false);
        refused += r.status == 503;
        reply_free(&r);
        assert_true(closed_by_server(crowd[i]));
        close(crowd[i]);
    }
    assert_in_range(refused, 64, CROWD - 1); /* the others are closed without a word */
    expect(a, ECHO, 200, NULL);
    close(a);
    close(b);
}

static void set_limit(rlim_t soft)
{
    struct rlimit limit;
    getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = soft;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
}

static size_t count_lines(const char *path)
{
    size_t n = 0;
    rag_buf text;
    rag_buf_init(&text, 1024 * 1024);
    assert_int_equal(rag_file_read(path, &text, NULL), RAG_OK);
    for (size_t i = 0; i < text.len; i++)
        n += text.ptr[i] == '\n';
    rag_buf_free(&text);
    return n;
}

/* A client's connect succeeds in the kernel's backlog although accept fails. */
static void test_http_rude__accept_pauses_when_descriptors_are_out(void **state)
{
    char log[128];
    struct rlimit old;
    (void)state;
    snprintf(log, sizeof log, "%s/log", f->folder);
    assert_int_equal(rag_log_open(log, RAG_INFO, NULL), RAG_OK);
    getrlimit(RLIMIT_NOFILE, &old);
    int fd = dial(f);
    expect(fd, ECHO, 200, NULL);
    int waiting = dial(f);
    assert_true(wait_for_connections(f, 2));
    int late = socket(AF_INET, SOCK_STREAM, 0);
    close(late);
    set_limit((rlim_t)late + 1); /* room for the client's socket alone */
    late = dial(f);
    usleep(500000);
    expect(fd, ECHO, 200, NULL);
    set_limit(old.rlim_cur);
    expect(late, ECHO, 200, NULL);
    rag_log_close();
    size_t pauses = count_lines(log);
    assert_in_range(pauses, 1, 20); /* one each 100 ms; a loop that spins logs thousands */
    close(fd);
    close(waiting);
    close(late);
    unlink(log);
}

#define WITH(begin, test) cmocka_unit_test_setup_teardown(test, begin, stop)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH(start, test_http_rude__fin_before_the_reply_is_noticed),
        WITH(start, test_http_rude__rst_before_the_reply_is_noticed),
        WITH(start, test_http_rude__leaving_the_unix_socket_is_noticed),
        WITH(start, test_http_rude__request_and_fin_together_are_noticed),
        WITH(start, test_http_rude__leaving_is_noticed_behind_unread_input),
        WITH(start, test_http_rude__half_close_while_waiting_is_leaving),
        WITH(start, test_http_rude__half_close_still_gets_replies_made_at_once),
        WITH(start, test_http_rude__an_incomplete_request_is_a_400),
        WITH(start, test_http_rude__leaving_in_the_middle_of_a_request_frees_it),
        WITH(start, test_http_rude__fin_in_a_stream_is_noticed),
        WITH(start, test_http_rude__rst_in_a_stream_is_noticed),
        WITH(start, test_http_rude__leaving_a_stream_on_the_unix_socket_is_noticed),
        WITH(start, test_http_rude__sigpipe_is_ignored),
        WITH(start, test_http_rude__a_flood_before_the_reply_stays_in_the_kernel),
        WITH(start, test_http_rude__a_flood_during_a_stream_stays_in_the_kernel),
        WITH(start, test_http_rude__pipelining_without_reading_is_bounded),
        WITH(start_stalling, test_http_rude__a_client_that_does_not_read_is_dropped),
        WITH(start_stalling, test_http_rude__a_client_that_crawls_is_dropped),
        WITH(start_stalling, test_http_rude__a_reply_that_is_not_read_is_dropped),
        WITH(start_stalling, test_http_rude__a_steady_reader_is_kept),
        WITH(start_hurried, test_http_rude__slow_headers_end_at_an_absolute_deadline),
        WITH(start_hurried, test_http_rude__slow_headers_of_a_later_request_end_too),
        WITH(start_hurried_body, test_http_rude__a_slow_body_ends_at_an_absolute_deadline),
        WITH(start_hurried_body, test_http_rude__slow_chunks_end_at_an_absolute_deadline),
        WITH(start_hurried, test_http_rude__empty_lines_do_not_extend_the_deadline),
        WITH(start_hurried, test_http_rude__silent_and_idle_connections_are_closed),
        WITH(start_hurried, test_http_rude__a_waiting_request_is_not_timed),
        WITH(start, test_http_rude__large_headers_are_a_431),
        WITH(start, test_http_rude__a_long_target_is_a_414),
        WITH(start, test_http_rude__a_large_body_is_a_413),
        WITH(start, test_http_rude__the_refusal_arrives_although_the_body_goes_on),
        WITH(start_small, test_http_rude__a_connection_too_many_gets_a_503),
        WITH(start_small, test_http_rude__a_crowd_does_not_hold_descriptors),
        WITH(start, test_http_rude__accept_pauses_when_descriptors_are_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
