#include "ingest/ignore.h"

#include "base/utf8.h"

enum { MAX_RULES = 10000 };

/* ---- globs ------------------------------------------------------------------------- */

/* Matches c against the class that begins at pattern[*p] = '['; moves *p behind it.  An unclosed one is a plain '['. */
static bool match_class(rag_str pattern, size_t *p, uint32_t c)
{
    size_t pos = *p + 1;
    bool negated = pos < pattern.len && (pattern.ptr[pos] == '!' || pattern.ptr[pos] == '^'), found = false;
    pos += negated;
    for (bool first = true; pos < pattern.len && (first || pattern.ptr[pos] != ']'); first = false) {
        uint32_t low = rag_utf8_next(pattern, &pos), high = low;
        if (pos + 1 < pattern.len && pattern.ptr[pos] == '-' && pattern.ptr[pos + 1] != ']') {
            pos++;
            high = rag_utf8_next(pattern, &pos);
        }
        found |= c >= low && c <= high;
    }
    if (pos >= pattern.len) {
        ++*p;
        return c == '[';
    }
    *p = pos + 1;
    return found != negated && c != '/';
}

/* Matches one character at text[*t] with the pattern's element at *p, neither being a star; moves both. */
static bool match_one(rag_str pattern, size_t *p, rag_str text, size_t *t)
{
    if (*p >= pattern.len || *t >= text.len)
        return false;
    uint32_t c = rag_utf8_next(text, t);
    if (pattern.ptr[*p] == '[')
        return match_class(pattern, p, c);
    if (pattern.ptr[*p] == '?') {
        ++*p;
        return c != '/';
    }
    if (pattern.ptr[*p] == '\\' && *p + 1 < pattern.len)
        ++*p;
    return rag_utf8_next(pattern, p) == c;
}

/* Where to go back to: the element behind a star, and the place in the text to try it at next. */
typedef struct retry {
    size_t p, t;
    bool is_set;
} retry;

/* Length of the star at *p: 0, 1 ("*"), 2 ("**") or 3, "**" and its slash, which together may match nothing. */
static size_t star_length(rag_str pattern, size_t p)
{
    if (p >= pattern.len || pattern.ptr[p] != '*')
        return 0;
    if (p + 1 >= pattern.len || pattern.ptr[p + 1] != '*')
        return 1;
    bool starts_segment = p == 0 || pattern.ptr[p - 1] == '/';
    return starts_segment && p + 2 < pattern.len && pattern.ptr[p + 2] == '/' ? 3 : 2;
}

static bool step_back(retry *star, retry *deep, rag_str text, bool deep_by_segment, size_t *p, size_t *t)
{
    if (star->is_set && star->t < text.len && text.ptr[star->t] != '/') {
        rag_utf8_next(text, &star->t);
        *p = star->p;
        *t = star->t;
        return true;
    }
    star->is_set = false;
    if (!deep->is_set)
        return false;
    while (deep_by_segment && deep->t < text.len && text.ptr[deep->t] != '/')
        deep->t++;
    if (deep->t >= text.len)
        return false;
    rag_utf8_next(text, &deep->t);
    *p = deep->p;
    *t = deep->t;
    return true;
}

bool glob_match(rag_str pattern, rag_str path)
{
    size_t p = 0, t = 0;
    retry star = { 0 }, deep = { 0 };
    bool by_segment = false;
    while (p < pattern.len || t < path.len) {
        size_t length = star_length(pattern, p), p_before = p, t_before = t;
        if (length > 0) {
            p += length;
            if (length == 1)
                star = (retry){ p, t, true };
            else
                deep = (retry){ p, t, true };
            if (length > 1) {
                by_segment = length == 3;
                star.is_set = false;
            }
            continue;
        }
        if (match_one(pattern, &p, path, &t))
            continue;
        p = p_before;
        t = t_before;
        if (!step_back(&star, &deep, path, by_segment, &p, &t))
            return false;
    }
    return true;
}

/* ---- rules ------------------------------------------------------------------------- */

static rag_str trim_line(rag_str line)
{
    while (line.len > 0 && (line.ptr[line.len - 1] == '\n' || line.ptr[line.len - 1] == '\r'))
        line.len--;
    while (line.len > 0 && line.ptr[line.len - 1] == ' ' && !(line.len > 1 && line.ptr[line.len - 2] == '\\'))
        line.len--;
    return line;
}

bool ignore_parse(rag_str line, ignore_rule *out)
{
    *out = (ignore_rule){ 0 };
    line = trim_line(line);
    if (line.len == 0 || line.ptr[0] == '#')
        return false;
    if (line.ptr[0] == '!') {
        out->takes_back = true;
        line = rag_str_sub(line, 1, line.len);
    }
    if (line.len > 0 && line.ptr[line.len - 1] == '/') {
        out->only_folders = true;
        line.len--;
    }
    out->anchored = rag_str_find(line, RAG_STR("/"), 0) != SIZE_MAX;
    if (rag_str_starts(line, RAG_STR("/")))
        line = rag_str_sub(line, 1, line.len);
    out->pattern = line;
    return line.len > 0;
}

static rag_str next_line(rag_str text, size_t *pos)
{
    size_t start = *pos, end = rag_str_find(text, RAG_STR("\n"), start);
    *pos = end == SIZE_MAX ? text.len : end + 1;
    return rag_str_sub(text, start, *pos);
}

ignore_rules *ignore_parse_file(rag_str text, rag_str base, const ignore_rules *outer, rag_arena *arena)
{
    ignore_rules *out = rag_arena_alloc(arena, sizeof *out);
    rag_str copy = rag_arena_str(arena, text);
    size_t lines = 0;
    for (size_t pos = 0; pos < copy.len && lines < MAX_RULES; lines++)
        next_line(copy, &pos);
    ignore_rule *rules = rag_arena_array(arena, lines + 1, sizeof *rules);
    size_t pos = 0;
    for (size_t i = 0; i < lines; i++)
        out->n += ignore_parse(next_line(copy, &pos), &rules[out->n]);
    out->rules = rules;
    out->base = rag_arena_str(arena, base);
    out->outer = outer;
    return out;
}

static rag_str base_name(rag_str path)
{
    size_t start = path.len;
    while (start > 0 && path.ptr[start - 1] != '/')
        start--;
    return rag_str_sub(path, start, path.len);
}

static bool names(const ignore_rule *rule, rag_str path)
{
    return glob_match(rule->pattern, rule->anchored ? path : base_name(path));
}

bool ignore_matches(const ignore_rules *rules, rag_str path, bool is_folder)
{
    for (; rules; rules = rules->outer) {
        rag_str inner = rag_str_sub(path, rules->base.len, path.len);
        for (size_t i = rules->n; i-- > 0;) {
            const ignore_rule *rule = &rules->rules[i];
            if ((is_folder || !rule->only_folders) && names(rule, inner))
                return !rule->takes_back;
        }
    }
    return false;
}

bool ignore_covers(const ignore_rule *rule, rag_str path)
{
    for (size_t end = 0; end < path.len; end++)
        if (path.ptr[end] == '/' && names(rule, rag_str_sub(path, 0, end)))
            return true;
    return !rule->only_folders && names(rule, path);
}
