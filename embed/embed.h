/* embed/embed.h: text to vectors.
 *
 * One embedder holds one model and one context; vectors are unit length, so that
 * the inner product is the cosine.  Text is NFKC-normalised first, prefixed as the model was trained
 * ("query: " or "passage: " for E5), and encoded one sequence at a time with flash attention on
 * (measured faster on few cores than large mixed batches).
 *
 * Longer text than `max_tokens` is embedded by its first max_tokens tokens (the documented
 * window) when `truncate` is asked for, else refused with RAG_TOO_LARGE.
 *
 * E5's cosines lie close together (0.70 unrelated, 0.90 good): rank by them, never
 * threshold them raw.
 *
 * Threads: rag_embed_text from one thread at a time; rag_embed_count, _dim, _model_id from any.
 *
 * tests/embed_fake.c implements the same header with hashed vectors. */
#ifndef RAG_EMBED_EMBED_H
#define RAG_EMBED_EMBED_H

#include "base/digest.h"
#include "base/err.h"
#include "base/str.h"

typedef struct rag_embedder rag_embedder;

typedef struct rag_embed_options {
    const char *model_path; /* a GGUF with an encoder */
    int threads;            /* compute threads; 0 = online cores */
    int max_tokens;         /* window, at most the model's positions; 0 = the model's (512) */
} rag_embed_options;

typedef enum rag_embed_role { RAG_EMBED_QUERY, RAG_EMBED_PASSAGE } rag_embed_role;

/* RAG_CONFIG when the file is missing or not an embedding model. */
rag_code rag_embed_open(rag_embedder **out, const rag_embed_options *opt, rag_err *err);
void rag_embed_close(rag_embedder *e);
/* Identity (SHA-256 of the file) and dimension of a model without loading it: what a run that embeds nothing
 * needs to know.  RAG_CONFIG like rag_embed_open. */
rag_code rag_embed_identify(const char *model_path, rag_sha256 *id, int *dim, rag_err *err);

int rag_embed_dim(const rag_embedder *e);        /* 384 for multilingual-e5-small */
int rag_embed_max_tokens(const rag_embedder *e); /* window in tokens, special ones and prefix included */
/* SHA-256 of the model file: the model's identity in kb.db. */
const rag_sha256 *rag_embed_model_id(const rag_embedder *e);
const char *rag_embed_model_name(const rag_embedder *e); /* the file's base name */
/* Resident bytes of context and buffers as the runtime reports them (not the mapped weights). */
size_t rag_embed_memory(const rag_embedder *e);

/* Tokens of text alone, without prefix and special tokens; NFKC first. Thread-safe. */
size_t rag_embed_count(const rag_embedder *e, rag_str text);

/* Byte lengths for a chunker: fills ends[i] with the offset in *text* (as given; it must
 * already be NFKC or ASCII to be exact) where token i ends, for at most max tokens; returns the number of
 * tokens, which may exceed max. Thread-safe. */
size_t rag_embed_offsets(const rag_embedder *e, rag_str text, uint32_t *ends, size_t max);

/* Writes dim floats of unit length to out. *tokens (may be NULL) is what was given to the
 * model. Empty text embeds the bare prefix. */
rag_code rag_embed_text(rag_embedder *e, rag_embed_role role, rag_str text, bool truncate,
                        float *out, size_t *tokens, rag_err *err);

/* Interrupts a running rag_embed_text, which returns RAG_CANCELED; from any thread. */
void rag_embed_cancel(rag_embedder *e);

#endif
