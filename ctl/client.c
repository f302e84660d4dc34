#include "ctl/client.h"

#include <curl/curl.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "ctl/json.h"

enum { CONNECT_TIMEOUT_MS = 5000 };

struct client {
    CURL *easy;
    struct curl_slist *headers;
    char *base; /* URL without a trailing slash */
    char *socket_path;
    int64_t timeout_ms;
};

/* One request under way. */
typedef struct call {
    CURL *easy;
    client_reply reply;
    bool (*take)(void *context, rag_str bytes);
    void *context;
    bool is_stopped; /* by take */
    bool is_too_large;
    char error[CURL_ERROR_SIZE];
} call;

struct client_pool {
    client *client;
    CURLM *multi;
    call *calls;
    size_t slots;
    client_done *done;
    void *context;
};

static size_t on_body(char *bytes, size_t size, size_t count, void *context)
{
    call *k = context;
    rag_str piece = { bytes, size * count };
    long status = 0;
    curl_easy_getinfo(k->easy, CURLINFO_RESPONSE_CODE, &status);
    if (k->take && status >= 200 && status < 300) {
        k->is_stopped = !k->take(k->context, piece);
        return k->is_stopped ? 0 : piece.len;
    }
    rag_buf_put(&k->reply.body, piece);
    k->is_too_large = k->reply.body.overflow;
    return k->is_too_large ? 0 : piece.len;
}

static size_t on_header(char *bytes, size_t size, size_t count, void *context)
{
    static const char name[] = "retry-after:";
    call *k = context;
    size_t len = size * count;
    if (len >= sizeof name && !strncasecmp(bytes, name, sizeof name - 1)) {
        char value[32] = "";
        size_t n = len - (sizeof name - 1);
        memcpy(value, bytes + sizeof name - 1, n < sizeof value ? n : sizeof value - 1);
        char *end = NULL;
        double seconds = strtod(value, &end);
        if (end != value && seconds >= 0)
            k->reply.retry_after_s = seconds;
    }
    return len;
}

static void reset(call *k, CURL *easy)
{
    rag_buf body = k->reply.body;
    if (!body.max)
        rag_buf_init(&body, RAG_MAX_REPLY);
    rag_buf_clear(&body);
    *k = (call){ .easy = easy, .reply = { .retry_after_s = -1, .body = body } };
}

static void prepare_address(const client *c, CURL *easy, const char *path)
{
    rag_buf url;
    rag_buf_init(&url, RAG_MAX_LINE);
    rag_buf_puts(&url, c->base);
    rag_buf_puts(&url, path);
    curl_easy_setopt(easy, CURLOPT_URL, url.ptr);
    rag_buf_free(&url);
    if (c->socket_path)
        curl_easy_setopt(easy, CURLOPT_UNIX_SOCKET_PATH, c->socket_path);
    curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(easy, CURLOPT_PROXY, "");
    curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, (long)CONNECT_TIMEOUT_MS);
    curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, (long)c->timeout_ms);
}

static void prepare(const client *c, call *k, const char *method, const char *path, rag_str body)
{
    CURL *easy = k->easy;
    curl_easy_reset(easy);
    prepare_address(c, easy, path);
    curl_easy_setopt(easy, CURLOPT_HTTPHEADER, c->headers);
    curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, k->error);
    curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_body);
    curl_easy_setopt(easy, CURLOPT_WRITEDATA, k);
    curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, on_header);
    curl_easy_setopt(easy, CURLOPT_HEADERDATA, k);
    if (!strcmp(method, "POST")) {
        curl_easy_setopt(easy, CURLOPT_POST, 1L);
        curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)body.len);
        curl_easy_setopt(easy, CURLOPT_POSTFIELDS, body.len ? body.ptr : "");
    } else if (strcmp(method, "GET")) {
        curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, method);
    }
}

static rag_code fail_connect(const client *c, const call *k, CURLcode code, rag_err *err)
{
    long os_errno = 0;
    curl_easy_getinfo(k->easy, CURLINFO_OS_ERRNO, &os_errno);
    const char *why = os_errno ? strerror((int)os_errno) : k->error[0] ? k->error : curl_easy_strerror(code);
    if (os_errno == EACCES || os_errno == EPERM)
        return rag_fail(err, RAG_DENIED, "no right to reach the daemon at %s: %s", client_address(c), why);
    return rag_fail(err, RAG_UNREACHABLE, "cannot reach the daemon at %s: %s; is ragd running?", client_address(c),
                    why);
}

