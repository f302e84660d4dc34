/* status, reload, generations, verify, backup, restore: care of the daemon and the knowledge base. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "ctl/commands.h"
#include "ctl/json.h"
#include "ctl/print.h"

static void print_line(const cJSON *value)
{
    char *line = json_line(value);
    puts(line);
    free(line);
}

int cmd_status(ctl *c, const args *a)
{
    (void)a;
    rag_err err = { 0 };
    rag_buf raw = { 0 };
    cJSON *status = NULL;
    rag_code code = ctl_request(c, "GET", "/v1/status", NULL, &status, &raw, &err);
    if (!code && c->json)
        print_json(stdout, rag_buf_str(&raw), "\n");
    else if (!code)
        print_status(stdout, status);
    cJSON_Delete(status);
    rag_buf_free(&raw);
    return code ? ctl_fail(&err) : EXIT_DONE;
}

/* A POST without a body whose reply is shown as one sentence, or as it is with --json. */
static int post(ctl *c, const char *path, const cJSON *request, const char *sentence)
{
    rag_err err = { 0 };
    cJSON *reply = NULL, *empty = cJSON_CreateObject();
    rag_code code = ctl_request(c, "POST", path, request ? request : empty, &reply, NULL, &err);
    if (!code && c->json)
        print_line(reply);
    else if (!code)
        puts(sentence);
    cJSON_Delete(reply);
    cJSON_Delete(empty);
    return code ? ctl_fail(&err) : EXIT_DONE;
}

int cmd_reload(ctl *c, const args *a)
{
    (void)a;
    return post(c, "/v1/reload", NULL, "reloaded");
}

/* ---- generations ------------------------------------------------------------------ */

static cJSON *to_json(const rag_generation *g)
{
    char time[32];
    cJSON *object = cJSON_CreateObject();
    rag_time_format(g->published_ns, time);
    cJSON_AddNumberToObject(object, "generation", (double)g->number);
    cJSON_AddStringToObject(object, "published", time);
    cJSON_AddBoolToObject(object, "active", g->active);
    cJSON_AddNumberToObject(object, "documents", (double)g->documents);
    cJSON_AddNumberToObject(object, "chunks", (double)g->chunks);
    cJSON_AddNumberToObject(object, "documents_added", (double)g->documents_added);
    cJSON_AddNumberToObject(object, "documents_updated", (double)g->documents_updated);
    cJSON_AddNumberToObject(object, "documents_removed", (double)g->documents_removed);
    return object;
}

static rag_code list_here(ctl *c, cJSON **out, rag_err *err)
{
    rag_index *ix = NULL;
    rag_generation *list = NULL;
    size_t n = 0;
    rag_arena *arena = rag_arena_new();
    rag_code code = ctl_index(c, &ix, err);
    bool is_empty_base = code == RAG_NOT_FOUND && !ix;
    if (!code)
        code = rag_index_generations(ix, arena, &list, &n, err);
    *out = cJSON_CreateObject();
    cJSON *array = cJSON_AddArrayToObject(*out, "generations");
    for (size_t i = 0; i < n; i++)
        cJSON_AddItemToArray(array, to_json(&list[i]));
    rag_arena_free(arena);
    return is_empty_base ? RAG_OK : code;
}

int cmd_generations_ls(ctl *c, const args *a)
{
    (void)a;
    rag_err err = { 0 };
    cJSON *reply = NULL;
    const cJSON *generation;
    rag_code code = ctl_is_remote(c) ? ctl_request(c, "GET", "/v1/generations", NULL, &reply, NULL, &err)
                                     : list_here(c, &reply, &err);
    if (!code && c->json)
        print_line(reply);
    else if (!code)
        cJSON_ArrayForEach(generation, cJSON_GetObjectItemCaseSensitive(reply, "generations"))
            print_generation(stdout, generation);
    cJSON_Delete(reply);
    return code ? ctl_fail(&err) : EXIT_DONE;
}

/* "latest" is 0. */
static rag_code parse_generation(const char *text, int64_t *out, rag_err *err)
{
    size_t digits = strspn(text, "0123456789");
    *out = strcmp(text, "latest") ? strtoll(text, NULL, 10) : 0;
    if (strcmp(text, "latest") && (!digits || text[digits] || digits > 18 || *out < 1))
        return rag_fail(err, RAG_INVALID, "a generation is a number from 1 or 'latest', not '%s'", text);
    return RAG_OK;
}

static int activate_here(ctl *c, int64_t number, const char *sentence)
{
    rag_err err = { 0 };
    rag_index *ix = NULL;
    rag_code code = ctl_index(c, &ix, &err);
    if (!code)
        code = rag_index_activate(ix, number, &err);
    if (code)
        return ctl_fail(&err);
    if (c->json && number)
        printf("{\"active\":%lld}\n", (long long)number);
    else
        puts(c->json ? "{\"active\":\"latest\"}" : sentence);
    return EXIT_DONE;
}

int cmd_generations_activate(ctl *c, const args *a)
{
    rag_err err = { 0 };
    char path[96], sentence[96];
    int64_t number = 0;
    if (parse_generation(a->operands[0], &number, &err))
        return ctl_fail(&err);
    if (number)
        snprintf(sentence, sizeof sentence, "generation %lld is served from now on", (long long)number);
    else
        snprintf(sentence, sizeof sentence, "the latest generation is served from now on");
    if (!ctl_is_remote(c))
        return activate_here(c, number, sentence);
    snprintf(path, sizeof path, "/v1/generations/%.24s/activate", a->operands[0]);
    return post(c, path, NULL, sentence);
}

