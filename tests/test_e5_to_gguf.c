/* The converter of the embedder, as a program, over small files in its input format. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>
#include <ggml.h>
#include <gguf.h>

enum { HIDDEN = 32, WIDE = 64, VOCABULARY = 6, PIECES = 5, POSITIONS = 3, TYPES = 2 };
enum { CAPACITY = 64 * 1024, TENSORS = 21 };

/* Offsets of the fields that the tests break. */
enum { AT_VERSION = 4, AT_HIDDEN = 8, AT_LAYERS = 12, AT_HEADS = 16, AT_VOCABULARY = 24, AT_BLOCK = 40, AT_PIECES = 44,
       AT_UNK = 60, AT_SECOND_OFFSET = 76, AT_BLOB = 116 };

typedef struct image {
    uint8_t bytes[CAPACITY];
    size_t len;
} image;

typedef struct fixture {
    char folder[64], in[96], out[96], errors[96];
    image good;
    size_t data_start;
} fixture;

static void put(image *m, const void *bytes, size_t n)
{
    assert_true(m->len + n <= CAPACITY);
    memcpy(m->bytes + m->len, bytes, n);
    m->len += n;
}

static void put_i32(image *m, int32_t v) { put(m, &v, sizeof v); }
static void put_u64(image *m, uint64_t v) { put(m, &v, sizeof v); }

static const struct {
    const char *name, *gguf_name;
    uint8_t type;
    uint32_t width, rows;
} tensors[TENSORS] = {
    { "emb.word", "token_embd.weight", 1, HIDDEN, VOCABULARY },
    { "emb.pos", "position_embd.weight", 0, HIDDEN, POSITIONS },
    { "emb.type", "token_types.weight", 0, HIDDEN, TYPES },
    { "emb.ln.w", "token_embd_norm.weight", 0, HIDDEN, 1 },
    { "emb.ln.b", "token_embd_norm.bias", 0, HIDDEN, 1 },
    { "l0.q.w", "blk.0.attn_q.weight", 1, HIDDEN, HIDDEN },
    { "l0.q.b", "blk.0.attn_q.bias", 0, HIDDEN, 1 },
    { "l0.k.w", "blk.0.attn_k.weight", 1, HIDDEN, HIDDEN },
    { "l0.k.b", "blk.0.attn_k.bias", 0, HIDDEN, 1 },
    { "l0.v.w", "blk.0.attn_v.weight", 1, HIDDEN, HIDDEN },
    { "l0.v.b", "blk.0.attn_v.bias", 0, HIDDEN, 1 },
    { "l0.ao.w", "blk.0.attn_output.weight", 1, HIDDEN, HIDDEN },
    { "l0.ao.b", "blk.0.attn_output.bias", 0, HIDDEN, 1 },
    { "l0.aln.w", "blk.0.attn_output_norm.weight", 0, HIDDEN, 1 },
    { "l0.aln.b", "blk.0.attn_output_norm.bias", 0, HIDDEN, 1 },
    { "l0.fi.w", "blk.0.ffn_up.weight", 1, HIDDEN, WIDE },
    { "l0.fi.b", "blk.0.ffn_up.bias", 0, WIDE, 1 },
    { "l0.fo.w", "blk.0.ffn_down.weight", 1, WIDE, HIDDEN },
    { "l0.fo.b", "blk.0.ffn_down.bias", 0, HIDDEN, 1 },
    { "l0.oln.w", "blk.0.layer_output_norm.weight", 0, HIDDEN, 1 },
    { "l0.oln.b", "blk.0.layer_output_norm.bias", 0, HIDDEN, 1 },
};

static uint64_t tensor_bytes(int i)
{
    uint64_t count = (uint64_t)tensors[i].width * tensors[i].rows;
    return tensors[i].type == 0 ? count * 4 : count / 32 * 18;
}

static uint8_t data_byte(int tensor, uint64_t at)
{
    return (uint8_t)(31 * (unsigned)tensor + 7 * at + 1);
}

static void put_header(image *m)
{
    put(m, "E5S1\1\0\0\0", 8);
    const int32_t shape[] = { HIDDEN, 1, 2, WIDE, VOCABULARY, POSITIONS, TYPES };
    put(m, shape, sizeof shape);
    put(m, &(float){ 1e-5f }, sizeof(float));
    put_i32(m, 32);
}

static void put_tokenizer(image *m)
{
    const int32_t ids[] = { PIECES, 0, 2, 1, 3 };
    const uint32_t offsets[PIECES + 1] = { 0, 3, 8, 12, 17, 20 };
    const float scores[PIECES] = { 0, 0, 0, 0, -2.5f };
    put(m, ids, sizeof ids);
    put_u64(m, 20);
    put(m, offsets, sizeof offsets);
    put(m, scores, sizeof scores);
    put(m, "<s><pad></s><unk>\xe5\xa5\xbd", 20);
    put_i32(m, 1);
    put_i32(m, 9); /* one entry of the normalisation table, which is skipped */
    put(m, "\1\2\3\4\5\6\7\10\11", 9);
}