/* What became of a request, in our words. */
static rag_code judge(const client *c, call *k, CURLcode code, rag_err *err)
{
    long status = 0;
    double connected_s = 0;
    curl_easy_getinfo(k->easy, CURLINFO_RESPONSE_CODE, &status);
    k->reply.status = (int)status;
    if (code == CURLE_OK)
        return RAG_OK;
    if (k->is_stopped)
        return rag_fail(err, RAG_CANCELED, "stopped reading");
    if (k->is_too_large)
        return rag_fail(err, RAG_TOO_LARGE, "the daemon's reply is larger than %zu bytes", k->reply.body.max);
    curl_easy_getinfo(k->easy, CURLINFO_CONNECT_TIME, &connected_s);
    if (code == CURLE_COULDNT_CONNECT || code == CURLE_COULDNT_RESOLVE_HOST ||
        (code == CURLE_OPERATION_TIMEDOUT && connected_s <= 0))
        return fail_connect(c, k, code, err);
    if (code == CURLE_OPERATION_TIMEDOUT)
        return rag_fail(err, RAG_DEADLINE, "the daemon at %s did not answer within %lld ms", client_address(c),
                        (long long)c->timeout_ms);
    return rag_fail(err, RAG_IO, "the connection to the daemon at %s broke: %s", client_address(c),
                    k->error[0] ? k->error : curl_easy_strerror(code));
}

static rag_code run(client *c, call *k, const char *method, const char *path, rag_str body, rag_err *err)
{
    prepare(c, k, method, path, body);
    return judge(c, k, curl_easy_perform(c->easy), err);
}

static void add_header(client *c, const char *line)
{
    struct curl_slist *more = curl_slist_append(c->headers, line);
    if (more)
        c->headers = more;
}

static void add_headers(client *c, rag_str key)
{
    add_header(c, "Content-Type: application/json");
    add_header(c, "Expect:"); /* no 100-continue round trip for large bodies */
    add_header(c, "User-Agent: ragctl/" RAGD_VERSION);
    if (!key.len)
        return;
    rag_buf line;
    rag_buf_init(&line, RAG_MAX_LINE);
    rag_buf_putf(&line, "Authorization: Bearer %.*s", RAG_STR_ARG(key));
    add_header(c, line.ptr);
    rag_buf_free(&line);
}

static char *trim_url(const char *url)
{
    rag_str s = rag_str_of(url);
    while (s.len && s.ptr[s.len - 1] == '/')
        s.len--;
    return rag_strndup(s);
}

rag_code client_open(client **out, const client_options *opt, rag_err *err)
{
    *out = NULL;
    if (curl_global_init(CURL_GLOBAL_DEFAULT))
        return rag_fail(err, RAG_IO, "cannot start libcurl");
    client *c = rag_calloc(1, sizeof *c);
    c->easy = curl_easy_init();
    c->base = opt->socket_path ? rag_strdup("http://ragd") : trim_url(opt->url);
    c->socket_path = opt->socket_path ? rag_strdup(opt->socket_path) : NULL;
    c->timeout_ms = opt->timeout_ms;
    add_headers(c, opt->key);
    *out = c;
    return c->easy ? RAG_OK : rag_fail(err, RAG_IO, "cannot start libcurl");
}

void client_close(client *c)
{
    if (!c)
        return;
    curl_easy_cleanup(c->easy);
    curl_slist_free_all(c->headers);
    free(c->base);
    free(c->socket_path);
    free(c);
    curl_global_cleanup();
}

const char *client_address(const client *c)
{
    return c->socket_path ? c->socket_path : c->base;
}

rag_code client_call(client *c, const char *method, const char *path, rag_str body, client_reply *reply, rag_err *err)
{
    return client_stream(c, method, path, body, NULL, NULL, reply, err);
}

rag_code client_stream(client *c, const char *method, const char *path, rag_str body,
                       bool (*take)(void *context, rag_str bytes), void *context, client_reply *reply, rag_err *err)
{
    call k = { 0 };
    reset(&k, c->easy);
    k.take = take;
    k.context = context;
    rag_code code = run(c, &k, method, path, body, err);
    *reply = k.reply;
    return code;
}

