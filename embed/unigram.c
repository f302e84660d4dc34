#include "embed/unigram.h"

#include <errno.h>
#include <float.h>
#include <gguf.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/unicode.h"
#include "base/utf8.h"

enum {
    MARK_BYTES = 3,        /* U+2581 stands before each word */
    MAX_WORD = 4096,       /* bytes; a longer one is cut between characters */
    MAX_TOKENS = 1 << 24,
};
static const char mark[] = "\xE2\x96\x81";
static const double unknown_penalty = 10; /* SentencePiece's: below the least likely piece */

/* Opening */

typedef struct piece {
    const char *text;
    size_t len;
    int32_t token;
} piece;

typedef struct range {
    size_t lo, hi;
} range;

static int by_bytes(const void *left, const void *right)
{
    const piece *a = left, *b = right;
    int order = memcmp(a->text, b->text, a->len < b->len ? a->len : b->len);
    return order ? order : (a->len > b->len) - (a->len < b->len);
}

static uint32_t add_node(unigram *u, range **ranges, size_t *cap, uint8_t label, range r)
{
    if (u->n_nodes + 1 >= *cap) {
        *cap = *cap ? 2 * *cap : 1 << 16;
        *ranges = rag_realloc(*ranges, *cap * sizeof **ranges);
        u->label = rag_realloc(u->label, *cap * sizeof *u->label);
        u->first = rag_realloc(u->first, *cap * sizeof *u->first);
        u->token = rag_realloc(u->token, *cap * sizeof *u->token);
    }
    u->label[u->n_nodes] = label;
    u->token[u->n_nodes] = -1;
    (*ranges)[u->n_nodes] = r;
    return u->n_nodes++;
}

static void shrink(unigram *u)
{
    u->label = rag_realloc(u->label, u->n_nodes * sizeof *u->label);
    u->first = rag_realloc(u->first, (u->n_nodes + 1) * sizeof *u->first);
    u->token = rag_realloc(u->token, u->n_nodes * sizeof *u->token);
}

/* pieces ascend; those of node i are ranges[i] and share their first `depth` bytes. */
static void build(unigram *u, const piece *pieces, size_t n)
{
    range *ranges = NULL;
    size_t cap = 0, depth = 0, level_end = 1;
    add_node(u, &ranges, &cap, 0, (range){ 0, n });
    for (uint32_t i = 0; i < u->n_nodes; i++) {
        if (i == level_end) {
            depth++;
            level_end = u->n_nodes;
        }
        size_t lo = ranges[i].lo, hi = ranges[i].hi;
        u->first[i] = u->n_nodes;
        for (; lo < hi && pieces[lo].len == depth; lo++)
            u->token[i] = pieces[lo].token;
        for (size_t end = lo; lo < hi; lo = end) {
            while (end < hi && pieces[end].text[depth] == pieces[lo].text[depth])
                end++;
            add_node(u, &ranges, &cap, (uint8_t)pieces[lo].text[depth], (range){ lo, end });
        }
    }
    u->first[u->n_nodes] = u->n_nodes;
    free(ranges);
    shrink(u);
}

static bool has_type(const struct gguf_context *g, const char *key, enum gguf_type type, int64_t *id)
{
    *id = gguf_find_key(g, key);
    return *id >= 0 && gguf_get_kv_type(g, *id) == type;
}

static bool is_array(const struct gguf_context *g, const char *key, enum gguf_type type, size_t n, int64_t *id)
{
    return has_type(g, key, GGUF_TYPE_ARRAY, id) && gguf_get_arr_type(g, *id) == type &&
           gguf_get_arr_n(g, *id) == n;
}

static bool is_set(const struct gguf_context *g, const char *key)
{
    int64_t id;
    return has_type(g, key, GGUF_TYPE_BOOL, &id) && gguf_get_val_bool(g, id);
}

static bool read_token(const struct gguf_context *g, const char *key, uint32_t n_tokens, llama_token *out)
{
    int64_t id;
    if (!has_type(g, key, GGUF_TYPE_UINT32, &id) || gguf_get_val_u32(g, id) >= n_tokens)
        return false;
    *out = (llama_token)gguf_get_val_u32(g, id);
    return true;
}