static void put_tensor_entry(image *m, int i, uint64_t offset)
{
    uint16_t name_bytes = (uint16_t)strlen(tensors[i].name);
    put(m, &name_bytes, sizeof name_bytes);
    put(m, tensors[i].name, name_bytes);
    put(m, &tensors[i].type, 1);
    put_i32(m, (int32_t)(tensors[i].width * tensors[i].rows));
    put_u64(m, offset);
    put_u64(m, tensor_bytes(i));
}

static size_t put_tensors(image *m)
{
    size_t entries = 0;
    for (int i = 0; i < TENSORS; i++)
        entries += 2 + strlen(tensors[i].name) + 1 + 4 + 8 + 8;
    put_i32(m, TENSORS);
    size_t start = m->len + entries, offset = start;
    for (int i = 0; i < TENSORS; i++) {
        put_tensor_entry(m, i, offset);
        offset += tensor_bytes(i);
    }
    for (int i = 0; i < TENSORS; i++)
        for (uint64_t at = 0; at < tensor_bytes(i); at++)
            put(m, &(uint8_t){ data_byte(i, at) }, 1);
    return start;
}

static void write_file(const char *path, const void *bytes, size_t n)
{
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(bytes, 1, n, f), n);
    assert_int_equal(fclose(f), 0);
}

