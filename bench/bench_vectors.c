/* bench_vectors: the index over many vectors, against exact search.  bench/bench_vectors.sh runs it beside the faiss-cpu wheel.
 *
 *   bench_vectors make STORE N KB…     N vectors: those of the knowledge bases KB, then noisy copies of them; questions are noisy
 *                                      copies of vectors that were held out.  Leaves STORE/kb.db, and base.f32,
 *                                      questions.f32 and truth.i32 (the ten best) for the wheel
 *   bench_vectors run STORE TYPE       builds, saves, loads and asks; one JSON object */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/file.h"
#include "index/store.h"
#include "index/vectors_impl.h"

enum { QUESTIONS = 500, BEST = 10, HELD_OUT_PART = 20, EXACT_QUESTIONS_AT_A_MILLION = 100 };

/* The length of the noise: copies of one vector then have a cosine of 0.92 with each other, as a passage and the one next to it
 * have in real sets (0.94; the tenth next: 0.89). */
static const double noise = 0.3;

static rag_err err;
static int dim;

static void demand(rag_code code)
{
    if (code == RAG_OK)
        return;
    fprintf(stderr, "bench_vectors: %s\n", err.message);
    exit(1);
}

static void demand_faiss(int rc)
{
    if (rc)
        demand(faiss_fail(&err, "measure"));
}

static char *file_in(const char *dir, const char *name)
{
    return rag_path_join(dir, name);
}

static FILE *open_in(const char *dir, const char *name, const char *mode)
{
    char *path = file_in(dir, name);
    FILE *f = fopen(path, mode);
    if (!f)
        demand(rag_fail(&err, RAG_IO, "cannot open '%s'", path));
    free(path);
    return f;
}

static void write_all(FILE *f, const void *bytes, size_t size)
{
    if (fwrite(bytes, 1, size, f) != size)
        demand(rag_fail(&err, RAG_FULL, "cannot write: the disk may be full"));
}

/* ---- vectors ---------------------------------------------------------------------------------- */

typedef struct set {
    float *rows;
    size_t n, cap;
} set;

static void add_kb(set *s, const char *dir)
{
    db *d;
    sqlite3_stmt *q;
    bool row = true;
    char *file = file_in(dir, "kb.db");
    demand(db_open(&d, file, DB_READ, &err));
    demand(db_query(d, &q, "SELECT vector FROM embeddings ORDER BY id", NO_VALUES, &err));
    while (demand(db_step(d, q, &row, &err)), row) {
        rag_str bytes = column_str(q, 0);
        if (dim == 0)
            dim = (int)(bytes.len / sizeof(float));
        if (bytes.len != (size_t)dim * sizeof(float))
            demand(rag_fail(&err, RAG_INVALID, "'%s' has vectors of another dimension", file));
        if (s->n == s->cap)
            s->rows = rag_realloc(s->rows, (s->cap = s->cap ? 2 * s->cap : 4096) * (size_t)dim * sizeof(float));
        memcpy(s->rows + s->n++ * (size_t)dim, bytes.ptr, bytes.len);
    }
    db_done(q);
    db_close(d);
    free(file);
}

static double uniform(uint64_t *state)
{
    return ((double)(draw(state) >> 11) + 0.5) / 9007199254740992.0;
}

static void unit(float *v)
{
    double norm = 0;
    for (int i = 0; i < dim; i++)
        norm += (double)v[i] * v[i];
    for (int i = 0; i < dim; i++)
        v[i] = (float)(v[i] / sqrt(norm));
}

static void blur(const float *from, float *out, uint64_t *state)
{
    double scale = noise / sqrt(dim);
    for (int i = 0; i < dim; i++) {
        double gauss = sqrt(-2 * log(uniform(state))) * cos(2 * 3.14159265358979 * uniform(state));
        out[i] = from[i] + (float)(scale * gauss);
    }
    unit(out);
}

