#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "index/vectors_impl.h"

enum { FORMAT_VERSION = 2, MAX_LISTS = 1 << 20 };

static const char before_shape[] = "\"metric\":\"inner_product\",\n ";

/* What the files were made from, how, and what they are; then the checksum of all that. */
void manifest_render(char out[MANIFEST_MAX], const vectors_identity *id, const manifest *m)
{
    char model[65];
    rag_sha256_hex(id->model, model);
    int len = snprintf(out, MANIFEST_MAX,
                       "{\"format\":%d,\"store\":\"%s\",\"epoch\":\"%s\",\"generation\":%" PRId64
                       ",\"model\":\"%s\",\"dim\":%d,%s"
                       "\"type\":\"%s\",\"count\":%zu,\"trained\":%" PRId64
                       ",\"lists\":%u,\"effort\":%u,\"recall\":%u,\n"
                       " \"index.faiss\":{\"bytes\":%" PRId64 ",\"xxh3\":\"%016" PRIx64 "\"},\n"
                       " \"positions\":{\"bytes\":%" PRId64 ",\"xxh3\":\"%016" PRIx64 "\"},\n",
                       FORMAT_VERSION, id->store_id, id->epoch, id->generation, model, id->dim, before_shape,
                       vectors_type_name(m->shape.type), m->n, m->shape.trained, m->shape.lists, m->shape.effort,
                       m->shape.recall, m->index.bytes, m->index.xxh3, m->positions.bytes, m->positions.xxh3);
    uint64_t sum = rag_xxh3((rag_str){ out, (size_t)len }, 0);
    snprintf(out + len, MANIFEST_MAX - (size_t)len, " \"xxh3\":\"%016" PRIx64 "\"}\n", sum);
}

static bool name_type(const char *name, vectors_type *out)
{
    for (vectors_type t = VECTORS_FLAT; t <= VECTORS_IVF; t++)
        if (strcmp(name, vectors_type_name(t)) == 0) {
            *out = t;
            return true;
        }
    return false;
}

static bool is_sane(const manifest *m)
{
    const vectors_shape *s = &m->shape;
    return m->n > 0 && m->n < UINT32_MAX && m->positions.bytes == (int64_t)(m->n * sizeof(kept_row)) &&
           s->trained >= 0 && s->lists <= MAX_LISTS && s->effort <= MAX_LISTS && s->recall <= 1000 &&
           (s->type != VECTORS_IVF || (s->lists > 0 && s->effort > 0)) && (s->type != VECTORS_HNSW || s->effort > 0);
}

/* The values are read loosely; that nothing else was there shows when they are rendered again. */
bool manifest_parse(manifest *out, const vectors_identity *id, rag_str text)
{
    char copy[MANIFEST_MAX], again[MANIFEST_MAX], type[8];
    *out = (manifest){ 0 };
    if (text.len == 0 || text.len >= sizeof copy)
        return false;
    memcpy(copy, text.ptr, text.len);
    copy[text.len] = '\0';
    const char *shape = strstr(copy, before_shape);
    if (!shape)
        return false;
    int read = sscanf(shape + strlen(before_shape),
                      "\"type\":\"%7[A-Za-z0-9]\",\"count\":%zu,\"trained\":%" SCNd64
                      ",\"lists\":%u,\"effort\":%u,\"recall\":%u,"
                      " \"index.faiss\":{\"bytes\":%" SCNd64 ",\"xxh3\":\"%" SCNx64 "\"},"
                      " \"positions\":{\"bytes\":%" SCNd64 ",\"xxh3\":\"%" SCNx64 "\"}",
                      type, &out->n, &out->shape.trained, &out->shape.lists, &out->shape.effort, &out->shape.recall,
                      &out->index.bytes, &out->index.xxh3, &out->positions.bytes, &out->positions.xxh3);
    if (read != 10 || !name_type(type, &out->shape.type) || !is_sane(out))
        return false;
    manifest_render(again, id, out);
    return rag_str_eq(text, rag_str_of(again));
}
