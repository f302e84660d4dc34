/* What a query must find as it is written, in either script, and in spite of a typing error. */
#include "kb.h"

#include <math.h>

#include "index/reader.h"

typedef struct world {
    rag_index *ix;
    rag_snapshot *s;
    rag_reader *r;
    rag_arena *arena;
} world;

static world enter(rag_index *ix)
{
    world w = { .ix = ix, .arena = rag_arena_new() };
    assert_ok(rag_index_refresh(ix, NULL, &kb_err));
    w.s = rag_index_acquire(ix);
    assert_ok(rag_reader_open(&w.r, ix, &kb_err));
    return w;
}

static void leave(world *w)
{
    rag_reader_close(w->r);
    rag_snapshot_release(w->s);
    rag_arena_free(w->arena);
    rag_index_close(w->ix);
}

static rag_results ask(world *w, const char *query, rag_search q)
{
    static float vector[KB_DIM];
    rag_results found;
    kb_vector(rag_str_of(query), vector);
    q.query = rag_str_of(query);
    q.vector = vector;
    q.filter.all_groups = true;
    assert_ok(rag_reader_search(w->r, w->s, &q, w->arena, &found, &kb_err));
    return found;
}

static rag_results find(world *w, const char *query)
{
    return ask(w, query, (rag_search){ 0 });
}

static bool holds(rag_str text, const char *string)
{
    return rag_str_find(text, rag_str_of(string), 0) != SIZE_MAX;
}

/* The place of the first hit of a document, or -1. */
static int place_of(const rag_results *found, const char *document)
{
    for (size_t i = 0; i < found->n; i++)
        if (rag_str_eq(found->hits[i].document, rag_str_of(document)))
            return (int)i;
    return -1;
}

/* `want`: what is told, in order, each in brackets. */
static void assert_absent(rag_results found, const char *want)
{
    rag_buf got;
    rag_buf_init(&got, RAG_MAX_LINE);
    for (size_t i = 0; i < found.n_absent; i++)
        rag_buf_putf(&got, "[%.*s]", RAG_STR_ARG(found.absent[i]));
    assert_string_equal(got.ptr ? got.ptr : "", want);
    rag_buf_free(&got);
}

/* ---- the guarantee -------------------------------------------------------------------------------- */

enum { STRINGS = 500, LURES = 8, TOP = 3 };

static unsigned seed = 11;

static unsigned next_random(unsigned below)
{
    seed = seed * 1103515245u + 12345u;
    return (seed >> 16) % below;
}

static const char *const fillers[] = { "lorem", "ipsum", "dolor", "amet", "tempor", "magna", "aliqua", "veniam", "quis", "nostrud" };

/* A string of some kind that no other number gives. */
static void make_string(unsigned i, char out[64])
{
    static const char *const forms[] = { "E-%u", "gen-x%ub", "a_%u_b", "%u.75", "Q%uz", "Wi-Fi %uE", "重跑job-%u后", "x86_%u", "v%u/beta", "part#k%u" };
    snprintf(out, 64, forms[i % 10], 1000 + 7 * i);
}

static void add_fillers(rag_buf *b, unsigned n)
{
    while (n-- > 0)
        rag_buf_putf(b, "%s ", fillers[next_random(sizeof fillers / sizeof *fillers)]);
}

/* Passages that hold all of the query but the string come first in both halves, and there are more of them than results. */
static void fill_world(rag_index *ix)
{
    rag_writer *w = kb_begin(ix);
    int64_t source = kb_source(w, "default", "/root", "");
    rag_buf b;
    rag_buf_init(&b, RAG_MAX_LINE);
    for (unsigned i = 0; i < STRINGS + LURES; i++) {
        char path[16], string[64];
        snprintf(path, sizeof path, "d%u", i);
        make_string(i, string);
        rag_buf_clear(&b);
        if (i < STRINGS) {
            add_fillers(&b, 10 + next_random(60));
            rag_buf_putf(&b, "%s ", string);
            add_fillers(&b, 10 + next_random(60));
        } else {
            rag_buf_putf(&b, "copper zinc cobalt nickel silver iron %u", i);
        }
        kb_put(w, source, path, b.ptr);
    }
    kb_publish(w);
    rag_writer_end(w);
    rag_buf_free(&b);
}

