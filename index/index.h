/* index/index.h: the knowledge base.  SQLite and FAISS live in this room and nowhere else.
 *
 * On disk (docs/FORMAT.md): DIR/kb.db is the truth; DIR/vectors/<generation>/ is a FAISS
 * snapshot that can be thrown away and is rebuilt from kb.db without a model.
 *
 *   rag_index     one per process and storage folder
 *   rag_snapshot  one generation in memory: FAISS index, position → chunk, bitmaps; immutable, counted
 *   rag_reader    a read-only SQLite connection; one per thread that searches
 *   rag_writer    one ingest run: invisible rows, then one publishing transaction
 *
 * A reader with a snapshot sees exactly the rows with gen_from <= generation < gen_to, whatever
 * writers do meanwhile.  Visibility, collection and groups are a bitmap that FAISS's selector and
 * BM25 both look at: a filter neither shrinks a result below top_k nor lets anything through.
 *
 * Threads: rag_index_* and rag_snapshot_* from any thread; a reader or writer from one at a time. */
#ifndef RAG_INDEX_INDEX_H
#define RAG_INDEX_INDEX_H

#include <stdatomic.h>

#include "base/arena.h"
#include "base/digest.h"
#include "base/err.h"
#include "base/str.h"
#include "base/unicode.h"

/* ---- open ------------------------------------------------------------------------- */

typedef struct rag_index rag_index;
typedef struct rag_snapshot rag_snapshot;
typedef struct rag_reader rag_reader;
typedef struct rag_writer rag_writer;

/* The vector index: Flat is exact; HNSW and IVF are approximate, with 8 bits a dimension.  auto is Flat up to 100,000 kept
 * chunks, and IVF beyond. */
typedef enum rag_index_type { RAG_INDEX_AUTO, RAG_INDEX_FLAT, RAG_INDEX_HNSW, RAG_INDEX_IVF } rag_index_type;
/* "auto", "Flat", "HNSW", "IVF"; false for anything else. */
bool rag_index_type_parse(const char *name, rag_index_type *out);

typedef struct rag_index_options {
    const char *dir;          /* storage.dir; made when `create` */
    bool create;              /* make folder and an empty kb.db when absent; else RAG_NOT_FOUND */
    const rag_sha256 *model;  /* the embedder in use: a store of another one is RAG_CONFIG; NULL = any */
    double title_weight, heading_weight; /* of a word there against one in the body, for BM25; 0 = 1, negative = none */
    int keep_generations;     /* 0 = 10 */
    rag_index_type type;      /* of what writers make; readers take what is there */
} rag_index_options;

/* Migrates an older schema, refuses a newer one (RAG_CONFIG), and refuses a file that is not
 * ragd's or that SQLite finds damaged (RAG_CORRUPT). */
rag_code rag_index_open(rag_index **out, const rag_index_options *opt, rag_err *err);
void rag_index_close(rag_index *ix);
const char *rag_index_dir(const rag_index *ix);

/* ---- generations ------------------------------------------------------------------ */

typedef struct rag_generation {
    int64_t number;
    int64_t published_ns; /* wall clock */
    int64_t documents, chunks; /* visible in it */
    int64_t documents_added, documents_updated, documents_removed; /* by the run that published it */
    bool active; /* the one that is served */
} rag_generation;

/* Looks whether kb.db holds a newer state than the current snapshot, or its vector index was made anew (cheap: PRAGMA
 * data_version) and, if so, loads or builds the snapshot and makes it current.  The old one serves on until it is replaced and released.
 * Call it every few hundred ms from one worker. *changed may be NULL.  A generation embedded with another
 * model than opt.model is not taken. The first call loads the first snapshot; generation 0 is the empty one. */
rag_code rag_index_refresh(rag_index *ix, bool *changed, rag_err *err);

/* The current snapshot, counted up; release it.  Never NULL after the first successful refresh. */
rag_snapshot *rag_index_acquire(rag_index *ix);
void rag_snapshot_release(rag_snapshot *s); /* copes with NULL */
int64_t rag_snapshot_generation(const rag_snapshot *s);
int64_t rag_snapshot_documents(const rag_snapshot *s);
int64_t rag_snapshot_chunks(const rag_snapshot *s);
size_t rag_snapshot_bytes(const rag_snapshot *s); /* vectors, positions, bitmaps */

/* Newest first. */
rag_code rag_index_generations(rag_index *ix, rag_arena *arena, rag_generation **out, size_t *n, rag_err *err);
/* Serves generation `number` from now on, or, with 0, always the latest.  RAG_NOT_FOUND when it is not kept, RAG_CONFIG
 * when it was embedded with another model than opt.model. */