/* Shuffles, so that held-out ones come from everywhere. */
static void shuffle(set *s, uint64_t *state)
{
    float *tmp = rag_alloc((size_t)dim * sizeof *tmp);
    size_t bytes = (size_t)dim * sizeof *tmp;
    for (size_t i = s->n - 1; i > 0; i--) {
        size_t j = draw(state) % (i + 1);
        memcpy(tmp, s->rows + i * (size_t)dim, bytes);
        memcpy(s->rows + i * (size_t)dim, s->rows + j * (size_t)dim, bytes);
        memcpy(s->rows + j * (size_t)dim, tmp, bytes);
    }
    free(tmp);
}

/* ---- make ------------------------------------------------------------------------------------- */

typedef struct maker {
    db *d;
    FILE *base;
    float *questions;
    float score[QUESTIONS * BEST];
    int32_t best[QUESTIONS * BEST];
} maker;

static void store_row(maker *m, size_t at, const float *row)
{
    rag_str bytes = { (const char *)row, (size_t)dim * sizeof *row };
    demand(db_run(m->d, "INSERT INTO embeddings(id, key, model_id, sum, vector) VALUES(?1, CAST(?1 AS BLOB), 1, ?2, ?3)",
                  BIND(num((int64_t)at + 1), num((int64_t)rag_xxh3(bytes, 0)), blob(bytes)), &err));
}

static void offer(maker *m, size_t question, float score, size_t at)
{
    float *s = m->score + question * BEST;
    int32_t *b = m->best + question * BEST, i = BEST - 1;
    if (score <= s[i])
        return;
    for (; i > 0 && s[i - 1] < score; i--) {
        s[i] = s[i - 1];
        b[i] = b[i - 1];
    }
    s[i] = score;
    b[i] = (int32_t)at;
}

static void search_exactly(maker *m, size_t from, const float *block, size_t n)
{
    static float scores[QUESTIONS * BEST];
    static idx_t at[QUESTIONS * BEST];
    FaissIndexFlatIP *flat = NULL;
    demand_faiss(faiss_IndexFlatIP_new_with(&flat, dim));
    demand_faiss(faiss_Index_add((FaissIndex *)flat, (idx_t)n, block));
    demand_faiss(faiss_Index_search((FaissIndex *)flat, QUESTIONS, m->questions, BEST, scores, at));
    for (size_t i = 0; i < QUESTIONS * BEST; i++)
        if (at[i] >= 0)
            offer(m, i / BEST, scores[i], from + (size_t)at[i]);
    faiss_Index_free((FaissIndex *)flat);
}

static void make_rows(maker *m, const set *real, size_t n, uint64_t *state)
{
    float *block = rag_alloc(VECTORS_BLOCK * (size_t)dim * sizeof *block);
    for (size_t from = 0; from < n; from += VECTORS_BLOCK) {
        size_t size = n - from < VECTORS_BLOCK ? n - from : VECTORS_BLOCK;
        demand(db_exec(m->d, "BEGIN", &err));
        for (size_t i = 0; i < size; i++) {
            const float *like = real->rows + (from + i) % real->n * (size_t)dim;
            float *row = block + i * (size_t)dim;
            if (from + i < real->n)
                memcpy(row, like, (size_t)dim * sizeof *row);
            else
                blur(like, row, state);
            store_row(m, from + i, row);
        }
        demand(db_exec(m->d, "COMMIT", &err));
        search_exactly(m, from, block, size);
        write_all(m->base, block, size * (size_t)dim * sizeof *block);
    }
    free(block);
}

static void make_questions(maker *m, set *real, uint64_t *state)
{
    size_t held = real->n / HELD_OUT_PART;
    if (held == 0)
        demand(rag_fail(&err, RAG_INVALID, "there are only %zu real vectors", real->n));
    real->n -= held;
    m->questions = rag_alloc((size_t)QUESTIONS * (size_t)dim * sizeof *m->questions);
    for (size_t i = 0; i < QUESTIONS; i++)
        blur(real->rows + (real->n + i % held) * (size_t)dim, m->questions + i * (size_t)dim, state);
}

static void save(const char *dir, const char *name, const void *bytes, size_t size)
{
    FILE *f = open_in(dir, name, "wb");
    write_all(f, bytes, size);
    fclose(f);
}

