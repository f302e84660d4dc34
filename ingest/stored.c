/* --full over documents whose files this run did not read: from their stored texts. */
#include "ingest/run.h"

/* Named with the document's own groups, so that its rights stay as they are. */
static rag_code name_source(run *r, const rag_outdated *d, int64_t *id, rag_err *err)
{
    rag_source source = { .collection = d->collection, .groups = d->groups, .root = d->source_root,
                          .prefix = d->prefix, .url = d->url };
    return rag_writer_source(r->writer, &source, id, err);
}

static rag_code put_again(run *r, const rag_outdated *d, rag_err *err)
{
    rag_parsed doc;
    rag_buf text;
    origin from = { .path = d->path, .size = d->size, .mtime_ns = d->mtime_ns, .inode = d->inode,
                    .read_ns = d->read_ns, .sha256 = d->sha256 };
    rag_buf_init(&text, RAG_MAX_TEXT);
    rag_code code = name_source(r, d, &from.source_id, err);
    if (code == RAG_OK)
        code = rag_writer_stored_text(r->writer, d->document_id, &text, err);
    if (code == RAG_OK) {
        rag_parse_stored(rag_format_of(d->path), d->path, rag_buf_str(&text), d->title, r->doc_arena, &doc);
        code = file_put(r, &from, &doc, err);
    }
    rag_buf_free(&text);
    return code;
}

rag_code stored_put_all(run *r, rag_err *err)
{
    rag_code code = RAG_OK;
    rag_outdated d = { 0 };
    while (code == RAG_OK) {
        rag_arena_reset(r->doc_arena);
        code = rag_writer_outdated(r->writer, d.document_id, r->doc_arena, &d, err);
        if (code == RAG_OK)
            code = run_check_stop(r, err);
        if (code == RAG_OK)
            run_report(r, "index", NULL);
        if (code == RAG_OK)
            code = put_again(r, &d, err);
    }
    return code == RAG_NOT_FOUND ? RAG_OK : code;
}