rag_code rag_index_activate(rag_index *ix, int64_t number, rag_err *err);

/* ---- readers ---------------------------------------------------------------------- */

rag_code rag_reader_open(rag_reader **out, rag_index *ix, rag_err *err);
void rag_reader_close(rag_reader *r);

typedef struct rag_filter {
    rag_str collection;    /* empty: "default"; RAG_NOT_FOUND when no document was ever in it,
                              except "default", which may be empty */
    const rag_str *groups; /* documents of these groups and those without any; */
    size_t n_groups;       /* NULL with all_groups: every document */
    bool all_groups;
    rag_str path_prefix;   /* documents whose path begins with these bytes; empty: any */
    unsigned langs;        /* 1 << rag_lang of the documents, or-ed; 0: any */
    int64_t modified_from_ns, modified_before_ns; /* the file's mtime in [from, before); 0: open */
} rag_filter;

typedef enum rag_search_mode { RAG_SEARCH_HYBRID, RAG_SEARCH_VECTOR, RAG_SEARCH_TEXT } rag_search_mode;

/* How the halves become one list; index/fuse.h says what each does. */
typedef enum rag_fusion { RAG_FUSE_ADAPTIVE, RAG_FUSE_WEIGHTED, RAG_FUSE_RRF } rag_fusion;

typedef struct rag_search {
    rag_str query;           /* any valid UTF-8; plain text but for "quoted parts" */
    const float *vector;     /* unit length, the model's dimension; NULL in RAG_SEARCH_TEXT, and when there is no embedder */
    rag_search_mode mode;
    int top_k;               /* 1–100; 0 = 5 */
    int candidates;          /* from each half; 0 = 100 */
    rag_fusion fusion;
    double text_weight;      /* what a point of BM25 is worth in cosine, but in RAG_FUSE_RRF; 0 = 0.003, right for E5 */
    int rrf_k;               /* RAG_FUSE_RRF: its constant; 0 = 60 */
    double document_share;   /* largest part of top_k from one document while others have hits; 0 = 1 = no limit */
    int pool;                /* 0: hits are arranged (rag_reader_arrange).  Else the best `pool` chunks as they are, for a
                                reranker; call rag_reader_arrange afterwards */
    bool explain;            /* fills rag_results.candidates */
    rag_filter filter;
    double deadline_ms;      /* rag_clock_ms to stop at; 0 = none: RAG_DEADLINE */
} rag_search;

/* Another passage that says the same: folded into the hit that stands for it. */
typedef struct rag_twin {
    int64_t chunk_id, document_id;
    rag_str document;
} rag_twin;

/* One chunk of a merged hit. */
typedef struct rag_part {
    size_t start;           /* byte in the stored text */
    const rag_str *heading; /* its own, from the outermost */
    size_t n_heading;
} rag_part;

typedef struct rag_hit {
    int rank; /* from 1 */
    int64_t chunk_id, document_id; /* a merged hit's: of its best chunk */
    rag_str document;        /* path */
    rag_str title, url;      /* url empty when there is none */
    const rag_str *heading;  /* from the outermost; a merged hit's: what its chunks share */
    size_t n_heading;
    int page;                /* 0 = none */
    size_t line_start, line_end; /* from 1 */
    size_t start, end;       /* bytes in the stored text */
    rag_str text;            /* exactly those bytes, at most RAG_PASSAGE_TOKENS of the embedder */
    double score;            /* fused, or the reranker's; ties by path, then start */
    int vector_rank, text_rank; /* from 1; 0 = not among the candidates of that half */
    double vector_score;     /* cosine; also of a candidate of the other half alone */
    double text_score;       /* BM25, larger is better; likewise */
    double coverage;         /* part of the query's rarity (idf) that it holds: 0 to 1 */
    double closeness;        /* idf of the query's words within a sentence's length (index/proximity.h); 0: not looked at */
    double fused_score;      /* what the fusion gave */
    double rerank_score;     /* NAN: no reranker has seen it */
    size_t tokens;           /* of the embedder; of a merged hit, at most */
    int ordinal;             /* of the (first) chunk in its document, from 0 */
    bool holds_exact;        /* it holds the query's exact strings (rag_results.absent says which none holds) */
    const int64_t *merged;   /* chunk ids of a merged hit in order of the text; n_merged 0: one chunk */
    size_t n_merged;
    const rag_part *parts;   /* of them, n_merged */
    const rag_twin *twins;
    size_t n_twins;
} rag_hit;