static void test_exact__every_string_is_among_the_results(void **state)
{
    rag_index *ix = kb_open(*state);
    fill_world(ix);
    world x = enter(ix);
    size_t last = 0;
    for (unsigned i = 0; i < STRINGS; i++) {
        char string[64], query[200], path[16];
        make_string(i, string);
        snprintf(path, sizeof path, "d%u", i);
        snprintf(query, sizeof query, "copper zinc cobalt nickel silver iron %s", string);
        rag_results found = ask(&x, query, (rag_search){ .mode = i % 3 ? RAG_SEARCH_HYBRID : RAG_SEARCH_TEXT, .top_k = TOP });
        int at = place_of(&found, path);
        if (at < 0 || at >= TOP || !holds(found.hits[at].text, string) || !found.hits[at].holds_exact)
            fail_msg("'%s' is not found", string);
        last += at == TOP - 1 && !found.hits[0].holds_exact;
        assert_absent(found, "");
        rag_arena_reset(x.arena);
    }
    assert_true(last > STRINGS / 2); /* else the guarantee was not put to the test */
    leave(&x);
}

static void test_exact__strings_that_stand_nowhere_are_told(void **state)
{
    rag_index *ix = kb_open(*state);
    fill_world(ix);
    world x = enter(ix);
    for (unsigned i = STRINGS; i < 2 * STRINGS; i++) {
        char string[64], query[200];
        make_string(i, string);
        snprintf(query, sizeof query, "copper zinc %s and iron", string);
        rag_results found = ask(&x, query, (rag_search){ .top_k = TOP });
        assert_int_equal(found.n, TOP);
        assert_int_equal(found.n_absent, 1);
        bool han = i % 10 == 6; /* its Latin part is what is exact */
        if (han ? !holds(rag_str_of(string), rag_arena_cstr(x.arena, found.absent[0]))
                : !rag_str_eq(found.absent[0], rag_str_of(string)))
            fail_msg("'%.*s' is told for '%s'", RAG_STR_ARG(found.absent[0]), string);
        for (size_t k = 0; i % 10 != 5 && k < found.n; k++) /* Wi-Fi stands for itself */
            assert_false(found.hits[k].holds_exact);
        rag_arena_reset(x.arena);
    }
    leave(&x);
}

static void test_exact__a_reranker_gets_it_too(void **state)
{
    rag_index *ix = kb_open(*state);
    fill_world(ix);
    world x = enter(ix);
    for (int pool = 1; pool < 40; pool += 7) {
        rag_results found = ask(&x, "copper zinc cobalt nickel silver iron E-1000", (rag_search){ .top_k = TOP, .pool = pool });
        assert_int_equal(found.n, pool);
        int at = place_of(&found, "d0");
        assert_true(at >= 0 && at < TOP && found.hits[at].holds_exact);
    }
    leave(&x);
}

static void test_exact__what_is_told_is_as_it_was_written(void **state)
{
    rag_index *ix = kb_open(*state);
    kb_ingest(ix, "a", "The Wi-Fi of the router, and 6E of another; error e-4012", "b", "IPv4 and the x-1 \"plain\" word", NULL);
    world x = enter(ix);
    assert_absent(find(&x, "error E-4012"), "");
    assert_absent(find(&x, "E 4012, Error E-4012 and IPV4"), "");
    assert_absent(find(&x, "what is E-4013?"), "[E-4013]");
    assert_absent(find(&x, "does the Router know Wi-Fi 6E"), "[Wi-Fi 6E]");       /* both parts stand, but not together */
    assert_absent(find(&x, "a Wi-Fi 7E router"), "[Wi-Fi 7E]");
    assert_absent(find(&x, "E-4012 E-4013 and IPv4 IPv6"), "[E-4013][IPv6]");         /* lists */
    assert_absent(find(&x, "Router Wi-Fi"), "");                                      /* a capitalised neighbour is no part */
    assert_absent(find(&x, "\"plain text\" and \"plain\""), "[plain text]");
    assert_absent(find(&x, "\"⇒\""), "[⇒]");
    assert_absent(find(&x, "重跑gen-itgc后"), "[gen-itgc][重跑gen-itgc后]");
    assert_absent(find(&x, "怎么安装nginx服务"), "[nginx]");
    assert_absent(find(&x, "囧"), "[囧]");
    leave(&x);
}

