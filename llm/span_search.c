#include "llm/span_search.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/utf8.h"
#include "llm/span_text.h"

enum {
    MAX_EVIDENCE_BYTES = 256 * 1024,
    MAX_STARTS = 4096,
    MAX_NODES = 32 * 1024,
    PROMISE_TOKENS = 2,
    DEFAULT_NODES = 48,
};

/* A start in the evidence and the node of its first token. */
typedef struct span_place {
    size_t reading;
    span_start start;
    int first;
} span_place;

/* The tree */

static int add_node(span_search *s, int parent, int32_t token)
{
    if (s->n_nodes == MAX_NODES)
        return -1;
    if (s->n_nodes == s->cap_nodes) {
        s->cap_nodes = s->cap_nodes ? 2 * s->cap_nodes : 256;
        s->nodes = rag_realloc(s->nodes, s->cap_nodes * sizeof *s->nodes);
    }
    int i = (int)s->n_nodes++;
    s->nodes[i] = (span_node){ .token = token, .parent = parent, .child = -1, .sibling = -1, .chain = -1 };
    if (parent < 0)
        return i;
    s->nodes[i].depth = s->nodes[parent].depth + 1;
    s->nodes[i].reading = s->nodes[parent].reading;
    int *link = &s->nodes[parent].child;
    while (*link >= 0)
        link = &s->nodes[*link].sibling;
    *link = i;
    return i;
}

/* The child of parent that holds token, made when there is none; -1 when the tree is full. */
static int child_of(span_search *s, int parent, int32_t token)
{
    for (int i = s->nodes[parent].child; i >= 0; i = s->nodes[i].sibling)
        if (s->nodes[i].token == token)
            return i;
    return add_node(s, parent, token);
}

static void fold_breaks(char *text, size_t len)
{
    for (size_t i = 0; i < len; i++)
        if (text[i] == '\n' || text[i] == '\r' || text[i] == '\t')
            text[i] = ' ';
}

/* The prompt shows the evidence without line breaks, so the model would not write them either. */
static size_t tokens_of(const span_search *s, size_t reading, rag_span span, int32_t *out)
{
    char text[SPAN_MAX_BYTES + 8];
    rag_str part = rag_str_sub(s->evidence[reading], span.start, span.end);
    if (s->lead.len > 0)
        memcpy(text, s->lead.ptr, s->lead.len);
    memcpy(text + s->lead.len, part.ptr, part.len);
    fold_breaks(text, s->lead.len + part.len);
    return s->tokenize(s->context, (rag_str){ text, s->lead.len + part.len }, out, SPAN_MAX_TOKENS);
}

/* Starting */

static void add_place(span_search *s, size_t reading, const span_start *start)
{
    int32_t tokens[SPAN_MAX_TOKENS];
    span_place p = { .reading = reading, .start = { start->at, 0 }, .first = -1 };
    rag_str text = s->evidence[reading];
    for (size_t end = start->last; end > start->at && p.start.last == 0; rag_utf8_prev(text, &end))
        p.start.last = span_ends_at(text, start->at, end) ? end : 0;
    if (p.start.last == 0)
        return;
    if (tokens_of(s, reading, (rag_span){ p.start.at, p.start.last }, tokens) > 0)
        p.first = child_of(s, (int)reading, tokens[0]);
    if (p.first >= 0)
        s->places[s->n_places++] = p;
}

static void add_places(span_search *s)
{
    span_start *starts = rag_calloc(MAX_STARTS, sizeof *starts);
    s->places = rag_calloc(MAX_STARTS, sizeof *s->places);
    for (size_t r = 0; r < s->n_readings; r++) {
        size_t n = span_starts(s->evidence[r], starts, MAX_STARTS - s->n_places);
        for (size_t i = 0; i < n; i++)
            add_place(s, r, &starts[i]);
    }
    free(starts);
}

static double or_default(double value, double fallback)
{
    return value > 0 ? value : fallback;
}

static rag_str copy(rag_str s)
{
    return (rag_str){ rag_strndup(s), s.len };
}

