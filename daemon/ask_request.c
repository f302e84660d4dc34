/* daemon/ask_request.c: the body of POST /v1/ask. */
#include <string.h>

#include "daemon/ask.h"
#include "daemon/reply.h"

enum { MAX_CONVERSATION = 128, MAX_ANSWER_TOKENS = 4096 };

static const char *const modes[] = { "auto", "generate", "extract", "span", NULL };

static bool read_method(const fields *f, rag_llm_sampling *s)
{
    static const char *const methods[] = { "greedy", "sample", "beam", NULL };
    int method = RAG_LLM_GREEDY;
    if (!fields_choice(f, "method", methods, &method))
        return false;
    if (method > RAG_LLM_SAMPLE || fields_has(f, "beams"))
        return problem_set(f->bad, 400, "unsupported_value", method > RAG_LLM_SAMPLE ? "sampling.method" : "sampling.beams",
                           "this version does not search with beams");
    s->method = (rag_llm_method)method;
    return true;
}

static bool read_sampling(const cJSON *json, rag_llm_sampling *s, problem *bad)
{
    static const char *const keys[] = { "method", "temperature", "top_k",      "top_p", "min_p",
                                        "beams",  "seed",        "max_tokens", NULL };
    fields f;
    double temperature = s->temperature, top_p = s->top_p, min_p = s->min_p;
    int64_t top_k = s->top_k, seed = 0, max_tokens = s->max_tokens;
    if (!fields_open(&f, json, "sampling.", keys, bad) || !read_method(&f, s) ||
        !fields_num(&f, "temperature", 0.01, 5, &temperature) || !fields_int(&f, "top_k", 1, 1000, &top_k) ||
        !fields_num(&f, "top_p", 0.001, 1, &top_p) || !fields_num(&f, "min_p", 0, 1, &min_p) ||
        !fields_int(&f, "seed", 0, UINT32_MAX, &seed) || !fields_int(&f, "max_tokens", 1, MAX_ANSWER_TOKENS, &max_tokens))
        return false;
    s->temperature = (float)temperature;
    s->top_k = (int)top_k;
    s->top_p = (float)top_p;
    s->min_p = (float)min_p;
    s->seed = (uint32_t)seed;
    s->max_tokens = (int)max_tokens;
    return true;
}

static int default_mode(const char *name)
{
    for (int i = 0; modes[i]; i++)
        if (strcmp(modes[i], name) == 0)
            return i;
    return ASK_AUTO;
}

static bool read_question(job *j, const fields *f, ask *a)
{
    rag_str question = { 0 };
    if (!fields_require(f, "question") || !fields_str(f, "question", RAG_MAX_QUERY, "question_too_long", &question))
        return false;
    if (!search_has_text(question))
        return problem_set(f->bad, 400, "empty_question", "question", "'question' is empty");
    a->question = a->search.query = rag_arena_str(j->arena, question);
    return true;
}

static bool read_conversation(job *j, const fields *f, ask *a)
{
    rag_str id = { 0 };
    if (!fields_str(f, "conversation_id", MAX_CONVERSATION, "conversation_id_too_long", &id))
        return false;
    if (fields_has(f, "conversation_id") && id.len == 0)
        return problem_set(f->bad, 400, "invalid_value", "conversation_id", "'conversation_id' is empty");
    a->is_continued = id.len > 0;
    a->conversation_id = id.len > 0 ? rag_arena_cstr(j->arena, id) : render_random_id(j->arena, "c-");
    return true;
}

bool ask_read(job *j, const cJSON *json, ask *a, int64_t *deadline_ms)
{
    static const char *const keys[] = { "question", "collection", "filter",      "conversation_id", "top_k", "mode",
                                        "stream",   "explain",    "deadline_ms", "sampling",        NULL };
    fields f;
    int mode = default_mode(j->tuning.mode);
    int64_t top_k = j->tuning.passages;
    *deadline_ms = j->tuning.deadline_ms;
    a->answer_id = render_random_id(j->arena, "a-");
    a->sampling.max_tokens = j->tuning.max_tokens;
    if (!fields_open(&f, json, "", keys, &j->bad) || !read_question(j, &f, a) ||
        !search_read_filter(j, &f, &a->search.filter) || !read_conversation(j, &f, a) ||
        !fields_int(&f, "top_k", 1, 100, &top_k) || !fields_choice(&f, "mode", modes, &mode) ||
        !fields_bool(&f, "stream", &a->is_stream) || !fields_bool(&f, "explain", &a->explain) ||
        !fields_int(&f, "deadline_ms", 1, j->tuning.deadline_ms, deadline_ms))
        return false;
    if (fields_has(&f, "sampling") &&
        !read_sampling(cJSON_GetObjectItemCaseSensitive(json, "sampling"), &a->sampling, &j->bad))
        return false;
    a->mode = (ask_mode)mode;
    a->search.mode = RAG_SEARCH_HYBRID;
    a->search.top_k = (int)top_k;
    a->search.explain = a->explain || j->tuning.audit; /* the record tells it */
    return true;
}