static void test_exact__plain_language_is_not_told(void **state)
{
    static const char *const queries[] = { "zebra", "Zebra crossings", "what is a zebra?", "don't he's and/or e.g. zebras", "斑马", "斑马线在哪里",
                                           "2023年3月", "", "?!", "A股", "the", "的", "Can I return it", "zebra crossing stripes" };
    rag_index *ix = kb_open(*state);
    kb_ingest(ix, "a", "the apples 的 can return", NULL);
    world x = enter(ix);
    for (size_t i = 0; i < sizeof queries / sizeof *queries; i++)
        assert_absent(find(&x, queries[i]), "");
    leave(&x);
}

static void test_exact__only_what_is_visible_stands(void **state)
{
    rag_index *ix = kb_open(*state);
    kb_ingest(ix, "a", "the old E-1 here", "b", "some text", NULL);
    rag_writer *w = kb_begin(ix);
    kb_put(w, kb_source(w, "default", "/root", ""), "a", "the new E-2 here");
    kb_put(w, kb_source(w, "other", "/o", ""), "o", "elsewhere E-3 and 龘");
    kb_put(w, kb_source(w, "default", "/s", "staff"), "s", "secret E-4");
    kb_publish(w);
    kb_put(w, kb_source(w, "default", "/root", ""), "b", "pending E-5");
    world x = enter(ix);
    assert_absent(find(&x, "is it E-1 or E-2 or E-3 or E-4 or E-5"), "[E-1][E-3][E-5]");
    assert_absent(find(&x, "\"E-3\""), "[E-3]");
    assert_absent(find(&x, "龘"), "[龘]");
    rag_search q = { .query = RAG_STR("is it E-4"), .mode = RAG_SEARCH_TEXT };
    rag_results found;
    assert_ok(rag_reader_search(x.r, x.s, &q, x.arena, &found, &kb_err));
    assert_absent(found, "[E-4]");
    leave(&x);
    rag_writer_end(w);
}

static void test_exact__each_of_several_strings_is_found(void **state)
{
    rag_index *ix = kb_open(*state);
    rag_writer *w = kb_begin(ix);
    int64_t source = kb_source(w, "default", "/root", "");
    kb_put(w, source, "rare", "a note on K-9 and nothing else to say about it, however long one looks at the many words of it");
    kb_put(w, source, "other", "a note on K-8 and nothing else to say about it, however long one looks at the many words of it");
    kb_put(w, source, "another", "a long note on K-8 and little else to say about it, however long one looks at all the words of it");
    for (int i = 0; i < 30; i++) {
        char path[16], text[80];
        snprintf(path, sizeof path, "n%d", i);
        snprintf(text, sizeof text, "compare copper with zinc and silver number %d", i);
        kb_put(w, source, path, text);
    }
    kb_publish(w);
    rag_results found;
    world x = enter(ix);
    found = ask(&x, "compare copper zinc silver K-8 with K-9", (rag_search){ .top_k = 4 });
    assert_true(place_of(&found, "rare") >= 0);
    assert_true(found.hits[place_of(&found, "rare")].holds_exact);
    int other = place_of(&found, "other") >= 0 ? place_of(&found, "other") : place_of(&found, "another");
    assert_true(other >= 0);
    assert_false(found.hits[other].holds_exact);
    kb_put(w, source, "both", "K-8 stands here, in a text that says many other things about which nobody asks, and K-9 too");
    kb_publish(w);
    rag_writer_end(w);
    rag_index *again = x.ix;
    x.ix = NULL;
    leave(&x);
    x = enter(again);
    found = ask(&x, "compare copper zinc silver K-8 with K-9", (rag_search){ .top_k = 4 });
    assert_true(found.hits[place_of(&found, "both")].holds_exact);
    assert_true(place_of(&found, "rare") < 0 || !found.hits[place_of(&found, "rare")].holds_exact);
    leave(&x);
}

