/* ask: one question; the answer whole, or as it is being written. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ctl/commands.h"
#include "ctl/json.h"
#include "ctl/print.h"
#include "ctl/sse.h"

/* An answer that is being received as server-sent events. */
typedef struct live {
    ctl *ctl;
    bool is_terminal;
    bool has_draft;  /* a draft is on the screen */
    rag_buf shown;   /* deltas printed so far */
    cJSON *response; /* of the last event */
    rag_err err;
} live;

static int finish(const cJSON *response, const ask_options *opt)
{
    if (opt->conversation && *json_string(response, "conversation_id")) {
        free(*opt->conversation);
        *opt->conversation = rag_strdup(json_string(response, "conversation_id"));
    }
    return strcmp(json_string(response, "outcome"), "refused") ? EXIT_DONE : EXIT_NOTHING;
}

static void print_event(rag_str name, rag_str data)
{
    printf("{\"event\":\"");
    print_text(stdout, name, " ");
    fputs("\",\"data\":", stdout);
    print_json(stdout, data, "}\n");
}

static void show_draft(live *l, const cJSON *draft)
{
    if (!l->is_terminal || l->shown.len || l->has_draft)
        return;
    fputs("\033[2m", stdout);
    fputs("A: ", stdout);
    print_text(stdout, rag_str_of(json_string(draft, "text")), PRINT_INDENT);
    fputs(" \u2026\033[0m\n", stdout);
    l->has_draft = true;
}

static void show_delta(live *l, const cJSON *delta)
{
    rag_str text = rag_str_of(json_string(delta, "text"));
    if (!l->shown.len && text.len)
        fputs("A: ", stdout);
    print_text(stdout, text, PRINT_INDENT);
    rag_buf_put(&l->shown, text);
}

/* What was shown is only a promise: the answer of `done` is the one that counts. */
static void show_end(live *l)
{
    rag_str answer = rag_str_of(json_string(l->response, "answer"));
    rag_str shown = rag_buf_str(&l->shown);
    if (shown.len && !l->shown.overflow && rag_str_starts(answer, shown)) {
        print_text(stdout, rag_str_sub(answer, shown.len, answer.len), PRINT_INDENT);
        fputc('\n', stdout);
    } else {
        if (shown.len)
            fputc('\n', stdout);
        print_answer(stdout, l->response);
    }
    print_citations(stdout, l->response);
}

static void take_error(live *l, const cJSON *data)
{
    const cJSON *error = cJSON_GetObjectItemCaseSensitive(data, "error");
    const char *message = json_string(error ? error : data, "message");
    rag_fail(&l->err, RAG_IO, "%s", *message ? message : "the answer broke off");
}

static bool on_event(void *context, rag_str name, rag_str data)
{
    live *l = context;
    cJSON *value = json_parse(data, &l->err);
    if (!value)
        return false;
    if (l->ctl->json)
        print_event(name, data);
    else if (rag_str_eq(name, RAG_STR("draft")))
        show_draft(l, value);
    else if (rag_str_eq(name, RAG_STR("delta")))
        show_delta(l, value);
    if (rag_str_eq(name, RAG_STR("error")))
        take_error(l, value);
    if (rag_str_eq(name, RAG_STR("done"))) {
        cJSON_Delete(l->response);
        l->response = value;
        value = NULL;
    }
    fflush(stdout);
    cJSON_Delete(value);
    return true;
}

static bool on_bytes(void *context, rag_str bytes)
{
    return sse_feed(context, bytes);
}

static rag_code receive(ctl *c, const cJSON *request, live *l, rag_err *err)
{
    client *daemon = NULL;
    client_reply reply = { 0 };
    sse events;
    char *body = json_line(request);
    sse_init(&events, on_event, l);
    rag_code code = ctl_client(c, &daemon, err);
    if (!code)
        code = client_stream(daemon, "POST", "/v1/ask", rag_str_of(body), on_bytes, &events, &reply, err);
    if (code == RAG_CANCELED)
        code = rag_fail(err, RAG_IO, "the daemon's stream cannot be read: %s",
                        l->err.code ? l->err.message : "an event is too large");
    if (!code)
        code = client_check(&reply, err);
    if (!code && l->err.code)
        code = rag_fail(err, l->err.code, "%s", l->err.message);
    if (!code && !l->response)
        code = rag_fail(err, RAG_IO, "the daemon's stream ended before the answer did");
    sse_free(&events);
    rag_buf_free(&reply.body);
    free(body);
    return code;
}

static int ask_live(ctl *c, cJSON *request, const ask_options *opt)
{
    rag_err err = { 0 };
    live l = { .ctl = c, .is_terminal = isatty(STDOUT_FILENO) };
    rag_buf_init(&l.shown, RAG_MAX_REPLY);
    cJSON_AddTrueToObject(request, "stream");
    if (opt->show_question && !c->json)
        print_question(stdout, opt->question);
    rag_code code = receive(c, request, &l, &err);
    if (!code && !c->json)
        show_end(&l);
    else if (code && l.shown.len)
        fputc('\n', stdout);
    int exit_code = code ? ctl_fail(&err) : finish(l.response, opt);
    cJSON_Delete(l.response);
    rag_buf_free(&l.shown);
    return exit_code;
}

static int ask_whole(ctl *c, const cJSON *request, const ask_options *opt)
{
    rag_err err = { 0 };
    rag_buf raw = { 0 };
    cJSON *response = NULL;
    rag_code code = ctl_request(c, "POST", "/v1/ask", request, &response, &raw, &err);
    if (!code && c->json) {
        print_json(stdout, rag_buf_str(&raw), "\n");
    } else if (!code) {
        if (opt->show_question)
            print_question(stdout, opt->question);
        print_answer(stdout, response);
        print_citations(stdout, response);
    }
    int exit_code = code ? ctl_fail(&err) : finish(response, opt);
    cJSON_Delete(response);
    rag_buf_free(&raw);
    return exit_code;
}

int ask_once(ctl *c, cJSON *request, const ask_options *opt)
{
    cJSON_DeleteItemFromObjectCaseSensitive(request, "question");
    cJSON_AddStringToObject(request, "question", opt->question);
    int exit_code = opt->live ? ask_live(c, request, opt) : ask_whole(c, request, opt);
    cJSON_DeleteItemFromObjectCaseSensitive(request, "stream");
    return exit_code;
}

int cmd_ask(ctl *c, const args *a)
{
    rag_err err = { 0 };
    rag_buf question;
    if (args_value(a, "batch"))
        return args_value(a, "stream") ? ctl_usage("--stream has no place in a batch") : run_batch(c, a, "/v1/ask");
    rag_buf_init(&question, RAG_MAX_QUERY);
    if (operands_text(a, "question", &question, &err)) {
        rag_buf_free(&question);
        return ctl_fail(&err);
    }
    cJSON *request = cJSON_CreateObject();
    args_request(a, request);
    ask_options opt = { .question = question.ptr, .show_question = true, .live = args_value(a, "stream") != NULL };
    int exit_code = ask_once(c, request, &opt);
    cJSON_Delete(request);
    rag_buf_free(&question);
    return exit_code;
}
