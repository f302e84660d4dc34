/* HTML: the stored text is valid, and its blocks hold every byte of it that is not white space. */
#include "fuzz/blocks.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    check_file(RAG_FORMAT_HTML, RAG_STR("a.html"), input_of(data, size));
    return 0;
}
