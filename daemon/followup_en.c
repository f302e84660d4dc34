#include "daemon/followup_private.h"

enum { FEW_WORDS = 7, FEW_CONTENT = 4 };

static const char clause_starts[] =
    " and but or if when while because since although though before after that who which where so then as until once "
    " say says said think thinks thought believe believed claim claims claimed ";
static const char prepositions[] =
    " of for in on at to from with by about between during after before under into within through ";

/* Nouns that mean something only of something. */
static const char relational[] =
    " cost costs price prices pricing fee fees rate rates size sizes length height location locations address hours "
    " step steps type types kind kinds option options policy policies rule rules requirement requirements benefit benefits "
    " advantage advantages disadvantage disadvantages drawback drawbacks risk risks symptom symptoms cause causes effect effects "
    " reason reasons origin history population capital author authors cast character characters member members owner founder "
    " director deadline limit limits limitation limitations condition conditions exception exceptions result results outcome "
    " consequence consequences example examples purpose function functions feature features version versions name names date "
    " dates year winner winners loser end ending beginning start role roles meaning process procedure plot episode episodes "
    " season seasons side color colour weight age speed schedule status difference differences alternative alternatives "
    " remedy solution solutions ";
/* Nouns for what has a name of its own, which a question that stands alone would use. */
static const char general[] =
    " song film movie book novel poem show series album company firm city town country state team club game match event "
    " festival program programme product place museum school university college person man woman author singer actor writer "
    " player king queen emperor president war battle law act treaty edict animal plant class course service system method "
    " station line bridge building river lake mountain island region area village church hospital airport ship "
    " aircraft car engine element theory device tool app software account order center centre organization organisation "
    " party group community tribe dynasty empire declaration proclamation article paper study award prize operation mission "
    " project disease virus drug vaccine medicine policy contract item items goods two three ones ";

static bool has_name(const words *q)
{
    for (size_t i = 1; i < q->n; i++)
        if (words_is_capital(q, i) && words_is_content(q, i))
            return true;
    return false;
}

/* ---- pronouns ------------------------------------------------------------------------------- */

static size_t clause_start(const words *q, size_t i)
{
    while (i > 0 && !words_is_cut(q, i) && !words_in(q, i - 1, clause_starts) &&
           !(i > 1 && rag_str_ends(q->at[i - 1].exact, RAG_STR("ing"))))
        i--;
    return i;
}

/* Something in [from, to) that a pronoun could stand for. */
static bool has_noun(const words *q, size_t from, size_t to, const finding *f)
{
    for (size_t i = from; i < to; i++) {
        if (!words_is_content(q, i))
            continue;
        bool determined = i > 0 && words_in(q, i - 1, " the a an my your our this these those any some each every no ");
        if ((words_is_capital(q, i) && i > 0) || determined || (f->is_plural && rag_str_ends(q->at[i].exact, RAG_STR("s"))))
            return true;
    }
    return false;
}

/* "Other than his achievements, what was Tesla famous for?" */
static bool comes_later(const words *q, size_t i)
{
    bool finite = false, name = false;
    for (size_t k = 0; k < i; k++)
        if (words_is_finite(q, k))
            return false;
    for (size_t k = i + 1; k < q->n; k++) {
        finite = finite || words_is_finite(q, k);
        name = name || (finite && words_is_capital(q, k) && words_is_content(q, k));
    }
    return name;
}

/* Whether the question itself holds what the pronoun at i stands for: in a clause before, or, of a possessive, in its own. */
static bool is_bound(const words *q, size_t i, const finding *f)
{
    size_t start = clause_start(q, i);
    /* "Which country signed a treaty to give it …" */
    bool infinitive = i >= 2 && words_in(q, i - 2, " to ");
    if (words_in(q, 0, " which ") && words_is_content(q, 1) && infinitive && !words_is_finite(q, 2))
        return true;
    if (has_noun(q, 0, f->is_possessive ? i : start, f) || comes_later(q, i))
        return true;
    return !f->is_person && words_count_content(q, 0, start) >= 2;
}

