/* why, replay: how an answer came about, and the same answer once more. */
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "ctl/commands.h"
#include "ctl/json.h"
#include "ctl/print.h"
#include "index/records.h"

enum { FEW = 10 }; /* candidates that people are shown; --json has all */

static const double DOUBTFUL = 0.5; /* a token of less probability is marked */

static const cJSON *item(const cJSON *object, const char *key)
{
    return cJSON_GetObjectItemCaseSensitive(object, key);
}

static void put(const char *text, const char *line_break)
{
    print_text(stdout, rag_str_of(text), line_break);
}

static void line(const char *name, const char *text)
{
    printf("%-12s ", name);
    put(text, PRINT_INDENT);
    putchar('\n');
}

/* ---- why, for people ---------------------------------------------------------------- */

static void print_models(const cJSON *models)
{
    static const char *const names[] = { "embedder", "decoder", "reranker", NULL };
    for (size_t i = 0; names[i]; i++) {
        const cJSON *m = item(models, names[i]);
        if (!cJSON_IsObject(m))
            continue;
        printf("%-12s ", names[i]);
        put(json_string(m, "file"), " ");
        printf("  %.16s\n", json_string(m, "sha256"));
    }
}

static void print_head(const cJSON *r)
{
    const cJSON *response = item(r, "response");
    line("answer", json_string(r, "answer_id"));
    line("asked", json_string(r, "created"));
    line("question", json_string(r, "question"));
    if (*json_string(r, "resolved"))
        line("taken for", json_string(r, "resolved"));
    line("said", json_string(response, "answer"));
    printf("%-12s %s, %s (asked for: %s), confidence %.2f%s\n", "outcome", json_string(response, "outcome"),
           json_string(r, "mode"), json_string(r, "mode_asked"), json_number(response, "confidence", 0),
           json_bool(r, "late") ? ", cut short by the deadline" : "");
    printf("%-12s %lld of collection '", "generation", (long long)json_int(r, "generation", 0));
    put(json_string(r, "collection"), " ");
    printf("', ragd %s\n", json_string(r, "ragd"));
    print_models(item(r, "models"));
}

static void print_rank(const cJSON *c, const char *key)
{
    int64_t rank = json_int(c, key, 0);
    if (rank > 0)
        printf(" %5lld", (long long)rank);
    else
        printf(" %5s", "-");
}

static void print_candidates(const cJSON *search)
{
    const cJSON *c;
    int n = 0;
    puts("\nFound, by score:\n   fate      vector  text   score  document");
    cJSON_ArrayForEach(c, item(search, "candidates"))
    {
        if (n++ == FEW)
            break;
        printf("   %-9s ", json_string(c, "fate"));
        print_rank(c, "vector_rank");
        print_rank(c, "text_rank");
        printf(" %8.4f  ", json_number(c, "fused_score", 0));
        put(json_string(c, "document"), " ");
        printf(" #%lld\n", (long long)json_int(c, "chunk_id", 0));
    }
    int64_t all = json_int(search, "n_candidates", 0);
    if (all > FEW)
        printf("   and %lld more\n", (long long)all - FEW);
}

static void print_evidence(const cJSON *r)
{
    const cJSON *s;
    puts("\nEvidence, best first (score, cosine, overlap; [n]: in the prompt):");
    cJSON_ArrayForEach(s, item(r, "evidence"))
    {
        int64_t marker = json_int(s, "marker", 0);
        printf("   %6.3f %6.3f %5.2f  ", json_number(s, "score", 0), json_number(s, "cosine", 0), json_number(s, "overlap", 0));
        if (marker > 0)
            printf("[%lld] ", (long long)marker);
        put(json_string(s, "document"), " ");
        printf(":%lld  ", (long long)json_int(s, "start", 0));
        put(json_string(s, "text"), " ");
        putchar('\n');
    }
}

static void print_features(const cJSON *confidence)
{
    const cJSON *f;
    int n = 0;
    printf("\nConfidence %.2f, from", json_number(confidence, "value", 0));
    cJSON_ArrayForEach(f, item(confidence, "features"))
        if (cJSON_IsNumber(f) && strcmp(f->string, "bias") != 0) {
            printf("%s ", n++ > 0 ? "," : "");
            put(f->string, " ");
            printf(" %.2f", f->valuedouble);
        }
    putchar('\n');
}

