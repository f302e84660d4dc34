#include "ctl/batch.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "ctl/json.h"

enum { READ_BYTES = 64 * 1024, BLIND_TRIES = 5, BACKOFF_MS = 100, LEAST_RETRY_MS = 20, MOST_RETRY_MS = 60 * 1000 };

typedef enum item_state { ITEM_WAITING, ITEM_FLYING, ITEM_DONE } item_state;

typedef struct item {
    item_state state;
    int64_t line;
    rag_buf id;    /* as in the input, compact; empty when there is none */
    rag_buf body;  /* what is sent */
    char *output;  /* the line to print */
    int tries;
    double due_ms; /* when to send it */
} item;

/* Items first..next-1 are in the window; item n is in ring[n % window]. */
typedef struct batch {
    const batch_options *opt;
    batch_counts *counts;
    client_pool *pool;
    item *ring;
    size_t window;
    uint64_t first, next;
    item **flying; /* by the pool's slot; NULL is free */
    rag_buf input; /* bytes that are not yet a whole line */
    size_t input_at;
    int64_t lines;
    bool is_skipping; /* the rest of an over-long line */
    bool at_end;
    bool has_reply;
    rag_err fatal;
} batch;

static item *item_at(batch *b, uint64_t n)
{
    return &b->ring[n % b->window];
}

static bool is_full(const batch *b)
{
    return b->next - b->first == b->window;
}

/* ---- output ----------------------------------------------------------------------- */

/* {"id":…,<members>} from an object's text. */
static void finish(batch *b, item *it, rag_str object, bool failed)
{
    rag_buf line;
    rag_buf_init(&line, BATCH_MAX_LINE + object.len + 16);
    rag_buf_putc(&line, '{');
    if (it->id.len) {
        rag_buf_puts(&line, "\"id\":");
        rag_buf_put(&line, rag_buf_str(&it->id));
        rag_buf_puts(&line, json_member_next(object, &(size_t){ 0 }, &(json_member){ 0 }) ? "," : "");
    }
    json_compact(&line, rag_str_sub(object, 1, object.len));
    it->output = rag_buf_detach(&line);
    it->state = ITEM_DONE;
    b->counts->done += !failed;
    b->counts->failed += failed;
}

static void fail(batch *b, item *it, bool is_input, const char *code, const char *message)
{
    cJSON *object = cJSON_CreateObject();
    if (is_input)
        cJSON_AddNumberToObject(object, "line", (double)it->line);
    cJSON *error = cJSON_AddObjectToObject(object, "error");
    cJSON_AddStringToObject(error, "type", is_input ? "invalid_request_error" : "client_error");
    cJSON_AddStringToObject(error, "code", code);
    cJSON_AddStringToObject(error, "message", message);
    char *text = json_line(object);
    finish(b, it, rag_str_of(text), true);
    free(text);
    cJSON_Delete(object);
}

static bool write_finished(batch *b, rag_err *err)
{
    bool wrote = false;
    for (; b->first < b->next && item_at(b, b->first)->state == ITEM_DONE; b->first++) {
        item *it = item_at(b, b->first);
        fputs(it->output, b->opt->out);
        fputc('\n', b->opt->out);
        free(it->output);
        rag_buf_free(&it->id);
        rag_buf_free(&it->body);
        *it = (item){ 0 };
        wrote = true;
    }
    if (wrote && (fflush(b->opt->out) || ferror(b->opt->out))) {
        rag_fail_errno(err, RAG_IO, errno, "cannot write the output");
        return false;
    }
    return true;
}

/* ---- input ------------------------------------------------------------------------ */

/* Puts the defaults that the line does not set itself behind its members. */
static void add_defaults(batch *b, item *it, const cJSON *line)
{
    const cJSON *member;
    bool is_empty = it->body.len == 1;
    cJSON_ArrayForEach(member, b->opt->defaults)
    {
        if (cJSON_GetObjectItemCaseSensitive(line, member->string))
            continue;
        char *value = json_line(member);
        rag_buf_putf(&it->body, "%s\"%s\":", is_empty ? "" : ",", member->string);
        rag_buf_puts(&it->body, value);
        is_empty = false;
        free(value);
    }
}

