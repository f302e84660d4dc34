#include "kb.h"

#include "index/fuse.h"

static const rag_search sum = { .fusion = RAG_FUSE_WEIGHTED }, reciprocal = { .fusion = RAG_FUSE_RRF };

static void test_fuse__sums_decide_by_how_much(void **state)
{
    (void)state;
    candidate list[] = {
        { .vector_rank = 1, .text_rank = 2, .vector_score = 0.85f, .text_score = 1 },
        { .vector_rank = 2, .text_rank = 1, .vector_score = 0.84f, .text_score = 20 },
        { .vector_rank = 3, .text_rank = 0, .vector_score = 0.80f, .text_score = 0 },
    };
    fuse(list, 3, &sum);
    assert_true(list[1].score > list[0].score && list[0].score > list[2].score);
    list[1].text_score = 1.5f; /* ahead by a common word only */
    fuse(list, 3, &sum);
    assert_true(list[0].score > list[1].score);
}

static void test_fuse__one_half_alone_keeps_its_order(void **state)
{
    (void)state;
    candidate text[] = { { .text_rank = 1, .text_score = 3 }, { .text_rank = 2, .text_score = 2.5f } };
    candidate vectors[] = { { .vector_rank = 1, .vector_score = 0.5f }, { .vector_rank = 2, .vector_score = -0.5f } };
    const rag_search *const ways[] = { &sum, &reciprocal };
    for (size_t k = 0; k < 2; k++) {
        fuse(text, 2, ways[k]);
        fuse(vectors, 2, ways[k]);
        assert_true(text[0].score > text[1].score);
        assert_true(vectors[0].score > vectors[1].score);
    }
}

static void test_fuse__reciprocal_ranks_on_request(void **state)
{
    (void)state;
    candidate list[] = { { .vector_rank = 1, .text_rank = 3, .text_score = 100 }, { .text_rank = 1 }, { 0 } };
    fuse(list, 3, &reciprocal);
    assert_float_equal(list[0].score, 1.0 / 61 + 1.0 / 63, 1e-12);
    assert_float_equal(list[1].score, 1.0 / 61, 1e-12);
    assert_float_equal(list[2].score, 0, 1e-12);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_fuse__sums_decide_by_how_much),
        cmocka_unit_test(test_fuse__one_half_alone_keeps_its_order),
        cmocka_unit_test(test_fuse__reciprocal_ranks_on_request),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
