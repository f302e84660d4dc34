/* Filters inside the search, against brute force and against a store that holds nothing else.
 *
 * Worlds of random documents (collections, groups, languages, paths, times, several generations) are searched under random
 * filters.  The test knows what every generation shows, so it says which passages must come, in which order and with
 * which scores; and for some filters it builds a second store of the visible documents alone, which must answer word for
 * word the same: nothing that is hidden may count, not even in a mean. */
#include "kb.h"

#include <limits.h>
#include <math.h>
#include <pthread.h>

#include "index/snapshot.h"

enum {
    WORLDS = 25,
    FILTERS = 40,  /* of a world */
    SEARCHES = 10, /* under a filter: 10,000 in all */
    STORES = 4,    /* filters of a world that get a second store */
    COLLECTIONS = 3,
    PATHS = 30,
    GROUPS = 3,
    GENERATIONS = 3,
    SNAPSHOTS = GENERATIONS + 1,
    MAX_PASSAGES = 3,
    MAX_DOCUMENTS = COLLECTIONS * PATHS * GENERATIONS,
    MAX_ROWS = COLLECTIONS * PATHS * MAX_PASSAGES,
    MAX_WORDS = 8,
};

static unsigned long long seed = 4;

static unsigned roll(unsigned below)
{
    seed = seed * 6364136223846793005ull + 1442695040888963407ull;
    return (unsigned)(seed >> 33) % below;
}

/* ---- worlds --------------------------------------------------------------------------------- */

/* One version of a document. */
typedef struct document {
    int64_t id; /* in the first store */
    int collection, path;
    unsigned groups; /* bits; 0 = everybody */
    rag_lang lang;
    int64_t mtime_ns;
    int from, to; /* generations that show it */
    char title[16];
    char text[300];
    size_t n;
    struct {
        size_t start, end, length; /* in words */
        float vector[KB_DIM];
    } passages[MAX_PASSAGES];
} document;

typedef struct world {
    char *dir;
    rag_index *ix;
    rag_reader *r;
    rag_snapshot *snapshots[SNAPSHOTS];
    int generation[SNAPSHOTS];
    document documents[MAX_DOCUMENTS];
    size_t n;
    bool is_rich; /* titles, and words for all that a query is looked at for */
} world;

/* Four letters without a stem: "bako". */
static const char *random_word(void)
{
    static char word[5];
    snprintf(word, sizeof word, "%c%c%c%c", "bdgk"[roll(4)], "aou"[roll(3)], "mnpt"[roll(4)], "aou"[roll(3)]);
    return word;
}

/* Also long ones, which one wrong letter is forgiven, part numbers, and Han. */
static const char *rich_word(void)
{
    static const char *const han[] = { "退货", "退貨", "保修", "年" };
    static char word[16];
    unsigned kind = roll(8);
    if (kind == 0)
        snprintf(word, sizeof word, "po%cuka%c", "bdgk"[roll(4)], "mn"[roll(2)]);
    else if (kind == 1)
        snprintf(word, sizeof word, "%c-%u", "EK"[roll(2)], 10 + roll(20));
    else
        snprintf(word, sizeof word, "%s", kind == 2 ? han[roll(4)] : random_word());
    return word;
}

static void path_of(int path, char out[32])
{
    static const char *const folders[] = { "", "hr/", "hr/pay/", "it/", "\xe6\x97\xa5\xe6\x9c\xac/" };
    snprintf(out, 32, "%sd%d.md", folders[path % 5], path);
}

static void groups_of(unsigned bits, char out[32])
{
    out[0] = '\0';
    for (int g = 0; g < GROUPS; g++)
        if (bits >> g & 1)
            snprintf(out + strlen(out), 32 - strlen(out), "%sg%d", *out ? "," : "", g);
}

