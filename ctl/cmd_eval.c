/* eval: a question set against a daemon, or against a data directory; two reports against each other. */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "ctl/batch.h"
#include "ctl/commands.h"
#include "ctl/eval_compare.h"
#include "ctl/eval_daemon.h"
#include "ctl/eval_report.h"
#include "ctl/json.h"

enum { MAX_LIMIT = EVAL_MAX_QUESTIONS, MAX_TOP_K = 100, MAX_CHANGES = 10000 };

/* The signal that interrupted us, or 0. */
static volatile sig_atomic_t interrupted;
_Static_assert(sizeof(sig_atomic_t) == sizeof(int), "eval_run_all looks at an int");

static void on_signal(int number)
{
    interrupted = number;
}

/* A second one ends us at once; the daemon then ends with us. */
static void watch_signals(void)
{
    static const int numbers[] = { SIGINT, SIGTERM, SIGHUP };
    struct sigaction action = { .sa_handler = on_signal, .sa_flags = (int)SA_RESETHAND };
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
        sigaction(numbers[i], &action, NULL);
}

/* ---- writing ------------------------------------------------------------------------ */

/* An hour's run must not end in a folder that is not there. */
static rag_code check_target(const char *file, rag_err *err)
{
    char *dir = file ? rag_path_dir(file) : NULL;
    rag_code code = RAG_OK;
    if (dir && access(dir, W_OK))
        code = rag_fail_errno(err, RAG_IO, errno, "cannot write '%s'", file);
    free(dir);
    return code;
}

static rag_code write_json(const eval_run *r, const char *file, rag_err *err)
{
    cJSON *json = file ? eval_report_json(r) : NULL;
    if (!json)
        return RAG_OK;
    char *text = cJSON_Print(json);
    rag_code code = rag_file_write_atomic(file, rag_str_of(text), err);
    free(text);
    cJSON_Delete(json);
    return code;
}

static rag_code write_html(const eval_run *r, const char *file, rag_err *err)
{
    rag_buf page;
    if (!file)
        return RAG_OK;
    rag_buf_init(&page, RAG_MAX_TEXT);
    eval_report_html(&page, r);
    rag_code code = rag_file_write_atomic(file, rag_buf_str(&page), err);
    rag_buf_free(&page);
    return code;
}

static void print_line(cJSON *json)
{
    char *line = json_line(json);
    puts(line);
    free(line);
    cJSON_Delete(json);
}

/* ---- running ------------------------------------------------------------------------ */

static rag_code read_options(const args *a, eval_options *out, eval_set_options *set, rag_err *err)
{
    long limit, concurrency;
    if (args_int(a, "limit", 0, 1, MAX_LIMIT, &limit, err) || args_int(a, "top-k", 10, 1, MAX_TOP_K, &out->top_k, err) ||
        args_int(a, "concurrency", 1, 1, BATCH_MAX_CONCURRENCY, &concurrency, err) ||
        check_target(args_value(a, "output"), err) || check_target(args_value(a, "html"), err))
        return err->code;
    out->collection = args_value(a, "collection");
    out->mode = args_value(a, "mode");
    out->search_mode = args_value(a, "search-mode");
    out->search_only = args_value(a, "search-only") != NULL;
    out->concurrency = (size_t)concurrency;
    out->show_progress = isatty(STDERR_FILENO);
    *set = (eval_set_options){ .path = a->operands[0], .small = args_value(a, "small") != NULL, .limit = (size_t)limit };
    return RAG_OK;
}

