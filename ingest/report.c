#include <cjson/cJSON.h>
#include <math.h>
#include <stdlib.h>

#include "ingest/cli.h"

static double to_milliseconds(double seconds)
{
    return round(seconds * 1000) / 1000;
}

static void print_line(FILE *out, cJSON *json)
{
    char *line = cJSON_PrintUnformatted(json);
    fprintf(out, "%s\n", line ? line : "{}");
    fflush(out);
    cJSON_free(line);
    cJSON_Delete(json);
}

static void add_failures(cJSON *json, const rag_ingest_summary *s)
{
    cJSON *list = cJSON_AddArrayToObject(json, "failures");
    for (size_t i = 0; i < s->n_failures; i++) {
        cJSON *f = cJSON_CreateObject();
        cJSON_AddStringToObject(f, "path", s->failures[i].path);
        cJSON_AddStringToObject(f, "code", s->failures[i].code);
        cJSON_AddStringToObject(f, "message", s->failures[i].message);
        cJSON_AddItemToArray(list, f);
    }
}

void report_json(FILE *out, const rag_ingest_summary *s, const rag_err *error)
{
    const struct {
        const char *key;
        int64_t value;
    } numbers[] = {
        { "generation", s->generation },
        { "documents_added", s->documents_added },
        { "documents_updated", s->documents_updated },
        { "documents_unchanged", s->documents_unchanged },
        { "documents_removed", s->documents_removed },
        { "documents_failed", s->documents_failed },
        { "documents_skipped", s->documents_skipped },
        { "chunks_added", s->chunks_added },
        { "chunks_removed", s->chunks_removed },
        { "bytes", s->bytes },
        { "tokens", s->tokens },
    };
    cJSON *json = cJSON_CreateObject();
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
        cJSON_AddNumberToObject(json, numbers[i].key, (double)numbers[i].value);
    cJSON_AddNumberToObject(json, "seconds", to_milliseconds(s->seconds));
    add_failures(json, s);
    if (error) {
        cJSON *e = cJSON_AddObjectToObject(json, "error");
        cJSON_AddStringToObject(e, "code", rag_code_name(error->code));
        cJSON_AddStringToObject(e, "message", error->message);
    }
    print_line(out, json);
}

void report_progress_json(FILE *out, const rag_ingest_progress *at)
{
    cJSON *json = cJSON_CreateObject();
    cJSON_AddStringToObject(json, "stage", at->stage);
    cJSON_AddNumberToObject(json, "files_done", (double)at->files_done);
    cJSON_AddNumberToObject(json, "files_total", (double)at->files_total);
    cJSON_AddNumberToObject(json, "bytes_done", (double)at->bytes_done);
    cJSON_AddNumberToObject(json, "bytes_total", (double)at->bytes_total);
    cJSON_AddNumberToObject(json, "tokens", (double)at->tokens);
    cJSON_AddNumberToObject(json, "seconds", to_milliseconds(at->seconds));
    if (at->path)
        cJSON_AddStringToObject(json, "path", at->path);
    print_line(out, json);
}

void report_text(FILE *out, const rag_ingest_summary *s, bool dry_run)
{
    if (dry_run)
        fputs("dry run, nothing was changed: ", out);
    else
        fprintf(out, "generation %lld: ", (long long)s->generation);
    fprintf(out, "%lld added, %lld updated, %lld unchanged, %lld removed, %lld failed, %lld skipped",
            (long long)s->documents_added, (long long)s->documents_updated, (long long)s->documents_unchanged,
            (long long)s->documents_removed, (long long)s->documents_failed, (long long)s->documents_skipped);
    if (!dry_run)
        fprintf(out, "; %lld chunks new, %lld gone, %lld tokens", (long long)s->chunks_added,
                (long long)s->chunks_removed, (long long)s->tokens);
    fprintf(out, " in %.1f s\n", s->seconds);
    fflush(out);
}
