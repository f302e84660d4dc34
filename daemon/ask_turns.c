/* daemon/ask_turns.c: what an ask has from its conversation, and leaves to it. */
#include "base/log.h"
#include "daemon/ask.h"
#include "daemon/state.h"

/* The last one counts; one before it when that said nothing. */
enum { LOOK_BACK = 4 };

static followup_turn turn_of(const rag_turn *t)
{
    /* A refusal cites nothing, and its words are ours. */
    return (followup_turn){ .question = t->question,
                            .resolved = t->resolved,
                            .answer = t->n_documents > 0 ? t->answer : (rag_str){ 0 } };
}

static void resolve(job *j, ask *a, const rag_conversation *c)
{
    followup_turn turns[LOOK_BACK];
    size_t n = c->n < LOOK_BACK ? c->n : LOOK_BACK;
    for (size_t i = 0; i < n; i++)
        turns[i] = turn_of(&c->turns[c->n - n + i]);
    a->followup = followup_resolve(turns, n, a->question, j->arena);
    a->search.query = a->followup.question;
}

bool ask_recall(job *j, ask *a)
{
    rag_conversation c;
    rag_err err = { 0 };
    if (!j->d->records)
        return true;
    rag_code code = rag_turns_read(j->d->records, rag_str_of(a->conversation_id), rag_str_of(j->caller), LOOK_BACK, j->arena,
                                   &c, &err);
    if (code == RAG_DENIED)
        return problem_set(&j->bad, 404, "conversation_not_found", "conversation_id", "there is no such conversation");
    if (code == RAG_OK)
        resolve(j, a, &c);
    else if (code != RAG_NOT_FOUND)
        rag_log(RAG_WARN, "request_id=%s the question stands alone: %s", j->request_id, err.message);
    return true;
}

static size_t cited_documents(const ask *a, int64_t out[RAG_TURN_DOCUMENTS])
{
    size_t n = 0;
    for (size_t i = 0; i < a->result.n_citations && n < RAG_TURN_DOCUMENTS; i++) {
        int64_t id = a->search.found.hits[a->result.citations[i].hit].document_id;
        bool is_new = true;
        for (size_t k = 0; k < n; k++)
            is_new &= out[k] != id;
        if (is_new)
            out[n++] = id;
    }
    return n;
}

void ask_remember(job *j, const ask *a)
{
    rag_err err = { 0 };
    int64_t documents[RAG_TURN_DOCUMENTS];
    rag_turn turn = { .question = a->question,
                      .resolved = ask_is_resolved(a) ? a->search.query : (rag_str){ 0 },
                      .answer = a->result.answer,
                      .answer_id = rag_str_of(a->answer_id),
                      .documents = documents,
                      .n_documents = a->result.refused ? 0 : cited_documents(a, documents) };
    if (!j->d->records || !j->tuning.remembers)
        return;
    if (rag_turns_add(j->d->records, rag_str_of(a->conversation_id), rag_str_of(j->caller), &turn, &err) != RAG_OK)
        rag_log(RAG_WARN, "request_id=%s this turn is not kept: %s", j->request_id, err.message);
}
