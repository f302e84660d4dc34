/* ragd-ingest: files and folders into the knowledge base. */
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/file.h"
#include "base/log.h"
#include "ingest/cli.h"
#include "llm/llama_runtime.h"

/* Watching looks again after this time, or after so many times what a look costs. */
enum { WATCH_MS = 2000, WATCH_FACTOR = 20, NAP_MS = 50 };

static atomic_bool stopped;

typedef struct program {
    cli cli;
    rag_conf *conf;
    rag_index *index;
    rag_embedder *embedder;
    rag_ingest_model model;
    rag_ingest_path *paths;
    size_t n_paths;
    progress progress;
} program;

/* ---- set-up ------------------------------------------------------------------------ */

static void on_signal(int number)
{
    (void)number;
    atomic_store(&stopped, true);
}

static void catch_signals(void)
{
    struct sigaction action = { .sa_handler = on_signal, .sa_flags = (int)SA_RESETHAND };
    sigemptyset(&action.sa_mask);
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    signal(SIGPIPE, SIG_IGN);
}

static rag_code choose_paths(program *p, rag_err *err)
{
    const cli *c = &p->cli;
    size_t sources = c->paths.n > 0 ? 0 : rag_conf_source_count(p->conf);
    p->n_paths = c->paths.n + sources;
    p->paths = rag_calloc(p->n_paths + 1, sizeof *p->paths);
    for (size_t i = 0; i < c->paths.n; i++)
        p->paths[i] = (rag_ingest_path){ c->paths.items[i], c->collection, c->groups, c->prefix, c->url };
    for (size_t i = 0; i < sources; i++) {
        const rag_conf_source *s = rag_conf_source_at(p->conf, i);
        p->paths[i] = (rag_ingest_path){ s->path, s->collection, s->groups, s->prefix, s->url };
    }
    if (p->n_paths == 0 && !c->full)
        return rag_fail(err, RAG_INVALID, "no PATH, and no [source] section in the configuration");
    return RAG_OK;
}

static rag_code open_embedder(void *context, rag_embedder **out, rag_err *err)
{
    program *p = context;
    rag_embed_options opt = { .model_path = rag_conf_path(p->conf, "models.embed"),
                              .threads = (int)rag_conf_int(p->conf, "ingest.threads") };
    rag_code code = p->embedder ? RAG_OK : rag_embed_open(&p->embedder, &opt, err);
    *out = p->embedder;
    return code;
}

static rag_code identify_model(program *p, rag_err *err)
{
    const char *path = rag_conf_path(p->conf, "models.embed");
    const char *slash = strrchr(path, '/');
    p->model = (rag_ingest_model){ .name = slash ? slash + 1 : path, .open = open_embedder, .context = p };
    return rag_embed_identify(path, &p->model.id, &p->model.dim, err);
}

/* A dry run goes without a store that does not exist, and without a model then. */
static rag_code open_store(program *p, rag_err *err)
{
    rag_index_options opt = { .dir = rag_conf_path(p->conf, "storage.dir"), .create = !p->cli.dry_run,
                              .keep_generations = (int)rag_conf_int(p->conf, "storage.keep_generations") };
    if (!rag_index_type_parse(rag_conf_string(p->conf, "index.type"), &opt.type))
        return rag_fail(err, RAG_CONFIG, "index.type is unknown");
    if (!p->cli.dry_run) {
        rag_code code = identify_model(p, err);
        return code == RAG_OK ? rag_index_open(&p->index, &opt, err) : code;
    }
    rag_code code = rag_index_open(&p->index, &opt, err);
    if (code == RAG_NOT_FOUND)
        return RAG_OK;
    return code == RAG_OK ? identify_model(p, err) : code;
}

static rag_code configure(program *p, rag_err *err)
{
    const cli *c = &p->cli;
    rag_conf_options opt = { .file = c->file, .sets = c->sets.items, .n_sets = c->sets.n };
    rag_code code = rag_conf_load(&p->conf, &opt, err);
    return code == RAG_OK ? choose_paths(p, err) : code;
}

static void tear_down(program *p)
{
    rag_index_close(p->index);
    rag_embed_close(p->embedder);
    rag_conf_free(p->conf);
    free(p->paths);
    cli_free(&p->cli);
}

/* ---- running ----------------------------------------------------------------------- */

static int exit_code_of(rag_code code)
{
    switch (code) {
    case RAG_OK: return EXIT_DONE;
    case RAG_BUSY: return EXIT_BUSY;
    case RAG_CONFIG: return EXIT_CONFIG;
    case RAG_DENIED: return EXIT_DENIED;
    default: return EXIT_FAILED;
    }
}

