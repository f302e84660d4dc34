#include "ctl/eval_run.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "ctl/batch.h"
#include "ctl/json.h"

/* One pass over the set, through one route. */
typedef struct pass {
    eval_run *run;
    const char *route; /* "search" */
    void (*score)(eval_run *r, size_t question, const cJSON *reply);
    size_t at; /* the question whose reply comes next */
    rag_buf line;
    const volatile int *stop;
} pass;

/* ---- replies ------------------------------------------------------------------------ */

static void take_failure(eval_run *r, size_t question, const char *route, const char *message)
{
    eval_record *rec = &r->records[question];
    r->failed += !rec->error;
    if (!rec->error)
        rec->error = rag_arena_printf(r->arena, "%s: %s", route, *message ? message : "the reply is no JSON object");
}

static void take_reply(pass *p, rag_str text)
{
    cJSON *reply = json_parse(text, NULL);
    const cJSON *error = cJSON_GetObjectItemCaseSensitive(reply, "error");
    if (!cJSON_IsObject(reply) || error)
        take_failure(p->run, p->at, p->route, json_string(error, "message"));
    else
        p->score(p->run, p->at, reply);
    p->at++;
    cJSON_Delete(reply);
}

static void show_progress(const pass *p)
{
    if (p->run->opt.show_progress)
        fprintf(stderr, "\r\033[K%s: %s %zu/%zu", p->run->set->name, p->route, p->at, p->run->set->n);
}

/* batch_run writes here: each line is the reply to the next question. */
static ssize_t on_output(void *context, const char *bytes, size_t n)
{
    pass *p = context;
    for (size_t at = 0; at < n;) {
        const char *end = memchr(bytes + at, '\n', n - at);
        size_t len = end ? (size_t)(end - bytes) - at : n - at;
        rag_buf_put(&p->line, (rag_str){ bytes + at, len });
        at += len + (end != NULL);
        if (!end)
            break;
        if (p->at < p->run->set->n)
            take_reply(p, rag_buf_str(&p->line));
        rag_buf_clear(&p->line);
    }
    show_progress(p);
    return p->stop && *p->stop ? 0 : (ssize_t)n; /* 0 is an error, which ends the batch */
}

/* ---- requests ----------------------------------------------------------------------- */

static void write_questions(const eval_set *s, const char *key, FILE *out)
{
    for (size_t i = 0; i < s->n; i++) {
        cJSON *line = cJSON_CreateObject();
        cJSON_AddStringToObject(line, key, s->questions[i].text);
        char *text = json_line(line);
        fprintf(out, "%s\n", text);
        free(text);
        cJSON_Delete(line);
    }
}

static cJSON *search_defaults(const eval_options *opt)
{
    cJSON *defaults = cJSON_CreateObject();
    cJSON_AddNumberToObject(defaults, "top_k", (double)opt->top_k);
    if (opt->search_mode)
        cJSON_AddStringToObject(defaults, "mode", opt->search_mode);
    return defaults;
}

static cJSON *ask_defaults(const eval_options *opt)
{
    cJSON *defaults = cJSON_CreateObject();
    if (opt->mode)
        cJSON_AddStringToObject(defaults, "mode", opt->mode);
    return defaults;
}

static rag_code run_pass(pass *p, FILE *questions, cJSON *defaults, const char *path, rag_err *err)
{
    static const cookie_io_functions_t to_pass = { .write = on_output };
    const eval_options *opt = &p->run->opt;
    batch_counts counts;
    FILE *out = fopencookie(p, "w", to_pass);
    if (!out)
        return rag_fail_errno(err, RAG_IO, errno, "cannot take replies");
    if (opt->collection)
        cJSON_AddStringToObject(defaults, "collection", opt->collection);
    batch_options b = { .client = p->run->client, .path = path, .defaults = defaults, .fd = fileno(questions),
                        .out = out, .concurrency = opt->concurrency };
    rag_code code = batch_run(&b, &counts, err);
    fclose(out);
    if (opt->show_progress)
        fputs("\r\033[K", stderr);
    return p->stop && *p->stop ? rag_fail(err, RAG_CANCELED, "interrupted") : code;
}

static rag_code ask_all(pass *p, const char *key, cJSON *defaults, const char *path, rag_err *err)
{
    rag_code code = RAG_OK;
    FILE *questions = tmpfile();
    rag_buf_init(&p->line, RAG_MAX_REPLY + BATCH_MAX_LINE);
    if (questions)
        write_questions(p->run->set, key, questions);
    if (!questions || fflush(questions) || ferror(questions) || lseek(fileno(questions), 0, SEEK_SET) < 0)
        code = rag_fail_errno(err, RAG_IO, errno, "cannot write a temporary file");
    else
        code = run_pass(p, questions, defaults, path, err);
    if (questions)
        fclose(questions);
    rag_buf_free(&p->line);
    cJSON_Delete(defaults);
    return code;
}

/* ---- run ---------------------------------------------------------------------------- */

/* For the report; a daemon that has no such route can be measured all the same. */
static rag_code read_status(eval_run *r, rag_err *err)
{
    client_reply reply = { 0 };
    rag_code code = client_call(r->client, "GET", "/v1/status", (rag_str){ 0 }, &reply, err);
    if (!code && client_check(&reply, err) == RAG_DENIED)
        code = RAG_DENIED;
    else if (!code && reply.status == 200)
        r->daemon = json_parse(rag_buf_str(&reply.body), NULL);
    rag_buf_free(&reply.body);
    return code;
}

void eval_run_init(eval_run *r, const eval_set *set, const eval_options *opt, client *c)
{
    *r = (eval_run){ .set = set, .opt = *opt, .client = c, .arena = rag_arena_new() };
    r->records = rag_arena_array(r->arena, set->n + 1, sizeof *r->records);
    for (size_t i = 0; i < set->n; i++)
        r->records[i].first_document = r->records[i].first_text = r->records[i].outcome = r->records[i].answer = "";
    eval_data_init(&r->data, set->n);
    rag_time_format(rag_clock_wall_ns() / 1000000000 * 1000000000, r->date);
}

void eval_run_finish(eval_run *r)
{
    for (size_t i = 0; i < r->n_stages; i++)
        eval_sort(r->stages[i].ms, r->stages[i].n);
    eval_data_seal(&r->data);
    eval_estimates(&r->data, r->estimates);
}

rag_code eval_run_all(eval_run *out, const eval_set *set, const eval_options *opt, client *c,
                      const volatile int *stop, rag_err *err)
{
    double started = rag_clock_ms();
    eval_run_init(out, set, opt, c);
    pass search = { .run = out, .route = "search", .score = eval_score_search, .stop = stop };
    pass ask = { .run = out, .route = "ask", .score = eval_score_ask, .stop = stop };
    rag_code code = read_status(out, err);
    if (!code)
        code = ask_all(&search, "query", search_defaults(opt), "/v1/search", err);
    if (!code && !opt->search_only)
        code = ask_all(&ask, "question", ask_defaults(opt), "/v1/ask", err);
    out->seconds = (rag_clock_ms() - started) / 1000;
    if (!code)
        eval_run_finish(out);
    return code;
}

void eval_run_free(eval_run *r)
{
    cJSON_Delete(r->daemon);
    if (r->arena)
        eval_data_free(&r->data);
    rag_arena_free(r->arena);
    *r = (eval_run){ 0 };
}
