/* daemon/json.h: what is accepted is JSON, prints and reads back the same; what the writer writes is accepted. */
#include <string.h>

#include "daemon/json.h"
#include "fuzz/fuzz.h"

static cJSON *parse(rag_str text, const char **code)
{
    cJSON *json;
    rag_err err = { 0 };
    *code = NULL;
    rag_code result = json_parse(text, &json, code, &err);
    MUST(result == RAG_OK ? json != NULL : result == RAG_INVALID && !json && *code && err.message[0]);
    return json;
}

static void check_accepted(rag_str text, const cJSON *json)
{
    MUST(rag_utf8_valid(text, NULL));
    for (size_t i = 0; i < text.len; i++)
        MUST((unsigned char)text.ptr[i] >= 0x20 || strchr("\t\r\n", text.ptr[i]));
    char *printed = cJSON_PrintUnformatted(json);
    const char *code;
    cJSON *again = parse(rag_str_of(printed), &code);
    /* cJSON rounds the largest numbers up when it prints them. */
    MUST(again ? cJSON_Compare(json, again, true) : strcmp(code, "number_out_of_range") == 0);
    cJSON_Delete(again);
    cJSON_free(printed);
}

/* Any bytes as a value: one line of JSON that holds them, as far as they were text. */
static void check_written(rag_str bytes)
{
    rag_buf out;
    json_writer w;
    rag_buf_init(&out, RAG_MAX_REPLY);
    json_begin(&w, &out);
    json_open(&w, NULL, '{');
    json_str(&w, "text", bytes);
    json_num(&w, "length", (double)bytes.len / 7, 3);
    json_close(&w, '}');
    MUST(!out.overflow && rag_str_find(rag_buf_str(&out), RAG_STR("\n"), 0) == SIZE_MAX);
    bool has_nul = rag_str_find(bytes, (rag_str){ "", 1 }, 0) != SIZE_MAX;
    if (!has_nul) {
        const char *code;
        cJSON *json = parse(rag_buf_str(&out), &code);
        MUST(json);
        const char *text = cJSON_GetObjectItemCaseSensitive(json, "text")->valuestring;
        MUST(!rag_utf8_valid(bytes, NULL) || rag_str_eq(rag_str_of(text), bytes));
        cJSON_Delete(json);
    }
    rag_buf_free(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    rag_str text = input_of(data, size);
    const char *code;
    cJSON *json = parse(text, &code);
    if (json)
        check_accepted(text, json);
    cJSON_Delete(json);
    check_written(text);
    return 0;
}