static rag_code code_of_status(int status)
{
    switch (status) {
    case 400:
    case 422:
        return RAG_INVALID;
    case 401:
    case 403:
        return RAG_DENIED;
    case 404:
        return RAG_NOT_FOUND;
    case 413:
        return RAG_TOO_LARGE;
    case 503:
        return RAG_FULL;
    default:
        return RAG_IO;
    }
}

rag_code client_check(const client_reply *reply, rag_err *err)
{
    if (reply->status >= 200 && reply->status < 300)
        return RAG_OK;
    cJSON *body = json_parse(rag_buf_str(&reply->body), NULL);
    const cJSON *error = cJSON_GetObjectItemCaseSensitive(body, "error");
    const char *message = json_string(error, "message");
    bool is_configuration = !strcmp(json_string(error, "code"), "bad_configuration");
    rag_code code = is_configuration ? RAG_CONFIG : code_of_status(reply->status);
    if (*message)
        rag_fail(err, code, "%s (HTTP %d, %s)", message, reply->status, json_string(error, "code"));
    else
        rag_fail(err, code, "the daemon answered with HTTP status %d", reply->status);
    cJSON_Delete(body);
    return code;
}

rag_code client_pool_open(client_pool **out, client *c, size_t slots, client_done *done, void *context, rag_err *err)
{
    client_pool *p = rag_calloc(1, sizeof *p);
    *out = p;
    *p = (client_pool){ .client = c, .multi = curl_multi_init(), .slots = slots, .done = done, .context = context };
    p->calls = rag_calloc(slots, sizeof *p->calls);
    if (!p->multi)
        return rag_fail(err, RAG_IO, "cannot start libcurl");
    curl_multi_setopt(p->multi, CURLMOPT_MAXCONNECTS, (long)slots);
    for (size_t i = 0; i < slots; i++)
        if (!(p->calls[i].easy = curl_easy_init()))
            return rag_fail(err, RAG_IO, "cannot start libcurl");
    return RAG_OK;
}

void client_pool_close(client_pool *p)
{
    if (!p)
        return;
    for (size_t i = 0; i < p->slots; i++) {
        if (p->calls[i].easy)
            curl_multi_remove_handle(p->multi, p->calls[i].easy);
        curl_easy_cleanup(p->calls[i].easy);
        rag_buf_free(&p->calls[i].reply.body);
    }
    curl_multi_cleanup(p->multi);
    free(p->calls);
    free(p);
}

rag_code client_pool_start(client_pool *p, size_t slot, const char *path, rag_str body, rag_err *err)
{
    call *k = &p->calls[slot];
    reset(k, k->easy);
    prepare(p->client, k, "POST", path, body);
    curl_easy_setopt(k->easy, CURLOPT_PRIVATE, k);
    if (curl_multi_add_handle(p->multi, k->easy))
        return rag_fail(err, RAG_IO, "cannot start a request");
    return RAG_OK;
}

void client_pool_step(client_pool *p)
{
    int running = 0, left = 0;
    CURLMsg *message;
    curl_multi_perform(p->multi, &running);
    while ((message = curl_multi_info_read(p->multi, &left))) {
        CURLcode result = message->data.result;
        call *k = NULL;
        rag_err err = { 0 };
        curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, (char **)&k);
        rag_code code = judge(p->client, k, result, &err);
        curl_multi_remove_handle(p->multi, k->easy);
        p->done(p->context, (size_t)(k - p->calls), code, &k->reply, &err);
    }
}

void client_pool_wait(client_pool *p, int timeout_ms, int fd, bool *readable)
{
    struct curl_waitfd extra = { .fd = fd, .events = CURL_WAIT_POLLIN };
    int ready = 0;
    curl_multi_poll(p->multi, &extra, fd >= 0, timeout_ms < 0 ? 60000 : timeout_ms, &ready);
    *readable = fd >= 0 && extra.revents;
}

void client_escape(rag_buf *out, rag_str s)
{
    static const char plain[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~";
    for (size_t i = 0; i < s.len; i++) {
        if (s.ptr[i] && strchr(plain, s.ptr[i]))
            rag_buf_putc(out, s.ptr[i]);
        else
            rag_buf_putf(out, "%%%02X", (unsigned char)s.ptr[i]);
    }
}
