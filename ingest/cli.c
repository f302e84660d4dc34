#include "ingest/cli.h"

#include <getopt.h>
#include <stdlib.h>
#include <string.h>

#include "base/utf8.h"

enum { MAX_NAME = 200 };
enum {
    OPT_SET = 256, OPT_COLLECTION, OPT_GROUPS, OPT_PREFIX, OPT_URL, OPT_KEEP, OPT_FULL, OPT_DRY, OPT_WATCH, OPT_JSON,
    OPT_PROGRESS, OPT_ALLOW, OPT_ADOPT, OPT_INCLUDE, OPT_EXCLUDE, OPT_VERSION
};

static const struct option options[] = {
    { "config", required_argument, NULL, 'c' },
    { "set", required_argument, NULL, OPT_SET },
    { "collection", required_argument, NULL, OPT_COLLECTION },
    { "groups", required_argument, NULL, OPT_GROUPS },
    { "prefix", required_argument, NULL, OPT_PREFIX },
    { "url", required_argument, NULL, OPT_URL },
    { "include", required_argument, NULL, OPT_INCLUDE },
    { "exclude", required_argument, NULL, OPT_EXCLUDE },
    { "keep-missing", no_argument, NULL, OPT_KEEP },
    { "allow-removal", no_argument, NULL, OPT_ALLOW },
    { "adopt", no_argument, NULL, OPT_ADOPT },
    { "full", no_argument, NULL, OPT_FULL },
    { "dry-run", no_argument, NULL, OPT_DRY },
    { "watch", no_argument, NULL, OPT_WATCH },
    { "json", no_argument, NULL, OPT_JSON },
    { "progress", required_argument, NULL, OPT_PROGRESS },
    { "help", no_argument, NULL, 'h' },
    { "version", no_argument, NULL, OPT_VERSION },
    { 0 },
};

void cli_print_help(FILE *out)
{
    fputs("usage: ragd-ingest [OPTION]... PATH...\n"
          "Files and folders into the knowledge base.  A folder is mirrored: new and changed files go in, vanished ones\n"
          "are removed.  Without a PATH the [source] sections of the configuration are read.\n\n"
          "  -c, --config FILE       configuration file\n"
          "      --set SECTION.KEY=VALUE  overrides the configuration; may be repeated\n"
          "      --collection NAME   collection of the documents (default \"default\")\n"
          "      --groups G,...      groups that may see them (default: everybody)\n"
          "      --prefix P          documents are called P/path\n"
          "      --url URL           address under which the originals stand\n"
          "      --include GLOB      only what matches; may be repeated\n"
          "      --exclude GLOB      not what matches; may be repeated\n"
          "      --keep-missing      vanished files stay in the knowledge base\n"
          "      --allow-removal     lets more than half of a folder's documents vanish\n"
          "      --adopt             takes documents over that another folder holds\n"
          "      --full              reads and embeds everything anew, also for another embedder\n"
          "      --dry-run           says what would happen, and changes nothing\n"
          "      --watch             goes on looking for changes, every few seconds\n"
          "      --json              prints the summary as one JSON object\n"
          "      --progress KIND     auto, bar, json or none\n"
          "  -h, --help\n"
          "      --version\n\n"
          "exit: 0 done, 1 error, 2 usage, 5 some files failed, 75 another ingest is running, 78 configuration\n",
          out);
}

static void append(string_list *l, const char *item)
{
    l->items = rag_realloc(l->items, (l->n + 1) * sizeof *l->items);
    l->items[l->n++] = item;
}

static bool is_name(const char *s)
{
    rag_str name = rag_str_of(s);
    if (name.len == 0 || name.len > MAX_NAME || !rag_utf8_valid(name, NULL) || strcmp(s, "*") == 0)
        return false;
    for (size_t i = 0; i < name.len; i++)
        if ((unsigned char)name.ptr[i] < 0x20 || name.ptr[i] == 0x7f)
            return false;
    return true;
}

static bool parse_progress(const char *s, progress_kind *out)
{
    static const char *const names[] = { "auto", "bar", "json", "none" };
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (strcmp(s, names[i]) == 0) {
            *out = (progress_kind)i;
            return true;
        }
    return false;
}

static bool take_text(cli *c, int option, const char *value)
{
    switch (option) {
    case 'c': c->file = value; break;
    case OPT_SET: append(&c->sets, value); break;
    case OPT_COLLECTION: c->collection = value; break;
    case OPT_GROUPS: c->groups = value; break;
    case OPT_PREFIX: c->prefix = value; break;
    case OPT_URL: c->url = value; break;
    case OPT_INCLUDE: append(&c->include, value); break;
    case OPT_EXCLUDE: append(&c->exclude, value); break;
    default: return false;
    }
    return true;
}

static bool take_flag(cli *c, int option)
{
    switch (option) {
    case OPT_KEEP: c->keep_missing = true; break;
    case OPT_ALLOW: c->allow_removal = true; break;
    case OPT_ADOPT: c->adopt = true; break;
    case OPT_FULL: c->full = true; break;
    case OPT_DRY: c->dry_run = true; break;
    case OPT_WATCH: c->watch = true; break;
    case OPT_JSON: c->json = true; break;
    case 'h': c->help = true; break;
    case OPT_VERSION: c->version = true; break;
    default: return false;
    }
    return true;
}

/* No part of a document's path is empty, "." or "..". */
static bool is_prefix(const char *s)
{
    while (*s == '/')
        s++;
    for (size_t n; *s; s += n + (s[n] == '/')) {
        n = strcspn(s, "/");
        if (n == 0 || (n <= 2 && strspn(s, ".") >= n))
            return false;
    }
    return true;
}

static rag_code check(const cli *c, rag_err *err)
{
    if (c->prefix && !is_prefix(c->prefix))
        return rag_fail(err, RAG_INVALID, "not a prefix for paths: '%s'", c->prefix);
    if (c->collection && !is_name(c->collection))
        return rag_fail(err, RAG_INVALID, "not a name for a collection: '%s'", c->collection);
    if (c->paths.n == 0 && (c->collection || c->groups || c->prefix || c->url))
        return rag_fail(err, RAG_INVALID, "--collection, --groups, --prefix and --url describe a PATH, and there is none");
    if (c->watch && (c->full || c->dry_run))
        return rag_fail(err, RAG_INVALID, "--watch goes with neither --full nor --dry-run");
    for (size_t i = 0; i < c->paths.n; i++)
        if (c->paths.items[i][0] == 0)
            return rag_fail(err, RAG_INVALID, "a PATH is empty");
    return RAG_OK;
}

rag_code cli_parse(cli *c, int argc, char **argv, rag_err *err)
{
    *c = (cli){ 0 };
    int option;
    opterr = 0;
    while ((option = getopt_long(argc, argv, ":c:h", options, NULL)) != -1) {
        const char *word = argv[optind - 1];
        if (option == ':')
            return rag_fail(err, RAG_INVALID, "'%s' needs a value", word);
        if (option == OPT_PROGRESS && !parse_progress(optarg, &c->progress))
            return rag_fail(err, RAG_INVALID, "--progress is auto, bar, json or none, not '%s'", optarg);
        if (option != OPT_PROGRESS && !take_text(c, option, optarg) && !take_flag(c, option))
            return rag_fail(err, RAG_INVALID, "unknown option '%s'", word);
    }
    for (int i = optind; i < argc; i++)
        append(&c->paths, argv[i]);
    return check(c, err);
}

void cli_free(cli *c)
{
    free(c->sets.items);
    free(c->include.items);
    free(c->exclude.items);
    free(c->paths.items);
}