static void test_exact__titles_and_headings_count(void **state)
{
    rag_index *ix = kb_open(*state);
    kb_ingest(ix, "E-77.md", "nothing of it in the text", "b", "another text", NULL);
    world x = enter(ix);
    rag_results found = find(&x, "about E-77");
    assert_absent(found, "");
    assert_true(found.hits[0].holds_exact && place_of(&found, "E-77.md") == 0);
    assert_absent(find(&x, "about \"E-77\""), "[E-77]"); /* a quoted part must stand in the body */
    leave(&x);
}

static void test_exact__vectors_alone_promise_nothing(void **state)
{
    rag_index *ix = kb_open(*state);
    kb_ingest(ix, "a", "E-1 in words", "b", "other words", NULL);
    world x = enter(ix);
    rag_results found = ask(&x, "E-1", (rag_search){ 0 });
    assert_true(found.hits[0].holds_exact);
    found = ask(&x, "E-1 E-2", (rag_search){ .mode = RAG_SEARCH_VECTOR, .explain = true });
    assert_absent(found, "");
    for (size_t i = 0; i < found.n; i++)
        assert_false(found.hits[i].holds_exact);
    for (size_t i = 0; i < found.n_candidates; i++)
        assert_int_equal(found.candidates[i].n_terms, 0);
    leave(&x);
}

/* ---- Chinese ---------------------------------------------------------------------------------------- */

static void test_exact__a_single_character_is_found(void **state)
{
    rag_index *ix = kb_open(*state);
    rag_writer *w = kb_begin(ix);
    int64_t source = kb_source(w, "default", "/root", "");
    for (int i = 0; i < 100; i++) {
        char path[16], text[100];
        snprintf(path, sizeof path, "n%d", i);
        snprintf(text, sizeof text, "这里写了一些别的东西，第%d条。", i);
        kb_put(w, source, path, text);
    }
    kb_put(w, source, "rare", "很长的一段话，里面说了许多别的事情，最后才出现了靐字，然后又说了许多别的事情。");
    kb_publish(w);
    rag_writer_end(w);
    world x = enter(ix);
    rag_results found = ask(&x, "靐", (rag_search){ .top_k = TOP });
    assert_true(place_of(&found, "rare") >= 0 && found.hits[place_of(&found, "rare")].holds_exact);
    found = ask(&x, "一些别的东西 靐龘", (rag_search){ .top_k = TOP }); /* some pair stands: nothing is forced */
    assert_true(found.n > 0);
    found = ask(&x, "靐龘怎么读", (rag_search){ .top_k = TOP });      /* none does: the rare character counts */
    assert_true(place_of(&found, "rare") >= 0 && found.hits[place_of(&found, "rare")].holds_exact);
    assert_absent(found, "");
    leave(&x);
}

static void test_exact__both_scripts_find_each_other(void **state)
{
    rag_index *ix = kb_open(*state);
    kb_ingest(ix, "traditional", "黑豹隊後來贏了這場比賽。", "simplified", "资料库检索系统在这里。", "other", "完全不同的文字", NULL);
    world x = enter(ix);
    rag_results found = ask(&x, "黑豹队后来", (rag_search){ .mode = RAG_SEARCH_TEXT });
    assert_int_equal(place_of(&found, "traditional"), 0);
    assert_true(found.hits[0].holds_exact);
    found = ask(&x, "資料庫檢索", (rag_search){ .mode = RAG_SEARCH_TEXT });
    assert_int_equal(place_of(&found, "simplified"), 0);
    found = ask(&x, "隊", (rag_search){ .mode = RAG_SEARCH_TEXT });
    assert_int_equal(place_of(&found, "traditional"), 0);
    leave(&x);
}

static void test_exact__quoted_parts_keep_their_script(void **state)
{
    rag_index *ix = kb_open(*state);
    kb_ingest(ix, "t", "黑豹隊贏了", "s", "黑豹队赢了", NULL);
    world x = enter(ix);
    rag_results found = find(&x, "\"黑豹隊\"");
    assert_true(found.n == 1 && place_of(&found, "t") == 0 && found.hits[0].holds_exact);
    found = find(&x, "\"黑豹队\"");
    assert_true(found.n == 1 && place_of(&found, "s") == 0);
    found = find(&x, "\"隊\"");
    assert_true(found.n == 1 && place_of(&found, "t") == 0);
    assert_absent(find(&x, "\"黑豹隊赢\""), "[黑豹隊赢]");
    leave(&x);
}