/* The line without its id, and with the defaults. */
static void make_body(batch *b, item *it, rag_str text, const cJSON *line)
{
    json_member m;
    rag_buf_init(&it->id, BATCH_MAX_LINE);
    rag_buf_init(&it->body, RAG_MAX_REPLY);
    rag_buf_putc(&it->body, '{');
    for (size_t pos = 0; json_member_next(text, &pos, &m);) {
        if (json_member_is(text, &m, "id")) {
            rag_buf_clear(&it->id);
            json_compact(&it->id, rag_str_sub(text, m.value.start, m.value.end));
            continue;
        }
        if (it->body.len > 1)
            rag_buf_putc(&it->body, ',');
        rag_buf_put(&it->body, rag_str_sub(text, m.all.start, m.all.end));
    }
    add_defaults(b, it, line);
    rag_buf_putc(&it->body, '}');
}

static item *add_item(batch *b)
{
    item *it = item_at(b, b->next++);
    *it = (item){ .state = ITEM_WAITING, .line = b->lines };
    return it;
}

static void take_line(batch *b, rag_str text)
{
    b->lines++;
    text = rag_str_trim(text);
    if (!text.len)
        return;
    rag_err err = { 0 };
    cJSON *line = json_parse(text, &err);
    item *it = add_item(b);
    if (!line)
        fail(b, it, true, "invalid_json", err.message);
    else if (!cJSON_IsObject(line))
        fail(b, it, true, "invalid_json", "the line is not a JSON object");
    else
        make_body(b, it, text, line);
    if (it->state == ITEM_WAITING && json_bool(line, "stream"))
        fail(b, it, true, "invalid_value", "'stream' has no place in a batch");
    cJSON_Delete(line);
}

static void refuse_line(batch *b)
{
    b->lines++;
    fail(b, add_item(b), true, "too_large", "the line is too long");
}

/* Makes items of the whole lines that have been read, while the window has room. */
static void take_lines(batch *b)
{
    while (!is_full(b) && b->input_at < b->input.len) {
        rag_str rest = rag_str_sub(rag_buf_str(&b->input), b->input_at, b->input.len);
        const char *end = memchr(rest.ptr, '\n', rest.len);
        size_t len = end ? (size_t)(end - rest.ptr) : rest.len;
        bool is_long = len > BATCH_MAX_LINE;
        if (!end && !b->at_end && !b->is_skipping && !is_long)
            return;
        b->input_at += len + (end != NULL);
        if (!b->is_skipping && is_long)
            refuse_line(b);
        else if (!b->is_skipping)
            take_line(b, rag_str_sub(rest, 0, len));
        b->is_skipping = !end && (b->is_skipping || is_long);
    }
}

static void drop_taken_input(batch *b)
{
    if (b->input_at == 0)
        return;
    memmove(b->input.ptr, b->input.ptr + b->input_at, b->input.len - b->input_at);
    rag_buf_truncate(&b->input, b->input.len - b->input_at);
    b->input_at = 0;
}

static rag_code read_input(batch *b, rag_err *err)
{
    char bytes[READ_BYTES];
    ssize_t n = read(b->opt->fd, bytes, sizeof bytes);
    if (n < 0 && (errno == EINTR || errno == EAGAIN))
        return RAG_OK;
    if (n < 0)
        return rag_fail_errno(err, RAG_IO, errno, "cannot read the batch");
    b->at_end = n == 0;
    drop_taken_input(b);
    rag_buf_put(&b->input, (rag_str){ bytes, (size_t)n });
    take_lines(b);
    return RAG_OK;
}

/* ---- requests --------------------------------------------------------------------- */

/* A 503 that names no time may be there to stay. */
static bool may_retry(const item *it, const client_reply *reply)
{
    return reply->status == 503 && it->tries < (reply->retry_after_s >= 0 ? BATCH_MAX_TRIES : BLIND_TRIES);
}

static double retry_ms(const item *it, const client_reply *reply)
{
    double wait = reply->retry_after_s * 1000;
    if (wait < 0)
        wait = BACKOFF_MS * (double)it->tries;
    return wait < LEAST_RETRY_MS ? LEAST_RETRY_MS : wait > MOST_RETRY_MS ? MOST_RETRY_MS : wait;
}

