/* Markdown and plain text: the blocks hold every byte that is not white space or a comment's. */
#include "fuzz/blocks.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    check_file(RAG_FORMAT_MARKDOWN, RAG_STR("a.md"), input_of(data, size));
    check_file(RAG_FORMAT_TEXT, RAG_STR("a.txt"), input_of(data, size));
    return 0;
}
