/* The tables of commands and options, and the help that is made from them. */
#include <stdio.h>
#include <string.h>

#include <curl/curl.h>

#include "ctl/commands.h"

const option_row args_globals[] = {
    { "config", OPTION_FILE, "FILE", NULL, "configuration file", 'c' },
    { "set", OPTION_STRING, "SECTION.KEY=VALUE", NULL, "override one value of the configuration; may be repeated", 0 },
    { "socket", OPTION_FILE, "PATH", NULL, "ask the daemon on this Unix socket", 0 },
    { "url", OPTION_STRING, "URL", NULL, "ask the daemon at this address, http://host:port", 0 },
    { "key-file", OPTION_FILE, "FILE", NULL, "send the bearer key in this file", 0 },
    { "json", OPTION_FLAG, NULL, NULL, "print JSON on one line", 0 },
    { "timeout", OPTION_STRING, "DURATION", NULL, "give up after 30s, 500ms, 5m; a bare number is seconds, 0 waits for ever (default 10m)", 0 },
    { "help", OPTION_FLAG, NULL, NULL, "explain", 'h' },
    { "version", OPTION_FLAG, NULL, NULL, "name the linked versions", 0 },
    { NULL, OPTION_FLAG, NULL, NULL, NULL, 0 },
};

#define COLLECTION { "collection", OPTION_STRING, "NAME", "collection", "collection (default 'default')", 0 }
#define FILTER \
    { "language", OPTION_LIST, "en,zh", "filter.language", "only documents in these languages", 0 }, \
    { "path-prefix", OPTION_STRING, "PREFIX", "filter.path_prefix", "only documents whose path begins with this", 0 }, \
    { "modified-after", OPTION_TIME, "TIME", "filter.modified_after", "only files modified then or later (UTC)", 0 }, \
    { "modified-before", OPTION_TIME, "TIME", "filter.modified_before", "only files modified before that", 0 }, \
    { "group", OPTION_LIST, "GROUP,…", "filter.groups", "only documents of these groups, and those open to everybody", 0 }
#define BATCH \
    { "batch", OPTION_FILE, "FILE", NULL, "a JSON object a line in, a response object a line out; - is standard input", 0 }, \
    { "concurrency", OPTION_INT, "N", NULL, "requests at once in a batch (default 4)", 0 }
#define SAMPLING \
    { "mode", OPTION_CHOICE, "auto|generate|extract|span", "mode", "how the answer is made", 0 }, \
    { "deadline-ms", OPTION_INT, "N", "deadline_ms", "answer within N milliseconds", 0 }, \
    { "method", OPTION_CHOICE, "greedy|sample|beam", "sampling.method", "how the decoder chooses", 0 }, \
    { "temperature", OPTION_NUMBER, "X", "sampling.temperature", "temperature", 0 }, \
    { "sampling-top-k", OPTION_INT, "N", "sampling.top_k", "choose among the N likeliest tokens", 0 }, \
    { "top-p", OPTION_NUMBER, "X", "sampling.top_p", "choose among tokens that make up this probability", 0 }, \
    { "min-p", OPTION_NUMBER, "X", "sampling.min_p", "leave out tokens less likely than X times the likeliest", 0 }, \
    { "beams", OPTION_INT, "N", "sampling.beams", "beams of method beam", 0 }, \
    { "seed", OPTION_INT, "N", "sampling.seed", "seed of method sample", 0 }, \
    { "max-tokens", OPTION_INT, "N", "sampling.max_tokens", "length of the answer", 0 }
#define END { NULL, OPTION_FLAG, NULL, NULL, NULL, 0 }

static const option_row ask_rows[] = {
    COLLECTION,
    FILTER,
    { "top-k", OPTION_INT, "N", "top_k", "passages to answer from (default 5)", 0 },
    { "conversation", OPTION_STRING, "ID", "conversation_id", "go on with this conversation", 0 },
    { "explain", OPTION_FLAG, NULL, "explain", "say how the answer was found (with --json)", 0 },
    { "stream", OPTION_FLAG, NULL, NULL, "print the answer while it is being written; with --json an object an event", 0 },
    BATCH,
    SAMPLING,
    END,
};

static const option_row search_rows[] = {
    COLLECTION,
    FILTER,
    { "top-k", OPTION_INT, "N", "top_k", "results (default 5)", 0 },
    { "mode", OPTION_CHOICE, "hybrid|vector|text", "mode", "which halves of the index to ask", 0 },
    { "explain", OPTION_FLAG, NULL, "explain", "say what became of every candidate, and why", 0 },
    { "stream", OPTION_FLAG, NULL, NULL, "with --json: a result a line", 0 },
    BATCH,
    END,
};

static const option_row chat_rows[] = {
    COLLECTION,
    { "top-k", OPTION_INT, "N", "top_k", "passages to answer from (default 5)", 0 },
    SAMPLING,
    END,
};

static const option_row collection_rows[] = { COLLECTION, END };

static const option_row list_rows[] = {
    { "collection", OPTION_STRING, "NAME", "collection", "only this collection", 0 },
    END,
};

static const option_row get_rows[] = {
    COLLECTION,
    { "start", OPTION_INT, "BYTE", NULL, "from this byte of the stored text", 0 },
    { "end", OPTION_INT, "BYTE", NULL, "to before this byte", 0 },
    END,
};

