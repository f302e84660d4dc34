/* llm/llama_runtime.h: libllama, started once for the whole process; shared by the
 * rooms llm and embed, which are the only users of libllama.
 *
 * Wait policy.  OpenMP threads that spin while another process computes cost up to four
 * times the time, so that they must sleep: OMP_WAIT_POLICY=passive, unless the environment says
 * otherwise.  libgomp reads the variable in a constructor, before main.
 *   - Linked in statically (the default): a constructor of ours with an earlier priority sets it
 *     in every program that uses this file.  OMP_DISPLAY_ENV=true shows it.
 *   - As a shared library (RAGD_SYSTEM_LLAMA, compilers without libgomp.a) it has started before any
 *     code of ours: rag_llama_prepare sets the variable and executes the program anew, once.
 * Passive also means that libgomp does not spin before it sleeps; GOMP_SPINCOUNT needs no
 * setting.
 *
 * Threads: rag_llama_start from any; rag_llama_prepare as main's first statement. */
#ifndef RAG_LLM_LLAMA_RUNTIME_H
#define RAG_LLM_LLAMA_RUNTIME_H

#include "base/err.h"
#include "base/str.h"

/* Returns when the wait policy holds, or does not return.  Does nothing where libgomp is static
 * or the environment already sets OMP_WAIT_POLICY. */
void rag_llama_prepare(char **argv);

/* Sends libllama's log to rag_log (its errors and warnings as such, the rest as debug) and starts its
 * backends.  The first call does the work, later ones return its result; RAG_CONFIG when
 * there is no CPU backend. */
rag_code rag_llama_start(rag_err *err);

/* Hands the calling thread's log lines of libllama to on_line, until it is called with NULL; those for which on_line
 * returns true are not logged. */
void rag_llama_listen(bool (*on_line)(void *context, rag_str text), void *context);

/* "llama.cpp 0.5.0-dev, ggml 0.25.3, AVX512 …": versions and the CPU features in use, for --version and the log. */
const char *rag_llama_version(void);

#endif