/* The name is T5's, whose tokenizer is this one. */
static bool is_unigram(const struct gguf_context *g)
{
    int64_t id;
    return has_type(g, "tokenizer.ggml.model", GGUF_TYPE_STRING, &id) && !strcmp(gguf_get_val_str(g, id), "t5") &&
           gguf_find_key(g, "tokenizer.ggml.precompiled_charsmap") < 0 &&
           is_set(g, "tokenizer.ggml.add_space_prefix") && is_set(g, "tokenizer.ggml.remove_extra_whitespaces") &&
           is_set(g, "tokenizer.ggml.add_bos_token") && is_set(g, "tokenizer.ggml.add_eos_token");
}

static bool read_header(unigram *u, const struct gguf_context *g)
{
    int64_t tokens, architecture;
    if (!is_unigram(g) || !has_type(g, "tokenizer.ggml.tokens", GGUF_TYPE_ARRAY, &tokens) ||
        gguf_get_arr_type(g, tokens) != GGUF_TYPE_STRING || gguf_get_arr_n(g, tokens) > MAX_TOKENS ||
        !has_type(g, "general.architecture", GGUF_TYPE_STRING, &architecture))
        return false;
    u->n_tokens = (uint32_t)gguf_get_arr_n(g, tokens);
    snprintf(u->architecture, sizeof u->architecture, "%s", gguf_get_val_str(g, architecture));
    return read_token(g, "tokenizer.ggml.bos_token_id", u->n_tokens, &u->bos) &&
           read_token(g, "tokenizer.ggml.eos_token_id", u->n_tokens, &u->eos) &&
           read_token(g, "tokenizer.ggml.unknown_token_id", u->n_tokens, &u->unknown);
}

/* Fills pieces, and u->score; false when some token is of a kind that this tokenizer lacks. */
static bool collect(unigram *u, const struct gguf_context *g, piece *pieces, size_t *n)
{
    int64_t tokens = gguf_find_key(g, "tokenizer.ggml.tokens"), scores, types;
    if (!is_array(g, "tokenizer.ggml.scores", GGUF_TYPE_FLOAT32, u->n_tokens, &scores) ||
        !is_array(g, "tokenizer.ggml.token_type", GGUF_TYPE_INT32, u->n_tokens, &types))
        return false;
    const int32_t *type = gguf_get_arr_data(g, types);
    float least = FLT_MAX;
    memcpy(u->score, gguf_get_arr_data(g, scores), u->n_tokens * sizeof *u->score);
    *n = 0;
    for (uint32_t i = 0; i < u->n_tokens; i++) {
        const char *text = gguf_get_arr_str(g, tokens, i);
        if (type[i] == LLAMA_TOKEN_TYPE_USER_DEFINED || type[i] == LLAMA_TOKEN_TYPE_BYTE)
            return false;
        /* Words are tokenised one by one, so a piece must not reach into the next. */
        if (type[i] != LLAMA_TOKEN_TYPE_NORMAL || !*text || strstr(text + 1, mark))
            continue;
        least = u->score[i] < least ? u->score[i] : least;
        pieces[(*n)++] = (piece){ text, strlen(text), (int32_t)i };
    }
    u->unknown_score = (double)least - unknown_penalty;
    return *n > 0;
}

static bool load(unigram *u, const struct gguf_context *g)
{
    size_t n;
    if (!read_header(u, g))
        return false;
    piece *pieces = rag_calloc(u->n_tokens, sizeof *pieces);
    u->score = rag_calloc(u->n_tokens, sizeof *u->score);
    bool fits = collect(u, g, pieces, &n);
    if (fits) {
        qsort(pieces, n, sizeof *pieces, by_bytes);
        build(u, pieces, n);
    }
    free(pieces);
    return fits;
}

rag_code unigram_open(unigram **out, const char *path, rag_err *err)
{
    *out = NULL;
    if (access(path, R_OK))
        return rag_fail(err, RAG_CONFIG, "cannot open '%s': %s", path, strerror(errno));
    struct gguf_context *g = gguf_init_from_file(path, (struct gguf_init_params){ .no_alloc = true });
    if (!g)
        return rag_fail(err, RAG_CONFIG, "cannot read '%s': not a GGUF file", path);
    unigram *u = rag_calloc(1, sizeof *u);
    if (load(u, g))
        *out = u;
    else
        unigram_close(u);
    gguf_free(g);
    return RAG_OK;
}

void unigram_close(unigram *u)
{
    if (!u)
        return;
    free(u->label);
    free(u->first);
    free(u->token);
    free(u->score);
    free(u);
}

/* Tokenising */