static void write_passages(document *d, bool is_rich)
{
    size_t at = 0;
    d->n = 1 + roll(MAX_PASSAGES);
    for (size_t i = 0; i < d->n; i++) {
        at += (size_t)snprintf(d->text + at, sizeof d->text - at, "%s", i ? "\n\n" : "");
        d->passages[i].start = at;
        d->passages[i].length = 2 + roll(MAX_WORDS - 1);
        for (size_t w = 0; w < d->passages[i].length; w++)
            at += (size_t)snprintf(d->text + at, sizeof d->text - at, "%s%s", w ? " " : "",
                                   is_rich ? rich_word() : random_word());
        d->passages[i].end = at;
        kb_vector(rag_str_sub(rag_str_of(d->text), d->passages[i].start, at), d->passages[i].vector);
    }
}

static document random_document(const world *x, int collection, int path, int generation)
{
    document d = { .collection = collection, .path = path, .from = generation, .to = INT_MAX,
                   .groups = roll(2) ? roll(1 << GROUPS) : 0, .lang = (rag_lang)roll(2), .mtime_ns = 1 + roll(100) };
    if (x->is_rich)
        snprintf(d.title, sizeof d.title, "%s", rich_word());
    write_passages(&d, x->is_rich);
    if (x->is_rich && x->n > 0 && roll(4) == 0) { /* says the same as another */
        const document *other = &x->documents[roll((unsigned)x->n)];
        memcpy(d.text, other->text, sizeof d.text);
        memcpy(d.passages, other->passages, sizeof d.passages);
        d.n = other->n;
    }
    return d;
}

static int64_t source_of(rag_writer *w, const document *d)
{
    char collection[8], groups[32], root[16];
    int64_t id;
    snprintf(collection, sizeof collection, "c%d", d->collection);
    snprintf(root, sizeof root, "/%u", d->groups);
    groups_of(d->groups, groups);
    rag_source s = { .collection = rag_str_of(collection), .root = rag_str_of(root), .groups = rag_str_of(groups),
                     .adopt = true };
    assert_ok(rag_writer_source(w, &s, &id, &kb_err));
    return id;
}

static int64_t put(rag_writer *w, const document *d)
{
    char path[32];
    int64_t id;
    rag_chunk_in chunks[MAX_PASSAGES];
    path_of(d->path, path);
    for (size_t i = 0; i < d->n; i++) {
        bool has;
        rag_str text = rag_str_sub(rag_str_of(d->text), d->passages[i].start, d->passages[i].end);
        chunks[i] = (rag_chunk_in){ .start = d->passages[i].start, .end = d->passages[i].end, .line_start = 1 + 2 * i,
                                    .line_end = 1 + 2 * i, .tokens = 1, .embedding = rag_sha256_of(text) };
        assert_ok(rag_writer_has_embedding(w, &chunks[i].embedding, &has, &kb_err));
        if (!has)
            assert_ok(rag_writer_add_embedding(w, &chunks[i].embedding, d->passages[i].vector, &kb_err));
    }
    rag_document_in in = { .source_id = source_of(w, d), .path = rag_str_of(path), .title = rag_str_of(d->title),
                           .lang = d->lang, .text = rag_str_of(d->text), .size = (int64_t)strlen(d->text),
                           .mtime_ns = d->mtime_ns, .sha256 = rag_sha256_of(rag_str_of(d->text)), .chunks = chunks,
                           .n_chunks = d->n };
    assert_ok(rag_writer_put(w, &in, &id, &kb_err));
    return id;
}

static document *living(world *x, int collection, int path)
{
    for (size_t i = 0; i < x->n; i++)
        if (x->documents[i].collection == collection && x->documents[i].path == path && x->documents[i].to == INT_MAX)
            return &x->documents[i];
    return NULL;
}