static const option_row eval_rows[] = {
    { "small", OPTION_FLAG, NULL, NULL, "take the set's questions.small.jsonl", 0 },
    { "limit", OPTION_INT, "N", NULL, "take the first N questions", 0 },
    { "search-only", OPTION_FLAG, NULL, NULL, "search, and ask nothing", 0 },
    { "search-mode", OPTION_CHOICE, "hybrid|vector|text", NULL, "which halves of the index a search asks", 0 },
    { "top-k", OPTION_INT, "N", NULL, "results of a search (default 10)", 0 },
    { "mode", OPTION_CHOICE, "auto|generate|extract|span", NULL, "how answers are made", 0 },
    COLLECTION,
    { "concurrency", OPTION_INT, "N", NULL, "requests at once (default 1, so that times are those of one user)", 0 },
    { "data", OPTION_FILE, "DIR", NULL, "start a daemon of our own over this storage.dir", 0 },
    { "ragd", OPTION_FILE, "PROGRAM", NULL, "the daemon that --data starts (default: the ragd beside ragctl)", 0 },
    { "output", OPTION_FILE, "FILE", NULL, "write the report as JSON", 0 },
    { "html", OPTION_FILE, "FILE", NULL, "write the report as one HTML page", 0 },
    { "compare", OPTION_FLAG, NULL, NULL, "compare two JSON reports, question by question", 0 },
    { "metric", OPTION_STRING, "KEY", NULL, "with --compare: whose changes to list (default doc_ndcg_10)", 0 },
    { "changes", OPTION_INT, "N", NULL, "with --compare: list the N largest changes", 0 },
    END,
};

static const option_row no_rows[] = { END };

const command_row args_commands[] = {
    { "ask", "[QUESTION…]", "answer a question, with citations", ask_rows, 0, -1, cmd_ask },
    { "search", "[QUERY…]", "find passages", search_rows, 0, -1, cmd_search },
    { "chat", "", "ask one question after the other", chat_rows, 0, 0, cmd_chat },
    { "get", "DOCUMENT[:LINE[-LINE]]", "print a document's stored text, by path or id", get_rows, 1, 1, cmd_get },
    { "docs ls", "", "list documents", list_rows, 0, 0, cmd_docs_ls },
    { "docs show", "DOCUMENT", "tell what is known of a document, by path or id", collection_rows, 1, 1, cmd_docs_show },
    { "status", "", "tell how the daemon does", no_rows, 0, 0, cmd_status },
    { "reload", "", "have the daemon read its configuration again", no_rows, 0, 0, cmd_reload },
    { "generations ls", "", "list the versions of the knowledge base", no_rows, 0, 0, cmd_generations_ls },
    { "generations activate", "N|latest", "serve this version", no_rows, 1, 1, cmd_generations_activate },
    { "verify", "", "check that everything stored agrees", no_rows, 0, 0, cmd_verify },
    { "backup", "FILE", "copy the knowledge base into one file", no_rows, 1, 1, cmd_backup },
    { "restore", "FILE", "put a backup in the knowledge base's place", no_rows, 1, 1, cmd_restore },
    { "why", "ANSWER_ID", "tell how an answer came about", no_rows, 1, 1, cmd_why },
    { "replay", "ANSWER_ID", "make an answer once more and compare: exit 0 when equal, 1 when not", no_rows, 1, 1, cmd_replay },
    { "eval", "SET", "measure answers to a question set; or --compare A.json B.json", eval_rows, 1, 2, cmd_eval },
    { "completion", "bash|zsh|fish", "print a completion script for the shell", no_rows, 1, 1, cmd_completion },
    { NULL, NULL, NULL, NULL, 0, 0, NULL },
};

static void print_options(FILE *out, const option_row *rows)
{
    for (const option_row *row = rows; row->name; row++) {
        char left[80];
        snprintf(left, sizeof left, "%s%.1s%s--%s%s%s", row->letter ? "-" : "  ", row->letter ? &row->letter : "",
                 row->letter ? ", " : "  ", row->name, row->value ? " " : "", row->value ? row->value : "");
        fprintf(out, strlen(left) > 30 ? "  %s\n  %30s %s\n" : "  %-30s%s %s\n", left, "", row->help);
    }
}

void help_print(FILE *out)
{
    fputs("usage: ragctl [OPTION]… COMMAND [OPERAND]…\n\nCommands:\n", out);
    for (const command_row *row = args_commands; row->name; row++)
        fprintf(out, "  %-30s %s\n", row->name, row->summary);
    fputs("\nOptions of every command:\n", out);
    print_options(out, args_globals);
    fputs("\n'ragctl COMMAND --help' tells the options of a command.\n\n"
          "ask, search, chat, replay, eval, status and reload ask the daemon at --socket or --url, else at the configuration's\n"
          "unix.path. The others open the configuration's storage.dir themselves, unless --socket or --url is given.\n\n"
          "Exit codes: 0 done, 1 run-time error, 2 usage, 3 daemon not reachable, 4 nothing found or answer refused,\n"
          "5 some items of a batch failed, 6 denied, 75 an ingest holds the lock, 78 bad configuration.\n",
          out);
}

void help_print_command(FILE *out, const command_row *command)
{
    fprintf(out, "usage: ragctl %s%s%s%s\n\n%s.\n", command->name, command->options->name ? " [OPTION]…" : "",
            *command->operands ? " " : "", command->operands, command->summary);
    if (command->options->name)
        fputs("\nOptions:\n", out);
    print_options(out, command->options);
    fputs("\nOptions of every command:\n", out);
    print_options(out, args_globals);
}

void version_print(FILE *out)
{
    fprintf(out, "ragctl %s\n%s, cJSON %s, %s\n", RAGD_VERSION, rag_index_versions(), cJSON_Version(), curl_version());
}
