#include "embed/tokenizer.h"

#include <stdlib.h>
#include <string.h>

#include "base/unicode.h"
#include "base/utf8.h"

enum { MAX_PIECE = 256, RESYNC_BYTES = 256 };

/* A new array of all *n tokens of text by libllama; none when text is too long to count. */
static llama_token *run_llama(const tokenizer *t, rag_str text, bool add_special, size_t *n)
{
    size_t room = text.len / 3 + 16;
    llama_token *tokens = rag_calloc(room, sizeof *tokens);
    *n = rag_llama_tokenize(t->vocab, text, add_special, false, tokens, room);
    if (*n == SIZE_MAX)
        *n = 0;
    if (*n > room) {
        tokens = rag_realloc(tokens, *n * sizeof *tokens);
        rag_llama_tokenize(t->vocab, text, add_special, false, tokens, *n);
    }
    return tokens;
}

static size_t run_unigram(const unigram *u, rag_str text, llama_token *out, size_t max)
{
    size_t n = 2 + unigram_tokenize(u, text, out + 1, NULL, max - 1);
    out[0] = u->bos;
    out[(n < max ? n : max) - 1] = u->eos;
    return n;
}

size_t tokenizer_fill(const tokenizer *t, rag_str text, llama_token *out, size_t max)
{
    if (t->unigram)
        return run_unigram(t->unigram, text, out, max);
    size_t n;
    llama_token *tokens = run_llama(t, text, true, &n);
    memcpy(out, tokens, (n < max ? n : max) * sizeof *out);
    if (n > max && llama_vocab_is_control(t->vocab, tokens[n - 1]))
        out[max - 1] = tokens[n - 1];
    free(tokens);
    return n;
}

size_t tokenizer_count(const tokenizer *t, rag_str text)
{
    size_t n;
    if (t->unigram)
        return unigram_tokenize(t->unigram, text, NULL, NULL, 0);
    free(run_llama(t, text, false, &n));
    return n;
}

static size_t skip_space(rag_str text, size_t pos)
{
    for (size_t next = pos; pos < text.len; pos = next)
        if (!rag_unicode_is_space(rag_utf8_next(text, &next)))
            break;
    return pos;
}

static bool is_same_letter(char a, char b)
{
    return a == b || (a >= 'A' && a <= 'Z' && (a | 0x20) == b);
}

/* Where piece ends when it stands at pos; a space in it stands for any white space.  SIZE_MAX
 * when it does not stand there. */
static size_t match(rag_str text, size_t pos, rag_str piece)
{
    for (size_t i = 0; i < piece.len; i++) {
        if (piece.ptr[i] == ' ')
            pos = skip_space(text, pos);
        else if (pos < text.len && is_same_letter(text.ptr[pos], piece.ptr[i]))
            pos++;
        else
            return SIZE_MAX;
    }
    return pos;
}

/* The same at or a little behind pos, since the tokenizer may drop characters; pos when it is not found. */
static size_t match_near(rag_str text, size_t pos, rag_str piece)
{
    for (size_t at = pos; at < text.len && at - pos < RESYNC_BYTES; at++) {
        size_t end = match(text, at, piece);
        if (end != SIZE_MAX)
            return end;
    }
    return pos;
}

static size_t token_end(const tokenizer *t, llama_token token, rag_str text, size_t pos)
{
    char piece[MAX_PIECE];
    if (llama_vocab_get_attr(t->vocab, token) & LLAMA_TOKEN_ATTR_UNKNOWN) {
        pos = skip_space(text, pos);
        if (pos < text.len)
            rag_utf8_next(text, &pos);
        return pos;
    }
    int32_t n = llama_token_to_piece(t->vocab, token, piece, sizeof piece, 0, false);
    return n > 0 ? match_near(text, pos, (rag_str){ piece, (size_t)n }) : pos;
}

size_t tokenizer_offsets(const tokenizer *t, rag_str text, uint32_t *ends, size_t max)
{
    if (t->unigram)
        return unigram_tokenize(t->unigram, text, NULL, ends, max);
    size_t n, pos = 0;
    llama_token *tokens = run_llama(t, text, false, &n);
    for (size_t i = 0; i < n && i < max; i++) {
        pos = token_end(t, tokens[i], text, pos);
        ends[i] = (uint32_t)rag_utf8_floor(text, pos);
    }
    free(tokens);
    return n;
}