/* New documents, new versions, removals. */
static void change(world *x, rag_writer *w, int collection, int path, int generation)
{
    document *old = living(x, collection, path);
    bool removes = old && roll(6) == 0, puts = !removes && roll(old ? 4 : 2) == 0;
    if (!removes && !puts)
        return;
    if (old)
        old->to = generation;
    if (removes)
        assert_ok(rag_writer_remove(w, old->id, &kb_err));
    if (puts) {
        document *d = &x->documents[x->n++];
        *d = random_document(x, collection, path, generation);
        d->id = put(w, d);
    }
}

static void hold(world *x, size_t i, int generation)
{
    assert_ok(rag_index_refresh(x->ix, NULL, &kb_err));
    x->snapshots[i] = rag_index_acquire(x->ix);
    x->generation[i] = generation;
    assert_int_equal(rag_snapshot_generation(x->snapshots[i]), generation);
}

/* So that collections have their ids, and ties their order, in the order of names. */
static void name_collections(rag_writer *w)
{
    for (int c = 0; c < COLLECTIONS; c++)
        source_of(w, &(document){ .collection = c });
}

static world *world_new(bool is_rich)
{
    world *x = rag_calloc(1, sizeof *x);
    x->is_rich = is_rich;
    x->dir = kb_dir_new();
    x->ix = kb_open(x->dir);
    rag_writer *w = kb_begin(x->ix);
    name_collections(w);
    for (int g = 1; g <= GENERATIONS; g++) {
        for (int i = 0; i < COLLECTIONS * PATHS; i++)
            change(x, w, i % COLLECTIONS, i / COLLECTIONS, g);
        assert_int_equal(kb_publish(w).generation, g);
        hold(x, (size_t)g - 1, g);
    }
    rag_writer_end(w);
    /* An old generation, seen from where later ones have their rows. */
    assert_ok(rag_index_activate(x->ix, 1, &kb_err));
    hold(x, GENERATIONS, 1);
    assert_ok(rag_reader_open(&x->r, x->ix, &kb_err));
    return x;
}

static void world_free(world *x)
{
    rag_reader_close(x->r);
    for (size_t i = 0; i < SNAPSHOTS; i++)
        rag_snapshot_release(x->snapshots[i]);
    rag_index_close(x->ix);
    kb_dir_remove(x->dir);
    free(x);
}

/* ---- filters and searches ---------------------------------------------------------------------- */

/* A filter with the strings that it borrows. */
typedef struct wanted {
    rag_filter filter;
    int collection; /* -1: all */
    unsigned groups;
    char name[8];
    char prefix[32];
    rag_str names[GROUPS + 1];
} wanted;

static void random_prefix(char out[32])
{
    static const char *const prefixes[] = { "", "", "", "h", "hr/", "hr/d1", "hr/pay/", "it/d", "zz", "\xe6\x97",
                                            "\xe6\x97\xa5\xe6\x9c\xac/", "d" };
    unsigned i = roll(1 + sizeof prefixes / sizeof *prefixes);
    if (i == sizeof prefixes / sizeof *prefixes)
        path_of((int)roll(PATHS), out);
    else
        snprintf(out, 32, "%s", prefixes[i]);
}

static void random_filter(wanted *w)
{
    static const rag_str names[GROUPS] = { { "g0", 2 }, { "g1", 2 }, { "g2", 2 } };
    *w = (wanted){ .collection = (int)roll(COLLECTIONS + 1) - 1, .groups = roll(1 << GROUPS) };
    snprintf(w->name, sizeof w->name, "c%d", w->collection);
    random_prefix(w->prefix);
    rag_filter *f = &w->filter;
    f->collection = w->collection < 0 ? RAG_STR("*") : rag_str_of(w->name);
    f->path_prefix = rag_str_of(w->prefix);
    f->all_groups = roll(3) == 0;
    f->groups = w->names;
    for (int g = 0; g < GROUPS; g++)
        if (w->groups >> g & 1)
            w->names[f->n_groups++] = names[g];
    if (roll(4) == 0)
        w->names[f->n_groups++] = RAG_STR("nobody");
    f->langs = roll(2) ? roll(4) : 0;
    f->modified_from_ns = roll(3) ? 0 : 1 + roll(100);
    f->modified_before_ns = roll(3) ? 0 : 1 + roll(110);
}

