/* daemon/ops.c: operations, and the files that are served as they are. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "daemon/assets.h"
#include "daemon/reply.h"
#include "daemon/routes.h"
#include "daemon/state.h"

#ifndef RAGD_VERSION
#define RAGD_VERSION "0"
#endif

/* ---- files -------------------------------------------------------------------------- */

rag_str asset_find(const char *name)
{
    for (const asset *a = assets; a->name; a++)
        if (strcmp(a->name, name) == 0)
            return (rag_str){ (const char *)a->bytes, a->len };
    return (rag_str){ 0 };
}

static void send_file(ragd *d, http_request *q, const char *name, const char *type)
{
    static const http_header headers[] = {
        { "Content-Security-Policy", "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
                                     "img-src 'self' data:; base-uri 'none'; form-action 'none'; "
                                     "frame-ancestors 'none'" },
        { "Referrer-Policy", "no-referrer" },
        { "Cross-Origin-Resource-Policy", "same-origin" },
        { NULL, NULL },
    };
    reply_count(d, 200);
    http_reply(q, 200, type, asset_find(name), headers);
}

void route_page(ragd *d, http_request *q, const rag_str *args)
{
    rag_str path = http_request_path(q);
    (void)args;
    if (rag_str_eq(path, RAG_STR("/page.js")))
        send_file(d, q, "page.js", "text/javascript; charset=utf-8");
    else if (rag_str_eq(path, RAG_STR("/page.css")))
        send_file(d, q, "page.css", "text/css; charset=utf-8");
    else
        send_file(d, q, "index.html", "text/html; charset=utf-8");
}

void route_openapi(ragd *d, http_request *q, const rag_str *args)
{
    (void)args;
    reply_json(d, q, 200, asset_find("openapi.json"));
}

/* ---- state -------------------------------------------------------------------------- */

static void send(ragd *d, http_request *q, int status, json_writer *w)
{
    json_close(w, '}');
    rag_buf_putc(w->out, '\n');
    reply_json(d, q, status, rag_buf_str(w->out));
    rag_buf_free(w->out);
}

static void begin(json_writer *w, rag_buf *out)
{
    rag_buf_init(out, RAG_MAX_REPLY);
    json_begin(w, out);
    json_open(w, NULL, '{');
}

void route_livez(ragd *d, http_request *q, const rag_str *args)
{
    rag_buf out;
    json_writer w;
    (void)args;
    begin(&w, &out);
    json_cstr(&w, "status", "alive");
    send(d, q, 200, &w);
}

static const char *readiness(const ragd *d)
{
    return d->is_draining ? "stopping" : d->is_ready ? "ready" : "starting";
}

static void put_error(json_writer *w, http_request *q, const char *message)
{
    problem p = { 0 };
    rag_buf error;
    rag_buf_init(&error, RAG_MAX_LINE);
    problem_set(&p, 503, "not_ready", NULL, "%s", message);
    render_problem(&error, &p, http_request_id(q));
    rag_str whole = rag_buf_str(&error); /* {"error":{…}} */
    rag_str object = rag_str_sub(whole, strlen("{\"error\":"), whole.len - 1);
    json_raw(w, "error", object);
    rag_buf_free(&error);
}

static void put_readiness(ragd *d, json_writer *w, http_request *q)
{
    model_facts facts;
    model_get_facts(d->model, &facts);
    bool is_up = d->is_ready && !d->is_draining;
    if (!is_up)
        put_error(w, q, d->is_draining ? "the daemon is shutting down" : "embedder and index are not there yet");
    json_cstr(w, "status", readiness(d));
    json_cstr(w, "embedder", facts.embedder_ready ? "ready" : "loading");
    json_cstr(w, "index", d->index ? "ready" : "loading");
    json_int(w, "generation", d->view.generation);
    json_int(w, "documents", d->view.documents);
    json_cstr(w, "decoder", decoder_state_name(facts.decoder_state));
}

static int ready_status(const ragd *d)
{
    return d->is_ready && !d->is_draining ? 200 : 503;
}

void route_readyz(ragd *d, http_request *q, const rag_str *args)
{
    rag_buf out;
    json_writer w;
    (void)args;
    begin(&w, &out);
    put_readiness(d, &w, q);
    send(d, q, ready_status(d), &w);
}

void route_health(ragd *d, http_request *q, const rag_str *args)
{
    rag_buf out;
    json_writer w;
    (void)args;
    begin(&w, &out);
    put_readiness(d, &w, q);
    json_cstr(&w, "version", RAGD_VERSION);
    json_num(&w, "uptime_s", (rag_clock_ms() - d->started_ms) / 1000, 1);
    send(d, q, ready_status(d), &w);
}

void route_reload(ragd *d, http_request *q, const rag_str *args)
{
    rag_err err = { 0 };
    problem p = { 0 };
    (void)args;
    if (!route_empty_body(q, &p)) {
        reply_problem(d, q, &p);
    } else if (ragd_reread(d, &err) != RAG_OK) {
        problem_set(&p, 400, "bad_configuration", NULL, "the old configuration stays: %s", err.message);
        reply_problem(d, q, &p);
    } else {
        reply_json(d, q, 200, RAG_STR("{\"reloaded\":true}\n"));
    }
}

/* A value of /proc/self/status in bytes; 0 when it is not there. */
static int64_t proc_bytes(const char *name)
{
    char line[256];
    long long kib = 0;
    size_t n = strlen(name);
    FILE *file = fopen("/proc/self/status", "re");
    while (file && fgets(line, sizeof line, file))
        if (strncmp(line, name, n) == 0 && line[n] == ':')
            sscanf(line + n + 1, "%lld", &kib);
    if (file)
        fclose(file);
    return (int64_t)kib * 1024;
}

