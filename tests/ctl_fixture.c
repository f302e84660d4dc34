#include "tests/ctl_fixture.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cjson/cJSON.h>

#include "base/file.h"
#include "base/str.h"

enum { MAX_CONNECTIONS = 512, MAX_BUSY = 64, HEAD_BYTES = 8192 };

struct fake_daemon {
    int listener;
    char folder[64], socket[96];
    pthread_t acceptor;
    pthread_mutex_t mu;
    pthread_cond_t changed;
    pthread_t threads[MAX_CONNECTIONS];
    int fds[MAX_CONNECTIONS];
    int connections, requests, at_once, most_at_once;
    bool is_stopping;
    char last_head[HEAD_BYTES];
    char busy_questions[MAX_BUSY][64];
    int busy_counts[MAX_BUSY];
};

typedef struct connection {
    fake_daemon *f;
    int fd;
} connection;

/* ---- replies ---------------------------------------------------------------------- */

static void send_all(int fd, const char *bytes, size_t n)
{
    while (n > 0) {
        ssize_t sent = send(fd, bytes, n, MSG_NOSIGNAL);
        if (sent <= 0)
            return;
        bytes += sent;
        n -= (size_t)sent;
    }
}

static void reply(int fd, int status, const char *headers, const char *type, const char *body)
{
    char head[512];
    int n = snprintf(head, sizeof head, "HTTP/1.1 %d X\r\nContent-Type: %s\r\nContent-Length: %zu\r\n%s\r\n", status, type,
                     strlen(body), headers);
    send_all(fd, head, (size_t)n);
    send_all(fd, body, strlen(body));
}

static void reply_json(int fd, int status, const char *headers, cJSON *body)
{
    char *text = cJSON_Print(body); /* of several lines: ragctl has to make one of it */
    reply(fd, status, headers, "application/json", text);
    free(text);
    cJSON_Delete(body);
}

static void reply_error(int fd, int status, const char *headers)
{
    cJSON *body = cJSON_CreateObject(), *error = cJSON_AddObjectToObject(body, "error");
    cJSON_AddStringToObject(error, "code", "canned");
    cJSON_AddStringToObject(error, "message", "the fake says no");
    reply_json(fd, status, headers, body);
}

static cJSON *make_answer(const char *answer, const char *document, const char *quote, const char *how)
{
    cJSON *body = cJSON_CreateObject();
    cJSON_AddStringToObject(body, "conversation_id", "c-1");
    cJSON_AddStringToObject(body, "outcome", how);
    cJSON_AddStringToObject(body, "answer", answer);
    cJSON *citation = cJSON_CreateObject();
    cJSON_AddNumberToObject(citation, "n", 1);
    cJSON_AddStringToObject(citation, "document", document);
    cJSON_AddNumberToObject(citation, "line_start", 12);
    cJSON_AddStringToObject(citation, "quote", quote);
    cJSON_AddItemToArray(cJSON_AddArrayToObject(body, "citations"), citation);
    return body;
}

static void add_result(cJSON *body)
{
    cJSON *result = cJSON_CreateObject();
    cJSON_AddNumberToObject(result, "rank", 1);
    cJSON_AddStringToObject(result, "document", "returns.md");
    cJSON_AddStringToObject(result, "title", "Returns");
    cJSON_AddItemToObject(result, "heading", cJSON_Parse("[\"Shop\",\"Time\"]"));
    cJSON_AddNumberToObject(result, "line_start", 12);
    cJSON_AddNumberToObject(result, "line_end", 15);
    cJSON_AddStringToObject(result, "text", "Returns are accepted\nwithin 30 days.");
    cJSON_AddNumberToObject(result, "score", 0.03125);
    cJSON_AddItemToArray(cJSON_GetObjectItem(body, "results"), result);
}