/* The best way to a place in the word: the token that ends there and the place where it starts. */
typedef struct step {
    double score;
    uint32_t from;
    llama_token token;
} step;

typedef struct output {
    llama_token *tokens;
    uint32_t *ends;
    size_t n, max;
} output;

static uint32_t find_child(const unigram *u, uint32_t node, uint8_t byte)
{
    uint32_t lo = u->first[node], hi = u->first[node + 1];
    while (lo < hi) {
        uint32_t middle = lo + (hi - lo) / 2;
        if (u->label[middle] < byte)
            lo = middle + 1;
        else
            hi = middle;
    }
    return lo < u->first[node + 1] && u->label[lo] == byte ? lo : 0;
}

static void offer(step *place, double score, size_t from, llama_token token)
{
    if (score > place->score)
        *place = (step){ score, (uint32_t)from, token };
}

/* Offers each piece that starts at `from`; the character there, which ends at next, is unknown when no piece is it. */
static void extend(const unigram *u, rag_str word, size_t from, size_t next, step *steps)
{
    bool is_known = false;
    uint32_t node = 0;
    for (size_t i = from; i < word.len && (node = find_child(u, node, (uint8_t)word.ptr[i])); i++) {
        llama_token token = u->token[node];
        if (token < 0)
            continue;
        is_known |= i + 1 == next;
        offer(&steps[i + 1], steps[from].score + (double)u->score[token], from, token);
    }
    if (!is_known)
        offer(&steps[next], steps[from].score + u->unknown_score, from, u->unknown);
}

static void emit(output *out, llama_token token, size_t end)
{
    if (out->n < out->max && out->tokens)
        out->tokens[out->n] = token;
    if (out->n < out->max && out->ends)
        out->ends[out->n] = (uint32_t)end;
    out->n++;
}

/* Turns the chain of steps round and emits it, a run of unknown tokens as one.  at is the offset in the
 * text of the word's first byte. */
static void emit_word(const unigram *u, step *steps, size_t len, size_t at, size_t mark_len, output *out)
{
    uint32_t next[MAX_WORD + MARK_BYTES + 1];
    for (size_t i = len; i > 0; i = steps[i].from)
        next[steps[i].from] = (uint32_t)i;
    for (size_t i = 0; i < len;) {
        llama_token token = steps[next[i]].token;
        i = next[i];
        while (token == u->unknown && i < len && steps[next[i]].token == u->unknown)
            i = next[i];
        emit(out, token, i > mark_len ? at + i - mark_len : at);
    }
}

static void tokenize_word(const unigram *u, rag_str text, rag_span span, bool is_start, output *out)
{
    char word[MAX_WORD + MARK_BYTES];
    step steps[MAX_WORD + MARK_BYTES + 1];
    size_t mark_len = is_start ? MARK_BYTES : 0, len = mark_len + span.end - span.start;
    memcpy(word, mark, mark_len);
    memcpy(word + mark_len, text.ptr + span.start, span.end - span.start);
    for (size_t i = 0; i <= len; i++)
        steps[i] = (step){ .score = i ? -DBL_MAX : 0 };
    for (size_t pos = 0, next = 0; pos < len; pos = next) {
        rag_utf8_next((rag_str){ word, len }, &next);
        extend(u, (rag_str){ word, len }, pos, next, steps);
    }
    emit_word(u, steps, len, span.start, mark_len, out);
}

static bool separates(uint32_t c)
{
    return c < 0x20 || c == 0x7F || rag_unicode_is_space(c);
}

/* The next run of characters that do not separate, of at most MAX_WORD bytes. */
static rag_span next_word(rag_str text, size_t pos)
{
    size_t next = pos;
    while (pos < text.len && separates(rag_utf8_next(text, &next)))
        pos = next;
    rag_span span = { pos, pos };
    for (next = pos; span.end < text.len; span.end = next)
        if (separates(rag_utf8_next(text, &next)) || next - pos > MAX_WORD)
            break;
    return span;
}

size_t unigram_tokenize(const unigram *u, rag_str text, llama_token *tokens, uint32_t *ends, size_t max)
{
    output out = { .tokens = tokens, .ends = ends, .max = max };
    size_t last = SIZE_MAX;
    for (rag_span word = next_word(text, 0); word.start < word.end; word = next_word(text, word.end)) {
        tokenize_word(u, text, word, word.start != last, &out);
        last = word.end;
    }
    return out.n;
}