rag_code span_search_init(span_search *s, const rag_llm_spans *query, rag_str lead, span_tokenizer tokenize,
                          void *context, rag_err *err)
{
    size_t bytes = query->question.len;
    *s = (span_search){ .lead = lead, .tokenize = tokenize, .context = context,
                        .lambda = or_default(query->lambda, 0.3), .alpha = or_default(query->alpha, 0.5),
                        .gamma = or_default(query->gamma, 1),
                        .max_nodes = query->max_nodes > 0 ? query->max_nodes : DEFAULT_NODES };
    if (query->n_readings == 0 || query->n_readings > RAG_LLM_MAX_READINGS)
        return rag_fail(err, RAG_INVALID, "spans need one to %d readings, not %zu", RAG_LLM_MAX_READINGS,
                        query->n_readings);
    for (size_t i = 0; i < query->n_readings; i++)
        bytes += query->readings[i].evidence.len;
    if (bytes > MAX_EVIDENCE_BYTES)
        return rag_fail(err, RAG_TOO_LARGE, "evidence of %zu bytes is too much for spans", bytes);
    s->question = copy(query->question);
    for (; s->n_readings < query->n_readings; s->n_readings++) {
        size_t r = s->n_readings;
        s->evidence[r] = copy(query->readings[r].evidence);
        s->bonus[r] = query->readings[r].bonus;
        add_node(s, -1, -1);
        s->nodes[r].is_known = true;
        s->nodes[r].reading = r;
    }
    add_places(s);
    return RAG_OK;
}

void span_search_free(span_search *s)
{
    for (size_t i = 0; i < s->n_readings; i++)
        free((char *)s->evidence[i].ptr);
    free((char *)s->question.ptr);
    free(s->places);
    free(s->nodes);
    *s = (span_search){ 0 };
}

/* Growing: the spans of the first tokens that were kept.  A span that is not the longest of its start must be the
 * beginning of it for the tokenizer, too: half a Chinese word is none. */

static void add_longest(span_search *s, const span_place *p)
{
    int32_t tokens[SPAN_MAX_TOKENS];
    int node = (int)p->reading;
    size_t n = tokens_of(s, p->reading, (rag_span){ p->start.at, p->start.last }, tokens);
    for (size_t i = 0; i < n && i < SPAN_MAX_TOKENS && node >= 0; i++)
        node = child_of(s, node, tokens[i]);
}

static int find_node(const span_search *s, size_t reading, const int32_t *tokens, size_t n)
{
    int node = (int)reading;
    for (size_t i = 0; i < n && node >= 0; i++) {
        node = s->nodes[node].child;
        while (node >= 0 && s->nodes[node].token != tokens[i])
            node = s->nodes[node].sibling;
    }
    return node;
}

static void add_end(span_search *s, size_t reading, rag_span span)
{
    int32_t tokens[SPAN_MAX_TOKENS];
    size_t n = tokens_of(s, reading, span, tokens);
    int node = n > 0 && n <= SPAN_MAX_TOKENS ? find_node(s, reading, tokens, n) : -1;
    if (node < 0 || s->nodes[node].is_end)
        return;
    s->nodes[node].is_end = true;
    s->nodes[node].span = span;
    s->nodes[node].echo = span_echo(rag_str_sub(s->evidence[reading], span.start, span.end), s->question);
}

static void grow(span_search *s)
{
    for (size_t i = 0; i < s->n_places; i++)
        if (!s->nodes[s->places[i].first].is_dropped)
            add_longest(s, &s->places[i]);
    for (size_t i = 0; i < s->n_places; i++) {
        const span_place *p = &s->places[i];
        size_t end = p->start.at;
        while (!s->nodes[p->first].is_dropped && (end = span_next_end(s->evidence[p->reading], &p->start, end)) > 0)
            add_end(s, p->reading, (rag_span){ p->start.at, end });
    }
}

/* Choosing */

static double gain(const span_search *s, const double of[SPAN_PASSES])
{
    return of[0] - s->lambda * of[1];
}

static double score_of(const span_search *s, const span_node *n)
{
    return (gain(s, n->path) + gain(s, n->end)) / pow(n->depth + 1, s->alpha) - s->gamma * n->echo + s->bonus[n->reading];
}

static double promise_of(const span_search *s, const span_node *n)
{
    double so_far = gain(s, n->path);
    return so_far / pow(n->depth + (so_far < 0 ? 1 + PROMISE_TOKENS : 1), s->alpha) + s->bonus[n->reading];
}