static cJSON *make_candidate(const char *fate, int result, const char *document, const char *terms, double rerank_score)
{
    cJSON *c = cJSON_CreateObject();
    cJSON_AddStringToObject(c, "fate", fate);
    if (result)
        cJSON_AddNumberToObject(c, "result", result);
    else
        cJSON_AddNullToObject(c, "result");
    cJSON_AddNumberToObject(c, "chunk_id", 123456);
    cJSON_AddStringToObject(c, "document", document);
    cJSON_AddNumberToObject(c, "vector_rank", 12);
    cJSON_AddNumberToObject(c, "vector_score", 0.87654);
    cJSON_AddNullToObject(c, "text_rank");
    cJSON_AddNumberToObject(c, "text_score", 7.2134);
    cJSON_AddNumberToObject(c, "fused_score", 0.91234);
    if (rerank_score > 0)
        cJSON_AddNumberToObject(c, "rerank_score", rerank_score);
    else
        cJSON_AddNullToObject(c, "rerank_score");
    cJSON_AddItemToObject(c, "terms", cJSON_Parse(terms));
    return c;
}

static void add_explanation(cJSON *body, double rerank_score)
{
    cJSON *explain = cJSON_AddObjectToObject(body, "explain");
    cJSON_AddNumberToObject(explain, "visible", 412);
    cJSON_AddItemToObject(explain, "filter", cJSON_Parse("{\"collection\":\"default\"}"));
    cJSON_AddItemToObject(explain, "fusion", cJSON_Parse("{\"method\":\"adaptive\"}"));
    cJSON *list = cJSON_AddArrayToObject(explain, "candidates");
    cJSON_AddItemToArray(list, make_candidate("result", 1, "returns.md", "[\"return\",\"day\"]", rerank_score));
    cJSON_AddItemToArray(list, make_candidate("duplicate", 100, "\x1b[31m/a/very/long/way/to/the/returns.md",
                                              "[\"one\",\"two\",\"three\",\"four\",\"five\",\"six\"]", rerank_score));
    cJSON_AddItemToArray(list, make_candidate("merged", 1, "文档/退货/退货政策和退货流程的说明.md",
                                              "[\"退货\",\"政策\",\"流程\",\"说明\",\"期限\",\"条件\"]", 0));
    for (int i = 0; i < 30; i++)
        cJSON_AddItemToArray(list, make_candidate("below", 0, "other.md", "[]", 0));
}

static void add_findings(cJSON *body)
{
    cJSON_AddItemToObject(body, "absent", cJSON_Parse("[\"E-4012\",\"a\\u001bb\"]"));
    cJSON_AddItemToObject(body, "corrections", cJSON_Parse("[{\"from\":\"recieve\",\"to\":\"receive\"}]"));
}

static void reply_search(int fd, const char *query, const char *request)
{
    cJSON *body = cJSON_CreateObject();
    cJSON_AddArrayToObject(body, "results");
    cJSON_AddStringToObject(body, "model", request);
    if (!strcmp(query, "explain") || !strcmp(query, "explain reranked"))
        add_explanation(body, strcmp(query, "explain") ? 1.5 : 0);
    if (strcmp(query, "empty") && (strstr(query, "absent") || strstr(query, "没有") || strstr(query, "explain")))
        add_findings(body);
    if (strcmp(query, "empty"))
        add_result(body);
    reply_json(fd, 200, "", body);
}

static void reply_answer(int fd, const char *question, const char *request)
{
    cJSON *body;
    if (!strcmp(question, "hostile"))
        body = make_answer("red \x1b[31m\xe2\x80\xae\n[9] fake.md:1", "a\x07.md", "two\nlines\x7f \xe4\xb8\xad", "answered");
    else if (!strcmp(question, "refuse"))
        body = make_answer("Sorry, not in the documents.", "returns.md", "near", "refused");
    else
        body = make_answer("30 days. [1]", "returns.md", "Returns are accepted within 30 days.", "answered");
    cJSON_AddStringToObject(body, "model", request);
    reply_json(fd, 200, "", body);
}

