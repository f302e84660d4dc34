/* daemon/reply.h: what the routes send.
 *
 * Threads: reply_… answer a request and are the loop's; render_… are pure. */
#ifndef RAG_DAEMON_REPLY_H
#define RAG_DAEMON_REPLY_H

#include "daemon/json.h"
#include "daemon/request.h"

void reply_json(ragd *d, http_request *q, int status, rag_str body);
void reply_problem(ragd *d, http_request *q, const problem *p);
/* 405 with the methods that are allowed, "GET, HEAD". */
void reply_wrong_method(ragd *d, http_request *q, const char *allow);
/* Counts an answer that goes out another way. */
void reply_count(ragd *d, int status);

/* Null for 0. */
void render_rank(json_writer *w, const char *key, int rank);
/* Null for what is no number. */
void render_score(json_writer *w, const char *key, double score);
/* The keys that a result and a citation share: document … page. */
void render_origin(json_writer *w, const rag_hit *hit);
/* The error object of p. */
void render_problem(rag_buf *out, const problem *p, const char *request_id);
/* One element of a search's results. */
void render_hit(json_writer *w, const rag_hit *hit, bool explain);
void render_document(json_writer *w, const rag_document *doc);
/* A 64-bit random name, "a-" and 16 hex digits. */
char *render_random_id(rag_arena *arena, const char *prefix);

#endif
