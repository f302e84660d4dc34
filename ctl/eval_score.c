/* What one reply is worth: from a question and a reply to the columns of eval_metrics.h. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ctl/eval_run.h"
#include "ctl/json.h"

enum { KEPT_TEXT = 400, MAX_RESULTS = 100, MAX_CITATIONS = 1000 };

static rag_span span_of(const cJSON *item)
{
    int64_t start = json_int(item, "start", 0), end = json_int(item, "end", 0);
    return (rag_span){ start > 0 ? (size_t)start : 0, end > 0 ? (size_t)end : 0 };
}

static void set(eval_run *r, eval_metric m, size_t question, double value)
{
    eval_data_set(&r->data, m, question, value, 1);
}

/* As much of a text as a report shows. */
static const char *keep(eval_run *r, const char *text)
{
    rag_str s = rag_str_of(text);
    size_t n = s.len > KEPT_TEXT ? KEPT_TEXT : s.len;
    while (n < s.len && ((unsigned char)s.ptr[n] & 0xc0) == 0x80)
        n--;
    return n < s.len ? rag_arena_printf(r->arena, "%.*s…", (int)n, text) : rag_arena_strdup(r->arena, text);
}

/* ---- time --------------------------------------------------------------------------- */

static eval_stage *stage_of(eval_run *r, const char *route, const char *name)
{
    for (size_t i = 0; i < r->n_stages; i++)
        if (!strcmp(r->stages[i].route, route) && !strcmp(r->stages[i].name, name))
            return &r->stages[i];
    if (r->n_stages == EVAL_MAX_STAGES)
        return NULL;
    eval_stage *s = &r->stages[r->n_stages++];
    *s = (eval_stage){ .route = route, .name = rag_arena_strdup(r->arena, name),
                       .ms = rag_arena_array(r->arena, r->set->n + 1, sizeof(double)) };
    return s;
}

static void take_timings(eval_run *r, size_t question, const char *route, eval_metric total, const cJSON *reply)
{
    const cJSON *ms, *timings = cJSON_GetObjectItemCaseSensitive(reply, "timings_ms");
    cJSON_ArrayForEach(ms, timings)
    {
        eval_stage *s = cJSON_IsNumber(ms) && ms->string ? stage_of(r, route, ms->string) : NULL;
        if (s && s->n < r->set->n)
            s->ms[s->n++] = ms->valuedouble;
    }
    if (json_number(timings, "total", -1) >= 0)
        set(r, total, question, json_number(timings, "total", 0));
}

/* ---- answers as text ---------------------------------------------------------------- */

static bool has_answers(const eval_question *q)
{
    return q->is_answerable && q->match != EVAL_MATCH_NONE && q->n_groups > 0;
}

typedef double compare_fn(rag_str answer, rag_str gold, bool zh);

static double best_of(const eval_question *q, const eval_texts *group, rag_str text, compare_fn *compare)
{
    double best = 0;
    for (size_t i = 0; i < group->n; i++) {
        rag_str gold = rag_str_of(group->items[i]);
        double value = compare(text, gold, eval_by_characters(q->is_chinese, gold));
        best = value > best ? value : best;
    }
    return best;
}

/* Every group has an answer in one of the texts. */
static bool hold_answers(const eval_question *q, const rag_str *texts, size_t n)
{
    for (size_t g = 0; g < q->n_groups; g++) {
        bool held = false;
        for (size_t i = 0; i < n && !held; i++)
            held = best_of(q, &q->groups[g], texts[i], eval_includes) > 0;
        if (!held)
            return false;
    }
    return q->n_groups > 0;
}

/* ---- search ------------------------------------------------------------------------- */

static bool is_known(const char *const *documents, size_t n, const char *document)
{
    for (size_t i = 0; i < n; i++)
        if (!strcmp(documents[i], document))
            return true;
    return false;
}

static void rank_documents(eval_run *r, size_t question, const cJSON *results)
{
    const eval_question *q = &r->set->questions[question];
    eval_record *rec = &r->records[question];
    const char *documents[MAX_RESULTS];
    const cJSON *result;
    size_t n = 0;
    rec->doc_ranks = rag_arena_array(r->arena, q->gold_docs.n + 1, sizeof *rec->doc_ranks);
    cJSON_ArrayForEach(result, results)
    {
        const char *document = json_string(result, "document");
        if (n == MAX_RESULTS || is_known(documents, n, document))
            continue;
        documents[n++] = document;
        if (eval_is_gold_doc(q, document) && rec->n_doc_ranks < q->gold_docs.n)
            rec->doc_ranks[rec->n_doc_ranks++] = (uint32_t)n;
    }
}

