/* daemon/ragd.c: start, signals, shutdown. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "daemon/audit.h"
#include "daemon/routes.h"
#include "daemon/state.h"
#include "daemon/timer.h"
#include "daemon/worker.h"
#include "embed/rerank.h"

enum { EXIT_RUNTIME = 1, EXIT_BUSY = 75, EXIT_CONF = 78 };
enum { DRAIN_TICK_MS = 20, FLUSH_MS = 500, GIVE_UP_MS = 3000 };

static int exit_code_of(rag_code code)
{
    switch (code) {
    case RAG_OK: return 0;
    case RAG_CONFIG: return EXIT_CONF;
    case RAG_BUSY: return EXIT_BUSY;
    default: return EXIT_RUNTIME;
    }
}

static void set_lanes(ragd *d)
{
    d->asks.limit = d->opt.tuning.queue + (d->opt.slots > d->opt.workers ? d->opt.slots : d->opt.workers);
    d->quick.limit = d->opt.tuning.queue + d->opt.workers;
}

/* ---- the end ------------------------------------------------------------------------ */

static bool nothing_is_left(ragd *d)
{
    if (d->live)
        return false;
    if (http_server_connections(d->http) == 0)
        return true;
    if (d->drained_ms <= 0)
        d->drained_ms = rag_clock_ms();
    return rag_clock_ms() - d->drained_ms > FLUSH_MS;
}

static void on_drain_tick(evutil_socket_t fd, short what, void *context)
{
    ragd *d = context;
    (void)fd;
    (void)what;
    if (nothing_is_left(d))
        event_base_loopbreak(d->base);
    else
        timer_arm(d->drain_tick, DRAIN_TICK_MS);
}

/* No search thread runs yet: what waits for one is ours. */
static void empty_queue(ragd *d)
{
    for (job *j; d->n_workers == 0 && (j = queue_take(d->queue));)
        job_finish(j);
}

static void on_drain_alarm(evutil_socket_t fd, short what, void *context)
{
    ragd *d = context;
    (void)fd;
    (void)what;
    if (d->is_aborting) {
        rag_log(RAG_WARN, "a request did not stop in time, leaving it");
        http_server_close(d->http);
        _exit(d->exit_code);
    }
    d->is_aborting = true;
    for (job *j = d->live, *next; j; j = next) {
        next = j->live_next;
        job_abort(j);
    }
    empty_queue(d);
    timer_arm(d->drain_alarm, GIVE_UP_MS);
}

static void begin_drain(ragd *d, int exit_code, int64_t ms)
{
    if (d->is_draining)
        ms = 0;
    else
        d->exit_code = exit_code;
    d->is_draining = true;
    http_server_drain(d->http);
    timer_arm(d->drain_alarm, ms);
    timer_arm(d->drain_tick, 0);
}

static void fail(ragd *d, const rag_err *err)
{
    rag_log(RAG_ERROR, "%s", err->message);
    begin_drain(d, exit_code_of(err->code), 0);
}

/* TERM, INT; the second one does not wait. */
static void on_term(evutil_socket_t signal_number, short what, void *context)
{
    ragd *d = context;
    (void)what;
    rag_log(RAG_INFO, "signal %d: %d requests are on their way", (int)signal_number, d->asks.active + d->quick.active);
    int64_t ms = d->opt.tuning.drain_ms;
    begin_drain(d, 0, ms > 2 * FLUSH_MS ? ms - FLUSH_MS : ms); /* gone when the time is over */
}

/* ---- the configuration again -------------------------------------------------------- */

static rag_code check_doors(const ragd_options *opt, auth_keys **keys, rag_err *err)
{
    *keys = NULL;
    if (*opt->key_file)
        return auth_load(keys, opt->key_file, err);
    if (!opt->is_insecure && !auth_is_loopback(opt->listen))
        return rag_fail(err, RAG_CONFIG,
                        "http.listen '%s' can be reached from other machines: set http.key_file, or start with --insecure",
                        opt->listen);
    return RAG_OK;
}

