/* tests/kb.h: small knowledge bases for the index's tests. */
#ifndef RAG_TESTS_KB_H
#define RAG_TESTS_KB_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "index/index.h"

enum { KB_DIM = 16 };

/* Fails the test with the error's sentence. */
#define assert_ok(call)                                                        \
    do {                                                                       \
        rag_code code_ = (call);                                               \
        if (code_ != RAG_OK)                                                   \
            fail_msg("%s: %s: %s", #call, rag_code_name(code_), kb_err.message); \
    } while (0)
#define assert_code(call, wanted) assert_string_equal(rag_code_name(call), rag_code_name(wanted))

extern rag_err kb_err;

/* A fresh folder; kb_dir_remove deletes it with all that is in it. */
char *kb_dir_new(void);
void kb_dir_remove(char *dir);

/* cmocka's set-up and tear-down: *state is a fresh folder. */
int kb_setup(void **state);
int kb_teardown(void **state);

rag_index *kb_open(const char *dir);
rag_writer_options kb_run(void); /* model "m", dimension KB_DIM, chunker "c" */
rag_writer *kb_begin(rag_index *ix);
int64_t kb_source(rag_writer *w, const char *collection, const char *root, const char *groups);
rag_published kb_publish(rag_writer *w);

/* The vector of a text: a sum over its words, so that texts with common words lie close together. */
void kb_vector(rag_str text, float out[KB_DIM]);

/* Puts a document whose chunks are its paragraphs (split at blank lines), headed by the title. */
int64_t kb_put(rag_writer *w, int64_t source, const char *path, const char *text);
rag_code kb_try_put(rag_writer *w, int64_t source, const char *path, const char *text, int64_t *id);

/* One whole run: begin, source "/root" in collection "default", put path/text pairs up to NULL, publish. */
rag_published kb_ingest(rag_index *ix, ...);

/* The best top_k chunks of rag_reader_search as they are: not arranged. */
rag_code kb_hits(rag_reader *r, rag_snapshot *s, const rag_search *q, rag_arena *arena, rag_hit **out, size_t *n);
/* The hits of a search over everything, with the latest snapshot; they live in the arena. */
size_t kb_search(rag_index *ix, const char *query, rag_search_mode mode, rag_arena *arena, rag_hit **out);
/* Whether a text search finds this document, with the latest snapshot. */
bool kb_finds(rag_index *ix, const char *query, const char *document);

/* Runs SQL on the file behind everybody's back. */
void kb_sql(const char *dir, const char *sql);
int64_t kb_sql_number(const char *dir, const char *sql);
char *kb_path(const char *dir, const char *name); /* to be freed */

#endif
