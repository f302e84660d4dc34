/* daemon/routes.c */
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "daemon/reply.h"
#include "daemon/routes.h"
#include "daemon/state.h"

enum { MAX_ARGS = 2 };

typedef struct route {
    http_method method;
    const char *pattern; /* {} stands for one part that is not empty */
    route_handler *run;
    bool is_public;      /* answers without a key */
    const char *params;  /* names of the query string, each between spaces */
} route;

static const route table[] = {
    { HTTP_POST, "/v1/ask", route_ask, false, "" },
    { HTTP_POST, "/v1/search", route_search, false, "" },
    { HTTP_GET, "/v1/conversations/{}", route_conversation, false, "" },
    { HTTP_DELETE, "/v1/conversations/{}", route_forget, false, "" },
    { HTTP_GET, "/v1/documents", route_documents, false, " collection limit after " },
    { HTTP_GET, "/v1/documents/{}", route_document, false, "" },
    { HTTP_GET, "/v1/documents/{}/text", route_document_text, false, " start end " },
    { HTTP_GET, "/v1/answers/{}", route_answer, false, "" },
    { HTTP_POST, "/v1/answers/{}/replay", route_replay, false, "" },
    { HTTP_GET, "/v1/generations", route_generations, false, "" },
    { HTTP_POST, "/v1/generations/{}/activate", route_activate, false, "" },
    { HTTP_POST, "/v1/verify", route_verify, false, "" },
    { HTTP_POST, "/v1/reload", route_reload, false, "" },
    { HTTP_POST, "/v1/backup", route_backup, false, "" },
    { HTTP_GET, "/v1/status", route_status, false, "" },
    { HTTP_GET, "/metrics", route_metrics, false, "" },
    { HTTP_GET, "/livez", route_livez, true, "" },
    { HTTP_GET, "/readyz", route_readyz, true, "" },
    { HTTP_GET, "/health", route_health, true, "" },
    { HTTP_GET, "/openapi.json", route_openapi, true, "" },
    { HTTP_GET, "/", route_page, true, NULL },
    { HTTP_GET, "/page.js", route_page, true, NULL },
    { HTTP_GET, "/page.css", route_page, true, NULL },
};

static rag_str take_part(rag_str *path)
{
    size_t end = rag_str_find(*path, RAG_STR("/"), 0);
    end = end == SIZE_MAX ? path->len : end;
    rag_str part = rag_str_sub(*path, 0, end);
    *path = rag_str_sub(*path, end, path->len);
    return part;
}

static bool matches(const char *pattern, rag_str path, rag_str args[MAX_ARGS])
{
    size_t n = 0;
    for (; *pattern; pattern++) {
        if (pattern[0] == '{' && pattern[1] == '}') {
            args[n] = take_part(&path);
            if (args[n++].len == 0)
                return false;
            pattern++;
        } else if (path.len == 0 || path.ptr[0] != *pattern) {
            return false;
        } else {
            path = rag_str_sub(path, 1, path.len);
        }
    }
    return path.len == 0;
}

/* HEAD is answered where GET is. */
static bool has_method(const route *r, http_method method)
{
    return r->method == method || (r->method == HTTP_GET && method == HTTP_HEAD);
}

static bool knows_params(const route *r, http_request *q, problem *p)
{
    const char *name;
    for (size_t i = 0; r->params && (name = http_request_param_name(q, i)); i++) {
        rag_str s = rag_str_of(name);
        size_t at = s.len > 0 ? rag_str_find(rag_str_of(r->params), s, 0) : SIZE_MAX;
        if (at == SIZE_MAX || r->params[at - 1] != ' ' || r->params[at + s.len] != ' ')
            return problem_set(p, 400, "unknown_parameter", name, "'%s' is not a known parameter", name);
    }
    return true;
}

static bool may_enter(const ragd *d, const route *r, http_request *q, problem *p)
{
    if (r->is_public || !d->keys || http_request_is_local(q))
        return true;
    if (auth_accepts(d->keys, http_request_header(q, "Authorization")))
        return true;
    return problem_set(p, 401, "invalid_key", NULL, "a bearer key is required");
}

static void refuse(ragd *d, http_request *q, int status, const char *code, const char *message)
{
    problem p = { 0 };
    problem_set(&p, status, code, NULL, "%s", message);
    reply_problem(d, q, &p);
}