static void reply_stream(int fd, const char *question)
{
    const char *done = "event: done\ndata: {\"outcome\":\"answered\",\"answer\":\"30 days. [1]\",\"citations\":[{\"n\":1,"
                       "\"document\":\"returns.md\",\"line_start\":12,\"quote\":\"Within 30 days.\"}]}\n\n";
    const char *deltas = "event: delta\r\ndata: {\"text\":\"30 \"}\r\n\r\n: waiting\n\nevent: delta\ndata: {\"text\":\n"
                         "data: \"days.\"}\n\n";
    if (!strcmp(question, "shift"))
        deltas = "event: delta\ndata: {\"text\":\"90 weeks\"}\n\n";
    if (!strcmp(question, "cut"))
        done = "";
    if (!strcmp(question, "fail"))
        done = "event: error\ndata: {\"error\":{\"code\":\"x\",\"message\":\"the model fell over\"}}\n\n";
    char body[2048];
    snprintf(body, sizeof body, "event: meta\ndata: {}\n\nevent: draft\ndata: {\"text\":\"a draft\",\"citations\":[]}\n\n%s%s",
             deltas, done);
    reply(fd, 200, "", "text/event-stream", body);
}

/* True while the question is to be turned away. */
static bool is_busy(fake_daemon *f, const char *question)
{
    int limit = 0, slot = 0;
    if (sscanf(question, "busy %d", &limit) != 1)
        return false;
    pthread_mutex_lock(&f->mu);
    while (slot < MAX_BUSY - 1 && f->busy_questions[slot][0] && strcmp(f->busy_questions[slot], question))
        slot++;
    snprintf(f->busy_questions[slot], sizeof f->busy_questions[slot], "%s", question);
    bool busy = f->busy_counts[slot]++ < limit;
    pthread_mutex_unlock(&f->mu);
    return busy;
}

static void wait_for_requests(fake_daemon *f, const char *question)
{
    int n = 0;
    if (sscanf(question, "wait %d", &n) != 1)
        return;
    pthread_mutex_lock(&f->mu);
    while (f->requests < n && !f->is_stopping)
        pthread_cond_wait(&f->changed, &f->mu);
    pthread_mutex_unlock(&f->mu);
}

/* False: the connection is to be closed. */
static bool answer(fake_daemon *f, int fd, const char *path, const char *request)
{
    cJSON *json = cJSON_Parse(request);
    bool is_ask = !strcmp(path, "/v1/ask"), keep = true;
    const char *text = cJSON_GetStringValue(cJSON_GetObjectItem(json, is_ask ? "question" : "query"));
    int status = 0;
    text = text ? text : "";
    wait_for_requests(f, text);
    if (!strcmp(text, "break"))
        keep = false;
    else if (!strcmp(text, "garbage"))
        reply(fd, 200, "", "application/json", "{\"answer\":");
    else if (!strcmp(text, "full") || is_busy(f, text))
        reply_error(fd, 503, "Retry-After: 0\r\n");
    else if (sscanf(text, "status %d", &status) == 1)
        reply_error(fd, status, "");
    else if (!is_ask)
        reply_search(fd, text, request);
    else if (cJSON_IsTrue(cJSON_GetObjectItem(json, "stream")))
        reply_stream(fd, text);
    else
        reply_answer(fd, text, request);
    cJSON_Delete(json);
    return keep;
}

static bool route(fake_daemon *f, int fd, const char *path, const char *body)
{
    if (!strcmp(path, "/v1/ask") || !strcmp(path, "/v1/search"))
        return answer(f, fd, path, body);
    if (!strcmp(path, "/v1/verify"))
        reply(fd, 200, "", "application/json", "{\"ok\":false,\"problems\":[\"chunk 3 has no embedding\",\"two\"]}");
    else if (!strcmp(path, "/v1/reload"))
        reply(fd, 400, "", "application/json", "{\"error\":{\"code\":\"bad_configuration\",\"message\":\"stays\"}}");
    else if (!strcmp(path, "/v1/status"))
        reply(fd, 200, "", "application/json",
              "{\"status\":\"ready\",\"version\":\"9.9\",\"uptime_s\":3723.5,\"generation\":7,\"documents\":42,"
              "\"memory\":{\"kv_cache\":1500000,\"runtime_buffers\":2000000,\"rss_anon\":9000000}}");
    else if (!strcmp(path, "/v1/documents/7/text"))
        reply(fd, 200, "", "text/plain", "one\ntwo\nthree");
    else if (!strcmp(path, "/v1/documents/7"))
        reply(fd, 200, "", "application/json", "{\"id\":7,\"path\":\"a b.md\",\"bytes\":13,\"chunks\":1}");
    else if (!strncmp(path, "/v1/documents?", 14))
        reply(fd, 200, "", "application/json",
              strstr(path, "after=0") ? "{\"generation\":4,\"documents\":[{\"id\":7,\"path\":\"a b.md\",\"title\":\"T\"}]}"
                                      : "{\"generation\":4,\"documents\":[]}");
    else
        reply_error(fd, 404, "");
    return true;
}

