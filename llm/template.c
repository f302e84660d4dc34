#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "llm/llm.h"
#include "llm/template_model.h"

enum { MAX_TEMPLATE = 64 * 1024, MAX_STOPS = 8, MAX_LABELS = 16, MAX_LABEL_BYTES = 24 };

/* Stands for the first value while the length of the fixed prefix is found: no template trims it. */
static const char sentinel = '\x01';

struct rag_llm_template {
    char *text; /* the file; all slices below but the stops point into it */
    rag_str system, body;
    bool chat;
    rag_str stops[MAX_STOPS];
    size_t n_stops;
    /* "Question:" and the like at a line's start: in a value they would speak as the template. */
    rag_str labels[MAX_LABELS];
    size_t n_labels;
};

/* Loading */

static rag_str take_line(rag_str *rest)
{
    size_t end = rag_str_find(*rest, RAG_STR("\n"), 0);
    rag_str line = rag_str_sub(*rest, 0, end == SIZE_MAX ? rest->len : end);
    *rest = rag_str_sub(*rest, end == SIZE_MAX ? rest->len : end + 1, rest->len);
    return line;
}

static rag_str unescape(rag_str s)
{
    char *out = rag_alloc(s.len + 1);
    size_t n = 0;
    for (size_t i = 0; i < s.len; i++) {
        char c = s.ptr[i];
        if (c == '\\' && i + 1 < s.len) {
            c = s.ptr[++i];
            c = c == 'n' ? '\n' : c == 't' ? '\t' : c;
        }
        out[n++] = c;
    }
    out[n] = '\0';
    return (rag_str){ out, n };
}

static rag_code read_stops(rag_llm_template *t, rag_str list, rag_err *err)
{
    while (list.len > 0) {
        size_t bar = rag_str_find(list, RAG_STR("|"), 0);
        rag_str one = rag_str_trim(rag_str_sub(list, 0, bar));
        list = rag_str_sub(list, bar == SIZE_MAX ? list.len : bar + 1, list.len);
        if (one.len == 0)
            continue;
        if (t->n_stops == MAX_STOPS)
            return rag_fail(err, RAG_INVALID, "a prompt has more than %d stop strings", MAX_STOPS);
        t->stops[t->n_stops++] = unescape(one);
    }
    return RAG_OK;
}

/* Text between the line `header` and the next line that is a header, or the end. */
static bool find_part(rag_str text, rag_str header, rag_str *out)
{
    bool found = false;
    while (text.len > 0) {
        rag_str line = take_line(&text);
        if (found && (rag_str_eq(line, RAG_STR("[system]")) || rag_str_eq(line, RAG_STR("[user]")))) {
            out->len = (size_t)(line.ptr - out->ptr);
            break;
        }
        if (!found && rag_str_eq(line, header)) {
            found = true;
            *out = text;
        }
    }
    return found;
}

static rag_str trim_end(rag_str s)
{
    while (s.len > 0 && isspace((unsigned char)s.ptr[s.len - 1]))
        s.len--;
    return s;
}

static rag_str label_of(rag_str line)
{
    size_t narrow = rag_str_find(line, RAG_STR(":"), 0), wide = rag_str_find(line, RAG_STR("："), 0);
    size_t end = narrow < wide ? narrow : wide;
    if (end == SIZE_MAX || end == 0 || end > MAX_LABEL_BYTES)
        return (rag_str){ 0 };
    rag_str label = rag_str_sub(line, 0, end);
    bool is_plain = !memchr(label.ptr, '{', label.len) && !memchr(label.ptr, '[', label.len);
    return is_plain ? label : (rag_str){ 0 };
}

static void collect_labels(rag_llm_template *t)
{
    for (rag_str rest = t->body; rest.len > 0 && t->n_labels < MAX_LABELS;) {
        rag_str label = label_of(take_line(&rest));
        bool is_known = label.len == 0;
        for (size_t i = 0; i < t->n_labels && !is_known; i++)
            is_known = rag_str_eq(t->labels[i], label);
        if (!is_known)
            t->labels[t->n_labels++] = label;
    }
}

