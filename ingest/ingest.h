/* ingest/ingest.h: files into the knowledge base.
 *
 *   walk ─> read ─> parse (text, Markdown, HTML) ─> chunk ─> embed ─> rag_writer_put … ─> publish
 *
 * One call is one run: it takes the ingest lock, mirrors every path given, publishes one generation and
 * returns a summary.  One bad file costs that file.  A run that is killed at any moment leaves nothing visible.
 *
 * Threads: one run from one thread; the callbacks come on it. */
#ifndef RAG_INGEST_INGEST_H
#define RAG_INGEST_INGEST_H

#include <stdatomic.h>

#include "base/arena.h"
#include "base/err.h"
#include "base/str.h"
#include "embed/embed.h"
#include "index/index.h"

/* ---- parsed documents -------------------------------------------------------------- */

typedef enum rag_block_kind {
    RAG_BLOCK_HEADING,   /* level 1–6; front matter is one of level 0 */
    RAG_BLOCK_PARAGRAPH,
    RAG_BLOCK_ITEM,      /* list item, with its nested text */
    RAG_BLOCK_TABLE,     /* a whole table */
    RAG_BLOCK_CODE,
    RAG_BLOCK_QUOTE,
} rag_block_kind;

/* One block of the stored text, in order, not overlapping. */
typedef struct rag_block {
    rag_block_kind kind;
    int level;             /* of a heading */
    size_t start, end;     /* bytes in the stored text, without white space around */
    int page;              /* 0 = none */
    rag_str heading_text;  /* of a heading: without markers */
} rag_block;

typedef struct rag_parsed {
    rag_str text;          /* the stored text */
    rag_str title;         /* first level-1 heading, <title>, or the file's base name */
    bool has_title;        /* false: it is the base name, which is never embedded */
    rag_lang lang;
    rag_block *blocks;
    size_t n_blocks;
} rag_parsed;

typedef enum rag_format { RAG_FORMAT_NONE, RAG_FORMAT_TEXT, RAG_FORMAT_MARKDOWN, RAG_FORMAT_HTML } rag_format;

/* By the name's ending; RAG_FORMAT_NONE is an unsupported type. */
rag_format rag_format_of(rag_str path);

/* Parses the bytes of a file; everything lands in the arena (for text and Markdown `text` is `bytes` itself).
 * RAG_UNSUPPORTED for bytes that are not text, RAG_INVALID, naming the offset, for text that is not UTF-8.
 * Property: the blocks ascend, do not overlap, and hold every byte that is not white space or a comment's.
 *
 * The stored text of HTML is Markdown-like, so that it can be parsed again without the file: "## heading",
 * "- item", "a | b" rows, code indented by four spaces, a blank line between blocks. */
rag_code rag_parse(rag_format format, rag_str path, rag_str bytes, rag_arena *arena, rag_parsed *out, rag_err *err);

/* The same from a stored text (valid UTF-8): what rag_parse made it from need not exist.  `title` is the stored one. */
void rag_parse_stored(rag_format format, rag_str path, rag_str text, rag_str title, rag_arena *arena, rag_parsed *out);

/* ---- chunks ------------------------------------------------------------------------ */

enum { RAG_CHUNK_TARGET = 256, RAG_CHUNK_MAX = 320 };

typedef struct rag_chunker_options {
    size_t target_tokens; /* 0 = 256: chunks grow up to this */
    size_t max_tokens;    /* 0 = 320: never above, in the embedder's tokens of the chunk's own text (one character may be) */
} rag_chunker_options;

typedef struct rag_chunk {
    size_t start, end;
    size_t line_start, line_end;
    int page;
    const rag_str *heading; /* path from the outermost */
    size_t n_heading;
    size_t tokens;          /* of the chunk's own text */
    rag_str embed_text;     /* for the embedder, never quoted: in front of the text its title and headings and, of a later
                               part, the sentence that introduces the list, table or code, and the table's header row */
} rag_chunk;