static void test_exact__a_store_of_the_first_tokenizer_is_indexed_again(void **state)
{
    rag_index *ix = kb_open(*state);
    kb_ingest(ix, "t", "黑豹隊贏了", NULL);
    rag_index_close(ix);
    kb_sql(*state, "INSERT INTO chunk_fts(chunk_fts, rowid, title, heading, body) "
                   "SELECT 'delete', id, title, heading, body FROM chunk_content; "
                   "UPDATE meta SET value = 1 WHERE key = 'tokenizer'");
    ix = kb_open(*state);
    assert_true(kb_finds(ix, "黑豹队", "t"));
    rag_index_close(ix);
    assert_int_equal(kb_sql_number(*state, "SELECT value FROM meta WHERE key = 'tokenizer'"), 2);
}

/* ---- typing errors ------------------------------------------------------------------------------------ */

static void assert_corrected(world *x, const char *query, const char *from, const char *to)
{
    rag_results found = ask(x, query, (rag_search){ .mode = RAG_SEARCH_TEXT });
    if (!to) {
        if (found.n_corrections > 0)
            fail_msg("'%s' is taken for '%.*s'", query, RAG_STR_ARG(found.corrections[0].to));
        return;
    }
    if (found.n_corrections == 0 || !rag_str_eq(found.corrections[0].from, rag_str_of(from)) ||
        !rag_str_eq(found.corrections[0].to, rag_str_of(to)))
        fail_msg("'%s' is not taken for '%s'", query, to);
    if (found.n == 0 || !holds(found.hits[0].text, to))
        fail_msg("'%s' does not find '%s' first", query, to);
}

static void test_exact__one_wrong_letter_still_finds(void **state)
{
    rag_index *ix = kb_open(*state);
    kb_ingest(ix, "a", "the warranty covers batteries", "b", "a refund takes longer", "c", "receive a parcel", NULL);
    world x = enter(ix);
    assert_corrected(&x, "waranty", "waranty", "warranty");
    assert_corrected(&x, "Is the WARRENTY there", "WARRENTY", "warranty");
    assert_corrected(&x, "warrantyy", "warrantyy", "warranty");
    assert_corrected(&x, "awrranty", "awrranty", "warranty");
    assert_corrected(&x, "warratny", "warratny", "warranty");
    assert_corrected(&x, "arranty", "arranty", "warranty");
    assert_corrected(&x, "xwarranty", "xwarranty", "warranty");
    assert_corrected(&x, "warrantx", "warrantx", "warranty");
    assert_corrected(&x, "warrant", "warrant", "warranty");
    assert_corrected(&x, "with bateries", "bateries", "batteries");
    assert_corrected(&x, "recieve", "recieve", "receive");
    assert_corrected(&x, "wararntyy", NULL, NULL); /* two errors */
    assert_corrected(&x, "refnd", NULL, NULL);     /* five letters */
    assert_corrected(&x, "warranties", NULL, NULL); /* its stem stands there */
    assert_corrected(&x, "\"waranty\"", NULL, NULL);
    assert_corrected(&x, "E-waranty5", NULL, NULL);
    assert_corrected(&x, "waranty-4012", NULL, NULL);
    assert_corrected(&x, "zzzzzzzz", NULL, NULL);
    assert_corrected(&x, "garantie rembourser waranty livraison", NULL, NULL); /* another language */
    assert_corrected(&x, "refund garantie rembourser waranty", "waranty", "warranty");
    leave(&x);
}

static void test_exact__frequent_words_are_meant(void **state)
{
    rag_index *ix = kb_open(*state);
    kb_ingest(ix, "a", "a batter\n\nbatter again\n\nbetter butter", "b", "better\n\nbetter still", "c", "bitter", "d", "botter", NULL);
    world x = enter(ix);
    rag_results found = find(&x, "bxtter");
    assert_int_equal(found.n_corrections, 3);
    assert_true(rag_str_eq(found.corrections[0].to, RAG_STR("better")));
    assert_true(rag_str_eq(found.corrections[1].to, RAG_STR("batter")));
    found = ask(&x, "bxtter", (rag_search){ .mode = RAG_SEARCH_TEXT, .explain = true });
    for (size_t i = 0; i < found.n; i++)
        if (!(found.hits[i].coverage > 0 && found.hits[i].coverage < 1 + 1e-6))
            fail_msg("%zu: coverage %g of '%.*s'", i, found.hits[i].coverage, RAG_STR_ARG(found.hits[i].text));
    leave(&x);
}

