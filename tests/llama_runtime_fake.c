/* tests/llama_runtime_fake.c: llm/llama_runtime.h for programs that are linked with the fakes. */
#include "llm/llama_runtime.h"

void rag_llama_prepare(char **argv)
{
    (void)argv;
}

const char *rag_llama_version(void)
{
    return "no llama.cpp (fakes)";
}
