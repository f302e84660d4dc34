#include "conf/options.h"

#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/file.h"
#include "conf/conf.h"

enum { KIB = 1024, MIB = 1024 * 1024, SECOND = 1000, HOUR = 3600 * 1000, DAY = 24 * HOUR };

static bool is_port(const char *text)
{
    size_t n = strlen(text);
    return n >= 1 && n <= 5 && strspn(text, "0123456789") == n && strtol(text, NULL, 10) <= 65535;
}

static const char *complain_of_listen(const char *text)
{
    const char *colon = strrchr(text, ':');
    if (strcmp(text, "off") == 0)
        return NULL;
    if (!colon || colon == text || !is_port(colon + 1))
        return "expected ADDRESS:PORT, [ADDRESS]:PORT or off";
    bool bracketed = text[0] == '[' && colon[-1] == ']' && colon - text > 2;
    if (!bracketed && strchr(text, ':') != colon)
        return "an IPv6 address stands in brackets: [::1]:8765";
    if (!bracketed && strpbrk(text, "[] /"))
        return "expected ADDRESS:PORT, [ADDRESS]:PORT or off";
    return NULL;
}

const option option_table[] = {
    { "storage", "dir", OPTION_PATH, .fallback = "data", .system = "/var/lib/ragd",
      .help = "Folder of the knowledge base, made when absent." },
    { "storage", "keep_generations", OPTION_INT, .fallback = "10", .min = 1, .max = 1000,
      .help = "Generations that stay readable; older ones are swept by the next ingest." },

    { "unix", "path", OPTION_PATH, .fallback = "data/ragd.sock", .system = "/run/ragd/ragd.sock", .off = "off",
      .help = "Unix socket.  When storage.dir is given and this is not: ragd.sock in storage.dir." },
    { "unix", "mode", OPTION_OCTAL, .fallback = "0660", .min = 0, .max = 0777, .help = "Access mode of the socket." },

    { "http", "listen", OPTION_STRING, .fallback = "127.0.0.1:8765", .complain = complain_of_listen,
      .help = "TCP address, [::1]:8765 too; port 0 picks a free one and prints it; off opens none.\n"
              "Other than loopback needs http.key_file." },
    { "http", "key_file", OPTION_PATH, .fallback = "", .off = "off",
      .help = "File of bearer keys, one a line.  When it is set, TCP asks for one." },
    { "http", "idle_timeout", OPTION_DURATION, .fallback = "60s", .min = 1, .max = DAY,
      .help = "A connection without a request is closed after this time." },
    { "http", "header_timeout", OPTION_DURATION, .fallback = "10s", .min = 1, .max = HOUR,
      .help = "A request's header must be complete within this time." },
    { "http", "body_timeout", OPTION_DURATION, .fallback = "30s", .min = 1, .max = HOUR,
      .help = "A request's body must be complete within this time." },
    { "http", "stall_timeout", OPTION_DURATION, .fallback = "10s", .min = 1, .max = HOUR,
      .help = "A client that does not read its reply for this time is dropped." },
    { "http", "max_header", OPTION_SIZE, .fallback = "16k", .min = KIB, .max = MIB,
      .help = "Largest request header." },
    { "http", "max_body", OPTION_SIZE, .fallback = "1M", .min = KIB, .max = 64.0 * MIB,
      .help = "Largest request body; a larger one is answered with 413." },

    { "models", "dir", OPTION_PATH, .fallback = "models", .system = "/usr/share/ragd/models",
      .help = "Folder of the models." },
    { "models", "embed", OPTION_MODEL, .fallback = "multilingual-e5-small-q4_0.gguf",
      .help = "Embedder, a GGUF file.  A name without a slash is looked for in models.dir." },
    { "models", "decoder", OPTION_MODEL, .fallback = "gemma-3-270m-q4_k_m.gguf", .off = "none",
      .help = "Decoder, a GGUF file; without one, answers are extracts." },
    { "models", "reranker", OPTION_MODEL, .fallback = "", .off = "none",
      .help = "A cross-encoder, a GGUF file with rank pooling: it reorders the best hits.  Unset: none." },

    { "llm", "threads", OPTION_INT, .fallback = "0", .min = 0, .max = AT_MOST_CORES,
      .help = "Compute threads; 0 takes one a core." },
    { "llm", "slots", OPTION_INT, .fallback = "1", .min = 1, .max = 64,
      .help = "Answers that are generated at the same time." },
    { "llm", "context", OPTION_INT, .fallback = "2048", .min = 256, .max = 131072, .help = "Tokens of a slot." },
    { "llm", "max_tokens", OPTION_INT, .fallback = "128", .min = 1, .max = 131072,
      .help = "Tokens of an answer, when the request does not say." },
    { "llm", "deterministic", OPTION_BOOL, .fallback = "off",
      .help = "The same seed gives the same answer, at the price of speed." },
    { "llm", "prompt", OPTION_CHOICE, .fallback = "auto", .choices = "auto|completion|chat",
      .help = "How the decoder is asked; auto takes chat when the model has a chat template." },

    { "prompts", "dir", OPTION_PATH, .fallback = "conf/prompts", .system = "/usr/share/ragd/prompts",
      .help = "Folder of the prompt files." },

    { "limits", "queue", OPTION_INT, .fallback = "64", .min = 1, .max = 65536,
      .help = "Requests that may wait; more are answered with 503." },
    { "limits", "connections", OPTION_INT, .fallback = "512", .min = 1, .max = 65536,
      .help = "Connections at the same time, over both doors." },
    { "limits", "workers", OPTION_INT, .fallback = "2", .min = 1, .max = 64, .help = "Search threads." },
    { "limits", "question_tokens", OPTION_INT, .fallback = "256", .min = 8, .max = 500,
      .help = "Longest question, in tokens of the embedder." },
    { "limits", "deadline", OPTION_DURATION, .fallback = "60s", .min = 1, .max = HOUR,
      .help = "A request's time, when it does not say." },
    { "limits", "drain", OPTION_DURATION, .fallback = "10s", .min = 0, .max = HOUR,
      .help = "Time that running requests have after TERM." },

    { "search", "candidates", OPTION_INT, .fallback = "100", .min = 1, .max = 1000,
      .help = "Hits that vector and text search each hand to the fusion." },
    { "search", "fusion", OPTION_CHOICE, .fallback = "adaptive", .choices = "adaptive|weighted|rrf",
      .help = "How vector and text search become one list: adaptive adds cosine, BM25 and how close together a passage"
              " holds the question's words; weighted adds cosine and BM25; rrf is reciprocal rank fusion." },
    { "search", "text_weight", OPTION_NUMBER, .fallback = "0.003", .min = 0, .max = 1,
      .help = "What a point of BM25 is worth in cosine, but with fusion = rrf.  Another embedder than E5, whose cosines lie"
              " farther apart, wants more." },
    { "search", "rrf_k", OPTION_INT, .fallback = "60", .min = 1, .max = 1000,
      .help = "The constant of reciprocal rank fusion, with fusion = rrf." },
    { "search", "title_weight", OPTION_NUMBER, .fallback = "1", .min = 0, .max = 10,
      .help = "What a word in a document's title counts in the text search; one in the body counts 1." },
    { "search", "heading_weight", OPTION_NUMBER, .fallback = "1", .min = 0, .max = 10,
      .help = "What a word in a heading counts." },
    { "search", "document_share", OPTION_NUMBER, .fallback = "0.6", .min = 0, .max = 1,
      .help = "Largest part of the results from one document while others have hits, at least one; 1: no limit." },
    { "search", "rerank", OPTION_INT, .fallback = "20", .min = 1, .max = 100,
      .help = "Hits that the reranker (models.reranker) looks at." },
    { "search", "rerank_budget", OPTION_DURATION, .fallback = "500ms", .min = 1, .max = HOUR,
      .help = "Time of the reranker for one question; hits that it has not seen by then keep their place behind." },

    { "index", "type", OPTION_CHOICE, .fallback = "auto", .choices = "auto|Flat|HNSW|IVF",
      .help = "The vector index: auto is Flat (exact) while that is fast, and then the approximate one that was measured"
              " best.  It is read by ragd-ingest, which builds the index." },

    { "answer", "mode", OPTION_CHOICE, .fallback = "auto", .choices = "auto|generate|extract|span",
      .help = "Mode of a request that does not say." },
    { "answer", "sentences", OPTION_INT, .fallback = "3", .min = 1, .max = 3, .help = "Most sentences of an extract." },
    { "answer", "passages", OPTION_INT, .fallback = "5", .min = 1, .max = 20,
      .help = "Passages that an answer is made from." },
    { "answer", "refuse_below", OPTION_NUMBER, .fallback = "0.25", .min = 0, .max = 1,
      .help = "An answer of less confidence is refused; 0 refuses only what nothing supports." },
    { "answer", "confidence", OPTION_PATH, .fallback = "", .off = "off",
      .help = "Coefficients that make the confidence, as in conf/confidence.conf; unset: the same numbers, built in." },
    { "answer", "review_below", OPTION_NUMBER, .fallback = "0.5", .min = 0, .max = 1,
      .help = "An answer of less confidence that is not refused is marked for review: needs_review in the reply." },
    { "answer", "audit", OPTION_BOOL, .fallback = "on",
      .help = "Writes down how each answer came about, for ragctl why and ragctl replay." },
    { "answer", "audit_max", OPTION_INT, .fallback = "10000", .min = 1, .max = 10000000,
      .help = "Answers that are kept; the oldest go first." },
    { "answer", "audit_days", OPTION_INT, .fallback = "30", .min = 1, .max = 36500, .help = "Days that they are kept." },

    { "conversation", "keep", OPTION_DURATION, .fallback = "24h", .min = 1, .max = 365.0 * DAY,
      .help = "A conversation is forgotten when it was not used for this time." },
    { "conversation", "turns", OPTION_INT, .fallback = "20", .min = 0, .max = 1000,
      .help = "Turns of a conversation that are kept, the newest; 0 keeps none: every question stands alone." },
    { "conversation", "limit", OPTION_INT, .fallback = "10000", .min = 1, .max = 10000000,
      .help = "Conversations that are kept; the longest unused go first." },

    { "ingest", "max_bytes", OPTION_SIZE, .fallback = "64M", .min = 1, .max = RAG_MAX_TEXT,
      .help = "Largest file that is read." },
    { "ingest", "chunk_tokens", OPTION_INT, .fallback = "256", .min = 32, .max = 320,
      .help = "Tokens of a chunk, about.  After a change the next run of ragd-ingest cuts every file anew." },
    { "ingest", "threads", OPTION_INT, .fallback = "0", .min = 0, .max = AT_MOST_CORES,
      .help = "Compute threads; 0 takes one a core." },

    { "log", "level", OPTION_CHOICE, .fallback = "info", .choices = "debug|info|warn|error", .help = "Least level that is written." },
    { "log", "file", OPTION_PATH, .fallback = "", .off = "off", .help = "Log file, opened again on HUP; unset: standard error." },
};