static void take_reply(batch *b, item *it, const client_reply *reply)
{
    rag_err err = { 0 };
    bool failed = client_check(reply, &err) != RAG_OK;
    rag_str text = rag_buf_str(&reply->body);
    cJSON *body = json_parse(text, NULL);
    if (cJSON_IsObject(body) && (!failed || cJSON_GetObjectItemCaseSensitive(body, "error")))
        finish(b, it, rag_str_trim(text), failed);
    else
        fail(b, it, false, "bad_reply", failed ? err.message : "the daemon's reply is not a JSON object");
    cJSON_Delete(body);
}

static void on_done(void *context, size_t slot, rag_code code, const client_reply *reply, const rag_err *err)
{
    batch *b = context;
    item *it = b->flying[slot];
    b->flying[slot] = NULL;
    if (code == RAG_OK && may_retry(it, reply)) {
        it->due_ms = rag_clock_ms() + retry_ms(it, reply);
        it->state = ITEM_WAITING;
        b->has_reply = true;
    } else if (code == RAG_OK) {
        b->has_reply = true;
        take_reply(b, it, reply);
    } else if (!b->has_reply && (code == RAG_UNREACHABLE || code == RAG_DENIED)) {
        b->fatal = *err;
    } else {
        fail(b, it, false, rag_code_name(code), err->message);
    }
}

static size_t free_slot(const batch *b)
{
    size_t slot = 0;
    while (slot < b->opt->concurrency && b->flying[slot])
        slot++;
    return slot;
}

static rag_code start_due(batch *b, rag_err *err)
{
    double now = rag_clock_ms();
    for (uint64_t n = b->first; n < b->next; n++) {
        item *it = item_at(b, n);
        size_t slot = free_slot(b);
        if (slot == b->opt->concurrency)
            break;
        if (it->state != ITEM_WAITING || it->due_ms > now)
            continue;
        if (client_pool_start(b->pool, slot, b->opt->path, rag_buf_str(&it->body), err))
            return err->code;
        it->state = ITEM_FLYING;
        it->tries++;
        b->flying[slot] = it;
    }
    return RAG_OK;
}

/* How long to sleep: until the next retry is due, when a slot is free for it. */
static int sleep_ms(batch *b)
{
    double now = rag_clock_ms(), until = -1;
    if (free_slot(b) == b->opt->concurrency)
        return -1;
    for (uint64_t n = b->first; n < b->next; n++) {
        const item *it = item_at(b, n);
        if (it->state == ITEM_WAITING && (until < 0 || it->due_ms < until))
            until = it->due_ms;
    }
    return until < 0 ? -1 : until <= now ? 0 : (int)(until - now) + 1;
}

static rag_code step(batch *b, rag_err *err)
{
    bool readable = false;
    if (start_due(b, err))
        return err->code;
    client_pool_step(b->pool);
    if (b->fatal.code)
        return rag_fail(err, b->fatal.code, "%s", b->fatal.message);
    if (!write_finished(b, err))
        return err->code;
    take_lines(b);
    bool can_read = !b->at_end && !is_full(b);
    if (b->first == b->next && !can_read)
        return RAG_OK;
    bool has_done = b->first < b->next && item_at(b, b->first)->state == ITEM_DONE;
    client_pool_wait(b->pool, has_done ? 0 : sleep_ms(b), can_read ? b->opt->fd : -1, &readable);
    return readable ? read_input(b, err) : RAG_OK;
}

static void release(batch *b)
{
    client_pool_close(b->pool);
    for (size_t i = 0; i < b->window; i++) {
        rag_buf_free(&b->ring[i].id);
        free(b->ring[i].output);
        rag_buf_free(&b->ring[i].body);
    }
    free(b->ring);
    free(b->flying);
    rag_buf_free(&b->input);
}

rag_code batch_run(const batch_options *opt, batch_counts *counts, rag_err *err)
{
    rag_err local;
    err = err ? err : &local;
    *counts = (batch_counts){ 0 };
    batch b = { .opt = opt, .counts = counts, .window = opt->concurrency * 4 + 16 };
    b.ring = rag_calloc(b.window, sizeof *b.ring);
    b.flying = rag_calloc(opt->concurrency, sizeof *b.flying);
    rag_buf_init(&b.input, BATCH_MAX_LINE + 2 * READ_BYTES);
    rag_code code = client_pool_open(&b.pool, opt->client, opt->concurrency, on_done, &b, err);
    while (!code && (!b.at_end || b.first < b.next || b.input_at < b.input.len))
        code = step(&b, err);
    release(&b);
    return code;
}
