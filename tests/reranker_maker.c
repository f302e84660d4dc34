#include "tests/reranker_maker.h"

#include <gguf.h>
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* llama.cpp's token types. */
enum { TOKEN_NORMAL = 1, TOKEN_UNKNOWN = 2, TOKEN_CONTROL = 3 };
enum { PAD, UNK, CLS, SEP, MASK, OPEN, GOLD, LEAD, WOOD, CLAY, SAND, FIRST_WORD };

typedef enum filling { ZEROS, ONES, IDENTITY, WORDS, HEAD, NOISE } filling;

typedef struct maker {
    reranker_shape shape;
    struct ggml_context *meta;
    struct gguf_context *gguf;
    void **data; /* of the tensors */
    size_t n;
    uint64_t seed;
} maker;

/* The share of gold and lead shows in the first two dimensions; other words have one of the rest and its opposite. */
static float word_value(int64_t token, int64_t dimension, int64_t width)
{
    if (token == GOLD || token == LEAD) {
        float sign = token == GOLD ? 1 : -1;
        return dimension == 0 ? sign : dimension == 1 ? -sign : 0;
    }
    int64_t plus = 2 + 2 * (token % (width / 2 - 1));
    return dimension == plus ? 1 : dimension == plus + 1 ? -1 : 0;
}

static float noise(maker *m)
{
    m->seed = m->seed * 6364136223846793005u + 1442695040888963407u;
    return ((float)(m->seed >> 40) / (float)(1 << 24) - 0.5f) * 0.1f;
}

static float value(maker *m, filling with, int64_t row, int64_t column, int64_t width)
{
    switch (with) {
    case ONES: return 1;
    case IDENTITY: return row == column;
    case WORDS: return word_value(row, column, width);
    case HEAD: return (row % 2 ? -1.0f : 1.0f) * word_value(GOLD, column, width);
    case NOISE: return noise(m);
    default: return 0;
    }
}

/* rows 0: a vector. */
static void add_as(maker *m, enum ggml_type type, const char *name, filling with, int64_t width, int64_t rows)
{
    int64_t n_rows = rows > 0 ? rows : 1;
    float *values = calloc((size_t)(width * n_rows), sizeof *values);
    if (m->shape.random && with != ONES && with != ZEROS)
        with = NOISE;
    for (int64_t row = 0; row < n_rows; row++)
        for (int64_t column = 0; column < width; column++)
            values[row * width + column] = value(m, with, row, column, width);
    struct ggml_tensor *t = rows > 0 ? ggml_new_tensor_2d(m->meta, type, width, rows) : ggml_new_tensor_1d(m->meta, type, width);
    void *packed = calloc(1, ggml_nbytes(t));
    ggml_quantize_chunk(type, values, packed, 0, n_rows, width, NULL);
    free(values);
    ggml_set_name(t, name);
    gguf_add_tensor(m->gguf, t);
    gguf_set_tensor_data(m->gguf, name, packed);
    m->data = realloc(m->data, (m->n + 1) * sizeof *m->data);
    m->data[m->n++] = packed;
}

/* Vectors stay F32. */
static void add(maker *m, const char *name, filling with, int64_t width, int64_t rows)
{
    add_as(m, rows > 0 ? m->shape.type : GGML_TYPE_F32, name, with, width, rows);
}

typedef struct part {
    const char *name;
    filling with;
    int64_t width, rows;
} part;

static void add_layer(maker *m, int layer, const part *parts, size_t n)
{
    char name[64];
    for (size_t i = 0; i < n; i++) {
        snprintf(name, sizeof name, "blk.%d.%s", layer, parts[i].name);
        add(m, name, parts[i].with, parts[i].width, parts[i].rows);
    }
}

static filling matrix(const maker *m, filling with)
{
    return m->shape.random ? NOISE : with;
}

