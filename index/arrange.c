/* Hits to results. */
#include <math.h>
#include <string.h>

#include "base/utf8.h"
#include "index/search_impl.h"
#include "index/twins.h"

enum {
    MAX_GAP = 512,   /* bytes between neighbours that are read to join them */
    SEAM_TOKENS = 3, /* above the sum when a text was cut without a gap: 2 was the most in 40,000 such pairs */
};

/* What became of a hit of the pool. */
typedef struct place {
    rag_fate fate; /* RESULT while it stands for itself */
    size_t into;   /* the hit that it is part of or a twin of */
    int first, last; /* ordinals of the chunks that it holds */
    int rank;      /* from 1; 0 = not among the results */
} place;

typedef struct arranger {
    rag_reader *r;
    rag_arena *arena;
    const rag_hit *pool; /* as they came */
    rag_hit *hits;       /* as they become */
    place *places;
    size_t n, top_k;
    size_t *order;       /* the hits that stand, best first */
    size_t n_order;
} arranger;

/* ---- twins ---------------------------------------------------------------------------- */

/* A hit with the query's exact strings is never hidden behind one without. */
static bool may_stand_for(const rag_hit *better, const rag_hit *hit)
{
    return better->holds_exact || !hit->holds_exact;
}

static void fold(arranger *a)
{
    gist *gists = rag_arena_array(a->arena, a->n + 1, sizeof *gists);
    for (size_t i = 0; i < a->n; i++) {
        size_t k = 0;
        gist_make(a->pool[i].text, a->arena, &gists[i]);
        while (k < a->n_order && !(may_stand_for(&a->pool[a->order[k]], &a->pool[i]) &&
                                   gist_is_twin(&gists[a->order[k]], &gists[i])))
            k++;
        if (k == a->n_order)
            a->order[a->n_order++] = i;
        else
            a->places[i] = (place){ .fate = RAG_FATE_TWIN, .into = a->order[k] };
    }
}

/* ---- neighbours ------------------------------------------------------------------------- */

/* What joining costs, at most: a token of the embedder's holds one character or more, and a word may begin with one that holds
 * none. */
static size_t most_tokens(rag_str gap)
{
    rag_buf b;
    size_t n = gap.len == 0 ? SEAM_TOKENS : 0;
    bool in_word = false;
    rag_buf_init(&b, RAG_MAX_LINE);
    rag_unicode_nfkc(gap, &b);
    rag_str s = rag_buf_str(&b);
    for (size_t pos = 0; pos < s.len;) {
        bool is_space = rag_unicode_is_space(rag_utf8_next(s, &pos));
        n += is_space ? 0 : in_word ? 1 : 2;
        in_word = !is_space;
    }
    rag_buf_free(&b);
    return n;
}

static rag_code read_gap(arranger *a, const rag_hit *left, const rag_hit *right, rag_buf *out, rag_err *err)
{
    int64_t version = 0;
    if (left->end >= right->start)
        return RAG_OK;
    rag_code code = db_number(a->r->db, &version, "SELECT version_id FROM chunks WHERE id = ?",
                              BIND(num(left->chunk_id)), err);
    if (code == RAG_NOT_FOUND)
        return rag_fail(err, RAG_CORRUPT, "chunk %lld is missing", (long long)left->chunk_id);
    return code == RAG_OK ? text_get(a->r->db, version, left->end, right->start, out, err) : code;
}

static size_t shared_heading(const rag_hit *a, const rag_hit *b)
{
    size_t n = 0;
    while (n < a->n_heading && n < b->n_heading && rag_str_eq(a->heading[n], b->heading[n]))
        n++;
    return n;
}

static rag_str concatenate(rag_arena *arena, rag_str a, rag_str b, rag_str c)
{
    char *p = rag_arena_alloc(arena, a.len + b.len + c.len + 1);
    rag_str parts[] = { a, b, c };
    size_t len = 0;
    for (int i = 0; i < 3; i++) {
        if (parts[i].len)
            memcpy(p + len, parts[i].ptr, parts[i].len);
        len += parts[i].len;
    }
    return (rag_str){ p, len };
}

/* The better hit becomes both, with what stands between. */
static void widen(arranger *a, size_t better, const rag_hit *left, const rag_hit *right, rag_str gap, size_t tokens)
{
    rag_hit joint = a->hits[better];
    joint.text = concatenate(a->arena, left->text, gap, right->text);
    joint.start = left->start;
    joint.end = right->end;
    joint.line_start = left->line_start;
    joint.line_end = right->line_end;
    joint.page = left->page;
    joint.ordinal = left->ordinal;
    joint.n_heading = shared_heading(left, right);
    joint.tokens = tokens;
    joint.holds_exact = left->holds_exact || right->holds_exact;
    joint.coverage = fmax(left->coverage, right->coverage);
    a->hits[better] = joint;
}

