/* daemon/ask_span.c: the span of the best sentences that answers best; what is asked runs on the model thread. */
#include "base/file.h"
#include "daemon/ask.h"

/* Two sentences, each in a prompt of its own, answer best; what speaks for a sentence is worth this much in the score of
 * its spans (bench_span). */
enum { READINGS = 2 };
static const double SENTENCE_WEIGHT = 2;

static rag_str without_breaks(rag_str s, rag_arena *arena)
{
    char *text = rag_arena_cstr(arena, s);
    for (size_t i = 0; i < s.len; i++)
        text[i] = (char)(text[i] == '\n' || text[i] == '\r' ? ' ' : text[i]);
    return (rag_str){ text, s.len };
}

static void on_spans(void *context, const rag_llm_span *spans, size_t n, double margin)
{
    job *j = context;
    ask *a = j->state;
    (void)margin;
    j->decode.first_piece_ms = rag_clock_ms();
    a->has_span = n > 0;
    if (a->has_span)
        a->span = spans[0];
}

static rag_code make_reading(const ask *a, const rag_llm *m, const rag_llm_template *t, const answer_sentence *s,
                             rag_arena *arena, rag_llm_reading *out, rag_llm_prompt *with, rag_err *err)
{
    rag_llm_prompt without;
    rag_llm_var vars[] = { { "question", a->search.query }, { "passages", without_breaks(s->text, arena) } };
    rag_code code = rag_llm_template_render(m, t, vars, 2, arena, with, err);
    vars[0].value = (rag_str){ 0 };
    if (code == RAG_OK)
        code = rag_llm_template_render(m, t, vars, 2, arena, &without, err);
    if (code == RAG_OK)
        *out = (rag_llm_reading){ .prompt = with->text,
                                  .prior_prompt = without.text,
                                  .evidence = s->text,
                                  .bonus = SENTENCE_WEIGHT * s->score };
    return code;
}

static rag_code make_readings(job *j, const rag_llm *m, rag_llm_template *const templates[2], size_t max_bytes,
                              rag_llm_request *req, rag_err *err)
{
    ask *a = j->state;
    rag_llm_prompt with = { 0 };
    rag_code code = RAG_OK;
    const rag_llm_template *t = templates[a->evidence.lang];
    rag_llm_reading *readings = rag_arena_array(j->arena, READINGS, sizeof *readings);
    rag_llm_spans *spans = rag_arena_alloc(j->arena, sizeof *spans);
    size_t n = a->evidence.n_promising < READINGS ? a->evidence.n_promising : READINGS;
    if (!t)
        return rag_fail(err, RAG_UNSUPPORTED, "there is no prompt for spans");
    for (size_t i = 0; code == RAG_OK && i < n; i++) {
        const answer_sentence *s = &a->evidence.sentences[i];
        code = s->text.len > max_bytes
                   ? rag_fail(err, RAG_TOO_LARGE, "a sentence of %zu bytes is too long to be searched for spans", s->text.len)
                   : make_reading(a, m, t, s, j->arena, &readings[i], &with, err);
    }
    *spans = (rag_llm_spans){ .readings = readings, .n_readings = n, .question = a->search.query, .on_spans = on_spans };
    *req = (rag_llm_request){ .prompt = with.text,
                              .parse_special = with.parse_special,
                              .prefix_bytes = with.prefix_bytes,
                              .spans = spans };
    return code;
}

void ask_prepare_span(job *j)
{
    enum { SENTENCE_BYTES = 4096 };
    j->decode = (decoding){ .prompt = make_readings, .is_span = true, .max_prompt_bytes = SENTENCE_BYTES };
}

bool ask_take_span(job *j, const ask *a, answer_result *out)
{
    if (j->decode.code != RAG_OK || atomic_load(&j->is_late) || !a->has_span)
        return false;
    answer_span(&a->evidence, a->span.reading, a->span.span, j->arena, out);
    return true;
}