const size_t n_options = sizeof option_table / sizeof *option_table;

bool option_is_path(const option *o)
{
    return o->kind == OPTION_PATH || o->kind == OPTION_MODEL;
}

static bool is_name_of(const option *o, const char *name)
{
    size_t n = strlen(o->section);
    return strncmp(name, o->section, n) == 0 && name[n] == '.' && strcmp(name + n + 1, o->key) == 0;
}

size_t option_find(const char *name)
{
    for (size_t i = 0; i < n_options; i++)
        if (is_name_of(&option_table[i], name))
            return i;
    return SIZE_MAX;
}

bool option_section_exists(const char *section)
{
    for (size_t i = 0; i < n_options; i++)
        if (strcmp(option_table[i].section, section) == 0)
            return true;
    return false;
}

/* Levenshtein's distance of two names of fewer than 64 bytes. */
static size_t distance(const char *a, const char *b)
{
    size_t row[64], n = strlen(b);
    for (size_t j = 0; j <= n; j++)
        row[j] = j;
    for (size_t i = 1; a[i - 1]; i++) {
        size_t diagonal = row[0];
        row[0] = i;
        for (size_t j = 1; j <= n; j++) {
            size_t changed = diagonal + (a[i - 1] != b[j - 1]);
            size_t shorter = (row[j] < row[j - 1] ? row[j] : row[j - 1]) + 1;
            diagonal = row[j];
            row[j] = changed < shorter ? changed : shorter;
        }
    }
    return row[n];
}

