#include <stdlib.h>
#include <string.h>

#include "index/tokenizer.h"

/* Sorted; what a question is made of and a passage is not told apart by. */
static const char *const words[] = {
    "a",     "about", "above",  "after", "again",  "against", "all",    "am",    "an",    "and",     "any",
    "are",   "aren",  "as",     "at",    "be",     "because", "been",   "before", "being", "below",  "between",
    "both",  "but",   "by",     "can",   "could",  "couldn",  "d",      "did",   "didn",  "do",      "does",
    "doesn", "doing", "don",    "down",  "during", "each",    "few",    "for",   "from",  "further", "had",
    "hadn",  "has",   "hasn",   "have",  "haven",  "having",  "he",     "her",   "here",  "hers",    "herself",
    "him",   "himself", "his",  "how",   "i",      "if",      "in",     "into",  "is",    "isn",     "it",
    "its",   "itself", "just",  "ll",    "m",      "many",    "me",     "more",  "most",  "much",    "must",
    "my",    "myself", "no",    "nor",   "not",    "now",     "of",     "off",   "on",    "once",    "only",
    "or",    "other", "our",    "ours",  "ourselves", "out",  "over",   "own",   "please", "re",     "s",
    "same",  "shall", "she",    "should", "shouldn", "so",    "some",   "such",  "t",     "than",    "that",
    "the",   "their", "theirs", "them",  "themselves", "then", "there", "these", "they",  "this",    "those",
    "through", "to",  "too",    "under", "until",  "up",      "us",     "ve",    "very",  "was",     "wasn",
    "we",    "were",  "weren",  "what",  "when",   "where",   "which",  "while", "who",   "whom",    "whose",
    "why",   "will",  "with",   "won",   "would",  "wouldn",  "you",    "your",  "yours", "yourself",
    "yourselves",
};

/* Function characters of Chinese questions, simplified as tokens are, and Japanese particles. */
static const char characters[] =
    "的了是在吗呢么吧啊呀哪谁什怎为何之与和及或而且但也都就还又被把从对于以其这那此该个些几您你我他她它们请"
    "のはがをにへともで";

static int compare(const void *key, const void *item)
{
    const rag_str *word = key;
    const char *other = *(const char *const *)item;
    size_t n = strlen(other);
    int order = memcmp(word->ptr, other, word->len < n ? word->len : n);
    return order ? order : (word->len > n) - (word->len < n);
}

bool stop_word(rag_str exact)
{
    return exact.len > 0 && bsearch(&exact, words, sizeof words / sizeof *words, sizeof *words, compare);
}

bool stop_character(rag_str exact)
{
    /* UTF-8 synchronises itself: a whole character is found only where one stands. */
    return exact.len > 0 && rag_str_find((rag_str){ characters, sizeof characters - 1 }, exact, 0) != SIZE_MAX;
}