/* ---- server ----------------------------------------------------------------------- */

/* Reads one request into buf; the body's place in *body. */
static bool read_request(int fd, rag_buf *buf, size_t *body)
{
    char bytes[4096];
    size_t need = SIZE_MAX;
    rag_buf_clear(buf);
    while (buf->len < need) {
        ssize_t n = recv(fd, bytes, sizeof bytes, 0);
        if (n <= 0)
            return false;
        rag_buf_put(buf, (rag_str){ bytes, (size_t)n });
        char *end = strstr(buf->ptr, "\r\n\r\n"), *length = strstr(buf->ptr, "Content-Length: ");
        if (!end)
            continue;
        *body = (size_t)(end + 4 - buf->ptr);
        need = *body + (length && length < end ? strtoul(length + 16, NULL, 10) : 0);
    }
    return true;
}

static void note(fake_daemon *f, const char *head, size_t n)
{
    pthread_mutex_lock(&f->mu);
    f->requests++;
    f->at_once++;
    f->most_at_once = f->at_once > f->most_at_once ? f->at_once : f->most_at_once;
    snprintf(f->last_head, sizeof f->last_head, "%.*s", (int)n, head);
    pthread_cond_broadcast(&f->changed);
    pthread_mutex_unlock(&f->mu);
}

static void *serve(void *context)
{
    connection *k = context;
    fake_daemon *f = k->f;
    rag_buf buf;
    size_t body = 0;
    bool keep = true;
    rag_buf_init(&buf, RAG_MAX_REPLY);
    while (keep && read_request(k->fd, &buf, &body)) {
        char method[16], path[512];
        note(f, buf.ptr, body);
        if (sscanf(buf.ptr, "%15s %511s", method, path) != 2)
            break;
        keep = route(f, k->fd, path, buf.ptr + body);
        pthread_mutex_lock(&f->mu);
        f->at_once--;
        pthread_mutex_unlock(&f->mu);
    }
    shutdown(k->fd, SHUT_RDWR);
    rag_buf_free(&buf);
    free(k);
    return NULL;
}

static void *accept_all(void *context)
{
    fake_daemon *f = context;
    int fd;
    while ((fd = accept(f->listener, NULL, NULL)) >= 0) {
        connection *k = rag_calloc(1, sizeof *k);
        *k = (connection){ f, fd };
        pthread_mutex_lock(&f->mu);
        int n = f->connections;
        if (n == MAX_CONNECTIONS)
            abort();
        f->fds[n] = fd;
        f->connections++;
        pthread_create(&f->threads[n], NULL, serve, k);
        pthread_mutex_unlock(&f->mu);
    }
    return NULL;
}

fake_daemon *fake_daemon_start(void)
{
    fake_daemon *f = rag_calloc(1, sizeof *f);
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    pthread_mutex_init(&f->mu, NULL);
    pthread_cond_init(&f->changed, NULL);
    snprintf(f->folder, sizeof f->folder, "/tmp/test_ctl.XXXXXX");
    if (!mkdtemp(f->folder))
        abort();
    snprintf(f->socket, sizeof f->socket, "%s/s", f->folder);
    snprintf(address.sun_path, sizeof address.sun_path, "%s", f->socket);
    f->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (bind(f->listener, (struct sockaddr *)&address, sizeof address) || listen(f->listener, 128))
        abort();
    pthread_create(&f->acceptor, NULL, accept_all, f);
    return f;
}

void fake_daemon_stop(fake_daemon *f)
{
    shutdown(f->listener, SHUT_RDWR);
    pthread_join(f->acceptor, NULL);
    close(f->listener);
    pthread_mutex_lock(&f->mu);
    f->is_stopping = true;
    pthread_cond_broadcast(&f->changed);
    pthread_mutex_unlock(&f->mu);
    for (int i = 0; i < f->connections; i++) {
        shutdown(f->fds[i], SHUT_RDWR);
        pthread_join(f->threads[i], NULL);
        close(f->fds[i]);
    }
    rag_dir_remove(f->folder, NULL);
    pthread_cond_destroy(&f->changed);
    pthread_mutex_destroy(&f->mu);
    free(f);
}