const char *option_nearest(const char *name, char *room)
{
    size_t best = 3; /* two slips of the finger at most */
    room[0] = '\0';
    for (size_t i = 0; i < n_options && strlen(name) < 64; i++) {
        char candidate[64];
        snprintf(candidate, sizeof candidate, "%s.%s", option_table[i].section, option_table[i].key);
        size_t d = distance(name, candidate);
        if (d < best) {
            best = d;
            strcpy(room, candidate);
        }
    }
    return room[0] ? room : NULL;
}

static int cores(void)
{
    cpu_set_t set;
    int n = sched_getaffinity(0, sizeof set, &set) == 0 ? CPU_COUNT(&set) : 1;
    return n > 0 ? n : 1;
}

static double max_of(const option *o)
{
    return o->max == AT_MOST_CORES ? cores() : o->max;
}

static bool parse_integer(const char *text, int base, int64_t *out)
{
    char *end;
    if (!isdigit((unsigned char)text[text[0] == '-']))
        return false;
    errno = 0;
    *out = strtoll(text, &end, base);
    return *end == '\0' && errno == 0;
}

static bool parse_number(const char *text, double *out)
{
    char *end;
    if (!*text || strspn(text, "0123456789.eE+-") != strlen(text))
        return false;
    *out = strtod(text, &end);
    return *end == '\0' && isfinite(*out);
}

