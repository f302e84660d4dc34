#include "ingest/run.h"

#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/log.h"
#include "base/utf8.h"

/* Part of the chunker's version in the store: raise it when the same document would be cut differently. */
enum { CHUNKER_VERSION = 2 };
enum { GUARD_DOCUMENTS = 20 };
static const int64_t default_max_bytes = 64 * 1024 * 1024;

/* ---- small things ------------------------------------------------------------------ */

static const char *shown_path(run *r, rag_str path)
{
    rag_buf b;
    if (rag_utf8_valid(path, NULL))
        return rag_arena_cstr(r->arena, path);
    rag_buf_init(&b, RAG_MAX_LINE);
    rag_utf8_escape(&b, path);
    const char *out = rag_arena_cstr(r->arena, rag_buf_str(&b));
    rag_buf_free(&b);
    return out;
}

void run_fail(run *r, rag_str path, const char *code, const char *message)
{
    rag_ingest_summary *out = r->out;
    if (out->n_failures == r->failures_cap) {
        r->failures_cap = r->failures_cap ? r->failures_cap * 2 : 16;
        r->failures = rag_realloc(r->failures, r->failures_cap * sizeof *r->failures);
    }
    rag_ingest_failure *f = &r->failures[out->n_failures++];
    *f = (rag_ingest_failure){ shown_path(r, path), code, rag_arena_strdup(r->arena, message) };
    out->documents_failed++;
    if (r->opt->on_failure)
        r->opt->on_failure(r->opt->context, f);
}

rag_code run_check_stop(const run *r, rag_err *err)
{
    if (r->opt->stop && atomic_load(r->opt->stop))
        return rag_fail(err, RAG_CANCELED, "interrupted: nothing was published");
    return RAG_OK;
}

void run_report(run *r, const char *stage, const char *path)
{
    r->progress.stage = stage;
    r->progress.path = path;
    r->progress.tokens = r->out->tokens;
    r->progress.seconds = (rag_clock_ms() - r->started_ms) / 1000;
    if (r->opt->on_progress)
        r->opt->on_progress(r->opt->context, &r->progress);
}

/* ---- the order of things ----------------------------------------------------------- */

static rag_code begin(run *r, rag_err *err)
{
    const rag_ingest_options *opt = r->opt;
    rag_embedder *e = r->embedder;
    size_t tokens = opt->chunker.target_tokens, max = opt->chunker.max_tokens;
    if (!r->index)
        return opt->dry_run ? RAG_OK : rag_fail(err, RAG_INVALID, "no knowledge base is open");
    if (!e && !opt->model)
        return rag_fail(err, RAG_INVALID, "neither an embedder nor a model is given");
    rag_writer_options w = {
        .model = e ? *rag_embed_model_id(e) : opt->model->id,
        .model_name = e ? rag_embed_model_name(e) : opt->model->name,
        .dim = e ? rag_embed_dim(e) : opt->model->dim,
        .dry_run = opt->dry_run,
        .chunker = rag_arena_printf(r->arena, "%d:%zu:%zu", CHUNKER_VERSION,
                                    tokens ? tokens : RAG_CHUNK_TARGET, max ? max : RAG_CHUNK_MAX),
        .full = opt->full,
    };
    return rag_writer_begin(&r->writer, r->index, &w, err);
}

static rag_code ingest_targets(run *r, rag_err *err)
{
    rag_code code = RAG_OK;
    for (size_t i = 0; code == RAG_OK && i < r->n_targets; i++) {
        const target *t = &r->targets[i];
        for (size_t j = 0; code == RAG_OK && j < t->found.n; j++) {
            code = run_check_stop(r, err);
            if (code == RAG_OK)
                code = file_ingest(r, t, &t->found.files[j], err);
        }
    }
    return code;
}

static rag_code refuse_emptying(const target *t, int64_t documents, int64_t vanished, rag_err *err)
{
    return rag_fail(err, RAG_CANCELED,
                    "%lld of the %lld documents of '%.*s' would vanish: nothing was published; is it mounted? "
                    "--allow-removal removes them",
                    (long long)vanished, (long long)documents, RAG_STR_ARG(t->source.root));
}

