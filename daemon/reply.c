/* daemon/reply.c */
#include <math.h>

#include "base/digest.h"
#include "base/file.h"
#include "daemon/reply.h"
#include "daemon/state.h"

void reply_count(ragd *d, int status)
{
    if (status >= 500)
        d->count.errors_5xx++;
    else if (status >= 400)
        d->count.errors_4xx++;
}

void reply_json(ragd *d, http_request *q, int status, rag_str body)
{
    reply_count(d, status);
    http_reply(q, status, "application/json", body, NULL);
}

void reply_problem(ragd *d, http_request *q, const problem *p)
{
    reply_count(d, p->status);
    http_reply_error(q, p->status, p->code, p->message, *p->param ? p->param : NULL, p->retry_after_s);
}

void reply_wrong_method(ragd *d, http_request *q, const char *allow)
{
    rag_buf body;
    http_header headers[] = { { "Allow", allow }, { NULL, NULL } };
    rag_buf_init(&body, RAG_MAX_REPLY);
    http_error_object(&body, 405, "method_not_allowed", "this route has other methods", NULL, http_request_id(q));
    rag_buf_putc(&body, '\n');
    reply_count(d, 405);
    http_reply(q, 405, "application/json", rag_buf_str(&body), headers);
    rag_buf_free(&body);
}

void render_problem(rag_buf *out, const problem *p, const char *request_id)
{
    http_error_object(out, p->status, p->code, p->message, *p->param ? p->param : NULL, request_id);
}

void render_rank(json_writer *w, const char *key, int rank)
{
    if (rank > 0)
        json_int(w, key, rank);
    else
        json_null(w, key);
}

void render_score(json_writer *w, const char *key, double score)
{
    if (isfinite(score))
        json_num(w, key, score, 6);
    else
        json_null(w, key);
}

static void render_explain(json_writer *w, const rag_hit *hit)
{
    json_open(w, "explain", '{');
    render_score(w, "vector_score", hit->vector_score);
    render_score(w, "text_score", hit->text_score);
    render_score(w, "coverage", hit->coverage);
    render_score(w, "fused_score", hit->fused_score);
    render_score(w, "rerank_score", hit->rerank_score);
    json_bool(w, "holds_exact", hit->holds_exact);
    json_close(w, '}');
}

static void render_merged(json_writer *w, const rag_hit *hit)
{
    if (hit->n_merged == 0)
        return;
    json_open(w, "merged", '[');
    for (size_t i = 0; i < hit->n_merged; i++)
        json_int(w, NULL, hit->merged[i]);
    json_close(w, ']');
}

static void render_twins(json_writer *w, const rag_hit *hit)
{
    if (hit->n_twins == 0)
        return;
    json_open(w, "duplicates", '[');
    for (size_t i = 0; i < hit->n_twins; i++) {
        json_open(w, NULL, '{');
        json_str(w, "document", hit->twins[i].document);
        json_int(w, "document_id", hit->twins[i].document_id);
        json_int(w, "chunk_id", hit->twins[i].chunk_id);
        json_close(w, '}');
    }
    json_close(w, ']');
}

void render_origin(json_writer *w, const rag_hit *hit)
{
    json_str(w, "document", hit->document);
    json_int(w, "document_id", hit->document_id);
    json_int(w, "chunk_id", hit->chunk_id);
    json_str(w, "title", hit->title);
    json_open(w, "heading", '[');
    for (size_t i = 0; i < hit->n_heading; i++)
        json_str(w, NULL, hit->heading[i]);
    json_close(w, ']');
    render_rank(w, "page", hit->page);
}

void render_hit(json_writer *w, const rag_hit *hit, bool explain)
{
    json_open(w, NULL, '{');
    json_int(w, "rank", hit->rank);
    render_origin(w, hit);
    json_int(w, "line_start", (int64_t)hit->line_start);
    json_int(w, "line_end", (int64_t)hit->line_end);
    json_int(w, "start", (int64_t)hit->start);
    json_int(w, "end", (int64_t)hit->end);
    json_str(w, "text", hit->text);
    json_num(w, "score", hit->score, 6);
    render_rank(w, "vector_rank", hit->vector_rank);
    render_rank(w, "text_rank", hit->text_rank);
    if (hit->url.len > 0)
        json_str(w, "url", hit->url);
    render_merged(w, hit);
    render_twins(w, hit);
    if (explain)
        render_explain(w, hit);
    json_close(w, '}');
}

static void render_groups(json_writer *w, rag_str groups)
{
    json_open(w, "groups", '[');
    for (size_t at = 0; at < groups.len;) {
        size_t end = rag_str_find(groups, RAG_STR(","), at);
        end = end == SIZE_MAX ? groups.len : end;
        json_str(w, NULL, rag_str_sub(groups, at, end));
        at = end + 1;
    }
    json_close(w, ']');
}

void render_document(json_writer *w, const rag_document *doc)
{
    char hex[65], time[32];
    rag_sha256_hex(&doc->sha256, hex);
    rag_time_format(doc->mtime_ns, time);
    json_open(w, NULL, '{');
    json_int(w, "id", doc->id);
    json_str(w, "path", doc->path);
    json_str(w, "document", doc->path);
    json_str(w, "collection", doc->collection);
    json_str(w, "title", doc->title);
    json_str(w, "url", doc->url);
    render_groups(w, doc->groups);
    json_cstr(w, "lang", rag_lang_name(doc->lang));
    json_int(w, "bytes", (int64_t)doc->bytes);
    json_int(w, "chunks", doc->chunks);
    json_cstr(w, "sha256", hex);
    json_cstr(w, "mtime", time);
    json_int(w, "generation_from", doc->gen_from);
    json_close(w, '}');
}

char *render_random_id(rag_arena *arena, const char *prefix)
{
    uint64_t bits;
    rag_random(&bits, sizeof bits);
    return rag_arena_printf(arena, "%s%016llx", prefix, (unsigned long long)bits);
}
