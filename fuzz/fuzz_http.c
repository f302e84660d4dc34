/* daemon/http_head.h: a request read byte by byte is the request read at once.  The first byte chooses between head,
 * target and chunked body. */
#include <string.h>

#include "daemon/http_head.h"
#include "fuzz/fuzz.h"

enum { MAX_BODY = 1000 };

static void check_slices(const http_field *fields, size_t n)
{
    for (size_t i = 0; i < n; i++)
        MUST(fields[i].name.len > 0 && http_text_valid(fields[i].name));
}

static void check_head(rag_str bytes)
{
    http_scan scan = { 0 }, slow_scan = { 0 };
    http_fault fault = { 0 }, slow_fault = { 0 };
    http_progress all = http_head_find(bytes, &scan, &fault), slow = HTTP_MORE;
    size_t seen = 0;
    while (slow == HTTP_MORE && seen < bytes.len)
        slow = http_head_find(rag_str_sub(bytes, 0, ++seen), &slow_scan, &slow_fault);
    MUST(slow == all && (all != HTTP_READY || (scan.at == slow_scan.at && scan.at == seen)));
    MUST(all != HTTP_BAD || (fault.status == slow_fault.status && strcmp(fault.code, slow_fault.code) == 0));
    if (all != HTTP_READY)
        return;
    http_head head = { 0 };
    rag_arena *arena = rag_arena_new();
    if (http_head_parse(rag_str_sub(bytes, 0, scan.at), arena, &head, &fault)) {
        MUST(head.minor == 0 || head.minor == 1);
        MUST(rag_utf8_valid(head.path, NULL) && head.path.len > 0 && strchr("/*", head.path.ptr[0]));
        check_slices(head.fields, head.n_fields);
    } else {
        MUST(fault.status >= 400 && fault.code && fault.message);
    }
    rag_arena_free(arena);
}

static void check_target(rag_str target)
{
    http_head head = { 0 };
    http_fault fault = { 0 };
    rag_str authority;
    rag_arena *arena = rag_arena_new();
    if (target.len == 0 || !http_target_parse(target, arena, &head, &authority, &fault))
        MUST(target.len == 0 || fault.status == 400);
    else
        MUST(head.path.len > 0 && rag_utf8_valid(head.path, NULL) && head.n_params <= HTTP_MAX_PARAMS);
    rag_arena_free(arena);
}

/* Feeds at most `step` bytes more at a time; returns what was used up. */
static size_t decode(rag_str bytes, size_t step, rag_buf *body, http_progress *p)
{
    http_chunks chunks = { 0 };
    http_fault fault = { 0 };
    size_t done = 0, used;
    *p = HTTP_MORE;
    for (size_t seen = 0; *p == HTTP_MORE && seen < bytes.len; done += used) {
        seen = bytes.len - seen > step ? seen + step : bytes.len;
        *p = http_chunks_read(&chunks, rag_str_sub(bytes, done, seen), &used, body, &fault);
        MUST(done + used <= seen && (*p != HTTP_BAD || fault.status));
    }
    return done;
}

static void check_chunks(rag_str bytes)
{
    rag_buf body, slow_body;
    http_progress all, slow;
    rag_buf_init(&body, MAX_BODY);
    rag_buf_init(&slow_body, MAX_BODY);
    size_t used = decode(bytes, SIZE_MAX, &body, &all), slow_used = decode(bytes, 1, &slow_body, &slow);
    MUST(all == slow && (all == HTTP_BAD || used == slow_used) && !body.overflow);
    MUST(rag_str_eq(rag_buf_str(&body), rag_buf_str(&slow_body)));
    rag_buf_free(&body);
    rag_buf_free(&slow_body);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    rag_str bytes = input_of(data, size);
    switch (take_byte(&bytes) % 3) {
    case 0: check_head(bytes); break;
    case 1: check_target(bytes); break;
    default: check_chunks(bytes);
    }
    return 0;
}