static bool lets_through(const wanted *w, const document *d, int generation)
{
    char path[32];
    const rag_filter *f = &w->filter;
    path_of(d->path, path);
    return d->from <= generation && generation < d->to && (w->collection < 0 || w->collection == d->collection) &&
           (f->all_groups || !d->groups || (d->groups & w->groups)) && strncmp(path, w->prefix, strlen(w->prefix)) == 0 &&
           (!f->langs || (f->langs >> d->lang & 1)) && (!f->modified_from_ns || d->mtime_ns >= f->modified_from_ns) &&
           (!f->modified_before_ns || d->mtime_ns < f->modified_before_ns);
}

/* A passage that must be found. */
typedef struct row {
    const document *d;
    size_t passage;
    double vector_score, text_score;
} row;

static size_t visible_rows(const world *x, const wanted *w, int generation, row *out)
{
    size_t n = 0;
    for (size_t i = 0; i < x->n; i++)
        for (size_t p = 0; lets_through(w, &x->documents[i], generation) && p < x->documents[i].n; p++)
            out[n++] = (row){ .d = &x->documents[i], .passage = p };
    return n;
}

typedef struct question {
    char text[96];
    float vector[KB_DIM];
    rag_search search;
} question;

static void random_question(question *q, const wanted *w, bool is_rich)
{
    static const rag_search_mode modes[] = { RAG_SEARCH_HYBRID, RAG_SEARCH_VECTOR, RAG_SEARCH_TEXT };
    size_t at = 0;
    q->text[0] = '\0';
    for (unsigned i = 0, n = 1 + roll(4); i < n; i++)
        at += (size_t)snprintf(q->text + at, sizeof q->text - at, "%s%s", i ? " " : "",
                               is_rich ? rich_word() : random_word());
    if (is_rich && roll(4) == 0)
        snprintf(q->text + at, sizeof q->text - at, " \"%s\"", rich_word());
    kb_vector(rag_str_of(q->text), q->vector);
    int k = roll(4) ? 1 + (int)roll(20) : 1 + (int)roll(100);
    q->search = (rag_search){ .query = rag_str_of(q->text), .vector = q->vector, .mode = modes[roll(3)], .top_k = k,
                              .pool = k, .filter = w->filter };
}

/* ---- brute force ----------------------------------------------------------------------------------- */

/* How often the word stands in the passage. */
static double count_word(const row *r, rag_str word)
{
    double n = 0;
    rag_str text = rag_str_sub(rag_str_of(r->d->text), r->d->passages[r->passage].start, r->d->passages[r->passage].end);
    for (size_t at = 0; (at = rag_str_find(text, word, at)) != SIZE_MAX; at += word.len)
        n++;
    return n;
}

/* Robertson and Zaragoza 2009, eq. 3.15, over these rows and no others. */
static void add_text_scores(row *rows, size_t n, rag_str word)
{
    double holders = 0, words = 0;
    for (size_t i = 0; i < n; i++) {
        holders += count_word(&rows[i], word) > 0;
        words += (double)rows[i].d->passages[rows[i].passage].length;
    }
    double idf = log(1 + ((double)n - holders + 0.5) / (holders + 0.5));
    for (size_t i = 0; i < n; i++) {
        double tf = count_word(&rows[i], word);
        double length = (double)rows[i].d->passages[rows[i].passage].length / (words / (double)n);
        rows[i].text_score += idf * tf * 2.2 / (tf + 1.2 * (1 - 0.75 + 0.75 * length));
    }
}