enum { RAG_PASSAGE_TOKENS = 320 };

/* What became of a candidate, for `explain`. */
typedef enum rag_fate {
    RAG_FATE_RESULT,   /* hits[other] */
    RAG_FATE_MERGED,   /* into hits[other] */
    RAG_FATE_TWIN,     /* of hits[other] */
    RAG_FATE_SHARE,    /* its document had its share */
    RAG_FATE_BELOW,    /* not among the best top_k */
} rag_fate;

typedef struct rag_candidate {
    int64_t chunk_id, document_id;
    rag_str document;
    int vector_rank, text_rank;
    double vector_score, text_score, fused_score, rerank_score; /* as in rag_hit */
    const rag_str *terms;    /* the query's, as the text half looked for them, that it holds */
    size_t n_terms;
    rag_fate fate;
    size_t other;
} rag_candidate;

/* A word of the query that stood nowhere, and what was looked for instead. */
typedef struct rag_correction {
    rag_str from, to;
} rag_correction;

/* Everything lives in the arena. */
typedef struct rag_results {
    rag_hit *hits;
    size_t n;
    const rag_str *absent;   /* exact strings of the query (part numbers, quoted parts …) that no visible passage holds */
    size_t n_absent;
    const rag_correction *corrections;
    size_t n_corrections;
    size_t visible;          /* passages that the filter lets through */
    double text_ceiling;     /* more than any passage's text_score could be for this query */
    rag_candidate *candidates; /* with explain: by fused (or reranked) score, best first */
    size_t n_candidates;
} rag_results;

/* An empty query, or one without any term, finds what the vector half finds.  With "quoted
 * parts" (words, in plain double quotes) only passages that hold all of them are candidates, in both halves.
 * RAG_BUSY: the store was restored, or let the snapshot's generation go, since the snapshot was made: refresh, acquire, ask
 * again.  RAG_INVALID: top_k above 100, no UTF-8, RAG_SEARCH_VECTOR without a vector.
 * BM25 is Robertson and Zaragoza 2009, eq. 3.15, k1 = 1.2, b = 0.75, with idf = ln(1 + (N − n + ½) / (n + ½)), counted
 * over the filter's visible rows. */
rag_code rag_reader_search(rag_reader *r, rag_snapshot *s, const rag_search *q, rag_arena *arena, rag_results *out,
                           rag_err *err);
/* From the best chunks, in the order of hits[].score, to results:
 *  - passages that say the same (index/twins.h) become the best of them, which names the others;
 *  - neighbours in a document, both among the first top_k, become one passage of at most RAG_PASSAGE_TOKENS together with
 *    what stands between (a heading line, say) where the better one was; not across a comment;
 *  - of one document at most max(1, ceil(document_share · top_k)) stand before the last hit of another one;
 *  - cut to top_k and ranked.  A hit that holds_exact is neither hidden by one that does not, nor surplus, and the best of
 *    them is always among the results.
 * With candidates (explain): sets their fate and other. */
rag_code rag_reader_arrange(rag_reader *r, rag_snapshot *s, const rag_search *q, rag_arena *arena, rag_results *io,
                            rag_err *err);

typedef struct rag_document {
    int64_t id;
    rag_str path, collection, title, url;
    rag_str groups;        /* comma-separated, sorted; empty = everybody */
    rag_lang lang;
    size_t bytes;          /* of the stored text */
    int64_t chunks;
    rag_sha256 sha256;     /* of the file */
    int64_t mtime_ns;      /* of the file */
    int64_t gen_from;      /* the generation it has been like this since */
} rag_document;

/* Documents visible in s by id, at most `limit`, with id > after. Several collections: filter.collection "*". */
rag_code rag_reader_documents(rag_reader *r, rag_snapshot *s, const rag_filter *f, int64_t after, size_t limit,
                              rag_arena *arena, rag_document **out, size_t *n, rag_err *err);
rag_code rag_reader_document(rag_reader *r, rag_snapshot *s, int64_t id, rag_arena *arena, rag_document *out,
                             rag_err *err);
rag_code rag_reader_document_by_path(rag_reader *r, rag_snapshot *s, rag_str collection, rag_str path,
                                     rag_arena *arena, rag_document *out, rag_err *err);
/* Appends bytes [start, end) of the stored text; SIZE_MAX as end means to the last byte.  RAG_INVALID when
 * the range is not inside the text or not on character boundaries. */
