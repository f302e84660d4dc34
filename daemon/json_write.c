/* daemon/json_write.c: the writer of json.h. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/utf8.h"
#include "daemon/json.h"

static void quote(rag_buf *out, rag_str s)
{
    rag_buf_putc(out, '"');
    for (size_t at = 0; at < s.len;) {
        char utf8[4];
        uint32_t c = rag_utf8_next(s, &at);
        if (c == '"' || c == '\\')
            rag_buf_putc(out, '\\');
        if (c == '\n')
            rag_buf_puts(out, "\\n");
        else if (c == '\t')
            rag_buf_puts(out, "\\t");
        else if (c < 0x20 || c == 0x7F || c == 0x2028 || c == 0x2029)
            rag_buf_putf(out, "\\u%04x", (unsigned)c);
        else
            rag_buf_put(out, (rag_str){ utf8, rag_utf8_encode(c, utf8) });
    }
    rag_buf_putc(out, '"');
}

static void begin_value(json_writer *w, const char *key)
{
    if (!w->is_first)
        rag_buf_putc(w->out, ',');
    w->is_first = false;
    if (key) {
        quote(w->out, rag_str_of(key));
        rag_buf_putc(w->out, ':');
    }
}

void json_begin(json_writer *w, rag_buf *out)
{
    *w = (json_writer){ .out = out, .is_first = true };
}

void json_open(json_writer *w, const char *key, char bracket)
{
    begin_value(w, key);
    rag_buf_putc(w->out, bracket);
    w->is_first = true;
}

void json_close(json_writer *w, char bracket)
{
    rag_buf_putc(w->out, bracket);
    w->is_first = false;
}

void json_str(json_writer *w, const char *key, rag_str value)
{
    begin_value(w, key);
    quote(w->out, value);
}

void json_cstr(json_writer *w, const char *key, const char *value)
{
    if (value)
        json_str(w, key, rag_str_of(value));
    else
        json_null(w, key);
}

void json_int(json_writer *w, const char *key, int64_t value)
{
    begin_value(w, key);
    rag_buf_putf(w->out, "%lld", (long long)value);
}

void json_num(json_writer *w, const char *key, double value, int decimals)
{
    char text[64];
    begin_value(w, key);
    if (!isfinite(value) || fabs(value) > 1e15)
        value = 0;
    int n = snprintf(text, sizeof text, "%.*f", decimals, value);
    while (decimals > 0 && text[n - 1] == '0')
        n--;
    if (text[n - 1] == '.')
        n--;
    rag_str s = { text, (size_t)n };
    rag_buf_put(w->out, rag_str_eq(s, RAG_STR("-0")) ? RAG_STR("0") : s);
}

void json_bool(json_writer *w, const char *key, bool value)
{
    begin_value(w, key);
    rag_buf_puts(w->out, value ? "true" : "false");
}

void json_null(json_writer *w, const char *key)
{
    begin_value(w, key);
    rag_buf_puts(w->out, "null");
}

void json_raw(json_writer *w, const char *key, rag_str json)
{
    begin_value(w, key);
    rag_buf_put(w->out, json);
}
