#include "ctl/ctl.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "ctl/json.h"
#include "ctl/print.h"

enum { DEFAULT_TIMEOUT_MS = 600 * 1000, MAX_KEY_BYTES = 4096 };

/* A bare number is seconds here, as with other command-line clients. */
static rag_code parse_timeout(const char *text, int64_t *out, rag_err *err)
{
    size_t digits = strspn(text, "0123456789");
    bool is_bare = digits > 0 && !text[digits];
    if (digits > 12 || !rag_parse_duration(text, out))
        return rag_fail(err, RAG_INVALID, "--timeout takes a duration like 30s, not '%s'", text);
    *out *= is_bare ? 1000 : 1;
    return RAG_OK;
}

rag_code ctl_open(ctl *c, const args *a, rag_err *err)
{
    *c = (ctl){ .args = a, .json = args_value(a, "json") != NULL, .timeout_ms = DEFAULT_TIMEOUT_MS };
    rag_buf_init(&c->key, MAX_KEY_BYTES);
    if (args_value(a, "socket") && args_value(a, "url"))
        return rag_fail(err, RAG_INVALID, "--socket and --url exclude each other");
    const char *timeout = args_value(a, "timeout");
    return timeout ? parse_timeout(timeout, &c->timeout_ms, err) : RAG_OK;
}

void ctl_close(ctl *c)
{
    client_close(c->client);
    rag_snapshot_release(c->snapshot);
    rag_reader_close(c->reader);
    rag_index_close(c->index);
    rag_conf_free(c->conf);
    rag_buf_free(&c->key);
}

static int exit_of(rag_code code)
{
    switch (code) {
    case RAG_OK:
        return EXIT_DONE;
    case RAG_INVALID:
        return EXIT_USAGE;
    case RAG_UNREACHABLE:
        return EXIT_UNREACHABLE;
    case RAG_DENIED:
        return EXIT_DENIED;
    case RAG_BUSY:
        return EXIT_LOCKED;
    case RAG_CONFIG:
        return EXIT_BAD_CONFIG;
    default:
        return EXIT_FAILED;
    }
}

int ctl_fail(const rag_err *err)
{
    fputs("ragctl: ", stderr);
    print_text(stderr, rag_str_of(err->message), " ");
    fputc('\n', stderr);
    return exit_of(err->code);
}

int ctl_usage(const char *format, ...)
{
    va_list list;
    rag_err err = { .code = RAG_INVALID };
    va_start(list, format);
    vsnprintf(err.message, sizeof err.message, format, list);
    va_end(list);
    return ctl_fail(&err);
}

bool ctl_is_remote(const ctl *c)
{
    return args_value(c->args, "socket") || args_value(c->args, "url");
}

static rag_code load_conf(ctl *c, rag_err *err)
{
    rag_conf_options opt = { .file = args_value(c->args, "config"), .sets = c->args->sets, .n_sets = c->args->n_sets };
    return c->conf ? RAG_OK : rag_conf_load(&c->conf, &opt, err);
}

static rag_code read_key(ctl *c, rag_err *err)
{
    const char *file = args_value(c->args, "key-file");
    if (!file)
        return RAG_OK;
    if (rag_file_read(file, &c->key, err))
        return err->code;
    rag_str key = rag_str_trim(rag_buf_str(&c->key));
    for (size_t i = 0; i < key.len; i++)
        if ((unsigned char)key.ptr[i] <= ' ' || (unsigned char)key.ptr[i] >= 0x7f)
            return rag_fail(err, RAG_INVALID, "'%s' does not hold one bearer key", file);
    return key.len ? RAG_OK : rag_fail(err, RAG_INVALID, "'%s' is empty", file);
}

static bool is_off(const char *value)
{
    return !*value || !strcmp(value, "off");
}

/* An address to listen on, as one to connect to: a wildcard means this machine. */
static void url_of_listen(const char *listen, rag_buf *url)
{
    const char *port = strrchr(listen, ':');
    rag_str host = { listen, port ? (size_t)(port - listen) : strlen(listen) };
    if (!host.len || rag_str_eq(host, RAG_STR("0.0.0.0")) || rag_str_eq(host, RAG_STR("*")))
        host = RAG_STR("127.0.0.1");
    if (rag_str_eq(host, RAG_STR("[::]")))
        host = RAG_STR("[::1]");
    rag_buf_putf(url, "http://%.*s%s", RAG_STR_ARG(host), port ? port : "");
}

