#include "ctl/eval_docs.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/digest.h"
#include "base/file.h"
#include "base/unicode.h"
#include "base/utf8.h"

/* A text's letters and digits, and where each byte of them stands. */
typedef struct skeleton {
    rag_buf bytes;
    uint32_t *starts, *ends; /* of the character, by byte of the skeleton */
} skeleton;

typedef struct doc {
    char *name;
    bool exists;
    rag_buf text;
    skeleton bones;
    bool has_bones;
} doc;

struct eval_docs {
    char *dir;
    doc **slots; /* open addressing by name */
    size_t n, size;
};

eval_docs *eval_docs_open(const char *dir)
{
    eval_docs *d = rag_calloc(1, sizeof *d);
    d->dir = dir ? rag_strdup(dir) : NULL;
    d->size = 256;
    d->slots = rag_calloc(d->size, sizeof *d->slots);
    return d;
}

static void free_skeleton(skeleton *s)
{
    rag_buf_free(&s->bytes);
    free(s->starts);
    free(s->ends);
}

void eval_docs_close(eval_docs *d)
{
    if (!d)
        return;
    for (size_t i = 0; i < d->size; i++) {
        if (!d->slots[i])
            continue;
        free(d->slots[i]->name);
        rag_buf_free(&d->slots[i]->text);
        free_skeleton(&d->slots[i]->bones);
        free(d->slots[i]);
    }
    free(d->slots);
    free(d->dir);
    free(d);
}

static doc **slot_of(doc **slots, size_t size, const char *name)
{
    size_t i = rag_xxh3(rag_str_of(name), 0) & (size - 1);
    while (slots[i] && strcmp(slots[i]->name, name))
        i = (i + 1) & (size - 1);
    return &slots[i];
}

static void grow(eval_docs *d)
{
    doc **larger = rag_calloc(2 * d->size, sizeof *larger);
    for (size_t i = 0; i < d->size; i++)
        if (d->slots[i])
            *slot_of(larger, 2 * d->size, d->slots[i]->name) = d->slots[i];
    free(d->slots);
    d->slots = larger;
    d->size *= 2;
}

/* Names come from the set and from the daemon: they must not lead out of the folder. */
static bool is_inside(const char *name)
{
    bool inside = *name && *name != '/';
    for (const char *at = name; inside && *at; at += strcspn(at, "/"), at += *at == '/')
        inside = !(strcspn(at, "/") == 2 && at[0] == '.' && at[1] == '.');
    return inside;
}

static doc *read_doc(const char *dir, const char *name)
{
    doc *one = rag_calloc(1, sizeof *one);
    one->name = rag_strdup(name);
    rag_buf_init(&one->text, RAG_MAX_TEXT);
    if (dir && is_inside(name)) {
        char *path = rag_path_join(dir, name);
        one->exists = rag_file_read(path, &one->text, NULL) == RAG_OK;
        free(path);
    }
    return one;
}

static doc *find(eval_docs *d, const char *name)
{
    doc **slot = slot_of(d->slots, d->size, name);
    if (*slot)
        return *slot;
    doc *one = *slot = read_doc(d->dir, name);
    if (++d->n > d->size / 2)
        grow(d);
    return one;
}

bool eval_docs_text(eval_docs *d, const char *name, rag_str *out)
{
    doc *one = find(d, name);
    *out = rag_buf_str(&one->text);
    return one->exists;
}

bool eval_docs_is_plain(const char *name)
{
    static const char *const endings[] = { ".md", ".markdown", ".txt", ".text" };
    const char *dot = strrchr(name, '.');
    for (size_t i = 0; dot && i < sizeof endings / sizeof *endings; i++)
        if (!strcasecmp(dot, endings[i]))
            return true;
    return false;
}

/* ---- sentences ---------------------------------------------------------------------- */

/* Behind the target of a Markdown link, "](…)", that begins at pos; pos when none does. */
static size_t skip_target(rag_str text, size_t pos)
{
    if (!rag_str_starts(rag_str_sub(text, pos, text.len), RAG_STR("](")))
        return pos;
    size_t depth = 1;
    for (size_t at = pos + 2; at < text.len && text.ptr[at] != '\n'; at++) {
        depth += text.ptr[at] == '(';
        depth -= text.ptr[at] == ')';
        if (!depth)
            return at + 1;
    }
    return pos;
}

static void make_skeleton(rag_str text, skeleton *out)
{
    *out = (skeleton){ .starts = rag_calloc(text.len + 1, sizeof(uint32_t)),
                       .ends = rag_calloc(text.len + 1, sizeof(uint32_t)) };
    rag_buf_init(&out->bytes, RAG_MAX_TEXT);
    for (size_t pos = 0; pos < text.len;) {
        size_t start = pos = skip_target(text, pos);
        if (pos >= text.len)
            break;
        if (rag_unicode_class(rag_utf8_next(text, &pos)) == RAG_CHAR_OTHER)
            continue;
        for (size_t i = 0; i < pos - start; i++) {
            out->starts[out->bytes.len + i] = (uint32_t)start;
            out->ends[out->bytes.len + i] = (uint32_t)pos;
        }
        rag_buf_put(&out->bytes, rag_str_sub(text, start, pos));
    }
}

bool eval_docs_locate(eval_docs *d, const char *name, rag_str sentence, rag_span *out)
{
    skeleton wanted;
    doc *one = find(d, name);
    if (!one->exists)
        return false;
    if (!one->has_bones)
        make_skeleton(rag_buf_str(&one->text), &one->bones);
    one->has_bones = true;
    make_skeleton(sentence, &wanted);
    size_t n = wanted.bytes.len;
    size_t at = n ? rag_str_find(rag_buf_str(&one->bones.bytes), rag_buf_str(&wanted.bytes), 0) : SIZE_MAX;
    free_skeleton(&wanted);
    if (at == SIZE_MAX)
        return false;
    *out = (rag_span){ one->bones.starts[at], one->bones.ends[at + n - 1] };
    return true;
}
