/* llm/template_model.h: what template.c asks of a model.  llm.c answers through libllama,
 * tests/llm_fake.c with ChatML.
 *
 * Threads: any; both answers come from immutable data. */
#ifndef RAG_LLM_TEMPLATE_MODEL_H
#define RAG_LLM_TEMPLATE_MODEL_H

#include "llm/llm.h"

/* Appends the conversation of system (may be empty) and user, in the model's own chat template and open for
 * the assistant's reply, to out.  Neither part holds NUL.  RAG_UNSUPPORTED when the model has no template that the
 * runtime knows. */
rag_code rag_llm_model_chat(const rag_llm *m, const char *system, const char *user, rag_buf *out, rag_err *err);

/* Bytes of the longest control token's spelling that s starts with; 0 when there is none. */
size_t rag_llm_model_control(const rag_llm *m, rag_str s);

#endif