rag_code rag_reader_text(rag_reader *r, rag_snapshot *s, int64_t document_id, size_t start, size_t end,
                         rag_buf *out, rag_err *err);
/* The line (from 1) in which byte offset `at` of the stored text lies. */
rag_code rag_reader_line(rag_reader *r, rag_snapshot *s, int64_t document_id, size_t at, size_t *line, rag_err *err);

/* ---- terms ------------------------------------------------------------------------ */

/* What the tokenizer makes of a text: one token a Han, kana or hangul character, words otherwise.  Han characters are
 * given in their simplified form. */
typedef struct rag_term {
    rag_str exact;   /* NFKC, case- and accent-folded; Han simplified */
    rag_str stem;    /* English stem; equal to exact when there is none */
    size_t start, end; /* bytes in the text given */
    bool is_stop;    /* a stop word or stop character: no evidence by itself */
    bool is_cjk;
} rag_term;

rag_code rag_terms(rag_str text, rag_arena *arena, rag_term **out, size_t *n);
/* Number of indexed rows that hold the term's stem (or exact form), for weighing by rarity; *rows is the total. */
rag_code rag_reader_frequency(rag_reader *r, const rag_term *term, int64_t *df, int64_t *rows, rag_err *err);

/* ---- writers ---------------------------------------------------------------------- */

typedef struct rag_writer_options {
    rag_sha256 model;        /* embedder of this run */
    const char *model_name;
    int dim;
    const char *chunker;     /* version and settings of the chunker; a change re-chunks */
    bool full;               /* another model is taken over; every document must be put again */
    bool dry_run;            /* nothing of this run stays; it cannot publish */
} rag_writer_options;

/* Takes DIR/ingest.lock (RAG_BUSY), sweeps what a killed run left, and refuses another model
 * without `full` (RAG_CONFIG). Embeddings that a killed run made are kept and reused. */
rag_code rag_writer_begin(rag_writer **out, rag_index *ix, const rag_writer_options *opt, rag_err *err);

/* The folder that a run mirrors, by its real path within a collection; `root` "" for single files.
 * *id names it in the calls below. `adopt` takes documents of another root with the same paths over. */
typedef struct rag_source {
    rag_str collection, groups, root, prefix, url;
    bool adopt;
} rag_source;
rag_code rag_writer_source(rag_writer *w, const rag_source *source, int64_t *id, rag_err *err);
/* The mirrored folder with the longest real path that `real_path` (absolute, of a file) lies in, among the
 * collection's sources; RAG_NOT_FOUND when there is none.  *out lives in the arena. */
rag_code rag_writer_source_of(rag_writer *w, rag_str collection, rag_str real_path, rag_arena *arena, int64_t *id,
                              rag_source *out, rag_err *err);

/* What the last published state knows of a path. */
typedef struct rag_stored {
    int64_t document_id;
    int64_t source_id;     /* who mirrors it */
    rag_str source_root;   /* in the arena */
    int64_t size, mtime_ns, inode;
    int64_t read_ns;       /* wall clock when it was read: mtime >= this is racy */
    rag_sha256 sha256;
    rag_str groups;        /* in the arena */
    bool is_current;       /* same chunker settings, model, source, groups and url: may be left as it is */
} rag_stored;

/* RAG_NOT_FOUND when the (collection of source, path) is not in the last generation. Marks it as seen. */
rag_code rag_writer_lookup(rag_writer *w, int64_t source_id, rag_str path, rag_arena *arena, rag_stored *out,
                           rag_err *err);
/* A live document that this run neither put nor removed and that is not as this run would make it: another model, other
 * chunker settings, or `full`.  For documents whose file cannot be read now: put them again from their stored text. */
typedef struct rag_outdated {
    int64_t document_id, source_id;
    rag_str collection, source_root, path, title; /* in the arena */
    rag_str groups;               /* the document's own: to name its source with */
    rag_str prefix, url;          /* its source's */
    rag_lang lang;
    int64_t size, mtime_ns, inode, read_ns;
    rag_sha256 sha256;
} rag_outdated;

/* The first one with an id > after; RAG_NOT_FOUND, without a sentence, when there is none.  Before it is put its source
 * must have been named with rag_writer_source. */
rag_code rag_writer_outdated(rag_writer *w, int64_t after, rag_arena *arena, rag_outdated *out, rag_err *err);
/* The stored text, for --full and for new chunker settings when the file is gone. */
rag_code rag_writer_stored_text(rag_writer *w, int64_t document_id, rag_buf *out, rag_err *err);
/* Unchanged content under a new stat: remembers it, makes no generation. */
rag_code rag_writer_touch(rag_writer *w, int64_t document_id, int64_t size, int64_t mtime_ns, int64_t inode,
                          int64_t read_ns, rag_err *err);