static void print_sampling(const cJSON *s)
{
    printf("   %s, seed %lld, at most %lld tokens", json_string(s, "method"), (long long)json_int(s, "seed", 0),
           (long long)json_int(s, "max_tokens", 0));
    if (strcmp(json_string(s, "method"), "greedy") != 0)
        printf(", temperature %g, top_k %lld, top_p %g, min_p %g", json_number(s, "temperature", 0),
               (long long)json_int(s, "top_k", 0), json_number(s, "top_p", 0), json_number(s, "min_p", 0));
    putchar('\n');
}

/* {token 0.31} where the decoder was in doubt. */
static void print_tokens(const cJSON *tokens)
{
    const cJSON *t;
    printf("   ");
    cJSON_ArrayForEach(t, tokens)
    {
        double p = json_number(t, "p", 0);
        if (p < DOUBTFUL)
            putchar('{');
        put(json_string(t, "text"), " ");
        if (p < DOUBTFUL)
            printf(" %.2f}", p);
    }
    putchar('\n');
}

static void print_span(const cJSON *d)
{
    const cJSON *r, *span = item(d, "span");
    int n = 0;
    cJSON_ArrayForEach(r, item(d, "readings"))
    {
        printf("\nPrompt %d (%.3f for its sentence):\n   ", ++n, json_number(r, "bonus", 0));
        put(json_string(r, "prompt"), PRINT_INDENT);
        putchar('\n');
    }
    if (!cJSON_IsObject(span)) {
        printf("\nNo span. ");
        put(json_string(d, "error"), " ");
        putchar('\n');
        return;
    }
    printf("\nBest span, of prompt %lld: \"", (long long)json_int(span, "reading", 0) + 1);
    put(json_string(span, "text"), " ");
    printf("\"\n   score %.3f, log-probability %.3f, without the question %.3f, probability among the spans %.2f\n",
           json_number(span, "score", 0), json_number(span, "logprob", 0), json_number(span, "prior_logprob", 0),
           json_number(span, "probability", 0));
}

static void print_decoder(const cJSON *d)
{
    if (!cJSON_IsObject(d)) {
        puts("\nThe decoder was not asked.");
        return;
    }
    if (item(d, "readings")) {
        print_span(d);
        return;
    }
    printf("\nPrompt:\n   ");
    put(json_string(d, "prompt"), PRINT_INDENT);
    puts("\n\nSampler:");
    print_sampling(item(d, "sampling"));
    if (*json_string(d, "error")) {
        printf("   ");
        put(json_string(d, "error"), " ");
        putchar('\n');
    }
    printf("\nWritten, {token probability} where it is below %.1f (ended by: %s):\n", DOUBTFUL, json_string(d, "finish"));
    print_tokens(item(d, "tokens"));
}

static void print_check(const cJSON *check)
{
    const cJSON *s;
    if (cJSON_GetArraySize(item(check, "sentences")) == 0)
        return;
    printf("\nCheck (%s): what the decoder wrote is %sthe answer\n", json_string(check, "strictness"),
           json_bool(check, "taken") ? "" : "not ");
    cJSON_ArrayForEach(s, item(check, "sentences"))
    {
        printf("   %s  ", json_bool(s, "stands") ? "stands " : "dropped");
        put(json_string(s, "text"), " ");
        if (json_bool(s, "stands")) {
            printf("\n            by \"");
            put(json_string(s, "quote"), " ");
            putchar('"');
        }
        putchar('\n');
    }
}

static void print_timings(const cJSON *timings)
{
    const cJSON *t;
    printf("\nTimes, ms:");
    cJSON_ArrayForEach(t, timings)
        if (cJSON_IsNumber(t)) {
            printf(" %s", t == timings->child ? "" : "· ");
            put(t->string, " ");
            printf(" %.1f", t->valuedouble);
        }
    putchar('\n');
}

static void print_record(const cJSON *r)
{
    const cJSON *response = item(r, "response");
    print_head(r);
    print_candidates(item(r, "search"));
    print_evidence(r);
    print_features(item(r, "confidence"));
    print_decoder(item(r, "decoder"));
    print_check(item(r, "check"));
    if (cJSON_GetArraySize(item(response, "citations")) > 0) {
        puts("\nCited:");
        print_citations(stdout, response);
    }
    print_timings(item(response, "timings_ms"));
}

/* ---- why ---------------------------------------------------------------------------- */

static void answer_path(rag_buf *path, const char *id, const char *end)
{
    rag_buf_init(path, RAG_MAX_LINE);
    rag_buf_puts(path, "/v1/answers/");
    client_escape(path, rag_str_of(id));
    rag_buf_puts(path, end);
}

