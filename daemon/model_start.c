/* daemon/model_start.c */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/log.h"
#include "daemon/model_impl.h"
#include "daemon/thread.h"

/* ---- the decoder ------------------------------------------------------------------- */

static rag_code load_template(const model_options *opt, const rag_llm *llm, rag_lang lang, rag_llm_template **out,
                              rag_err *err)
{
    bool is_chat = strcmp(opt->prompt_style, "chat") == 0 ||
                   (strcmp(opt->prompt_style, "auto") == 0 && rag_llm_has_chat_template(llm));
    char name[64];
    snprintf(name, sizeof name, "answer.%s%s.txt", rag_lang_name(lang), is_chat ? ".chat" : "");
    char *path = rag_path_join(opt->prompts_dir, name);
    rag_code code = rag_llm_template_load(out, path, err);
    free(path);
    return code;
}

static rag_code open_decoder(const model_options *opt, rag_llm **llm, rag_llm_template *templates[2], rag_err *err)
{
    rag_llm_options options = { .model_path = opt->decoder_path,
                                .threads = opt->threads,
                                .slots = opt->slots,
                                .context_tokens = opt->context_tokens,
                                .deterministic = opt->deterministic };
    rag_code code = rag_llm_open(llm, &options, err);
    for (int lang = 0; code == RAG_OK && lang < 2; lang++)
        code = load_template(opt, *llm, (rag_lang)lang, &templates[lang], err);
    if (code != RAG_OK) {
        rag_llm_close(*llm);
        *llm = NULL;
    }
    return code;
}

static void set_decoder(model *m, rag_llm *llm, const rag_err *err)
{
    pthread_mutex_lock(&m->mu);
    m->llm = llm;
    m->facts.decoder_state = llm ? DECODER_READY : DECODER_FAILED;
    snprintf(m->facts.decoder_error, sizeof m->facts.decoder_error, "%s", llm ? "" : err->message);
    if (llm) {
        snprintf(m->facts.decoder, sizeof m->facts.decoder, "%s", rag_llm_name(llm));
        m->facts.decoder_id = *rag_llm_model_id(llm);
        model_note_memory(m, llm);
        m->facts.context = rag_llm_context(llm);
    }
    atomic_store(&m->decoder, m->facts.decoder_state);
    pthread_cond_signal(&m->work);
    pthread_mutex_unlock(&m->mu);
}

/* Spans are searched only with them: answers do without. */
static void load_span_templates(model *m)
{
    for (int lang = 0; lang < 2; lang++) {
        char name[32];
        rag_err err = { 0 };
        snprintf(name, sizeof name, "span.%s.txt", rag_lang_name((rag_lang)lang));
        char *path = rag_path_join(m->opt.prompts_dir, name);
        if (rag_llm_template_load(&m->span_templates[lang], path, &err) != RAG_OK)
            rag_log(RAG_WARN, "no spans in this language: %s", err.message);
        free(path);
    }
}

static void load_decoder(model *m)
{
    rag_llm *llm = NULL;
    rag_err err = { 0 };
    double start = rag_clock_ms();
    if (open_decoder(&m->opt, &llm, m->templates, &err) == RAG_OK) {
        load_span_templates(m);
        rag_log(RAG_INFO, "decoder '%s' is ready after %.0f ms", rag_llm_name(llm), rag_clock_ms() - start);
    } else {
        rag_log(RAG_WARN, "no decoder, answers are extracts: %s", err.message);
    }
    set_decoder(m, llm, &err);
}

/* ---- embedder and reranker ---------------------------------------------------------- */

typedef struct news {
    letter l;
    void (*tell)(void *context, const rag_err *err);
    void *context; /* the model may be gone when this is read */
    rag_err err;
} news;

static void deliver_news(letter *l)
{
    news *n = (news *)l;
    n->tell(n->context, n->err.code == RAG_OK ? NULL : &n->err);
    free(n);
}

static news *news_new(const model *m, void (*tell)(void *context, const rag_err *err))
{
    news *n = rag_calloc(1, sizeof *n);
    *n = (news){ .l.deliver = deliver_news, .tell = tell, .context = m->opt.context };
    return n;
}

static bool load_reranker(model *m)
{
    rag_reranker *r = NULL;
    news *n = news_new(m, m->opt.on_failed);
    rag_rerank_options opt = { .model_path = m->opt.reranker_path, .threads = m->opt.threads };
    double start = rag_clock_ms();
    if (rag_rerank_open(&r, &opt, &n->err) != RAG_OK) {
        mailbox_post(m->opt.mail, &n->l);
        return false;
    }
    free(n);
    rag_log(RAG_INFO, "reranker '%s' is ready after %.0f ms", rag_rerank_name(r), rag_clock_ms() - start);
    pthread_mutex_lock(&m->mu);
    m->reranker = r;
    m->facts.reranker_bytes = rag_rerank_memory(r);
    m->facts.reranker_ready = true;
    pthread_mutex_unlock(&m->mu);
    atomic_store(&m->has_reranker, true);
    return true;
}

static void *load(void *context)
{
    model *m = context;
    bool goes_on = !*m->opt.reranker_path || load_reranker(m);
    if (goes_on && *m->opt.decoder_path)
        load_decoder(m);
    return NULL;
}

static void start_loader(model *m)
{
    if (!*m->opt.decoder_path && !*m->opt.reranker_path)
        return;
    news *n = news_new(m, m->opt.on_failed);
    m->has_loader = thread_start(&m->loader, "ragd-loader", load, m, &n->err) == RAG_OK;
    if (!m->has_loader && *m->opt.decoder_path)
        set_decoder(m, NULL, &n->err);
    if (!m->has_loader && *m->opt.reranker_path)
        mailbox_post(m->opt.mail, &n->l);
    else
        free(n);
}

static void open_embedder(model *m)
{
    news *e = news_new(m, m->opt.on_embedder);
    rag_embed_options opt = { .model_path = m->opt.embed_path, .threads = m->opt.threads };
    if (rag_embed_open(&m->embedder, &opt, &e->err) == RAG_OK) {
        pthread_mutex_lock(&m->mu);
        m->facts.embedder_ready = true;
        m->facts.embedder_id = *rag_embed_model_id(m->embedder);
        m->facts.embedder_bytes = rag_embed_memory(m->embedder);
        snprintf(m->facts.embedder, sizeof m->facts.embedder, "%s", rag_embed_model_name(m->embedder));
        pthread_mutex_unlock(&m->mu);
    }
    mailbox_post(m->opt.mail, &e->l);
}

void model_start(model *m)
{
    open_embedder(m);
    start_loader(m); /* behind the embedder, which readiness waits for */
}
