/* --full over documents whose files this run did not read: from their stored texts. */
#include "ingest/run.h"

enum { PAGE = 256 };

static bool is_removed(const run *r, const rag_stored *s)
{
    if (r->opt->keep_missing || id_set_has(&r->seen, s->document_id))
        return false;
    for (size_t i = 0; i < r->n_targets; i++)
        if (r->targets[i].is_folder && !r->targets[i].found.incomplete && r->targets[i].source_id == s->source_id)
            return true;
    return false;
}

/* Any source of the collection serves to look its documents up. */
static rag_code look_up(run *r, const rag_document *d, rag_stored *out, rag_err *err)
{
    int64_t any = 0;
    rag_source source = { .collection = d->collection };
    rag_code code = rag_writer_source(r->writer, &source, &any, err);
    return code == RAG_OK ? rag_writer_lookup(r->writer, any, d->path, r->doc_arena, out, err) : code;
}

static rag_code put_again(run *r, const rag_document *d, const rag_stored *s, rag_err *err)
{
    rag_parsed doc;
    rag_buf text;
    origin from = { .source_id = s->source_id, .path = d->path, .size = s->size, .mtime_ns = s->mtime_ns,
                    .inode = s->inode, .read_ns = s->read_ns, .sha256 = s->sha256 };
    rag_buf_init(&text, RAG_MAX_TEXT);
    rag_code code = rag_writer_stored_text(r->writer, s->document_id, &text, err);
    if (code == RAG_OK) {
        rag_parse_stored(rag_format_of(d->path), d->path, rag_buf_str(&text), d->title, r->doc_arena, &doc);
        code = file_put(r, &from, &doc, err);
    }
    rag_buf_free(&text);
    return code;
}

static rag_code put_document(run *r, const rag_document *d, rag_err *err)
{
    rag_stored s;
    if (id_set_has(&r->put, d->id))
        return RAG_OK;
    rag_code code = look_up(r, d, &s, err);
    if (code == RAG_NOT_FOUND || (code == RAG_OK && is_removed(r, &s)))
        return RAG_OK;
    if (code == RAG_OK)
        code = put_again(r, d, &s, err);
    rag_arena_reset(r->doc_arena);
    return code;
}

static rag_code put_pages(run *r, rag_reader *reader, rag_snapshot *snapshot, rag_err *err)
{
    rag_filter everything = { .collection = RAG_STR("*"), .all_groups = true };
    rag_arena *page = rag_arena_new();
    rag_code code = RAG_OK;
    size_t n = PAGE;
    for (int64_t after = 0; code == RAG_OK && n == PAGE;) {
        rag_document *docs = NULL;
        rag_arena_reset(page);
        n = 0;
        code = rag_reader_documents(reader, snapshot, &everything, after, PAGE, page, &docs, &n, err);
        for (size_t i = 0; code == RAG_OK && i < n; i++) {
            after = docs[i].id;
            code = put_document(r, &docs[i], err);
        }
    }
    rag_arena_free(page);
    return code;
}

rag_code stored_put_all(run *r, rag_err *err)
{
    rag_reader *reader = NULL;
    rag_snapshot *snapshot = NULL;
    rag_code code = rag_index_refresh(r->index, NULL, err);
    if (code == RAG_OK)
        code = rag_reader_open(&reader, r->index, err);
    if (code == RAG_OK) {
        snapshot = rag_index_acquire(r->index);
        code = put_pages(r, reader, snapshot, err);
    }
    rag_snapshot_release(snapshot);
    rag_reader_close(reader);
    return code;
}
