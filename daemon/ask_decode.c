/* daemon/ask_decode.c: the decoder's part of an ask; everything here runs on the model thread. */
#include "base/sentence.h"
#include "daemon/ask.h"

/* About 400 tokens: what two cores read in a second. */
enum { PASSAGE_BYTES = 1600, MAX_GENERATED = 64 * 1024 };

static rag_code make_prompt(job *j, const rag_llm *m, rag_llm_template *const templates[2], size_t max_bytes,
                            rag_llm_request *req, rag_err *err)
{
    ask *a = j->state;
    rag_llm_prompt prompt;
    rag_str passages = answer_passages(&a->evidence, (size_t)j->tuning.passages, max_bytes, j->arena, &a->order,
                                       &a->n_order);
    rag_llm_var vars[] = { { "question", a->search.query }, { "passages", passages } };
    rag_code code = rag_llm_template_render(m, templates[a->evidence.lang], vars, 2, j->arena, &prompt, err);
    if (code != RAG_OK)
        return code;
    *req = (rag_llm_request){ .prompt = prompt.text,
                              .parse_special = prompt.parse_special,
                              .prefix_bytes = prompt.prefix_bytes,
                              .sampling = a->sampling,
                              .stops = prompt.stops,
                              .n_stops = prompt.n_stops };
    return RAG_OK;
}

size_t ask_allowed_support(const ask *a)
{
    return a->mode == ASK_AUTO && a->n_order > 1 ? 1 : a->n_order;
}

size_t ask_whole_sentences(rag_str text)
{
    size_t pos = 0, whole = 0;
    rag_span span;
    while (rag_sentence_next(text, &pos, &span))
        if (text.ptr[span.start] != '[') /* a marker belongs to what stands before it */
            whole = span.start;
    return whole;
}

/* The checked answer so far grows by what is sent; when a later sentence changes what was sent, nothing more is:
 * `done` is authoritative. */
static void send_checked(job *j, ask *a, size_t bytes)
{
    answer_result r = { 0 };
    rag_str text = rag_str_sub(rag_buf_str(&j->decode.text), 0, bytes);
    if (!answer_check(&a->evidence, a->order, ask_allowed_support(a), text, ask_strictness(a), j->arena, &r) ||
        !rag_str_starts(r.answer, a->sent))
        return;
    rag_str more = rag_str_sub(r.answer, a->sent.len, r.answer.len);
    if (more.len > 0)
        ask_tell_delta(j, more);
    a->sent = r.answer;
}

static void on_piece(job *j, rag_str piece)
{
    ask *a = j->state;
    rag_buf_put(&j->decode.text, piece);
    if (!a->is_stream)
        return;
    size_t whole = ask_whole_sentences(rag_buf_str(&j->decode.text));
    if (whole > a->checked_bytes) {
        a->checked_bytes = whole;
        send_checked(j, a, whole);
    }
}

void ask_prepare_decoding(job *j)
{
    j->decode = (decoding){ .prompt = make_prompt, .piece = on_piece, .max_prompt_bytes = PASSAGE_BYTES };
    rag_buf_init(&j->decode.text, MAX_GENERATED);
}
