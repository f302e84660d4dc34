/* bench/bench_chunks: what ingest makes of files.
 *
 *     bench_chunks MODEL [-v] FILE…
 *
 * Prints the texts that would be embedded, with E5's prefix and NUL bytes between them (for bench_encode), or with
 * -v the chunks for a reader, with "» " before what only the embedder sees; figures on stderr.  BENCH_CHUNK_TOKENS is
 * another target than the default. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "ingest/ingest.h"

typedef struct figures {
    size_t files, bytes, chunks, tokens;
    double milliseconds;
} figures;

static void print_chunk(const rag_parsed *doc, const rag_chunk *c)
{
    rag_str own = rag_str_sub(doc->text, c->start, c->end);
    printf("--- %zu tokens, lines %zu-%zu:", c->tokens, c->line_start, c->line_end);
    for (size_t i = 0; i < c->n_heading; i++)
        printf("%s %.*s", i ? " >" : "", RAG_STR_ARG(c->heading[i]));
    putchar('\n');
    for (size_t at = 0, end, front = c->embed_text.len - own.len; at < front; at = end + 1) {
        end = rag_str_find(c->embed_text, RAG_STR("\n"), at);
        printf("» %.*s\n", RAG_STR_ARG(rag_str_sub(c->embed_text, at, end)));
    }
    printf("%.*s\n", RAG_STR_ARG(own));
}

static void print_text(const rag_chunk *c)
{
    fputs("passage: ", stdout);
    fwrite(c->embed_text.ptr, 1, c->embed_text.len, stdout);
    putchar('\0');
}

static rag_code print_file(const rag_embedder *e, const char *path, bool verbose, figures *f, rag_err *err)
{
    rag_buf bytes;
    rag_parsed doc;
    rag_chunk *chunks = NULL;
    size_t n = 0;
    rag_str name = rag_str_of(path);
    rag_arena *arena = rag_arena_new();
    const char *target = getenv("BENCH_CHUNK_TOKENS");
    rag_chunker_options opt = { .target_tokens = target ? strtoul(target, NULL, 10) : 0 };
    rag_buf_init(&bytes, RAG_MAX_TEXT);
    rag_code code = rag_file_read(path, &bytes, err);
    double begun = rag_clock_ms();
    if (code == RAG_OK)
        code = rag_parse(rag_format_of(name), name, rag_buf_str(&bytes), arena, &doc, err);
    if (code == RAG_OK)
        code = rag_chunk_document(&doc, e, &opt, arena, &chunks, &n, err);
    f->milliseconds += rag_clock_ms() - begun;
    f->files++;
    f->bytes += bytes.len;
    f->chunks += n;
    for (size_t i = 0; i < n; i++) {
        f->tokens += chunks[i].tokens;
        if (verbose)
            print_chunk(&doc, &chunks[i]);
        else
            print_text(&chunks[i]);
    }
    rag_arena_free(arena);
    rag_buf_free(&bytes);
    return code;
}

int main(int argc, char **argv)
{
    rag_embedder *e = NULL;
    rag_err err = { 0 };
    figures f = { 0 };
    bool verbose = argc > 2 && strcmp(argv[2], "-v") == 0;
    rag_embed_options opt = { .model_path = argc > 1 ? argv[1] : "" };
    rag_code code = rag_embed_open(&e, &opt, &err);
    for (int i = 2 + verbose; code == RAG_OK && i < argc; i++)
        code = print_file(e, argv[i], verbose, &f, &err);
    rag_embed_close(e);
    if (code != RAG_OK) {
        fprintf(stderr, "bench_chunks: %s\n", err.message);
        return 1;
    }
    fprintf(stderr, "{\"files\":%zu,\"bytes\":%zu,\"chunks\":%zu,\"tokens\":%zu,\"parse_and_chunk_ms\":%.1f}\n", f.files,
            f.bytes, f.chunks, f.tokens, f.milliseconds);
    return 0;
}