const char *fake_daemon_socket(const fake_daemon *f)
{
    return f->socket;
}

const char *fake_daemon_folder(const fake_daemon *f)
{
    return f->folder;
}

static int locked(fake_daemon *f, const int *value)
{
    pthread_mutex_lock(&f->mu);
    int n = *value;
    pthread_mutex_unlock(&f->mu);
    return n;
}

int fake_daemon_requests(fake_daemon *f)
{
    return locked(f, &f->requests);
}

int fake_daemon_connections(fake_daemon *f)
{
    return locked(f, &f->connections);
}

int fake_daemon_most_at_once(fake_daemon *f)
{
    return locked(f, &f->most_at_once);
}

const char *fake_daemon_last_head(fake_daemon *f)
{
    static char copy[sizeof f->last_head];
    pthread_mutex_lock(&f->mu);
    memcpy(copy, f->last_head, sizeof copy);
    pthread_mutex_unlock(&f->mu);
    return copy;
}

/* ---- runner ----------------------------------------------------------------------- */

typedef struct pump {
    int to, from[2];
    const char *input;
    size_t left;
    rag_buf got[2];
} pump;

static void close_pipe(int *fd)
{
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
}

static void pump_once(pump *p)
{
    struct pollfd fds[3] = { { p->to, POLLOUT, 0 }, { p->from[0], POLLIN, 0 }, { p->from[1], POLLIN, 0 } };
    char bytes[4096];
    poll(fds, 3, -1);
    if (fds[0].revents) {
        ssize_t n = write(p->to, p->input, p->left);
        if (n > 0) {
            p->input += n;
            p->left -= (size_t)n;
        }
        if (p->left == 0 || (n < 0 && errno != EAGAIN))
            close_pipe(&p->to);
    }
    for (int i = 0; i < 2; i++) {
        if (!fds[i + 1].revents)
            continue;
        ssize_t n = read(p->from[i], bytes, sizeof bytes);
        if (n <= 0)
            close_pipe(&p->from[i]);
        else
            rag_buf_put(&p->got[i], (rag_str){ bytes, (size_t)n });
    }
}

outcome program_run(const char *input, const char *const *words)
{
    int in[2], out[2], err[2], status = 0;
    if (pipe2(in, O_CLOEXEC) || pipe2(out, O_CLOEXEC) || pipe2(err, O_CLOEXEC))
        abort();
    pid_t child = fork();
    if (child == 0) {
        dup2(in[0], 0);
        dup2(out[1], 1);
        dup2(err[1], 2);
        execv(words[0], (char *const *)words);
        _exit(127);
    }
    close(in[0]);
    close(out[1]);
    close(err[1]);
    signal(SIGPIPE, SIG_IGN);
    fcntl(in[1], F_SETFL, O_NONBLOCK);
    pump p = { .to = in[1], .from = { out[0], err[0] }, .input = input ? input : "", .left = input ? strlen(input) : 0 };
    rag_buf_init(&p.got[0], RAG_MAX_TEXT);
    rag_buf_init(&p.got[1], RAG_MAX_TEXT);
    if (!p.left)
        close_pipe(&p.to);
    while (p.from[0] >= 0 || p.from[1] >= 0)
        pump_once(&p);
    close_pipe(&p.to);
    waitpid(child, &status, 0);
    return (outcome){ WIFEXITED(status) ? WEXITSTATUS(status) : -1, rag_buf_detach(&p.got[0]),
                      rag_buf_detach(&p.got[1]) };
}

outcome ragctl_run(const char *input, const char *const *words)
{
    const char *all[64];
    char *here = rag_path_self_dir(), *program = rag_path_join(here, "../bin/ragctl");
    size_t n = 0;
    all[n++] = program;
    for (size_t i = 0; words[i] && n < 63; i++)
        all[n++] = words[i];
    all[n] = NULL;
    outcome o = program_run(input, all);
    free(program);
    free(here);
    return o;
}

void outcome_free(outcome *o)
{
    free(o->out);
    free(o->err);
}