static rag_code parse(rag_llm_template *t, rag_str text, const char *path, rag_err *err)
{
    rag_str stop = RAG_STR("stop:");
    if (rag_str_starts(text, stop)) {
        rag_str line = take_line(&text);
        rag_code code = read_stops(t, rag_str_sub(line, stop.len, line.len), err);
        if (code)
            return code;
    }
    t->body = text;
    if (t->chat) {
        find_part(text, RAG_STR("[system]"), &t->system);
        if (!find_part(text, RAG_STR("[user]"), &t->body))
            return rag_fail(err, RAG_INVALID, "prompt '%s' has no part [user]", path);
    }
    t->system = trim_end(t->system);
    t->body = trim_end(t->body);
    if (t->body.len == 0 || memchr(text.ptr, '\0', text.len))
        return rag_fail(err, RAG_INVALID, "prompt '%s' is empty or holds a NUL byte", path);
    collect_labels(t);
    return RAG_OK;
}

rag_code rag_llm_template_load(rag_llm_template **out, const char *path, rag_err *err)
{
    rag_llm_template *t = rag_calloc(1, sizeof *t);
    rag_buf file;
    rag_buf_init(&file, MAX_TEMPLATE);
    *out = NULL;
    rag_code code = rag_file_read(path, &file, err);
    if (!code) {
        size_t len = file.len;
        t->text = rag_buf_detach(&file);
        t->chat = rag_str_ends(rag_str_of(path), RAG_STR(".chat.txt"));
        code = parse(t, (rag_str){ t->text, len }, path, err);
    }
    rag_buf_free(&file);
    if (code)
        rag_llm_template_free(t);
    else
        *out = t;
    return code;
}

void rag_llm_template_free(rag_llm_template *t)
{
    if (!t)
        return;
    for (size_t i = 0; i < t->n_stops; i++)
        free((char *)t->stops[i].ptr);
    free(t->text);
    free(t);
}

/* Rendering */

typedef struct rendering {
    const rag_llm *m;
    const rag_llm_template *t;
    const rag_llm_var *vars;
    size_t n_vars;
} rendering;

static bool starts_with_label(const rag_llm_template *t, rag_str s)
{
    for (size_t i = 0; i < t->n_labels; i++)
        if (rag_str_starts(s, t->labels[i]))
            return true;
    return false;
}

/* Control tokens get a space behind their first byte (those of one byte become it), and a line that begins like one of
 * the template's own is drawn up to the line before. */
static void put_value(const rendering *r, rag_str v, rag_buf *out)
{
    for (size_t i = 0; i < v.len; i++) {
        rag_str rest = rag_str_sub(v, i + 1, v.len);
        size_t control = rag_llm_model_control(r->m, rag_str_sub(v, i, v.len));
        bool is_break = v.ptr[i] == '\n' || v.ptr[i] == '\r';
        while (is_break && rest.len > 0 && (rest.ptr[0] == ' ' || rest.ptr[0] == '\t'))
            rest = rag_str_sub(rest, 1, rest.len);
        if (v.ptr[i] == '\0' || control == 1 || (is_break && starts_with_label(r->t, rest)))
            rag_buf_putc(out, ' ');
        else
            rag_buf_putc(out, v.ptr[i]);
        if (control > 1)
            rag_buf_putc(out, ' ');
    }
}

/* Finds the next {{name}} of s; *at is where it starts, *end behind it. */
static bool find_variable(rag_str s, size_t *at, size_t *end, rag_str *name)
{
    for (size_t from = 0; (*at = rag_str_find(s, RAG_STR("{{"), from)) != SIZE_MAX; from = *at + 1) {
        size_t i = *at + 2;
        while (i < s.len && (isalpha((unsigned char)s.ptr[i]) || s.ptr[i] == '_'))
            i++;
        *name = rag_str_sub(s, *at + 2, i);
        *end = i + 2;
        if (name->len > 0 && rag_str_starts(rag_str_sub(s, i, s.len), RAG_STR("}}")))
            return true;
    }
    return false;
}

static const rag_llm_var *lookup(const rendering *r, rag_str name)
{
    for (size_t i = 0; i < r->n_vars; i++)
        if (rag_str_eq(name, rag_str_of(r->vars[i].name)))
            return &r->vars[i];
    return NULL;
}

static size_t line_start(rag_str s, size_t pos)
{
    while (pos > 0 && s.ptr[pos - 1] != '\n')
        pos--;
    return pos;
}

