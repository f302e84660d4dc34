/* daemon/main.c: the program ragd: flags, configuration, options. */
#include <cjson/cJSON.h>
#include <event2/event.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "conf/conf.h"
#include "daemon/ragd.h"
#include "index/index.h"
#include "llm/llama_runtime.h"

#ifdef __GLIBC__
#include <malloc.h>
#endif

#ifndef RAGD_VERSION
#define RAGD_VERSION "0"
#endif

enum { EXIT_USAGE = 2, EXIT_CONF = 78, MAX_SETS = 256 };

static const char HELP[] =
    "Usage: ragd [-c FILE] [--set SECTION.KEY=VALUE]...\n"
    "Serves the knowledge base in storage.dir, in the foreground.\n\n"
    "  -c, --config FILE    configuration file; else conf/ragd.conf of the checkout, /etc/ragd/ragd.conf\n"
    "      --set S.K=VALUE  set one value, above file and environment; may be repeated\n"
    "      --insecure       listen on other addresses than loopback without keys\n"
    "  -t                   check the configuration\n"
    "  -T                   print the effective configuration with each value's origin\n"
    "      --version        name the linked versions\n"
    "  -h, --help           this text\n\n"
    "TERM and INT drain and exit, HUP reads the configuration again and opens the log again.\n";

typedef struct flags {
    const char *file;
    const char *sets[MAX_SETS];
    size_t n_sets;
    bool is_insecure, check, print;
} flags;

typedef struct configuration {
    const flags *flags;
    rag_conf *first;  /* its strings serve until the end */
    rag_conf *latest; /* of the last reload, or NULL */
} configuration;

static void print_version(void)
{
    printf("ragd %s\nlibevent %s\ncJSON %s\n%s\n%s\n", RAGD_VERSION, event_get_version(), cJSON_Version(),
           rag_index_versions(), rag_llama_version());
}

static int usage(const char *sentence)
{
    if (sentence)
        fprintf(stderr, "ragd: %s\n", sentence);
    fputs("Try 'ragd --help'.\n", stderr);
    return EXIT_USAGE;
}

/* -1: go on; else the exit code. */
static int read_flags(int argc, char **argv, flags *f)
{
    enum { SET = 256, INSECURE, VERSION };
    static const struct option options[] = { { "config", required_argument, NULL, 'c' },
                                             { "set", required_argument, NULL, SET },
                                             { "insecure", no_argument, NULL, INSECURE },
                                             { "version", no_argument, NULL, VERSION },
                                             { "help", no_argument, NULL, 'h' },
                                             { NULL, 0, NULL, 0 } };
    for (int c; (c = getopt_long(argc, argv, "c:tTh", options, NULL)) != -1;) {
        switch (c) {
        case 'c': f->file = optarg; break;
        case 't': f->check = true; break;
        case 'T': f->print = true; break;
        case 'h': fputs(HELP, stdout); return 0;
        case INSECURE: f->is_insecure = true; break;
        case VERSION: print_version(); return 0;
        case SET:
            if (f->n_sets == MAX_SETS)
                return usage("too many --set");
            f->sets[f->n_sets++] = optarg;
            break;
        default: return usage(NULL);
        }
    }
    return optind < argc ? usage("it takes no arguments") : -1;
}

static rag_code load(rag_conf **out, const flags *f, rag_err *err)
{
    rag_conf_options opt = { .file = f->file, .sets = f->sets, .n_sets = f->n_sets };
    return rag_conf_load(out, &opt, err);
}

static int number(const rag_conf *c, const char *name)
{
    return (int)rag_conf_int(c, name);
}

static ragd_tuning tuning_of(const rag_conf *c)
{
    static const char *const modes[] = { "auto", "generate", "extract", "span" };
    static const char *const fusions[] = { "adaptive", "weighted", "rrf" };
    ragd_tuning t = { .queue = number(c, "limits.queue"),
                      .question_tokens = (size_t)rag_conf_int(c, "limits.question_tokens"),
                      .deadline_ms = rag_conf_int(c, "limits.deadline"),
                      .drain_ms = rag_conf_int(c, "limits.drain"),
                      .top_k = 5,
                      .candidates = number(c, "search.candidates"),
                      .rrf_k = number(c, "search.rrf_k"),
                      .text_weight = rag_conf_number(c, "search.text_weight"),
                      .document_share = rag_conf_number(c, "search.document_share"),
                      .rerank = number(c, "search.rerank"),
                      .rerank_ms = rag_conf_int(c, "search.rerank_budget"),
                      .mode = modes[0],
                      .passages = number(c, "answer.passages"),
                      .sentences = number(c, "answer.sentences"),
                      .refuse_below = rag_conf_number(c, "answer.refuse_below"),
                      .review_below = rag_conf_number(c, "answer.review_below"),
                      .max_tokens = number(c, "llm.max_tokens"),
                      .remembers = number(c, "conversation.turns") > 0,
                      .audit = rag_conf_bool(c, "answer.audit") };
    for (size_t i = 0; i < sizeof modes / sizeof *modes; i++)
        if (strcmp(rag_conf_string(c, "answer.mode"), modes[i]) == 0)
            t.mode = modes[i];
    for (size_t i = 0; i < sizeof fusions / sizeof *fusions; i++)
        if (strcmp(rag_conf_string(c, "search.fusion"), fusions[i]) == 0)
            t.fusion = (rag_fusion)i;
    return t;
}