/* What a comment says no reader sees; it is in no chunk, so that no passage shows it either. */
static bool has_comment(rag_str gap)
{
    return rag_str_find(gap, RAG_STR("<!--"), 0) != SIZE_MAX;
}

static rag_code join(arranger *a, size_t better, size_t other, bool *joined, rag_err *err)
{
    bool is_left = a->places[better].last < a->places[other].first;
    const rag_hit *left = &a->hits[is_left ? better : other], *right = &a->hits[is_left ? other : better];
    *joined = false;
    if (left->tokens + right->tokens > RAG_PASSAGE_TOKENS || right->start > left->end + MAX_GAP)
        return RAG_OK;
    rag_buf gap;
    rag_buf_init(&gap, MAX_GAP);
    rag_code code = read_gap(a, left, right, &gap, err);
    size_t tokens = left->tokens + right->tokens + most_tokens(rag_buf_str(&gap));
    if (code == RAG_OK && tokens <= RAG_PASSAGE_TOKENS && !has_comment(rag_buf_str(&gap))) {
        widen(a, better, left, right, rag_buf_str(&gap), tokens);
        *joined = true;
    }
    rag_buf_free(&gap);
    return code;
}

static bool are_neighbours(const arranger *a, size_t i, size_t k)
{
    const place *p = &a->places[i], *q = &a->places[k];
    return a->hits[i].document_id == a->hits[k].document_id && (p->last + 1 == q->first || q->last + 1 == p->first);
}

/* The hit at `at` in the order takes the best neighbour behind it. */
static rag_code grow(arranger *a, size_t at, size_t among, bool *grown, rag_err *err)
{
    rag_code code = RAG_OK;
    size_t better = a->order[at];
    *grown = false;
    for (size_t k = at + 1; code == RAG_OK && !*grown && k < among; k++) {
        size_t other = a->order[k];
        if (a->places[other].fate != RAG_FATE_RESULT || !are_neighbours(a, better, other))
            continue;
        code = join(a, better, other, grown, err);
        if (*grown) {
            place *p = &a->places[better], *q = &a->places[other];
            p->first = p->first < q->first ? p->first : q->first;
            p->last = p->last > q->last ? p->last : q->last;
            q->fate = RAG_FATE_MERGED;
            q->into = better;
        }
    }
    return code;
}

static rag_code merge(arranger *a, rag_err *err)
{
    rag_code code = RAG_OK;
    size_t among = a->n_order < a->top_k ? a->n_order : a->top_k, kept = 0;
    for (size_t i = 0; code == RAG_OK && i < among; i++) {
        bool grown = a->places[a->order[i]].fate == RAG_FATE_RESULT;
        while (code == RAG_OK && grown)
            code = grow(a, i, among, &grown, err);
    }
    for (size_t i = 0; i < a->n_order; i++)
        if (a->places[a->order[i]].fate == RAG_FATE_RESULT)
            a->order[kept++] = a->order[i];
    a->n_order = kept;
    return code;
}

/* ---- order -------------------------------------------------------------------------------- */

static size_t share_of(double share, size_t top_k)
{
    if (!(share > 0 && share < 1))
        return SIZE_MAX;
    double n = ceil(share * (double)top_k - 1e-9);
    return n > 1 ? (size_t)n : 1;
}

static size_t of_same_document(const arranger *a, const size_t *list, size_t n, size_t hit)
{
    size_t same = 0;
    for (size_t i = 0; i < n; i++)
        same += a->hits[list[i]].document_id == a->hits[hit].document_id;
    return same;
}

bool search_lacks_results(const rag_search *q, const rag_results *got)
{
    size_t top_k = search_top_k(q), limit = share_of(q->document_share, top_k);
    for (size_t i = 0; i < got->n; i++) {
        size_t same = 0;
        for (size_t k = 0; k < i; k++)
            same += got->hits[k].document_id == got->hits[i].document_id;
        if (same >= limit && !got->hits[i].holds_exact)
            return true;
    }
    return got->n < top_k;
}

/* A document's surplus goes behind all others. */
static void share(arranger *a, size_t limit)
{
    size_t *surplus = rag_arena_array(a->arena, a->n_order + 1, sizeof *surplus), kept = 0, n = 0;
    for (size_t i = 0; i < a->n_order; i++) {
        size_t hit = a->order[i];
        bool stays = a->hits[hit].holds_exact || of_same_document(a, a->order, kept, hit) < limit;
        if (stays)
            a->order[kept++] = hit;
        else
            surplus[n++] = hit;
    }
    for (size_t i = 0; i < n; i++) {
        a->places[surplus[i]].fate = RAG_FATE_SHARE;
        a->order[kept + i] = surplus[i];
    }
}