static rag_code expand(const rendering *r, rag_str s, rag_buf *out, rag_err *err)
{
    size_t at, end;
    rag_str name;
    while (find_variable(s, &at, &end, &name)) {
        const rag_llm_var *var = lookup(r, name);
        if (!var)
            return rag_fail(err, RAG_INVALID, "unknown variable '%.*s' in a prompt", RAG_STR_ARG(name));
        if (!var->value.ptr) {
            rag_buf_put(out, rag_str_sub(s, 0, line_start(s, at)));
            s = rag_str_sub(s, end, s.len);
            take_line(&s);
            continue;
        }
        rag_buf_put(out, rag_str_sub(s, 0, at));
        put_value(r, var->value, out);
        s = rag_str_sub(s, end, s.len);
    }
    rag_buf_put(out, s);
    return RAG_OK;
}

/* The part before the first variable, then the sentinel if there is a variable. */
static void expand_prefix(rag_str s, rag_buf *out)
{
    size_t at, end;
    rag_str name;
    bool has_variable = find_variable(s, &at, &end, &name);
    rag_buf_put(out, has_variable ? rag_str_sub(s, 0, at) : s);
    if (has_variable)
        rag_buf_putc(out, sentinel);
}

static size_t common_prefix(rag_str a, rag_str b)
{
    size_t n = 0;
    while (n < a.len && n < b.len && a.ptr[n] == b.ptr[n])
        n++;
    return n;
}

static size_t chat_prefix(const rendering *r, rag_str rendered)
{
    rag_buf system, user, out;
    rag_buf_init(&system, RAG_MAX_PROMPT);
    rag_buf_init(&user, RAG_MAX_PROMPT);
    rag_buf_init(&out, RAG_MAX_PROMPT);
    size_t n = 0;
    expand_prefix(r->t->system, &system);
    expand_prefix(r->t->body, &user);
    if (!rag_llm_model_chat(r->m, system.ptr ? system.ptr : "", user.ptr ? user.ptr : "", &out, NULL)) {
        rag_str marked = rag_buf_str(&out);
        size_t at = rag_str_find(marked, (rag_str){ &sentinel, 1 }, 0);
        n = common_prefix(rag_str_sub(marked, 0, at), rendered);
    }
    rag_buf_free(&system);
    rag_buf_free(&user);
    rag_buf_free(&out);
    return n;
}

static rag_code render_chat(const rendering *r, rag_buf *out, size_t *prefix, rag_err *err)
{
    rag_buf system, user;
    rag_buf_init(&system, RAG_MAX_PROMPT);
    rag_buf_init(&user, RAG_MAX_PROMPT);
    rag_code code = expand(r, r->t->system, &system, err);
    if (!code)
        code = expand(r, r->t->body, &user, err);
    if (!code)
        code = rag_llm_model_chat(r->m, system.ptr ? system.ptr : "", user.ptr ? user.ptr : "", out, err);
    if (!code)
        *prefix = chat_prefix(r, rag_buf_str(out));
    out->overflow |= system.overflow || user.overflow;
    rag_buf_free(&system);
    rag_buf_free(&user);
    return code;
}

static rag_code render_completion(const rendering *r, rag_buf *out, size_t *prefix, rag_err *err)
{
    size_t at, end;
    rag_str name;
    *prefix = find_variable(r->t->body, &at, &end, &name) ? at : r->t->body.len;
    return expand(r, r->t->body, out, err);
}

static const rag_str *copy_stops(const rag_llm_template *t, rag_arena *arena)
{
    rag_str *stops = rag_arena_array(arena, MAX_STOPS, sizeof *stops);
    for (size_t i = 0; i < t->n_stops; i++)
        stops[i] = rag_arena_str(arena, t->stops[i]);
    return stops;
}

rag_code rag_llm_template_render(const rag_llm *m, const rag_llm_template *t, const rag_llm_var *vars, size_t n_vars,
                                 rag_arena *arena, rag_llm_prompt *out, rag_err *err)
{
    rendering r = { .m = m, .t = t, .vars = vars, .n_vars = n_vars };
    rag_buf b;
    rag_buf_init(&b, RAG_MAX_PROMPT);
    *out = (rag_llm_prompt){ .parse_special = t->chat, .n_stops = t->n_stops };
    rag_code code = t->chat ? render_chat(&r, &b, &out->prefix_bytes, err)
                            : render_completion(&r, &b, &out->prefix_bytes, err);
    if (!code && b.overflow)
        code = rag_fail(err, RAG_TOO_LARGE, "prompt is longer than %d bytes", RAG_MAX_PROMPT);
    if (!code) {
        out->text = rag_arena_str(arena, rag_buf_str(&b));
        out->stops = copy_stops(t, arena);
    }
    rag_buf_free(&b);
    return code;
}
