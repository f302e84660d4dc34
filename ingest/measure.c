#include "ingest/measure.h"

#include <stdlib.h>

#include "base/sentence.h"
#include "base/utf8.h"

enum {
    MAX_ATOM = 48,               /* bytes of a run without any place to cut */
    MAX_NFKC = 4 * 1024 * 1024,  /* pieces are far smaller; U+FDFA grows elevenfold */
};

void measure_init(measure *m, const rag_embedder *embedder)
{
    *m = (measure){ .embedder = embedder };
    rag_buf_init(&m->nfkc, MAX_NFKC);
}

void measure_free(measure *m)
{
    rag_buf_free(&m->nfkc);
    free(m->marks);
    free(m->ends);
}

/* ---- atoms ------------------------------------------------------------------------- */

/* Combining marks and joiners stay with what they follow. */
static bool is_attached(uint32_t c)
{
    return (c >= 0x300 && c <= 0x36f) || (c >= 0x1ab0 && c <= 0x1aff) || (c >= 0x20d0 && c <= 0x20ff) ||
           (c >= 0x3099 && c <= 0x309a) || (c >= 0xfe00 && c <= 0xfe0f) || (c >= 0xfe20 && c <= 0xfe2f) || c == 0x200d;
}

static bool ends_clause(uint32_t c)
{
    switch (c) {
    case ',': case ';': case ':': case 0x2014: case 0x3001: case 0xff0c: case 0xff1a: case 0xff1b: return true;
    default: return false;
    }
}

static bool stands_alone(uint32_t c)
{
    return rag_unicode_class(c) == RAG_CHAR_CJK || (c >= 0x3000 && c <= 0x303f) || (c >= 0xff00 && c <= 0xffef);
}

/* `space`: the white space character that the atom ends with, 0 for none; a line break counts whatever follows it. */
static cut_quality quality_after(uint32_t last, uint32_t space)
{
    bool wide = last >= 0x2e80;
    if (space == '\n')
        return CUT_LINE;
    if (ends_clause(last) && (space || wide))
        return CUT_CLAUSE;
    return space || wide ? CUT_SPACE : CUT_CHARACTER;
}

/* Moves *pos over a word with the white space behind it, one wide character, or MAX_ATOM bytes. */
static cut_quality next_atom(rag_str text, size_t *pos)
{
    size_t start = *pos;
    uint32_t last = rag_utf8_next(text, pos), space = rag_unicode_is_space(last) ? last : 0;
    bool alone = stands_alone(last);
    while (*pos < text.len) {
        size_t next = *pos;
        uint32_t c = rag_utf8_next(text, &next);
        bool is_space = rag_unicode_is_space(c);
        if (!is_attached(c) && (next - start > MAX_ATOM || (space && !is_space) ||
                                (!is_space && (alone || stands_alone(c)))))
            break;
        if (is_space)
            space = space == '\n' ? space : c;
        else if (!is_attached(c))
            last = c;
        if (next - start > 4 * MAX_ATOM)
            break;
        *pos = next;
    }
    return quality_after(last, space);
}

/* ---- sentences --------------------------------------------------------------------- */

typedef struct sentences {
    rag_str text;
    size_t pos, end; /* where to look on; end of the sentence found last */
    bool by_line, done;
} sentences;

static void next_sentence(sentences *s)
{
    rag_span span;
    if (s->by_line) {
        while (s->pos < s->text.len && s->text.ptr[s->pos] != '\n')
            s->pos++;
        s->done = s->pos >= s->text.len;
        s->end = s->done ? s->text.len : ++s->pos;
    } else {
        s->done = !rag_sentence_next(s->text, &s->pos, &span);
        s->end = s->done ? s->text.len : span.end;
    }
}

/* True when a sentence ends in (before, at], the white space behind it left aside. */
static bool sentence_ends(sentences *s, size_t before, size_t at)
{
    bool found = false;
    while (!s->done && s->end <= at) {
        found |= s->end > before;
        next_sentence(s);
    }
    return found;
}

/* ---- marks ------------------------------------------------------------------------- */

static void add_mark(measure *m, mark k)
{
    if (m->n == m->cap) {
        m->cap = m->cap ? m->cap * 2 : 256;
        m->marks = rag_realloc(m->marks, m->cap * sizeof *m->marks);
    }
    m->marks[m->n++] = k;
}

static void count_tokens(measure *m)
{
    size_t room = m->nfkc.len + 1;
    if (room > m->ends_cap) {
        m->ends_cap = room;
        m->ends = rag_realloc(m->ends, room * sizeof *m->ends);
    }
    size_t tokens = rag_embed_offsets(m->embedder, rag_buf_str(&m->nfkc), m->ends, room);
    size_t known = tokens < room ? tokens : room, t = 0;
    for (size_t i = 0; i < m->n; i++) {
        while (t < known && m->ends[t] <= m->marks[i].nfkc_end)
            t++;
        m->marks[i].tokens = t;
    }
    m->marks[m->n - 1].tokens = tokens;
}

void measure_piece(measure *m, rag_str text, size_t start, size_t end, rag_block_kind kind)
{
    rag_str piece = rag_str_sub(text, start, end);
    sentences s = { .text = piece, .by_line = kind == RAG_BLOCK_TABLE || kind == RAG_BLOCK_CODE };
    m->n = 0;
    rag_buf_clear(&m->nfkc);
    next_sentence(&s);
    for (size_t pos = 0, at; pos < piece.len;) {
        at = pos;
        cut_quality quality = next_atom(piece, &pos);
        rag_unicode_nfkc(rag_str_sub(piece, at, pos), &m->nfkc);
        if (sentence_ends(&s, at, pos))
            quality = CUT_SENTENCE;
        add_mark(m, (mark){ .pos = start + pos, .nfkc_end = m->nfkc.len, .quality = quality });
    }
    count_tokens(m);
}

size_t measure_tokens(const measure *m)
{
    return m->marks[m->n - 1].tokens;
}

static size_t distance(size_t a, size_t b)
{
    return a > b ? a - b : b - a;
}

size_t measure_cut(const measure *m, size_t from, size_t ideal, size_t limit)
{
    size_t first = from + 1, base = from == SIZE_MAX ? 0 : m->marks[from].tokens;
    size_t best[CUT_QUALITIES], last = first;
    for (int q = 0; q < CUT_QUALITIES; q++)
        best[q] = SIZE_MAX;
    for (size_t i = first; i < m->n; i++) {
        size_t tokens = m->marks[i].tokens - base;
        if (tokens > limit)
            break;
        last = i;
        size_t *b = &best[m->marks[i].quality];
        if (tokens >= ideal / 2 &&
            (*b == SIZE_MAX || distance(tokens, ideal) < distance(m->marks[*b].tokens - base, ideal)))
            *b = i;
    }
    for (int q = CUT_QUALITIES; q-- > 0;)
        if (best[q] != SIZE_MAX)
            return best[q];
    return last;
}