static void score_rows(row *rows, size_t n, const question *q)
{
    rag_str text = rag_str_of(q->text);
    for (size_t i = 0; i < n; i++)
        for (int k = 0; k < KB_DIM; k++)
            rows[i].vector_score += (double)rows[i].d->passages[rows[i].passage].vector[k] * q->vector[k];
    for (size_t at = 0; at < text.len; at += 5) {
        rag_str word = rag_str_sub(text, at, at + 4);
        if (rag_str_find(rag_str_sub(text, 0, at), word, 0) == SIZE_MAX)
            add_text_scores(rows, n, word);
    }
}

static int by_place(const row *a, const row *b)
{
    char p[32], q[32];
    path_of(a->d->path, p);
    path_of(b->d->path, q);
    int order = strcmp(p, q);
    if (!order)
        order = a->d->collection - b->d->collection;
    return order ? order : (int)a->passage - (int)b->passage;
}

static int by_vector_score(const void *a, const void *b)
{
    const row *p = a, *q = b;
    return p->vector_score != q->vector_score ? (p->vector_score < q->vector_score ? 1 : -1) : by_place(p, q);
}

static int by_text_score(const void *a, const void *b)
{
    const row *p = a, *q = b;
    return p->text_score != q->text_score ? (p->text_score < q->text_score ? 1 : -1) : by_place(p, q);
}

static const row *row_of(const row *rows, size_t n, const rag_hit *hit)
{
    for (size_t i = 0; i < n; i++)
        if (rows[i].d->id == hit->document_id && rows[i].d->passages[rows[i].passage].start == hit->start)
            return &rows[i];
    fail_msg("'%.*s' of '%.*s' must not be seen", RAG_STR_ARG(hit->text), RAG_STR_ARG(hit->document));
    return NULL;
}

/* Equal but for rounding: floats may order such two either way.  Truly equal ones have one order. */
static bool is_close(double a, double b)
{
    return a != b && fabs(a - b) < 1e-5;
}

static void check_hit(const question *q, const row *rows, size_t n, const rag_hit *hits, size_t i)
{
    const row *r = row_of(rows, n, &hits[i]);
    rag_str text = rag_str_sub(rag_str_of(r->d->text), hits[i].start, hits[i].end);
    for (size_t k = 0; k < i; k++)
        assert_true(hits[k].chunk_id != hits[i].chunk_id);
    assert_int_equal(hits[i].end, r->d->passages[r->passage].end);
    assert_true(rag_str_eq(hits[i].text, text));
    if (q->search.mode != RAG_SEARCH_TEXT)
        assert_true(fabs(hits[i].vector_score - r->vector_score) < 1e-5);
    if (q->search.mode != RAG_SEARCH_VECTOR)
        assert_true(fabs(hits[i].text_score - r->text_score) < 1e-4);
    if (q->search.mode == RAG_SEARCH_VECTOR && r != &rows[i])
        assert_true(is_close(r->vector_score, rows[i].vector_score));
    if (q->search.mode == RAG_SEARCH_TEXT && r != &rows[i])
        assert_true(is_close(r->text_score, rows[i].text_score));
    assert_true(i == 0 || hits[i - 1].score >= hits[i].score);
}

/* rows: all that is visible, with their scores. */
static void check_against_brute_force(const question *q, row *rows, size_t n, const rag_results *found)
{
    size_t expected = n, pool = (size_t)q->search.pool;
    assert_int_equal(found->visible, n);
    if (q->search.mode == RAG_SEARCH_VECTOR)
        qsort(rows, n, sizeof *rows, by_vector_score);
    if (q->search.mode == RAG_SEARCH_TEXT) {
        qsort(rows, n, sizeof *rows, by_text_score);
        while (expected > 0 && rows[expected - 1].text_score == 0)
            expected--;
    }
    assert_int_equal(found->n, expected < pool ? expected : pool);
    for (size_t i = 0; i < found->n; i++)
        check_hit(q, rows, n, found->hits, i);
}