/* "is it possible to …", "how much does it cost to …": it stands for what comes. */
static bool is_expletive(const words *q, size_t i)
{
    if (words_in(q, i + 1, " take takes took ") || (words_in(q, i + 1, " make ") && words_in(q, i + 2, " sense ")))
        return true;
    for (size_t k = i + 1; k < q->n && k <= i + 4; k++)
        if (words_in(q, k, " to that if for when ") && !words_in(q, k - 1, " is was it used related similar compared ") &&
            words_count_content(q, k, q->n) >= 2)
            return true;
    return false;
}

static bool is_demonstrative_that(const words *q, size_t i)
{
    return i == 0 || i + 1 == q->n || words_is_cut(q, i + 1) || words_is_cut(q, i) ||
           words_in(q, i - 1, " is was are were does did do can could will would about of for to in on at with from by "
                              "like than after before and if but or s so ");
}

static bool is_demonstrative(const words *q, size_t i)
{
    if (words_in(q, i, " that "))
        return is_demonstrative_that(q, i);
    if (words_in(q, i, " those ") && (words_in(q, i + 1, prepositions) || words_in(q, i + 1, " who that which ")))
        return false;
    if (words_in(q, i, " this these ") &&
        words_in(q, i + 1, " year month week time morning summer winter season days weekend years country county "))
        return false;
    return words_in(q, i, " this these those ");
}

static bool is_locative(const words *q, size_t i)
{
    return words_in(q, i, " there ") && i > 0 && (i + 1 == q->n || words_is_cut(q, i + 1)) &&
           !words_in(q, i - 1, " is are was were ");
}

static bool is_one(const words *q, size_t i)
{
    return (words_in(q, i, " one ones ") && i > 0 && (i + 1 == q->n || words_in(q, i + 1, " is are should do would of ")) &&
            words_in(q, i - 1, " which this that other new old final last first second next best the better ")) ||
           (words_in(q, i, " former latter ") && i > 0) || (words_in(q, i, " both neither ") && i + 1 == q->n) ||
           (words_in(q, i, " else ") && i > 0 && i <= 2 && !has_name(q)) || (words_in(q, i, " same ") && i + 1 == q->n);
}

static bool is_unbound_pronoun(const words *q, size_t i, finding *f)
{
    f->is_person = words_in(q, i, " he she him her his hers himself herself ");
    f->is_plural = words_in(q, i, " they them their theirs ");
    f->is_possessive = words_in(q, i, " its their his her theirs hers ");
    if (f->is_person || f->is_plural || words_in(q, i, " it its "))
        return !is_bound(q, i, f) && !(words_in(q, i, " it ") && is_expletive(q, i));
    if (is_demonstrative(q, i))
        return words_count_content(q, 0, clause_start(q, i)) < 3;
    return is_locative(q, i) || is_one(q, i);
}

/* "it" and "they" can be substituted, and "her" only as a possessive, or behind nothing that follows. */
static void mark_substitution(const words *q, size_t i, finding *f)
{
    bool alone = i + 1 == q->n || words_is_cut(q, i + 1);
    bool demonstrative = words_in(q, i, " this that ") && (alone || words_is_finite(q, i + 1));
    if (words_in(q, i, " her "))
        f->is_possessive = !alone;
    if (!demonstrative && !words_in(q, i, " it its they them their he him his she her "))
        return;
    if (words_in(q, i + 1, " self s ")) /* it's */
        return;
    f->pronoun = q->at[i].start;
    f->pronoun_end = q->at[i].end;
}

/* The first that can be substituted, else the first. */
static bool find_pronoun(const words *q, finding *f)
{
    for (size_t i = 0; i < q->n && f->pronoun == f->pronoun_end; i++) {
        finding one = { .cue = FOLLOWUP_PRONOUN };
        if (!is_unbound_pronoun(q, i, &one))
            continue;
        mark_substitution(q, i, &one);
        if (f->cue == FOLLOWUP_NONE || one.pronoun < one.pronoun_end)
            *f = one;
    }
    return f->cue != FOLLOWUP_NONE;
}

/* ---- the other cues --------------------------------------------------------------------------- */