static void open_fresh(maker *m, const char *dir)
{
    rag_index *ix;
    rag_index_options opt = { .dir = dir, .create = true };
    char *file = file_in(dir, "kb.db");
    demand(rag_index_open(&ix, &opt, &err));
    rag_index_close(ix);
    demand(db_open(&m->d, file, DB_WRITE, &err));
    demand(db_exec(m->d, "PRAGMA synchronous = OFF", &err));
    demand(db_run(m->d, "INSERT INTO models(sha256, name, dim) VALUES(x'00', 'm', ?)", BIND(num(dim)), &err));
    free(file);
}

static int make(int argc, char **argv)
{
    static maker m;
    set real = { 0 };
    uint64_t state = 1;
    size_t n = strtoul(argv[3], NULL, 10);
    for (int i = 4; i < argc; i++)
        add_kb(&real, argv[i]);
    if (real.n == 0 || n == 0)
        demand(rag_fail(&err, RAG_INVALID, "there are no vectors"));
    for (size_t i = 0; i < QUESTIONS * BEST; i++)
        m.score[i] = -2;
    shuffle(&real, &state);
    make_questions(&m, &real, &state);
    open_fresh(&m, argv[2]);
    m.base = open_in(argv[2], "base.f32", "wb");
    make_rows(&m, &real, n, &state);
    fclose(m.base);
    db_close(m.d);
    save(argv[2], "questions.f32", m.questions, (size_t)QUESTIONS * (size_t)dim * sizeof *m.questions);
    save(argv[2], "truth.i32", m.best, sizeof m.best);
    printf("{\"n\":%zu,\"dim\":%d,\"real\":%zu,\"questions\":%d}\n", n, dim, real.n, QUESTIONS);
    return 0;
}

/* ---- run -------------------------------------------------------------------------------------- */

static double resident_mib(void)
{
    long pages = 0, resident = 0;
    FILE *f = fopen("/proc/self/statm", "r");
    if (!f || fscanf(f, "%ld %ld", &pages, &resident) != 2)
        demand(rag_fail(&err, RAG_IO, "cannot read /proc/self/statm"));
    fclose(f);
    return (double)resident * (double)sysconf(_SC_PAGESIZE) / (1 << 20);
}

static vectors_identity identity_of(const rag_sha256 *model)
{
    return (vectors_identity){ "bench", "bench", 1, model, dim };
}

static kept_row *all_rows(size_t n)
{
    kept_row *rows = rag_alloc(n * sizeof *rows);
    for (size_t i = 0; i < n; i++)
        rows[i] = (kept_row){ (int64_t)i + 1, (int64_t)i + 1 };
    return rows;
}

/* In a process of its own, so that the memory of the one that asks is that of the index alone. */
static void build_apart(const char *dir, vectors_type type, size_t n)
{
    int status;
    pid_t child = fork();
    if (child == 0) {
        db *d;
        vectors *v;
        rag_sha256 model = { 0 };
        vectors_identity id = identity_of(&model);
        char *file = file_in(dir, "kb.db");
        demand(db_open(&d, file, DB_READ, &err));
        demand(vectors_build(&v, d, dim, type, all_rows(n), n, NULL, &err));
        demand(vectors_save(v, dir, &id, &err));
        _exit(0);
    }
    if (child < 0 || waitpid(child, &status, 0) != child || status != 0)
        exit(1);
}

