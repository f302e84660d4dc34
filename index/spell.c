#include "index/spell.h"

#include <string.h>

enum {
    HEAD = 4,            /* letters that a range shares */
    MAX_RANGE = 4096,    /* words of one range that are looked at */
};

typedef struct speller {
    db *d;
    rag_str word;
    rag_arena *arena;
    spell_word *out;
    size_t n;
    rag_err *err;
} speller;

bool spell_is_word(rag_str word)
{
    if (word.len < SPELL_MIN_LETTERS || word.len > SPELL_MAX_LETTERS)
        return false;
    for (size_t i = 0; i < word.len; i++)
        if (word.ptr[i] < 'a' || word.ptr[i] > 'z')
            return false;
    return true;
}

static bool same_from(rag_str a, size_t i, rag_str b, size_t k)
{
    return rag_str_eq(rag_str_sub(a, i, a.len), rag_str_sub(b, k, b.len));
}

bool spell_is_near(rag_str a, rag_str b)
{
    size_t i = 0;
    while (i < a.len && i < b.len && a.ptr[i] == b.ptr[i])
        i++;
    if (a.len == b.len + 1)
        return same_from(a, i + 1, b, i);
    if (b.len == a.len + 1)
        return same_from(a, i, b, i + 1);
    if (a.len != b.len || i == a.len)
        return false;
    bool exchanged = i + 1 < a.len && a.ptr[i] == b.ptr[i + 1] && a.ptr[i + 1] == b.ptr[i];
    return same_from(a, i + 1, b, i + 1) || (exchanged && same_from(a, i + 2, b, i + 2));
}

/* Equal counts go by the alphabet, so that the same words come whatever was found first. */
static bool comes_before(const spell_word *a, const spell_word *b)
{
    size_t n = a->word.len < b->word.len ? a->word.len : b->word.len;
    int order = memcmp(a->word.ptr, b->word.ptr, n);
    if (a->rows != b->rows)
        return a->rows > b->rows;
    return order ? order < 0 : a->word.len < b->word.len;
}

static void keep(speller *s, rag_str word, int64_t rows)
{
    spell_word found = { word, rows };
    size_t at = s->n;
    for (size_t i = 0; i < s->n; i++)
        if (rag_str_eq(s->out[i].word, word))
            return;
    while (at > 0 && comes_before(&found, &s->out[at - 1]))
        at--;
    if (at == SPELL_MAX)
        return;
    s->n -= s->n == SPELL_MAX;
    memmove(&s->out[at + 1], &s->out[at], (s->n - at) * sizeof *s->out);
    found.word = rag_arena_str(s->arena, word);
    s->out[at] = found;
    s->n++;
}

/* ---- errors behind the head ------------------------------------------------------------------ */

static rag_code read_range(speller *s)
{
    sqlite3_stmt *q;
    bool row = true;
    char end[HEAD];
    memcpy(end, s->word.ptr, HEAD);
    end[HEAD - 1]++;
    rag_code code = db_query(s->d, &q, "SELECT term, doc FROM vocabulary WHERE term >= ?1 AND term < ?2 LIMIT ?3",
                             BIND(text(rag_str_sub(s->word, 0, HEAD)), text((rag_str){ end, HEAD }), num(MAX_RANGE)),
                             s->err);
    while (code == RAG_OK && (code = db_step(s->d, q, &row, s->err)) == RAG_OK && row)
        if (spell_is_near(column_str(q, 0), s->word))
            keep(s, column_str(q, 0), sqlite3_column_int64(q, 1));
    db_done(q);
    return code;
}

/* ---- errors in the head ----------------------------------------------------------------------- */

/* Letters only: nothing to escape. */
static void add_made(rag_buf *list, const char *bytes, size_t len)
{
    rag_buf_puts(list, list->len == 0 ? "[\"" : ",\"");
    rag_buf_put(list, (rag_str){ bytes, len });
    rag_buf_putc(list, '"');
}

/* The word with `letter` before, or in place of, its letter number `at`. */
static void add_with_letter(rag_buf *list, rag_str word, size_t at, char letter)
{
    char made[SPELL_MAX_LETTERS + 1];
    memcpy(made, word.ptr, at);
    made[at] = letter;
    memcpy(made + at + 1, word.ptr + at, word.len - at);
    add_made(list, made, word.len + 1);
    if (letter == word.ptr[at])
        return;
    memmove(made + at + 1, made + at + 2, word.len - at - 1);
    add_made(list, made, word.len);
}

/* The word without its letter number `at`, and with that one and the next exchanged. */
static void add_without(rag_buf *list, rag_str word, size_t at)
{
    char made[SPELL_MAX_LETTERS + 1];
    memcpy(made, word.ptr, word.len);
    made[at] = word.ptr[at + 1];
    made[at + 1] = word.ptr[at];
    if (made[at] != made[at + 1])
        add_made(list, made, word.len);
    memmove(made + at + 1, word.ptr + at + 2, word.len - at - 2);
    add_made(list, made, word.len - 1);
}

static void make_words(rag_buf *list, rag_str word)
{
    for (size_t at = 0; at < HEAD; at++) {
        add_without(list, word, at);
        for (char letter = 'a'; letter <= 'z'; letter++)
            add_with_letter(list, word, at, letter);
    }
    rag_buf_putc(list, ']');
}

/* One statement for all of them: to open the vocabulary costs more than to look a word up. */
static rag_code read_made(speller *s, rag_str list)
{
    sqlite3_stmt *q;
    bool row = true;
    rag_code code = db_query(s->d, &q,
                             "SELECT v.term, v.doc FROM json_each(?1) j CROSS JOIN vocabulary v WHERE v.term = j.value",
                             BIND(text(list)), s->err);
    while (code == RAG_OK && (code = db_step(s->d, q, &row, s->err)) == RAG_OK && row)
        keep(s, column_str(q, 0), sqlite3_column_int64(q, 1));
    db_done(q);
    return code;
}

rag_code spell_near(db *d, rag_str word, rag_arena *arena, spell_word *out, size_t *n, rag_err *err)
{
    speller s = { .d = d, .word = word, .arena = arena, .out = out, .err = err };
    rag_buf list;
    rag_buf_init(&list, RAG_MAX_LINE);
    make_words(&list, word);
    rag_code code = read_range(&s);
    if (code == RAG_OK)
        code = read_made(&s, rag_buf_str(&list));
    rag_buf_free(&list);
    *n = s.n;
    return code;
}