static rag_code load_confidence(const char *path, answer_model *out, rag_err *err)
{
    *out = ANSWER_MODEL;
    return *path ? answer_model_load(path, out, err) : RAG_OK;
}

rag_code ragd_check(const ragd_options *opt, rag_err *err)
{
    auth_keys *keys;
    rag_sha256 id;
    int dim;
    answer_model confidence;
    rag_code code = check_doors(opt, &keys, err);
    if (code == RAG_OK)
        auth_free(keys);
    if (code == RAG_OK)
        code = load_confidence(opt->confidence_path, &confidence, err);
    if (code == RAG_OK)
        code = rag_embed_identify(opt->embed_path, &id, &dim, err);
    return code == RAG_OK && *opt->reranker_path ? rag_rerank_check(opt->reranker_path, err) : code;
}

static void compare(const char *name, bool is_same)
{
    if (!is_same)
        rag_log(RAG_WARN, "'%s' was changed: that needs a restart", name);
}

static bool same(const char *a, const char *b)
{
    return strcmp(a, b) == 0;
}

static void tell_what_needs_a_restart(const ragd_options *a, const ragd_options *b)
{
    compare("storage", same(a->storage_dir, b->storage_dir) && a->keep_generations == b->keep_generations);
    compare("search.title_weight", a->title_weight == b->title_weight);
    compare("search.heading_weight", a->heading_weight == b->heading_weight);
    compare("answer.audit_days", a->audit_days == b->audit_days);
    compare("answer.audit_max", a->audit_max == b->audit_max);
    compare("conversation", a->conversation_ms == b->conversation_ms && a->conversation_turns == b->conversation_turns &&
                                a->conversations == b->conversations);
    compare("unix", same(a->unix_path, b->unix_path) && a->unix_mode == b->unix_mode);
    compare("http", same(a->listen, b->listen) && a->header_timeout_ms == b->header_timeout_ms &&
                        a->body_timeout_ms == b->body_timeout_ms && a->idle_timeout_ms == b->idle_timeout_ms &&
                        a->stall_timeout_ms == b->stall_timeout_ms && a->max_header_bytes == b->max_header_bytes &&
                        a->max_body_bytes == b->max_body_bytes);
    compare("models", same(a->embed_path, b->embed_path) && same(a->decoder_path, b->decoder_path) &&
                          same(a->reranker_path, b->reranker_path));
    compare("llm", a->threads == b->threads && a->slots == b->slots && a->context == b->context &&
                       a->deterministic == b->deterministic && same(a->prompt_style, b->prompt_style));
    compare("answer.confidence", same(a->confidence_path, b->confidence_path));
    compare("prompts.dir", same(a->prompts_dir, b->prompts_dir));
    compare("limits.connections", a->connections == b->connections);
    compare("limits.workers", a->workers == b->workers);
}

rag_code ragd_reread(ragd *d, rag_err *err)
{
    ragd_options fresh;
    auth_keys *keys = NULL;
    rag_code code = d->reload(d->reload_context, &fresh, err);
    if (code == RAG_OK) {
        fresh.is_insecure = d->opt.is_insecure;
        code = check_doors(&fresh, &keys, err);
    }
    if (code == RAG_OK)
        code = rag_log_open(fresh.log_file, fresh.log_level, err);
    if (code != RAG_OK) {
        auth_free(keys);
        rag_log_reopen(NULL); /* it may have been rotated all the same */
        rag_log(RAG_ERROR, "the old configuration stays: %s", err->message);
        return code;
    }
    tell_what_needs_a_restart(&d->opt, &fresh);
    auth_free(d->keys);
    d->keys = keys;
    d->opt.tuning = fresh.tuning;
    set_lanes(d);
    d->count.reloads++;
    rag_log(RAG_INFO, "configuration read again");
    return RAG_OK;
}

static void on_hup(evutil_socket_t signal_number, short what, void *context)
{
    rag_err err = { 0 };
    (void)signal_number;
    (void)what;
    ragd_reread(context, &err);
}

/* ---- the start ---------------------------------------------------------------------- */

static void on_worker_failed(void *context, const rag_err *err)
{
    ragd *d = context;
    if (!d->is_stopping)
        fail(d, err);
}