/* The daemon over --data, as this command's client. */
static rag_code start_daemon(ctl *c, const args *a, const eval_options *run, eval_daemon *d, rag_err *err)
{
    const char *mode = args_value(a, "mode");
    eval_daemon_options opt = { .program = args_value(a, "ragd"), .dir = args_value(a, "data"),
                                .config = args_value(a, "config"), .sets = a->sets, .n_sets = a->n_sets,
                                .wait_for_decoder = !run->search_only && (!mode || strcmp(mode, "extract")),
                                .timeout_ms = c->timeout_ms };
    if (!opt.dir)
        return RAG_OK;
    if (ctl_is_remote(c))
        return rag_fail(err, RAG_INVALID, "--data starts a daemon: it excludes --socket and --url");
    watch_signals();
    rag_code code = eval_daemon_start(d, &opt, &interrupted, err);
    client_options address = { .socket_path = d->socket, .timeout_ms = c->timeout_ms };
    return code ? code : client_open(&c->client, &address, err);
}

static rag_code report(ctl *c, const args *a, const eval_run *r, rag_err *err)
{
    rag_code code = write_json(r, args_value(a, "output"), err);
    if (!code)
        code = write_html(r, args_value(a, "html"), err);
    if (c->json)
        print_line(eval_report_json(r));
    else
        eval_report_print(stdout, r);
    return code;
}

static int run_set(ctl *c, const args *a)
{
    rag_err err = { 0 };
    eval_options opt = { 0 };
    eval_set_options where;
    eval_set set = { 0 };
    eval_daemon own = { 0 };
    eval_run run = { 0 };
    client *daemon = NULL;
    rag_code code = read_options(a, &opt, &where, &err);
    if (!code)
        code = eval_set_read(&set, &where, &err);
    if (!code)
        code = start_daemon(c, a, &opt, &own, &err);
    if (!code)
        code = ctl_client(c, &daemon, &err);
    if (!code)
        code = eval_run_all(&run, &set, &opt, daemon, &interrupted, &err);
    eval_daemon_stop(&own);
    if (!code)
        code = report(c, a, &run, &err);
    int exit_code = code ? ctl_fail(&err) : run.failed ? EXIT_PARTIAL : EXIT_DONE;
    eval_run_free(&run);
    eval_set_free(&set);
    if (interrupted)
        raise(interrupted);
    return exit_code;
}

/* ---- comparing ---------------------------------------------------------------------- */

static rag_code read_changes(const args *a, eval_comparison *out, rag_err *err)
{
    const char *key = args_value(a, "metric");
    long changes;
    out->metric = eval_metric_find(key ? key : "doc_ndcg_10");
    if (out->metric == EVAL_METRICS)
        return rag_fail(err, RAG_INVALID, "--metric knows no '%s'", key);
    if (args_int(a, "changes", 0, 0, MAX_CHANGES, &changes, err))
        return err->code;
    out->changes = (size_t)changes;
    return RAG_OK;
}

static int compare(ctl *c, const args *a)
{
    rag_err err = { 0 };
    eval_saved sides[2] = { { 0 }, { 0 } };
    eval_pairing pairing = { 0 };
    eval_comparison what = { .file_a = a->operands[0], .file_b = a->operands[1], .a = &sides[0], .b = &sides[1],
                             .pairing = &pairing };
    rag_code code = read_changes(a, &what, &err);
    if (!code)
        code = eval_saved_read(&sides[0], what.file_a, &err);
    if (!code)
        code = eval_saved_read(&sides[1], what.file_b, &err);
    if (!code)
        code = eval_pair(&pairing, &sides[0], &sides[1], &err);
    if (!code && c->json)
        print_line(eval_compare_json(&what));
    else if (!code)
        eval_compare_print(stdout, &what);
    eval_pairing_free(&pairing);
    eval_saved_free(&sides[0]);
    eval_saved_free(&sides[1]);
    return code ? ctl_fail(&err) : EXIT_DONE;
}

int cmd_eval(ctl *c, const args *a)
{
    bool is_comparison = args_value(a, "compare") != NULL;
    if (is_comparison && a->n_operands != 2)
        return ctl_usage("--compare takes two reports: see 'ragctl eval --help'");
    if (!is_comparison && a->n_operands != 1)
        return ctl_usage("eval takes one question set, not '%s' as well", a->operands[1]);
    return is_comparison ? compare(c, a) : run_set(c, a);
}