/* ---- verify ----------------------------------------------------------------------- */

static void on_problem(void *context, const char *sentence)
{
    cJSON_AddItemToArray(context, cJSON_CreateString(sentence));
}

static rag_code verify_here(ctl *c, cJSON *problems, rag_err *err)
{
    rag_index *ix = NULL;
    int64_t n = 0;
    rag_code code = ctl_index(c, &ix, err);
    if (code == RAG_NOT_FOUND && !ix) {
        fprintf(stderr, "ragctl: there is no knowledge base in '%s' yet\n", rag_conf_path(c->conf, "storage.dir"));
        return RAG_OK;
    }
    if (!code)
        code = rag_index_verify(ix, on_problem, problems, &n, err);
    if (code == RAG_CORRUPT) {
        on_problem(problems, err->message);
        code = RAG_OK;
    }
    if (!code && n > 0 && !cJSON_GetArraySize(problems))
        on_problem(problems, "the knowledge base does not agree with itself");
    return code;
}

static rag_code verify_there(ctl *c, cJSON *problems, rag_err *err)
{
    cJSON *reply = NULL, *request = cJSON_CreateObject();
    const cJSON *problem;
    rag_code code = ctl_request(c, "POST", "/v1/verify", request, &reply, NULL, err);
    cJSON_ArrayForEach(problem, cJSON_GetObjectItemCaseSensitive(reply, "problems"))
        on_problem(problems, cJSON_IsString(problem) ? problem->valuestring : "a problem without a name");
    if (!code && !json_bool(reply, "ok") && !cJSON_GetArraySize(problems))
        on_problem(problems, "the daemon found the knowledge base damaged");
    cJSON_Delete(reply);
    cJSON_Delete(request);
    return code;
}

static void print_problems(const cJSON *problems)
{
    const cJSON *problem;
    cJSON_ArrayForEach(problem, problems)
    {
        print_text(stdout, rag_str_of(problem->valuestring), " ");
        fputc('\n', stdout);
    }
    if (!cJSON_GetArraySize(problems))
        puts("ok");
}

int cmd_verify(ctl *c, const args *a)
{
    rag_err err = { 0 };
    if (!args_value(a, "timeout"))
        c->timeout_ms = 0; /* it reads everything there is */
    cJSON *report = cJSON_CreateObject();
    cJSON *problems = cJSON_CreateArray();
    rag_code code = (ctl_is_remote(c) ? verify_there : verify_here)(c, problems, &err);
    int n = cJSON_GetArraySize(problems);
    cJSON_AddBoolToObject(report, "ok", n == 0);
    cJSON_AddItemToObject(report, "problems", problems);
    if (!code && c->json)
        print_line(report);
    else if (!code)
        print_problems(problems);
    cJSON_Delete(report);
    return code ? ctl_fail(&err) : n ? EXIT_FAILED : EXIT_DONE;
}

/* ---- backup, restore -------------------------------------------------------------- */

/* The daemon may run in another folder. */
static char *absolute(const char *file)
{
    char *here = getcwd(NULL, 0);
    char *path = rag_path_join(here ? here : "/", file);
    free(here);
    return path;
}

static int report_file(ctl *c, rag_code code, const rag_err *err, const char *done, const char *file)
{
    if (code)
        return ctl_fail(err);
    if (c->json) {
        cJSON *object = cJSON_CreateObject();
        cJSON_AddStringToObject(object, "file", file);
        print_line(object);
        cJSON_Delete(object);
    } else {
        printf("%s ", done);
        print_text(stdout, rag_str_of(file), " ");
        fputc('\n', stdout);
    }
    return EXIT_DONE;
}

static rag_code backup_here(ctl *c, const char *file, rag_err *err)
{
    rag_index *ix = NULL;
    rag_code code = ctl_index(c, &ix, err);
    return code ? code : rag_index_backup(ix, file, err);
}

static rag_code backup_there(ctl *c, const char *file, rag_err *err)
{
    cJSON *request = cJSON_CreateObject(), *reply = NULL;
    cJSON_AddStringToObject(request, "file", file);
    rag_code code = ctl_request(c, "POST", "/v1/backup", request, &reply, NULL, err);
    cJSON_Delete(request);
    cJSON_Delete(reply);
    return code;
}

int cmd_backup(ctl *c, const args *a)
{
    rag_err err = { 0 };
    if (!args_value(a, "timeout"))
        c->timeout_ms = 0;
    char *file = absolute(a->operands[0]);
    rag_code code = (ctl_is_remote(c) ? backup_there : backup_here)(c, file, &err);
    int exit_code = report_file(c, code, &err, "backed up to", file);
    free(file);
    return exit_code;
}

int cmd_restore(ctl *c, const args *a)
{
    rag_err err = { 0 };
    const char *dir = NULL;
    if (ctl_is_remote(c))
        return ctl_usage("restore works on storage.dir itself, also while the daemon runs: leave --socket and --url out");
    char *file = absolute(a->operands[0]);
    rag_code code = ctl_storage(c, &dir, &err);
    if (!code)
        code = rag_dir_make(dir, &err);
    if (!code)
        code = rag_index_restore(dir, file, &err);
    int exit_code = report_file(c, code, &err, "restored from", file);
    free(file);
    return exit_code;
}
