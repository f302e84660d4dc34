#include <stdlib.h>

#include "llm/span_impl.h"

static size_t common(const llama_token *a, size_t n_a, const llama_token *b, size_t n_b)
{
    size_t n = 0;
    while (n < n_a && n < n_b && a[n] == b[n])
        n++;
    return n;
}

static size_t least(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* Reading */

static rag_code read_pass(span_job *j, size_t reading, int pass, rag_str prompt, bool parse_special, rag_err *err)
{
    size_t room = (size_t)j->engine->context_tokens;
    span_prompts *p = &j->readings[reading];
    p->tokens[pass] = rag_calloc(room, sizeof(llama_token));
    size_t n = prompt.len > RAG_MAX_PROMPT ? SIZE_MAX
                                           : rag_llama_tokenize(j->engine->model->vocab, prompt, true, parse_special,
                                                                p->tokens[pass], room);
    if (n == 0)
        return rag_fail(err, RAG_INVALID, "prompt is empty");
    if (n > room)
        return rag_fail(err, RAG_TOO_LARGE, "prompt of %zu bytes exceeds the context of %zu tokens", prompt.len, room);
    p->n_tokens[pass] = n;
    return RAG_OK;
}

/* The last token of each pass is its own, since it has its own output. */
static void find_common(const span_job *j, span_prompts *p)
{
    p->n_common = p->n_tokens[0] - 1;
    if (j->n_passes > 1)
        p->n_common = least(common(p->tokens[0], p->n_tokens[0], p->tokens[1], p->n_tokens[1]),
                            least(p->n_tokens[0], p->n_tokens[1]) - 1);
}

static void find_fixed(span_job *j, const rag_llm_request *req)
{
    llama_token fixed[SPAN_HOME_TOKENS];
    rag_str prefix = rag_str_sub(req->spans->readings[0].prompt, 0, req->prefix_bytes);
    size_t n = prefix.len > 0 ? rag_llama_tokenize(j->engine->model->vocab, prefix, true, req->parse_special, fixed,
                                                   SPAN_HOME_TOKENS)
                              : 0;
    j->n_fixed = n > SPAN_HOME_TOKENS ? 0 : n;
    for (size_t r = 0; r < j->n_readings; r++)
        j->n_fixed = common(fixed, j->n_fixed, j->readings[r].tokens[0], j->readings[r].n_common);
}

static rag_code read_reading(span_job *j, size_t reading, const rag_llm_request *req, rag_err *err)
{
    const rag_llm_reading *r = &req->spans->readings[reading];
    rag_code code = read_pass(j, reading, 0, r->prompt, req->parse_special, err);
    if (!code && (r->prior_prompt.len > 0) != (j->n_passes > 1))
        code = rag_fail(err, RAG_INVALID, "some readings have a prior and others none");
    if (!code && j->n_passes > 1)
        code = read_pass(j, reading, 1, r->prior_prompt, req->parse_special, err);
    if (!code)
        find_common(j, &j->readings[reading]);
    return code;
}

static size_t own_tokens(const span_job *j, const span_prompts *p)
{
    return p->n_tokens[0] - j->n_fixed + (j->n_passes > 1 ? p->n_tokens[1] - p->n_common : 0);
}

size_t span_prompt_tokens(const span_job *j)
{
    size_t n = j->n_fixed;
    for (size_t r = 0; r < j->n_readings; r++)
        n += own_tokens(j, &j->readings[r]);
    return n;
}

rag_code span_prompt_read(span_job *j, const rag_llm_request *req, rag_err *err)
{
    for (; j->n_readings < req->spans->n_readings; j->n_readings++) {
        rag_code code = read_reading(j, j->n_readings, req, err);
        if (code)
            return code;
    }
    find_fixed(j, req);
    size_t most = span_prompt_tokens(j) + SPAN_PASSES * ((size_t)j->search.max_nodes + SPAN_ROUND_NODES);
    if (most > (size_t)j->engine->context_tokens)
        return rag_fail(err, RAG_TOO_LARGE, "prompts and spans of %zu tokens exceed the context of %d", most,
                        j->engine->context_tokens);
    return RAG_OK;
}

void span_prompt_free(span_job *j)
{
    for (size_t r = 0; r < RAG_LLM_MAX_READINGS; r++)
        for (int pass = 0; pass < SPAN_PASSES; pass++)
            free(j->readings[r].tokens[pass]);
}

/* Adding */

static void add_sequence(span_job *j, llama_seq_id seq)
{
    struct llama_batch *b = &j->engine->batch;
    int i = b->n_tokens - 1;
    b->seq_id[i][b->n_seq_id[i]++] = seq;
}

/* A token of the fixed beginning belongs to all. */
static void add_fixed(span_job *j, size_t pos)
{
    span_batch_add(j, j->readings[0].tokens[0][pos], pos, j->home, -1, 0);
    for (size_t r = 0; r < j->n_readings; r++)
        for (int pass = 0; pass < j->n_passes; pass++)
            add_sequence(j, span_root_seq(r, pass));
}

/* The ith token behind the fixed ones. */
static void add_own(span_job *j, size_t i)
{
    size_t r = 0;
    while (i >= own_tokens(j, &j->readings[r]))
        i -= own_tokens(j, &j->readings[r++]);
    const span_prompts *p = &j->readings[r];
    size_t pos = j->n_fixed + i;
    int pass = pos >= p->n_tokens[0];
    if (pass)
        pos = pos - p->n_tokens[0] + p->n_common;
    bool is_last = pos + 1 == p->n_tokens[pass];
    span_batch_add(j, p->tokens[pass][pos], pos, span_root_seq(r, pass), is_last ? (int)r : -1, pass);
    if (j->n_passes > 1 && pass == 0 && pos < p->n_common)
        add_sequence(j, span_root_seq(r, 1));
}

/* The fixed beginning goes alone, so that the numbers are the same when it is there already. */
void span_prompt_add(span_job *j)
{
    size_t end = j->n_done < j->n_fixed ? j->n_fixed : span_prompt_tokens(j);
    for (size_t i = j->n_done; i < end && j->engine->batch.n_tokens < j->engine->slice_tokens; i++) {
        if (i < j->n_fixed)
            add_fixed(j, i);
        else
            add_own(j, i - j->n_fixed);
    }
}