/* Exit status; what it said is in f->errors. */
static int convert(const fixture *f, const void *bytes, size_t n)
{
    char command[512];
    write_file(f->in, bytes, n);
    unlink(f->out);
    snprintf(command, sizeof command, "'%s' '%s' '%s' 2>'%s'", E5_TO_GGUF, f->in, f->out, f->errors);
    int status = system(command);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

static void assert_said(const fixture *f, const char *part)
{
    char text[512] = "";
    FILE *file = fopen(f->errors, "r");
    assert_non_null(file);
    text[fread(text, 1, sizeof text - 1, file)] = '\0';
    fclose(file);
    if (!strstr(text, part))
        fail_msg("\"%s\" is not in \"%s\"", part, text);
}

static void assert_refused(const fixture *f, const void *bytes, size_t n)
{
    assert_int_equal(convert(f, bytes, n), 1);
    assert_said(f, "e5_to_gguf: cannot read '");
    assert_int_equal(access(f->out, F_OK), -1);
}

static int set_up(void **state)
{
    fixture *f = calloc(1, sizeof *f);
    assert_non_null(f);
    snprintf(f->folder, sizeof f->folder, "/tmp/ragd-e5-XXXXXX");
    assert_non_null(mkdtemp(f->folder));
    snprintf(f->in, sizeof f->in, "%s/in.bin", f->folder);
    snprintf(f->out, sizeof f->out, "%s/out.gguf", f->folder);
    snprintf(f->errors, sizeof f->errors, "%s/errors", f->folder);
    put_header(&f->good);
    put_tokenizer(&f->good);
    f->data_start = put_tensors(&f->good);
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    fixture *f = *state;
    unlink(f->in);
    unlink(f->out);
    unlink(f->errors);
    rmdir(f->folder);
    free(f);
    return 0;
}

/* ---- what it writes ---- */

static struct gguf_context *convert_and_open(const fixture *f, struct ggml_context **data)
{
    assert_int_equal(convert(f, f->good.bytes, f->good.len), 0);
    struct gguf_context *g = gguf_init_from_file(f->out, (struct gguf_init_params){ .ctx = data });
    assert_non_null(g);
    return g;
}

static void test_e5_to_gguf__keeps_every_byte_of_every_tensor(void **state)
{
    struct ggml_context *data = NULL;
    struct gguf_context *g = convert_and_open(*state, &data);
    assert_int_equal(gguf_get_n_tensors(g), TENSORS);
    for (int i = 0; i < TENSORS; i++) {
        const struct ggml_tensor *t = ggml_get_tensor(data, tensors[i].gguf_name);
        assert_non_null(t);
        assert_int_equal(t->type, tensors[i].type == 0 ? GGML_TYPE_F32 : GGML_TYPE_Q4_0);
        assert_int_equal(t->ne[0], tensors[i].width);
        assert_int_equal(t->ne[1], tensors[i].rows);
        assert_int_equal(ggml_nbytes(t), tensor_bytes(i));
        for (uint64_t at = 0; at < tensor_bytes(i); at++)
            assert_int_equal(((const uint8_t *)t->data)[at], data_byte(i, at));
    }
    ggml_free(data);
    gguf_free(g);
}

static int64_t key(const struct gguf_context *g, const char *name)
{
    int64_t id = gguf_find_key(g, name);
    if (id < 0)
        fail_msg("no key '%s'", name);
    return id;
}

static void test_e5_to_gguf__says_shape_and_pooling(void **state)
{
    struct gguf_context *g = convert_and_open(*state, NULL);
    assert_string_equal(gguf_get_val_str(g, key(g, "general.architecture")), "bert");
    assert_int_equal(gguf_get_val_u32(g, key(g, "bert.block_count")), 1);
    assert_int_equal(gguf_get_val_u32(g, key(g, "bert.context_length")), POSITIONS);
    assert_int_equal(gguf_get_val_u32(g, key(g, "bert.embedding_length")), HIDDEN);
    assert_int_equal(gguf_get_val_u32(g, key(g, "bert.feed_forward_length")), WIDE);
    assert_int_equal(gguf_get_val_u32(g, key(g, "bert.attention.head_count")), 2);
    assert_int_equal(gguf_get_val_u32(g, key(g, "bert.pooling_type")), 1);
    assert_false(gguf_get_val_bool(g, key(g, "bert.attention.causal")));
    gguf_free(g);
}

static void test_e5_to_gguf__keeps_the_vocabulary_and_its_special_tokens(void **state)
{
    struct gguf_context *g = convert_and_open(*state, NULL);
    static const char *const tokens[] = { "<s>", "<pad>", "</s>", "<unk>", "\xe5\xa5\xbd", "[unused5]" };
    static const int32_t types[] = { 3, 3, 3, 2, 1, 5 };
    int64_t id = key(g, "tokenizer.ggml.tokens");
    assert_int_equal(gguf_get_arr_n(g, id), VOCABULARY);
    for (size_t i = 0; i < VOCABULARY; i++)
        assert_string_equal(gguf_get_arr_str(g, id, i), tokens[i]);
    assert_memory_equal(gguf_get_arr_data(g, key(g, "tokenizer.ggml.token_type")), types, sizeof types);
    const float *scores = gguf_get_arr_data(g, key(g, "tokenizer.ggml.scores"));
    assert_float_equal(scores[4], -2.5f, 0);
    assert_int_equal(gguf_get_val_u32(g, key(g, "tokenizer.ggml.bos_token_id")), 0);
    assert_int_equal(gguf_get_val_u32(g, key(g, "tokenizer.ggml.eos_token_id")), 2);
    assert_int_equal(gguf_get_val_u32(g, key(g, "tokenizer.ggml.padding_token_id")), 1);
    assert_int_equal(gguf_get_val_u32(g, key(g, "tokenizer.ggml.unknown_token_id")), 3);
    gguf_free(g);
}

/* ---- what it refuses ---- */

static void test_e5_to_gguf__refuses_a_file_that_ends_early(void **state)
{
    const fixture *f = *state;
    for (size_t n = 0; n < f->good.len; n += n < f->data_start ? 5 : 211)
        assert_refused(f, f->good.bytes, n);
    assert_refused(f, f->good.bytes, f->good.len - 1);
    assert_said(f, "it ends at byte");
}

static void test_e5_to_gguf__refuses_fields_that_do_not_fit(void **state)
{
    const fixture *f = *state;
    static const struct {
        size_t at;
        int32_t value;
        const char *said;
    } rows[] = {
        { 0, 0x31535345, "does not start with" },
        { AT_VERSION, 2, "format version is 2" },
        { AT_HIDDEN, -32, "the hidden size is -32" },
        { AT_HIDDEN, 40, "do not divide" },
        { AT_HIDDEN, 64, "tensor 'emb.word' holds" },
        { AT_LAYERS, 2, "tensor 'l1.q.w' is missing" },
        { AT_LAYERS, INT32_MAX, "the number of layers" },
        { AT_HEADS, 0, "the number of heads" },
        { AT_VOCABULARY, PIECES - 1, "the number of pieces" },
        { AT_BLOCK, 64, "the block size" },
        { AT_PIECES, INT32_MAX, "the number of pieces" },
        { AT_UNK, PIECES, "unk is 5" },
        { AT_UNK, -1, "unk is -1" },
        { AT_SECOND_OFFSET, 9, "piece 1 lies outside" },
        { AT_SECOND_OFFSET, -1, "piece 0 lies outside" },
        { AT_BLOB, 0, "piece 0 holds a zero byte" },
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        image broken = f->good;
        memcpy(broken.bytes + rows[i].at, &rows[i].value, sizeof rows[i].value);
        assert_refused(f, broken.bytes, broken.len);
        assert_said(f, rows[i].said);
    }
}

static void test_e5_to_gguf__says_when_it_cannot_write(void **state)
{
    fixture *f = *state;
    snprintf(f->out, sizeof f->out, "%s/none/out.gguf", f->folder);
    assert_int_equal(convert(f, f->good.bytes, f->good.len), 1);
    assert_said(f, "e5_to_gguf: cannot write '");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_e5_to_gguf__keeps_every_byte_of_every_tensor, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_e5_to_gguf__says_shape_and_pooling, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_e5_to_gguf__keeps_the_vocabulary_and_its_special_tokens, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_e5_to_gguf__refuses_a_file_that_ends_early, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_e5_to_gguf__refuses_fields_that_do_not_fit, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_e5_to_gguf__says_when_it_cannot_write, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