typedef struct rag_chunk_in {
    size_t start, end;     /* bytes in the stored text, on character boundaries */
    size_t line_start, line_end;
    int page;              /* 0 = none */
    const rag_str *heading;
    size_t n_heading;
    size_t tokens;
    rag_sha256 embedding;  /* key: SHA-256 of the embedded text */
} rag_chunk_in;

typedef struct rag_document_in {
    int64_t source_id;
    rag_str path, title;
    rag_lang lang;
    rag_str text;          /* stored text */
    int64_t size, mtime_ns, inode, read_ns;
    rag_sha256 sha256;     /* of the file */
    const rag_chunk_in *chunks;
    size_t n_chunks;
} rag_document_in;

/* True in *has when the embedding of that text by this run's model is stored. */
rag_code rag_writer_has_embedding(rag_writer *w, const rag_sha256 *key, bool *has, rag_err *err);
rag_code rag_writer_add_embedding(rag_writer *w, const rag_sha256 *key, const float *vector, rag_err *err);
/* Adds a new version of the document, invisible until publish; all or nothing.  RAG_INVALID when another root's
 * document has the path (naming both) or a chunk's embedding is missing. Commits by itself every so often. */
rag_code rag_writer_put(rag_writer *w, const rag_document_in *doc, int64_t *document_id, rag_err *err);
/* Keeps a document that is in the last generation from counting as vanished (a file that failed). */
rag_code rag_writer_keep(rag_writer *w, int64_t document_id, rag_err *err);
/* Visible documents of the source, and those of them that were neither looked up, put nor kept. */
rag_code rag_writer_vanished(rag_writer *w, int64_t source_id, int64_t *documents, int64_t *vanished, rag_err *err);
rag_code rag_writer_remove_vanished(rag_writer *w, int64_t source_id, rag_err *err);
rag_code rag_writer_remove(rag_writer *w, int64_t document_id, rag_err *err);

typedef struct rag_published {
    int64_t generation; /* the current one when nothing changed */
    bool changed;
    int64_t documents_added, documents_updated, documents_removed;
    int64_t chunks_added, chunks_removed;
} rag_published;

/* One transaction with synchronous=FULL makes the run visible under a new number; then
 * history beyond keep_generations goes and the FAISS index is written: the one of before with what came since, or an
 * untrained one. */
rag_code rag_writer_publish(rag_writer *w, rag_published *out, rag_err *err);
/* After a publish: trains the vector index and makes it anew when that is due (another type is wanted, it has doubled, a fifth of
 * it is dead, its files are missing or damaged), beside the one in use, and swaps them; a running daemon takes it at its
 * next refresh.  Takes minutes for a million chunks; stopped or killed, the old one stays, and the next run does it.
 * `stop` and `renewed` may be NULL.  RAG_CANCELED when *stop was set. */
rag_code rag_writer_renew_vectors(rag_writer *w, const atomic_bool *stop, bool *renewed, rag_err *err);
/* Ends the run and releases the lock; without publish nothing of it is ever seen. Copes with NULL. */
void rag_writer_end(rag_writer *w);

/* ---- care -------------------------------------------------------------------------- */

/* Everything that must agree: SQLite's and FTS5's integrity checks, FTS5 rowids = committed chunks,
 * index positions = kept chunks, each generation's bitmap = its visible chunks, embeddings present with the
 * right dimension, chunk ranges inside their texts on character boundaries, snapshot checksums.
 * `problem` is called with one sentence each; RAG_OK with *problems > 0 means damage was found. */
rag_code rag_index_verify(rag_index *ix, void (*problem)(void *context, const char *sentence), void *context,
                          int64_t *problems, rag_err *err);

/* A consistent copy of kb.db into one file, while others read and write; the file must not exist. */
rag_code rag_index_backup(rag_index *ix, const char *file, rag_err *err);
/* Replaces the content of DIR/kb.db by the backup's, under the ingest lock, in one transaction: a running
 * daemon goes over to it at its next refresh.  The backup is checked first. DIR may be empty. */
rag_code rag_index_restore(const char *dir, const char *file, rag_err *err);

/* Linked versions, for --version: "SQLite 3.40.1, FAISS 1.7.3, …" */
const char *rag_index_versions(void);

#endif