static void start_workers(ragd *d)
{
    rag_err err = { 0 };
    worker_options opt = { .index = d->index, .queue = d->queue, .mail = d->mail, .on_failed = on_worker_failed,
                           .context = d };
    d->workers = rag_calloc((size_t)d->opt.workers, sizeof *d->workers);
    for (; d->n_workers < d->opt.workers; d->n_workers++)
        if (worker_open(&d->workers[d->n_workers], &opt, &err) != RAG_OK) {
            fail(d, &err);
            return;
        }
}

static void on_index(void *context, rag_index *index, const rag_err *err)
{
    ragd *d = context;
    if (d->is_stopping)
        return;
    if (err) {
        fail(d, err);
        return;
    }
    d->index = index;
    d->records = keeper_records(d->keeper);
    start_workers(d);
    d->is_ready = true;
}

static void on_view(void *context, const keeper_view *view)
{
    ragd *d = context;
    d->view = *view;
    if (!d->is_announced)
        rag_log(RAG_INFO, "ready after %.0f ms: generation %lld, %lld documents, %lld chunks",
                rag_clock_ms() - d->started_ms, (long long)view->generation, (long long)view->documents,
                (long long)view->chunks);
    d->is_announced = true;
}

static void on_embedder(void *context, const rag_err *err)
{
    ragd *d = context;
    rag_err why = { 0 };
    model_facts facts;
    if (d->is_stopping)
        return;
    if (err) {
        fail(d, err);
        return;
    }
    model_get_facts(d->model, &facts);
    d->embedder_id = facts.embedder_id;
    keeper_options opt = { .index = { .dir = d->opt.storage_dir,
                                      .create = true,
                                      .model = &d->embedder_id,
                                      .keep_generations = d->opt.keep_generations,
                                      .title_weight = d->opt.title_weight,
                                      .heading_weight = d->opt.heading_weight },
                           .records = { .dir = d->opt.storage_dir,
                                        .max_answers = d->opt.audit_max,
                                        .keep_days = d->opt.audit_days,
                                        .max_conversations = d->opt.conversations,
                                        .max_turns = d->opt.conversation_turns,
                                        .conversation_ms = d->opt.conversation_ms },
                           .mail = d->mail,
                           .on_open = on_index,
                           .on_view = on_view,
                           .context = d };
    if (keeper_open(&d->keeper, &opt, &why) != RAG_OK)
        fail(d, &why);
}

static rag_code watch_signals(ragd *d, rag_err *err)
{
    static const int numbers[] = { SIGTERM, SIGINT, SIGHUP };
    signal(SIGPIPE, SIG_IGN);
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
        d->signals[i] = evsignal_new(d->base, numbers[i], numbers[i] == SIGHUP ? on_hup : on_term, d);
        if (!d->signals[i] || event_add(d->signals[i], NULL) != 0)
            return rag_fail(err, RAG_IO, "cannot watch signal %d", numbers[i]);
    }
    d->drain_alarm = evtimer_new(d->base, on_drain_alarm, d);
    d->drain_tick = evtimer_new(d->base, on_drain_tick, d);
    return RAG_OK;
}

static rag_code open_doors(ragd *d, rag_err *err)
{
    const ragd_options *o = &d->opt;
    http_options opt = { .listen = o->listen,
                         .unix_path = o->unix_path,
                         .unix_mode = o->unix_mode,
                         .max_header_bytes = o->max_header_bytes,
                         .max_body_bytes = o->max_body_bytes,
                         .max_connections = o->connections,
                         .header_timeout_ms = o->header_timeout_ms,
                         .body_timeout_ms = o->body_timeout_ms,
                         .idle_timeout_ms = o->idle_timeout_ms,
                         .stall_timeout_ms = o->stall_timeout_ms,
                         .on_request = route_request,
                         .context = d };
    return http_server_open(&d->http, d->base, &opt, err);
}

static void say(const ragd *d, const char *line)
{
    puts(line);
    if (*d->opt.log_file)
        rag_log(RAG_INFO, "%s", line);
}