static void check_documents(world *x, size_t s, const wanted *w)
{
    rag_arena *arena = rag_arena_new();
    rag_document *list;
    size_t n, expected = 0;
    assert_ok(rag_reader_documents(x->r, x->snapshots[s], &w->filter, 0, 1000, arena, &list, &n, &kb_err));
    for (size_t i = 0; i < x->n; i++)
        expected += lets_through(w, &x->documents[i], x->generation[s]);
    assert_int_equal(n, expected);
    rag_arena_free(arena);
}

/* ---- a store of what is visible alone ----------------------------------------------------------------- */

typedef struct bare {
    char *dir;
    rag_index *ix;
    rag_reader *r;
    rag_snapshot *s;
} bare;

static bare bare_new(const world *x, const wanted *w, int generation)
{
    bare b = { .dir = kb_dir_new() };
    b.ix = kb_open(b.dir);
    rag_writer *writer = kb_begin(b.ix);
    name_collections(writer);
    for (size_t i = x->n; i-- > 0;) /* in another order: only paths and places may break ties */
        if (lets_through(w, &x->documents[i], generation))
            put(writer, &x->documents[i]);
    kb_publish(writer);
    rag_writer_end(writer);
    assert_ok(rag_index_refresh(b.ix, NULL, &kb_err));
    b.s = rag_index_acquire(b.ix);
    assert_ok(rag_reader_open(&b.r, b.ix, &kb_err));
    return b;
}

static void bare_free(bare *b)
{
    rag_reader_close(b->r);
    rag_snapshot_release(b->s);
    rag_index_close(b->ix);
    kb_dir_remove(b->dir);
}

static void check_same_hit(const rag_hit *a, const rag_hit *b)
{
    assert_true(rag_str_eq(a->document, b->document));
    assert_true(rag_str_eq(a->text, b->text));
    assert_true(rag_str_eq(a->title, b->title));
    assert_int_equal(a->start, b->start);
    assert_int_equal(a->end, b->end);
    assert_int_equal(a->rank, b->rank);
    assert_int_equal(a->vector_rank, b->vector_rank);
    assert_int_equal(a->text_rank, b->text_rank);
    assert_int_equal(a->n_merged, b->n_merged);
    assert_int_equal(a->n_twins, b->n_twins);
    for (size_t i = 0; i < a->n_twins; i++)
        assert_true(rag_str_eq(a->twins[i].document, b->twins[i].document));
    assert_true(fabs(a->score - b->score) < 1e-6);
    assert_true(fabs(a->coverage - b->coverage) < 1e-6);
}

static void check_same_strings(const rag_results *a, const rag_results *b)
{
    assert_int_equal(a->n_absent, b->n_absent);
    for (size_t i = 0; i < a->n_absent; i++)
        assert_true(rag_str_eq(a->absent[i], b->absent[i]));
    assert_int_equal(a->n_corrections, b->n_corrections);
    for (size_t i = 0; i < a->n_corrections; i++)
        assert_true(rag_str_eq(a->corrections[i].from, b->corrections[i].from) &&
                    rag_str_eq(a->corrections[i].to, b->corrections[i].to));
}

static void check_same_candidates(const rag_results *a, const rag_results *b)
{
    assert_int_equal(a->n_candidates, b->n_candidates);
    for (size_t i = 0; i < a->n_candidates; i++) {
        const rag_candidate *p = &a->candidates[i], *q = &b->candidates[i];
        assert_true(rag_str_eq(p->document, q->document));
        assert_int_equal(p->fate, q->fate);
        assert_int_equal(p->n_terms, q->n_terms);
        assert_true(fabs(p->text_score - q->text_score) < 1e-5);
        assert_true(fabs(p->fused_score - q->fused_score) < 1e-6);
    }
}

/* How often there was what could have told something. */
typedef struct sights {
    int absent, corrected, twins, merged;
} sights;