static void put_memory(ragd *d, json_writer *w, const model_facts *f)
{
    int64_t runtime = (int64_t)(f->embedder_bytes + f->reranker_bytes + f->buffer_bytes);
    json_open(w, "memory", '{');
    json_int(w, "kv_cache", (int64_t)f->kv_bytes);
    json_int(w, "runtime_buffers", runtime);
    json_int(w, "index", (int64_t)d->view.bytes);
    json_int(w, "models", (int64_t)f->kv_bytes + runtime);
    json_int(w, "rss_anon", proc_bytes("RssAnon"));
    json_int(w, "rss_file", proc_bytes("RssFile"));
    json_close(w, '}');
}

static const char *reranker_state_name(const model_facts *f)
{
    return !*f->reranker ? "none" : f->reranker_ready ? "ready" : "loading";
}

static void put_models(json_writer *w, const model_facts *f)
{
    json_open(w, "models", '{');
    json_cstr(w, "embedder", f->embedder_ready ? f->embedder : NULL);
    json_cstr(w, "reranker", *f->reranker ? f->reranker : NULL);
    json_cstr(w, "reranker_state", reranker_state_name(f));
    json_cstr(w, "decoder", *f->decoder ? f->decoder : NULL);
    json_cstr(w, "decoder_state", decoder_state_name(f->decoder_state));
    json_cstr(w, "decoder_error", *f->decoder_error ? f->decoder_error : NULL);
    json_int(w, "slots", f->slots);
    json_int(w, "context", f->context);
    json_close(w, '}');
}

static void put_load(ragd *d, json_writer *w)
{
    int running, waiting;
    model_get_load(d->model, &running, &waiting);
    json_open(w, "queue", '{');
    json_int(w, "asks", d->asks.active);
    json_int(w, "asks_limit", d->asks.limit);
    json_int(w, "others", d->quick.active);
    json_int(w, "others_limit", d->quick.limit);
    json_int(w, "decoding", running);
    json_int(w, "waiting_for_decoder", waiting);
    json_close(w, '}');
    json_int(w, "connections", http_server_connections(d->http));
    json_int(w, "connections_limit", d->opt.connections);
}

static void put_counters(const ragd *d, json_writer *w)
{
    const ragd_counters *c = &d->count;
    json_open(w, "requests", '{');
    json_int(w, "total", c->requests);
    json_int(w, "asks", c->asks);
    json_int(w, "searches", c->searches);
    json_int(w, "errors_4xx", c->errors_4xx);
    json_int(w, "errors_5xx", c->errors_5xx);
    json_int(w, "refused_full", c->refused_full);
    json_int(w, "canceled", c->canceled);
    json_close(w, '}');
    json_int(w, "reloads", c->reloads);
}

void route_status(ragd *d, http_request *q, const rag_str *args)
{
    rag_buf out;
    json_writer w;
    model_facts facts;
    (void)args;
    model_get_facts(d->model, &facts);
    begin(&w, &out);
    json_cstr(&w, "status", readiness(d));
    json_cstr(&w, "version", RAGD_VERSION);
    json_int(&w, "pid", getpid());
    json_num(&w, "uptime_s", (rag_clock_ms() - d->started_ms) / 1000, 1);
    json_cstr(&w, "storage", d->opt.storage_dir);
    json_int(&w, "generation", d->view.generation);
    json_int(&w, "documents", d->view.documents);
    json_int(&w, "chunks", d->view.chunks);
    put_models(&w, &facts);
    put_memory(d, &w, &facts);
    put_load(d, &w);
    put_counters(d, &w);
    send(d, q, 200, &w);
}

/* ---- metrics ------------------------------------------------------------------------ */

static void put_metric(rag_buf *out, const char *name, const char *kind, const char *help, int64_t value)
{
    rag_buf_putf(out, "# HELP %s %s\n# TYPE %s %s\n%s %lld\n", name, help, name, kind, name, (long long)value);
}

void route_metrics(ragd *d, http_request *q, const rag_str *args)
{
    rag_buf out;
    const ragd_counters *c = &d->count;
    (void)args;
    rag_buf_init(&out, RAG_MAX_REPLY);
    put_metric(&out, "ragd_requests_total", "counter", "Requests.", c->requests);
    put_metric(&out, "ragd_asks_total", "counter", "Asks that were admitted.", c->asks);
    put_metric(&out, "ragd_searches_total", "counter", "Searches that were admitted.", c->searches);
    put_metric(&out, "ragd_client_errors_total", "counter", "Replies from 400 to 499.", c->errors_4xx);
    put_metric(&out, "ragd_server_errors_total", "counter", "Replies from 500 up.", c->errors_5xx);
    put_metric(&out, "ragd_refused_total", "counter", "Requests refused because the queue was full.", c->refused_full);
    put_metric(&out, "ragd_canceled_total", "counter", "Clients that left before the answer.", c->canceled);
    put_metric(&out, "ragd_active", "gauge", "Requests on their way.", d->asks.active + d->quick.active);
    put_metric(&out, "ragd_connections", "gauge", "Open connections.", http_server_connections(d->http));
    put_metric(&out, "ragd_generation", "gauge", "Generation that is served.", d->view.generation);
    put_metric(&out, "ragd_documents", "gauge", "Documents that are served.", d->view.documents);
    put_metric(&out, "ragd_chunks", "gauge", "Chunks that are served.", d->view.chunks);
    put_metric(&out, "process_resident_memory_bytes", "gauge", "Resident memory.", proc_bytes("VmRSS"));
    reply_count(d, 200);
    http_reply(q, 200, "text/plain; version=0.0.4; charset=utf-8", rag_buf_str(&out), NULL);
    rag_buf_free(&out);
}