/* Here 0 is none, there the default. */
static double weight(const rag_conf *c, const char *name)
{
    double w = rag_conf_number(c, name);
    return w > 0 ? w : -1;
}

static ragd_options options_of(const rag_conf *c, const flags *f)
{
    ragd_options o = { .storage_dir = rag_conf_path(c, "storage.dir"),
                       .keep_generations = number(c, "storage.keep_generations"),
                       .audit_max = number(c, "answer.audit_max"),
                       .audit_days = number(c, "answer.audit_days"),
                       .conversation_ms = rag_conf_int(c, "conversation.keep"),
                       .conversation_turns = number(c, "conversation.turns"),
                       .conversations = number(c, "conversation.limit"),
                       .title_weight = weight(c, "search.title_weight"),
                       .heading_weight = weight(c, "search.heading_weight"),
                       .listen = rag_conf_string(c, "http.listen"),
                       .unix_path = rag_conf_path(c, "unix.path"),
                       .unix_mode = number(c, "unix.mode"),
                       .key_file = rag_conf_path(c, "http.key_file"),
                       .is_insecure = f->is_insecure,
                       .connections = number(c, "limits.connections"),
                       .header_timeout_ms = number(c, "http.header_timeout"),
                       .body_timeout_ms = number(c, "http.body_timeout"),
                       .idle_timeout_ms = number(c, "http.idle_timeout"),
                       .stall_timeout_ms = number(c, "http.stall_timeout"),
                       .max_header_bytes = (size_t)rag_conf_int(c, "http.max_header"),
                       .max_body_bytes = (size_t)rag_conf_int(c, "http.max_body"),
                       .embed_path = rag_conf_path(c, "models.embed"),
                       .decoder_path = rag_conf_path(c, "models.decoder"),
                       .reranker_path = rag_conf_path(c, "models.reranker"),
                       .prompts_dir = rag_conf_path(c, "prompts.dir"),
                       .confidence_path = rag_conf_path(c, "answer.confidence"),
                       .prompt_style = rag_conf_string(c, "llm.prompt"),
                       .threads = number(c, "llm.threads"),
                       .slots = number(c, "llm.slots"),
                       .context = number(c, "llm.context"),
                       .deterministic = rag_conf_bool(c, "llm.deterministic"),
                       .workers = number(c, "limits.workers"),
                       .log_file = rag_conf_path(c, "log.file"),
                       .tuning = tuning_of(c) };
    rag_level_parse(rag_conf_string(c, "log.level"), &o.log_level);
    return o;
}

static rag_code reload(void *context, ragd_options *out, rag_err *err)
{
    configuration *conf = context;
    rag_conf *fresh = NULL;
    rag_code code = load(&fresh, conf->flags, err);
    if (code != RAG_OK)
        return code;
    rag_conf_free(conf->latest);
    conf->latest = fresh;
    *out = options_of(fresh, conf->flags);
    return RAG_OK;
}

static int serve(configuration *conf)
{
    rag_err err = { 0 };
    ragd_options opt = options_of(conf->first, conf->flags);
    if (rag_log_open(opt.log_file, opt.log_level, &err) != RAG_OK) {
        fprintf(stderr, "ragd: %s\n", err.message);
        return EXIT_CONF;
    }
    int code = ragd_run(&opt, reload, conf);
    rag_log_close();
    return code;
}

/* `-t`: what would stop a start. */
static int check(configuration *conf)
{
    rag_err err = { 0 };
    ragd_options opt = options_of(conf->first, conf->flags);
    if (ragd_check(&opt, &err) == RAG_OK)
        return 0;
    fprintf(stderr, "ragd: %s\n", err.message);
    return EXIT_CONF;
}

/* What reading a model takes and frees again goes back to the system: 9 MB with the default models.  (glibc
 * raises the threshold by itself, and large blocks then stay in the heap.) */
static void keep_heap_small(void)
{
#ifdef __GLIBC__
    mallopt(M_MMAP_THRESHOLD, 128 * 1024);
#endif
}

int main(int argc, char **argv)
{
    flags f = { 0 };
    rag_err err = { 0 };
    configuration conf = { .flags = &f };
    rag_llama_prepare(argv);
    keep_heap_small();
    int code = read_flags(argc, argv, &f);
    if (code >= 0)
        return code;
    if (load(&conf.first, &f, &err) != RAG_OK) {
        fprintf(stderr, "ragd: %s\n", err.message);
        return EXIT_CONF;
    }
    if (f.print)
        rag_conf_print_effective(conf.first, stdout);
    else if (f.check && (code = check(&conf)) == 0)
        printf("the configuration is good: %s\n", *rag_conf_file(conf.first) ? rag_conf_file(conf.first) : "built-in values");
    if (!f.print && !f.check)
        code = serve(&conf);
    else if (f.print)
        code = 0;
    rag_conf_free(conf.first);
    rag_conf_free(conf.latest);
    return code;
}
