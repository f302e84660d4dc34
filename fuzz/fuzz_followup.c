/* daemon/followup.h: any conversation gives a bounded question of whole characters, and one that stands alone is left as it is.
 * Input: lines; the last is the question, those before are turns. */
#include <string.h>

#include "daemon/followup.h"
#include "fuzz/fuzz.h"

enum { MAX_LINES = 4, MOST_ADDED = 2600 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    rag_str text = input_of(data, size);
    rag_arena *arena = rag_arena_new();
    followup_turn turns[MAX_LINES] = { { { 0 }, { 0 }, { 0 } } };
    size_t n = 0, start = 0, end;
    while (n < MAX_LINES && (end = rag_str_find(text, RAG_STR("\n"), start)) != SIZE_MAX) {
        turns[n].question = rag_str_sub(text, start, end);
        turns[n].answer = turns[n].question;
        followup f = followup_resolve(turns, n, turns[n].question, arena);
        turns[n++].resolved = f.cue == FOLLOWUP_NONE ? (rag_str){ 0 } : f.question;
        start = end + 1;
    }
    rag_str question = rag_str_sub(text, start, text.len);
    followup f = followup_resolve(turns, n, question, arena);
    MUST(f.cue != FOLLOWUP_NONE || (f.question.ptr == question.ptr && f.question.len == question.len));
    MUST(f.cue == FOLLOWUP_NONE || (n > 0 && f.topic.len > 0));
    MUST(f.question.len <= question.len + MOST_ADDED);
    MUST(!rag_utf8_valid(text, NULL) || rag_utf8_valid(f.question, NULL));
    rag_arena_free(arena);
    return 0;
}
