#include "ctl/sse.h"

#include <string.h>

void sse_init(sse *s, sse_event *on_event, void *context)
{
    *s = (sse){ .on_event = on_event, .context = context };
    rag_buf_init(&s->line, RAG_MAX_REPLY);
    rag_buf_init(&s->name, RAG_MAX_LINE);
    rag_buf_init(&s->data, RAG_MAX_REPLY);
}

void sse_free(sse *s)
{
    rag_buf_free(&s->line);
    rag_buf_free(&s->name);
    rag_buf_free(&s->data);
}

static bool dispatch(sse *s)
{
    bool goes_on = true;
    if (s->has_data)
        goes_on = s->on_event(s->context, s->name.len ? rag_buf_str(&s->name) : RAG_STR("message"),
                              rag_buf_str(&s->data));
    rag_buf_clear(&s->name);
    rag_buf_clear(&s->data);
    s->has_data = false;
    return goes_on;
}

static void take_field(sse *s, rag_str line)
{
    size_t colon = rag_str_find(line, RAG_STR(":"), 0);
    rag_str field = rag_str_sub(line, 0, colon == SIZE_MAX ? line.len : colon);
    rag_str value = colon == SIZE_MAX ? (rag_str){ 0 } : rag_str_sub(line, colon + 1, line.len);
    if (rag_str_starts(value, RAG_STR(" ")))
        value = rag_str_sub(value, 1, value.len);
    if (rag_str_eq(field, RAG_STR("event"))) {
        rag_buf_clear(&s->name);
        rag_buf_put(&s->name, value);
    } else if (rag_str_eq(field, RAG_STR("data"))) {
        if (s->has_data)
            rag_buf_putc(&s->data, '\n');
        rag_buf_put(&s->data, value);
        s->has_data = true;
    }
}

static bool end_line(sse *s)
{
    bool goes_on = true;
    if (s->line.len)
        take_field(s, rag_buf_str(&s->line));
    else
        goes_on = dispatch(s);
    bool overflow = s->line.overflow || s->data.overflow;
    rag_buf_clear(&s->line);
    return goes_on && !overflow;
}

bool sse_feed(sse *s, rag_str bytes)
{
    for (size_t i = 0; i < bytes.len; i++) {
        char c = bytes.ptr[i];
        bool ends = c == '\r' || (c == '\n' && !s->after_cr);
        s->after_cr = c == '\r';
        if (ends && !end_line(s))
            return false;
        if (c != '\r' && c != '\n')
            rag_buf_putc(&s->line, c);
    }
    return true;
}