static void tell_doors(const ragd *d)
{
    char line[512];
    const char *colon = strrchr(d->opt.listen, ':');
    if (http_server_port(d->http) > 0 && colon) {
        snprintf(line, sizeof line, "listening on %.*s:%d", (int)(colon - d->opt.listen), d->opt.listen,
                 http_server_port(d->http));
        say(d, line);
    }
    if (*d->opt.unix_path) {
        snprintf(line, sizeof line, "listening on %s", d->opt.unix_path);
        say(d, line);
    }
    fflush(stdout);
}

static rag_code open_model(ragd *d, rag_err *err)
{
    const ragd_options *o = &d->opt;
    model_options opt = { .embed_path = o->embed_path,
                          .decoder_path = o->decoder_path,
                          .reranker_path = o->reranker_path,
                          .prompts_dir = o->prompts_dir,
                          .prompt_style = o->prompt_style,
                          .threads = o->threads,
                          .slots = o->slots,
                          .context_tokens = o->context,
                          .deterministic = o->deterministic,
                          .mail = d->mail,
                          .workers = d->queue,
                          .on_embedder = on_embedder,
                          .on_failed = on_worker_failed,
                          .context = d };
    return model_open(&d->model, &opt, err);
}

static rag_code take_lock(ragd *d, rag_err *err)
{
    char *path = rag_path_join(d->opt.storage_dir, "daemon.lock");
    rag_code code = rag_dir_make(d->opt.storage_dir, err);
    if (code == RAG_OK)
        code = rag_lock_take(path, &d->lock_fd, err);
    if (code == RAG_BUSY)
        rag_fail(err, RAG_BUSY, "another ragd serves '%s'", d->opt.storage_dir);
    free(path);
    return code;
}

static rag_code start(ragd *d, rag_err *err)
{
    rag_code code = check_doors(&d->opt, &d->keys, err);
    if (code == RAG_OK)
        code = take_lock(d, err);
    if (code != RAG_OK)
        return code;
    d->base = event_base_new();
    if (!d->base)
        return rag_fail(err, RAG_IO, "cannot make the event loop");
    code = watch_signals(d, err);
    if (code == RAG_OK)
        code = mailbox_open(&d->mail, d->base, err);
    if (code == RAG_OK)
        code = open_doors(d, err);
    if (code == RAG_OK)
        code = open_model(d, err);
    if (code == RAG_OK)
        tell_doors(d);
    return code;
}

static void free_event(struct event *e)
{
    if (e)
        event_free(e);
}

static void stop(ragd *d)
{
    d->is_stopping = true;
    queue_close(d->queue);
    for (int i = 0; i < d->n_workers; i++)
        worker_close(d->workers[i]);
    model_close(d->model);
    keeper_close(d->keeper);
    mailbox_close(d->mail); /* behind all who post */
    http_server_close(d->http);
    for (size_t i = 0; i < sizeof d->signals / sizeof *d->signals; i++)
        free_event(d->signals[i]);
    free_event(d->drain_alarm);
    free_event(d->drain_tick);
    if (d->base)
        event_base_free(d->base);
    rag_lock_release(d->lock_fd);
    queue_free(d->queue);
    audit_free(d->audit);
    auth_free(d->keys);
    free(d->workers);
}

int ragd_run(const ragd_options *opt, ragd_reload *reload, void *context)
{
    rag_err err = { 0 };
    ragd d = { .opt = *opt,
               .reload = reload,
               .reload_context = context,
               .lock_fd = -1,
               .started_ms = rag_clock_ms(),
               .queue = queue_new(),
               .audit = audit_new() };
    set_lanes(&d);
    rag_code code = load_confidence(opt->confidence_path, &d.confidence, &err);
    if (code == RAG_OK)
        code = start(&d, &err);
    if (code == RAG_OK) {
        event_base_dispatch(d.base);
    } else {
        rag_log(RAG_ERROR, "%s", err.message);
        d.exit_code = exit_code_of(code);
    }
    stop(&d);
    rag_log(RAG_INFO, "stopped");
    return d.exit_code;
}