/* The best hit with the query's exact strings takes the last place if none is before it. */
static void keep_exact(arranger *a)
{
    size_t i = 0;
    while (i < a->n_order && !a->hits[a->order[i]].holds_exact)
        i++;
    if (i == a->n_order || i < a->top_k)
        return;
    size_t hit = a->order[i];
    memmove(&a->order[a->top_k], &a->order[a->top_k - 1], (i - a->top_k + 1) * sizeof *a->order);
    a->order[a->top_k - 1] = hit;
}

/* ---- names --------------------------------------------------------------------------------- */

static size_t stands_for(const arranger *a, size_t i)
{
    while (a->places[i].fate == RAG_FATE_TWIN || a->places[i].fate == RAG_FATE_MERGED)
        i = a->places[i].into;
    return i;
}

/* The ids that a hit holds, in order of the text. */
static void name_merged(const arranger *a, size_t hit, rag_hit *out)
{
    const place *p = &a->places[hit];
    if (p->first == p->last)
        return;
    size_t n = (size_t)(p->last - p->first) + 1;
    int64_t *ids = rag_arena_array(a->arena, n, sizeof *ids);
    rag_part *parts = rag_arena_array(a->arena, n, sizeof *parts);
    for (size_t i = 0; i < a->n; i++)
        if (a->places[i].fate != RAG_FATE_TWIN && stands_for(a, i) == hit) {
            const rag_hit *h = &a->pool[i];
            ids[h->ordinal - p->first] = h->chunk_id;
            parts[h->ordinal - p->first] = (rag_part){ h->start, h->heading, h->n_heading };
        }
    out->merged = ids;
    out->parts = parts;
    out->n_merged = n;
}

static void name_twins(const arranger *a, size_t hit, rag_hit *out)
{
    size_t n = 0;
    for (size_t i = 0; i < a->n; i++)
        n += a->places[i].fate == RAG_FATE_TWIN && stands_for(a, i) == hit;
    if (n == 0)
        return;
    rag_twin *twins = rag_arena_array(a->arena, n, sizeof *twins);
    for (size_t i = 0; i < a->n; i++)
        if (a->places[i].fate == RAG_FATE_TWIN && stands_for(a, i) == hit)
            twins[out->n_twins++] = (rag_twin){ a->pool[i].chunk_id, a->pool[i].document_id, a->pool[i].document };
    out->twins = twins;
}

static void number(arranger *a, rag_results *io)
{
    io->n = a->n_order < a->top_k ? a->n_order : a->top_k;
    rag_hit *out = rag_arena_array(a->arena, io->n + 1, sizeof *out);
    for (size_t i = 0; i < io->n; i++) {
        size_t hit = a->order[i];
        out[i] = a->hits[hit];
        out[i].rank = a->places[hit].rank = (int)i + 1;
        name_merged(a, hit, &out[i]);
        name_twins(a, hit, &out[i]);
    }
    io->hits = out;
}

static void tell_fate(const arranger *a, rag_candidate *c)
{
    size_t i = 0;
    c->fate = RAG_FATE_BELOW;
    c->other = 0;
    while (i < a->n && a->pool[i].chunk_id != c->chunk_id)
        i++;
    if (i == a->n)
        return;
    const place *whole = &a->places[stands_for(a, i)];
    if (whole->rank == 0) {
        c->fate = whole->fate == RAG_FATE_SHARE ? RAG_FATE_SHARE : RAG_FATE_BELOW;
        return;
    }
    c->fate = a->places[i].fate == RAG_FATE_SHARE ? RAG_FATE_RESULT : a->places[i].fate;
    c->other = (size_t)whole->rank - 1;
}

rag_code search_arrange(rag_reader *r, const rag_search *q, rag_arena *arena, rag_results *io, rag_err *err)
{
    arranger a = { .r = r, .arena = arena, .pool = io->hits, .n = io->n, .top_k = search_top_k(q) };
    a.hits = rag_arena_array(arena, a.n + 1, sizeof *a.hits);
    a.places = rag_arena_array(arena, a.n + 1, sizeof *a.places);
    a.order = rag_arena_array(arena, a.n + 1, sizeof *a.order);
    for (size_t i = 0; i < a.n; i++) {
        a.hits[i] = a.pool[i];
        a.places[i] = (place){ .fate = RAG_FATE_RESULT, .first = a.pool[i].ordinal, .last = a.pool[i].ordinal };
    }
    fold(&a);
    rag_code code = merge(&a, err);
    if (code != RAG_OK)
        return code;
    share(&a, share_of(q->document_share, a.top_k));
    keep_exact(&a);
    number(&a, io);
    for (size_t i = 0; i < io->n_candidates; i++)
        tell_fate(&a, &io->candidates[i]);
    return RAG_OK;
}