/* Chunks on structure and sentence boundaries; never across a heading, never inside a character.  Small blocks of a
 * section are packed up to target_tokens; a list, table or code block that fits into max_tokens stays whole, with the sentence
 * that introduces it where both fit; a longer one is cut into even pieces, tables between rows, code and what stands in items
 * between lines.  A heading without anything under it is a chunk itself.  Property: the chunks ascend, do not overlap, and
 * hold every byte that is not white space, a heading's or a comment's. */
rag_code rag_chunk_document(const rag_parsed *doc, const rag_embedder *embedder, const rag_chunker_options *opt,
                            rag_arena *arena, rag_chunk **out, size_t *n, rag_err *err);

/* ---- a run -------------------------------------------------------------------------- */

typedef struct rag_ingest_path {
    const char *path;                       /* file or folder */
    const char *collection, *groups, *prefix, *url; /* NULL = "default", "", "", "" */
} rag_ingest_path;

typedef struct rag_ingest_progress {
    const char *stage;         /* "scan", "index", "publish" */
    int64_t files_done, files_total;
    int64_t bytes_done, bytes_total; /* of supported files */
    int64_t tokens;            /* embedded so far */
    double seconds;
    const char *path;          /* the file at work, or NULL */
} rag_ingest_progress;

typedef struct rag_ingest_failure {
    const char *path;    /* as a person would name it; escaped when it is not UTF-8 */
    const char *code;    /* "not_found", "unreadable", "binary", "encoding", "too_large", "vanished", "changed", "conflict" */
    const char *message;
} rag_ingest_failure;

/* The embedder of a run that is opened only when something has to be chunked. */
typedef struct rag_ingest_model {
    rag_sha256 id;
    const char *name;
    int dim;
    /* The embedder stays the caller's and must outlive the run. */
    rag_code (*open)(void *context, rag_embedder **out, rag_err *err);
    void *context;
} rag_ingest_model;

typedef struct rag_ingest_options {
    const rag_ingest_path *paths;
    size_t n_paths;                /* 0 with `full`: everything from stored text */
    const rag_ingest_model *model; /* used when no embedder is passed */
    int64_t max_bytes;             /* of one file; 0 = 64 MiB */
    rag_chunker_options chunker;
    bool keep_missing, full, dry_run, allow_removal, adopt;
    const char *const *include;    /* globs against the relative path; none = everything supported */
    size_t n_include;
    const char *const *exclude;
    size_t n_exclude;
    void (*on_progress)(void *context, const rag_ingest_progress *p);
    void (*on_failure)(void *context, const rag_ingest_failure *f);
    void *context;
    const atomic_bool *stop;       /* set by a signal: the run ends without publishing, RAG_CANCELED */
} rag_ingest_options;

typedef struct rag_ingest_summary {
    int64_t generation;
    int64_t documents_added, documents_updated, documents_unchanged, documents_removed, documents_failed,
        documents_skipped;
    int64_t chunks_added, chunks_removed;
    int64_t bytes;   /* of the files that were added or updated */
    int64_t tokens;  /* given to the embedder */
    int64_t paths_failed; /* of opt.paths: not there or not to be opened; counted in documents_failed, too */
    double seconds;
    const rag_ingest_failure *failures; /* in the arena given */
    size_t n_failures;
} rag_ingest_summary;

/* RAG_OK also when single files failed (look at documents_failed). `index` was opened with create; a dry run may
 * pass NULL for a store that does not exist yet.
 *
 * A folder is mirrored: what vanished from it, or is left out by an ignore rule, is removed.  Nothing of a folder is removed when a part of it could
 * not be read.  RAG_CANCELED when more than 20 and more than half of a folder's documents would vanish. */
rag_code rag_ingest_run(rag_index *index, rag_embedder *embedder, const rag_ingest_options *opt, rag_arena *arena,
                        rag_ingest_summary *out, rag_err *err);

#endif
