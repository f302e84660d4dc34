/* The ranking figures of `ragctl eval` for replies that are in a file; for tests/eval_trec.py.
 *
 *   eval_trec QUESTIONS.jsonl REPLIES.jsonl      prints {"doc_hit_1":…,…} a line, for the reply on the same line */
#include <stdio.h>
#include <stdlib.h>

#include "base/file.h"
#include "ctl/eval_run.h"
#include "ctl/json.h"

static void demand(rag_code code, const rag_err *err)
{
    if (!code)
        return;
    fprintf(stderr, "eval_trec: %s\n", err->message);
    exit(1);
}

static void print_figures(const eval_run *r, size_t question)
{
    cJSON *out = cJSON_CreateObject();
    for (eval_metric m = EVAL_DOC; m < EVAL_SPAN + EVAL_RANKING; m++)
        if (r->data.weights[m][question] > 0)
            cJSON_AddNumberToObject(out, eval_metrics[m].key, r->data.sums[m][question]);
    char *line = json_line(out);
    puts(line);
    free(line);
    cJSON_Delete(out);
}

int main(int argc, char **argv)
{
    rag_err err;
    rag_buf replies;
    eval_set set;
    eval_run run;
    if (argc != 3)
        return 2;
    rag_buf_init(&replies, RAG_MAX_TEXT);
    demand(eval_set_read(&set, &(eval_set_options){ .path = argv[1] }, &err), &err);
    demand(rag_file_read(argv[2], &replies, &err), &err);
    eval_run_init(&run, &set, &(eval_options){ 0 }, NULL);
    rag_str text = rag_buf_str(&replies);
    size_t at = 0;
    for (size_t i = 0; i < set.n; i++) {
        size_t end = rag_str_find(text, RAG_STR("\n"), at);
        cJSON *reply = json_parse(rag_str_sub(text, at, end), &err);
        demand(reply ? RAG_OK : RAG_INVALID, &err);
        eval_score_search(&run, i, reply);
        print_figures(&run, i);
        cJSON_Delete(reply);
        at = end + 1;
    }
    eval_run_free(&run);
    eval_set_free(&set);
    rag_buf_free(&replies);
    return 0;
}
