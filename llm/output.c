#include "llm/output.h"

#include <stdlib.h>
#include <string.h>

#include "base/utf8.h"

static const char replacement[] = "\xEF\xBF\xBD";

void output_init(output *o, const rag_str *stops, size_t n_stops)
{
    *o = (output){ 0 };
    rag_buf_init(&o->held, RAG_MAX_PROMPT);
    rag_buf_init(&o->piece, 3 * RAG_MAX_PROMPT);
    for (size_t i = 0; i < n_stops && o->n_stops < OUTPUT_MAX_STOPS; i++)
        if (stops[i].len > 0)
            o->stops[o->n_stops++] = (rag_str){ rag_strndup(stops[i]), stops[i].len };
}

void output_free(output *o)
{
    for (size_t i = 0; i < o->n_stops; i++)
        free((char *)o->stops[i].ptr);
    rag_buf_free(&o->held);
    rag_buf_free(&o->piece);
    free(o->tokens);
    free(o->piece_tokens);
    *o = (output){ 0 };
}

void output_push(output *o, rag_str bytes, rag_llm_token token)
{
    if (o->n_tokens == o->cap_tokens) {
        o->cap_tokens = o->cap_tokens ? 2 * o->cap_tokens : 16;
        o->tokens = rag_realloc(o->tokens, o->cap_tokens * sizeof *o->tokens);
        o->piece_tokens = rag_realloc(o->piece_tokens, o->cap_tokens * sizeof *o->piece_tokens);
    }
    rag_buf_put(&o->held, bytes);
    o->tokens[o->n_tokens++] = (output_token){ token, o->held.len };
}

/* Offset of the first stop string, or the text's length. */
static size_t find_stop(const output *o, rag_str text)
{
    size_t first = text.len;
    for (size_t i = 0; i < o->n_stops; i++) {
        size_t at = rag_str_find(text, o->stops[i], 0);
        if (at < first)
            first = at;
    }
    return first;
}

static bool may_begin_stop(const output *o, rag_str tail)
{
    for (size_t i = 0; i < o->n_stops; i++)
        if (rag_str_starts(o->stops[i], tail))
            return true;
    return false;
}

/* Length of text without its longest end that could begin a stop string. */
static size_t before_partial_stop(const output *o, rag_str text)
{
    size_t longest = 0;
    for (size_t i = 0; i < o->n_stops; i++)
        longest = o->stops[i].len > longest ? o->stops[i].len : longest;
    for (size_t at = text.len > longest ? text.len - longest : 0; at < text.len; at++)
        if (may_begin_stop(o, rag_str_sub(text, at, text.len)))
            return at;
    return text.len;
}

/* True when s, which is not valid, could be the start of one character. */
static bool is_unfinished(rag_str s)
{
    unsigned char lead = (unsigned char)s.ptr[0];
    size_t need = lead >= 0xF0 && lead < 0xF5 ? 4 : lead >= 0xE0 && lead < 0xF0 ? 3 : lead >= 0xC2 && lead < 0xE0 ? 2 : 0;
    if (s.len >= need)
        return false;
    for (size_t i = 1; i < s.len; i++)
        if (((unsigned char)s.ptr[i] & 0xC0) != 0x80)
            return false;
    return true;
}

/* Appends text's whole characters to out; returns the bytes taken. */
static size_t put_characters(rag_buf *out, rag_str text, bool is_final)
{
    size_t done = 0, bad;
    while (done < text.len) {
        rag_str rest = rag_str_sub(text, done, text.len);
        if (rag_utf8_valid(rest, &bad)) {
            rag_buf_put(out, rest);
            return text.len;
        }
        rag_buf_put(out, rag_str_sub(rest, 0, bad));
        done += bad;
        if (is_unfinished(rag_str_sub(text, done, text.len)))
            return is_final ? text.len : done;
        rag_buf_puts(out, replacement);
        done++;
    }
    return done;
}

/* Moves the tokens that end within the first n held bytes to the piece, and drops those bytes. */
static void consume(output *o, size_t n)
{
    size_t kept = 0;
    for (size_t i = 0; i < o->n_tokens; i++) {
        if (o->tokens[i].end <= n)
            o->piece_tokens[o->n_piece_tokens++] = o->tokens[i].token;
        else
            o->tokens[kept++] = (output_token){ o->tokens[i].token, o->tokens[i].end - n };
    }
    o->n_tokens = kept;
    memmove(o->held.ptr, o->held.ptr + n, o->held.len - n);
    rag_buf_truncate(&o->held, o->held.len - n);
}

rag_str output_take(output *o, bool is_final)
{
    rag_str text = rag_buf_str(&o->held);
    o->n_piece_tokens = 0;
    rag_buf_clear(&o->piece);
    if (o->is_stopped || text.len == 0)
        return (rag_str){ 0 };
    size_t end = find_stop(o, text);
    o->is_stopped = end < text.len;
    if (!o->is_stopped && !is_final)
        end = before_partial_stop(o, text);
    size_t taken = put_characters(&o->piece, rag_str_sub(text, 0, end), is_final || o->is_stopped);
    if (o->piece.len == 0)
        return (rag_str){ 0 };
    consume(o, taken);
    return rag_buf_str(&o->piece);
}