static bool is_connective(const words *q)
{
    size_t i = 0;
    while (words_in(q, i, " ok okay so and but then or well "))
        i++;
    if (words_in(q, i, " what how ") && words_in(q, i + 1, " about if "))
        return true;
    if ((words_in(q, i, " what ") && q->n == i + 1) || (words_in(q, i, " if ") && words_in(q, i + 1, " so not yes no ")))
        return true;
    if (words_in(q, i, prepositions) && (words_in(q, 0, " and but then or ") || (i == 0 && !words_has_finite(q))))
        return true;
    return i > 0 && words_in(q, 0, " and but or then so ") && !has_name(q) &&
           words_count_content(q, 0, q->n) <= FEW_CONTENT;
}

static bool is_correction(const words *q)
{
    size_t i = 0;
    while (words_in(q, i, " no sorry oops yes oh "))
        i++;
    if (words_in(q, i, " i ") && words_in(q, i + 1, " mean meant "))
        return true;
    if (words_in(q, i, " i ") && words_in(q, i + 1, " am m ") && words_in(q, i + 2, " talking asking referring "))
        return true;
    return words_in(q, i, " correction ") || (i > 0 && words_in(q, i, " not "));
}

static bool is_definition(const words *q)
{
    if (words_in(q, 0, " define explain describe tell "))
        return true;
    return (words_in(q, 0, " what who where ") && words_in(q, 1, " is are was were s ")) ||
           (words_in(q, 0, " what ") && words_in(q, 1, " does do ") &&
            (words_in(q, q->n - 1, " mean ") || words_in(q, 3, " mean ")));
}

static bool is_fragment(const words *q)
{
    if (words_has_finite(q) || has_name(q) || words_in(q, 0, " name list compare "))
        return false;
    return q->n <= FEW_WORDS && words_count_content(q, 0, q->n) <= FEW_CONTENT;
}

/* "does shipping …", "a project …" */
static bool has_subject(const words *q)
{
    for (size_t i = 1; i < q->n; i++)
        if (words_is_content(q, i) && words_in(q, i - 1, " is are was were do does did must a an "))
            return true;
    return false;
}

static bool is_bare(const words *q)
{
    size_t n = words_count_content(q, 0, q->n);
    for (size_t i = 0; i < q->n; i++)
        if (words_in(q, i, relational) || words_in(q, i, general))
            n -= words_is_content(q, i);
    if (n == 0)
        return true;
    return n == 1 && !is_definition(q) && !has_name(q) && !has_subject(q);
}

/* "the" before word i, and nothing behind it that says of what. */
static bool is_untold(const words *q, size_t i)
{
    if (i == 0 || !words_in(q, i - 1, " the "))
        return false;
    return i + 1 == q->n || words_is_cut(q, i + 1) ||
           !(words_in(q, i + 1, prepositions) || words_in(q, i + 1, " and or that which who where called named s ") ||
             (words_is_content(q, i + 1) && !words_in(q, i, general)));
}

/* "the steps", "the song". */
static bool is_definite(const words *q)
{
    if (has_name(q))
        return false;
    for (size_t i = 1; i < q->n; i++)
        if ((words_in(q, i, relational) || words_in(q, i, general)) && is_untold(q, i))
            return true;
    return false;
}

/* "the dialog" after "What types of dialog nodes are there?". */
static bool names_the_known(const words *q, const words *before)
{
    if (has_name(q))
        return false;
    for (size_t i = 1; i < q->n; i++) {
        if (!words_is_content(q, i) || !is_untold(q, i))
            continue;
        for (size_t k = 0; k < before->n; k++)
            if (rag_str_eq(before->at[k].stem, q->at[i].stem))
                return true;
    }
    return false;
}

finding english_look(const words *q, const followup_turn *last, rag_arena *arena)
{
    finding f = { 0 };
    if (q->n == 0)
        return f;
    words before = words_of(last->resolved.len ? last->resolved : last->question, arena);
    if (find_pronoun(q, &f))
        return f;
    f = (finding){ .cue = FOLLOWUP_NONE };
    if (is_connective(q))
        f.cue = FOLLOWUP_CONNECTIVE;
    else if (is_correction(q))
        f.cue = FOLLOWUP_CORRECTION;
    else if (is_fragment(q) || is_bare(q))
        f.cue = FOLLOWUP_ELLIPSIS;
    else if (is_definite(q) || names_the_known(q, &before))
        f.cue = FOLLOWUP_DEFINITE;
    return f;
}