static void rank_spans(eval_run *r, size_t question, const cJSON *results)
{
    const eval_question *q = &r->set->questions[question];
    eval_record *rec = &r->records[question];
    bool *found = rag_calloc(q->n_spans + 1, sizeof *found);
    const cJSON *result;
    uint32_t rank = 0;
    rec->span_ranks = rag_arena_array(r->arena, q->n_spans + 1, sizeof *rec->span_ranks);
    cJSON_ArrayForEach(result, results)
    {
        const char *document = json_string(result, "document");
        rank++;
        for (size_t i = 0; i < q->n_spans; i++) {
            if (found[i] || strcmp(q->spans[i].doc, document) || !eval_finds(span_of(result), q->spans[i].span))
                continue;
            found[i] = true;
            rec->span_ranks[rec->n_span_ranks++] = rank;
        }
    }
    free(found);
}

static void set_ranking(eval_run *r, size_t question, eval_metric first, const double values[EVAL_RANKING])
{
    for (int i = 0; i < EVAL_RANKING; i++)
        set(r, first + i, question, values[i]);
}

/* Spans that one result found first share its place. */
static size_t count_items(const eval_record *rec, size_t n_spans)
{
    for (size_t i = 1; i < rec->n_span_ranks; i++)
        n_spans -= rec->span_ranks[i] == rec->span_ranks[i - 1];
    return n_spans;
}

static void score_ranks(eval_run *r, size_t question)
{
    const eval_question *q = &r->set->questions[question];
    const eval_record *rec = &r->records[question];
    double values[EVAL_RANKING];
    if (q->gold_docs.n) {
        eval_rank(rec->doc_ranks, rec->n_doc_ranks, q->gold_docs.n, q->gold_docs.n, values);
        set_ranking(r, question, EVAL_DOC, values);
    }
    if (q->n_spans) {
        eval_rank(rec->span_ranks, rec->n_span_ranks, q->n_spans, count_items(rec, q->n_spans), values);
        set_ranking(r, question, EVAL_SPAN, values);
    }
}

static void score_texts(eval_run *r, size_t question, const cJSON *results)
{
    const eval_question *q = &r->set->questions[question];
    const cJSON *result;
    rag_str texts[5];
    size_t n = 0;
    cJSON_ArrayForEach(result, results)
        if (n < 5)
            texts[n++] = rag_str_of(json_string(result, "text"));
    if (!has_answers(q))
        return;
    set(r, EVAL_ANSWER_IN_1, question, hold_answers(q, texts, n ? 1 : 0));
    set(r, EVAL_ANSWER_IN_5, question, hold_answers(q, texts, n));
}

void eval_score_search(eval_run *r, size_t question, const cJSON *reply)
{
    eval_record *rec = &r->records[question];
    const cJSON *results = cJSON_GetObjectItemCaseSensitive(reply, "results");
    const cJSON *first = cJSON_GetArrayItem(results, 0);
    rec->is_searched = true;
    rec->first_document = keep(r, json_string(first, "document"));
    rec->first_text = keep(r, json_string(first, "text"));
    rank_documents(r, question, results);
    rank_spans(r, question, results);
    score_ranks(r, question);
    score_texts(r, question, results);
    take_timings(r, question, "search", EVAL_SEARCH_MS, reply);
}

/* ---- ask ---------------------------------------------------------------------------- */

static bool is_stored_here(eval_run *r, const cJSON *citation, rag_str quote)
{
    client_reply reply = { 0 };
    char path[128];
    rag_span span = span_of(citation);
    snprintf(path, sizeof path, "/v1/documents/%lld/text?start=%zu&end=%zu",
             (long long)json_int(citation, "document_id", 0), span.start, span.end);
    bool equal = client_call(r->client, "GET", path, (rag_str){ 0 }, &reply, NULL) == RAG_OK && reply.status == 200 &&
                 rag_str_eq(rag_buf_str(&reply.body), quote);
    rag_buf_free(&reply.body);
    return equal;
}

/* The quote is what stands there: in the set's own file where ragd stores that byte for byte, else in the daemon. */
static bool is_exact(eval_run *r, const cJSON *citation)
{
    const char *document = json_string(citation, "document");
    rag_str quote = rag_str_of(json_string(citation, "quote")), text;
    rag_span span = span_of(citation);
    if (eval_docs_is_plain(document) && eval_docs_text(r->set->docs, document, &text))
        return span.start < span.end && span.end <= text.len && rag_str_eq(rag_str_sub(text, span.start, span.end), quote);
    return is_stored_here(r, citation, quote);
}

static bool is_cited(const eval_span *gold, const cJSON *citations)
{
    const cJSON *citation;
    cJSON_ArrayForEach(citation, citations)
        if (!strcmp(gold->doc, json_string(citation, "document")) && eval_overlap(gold->span, span_of(citation)))
            return true;
    return false;
}

static bool is_right_citation(const eval_question *q, const cJSON *citation)
{
    for (size_t i = 0; i < q->n_spans; i++)
        if (!strcmp(q->spans[i].doc, json_string(citation, "document")) &&
            eval_overlap(q->spans[i].span, span_of(citation)))
            return true;
    return false;
}