static rag_code read_there(ctl *c, const char *id, rag_buf *raw, rag_err *err)
{
    cJSON *record = NULL;
    rag_buf path;
    answer_path(&path, id, "");
    rag_code code = ctl_request(c, "GET", path.ptr, NULL, &record, raw, err);
    cJSON_Delete(record);
    rag_buf_free(&path);
    return code;
}

static rag_code read_here(ctl *c, const char *id, rag_buf *raw, rag_err *err)
{
    const char *dir = NULL;
    rag_record found;
    rag_records *records = NULL;
    rag_arena *arena = rag_arena_new();
    rag_code code = ctl_storage(c, &dir, err);
    if (!code) {
        rag_records_options opt = { .dir = dir, .read_only = true, .keep_days = (int)rag_conf_int(c->conf, "answer.audit_days") };
        code = rag_records_open(&records, &opt, err);
    }
    if (!code)
        code = rag_records_get(records, rag_str_of(id), arena, &found, err);
    if (!code)
        rag_buf_put(raw, found.audit);
    rag_records_close(records);
    rag_arena_free(arena);
    return code;
}

static int fail(const rag_err *err)
{
    int code = ctl_fail(err);
    return err->code == RAG_NOT_FOUND ? EXIT_NOTHING : code;
}

int cmd_why(ctl *c, const args *a)
{
    rag_err err = { 0 };
    rag_buf raw;
    cJSON *record = NULL;
    rag_buf_init(&raw, RAG_RECORD_AUDIT);
    rag_code code = (ctl_is_remote(c) ? read_there : read_here)(c, a->operands[0], &raw, &err);
    if (!code && !(record = json_parse(rag_buf_str(&raw), NULL)))
        code = rag_fail(&err, RAG_CORRUPT, "the record of answer '%s' is damaged", a->operands[0]);
    if (!code && c->json)
        print_json(stdout, rag_buf_str(&raw), "\n");
    else if (!code)
        print_record(record);
    cJSON_Delete(record);
    rag_buf_free(&raw);
    return code ? fail(&err) : EXIT_DONE;
}

/* ---- replay ------------------------------------------------------------------------- */

static void print_side(const char *name, const cJSON *side)
{
    printf("   %-9s ", name);
    if (cJSON_IsString(side)) {
        put(side->valuestring, " ");
    } else if (!cJSON_IsObject(side)) {
        fputs("nothing", stdout);
    } else if (item(side, "quote")) {
        put(json_string(side, "document"), " ");
        printf(":%lld \"", (long long)json_int(side, "start", 0));
        put(json_string(side, "quote"), " ");
        putchar('"');
    } else {
        printf("%lld '", (long long)json_int(side, "id", 0));
        put(json_string(side, "text"), " ");
        printf("', log-probability %.4f", json_number(side, "logprob", 0));
    }
    putchar('\n');
}

static void print_replay(const cJSON *reply)
{
    const cJSON *d = item(reply, "difference");
    if (json_bool(reply, "equal")) {
        printf("equal: %lld tokens, %lld citations\n", (long long)json_int(reply, "tokens", 0),
               (long long)json_int(reply, "citations", 0));
        return;
    }
    printf("different: %s", json_string(d, "what"));
    if (item(d, "position"))
        printf(" %lld", (long long)json_int(d, "position", 0));
    if (cJSON_IsNumber(item(d, "logprob_gap")))
        printf(", %.4f apart", json_number(d, "logprob_gap", 0));
    puts(json_bool(reply, "same_prompt") ? "" : ", and the prompt was another");
    print_side("recorded", item(d, "recorded"));
    print_side("replayed", item(d, "replayed"));
    if (!json_bool(reply, "deterministic"))
        puts("   llm.deterministic is off, or was: equal is not promised");
}

int cmd_replay(ctl *c, const args *a)
{
    rag_err err = { 0 };
    rag_buf path, raw = { 0 };
    cJSON *reply = NULL, *empty = cJSON_CreateObject();
    answer_path(&path, a->operands[0], "/replay");
    rag_code code = ctl_request(c, "POST", path.ptr, empty, &reply, &raw, &err);
    bool is_equal = json_bool(reply, "equal");
    if (!code && c->json)
        print_json(stdout, rag_buf_str(&raw), "\n");
    else if (!code)
        print_replay(reply);
    cJSON_Delete(reply);
    cJSON_Delete(empty);
    rag_buf_free(&raw);
    rag_buf_free(&path);
    return code ? fail(&err) : is_equal ? EXIT_DONE : EXIT_FAILED;
}