static void add_encoder(maker *m, int64_t vocabulary)
{
    const int64_t hidden = m->shape.hidden, wide = m->shape.wide;
    const filling zeros = matrix(m, ZEROS), identity = matrix(m, IDENTITY);
    const part parts[] = {
        { "attn_q.weight", zeros, hidden, hidden },      { "attn_q.bias", ZEROS, hidden, 0 },
        { "attn_k.weight", zeros, hidden, hidden },      { "attn_k.bias", ZEROS, hidden, 0 },
        { "attn_v.weight", identity, hidden, hidden },   { "attn_v.bias", ZEROS, hidden, 0 },
        { "attn_output.weight", identity, hidden, hidden }, { "attn_output.bias", ZEROS, hidden, 0 },
        { "attn_output_norm.weight", ONES, hidden, 0 },  { "attn_output_norm.bias", ZEROS, hidden, 0 },
        { "ffn_up.weight", zeros, hidden, wide },        { "ffn_up.bias", ZEROS, wide, 0 },
        { "ffn_down.weight", zeros, wide, hidden },      { "ffn_down.bias", ZEROS, hidden, 0 },
        { "layer_output_norm.weight", ONES, hidden, 0 }, { "layer_output_norm.bias", ZEROS, hidden, 0 },
    };
    add(m, "token_embd.weight", WORDS, hidden, vocabulary);
    add_as(m, GGML_TYPE_F32, "position_embd.weight", zeros, hidden, m->shape.positions);
    add_as(m, GGML_TYPE_F32, "token_types.weight", zeros, hidden, 2); /* libllama adds it as it is */
    add(m, "token_embd_norm.weight", ONES, hidden, 0);
    add(m, "token_embd_norm.bias", ZEROS, hidden, 0);
    for (int i = 0; i < m->shape.layers; i++)
        add_layer(m, i, parts, sizeof parts / sizeof *parts);
}

static void add_decoder(maker *m, int64_t vocabulary)
{
    const int64_t hidden = m->shape.hidden, wide = m->shape.wide, head = hidden / m->shape.heads;
    const filling zeros = matrix(m, ZEROS), identity = matrix(m, IDENTITY);
    const part parts[] = {
        { "attn_norm.weight", ONES, hidden, 0 },       { "attn_q.weight", zeros, hidden, hidden },
        { "attn_k.weight", zeros, hidden, hidden },    { "attn_v.weight", identity, hidden, hidden },
        { "attn_output.weight", identity, hidden, hidden }, { "attn_q_norm.weight", ONES, head, 0 },
        { "attn_k_norm.weight", ONES, head, 0 },       { "ffn_norm.weight", ONES, hidden, 0 },
        { "ffn_gate.weight", zeros, hidden, wide },    { "ffn_up.weight", zeros, hidden, wide },
        { "ffn_down.weight", zeros, wide, hidden },
    };
    add(m, "token_embd.weight", WORDS, hidden, vocabulary);
    add(m, "output_norm.weight", ONES, hidden, 0);
    for (int i = 0; i < m->shape.layers; i++)
        add_layer(m, i, parts, sizeof parts / sizeof *parts);
}

static void add_head(maker *m)
{
    const int64_t hidden = m->shape.hidden;
    int outputs = m->shape.is_causal ? 2 : m->shape.labels ? m->shape.labels : 1;
    if (m->shape.has_no_head)
        return;
    if (!m->shape.is_causal) {
        add(m, "cls.weight", IDENTITY, hidden, hidden);
        add(m, "cls.bias", ZEROS, hidden, 0);
        add(m, "cls.output.bias", ZEROS, outputs, 0);
    }
    add(m, "cls.output.weight", HEAD, hidden, outputs);
}

static void set_number(maker *m, const char *key, int n)
{
    char name[64];
    snprintf(name, sizeof name, "%s.%s", m->shape.is_causal ? "qwen3" : "bert", key);
    gguf_set_val_u32(m->gguf, name, (uint32_t)n);
}

static void set_shape(maker *m)
{
    const reranker_shape *s = &m->shape;
    gguf_set_val_str(m->gguf, "general.architecture", s->is_causal ? "qwen3" : "bert");
    gguf_set_val_str(m->gguf, "general.name", "made reranker");
    set_number(m, "block_count", s->layers);
    set_number(m, "context_length", s->positions);
    set_number(m, "embedding_length", s->hidden);
    set_number(m, "feed_forward_length", s->wide);
    set_number(m, "attention.head_count", s->heads);
    if (!s->has_no_head)
        set_number(m, "pooling_type", 4); /* RANK */
    if (s->is_causal) {
        gguf_set_val_f32(m->gguf, "qwen3.attention.layer_norm_rms_epsilon", 1e-6f);
    } else {
        gguf_set_val_f32(m->gguf, "bert.attention.layer_norm_epsilon", 1e-12f);
        gguf_set_val_bool(m->gguf, "bert.attention.causal", false);
    }
}