static rag_code remove_vanished(run *r, const target *t, rag_err *err)
{
    int64_t documents = 0, vanished = 0;
    rag_code code = rag_writer_vanished(r->writer, t->source_id, &documents, &vanished, err);
    if (code != RAG_OK || vanished == 0)
        return code;
    if (!r->opt->allow_removal && vanished > GUARD_DOCUMENTS && vanished > documents / 2)
        return refuse_emptying(t, documents, vanished, err);
    if (!r->opt->dry_run)
        return rag_writer_remove_vanished(r->writer, t->source_id, err);
    r->out->documents_removed += vanished;
    return RAG_OK;
}

static rag_code mirror(run *r, rag_err *err)
{
    rag_code code = RAG_OK;
    if (!r->writer || r->opt->keep_missing)
        return RAG_OK;
    for (size_t i = 0; code == RAG_OK && i < r->n_targets; i++)
        if (r->targets[i].is_folder && !r->targets[i].found.incomplete)
            code = remove_vanished(r, &r->targets[i], err);
    return code;
}

/* What is published is published: an index that is not made anew now is made by the next run. */
static void renew_vectors(run *r)
{
    rag_err why;
    rag_code code = rag_writer_renew_vectors(r->writer, r->opt->stop, NULL, &why);
    if (code != RAG_OK && code != RAG_CANCELED)
        rag_log(RAG_WARN, "the vector index is not made anew: %s", why.message);
}

static rag_code publish(run *r, rag_err *err)
{
    rag_published p = { 0 };
    rag_ingest_summary *out = r->out;
    if (r->opt->dry_run)
        return RAG_OK;
    rag_code code = run_check_stop(r, err);
    run_report(r, "publish", NULL);
    if (code == RAG_OK)
        code = rag_writer_publish(r->writer, &p, err);
    if (code == RAG_OK)
        renew_vectors(r);
    out->generation = p.generation;
    out->documents_added = p.documents_added;
    out->documents_updated = p.documents_updated;
    out->documents_removed = p.documents_removed;
    out->chunks_added = p.chunks_added;
    out->chunks_removed = p.chunks_removed;
    return code;
}

static rag_code run_all(run *r, rag_err *err)
{
    rag_code code = begin(r, err);
    run_report(r, "scan", NULL);
    if (code == RAG_OK)
        code = plan_make(r, err);
    if (code == RAG_OK)
        code = ingest_targets(r, err);
    if (code == RAG_OK)
        code = mirror(r, err);
    if (code == RAG_OK && r->opt->full && !r->opt->dry_run)
        code = stored_put_all(r, err);
    return code == RAG_OK ? publish(r, err) : code;
}

/* What a run that has published nothing reports. */
static int64_t latest_generation(rag_index *index, rag_arena *arena)
{
    rag_generation *list;
    size_t n;
    return rag_index_generations(index, arena, &list, &n, NULL) == RAG_OK && n > 0 ? list[0].number : 0;
}

rag_code rag_ingest_run(rag_index *index, rag_embedder *embedder, const rag_ingest_options *opt, rag_arena *arena,
                        rag_ingest_summary *out, rag_err *err)
{
    *out = (rag_ingest_summary){ 0 };
    run r = { .index = index, .embedder = embedder, .opt = opt, .arena = arena, .out = out,
              .doc_arena = rag_arena_new(), .started_ms = rag_clock_ms() };
    rag_buf_init(&r.bytes, (size_t)(opt->max_bytes > 0 ? opt->max_bytes : default_max_bytes));
    rag_code code = run_all(&r, err);
    plan_close(&r);
    rag_writer_end(r.writer);
    if (index && out->generation == 0)
        out->generation = latest_generation(index, arena);
    rag_ingest_failure *failures = rag_arena_array(arena, out->n_failures + 1, sizeof *failures);
    if (out->n_failures)
        memcpy(failures, r.failures, out->n_failures * sizeof *failures);
    out->failures = failures;
    out->seconds = (rag_clock_ms() - r.started_ms) / 1000;
    free(r.failures);
    free(r.vector);
    rag_buf_free(&r.bytes);
    rag_arena_free(r.doc_arena);
    return code;
}