static void test_exact__a_correction_stays_with_what_is_visible(void **state)
{
    rag_index *ix = kb_open(*state);
    rag_writer *w = kb_begin(ix);
    kb_put(w, kb_source(w, "default", "/root", ""), "a", "the former guarantee");
    kb_put(w, kb_source(w, "other", "/o", ""), "o", "the warranty elsewhere");
    kb_publish(w);
    kb_put(w, kb_source(w, "default", "/root", ""), "a", "now a different text");
    kb_publish(w);
    rag_writer_end(w);
    world x = enter(ix);
    assert_corrected(&x, "waranty", NULL, NULL);
    assert_corrected(&x, "guarante", NULL, NULL);
    assert_corrected(&x, "diferent", "diferent", "different");
    leave(&x);
}

/* ---- explain -------------------------------------------------------------------------------------------- */

static bool has_term(const rag_candidate *c, const char *term)
{
    for (size_t i = 0; i < c->n_terms; i++)
        if (rag_str_eq(c->terms[i], rag_str_of(term)))
            return true;
    return false;
}

static const rag_candidate *candidate_of(const rag_results *found, const char *document)
{
    for (size_t i = 0; i < found->n_candidates; i++)
        if (rag_str_eq(found->candidates[i].document, rag_str_of(document)))
            return &found->candidates[i];
    fail_msg("'%s' is no candidate", document);
    return NULL;
}

static void test_exact__candidates_name_what_they_hold(void **state)
{
    rag_index *ix = kb_open(*state);
    kb_ingest(ix, "a", "returns of E-4012 within the warranty", "b", "returned goods", "c", "黑豹队 plays", "d", "nothing", NULL);
    world x = enter(ix);
    rag_results found = ask(&x, "Returning E-4012 in waranty 黑豹隊", (rag_search){ .top_k = 1, .explain = true });
    assert_int_equal(found.n, 1);
    assert_int_equal(found.n_candidates, 4);
    for (size_t i = 0; i < found.n_candidates; i++) {
        const rag_candidate *c = &found.candidates[i];
        assert_true(c->chunk_id > 0 && c->document_id > 0 && c->vector_rank > 0);
        assert_true(i == 0 || c->fused_score <= found.candidates[i - 1].fused_score);
        assert_int_equal(c->fate == RAG_FATE_RESULT, c->chunk_id == found.hits[0].chunk_id);
    }
    const rag_candidate *a = candidate_of(&found, "a"), *c = candidate_of(&found, "c");
    assert_true(has_term(a, "returning") && has_term(a, "E-4012") && has_term(a, "warranty") && has_term(a, "4012"));
    assert_false(has_term(a, "黑豹") || has_term(a, "waranty"));
    assert_true(has_term(c, "黑豹") && has_term(c, "豹隊"));
    assert_int_equal(candidate_of(&found, "d")->n_terms, 0);
    assert_true(has_term(candidate_of(&found, "b"), "returning"));
    assert_int_equal(candidate_of(&found, "b")->n_terms, 1);
    found = ask(&x, "returns", (rag_search){ 0 });
    assert_int_equal(found.n_candidates, 0);
    leave(&x);
}

/* ---- weights ---------------------------------------------------------------------------------------------- */

static double text_score(const char *dir, const char *query, double title, double heading)
{
    rag_index *ix;
    rag_index_options opt = { .dir = dir, .title_weight = title, .heading_weight = heading };
    assert_ok(rag_index_open(&ix, &opt, &kb_err));
    world x = enter(ix);
    rag_results found = ask(&x, query, (rag_search){ .mode = RAG_SEARCH_TEXT });
    double score = found.n > 0 ? found.hits[0].text_score : 0;
    leave(&x);
    return score;
}