static int exit_code_of_summary(const program *p, const rag_ingest_summary *s)
{
    if (s->paths_failed > 0 && s->paths_failed == (int64_t)p->n_paths)
        return EXIT_FAILED;
    return s->documents_failed > 0 ? EXIT_PARTIAL : EXIT_DONE;
}

static int complain(const program *p, rag_code code, const rag_err *err, const rag_ingest_summary *s)
{
    fprintf(stderr, "ragd-ingest: %s\n", err->message);
    if (p->cli.json)
        report_json(stdout, s, err);
    return exit_code_of(code);
}

static int complain_of_usage(const rag_err *err)
{
    fprintf(stderr, "ragd-ingest: %s\ntry ragd-ingest --help\n", err->message);
    return EXIT_USAGE;
}

static rag_code run_once(program *p, rag_arena *arena, rag_ingest_summary *s, rag_err *err)
{
    const cli *c = &p->cli;
    rag_ingest_options opt = {
        .paths = p->paths, .n_paths = p->n_paths, .model = &p->model,
        .max_bytes = rag_conf_int(p->conf, "ingest.max_bytes"),
        .chunker.target_tokens = (size_t)rag_conf_int(p->conf, "ingest.chunk_tokens"),
        .keep_missing = c->keep_missing, .full = c->full, .dry_run = c->dry_run,
        .allow_removal = c->allow_removal, .adopt = c->adopt,
        .include = c->include.items, .n_include = c->include.n, .exclude = c->exclude.items, .n_exclude = c->exclude.n,
        .on_progress = progress_show, .on_failure = progress_failure, .context = &p->progress, .stop = &stopped,
    };
    rag_code code = rag_ingest_run(p->index, NULL, &opt, arena, s, err);
    progress_end(&p->progress);
    return code;
}

static int report(const program *p, const rag_ingest_summary *s)
{
    if (p->cli.json)
        report_json(stdout, s, NULL);
    else
        report_text(stdout, s, p->cli.dry_run);
    return exit_code_of_summary(p, s);
}

static void nap(double milliseconds)
{
    double until = rag_clock_ms() + milliseconds;
    while (!atomic_load(&stopped) && rag_clock_ms() < until)
        nanosleep(&(struct timespec){ .tv_nsec = NAP_MS * 1000000L }, NULL);
}

/* Looks again and again; says something when a generation came out of it.  Another run's lock is waited for. */
static int watch(program *p)
{
    int64_t reported = -1;
    while (!atomic_load(&stopped)) {
        rag_err err = { 0 };
        rag_ingest_summary s = { 0 };
        rag_arena *arena = rag_arena_new();
        rag_code code = run_once(p, arena, &s, &err);
        int exit_code = EXIT_DONE;
        if (code == RAG_OK && s.generation != reported) {
            report(p, &s);
            reported = s.generation;
        } else if (code != RAG_OK && code != RAG_BUSY) {
            exit_code = complain(p, code, &err, &s);
        }
        rag_arena_free(arena);
        if (exit_code != EXIT_DONE)
            return exit_code;
        double pause = s.seconds * 1000 * WATCH_FACTOR;
        nap(pause > WATCH_MS ? pause : WATCH_MS);
    }
    return EXIT_DONE;
}

static int run_and_report(program *p)
{
    rag_err err = { 0 };
    rag_ingest_summary s = { 0 };
    rag_arena *arena = rag_arena_new();
    rag_code code = run_once(p, arena, &s, &err);
    int exit_code = code == RAG_OK ? report(p, &s) : complain(p, code, &err, &s);
    rag_arena_free(arena);
    return exit_code;
}

static int start(program *p, int argc, char **argv)
{
    rag_err err = { 0 };
    rag_ingest_summary nothing = { 0 };
    rag_code code = cli_parse(&p->cli, argc, argv, &err);
    if (code != RAG_OK)
        return complain_of_usage(&err);
    if (p->cli.help) {
        cli_print_help(stdout);
        return EXIT_DONE;
    }
    if (p->cli.version) {
        printf("ragd-ingest %s (%s; %s)\n", RAGD_VERSION, rag_index_versions(), rag_llama_version());
        return EXIT_DONE;
    }
    code = configure(p, &err);
    if (code == RAG_INVALID)
        return complain_of_usage(&err);
    if (code == RAG_OK)
        code = open_store(p, &err);
    if (code != RAG_OK)
        return complain(p, code, &err, &nothing);
    progress_init(&p->progress, p->cli.progress);
    return p->cli.watch ? watch(p) : run_and_report(p);
}

int main(int argc, char **argv)
{
    program p = { 0 };
    rag_llama_prepare(argv);
    rag_log_set_level(RAG_WARN);
    catch_signals();
    int exit_code = start(&p, argc, argv);
    tear_down(&p);
    return exit_code;
}