static int ascending(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

typedef struct asked {
    double p50, p99, recall;
} asked;

static bool is_among(const int32_t *best, int64_t at)
{
    for (int i = 0; i < BEST; i++)
        if (best[i] == at)
            return true;
    return false;
}

/* Each question once to warm up: then the vectors that are scored again are in the system's cache, as a busy store's are. */
static asked ask(const vectors *v, db *d, const float *questions, const int32_t *best, size_t n)
{
    static double ms[QUESTIONS];
    size_t right = 0;
    demand(db_exec(d, "BEGIN", &err)); /* as a search does */
    for (size_t pass = 0; pass < 2; pass++)
        for (size_t i = 0; i < n; i++) {
            int64_t at[BEST];
            float scores[BEST];
            size_t found;
            double begun = rag_clock_ms();
            demand(vectors_search(v, d, questions + i * (size_t)dim, NULL, BEST, at, scores, &found, &err));
            ms[i] = rag_clock_ms() - begun;
            for (size_t j = 0; pass == 1 && j < found; j++)
                right += is_among(best + i * BEST, at[j]);
        }
    demand(db_exec(d, "COMMIT", &err));
    qsort(ms, n, sizeof *ms, ascending);
    return (asked){ ms[n / 2], ms[n * 99 / 100], (double)right / (double)(n * BEST) };
}

static void *read_whole(const char *dir, const char *name, size_t size)
{
    FILE *f = open_in(dir, name, "rb");
    void *bytes = rag_alloc(size);
    if (fread(bytes, 1, size, f) != size)
        demand(rag_fail(&err, RAG_CORRUPT, "'%s' is too short", name));
    fclose(f);
    return bytes;
}

static bool find_type(const char *name, vectors_type *out)
{
    for (*out = VECTORS_FLAT; *out <= VECTORS_IVF; ++*out)
        if (strcmp(name, vectors_type_name(*out)) == 0)
            return true;
    return false;
}

static int run(char **argv)
{
    db *d;
    vectors *v;
    vectors_type type;
    rag_sha256 model = { 0 };
    int64_t n = 0, wide = 0;
    char *file = file_in(argv[2], "kb.db");
    if (!find_type(argv[3], &type))
        demand(rag_fail(&err, RAG_INVALID, "no type '%s'", argv[3]));
    demand(db_open(&d, file, DB_READ, &err));
    demand(db_exec(d, "PRAGMA cache_size = -1000", &err)); /* a reader's */
    demand(db_number(d, &n, "SELECT max(id) FROM embeddings", NO_VALUES, &err));
    demand(db_number(d, &wide, "SELECT dim FROM models WHERE id = 1", NO_VALUES, &err));
    dim = (int)wide;
    double begun = rag_clock_ms();
    build_apart(argv[2], type, (size_t)n);
    double built = rag_clock_ms();
    float *questions = read_whole(argv[2], "questions.f32", (size_t)QUESTIONS * (size_t)dim * sizeof *questions);
    int32_t *best = read_whole(argv[2], "truth.i32", (size_t)QUESTIONS * BEST * sizeof *best);
    kept_row *rows = all_rows((size_t)n);
    vectors_identity id = identity_of(&model);
    double before = resident_mib(), loading = rag_clock_ms();
    demand(vectors_load(&v, argv[2], &id, rows, (size_t)n, &err));
    double loaded = rag_clock_ms();
    size_t questions_asked = (type == VECTORS_FLAT || type == VECTORS_SQ8) && n > 200000 ? EXACT_QUESTIONS_AT_A_MILLION : QUESTIONS;
    asked a = ask(v, d, questions, best, questions_asked);
    double after = resident_mib();
    vectors_shape s = vectors_shape_of(v);
    printf("{\"who\":\"ragd\",\"faiss\":\"%s\",\"type\":\"%s\",\"n\":%lld,\"recall\":%.4f,\"p50_ms\":%.3f,\"p99_ms\":%.3f,"
           "\"build_s\":%.1f,\"load_s\":%.2f,\"resident_mib\":%.0f,\"lists\":%u,\"effort\":%u,\"tuned_recall\":%u}\n",
           fx_version(), vectors_type_name(type), (long long)n, a.recall, a.p50, a.p99, (built - begun) / 1000,
           (loaded - loading) / 1000, after - before, s.lists, s.effort, s.recall);
    return 0;
}

int main(int argc, char **argv)
{
    if (argc >= 5 && strcmp(argv[1], "make") == 0)
        return make(argc, argv);
    if (argc == 4 && strcmp(argv[1], "run") == 0)
        return run(argv);
    fprintf(stderr, "usage: bench_vectors make STORE N KB...\n       bench_vectors run STORE Flat|SQ8|HNSW|IVF\n");
    return 2;
}
