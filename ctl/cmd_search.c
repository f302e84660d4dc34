/* search, and what it shares with ask: the question of the command line, and batches. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "base/utf8.h"
#include "ctl/batch.h"
#include "ctl/commands.h"
#include "ctl/json.h"
#include "ctl/print.h"

static void read_stdin(rag_buf *out)
{
    char bytes[4096];
    size_t n;
    while ((n = fread(bytes, 1, sizeof bytes, stdin)) > 0)
        rag_buf_put(out, (rag_str){ bytes, n });
    while (out->len && (out->ptr[out->len - 1] == '\n' || out->ptr[out->len - 1] == '\r'))
        rag_buf_truncate(out, out->len - 1);
}

rag_code operands_text(const args *a, const char *what, rag_buf *out, rag_err *err)
{
    if (a->n_operands == 1 && !strcmp(a->operands[0], "-"))
        read_stdin(out);
    else
        for (int i = 0; i < a->n_operands; i++)
            rag_buf_putf(out, "%s%s", i ? " " : "", a->operands[i]);
    if (out->overflow)
        return rag_fail(err, RAG_INVALID, "the %s is longer than %zu bytes", what, out->max);
    if (!rag_utf8_valid(rag_buf_str(out), NULL) || (out->len && memchr(out->ptr, 0, out->len)))
        return rag_fail(err, RAG_INVALID, "the %s is not valid UTF-8", what);
    if (!rag_str_trim(rag_buf_str(out)).len)
        return rag_fail(err, RAG_INVALID, "no %s given: see 'ragctl %s --help'", what, a->command->name);
    return RAG_OK;
}

static rag_code open_batch(const char *file, int *fd, rag_err *err)
{
    *fd = strcmp(file, "-") ? open(file, O_RDONLY | O_CLOEXEC) : STDIN_FILENO;
    return *fd >= 0 ? RAG_OK : rag_fail_errno(err, RAG_IO, errno, "cannot open '%s'", file);
}

int run_batch(ctl *c, const args *a, const char *path)
{
    rag_err err = { 0 };
    batch_counts counts = { 0 };
    batch_options opt = { .path = path, .out = stdout, .fd = -1 };
    long concurrency = 0;
    cJSON *defaults = cJSON_CreateObject();
    args_request(a, defaults);
    opt.defaults = defaults;
    rag_code code = RAG_OK;
    if (a->n_operands)
        code = rag_fail(&err, RAG_INVALID, "--batch takes its questions from the file, not from the command line");
    if (!code)
        code = args_int(a, "concurrency", 4, 1, BATCH_MAX_CONCURRENCY, &concurrency, &err);
    opt.concurrency = (size_t)concurrency;
    if (!code)
        code = open_batch(args_value(a, "batch"), &opt.fd, &err);
    if (!code)
        code = ctl_client(c, &opt.client, &err);
    if (!code)
        code = batch_run(&opt, &counts, &err);
    if (opt.fd > STDIN_FILENO)
        close(opt.fd);
    cJSON_Delete(defaults);
    return code ? ctl_fail(&err) : counts.failed ? EXIT_PARTIAL : EXIT_DONE;
}

static void print_result_lines(const cJSON *response)
{
    const cJSON *result;
    cJSON_ArrayForEach(result, cJSON_GetObjectItemCaseSensitive(response, "results"))
    {
        char *line = json_line(result);
        puts(line);
        cJSON_free(line);
    }
}

static void print_reply(ctl *c, const args *a, const char *query, const cJSON *response, rag_str raw)
{
    if (c->json && args_value(a, "stream"))
        print_result_lines(response);
    else if (c->json)
        print_json(stdout, raw, "\n");
    else
        print_search(stdout, response, query);
}

int cmd_search(ctl *c, const args *a)
{
    rag_err err = { 0 };
    rag_buf query, raw = { 0 };
    cJSON *response = NULL;
    if (args_value(a, "batch"))
        return args_value(a, "stream") ? ctl_usage("--stream has no place in a batch") : run_batch(c, a, "/v1/search");
    rag_buf_init(&query, RAG_MAX_QUERY);
    cJSON *request = cJSON_CreateObject();
    args_request(a, request);
    rag_code code = operands_text(a, "query", &query, &err);
    if (!code) {
        cJSON_AddStringToObject(request, "query", query.ptr);
        code = ctl_request(c, "POST", "/v1/search", request, &response, &raw, &err);
    }
    int exit_code = EXIT_DONE;
    if (code) {
        exit_code = ctl_fail(&err);
    } else {
        print_reply(c, a, query.ptr, response, rag_buf_str(&raw));
        if (!cJSON_GetArraySize(cJSON_GetObjectItemCaseSensitive(response, "results")))
            exit_code = EXIT_NOTHING;
    }
    cJSON_Delete(response);
    cJSON_Delete(request);
    rag_buf_free(&query);
    rag_buf_free(&raw);
    return exit_code;
}
