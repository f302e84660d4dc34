/* daemon/replay.h: POST /v1/answers/{id}/replay.  The answer is made once more, from its record: same question (as it was
 * resolved), filter, mode, sampler, seed and settings, in the same generation.  Then both are compared: first the decoder's
 * tokens, one by one, then outcome, mode, citations and text.
 *
 * Only the generation that is served now can be asked, so for an older one that is still kept the reply says to activate it
 * first (409), and for one that is gone that it is gone (410).  Other models than the recorded ones: 409.
 *
 * Equal is what `llm.deterministic = on` promises; without it the order in which prompts share a batch may change a token.
 *
 * Threads: the search threads'; a replay belongs to its job. */
#ifndef RAG_DAEMON_REPLAY_H
#define RAG_DAEMON_REPLAY_H

#include "daemon/ask.h"

typedef struct replay replay;

/* The decoder was asked the first time, too (it may have been loading). */
bool replay_decodes(const replay *r);
/* What stands in `a` is the answer: compares, and ends the job. */
void replay_finish(job *j, const ask *a);

#endif