static void put_headed(rag_writer *w, int64_t source)
{
    float vector[KB_DIM];
    int64_t id;
    rag_str heading = RAG_STR("parcels");
    rag_chunk_in c = { .end = 13, .line_start = 1, .line_end = 1, .heading = &heading, .n_heading = 1, .tokens = 3,
                       .embedding = rag_sha256_of(RAG_STR("headed")) };
    rag_document_in doc = { .source_id = source, .path = RAG_STR("h.md"), .title = RAG_STR("shipping"), .text = RAG_STR("plain refunds"),
                            .chunks = &c, .n_chunks = 1 };
    kb_vector(doc.text, vector);
    assert_ok(rag_writer_add_embedding(w, &c.embedding, vector, &kb_err));
    assert_ok(rag_writer_put(w, &doc, &id, &kb_err));
}

static void test_exact__columns_have_weights(void **state)
{
    rag_index *ix = kb_open(*state);
    rag_writer *w = kb_begin(ix);
    int64_t source = kb_source(w, "default", "/root", "");
    put_headed(w, source);
    kb_put(w, source, "b", "some other text");
    kb_publish(w);
    rag_writer_end(w);
    rag_index_close(ix);
    const char *dir = *state;
    double title = text_score(dir, "shipping", 0, 0), heading = text_score(dir, "parcels", 0, 0), body = text_score(dir, "refunds", 0, 0);
    assert_true(title > 0 && fabs(title - heading) < 1e-6 && fabs(title - body) < 1e-6);
    assert_true(fabs(text_score(dir, "shipping", 1, 1) - title) < 1e-6);
    assert_true(text_score(dir, "shipping", 3, 0) > text_score(dir, "refunds", 3, 0));
    assert_true(text_score(dir, "parcels", 0, 3) > text_score(dir, "shipping", 0, 3));
    assert_true(text_score(dir, "parcels", 0, 0.5) < text_score(dir, "refunds", 0, 0.5));
    assert_true(text_score(dir, "shipping", -1, 0) == 0 && text_score(dir, "parcels", 0, -1) == 0);
    assert_true(text_score(dir, "refunds", -1, -1) > 0);
}

static void test_exact__common_words_are_left_out_when_a_query_asks_too_much(void **state)
{
    rag_index *ix = kb_open(*state);
    rag_writer *w = kb_begin(ix);
    int64_t source = kb_source(w, "default", "/root", "");
    for (int i = 0; i < 40; i++) {
        char path[16], text[64];
        snprintf(path, sizeof path, "p%02d", i);
        snprintf(text, sizeof text, "common daily usual %s %d", i == 30 ? "rare" : "", i);
        kb_put(w, source, path, text);
    }
    kb_publish(w);
    rag_writer_end(w);
    world x = enter(ix);
    rag_search text = { .mode = RAG_SEARCH_TEXT };
    double all = ask(&x, "common daily usual rare", text).hits[0].text_score;
    bm25_limit(x.r->bm25, 60, 10);
    rag_results found = ask(&x, "common daily usual rare", text);
    assert_int_equal(place_of(&found, "p30"), 0);
    assert_true(found.hits[0].text_score < all && found.hits[0].text_score > ask(&x, "common", text).hits[0].text_score);
    assert_int_equal(found.n, 5);
    leave(&x);
}

#define ROW(name) cmocka_unit_test_setup_teardown(test_exact__##name, kb_setup, kb_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        ROW(every_string_is_among_the_results),
        ROW(strings_that_stand_nowhere_are_told),
        ROW(a_reranker_gets_it_too),
        ROW(what_is_told_is_as_it_was_written),
        ROW(plain_language_is_not_told),
        ROW(only_what_is_visible_stands),
        ROW(each_of_several_strings_is_found),
        ROW(titles_and_headings_count),
        ROW(vectors_alone_promise_nothing),
        ROW(a_single_character_is_found),
        ROW(both_scripts_find_each_other),
        ROW(quoted_parts_keep_their_script),
        ROW(a_store_of_the_first_tokenizer_is_indexed_again),
        ROW(one_wrong_letter_still_finds),
        ROW(frequent_words_are_meant),
        ROW(a_correction_stays_with_what_is_visible),
        ROW(candidates_name_what_they_hold),
        ROW(columns_have_weights),
        ROW(common_words_are_left_out_when_a_query_asks_too_much),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