static double best_score(const span_search *s)
{
    double best = -INFINITY;
    for (size_t i = 0; i < s->n_nodes; i++)
        if (s->nodes[i].is_scored && s->nodes[i].is_end)
            best = fmax(best, score_of(s, &s->nodes[i]));
    return best;
}

/* The SPAN_BEAM waiting nodes that promise most, best first; all others are dropped. */
static size_t choose(span_search *s, int out[SPAN_BEAM])
{
    double promises[SPAN_BEAM + 1], floor = best_score(s);
    size_t n = 0;
    for (int i = (int)s->n_readings; i < (int)s->n_nodes; i++) {
        span_node *node = &s->nodes[i];
        double promise = promise_of(s, node);
        if (!node->is_known || node->is_scored || node->is_dropped)
            continue;
        size_t at = n;
        while (at > 0 && promise > promises[at - 1])
            at--;
        if (at == SPAN_BEAM || !(promise > floor)) {
            node->is_dropped = true;
            continue;
        }
        if (n == SPAN_BEAM)
            s->nodes[out[--n]].is_dropped = true;
        memmove(promises + at + 1, promises + at, (n - at) * sizeof *promises);
        memmove(out + at + 1, out + at, (n - at) * sizeof *out);
        promises[at] = promise;
        out[at] = i;
        n++;
    }
    return n;
}

static size_t unscored_roots(const span_search *s, int *nodes)
{
    size_t n = 0;
    for (size_t r = 0; r < s->n_readings; r++)
        if (!s->nodes[r].is_scored)
            nodes[n++] = (int)r;
    return n;
}

size_t span_search_next(span_search *s, int *nodes)
{
    int waiting[SPAN_BEAM + 1];
    size_t n = 0;
    if (s->n_places == 0 || s->n_scored >= s->max_nodes)
        return 0;
    if ((n = unscored_roots(s, nodes)) > 0)
        return n;
    size_t n_waiting = choose(s, waiting);
    if (!s->is_grown)
        grow(s);
    s->is_grown = true;
    for (size_t i = 0; i < n_waiting && i < SPAN_ROUND; i++) {
        nodes[n++] = waiting[i];
        if (s->nodes[waiting[i]].child >= 0)
            nodes[n++] = s->nodes[waiting[i]].child;
    }
    return n;
}

void span_search_tell(span_search *s, int node, int pass, int n_passes, double end,
                      double (*logprob)(void *context, int32_t token), void *context)
{
    span_node *n = &s->nodes[node];
    bool is_last = pass + 1 == n_passes;
    n->end[pass] = end;
    for (int i = n->child; i >= 0; i = s->nodes[i].sibling) {
        s->nodes[i].path[pass] = n->path[pass] + logprob(context, s->nodes[i].token);
        s->nodes[i].is_known |= is_last;
    }
    n->is_scored |= is_last;
    s->n_scored += is_last && n->parent >= 0;
}

/* Results */

static size_t insert(rag_llm_span *out, size_t n, size_t max, const rag_llm_span *span)
{
    size_t at = n;
    while (at > 0 && span->score > out[at - 1].score)
        at--;
    if (at == max)
        return n;
    n -= n == max;
    memmove(out + at + 1, out + at, (n - at) * sizeof *out);
    out[at] = *span;
    return n + 1;
}

size_t span_search_best(const span_search *s, rag_llm_span *out, size_t max)
{
    double sum = 0;
    size_t n = 0;
    for (size_t i = 0; i < s->n_nodes; i++) {
        const span_node *node = &s->nodes[i];
        if (!node->is_scored || !node->is_end)
            continue;
        rag_llm_span span = { .reading = node->reading, .span = node->span, .echo = node->echo, .tokens = (size_t)node->depth,
                              .score = score_of(s, node), .logprob = node->path[0] + node->end[0],
                              .prior_logprob = node->path[1] + node->end[1] };
        sum += exp(span.logprob);
        n = insert(out, n, max, &span);
    }
    for (size_t i = 0; i < n; i++)
        out[i].probability = sum > 0 ? exp(out[i].logprob) / sum : 0;
    return n;
}