static bool parse_bool(const char *text, int64_t *out)
{
    static const char *const words[] = { "off", "on", "no", "yes", "false", "true", "0", "1" };
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (strcasecmp(text, words[i]) == 0) {
            *out = (int64_t)(i % 2);
            return true;
        }
    return false;
}

static bool is_choice(const char *choices, const char *text)
{
    size_t n = strlen(text);
    for (const char *c = choices; n > 0 && c; c = strchr(c, '|')) {
        c += *c == '|';
        if (strncmp(c, text, n) == 0 && (c[n] == '|' || c[n] == '\0'))
            return true;
    }
    return false;
}

static rag_code expect(rag_err *err, const option *o, const char *text, const char *what)
{
    return rag_fail(err, RAG_CONFIG, "bad value '%s' for '%s.%s': %s", text, o->section, o->key, what);
}

static rag_code check_range(const option *o, const char *text, double value, rag_err *err)
{
    if (value < o->min)
        return rag_fail(err, RAG_CONFIG, "'%s.%s = %s' is too small: the least is %.0f", o->section, o->key, text, o->min);
    if (value <= max_of(o))
        return RAG_OK;
    if (o->max == AT_MOST_CORES)
        return rag_fail(err, RAG_CONFIG, "'%s.%s = %s' is more than this machine's %d cores", o->section, o->key, text,
                        cores());
    return rag_fail(err, RAG_CONFIG, "'%s.%s = %s' is too large: the most is %.0f", o->section, o->key, text, o->max);
}

static rag_code parse_in_range(const option *o, const char *text, option_value *out, rag_err *err)
{
    bool fits = true;
    const char *what = "";
    switch (o->kind) {
    case OPTION_OCTAL:
        fits = parse_integer(text, 8, &out->integer);
        what = "expected an octal number such as 0660";
        break;
    case OPTION_SIZE:
        fits = rag_parse_size(text, &out->integer);
        what = "expected a size such as 64k, 2M or 1G";
        break;
    case OPTION_DURATION:
        fits = rag_parse_duration(text, &out->integer);
        what = "expected a duration such as 250ms, 10s, 5m or 2h";
        break;
    case OPTION_NUMBER:
        fits = parse_number(text, &out->number);
        what = "expected a number";
        break;
    default:
        fits = parse_integer(text, 10, &out->integer);
        what = "expected a whole number";
        break;
    }
    if (!fits)
        return expect(err, o, text, what);
    return check_range(o, text, o->kind == OPTION_NUMBER ? out->number : (double)out->integer, err);
}

static rag_code parse_path(const option *o, const char *text, option_value *out, rag_err *err)
{
    out->unset = !*text || (o->off && strcmp(text, o->off) == 0);
    return out->unset && !o->off ? expect(err, o, text, "must not be empty") : RAG_OK;
}

rag_code option_parse(const option *o, const char *text, option_value *out, rag_err *err)
{
    *out = (option_value){ 0 };
    const char *reason;
    switch (o->kind) {
    case OPTION_STRING:
        reason = o->complain ? o->complain(text) : NULL;
        return reason ? expect(err, o, text, reason) : RAG_OK;
    case OPTION_CHOICE:
        return is_choice(o->choices, text) ? RAG_OK
                                           : rag_fail(err, RAG_CONFIG, "bad value '%s' for '%s.%s': expected one of %s", text,
                                                      o->section, o->key, o->choices);
    case OPTION_BOOL:
        return parse_bool(text, &out->integer) ? RAG_OK : expect(err, o, text, "expected on or off");
    case OPTION_PATH:
    case OPTION_MODEL:
        return parse_path(o, text, out, err);
    default:
        return parse_in_range(o, text, out, err);
    }
}