typedef struct tally {
    size_t n, right, from_gold, exact;
} tally;

static tally count_citations(eval_run *r, const eval_question *q, const cJSON *citations)
{
    const cJSON *citation;
    tally t = { 0 };
    cJSON_ArrayForEach(citation, citations)
    {
        if (t.n == MAX_CITATIONS)
            break;
        t.n++;
        t.right += is_right_citation(q, citation);
        t.from_gold += eval_is_gold_doc(q, json_string(citation, "document"));
        t.exact += is_exact(r, citation);
    }
    return t;
}

static void score_citations(eval_run *r, size_t question, const cJSON *citations, const tally *t, bool is_refused)
{
    const eval_question *q = &r->set->questions[question];
    size_t cited = 0;
    eval_data_set(&r->data, EVAL_EXACT_QUOTES, question, (double)t->exact, (double)t->n);
    if (!q->is_answerable)
        return;
    for (size_t i = 0; i < q->n_spans && !is_refused; i++)
        cited += is_cited(&q->spans[i], citations);
    eval_data_set(&r->data, EVAL_CITATION_RECALL, question, (double)cited, (double)q->n_spans);
    if (is_refused)
        return;
    if (q->n_spans)
        eval_data_set(&r->data, EVAL_CITATION_PRECISION, question, (double)t->right, (double)t->n);
    if (q->gold_docs.n)
        eval_data_set(&r->data, EVAL_CITED_DOCUMENTS, question, (double)t->from_gold, (double)t->n);
}

static void score_refusal(eval_run *r, size_t question, bool is_refused)
{
    bool has_answer = r->set->questions[question].is_answerable;
    if (is_refused)
        set(r, EVAL_REFUSAL_PRECISION, question, !has_answer);
    set(r, has_answer ? EVAL_WRONGLY_REFUSED : EVAL_REFUSAL_RECALL, question, is_refused);
}

/* Markers are no part of what is said. */
static void score_length(eval_run *r, size_t question, const char *answer)
{
    bool zh = r->set->questions[question].is_chinese;
    rag_buf plain;
    rag_buf_init(&plain, RAG_MAX_REPLY);
    eval_strip_markers(rag_str_of(answer), &plain);
    set(r, zh ? EVAL_ANSWER_CHARS : EVAL_ANSWER_WORDS, question, (double)eval_length(rag_buf_str(&plain), zh));
    rag_buf_free(&plain);
}

static bool score_answer(eval_run *r, size_t question, const char *answer, bool is_refused)
{
    const eval_question *q = &r->set->questions[question];
    rag_buf plain;
    rag_buf_init(&plain, RAG_MAX_REPLY);
    if (!is_refused)
        eval_strip_markers(rag_str_of(answer), &plain);
    rag_str text = rag_buf_str(&plain);
    bool included = !is_refused && hold_answers(q, &text, 1);
    set(r, EVAL_INCLUSION, question, included);
    if (q->match == EVAL_MATCH_ANY) {
        set(r, EVAL_EXACT_MATCH, question, is_refused ? 0 : best_of(q, &q->groups[0], text, eval_exact_match));
        set(r, EVAL_F1, question, is_refused ? 0 : best_of(q, &q->groups[0], text, eval_f1));
    }
    rag_buf_free(&plain);
    return included;
}

static void score_confidence(eval_run *r, size_t question, bool is_right)
{
    double confidence = r->records[question].confidence, gap = confidence - is_right;
    set(r, EVAL_RIGHT, question, is_right);
    set(r, EVAL_BRIER, question, gap * gap);
    r->data.confidences[question] = confidence;
}

static bool is_refusal(const char *outcome)
{
    return !strcmp(outcome, "refused") || !strcmp(outcome, "handed_off");
}

void eval_score_ask(eval_run *r, size_t question, const cJSON *reply)
{
    const eval_question *q = &r->set->questions[question];
    eval_record *rec = &r->records[question];
    const cJSON *citations = cJSON_GetObjectItemCaseSensitive(reply, "citations");
    bool is_refused = is_refusal(json_string(reply, "outcome")), included = false;
    rec->is_asked = true;
    rec->outcome = keep(r, json_string(reply, "outcome"));
    rec->answer = keep(r, json_string(reply, "answer"));
    rec->confidence = json_number(reply, "confidence", 0);
    tally t = count_citations(r, q, citations);
    rec->citations = t.n;
    rec->right_citations = t.right;
    score_citations(r, question, citations, &t, is_refused);
    score_refusal(r, question, is_refused);
    if (has_answers(q))
        included = score_answer(r, question, json_string(reply, "answer"), is_refused);
    if (!is_refused)
        score_length(r, question, json_string(reply, "answer"));
    if (!is_refused)
        score_confidence(r, question,
                         q->is_answerable && (has_answers(q) ? included : q->n_spans ? t.right > 0 : t.from_gold > 0));
    take_timings(r, question, "ask", EVAL_ASK_MS, reply);
}