static void see(sights *seen, const rag_results *found)
{
    seen->absent += found->n_absent > 0;
    seen->corrected += found->n_corrections > 0;
    for (size_t i = 0; i < found->n; i++) {
        seen->twins += found->hits[i].n_twins > 0;
        seen->merged += found->hits[i].n_merged > 0;
    }
}

static void check_against_bare(world *x, size_t s, const bare *b, const question *q, sights *seen)
{
    rag_arena *arena = rag_arena_new();
    rag_results here, there;
    rag_search all = q->search;
    all.filter = (rag_filter){ .collection = RAG_STR("*"), .all_groups = true };
    assert_ok(rag_reader_search(x->r, x->snapshots[s], &q->search, arena, &here, &kb_err));
    assert_ok(rag_reader_search(b->r, b->s, &all, arena, &there, &kb_err));
    assert_int_equal(here.visible, there.visible);
    check_same_strings(&here, &there);
    check_same_candidates(&here, &there);
    assert_true(fabs(here.text_ceiling - there.text_ceiling) < 1e-6);
    assert_int_equal(here.n, there.n);
    for (size_t i = 0; i < here.n; i++)
        check_same_hit(&here.hits[i], &there.hits[i]);
    see(seen, &here);
    rag_arena_free(arena);
}

static void try_bare(world *x, size_t s, const wanted *w, sights *seen)
{
    question q;
    bare b = bare_new(x, w, x->generation[s]);
    for (int i = 0; i < SEARCHES; i++) {
        random_question(&q, w, true);
        q.search.explain = true;
        q.search.candidates = MAX_ROWS; /* of equal vectors FAISS gives any when it gives not all */
        check_against_bare(x, s, &b, &q, seen);
        q.search.pool = 0; /* with twins folded and neighbours merged */
        check_against_bare(x, s, &b, &q, seen);
    }
    bare_free(&b);
}

/* ---- trials ------------------------------------------------------------------------------------------- */

typedef struct tally {
    int all, found, hid, cut; /* trials; with results; with something hidden; with more visible than asked for */
} tally;

static void try_search(world *x, size_t s, const wanted *w, tally *t)
{
    question q;
    row rows[MAX_ROWS];
    rag_results found;
    rag_arena *arena = rag_arena_new();
    random_question(&q, w, false);
    size_t n = visible_rows(x, w, x->generation[s], rows);
    score_rows(rows, n, &q);
    assert_ok(rag_reader_search(x->r, x->snapshots[s], &q.search, arena, &found, &kb_err));
    check_against_brute_force(&q, rows, n, &found);
    t->all++;
    t->found += found.n > 0;
    t->hid += n < x->snapshots[s]->n;
    t->cut += n > found.n && found.n > 0;
    rag_arena_free(arena);
}

static void test_filter__ten_thousand_searches_equal_brute_force(void **state)
{
    tally t = { 0 };
    (void)state;
    for (int i = 0; i < WORLDS; i++) {
        world *x = world_new(false);
        for (int f = 0; f < FILTERS; f++) {
            wanted w;
            size_t s = roll(SNAPSHOTS);
            random_filter(&w);
            check_documents(x, s, &w);
            for (int k = 0; k < SEARCHES; k++)
                try_search(x, s, &w, &t);
        }
        world_free(x);
    }
    assert_int_equal(t.all, 10000);
    assert_true(t.found > 4000 && t.hid > 9000 && t.cut > 2000); /* the trials do try something */
}

static void test_filter__what_is_hidden_does_not_count(void **state)
{
    sights seen = { 0 };
    (void)state;
    for (int i = 0; i < WORLDS; i++) {
        world *x = world_new(true);
        for (int f = 0; f < STORES; f++) {
            wanted w;
            random_filter(&w);
            try_bare(x, roll(SNAPSHOTS), &w, &seen);
        }
        world_free(x);
    }
    assert_true(seen.absent > 300 && seen.corrected > 50 && seen.twins > 50 && seen.merged > 300);
}

