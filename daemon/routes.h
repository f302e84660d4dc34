/* daemon/routes.h: from a path to the function that answers.
 *
 * A handler runs on the loop.  It answers at once (reply.h), or takes the request up as a job
 * (request.h); either way the request is no longer its own when it returns.
 *
 * Threads: the loop's. */
#ifndef RAG_DAEMON_ROUTES_H
#define RAG_DAEMON_ROUTES_H

#include "daemon/json.h"
#include "daemon/request.h"

/* `args` are the parts of the path that stand for a {} of the pattern. */
typedef void route_handler(ragd *d, http_request *q, const rag_str *args);

/* on_request of the HTTP server. */
void route_request(void *context, http_request *q);

/* The body as JSON, or false with the problem: not application/json (415), empty or not JSON (400). */
bool route_body(http_request *q, cJSON **out, problem *p);
/* The same for routes whose body may be empty or {}. */
bool route_empty_body(http_request *q, problem *p);
/* A whole number from min to max out of text; false with the problem. */
bool route_number(rag_str text, const char *param, int64_t min, int64_t max, int64_t *out, problem *p);
/* The same from the query string; *out stays when it is absent. */
bool route_param_number(http_request *q, const char *name, int64_t min, int64_t max, int64_t *out, problem *p);

route_handler route_ask, route_search;
route_handler route_conversation, route_forget;
route_handler route_answer, route_replay;
route_handler route_documents, route_document, route_document_text;
route_handler route_generations, route_activate, route_verify, route_backup;
route_handler route_reload, route_status, route_livez, route_readyz, route_health, route_metrics;
route_handler route_openapi, route_page;

#endif
