#include "daemon/http_head.h"

#include <string.h>
#include <strings.h>

bool http_refuse(http_fault *fault, int status, const char *code, const char *message)
{
    *fault = (http_fault){ status, code, message, NULL };
    return false;
}

static bool malformed(http_fault *fault, const char *message)
{
    return http_refuse(fault, 400, "malformed_request", message);
}

static bool is_token(rag_str s)
{
    static const char others[] = "!#$%&'*+-.^_`|~";
    for (size_t i = 0; i < s.len; i++) {
        unsigned char c = (unsigned char)s.ptr[i];
        bool alnum = (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
        if (!alnum && !(c && strchr(others, c)))
            return false;
    }
    return s.len > 0;
}

static bool is(rag_str s, const char *word)
{
    return s.len == strlen(word) && strncasecmp(s.ptr, word, s.len) == 0;
}

static rag_str trim_blanks(rag_str s)
{
    while (s.len && (s.ptr[0] == ' ' || s.ptr[0] == '\t'))
        s = rag_str_sub(s, 1, s.len);
    while (s.len && (s.ptr[s.len - 1] == ' ' || s.ptr[s.len - 1] == '\t'))
        s.len--;
    return s;
}

bool http_text_valid(rag_str s)
{
    for (size_t i = 0; i < s.len; i++) {
        unsigned char c = (unsigned char)s.ptr[i];
        if ((c < 0x20 && c != '\t') || c == 0x7f)
            return false;
    }
    return true;
}

/* The request line. */

typedef struct request_line {
    http_method method;
    int minor;
    rag_str target;
} request_line;

static bool read_method(rag_str word, http_method *out, http_fault *fault)
{
    static const struct {
        const char *name;
        http_method method;
    } known[] = { { "GET", HTTP_GET },       { "HEAD", HTTP_HEAD },       { "POST", HTTP_POST },  { "PUT", HTTP_PUT },
                  { "DELETE", HTTP_DELETE }, { "OPTIONS", HTTP_OPTIONS }, { "PATCH", HTTP_PATCH } };
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (rag_str_eq(word, rag_str_of(known[i].name))) {
            *out = known[i].method;
            return true;
        }
    for (size_t i = 0; i < word.len; i++) /* as in nginx: other letters are a mistake, not an extension */
        if (!((word.ptr[i] >= 'A' && word.ptr[i] <= 'Z') || word.ptr[i] == '-' || word.ptr[i] == '_'))
            return malformed(fault, "the method is not valid");
    if (!word.len)
        return malformed(fault, "the request line has no method");
    return http_refuse(fault, 501, "method_not_implemented", "this method is not implemented");
}

static bool read_version(rag_str word, int *minor, http_fault *fault)
{
    if (!rag_str_eq(word, RAG_STR("HTTP/1.1")) && !rag_str_eq(word, RAG_STR("HTTP/1.0")))
        return http_refuse(fault, 400, "unknown_version", "the HTTP version must be 1.1 or 1.0");
    *minor = word.ptr[7] - '0';
    return true;
}

static bool read_line(rag_str line, request_line *out, http_fault *fault)
{
    size_t first = rag_str_find(line, RAG_STR(" "), 0);
    if (first == SIZE_MAX)
        return malformed(fault, "the request line has no target");
    size_t second = rag_str_find(line, RAG_STR(" "), first + 1);
    if (second == SIZE_MAX)
        return malformed(fault, "the request line has no version");
    out->target = rag_str_sub(line, first + 1, second);
    if (!out->target.len)
        return malformed(fault, "the request line has two spaces in a row");
    return read_version(rag_str_sub(line, second + 1, line.len), &out->minor, fault) &&
           read_method(rag_str_sub(line, 0, first), &out->method, fault);
}

static http_progress line_done(rag_str bytes, http_scan *scan, size_t end, http_fault *fault)
{
    size_t start = scan->line;
    request_line line;
    scan->at = scan->line = end + 2;
    if (start == 0)
        return read_line(rag_str_sub(bytes, 0, end), &line, fault) ? HTTP_MORE : HTTP_BAD;
    return end == start ? HTTP_READY : HTTP_MORE;
}

http_progress http_head_find(rag_str bytes, http_scan *scan, http_fault *fault)
{
    while (scan->at < bytes.len) {
        unsigned char c = (unsigned char)bytes.ptr[scan->at];
        if (c == '\r') {
            if (scan->at + 1 == bytes.len)
                return HTTP_MORE;
            if (bytes.ptr[scan->at + 1] != '\n')
                return malformed(fault, "a CR stands without LF"), HTTP_BAD;
            http_progress p = line_done(bytes, scan, scan->at, fault);
            if (p != HTTP_MORE)
                return p;
        } else if (c == '\n') {
            return malformed(fault, "a LF stands without CR"), HTTP_BAD;
        } else if ((c < 0x20 && c != '\t') || c == 0x7f) {
            return malformed(fault, "a control character stands in the head"), HTTP_BAD;
        } else {
            scan->at++;
        }
    }
    return HTTP_MORE;
}

/* The fields. */

bool http_field_parse(rag_str line, http_field *out, http_fault *fault)
{
    if (line.ptr[0] == ' ' || line.ptr[0] == '\t')
        return malformed(fault, "a header line is folded");
    size_t colon = rag_str_find(line, RAG_STR(":"), 0);
    if (colon == SIZE_MAX)
        return malformed(fault, "a header line has no colon");
    out->name = rag_str_sub(line, 0, colon);
    out->value = trim_blanks(rag_str_sub(line, colon + 1, line.len));
    if (!is_token(out->name))
        return malformed(fault, "a header name is not valid");
    return http_text_valid(out->value) || malformed(fault, "a header value holds a control character");
}

const http_field *http_head_field(const http_head *h, const char *name)
{
    for (size_t i = 0; i < h->n_fields; i++)
        if (is(h->fields[i].name, name))
            return &h->fields[i];
    return NULL;
}

static bool list_holds(rag_str list, const char *token)
{
    for (size_t pos = 0; pos <= list.len;) {
        size_t comma = rag_str_find(list, RAG_STR(","), pos);
        size_t end = comma == SIZE_MAX ? list.len : comma;
        if (is(trim_blanks(rag_str_sub(list, pos, end)), token))
            return true;
        pos = end + 1;
    }
    return false;
}

bool http_head_lists(const http_head *h, const char *name, const char *token)
{
    for (size_t i = 0; i < h->n_fields; i++)
        if (is(h->fields[i].name, name) && list_holds(h->fields[i].value, token))
            return true;
    return false;
}

/* Fields whose second occurrence would leave a choice to the reader. */
static bool check_single(const http_head *h, http_fault *fault)
{
    static const char *const single[] = { "Host",         "Content-Length", "Transfer-Encoding", "Authorization",
                                          "Content-Type", "Expect",         "Origin" };
    for (size_t i = 0; i < sizeof single / sizeof *single; i++) {
        const http_field *f = http_head_field(h, single[i]);
        for (const http_field *next = f ? f + 1 : NULL; f && next < h->fields + h->n_fields; next++)
            if (is(next->name, single[i])) {
                http_refuse(fault, 400, "duplicate_header", "a header that must be single is there twice");
                fault->param = single[i];
                return false;
            }
    }
    return true;
}

static bool check_host(http_head *h, rag_str authority, http_fault *fault)
{
    http_field *host = (http_field *)http_head_field(h, "Host");
    if (!host && h->minor >= 1)
        return http_refuse(fault, 400, "missing_host", "the Host header is missing");
    if (host && host->value.len && !http_authority_valid(host->value))
        return http_refuse(fault, 400, "invalid_host", "the Host header is not valid");
    if (host && authority.len) /* RFC 9112, 3.2.2: the target's authority replaces Host */
        host->value = authority;
    return true;
}

static bool read_length(rag_str value, uint64_t *out)
{
    *out = 0;
    for (size_t i = 0; i < value.len; i++) {
        if (value.ptr[i] < '0' || value.ptr[i] > '9')
            return false;
        bool fits = *out <= (UINT64_MAX - 9) / 10;
        *out = fits ? *out * 10 + (uint64_t)(value.ptr[i] - '0') : UINT64_MAX;
    }
    return value.len > 0;
}

static bool read_framing(http_head *h, http_fault *fault)
{
    const http_field *length = http_head_field(h, "Content-Length");
    const http_field *coding = http_head_field(h, "Transfer-Encoding");
    if (length && !read_length(length->value, &h->content_length))
        return http_refuse(fault, 400, "invalid_content_length", "Content-Length is not a number");
    if (!coding)
        return true;
    if (length)
        return http_refuse(fault, 400, "ambiguous_length", "both Content-Length and Transfer-Encoding are given");
    if (h->minor == 0 || !coding->value.len)
        return http_refuse(fault, 400, "invalid_transfer_encoding", "Transfer-Encoding is not valid here");
    if (!is(coding->value, "chunked"))
        return http_refuse(fault, 501, "transfer_encoding_not_implemented", "Transfer-Encoding must be chunked");
    h->chunked = true;
    return true;
}

static bool read_expect(http_head *h, http_fault *fault)
{
    const http_field *expect = http_head_field(h, "Expect");
    if (!expect || h->minor == 0)
        return true;
    h->expects_continue = is(expect->value, "100-continue");
    return h->expects_continue || http_refuse(fault, 417, "expectation_failed", "Expect must be 100-continue");
}

static bool read_fields(rag_str head, size_t at, rag_arena *arena, http_head *out, http_fault *fault)
{
    out->fields = rag_arena_array(arena, HTTP_MAX_FIELDS, sizeof *out->fields);
    for (;;) {
        size_t end = rag_str_find(head, RAG_STR("\r\n"), at);
        if (end == at)
            return true;
        if (out->n_fields == HTTP_MAX_FIELDS)
            return http_refuse(fault, 431, "too_many_headers", "the request has too many headers");
        if (!http_field_parse(rag_str_sub(head, at, end), &out->fields[out->n_fields], fault))
            return false;
        out->n_fields++;
        at = end + 2;
    }
}

bool http_head_parse(rag_str head, rag_arena *arena, http_head *out, http_fault *fault)
{
    size_t end = rag_str_find(head, RAG_STR("\r\n"), 0);
    request_line line = { HTTP_OTHER, 1, { 0 } };
    rag_str authority;
    *out = (http_head){ .method = HTTP_OTHER, .minor = 1 };
    bool ok = read_line(rag_str_sub(head, 0, end), &line, fault);
    out->method = line.method;
    out->minor = line.minor;
    ok = ok && read_fields(head, end + 2, arena, out, fault) && check_single(out, fault) &&
         http_target_parse(line.target, arena, out, &authority, fault) && check_host(out, authority, fault) &&
         read_framing(out, fault) && read_expect(out, fault);
    out->keep_alive = out->minor ? !http_head_lists(out, "Connection", "close")
                                 : http_head_lists(out, "Connection", "keep-alive");
    return ok;
}