/* ---- the cache ------------------------------------------------------------------------------------------ */

static const filter *get(rag_snapshot *s, const rag_filter *want)
{
    const filter *f;
    assert_ok(filter_get(s, want, &f, &kb_err));
    return f;
}

static void test_filter__many_filters_do_not_drive_a_common_one_out(void **state)
{
    (void)state;
    world *x = world_new(false);
    rag_snapshot *s = x->snapshots[0];
    rag_filter common = { .collection = RAG_STR("*"), .all_groups = true };
    const filter *first = get(s, &common);
    for (int i = 0; i < 10 * MAX_CACHED_FILTERS; i++) {
        rag_filter rare = common;
        rare.modified_from_ns = 1 + i;
        filter_release(s, get(s, &rare));
        const filter *again = get(s, &common);
        assert_ptr_equal(again, first);
        filter_release(s, again);
    }
    assert_int_equal(s->n_filters, MAX_CACHED_FILTERS);
    filter_release(s, first);
    world_free(x);
}

static void test_filter__one_in_use_outlives_its_place_in_the_cache(void **state)
{
    (void)state;
    world *x = world_new(false);
    rag_snapshot *s = x->snapshots[0];
    rag_filter common = { .collection = RAG_STR("*"), .all_groups = true };
    const filter *held = get(s, &common);
    size_t n = held->n_visible, bits = 0;
    for (int i = 0; i < 2 * MAX_CACHED_FILTERS; i++) {
        rag_filter rare = common;
        rare.modified_from_ns = 1 + i;
        filter_release(s, get(s, &rare));
    }
    const filter *again = get(s, &common);
    assert_ptr_not_equal(again, held);
    assert_int_equal(again->n_visible, n);
    for (size_t i = 0; i < s->n; i++)
        bits += bit_is_set(held->bits, i);
    assert_int_equal(bits, n);
    filter_release(s, again);
    filter_release(s, held);
    world_free(x);
}

typedef struct crowd {
    world *x;
    unsigned seed;
    int wrong;
} crowd;

/* Each date is a filter; every thread meets those of the others. */
static void *use_filters(void *context)
{
    crowd *c = context;
    rag_snapshot *s = c->x->snapshots[GENERATIONS - 1];
    for (int i = 0; i < 500; i++) {
        const filter *f;
        wanted w = { .collection = -1, .filter = { .collection = RAG_STR("*"), .all_groups = true } };
        row rows[MAX_ROWS];
        c->seed = c->seed * 1103515245u + 12345u;
        w.filter.modified_from_ns = 1 + (c->seed >> 16) % 50;
        if (filter_get(s, &w.filter, &f, NULL) != RAG_OK) {
            c->wrong++;
            continue;
        }
        c->wrong += f->n_visible != visible_rows(c->x, &w, GENERATIONS, rows);
        filter_release(s, f);
    }
    return NULL;
}

static void test_filter__readers_share_them(void **state)
{
    enum { THREADS = 4 };
    pthread_t threads[THREADS];
    crowd crowds[THREADS];
    (void)state;
    world *x = world_new(false);
    for (unsigned i = 0; i < THREADS; i++) {
        crowds[i] = (crowd){ .x = x, .seed = i };
        assert_int_equal(pthread_create(&threads[i], NULL, use_filters, &crowds[i]), 0);
    }
    for (int i = 0; i < THREADS; i++) {
        pthread_join(threads[i], NULL);
        assert_int_equal(crowds[i].wrong, 0);
    }
    world_free(x);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_filter__ten_thousand_searches_equal_brute_force),
        cmocka_unit_test(test_filter__what_is_hidden_does_not_count),
        cmocka_unit_test(test_filter__many_filters_do_not_drive_a_common_one_out),
        cmocka_unit_test(test_filter__one_in_use_outlives_its_place_in_the_cache),
        cmocka_unit_test(test_filter__readers_share_them),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
