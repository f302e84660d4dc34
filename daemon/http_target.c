#include <string.h>
#include <strings.h>

#include "base/utf8.h"
#include "daemon/http_head.h"

static bool invalid_target(http_fault *fault, const char *message)
{
    return http_refuse(fault, 400, "invalid_target", message);
}

static int hex(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c = (char)(c | 0x20);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Decodes into the arena, NUL-terminated. */
static bool decode(rag_str s, bool plus_is_space, rag_arena *arena, rag_str *out, http_fault *fault)
{
    char *to = rag_arena_alloc(arena, s.len + 1);
    size_t n = 0;
    for (size_t i = 0; i < s.len; i++) {
        char c = s.ptr[i];
        if (c == '%') {
            int high = i + 2 < s.len ? hex(s.ptr[i + 1]) : -1, low = high >= 0 ? hex(s.ptr[i + 2]) : -1;
            if (low < 0)
                return invalid_target(fault, "the target has an incomplete percent-encoding");
            c = (char)(high * 16 + low);
            i += 2;
        } else if (c == '+' && plus_is_space) {
            c = ' ';
        }
        if (!c)
            return invalid_target(fault, "the target holds a NUL");
        to[n++] = c;
    }
    *out = (rag_str){ to, n };
    return rag_utf8_valid(*out, NULL) || invalid_target(fault, "the target is not valid UTF-8");
}

static bool add_param(rag_str piece, rag_arena *arena, http_head *out, http_fault *fault)
{
    http_field *p = &out->params[out->n_params];
    size_t equals = rag_str_find(piece, RAG_STR("="), 0);
    size_t name_end = equals == SIZE_MAX ? piece.len : equals;
    if (!decode(rag_str_sub(piece, 0, name_end), true, arena, &p->name, fault) ||
        !decode(rag_str_sub(piece, name_end + (equals != SIZE_MAX), piece.len), true, arena, &p->value, fault))
        return false;
    if (!p->name.len)
        return invalid_target(fault, "a query parameter has no name");
    for (size_t i = 0; i < out->n_params; i++)
        if (rag_str_eq(out->params[i].name, p->name)) {
            http_refuse(fault, 400, "duplicate_parameter", "a query parameter is given twice");
            fault->param = p->name.ptr;
            return false;
        }
    out->n_params++;
    return true;
}

static bool read_query(rag_str query, rag_arena *arena, http_head *out, http_fault *fault)
{
    out->params = rag_arena_array(arena, HTTP_MAX_PARAMS, sizeof *out->params);
    for (size_t pos = 0; pos < query.len;) {
        size_t amp = rag_str_find(query, RAG_STR("&"), pos);
        size_t end = amp == SIZE_MAX ? query.len : amp;
        if (out->n_params == HTTP_MAX_PARAMS)
            return invalid_target(fault, "the target has too many query parameters");
        if (end > pos && !add_param(rag_str_sub(query, pos, end), arena, out, fault))
            return false;
        pos = end + 1;
    }
    return true;
}

static bool is_host_char(char c)
{
    return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') ||
           (c && strchr("-._~%!$&'()*+,;=", c));
}

/* Bytes of the host at the start of an authority, or 0. */
static size_t host_length(rag_str a)
{
    size_t n = 0;
    if (a.len && a.ptr[0] == '[') {
        for (n = 1; n < a.len && (hex(a.ptr[n]) >= 0 || a.ptr[n] == ':' || a.ptr[n] == '.');)
            n++;
        return n > 1 && n < a.len && a.ptr[n] == ']' ? n + 1 : 0;
    }
    while (n < a.len && is_host_char(a.ptr[n]))
        n++;
    return n;
}

bool http_authority_valid(rag_str a)
{
    size_t n = host_length(a);
    if (!n || (n < a.len && a.ptr[n] != ':'))
        return false;
    unsigned port = 0;
    for (size_t i = n + 1; i < a.len; i++) {
        if (a.ptr[i] < '0' || a.ptr[i] > '9')
            return false;
        port = port * 10 + (unsigned)(a.ptr[i] - '0');
        if (port > 65535)
            return false;
    }
    return true;
}

/* Cuts "http://authority" off. */
static bool cut_authority(rag_str *target, rag_str *authority, http_fault *fault)
{
    size_t skip = target->len > 7 && !strncasecmp(target->ptr, "http://", 7)    ? 7
                  : target->len > 8 && !strncasecmp(target->ptr, "https://", 8) ? 8
                                                                                : 0;
    if (!skip)
        return invalid_target(fault, "the target is neither a path nor an http URL");
    size_t end = skip;
    while (end < target->len && !strchr("/?", target->ptr[end]))
        end++;
    *authority = rag_str_sub(*target, skip, end);
    *target = rag_str_sub(*target, end, target->len);
    return http_authority_valid(*authority) || invalid_target(fault, "the target's host is not valid");
}

bool http_target_parse(rag_str target, rag_arena *arena, http_head *out, rag_str *authority, http_fault *fault)
{
    *authority = (rag_str){ 0 };
    if (rag_str_find(target, RAG_STR("#"), 0) != SIZE_MAX || rag_str_find(target, RAG_STR("\t"), 0) != SIZE_MAX)
        return invalid_target(fault, "the target holds a character that does not belong there");
    if (rag_str_eq(target, RAG_STR("*")) && out->method == HTTP_OPTIONS) {
        out->path = target;
        return true;
    }
    if (target.ptr[0] != '/' && !cut_authority(&target, authority, fault))
        return false;
    size_t mark = rag_str_find(target, RAG_STR("?"), 0);
    size_t end = mark == SIZE_MAX ? target.len : mark;
    rag_str path = end ? rag_str_sub(target, 0, end) : RAG_STR("/");
    return decode(path, false, arena, &out->path, fault) &&
           (mark == SIZE_MAX || read_query(rag_str_sub(target, mark + 1, target.len), arena, out, fault));
}