static void run(ragd *d, const route *r, http_request *q, const rag_str *args)
{
    problem p = { 0 };
    if (may_enter(d, r, q, &p) && knows_params(r, q, &p))
        r->run(d, q, args);
    else
        reply_problem(d, q, &p);
}

void route_request(void *context, http_request *q)
{
    ragd *d = context;
    const char *allow = NULL;
    rag_str args[MAX_ARGS];
    d->count.requests++;
    for (const route *r = table; r < table + sizeof table / sizeof *table; r++) {
        if (!matches(r->pattern, http_request_path(q), args))
            continue;
        if (has_method(r, http_request_method(q))) {
            run(d, r, q, args);
            return;
        }
        allow = r->method == HTTP_DELETE ? "GET, HEAD, DELETE" : r->method == HTTP_GET ? "GET, HEAD" : "POST";
    }
    if (allow)
        reply_wrong_method(d, q, allow);
    else
        refuse(d, q, 404, "unknown_route", "there is nothing here");
}

/* ---- what handlers share ------------------------------------------------------------ */

/* "application/json", with no parameter but charset=utf-8. */
static bool is_json_type(rag_str type)
{
    static const char name[] = "application/json";
    size_t n = sizeof name - 1;
    if (type.len < n || strncasecmp(type.ptr, name, n) != 0)
        return false;
    rag_str rest = rag_str_trim(rag_str_sub(type, n, type.len));
    if (rest.len == 0)
        return true;
    if (rest.ptr[0] != ';')
        return false;
    rest = rag_str_trim(rag_str_sub(rest, 1, rest.len));
    return rest.len == 0 || (rest.len == 13 && strncasecmp(rest.ptr, "charset=utf-8", 13) == 0) ||
           (rest.len == 15 && strncasecmp(rest.ptr, "charset=\"utf-8\"", 15) == 0);
}

/* What `curl -d` sends is taken too, but not from a browser: a form of another site must not be a question, and
 * browsers say with Origin where a POST comes from. */
static bool may_be_json(http_request *q)
{
    rag_str type = http_request_header(q, "Content-Type");
    if (is_json_type(type))
        return true;
    bool is_plain = type.len == 0 || rag_str_eq(type, RAG_STR("application/x-www-form-urlencoded"));
    return is_plain && http_request_header(q, "Origin").len == 0;
}

bool route_body(http_request *q, cJSON **out, problem *p)
{
    const char *code;
    rag_err err = { 0 };
    rag_str body = http_request_body(q);
    *out = NULL;
    if (!may_be_json(q))
        return problem_set(p, 415, "unsupported_media_type", "Content-Type", "the body must be application/json");
    if (body.len == 0)
        return problem_set(p, 400, "empty_body", "body", "the body is empty");
    if (json_parse(body, out, &code, &err) == RAG_OK)
        return true;
    return problem_set(p, 400, code, "body", "%s", err.message);
}

bool route_empty_body(http_request *q, problem *p)
{
    static const char *const none[] = { NULL };
    fields f;
    cJSON *json;
    if (http_request_body(q).len == 0)
        return true;
    bool is_empty = route_body(q, &json, p) && fields_open(&f, json, "", none, p);
    cJSON_Delete(json);
    return is_empty;
}

bool route_number(rag_str text, const char *param, int64_t min, int64_t max, int64_t *out, problem *p)
{
    char digits[20] = "";
    if (text.len == 0 || text.len >= sizeof digits)
        return problem_set(p, 400, "invalid_type", param, "'%s' must be a whole number", param);
    memcpy(digits, text.ptr, text.len);
    if (strspn(digits, "0123456789") != text.len)
        return problem_set(p, 400, "invalid_type", param, "'%s' must be a whole number", param);
    int64_t value = strtoll(digits, NULL, 10);
    if (value < min || value > max)
        return problem_set(p, 400, "out_of_range", param, "'%s' must lie between %lld and %lld", param,
                           (long long)min, (long long)max);
    *out = value;
    return true;
}

bool route_param_number(http_request *q, const char *name, int64_t min, int64_t max, int64_t *out, problem *p)
{
    rag_str text;
    return !http_request_param(q, name, &text) || route_number(text, name, min, max, out, p);
}
