#include <gguf.h>
#include <stdio.h>

#include "embed/embed.h"

static int read_dimension(const struct gguf_context *gguf)
{
    char key[256];
    int64_t at = gguf_find_key(gguf, "general.architecture");
    if (at < 0 || gguf_get_kv_type(gguf, at) != GGUF_TYPE_STRING)
        return 0;
    snprintf(key, sizeof key, "%s.embedding_length", gguf_get_val_str(gguf, at));
    at = gguf_find_key(gguf, key);
    return at >= 0 && gguf_get_kv_type(gguf, at) == GGUF_TYPE_UINT32 ? (int)gguf_get_val_u32(gguf, at) : 0;
}

rag_code rag_embed_identify(const char *model_path, rag_sha256 *id, int *dim, rag_err *err)
{
    struct gguf_init_params no_tensors = { .no_alloc = true };
    rag_code code = rag_sha256_file(model_path, id, err);
    if (code != RAG_OK) {
        if (err)
            err->code = RAG_CONFIG;
        return RAG_CONFIG;
    }
    struct gguf_context *gguf = gguf_init_from_file(model_path, no_tensors);
    *dim = gguf ? read_dimension(gguf) : 0;
    gguf_free(gguf);
    return *dim > 0 ? RAG_OK : rag_fail(err, RAG_CONFIG, "'%s' is not an embedding model", model_path);
}