static void set_labels(maker *m)
{
    static const char *const yes_no[] = { "yes", "no" }, *const others[] = { "LABEL_0", "LABEL_1", "LABEL_2" };
    const char *key = m->shape.is_causal ? "qwen3.classifier.output_labels" : "bert.classifier.output_labels";
    if (m->shape.is_causal || m->shape.labels)
        gguf_set_arr_str(m->gguf, key, (const char **)(m->shape.is_causal ? yes_no : others),
                         m->shape.is_causal ? 2 : (size_t)m->shape.labels);
}

/* WordPiece, as libllama wants it: "\u2581" begins a word. */
static void set_vocabulary(maker *m, int n)
{
    static const char *const first[] = { "[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "<|pair|>", "\u2581gold",
                                         "\u2581lead", "\u2581wood", "\u2581clay", "\u2581sand" };
    char (*names)[24] = calloc((size_t)n, sizeof *names);
    const char **text = calloc((size_t)n, sizeof *text);
    float *scores = calloc((size_t)n, sizeof *scores);
    int32_t *types = calloc((size_t)n, sizeof *types);
    for (int i = 0; i < n; i++) {
        snprintf(names[i], sizeof *names, "\u2581w%d", i - FIRST_WORD);
        text[i] = i < FIRST_WORD ? first[i] : names[i];
        types[i] = i == UNK ? TOKEN_UNKNOWN : i <= OPEN ? TOKEN_CONTROL : TOKEN_NORMAL;
    }
    gguf_set_arr_str(m->gguf, "tokenizer.ggml.tokens", text, (size_t)n);
    gguf_set_arr_data(m->gguf, "tokenizer.ggml.scores", GGUF_TYPE_FLOAT32, scores, (size_t)n);
    gguf_set_arr_data(m->gguf, "tokenizer.ggml.token_type", GGUF_TYPE_INT32, types, (size_t)n);
    free(names);
    free(text);
    free(scores);
    free(types);
}

static void set_tokenizer(maker *m, int vocabulary)
{
    gguf_set_val_str(m->gguf, "tokenizer.ggml.model", "bert");
    set_vocabulary(m, vocabulary);
    gguf_set_val_u32(m->gguf, "tokenizer.ggml.token_type_count", 2);
    gguf_set_val_u32(m->gguf, "tokenizer.ggml.bos_token_id", CLS);
    gguf_set_val_u32(m->gguf, "tokenizer.ggml.unknown_token_id", UNK);
    gguf_set_val_u32(m->gguf, "tokenizer.ggml.seperator_token_id", SEP); /* the format's spelling */
    gguf_set_val_u32(m->gguf, "tokenizer.ggml.padding_token_id", PAD);
    gguf_set_val_u32(m->gguf, "tokenizer.ggml.mask_token_id", MASK);
    if (m->shape.has_eos) {
        gguf_set_val_u32(m->gguf, "tokenizer.ggml.eos_token_id", SEP);
        gguf_set_val_bool(m->gguf, "tokenizer.ggml.add_eos_token", true);
    }
    if (m->shape.template)
        gguf_set_val_str(m->gguf, "tokenizer.chat_template.rerank", m->shape.template);
}

static void complete(reranker_shape *s)
{
    const struct {
        int *field, value;
    } defaults[] = { { &s->layers, 1 }, { &s->hidden, 32 }, { &s->heads, 2 }, { &s->wide, 64 }, { &s->positions, 64 } };
    for (size_t i = 0; i < sizeof defaults / sizeof *defaults; i++)
        if (*defaults[i].field == 0)
            *defaults[i].field = defaults[i].value;
}

void reranker_make(const char *path, const reranker_shape *shape)
{
    maker m = { .shape = *shape, .gguf = gguf_init_empty(), .seed = 1 };
    complete(&m.shape);
    int vocabulary = FIRST_WORD + m.shape.words;
    size_t most = 16 + 16 * (size_t)m.shape.layers;
    m.meta = ggml_init((struct ggml_init_params){ .mem_size = ggml_tensor_overhead() * most, .no_alloc = true });
    set_shape(&m);
    set_labels(&m);
    set_tokenizer(&m, vocabulary);
    if (m.shape.is_causal)
        add_decoder(&m, vocabulary);
    else
        add_encoder(&m, vocabulary);
    add_head(&m);
    if (!gguf_write_to_file(m.gguf, path, false)) {
        fprintf(stderr, "cannot write '%s'\n", path);
        exit(1);
    }
    for (size_t i = 0; i < m.n; i++)
        free(m.data[i]);
    free(m.data);
    gguf_free(m.gguf);
    ggml_free(m.meta);
}