static rag_code address_from_conf(ctl *c, client_options *opt, rag_buf *url, rag_err *err)
{
    if (load_conf(c, err))
        return err->code;
    const char *path = rag_conf_path(c->conf, "unix.path"), *listen = rag_conf_string(c->conf, "http.listen");
    if (!is_off(path)) {
        opt->socket_path = path;
        return RAG_OK;
    }
    const char *port = strrchr(listen, ':');
    if (is_off(listen))
        return rag_fail(err, RAG_CONFIG, "the configuration switches both doors off: unix.path and http.listen");
    if (port && !strcmp(port, ":0"))
        return rag_fail(err, RAG_CONFIG, "http.listen lets the daemon pick a port: say which with --url");
    url_of_listen(listen, url);
    opt->url = url->ptr;
    return RAG_OK;
}

/* "host:port" is as good as "http://host:port". */
static rag_code address_from_url(const char *url, client_options *opt, rag_buf *full, rag_err *err)
{
    const char *scheme = strstr(url, "://");
    if (scheme && strncmp(url, "http://", 7) && strncmp(url, "https://", 8))
        return rag_fail(err, RAG_INVALID, "--url takes http:// or https://, not '%s'", url);
    rag_buf_putf(full, "%s%s", scheme ? "" : "http://", url);
    opt->url = full->ptr;
    return RAG_OK;
}

rag_code ctl_client(ctl *c, client **out, rag_err *err)
{
    client_options opt = { .socket_path = args_value(c->args, "socket"), .timeout_ms = c->timeout_ms };
    const char *url = args_value(c->args, "url");
    rag_buf full;
    rag_code code = RAG_OK;
    rag_buf_init(&full, RAG_MAX_LINE);
    if (!c->client) {
        code = read_key(c, err);
        if (!code && url)
            code = address_from_url(url, &opt, &full, err);
        else if (!code && !opt.socket_path)
            code = address_from_conf(c, &opt, &full, err);
        opt.key = rag_str_trim(rag_buf_str(&c->key));
        if (!code)
            code = client_open(&c->client, &opt, err);
    }
    rag_buf_free(&full);
    *out = c->client;
    return code;
}

rag_code ctl_request(ctl *c, const char *method, const char *path, const cJSON *request, cJSON **out, rag_buf *raw,
                     rag_err *err)
{
    client *daemon = NULL;
    client_reply reply = { 0 };
    *out = NULL;
    char *body = request ? json_line(request) : NULL;
    rag_code code = ctl_client(c, &daemon, err);
    if (!code)
        code = client_call(daemon, method, path, rag_str_of(body), &reply, err);
    if (!code)
        code = client_check(&reply, err);
    if (!code && !(*out = json_parse(rag_buf_str(&reply.body), NULL)))
        code = rag_fail(err, RAG_IO, "the daemon at %s did not answer in JSON", client_address(daemon));
    if (raw)
        *raw = reply.body;
    else
        rag_buf_free(&reply.body);
    free(body);
    return code;
}

rag_code ctl_storage(ctl *c, const char **dir, rag_err *err)
{
    if (load_conf(c, err))
        return err->code;
    *dir = rag_conf_path(c->conf, "storage.dir");
    return RAG_OK;
}

rag_code ctl_index(ctl *c, rag_index **out, rag_err *err)
{
    const char *dir = NULL;
    rag_code code = ctl_storage(c, &dir, err);
    if (!code && !c->index) {
        rag_index_options opt = { .dir = dir,
                                  .keep_generations = (int)rag_conf_int(c->conf, "storage.keep_generations") };
        code = rag_index_open(&c->index, &opt, err);
    }
    *out = c->index;
    return code;
}

rag_code ctl_reader(ctl *c, rag_err *err)
{
    rag_index *ix = NULL;
    rag_code code = ctl_index(c, &ix, err);
    if (!code && !c->snapshot)
        code = rag_index_refresh(ix, NULL, err);
    if (!code && !c->snapshot)
        c->snapshot = rag_index_acquire(ix);
    if (!code && !c->reader)
        code = rag_reader_open(&c->reader, ix, err);
    return code;
}
