/* The part of FAISS's C API that ragd calls, for installations that have only the C++ library. */
#ifndef RAGD_HAVE_FAISS_C

#include "index/faiss_guard.hpp"

#include <faiss/IndexFlat.h>
#include <faiss/IndexIVF.h>
#include <faiss/IndexScalarQuantizer.h>
#include <faiss/index_factory.h>
#include <faiss/index_io.h>

#include <string>

using faiss_guard::guarded;
using faiss_guard::real;

thread_local std::exception_ptr faiss_last_exception;

extern "C" {

const char *faiss_get_last_error(void)
{
    static thread_local std::string sentence;
    try {
        if (faiss_last_exception)
            std::rethrow_exception(faiss_last_exception);
        sentence = "no error";
    } catch (const std::exception &e) {
        sentence = e.what();
    } catch (...) {
        sentence = "unknown exception";
    }
    return sentence.c_str();
}

/* ---- any index --------------------------------------------------------------------------------- */

void faiss_Index_free(FaissIndex *index)
{
    delete real(index);
}

int faiss_Index_d(const FaissIndex *index)
{
    return static_cast<int>(real(index)->d);
}

idx_t faiss_Index_ntotal(const FaissIndex *index)
{
    return real(index)->ntotal;
}

FaissMetricType faiss_Index_metric_type(const FaissIndex *index)
{
    return static_cast<FaissMetricType>(real(index)->metric_type);
}

int faiss_Index_train(FaissIndex *index, idx_t n, const float *x)
{
    return guarded([=] { real(index)->train(n, x); });
}

int faiss_Index_add(FaissIndex *index, idx_t n, const float *x)
{
    return guarded([=] { real(index)->add(n, x); });
}

int faiss_Index_search(const FaissIndex *index, idx_t n, const float *x, idx_t k, float *distances, idx_t *labels)
{
    return guarded([=] { real(index)->search(n, x, k, distances, labels); });
}

int faiss_write_index_fname(const FaissIndex *index, const char *fname)
{
    return guarded([=] { faiss::write_index(real(index), fname); });
}

int faiss_read_index(FILE *f, int io_flags, FaissIndex **p_out)
{
    return guarded([=] { *p_out = reinterpret_cast<FaissIndex *>(faiss::read_index(f, io_flags)); });
}

int faiss_index_factory(FaissIndex **p_index, int d, const char *description, FaissMetricType metric)
{
    return guarded([=] {
        *p_index = reinterpret_cast<FaissIndex *>(
            faiss::index_factory(d, description, static_cast<faiss::MetricType>(metric)));
    });
}

/* ---- kinds of index ------------------------------------------------------------------------------ */

int faiss_IndexFlatIP_new_with(FaissIndexFlatIP **p_index, idx_t d)
{
    return guarded([=] { *p_index = reinterpret_cast<FaissIndexFlatIP *>(new faiss::IndexFlatIP(d)); });
}

FaissIndexFlat *faiss_IndexFlat_cast(FaissIndex *index)
{
    return reinterpret_cast<FaissIndexFlat *>(dynamic_cast<faiss::IndexFlat *>(real(index)));
}

void faiss_IndexFlat_xb(FaissIndexFlat *index, float **p_xb, size_t *p_size)
{
    auto *flat = reinterpret_cast<faiss::IndexFlat *>(index);
    *p_xb = flat->get_xb();
    *p_size = flat->codes.size() / sizeof(float);
}

int faiss_IndexScalarQuantizer_new_with(FaissIndexScalarQuantizer **p_index, idx_t d, FaissQuantizerType qt,
                                        FaissMetricType metric)
{
    return guarded([=] {
        *p_index = reinterpret_cast<FaissIndexScalarQuantizer *>(new faiss::IndexScalarQuantizer(
            static_cast<int>(d), static_cast<faiss::ScalarQuantizer::QuantizerType>(qt),
            static_cast<faiss::MetricType>(metric)));
    });
}

int faiss_IndexIVFScalarQuantizer_new_with_metric(FaissIndexIVFScalarQuantizer **p_index, FaissIndex *quantizer,
                                                  size_t d, size_t nlist, FaissQuantizerType qt, FaissMetricType metric,
                                                  int encode_residual)
{
    return guarded([=] {
        *p_index = reinterpret_cast<FaissIndexIVFScalarQuantizer *>(new faiss::IndexIVFScalarQuantizer(
            real(quantizer), d, nlist, static_cast<faiss::ScalarQuantizer::QuantizerType>(qt),
            static_cast<faiss::MetricType>(metric), encode_residual != 0));
    });
}

void faiss_IndexIVFScalarQuantizer_set_own_fields(FaissIndexIVFScalarQuantizer *index, int value)
{
    reinterpret_cast<faiss::IndexIVFScalarQuantizer *>(index)->own_fields = value != 0;
}

FaissIndexIVF *faiss_IndexIVF_cast(FaissIndex *index)
{
    return reinterpret_cast<FaissIndexIVF *>(dynamic_cast<faiss::IndexIVF *>(real(index)));
}

size_t faiss_IndexIVF_nlist(const FaissIndexIVF *index)
{
    return reinterpret_cast<const faiss::IndexIVF *>(index)->nlist;
}

size_t faiss_IndexIVF_get_list_size(const FaissIndexIVF *index, size_t list_no)
{
    return reinterpret_cast<const faiss::IndexIVF *>(index)->get_list_size(list_no);
}

FaissIndex *faiss_IndexIVF_quantizer(const FaissIndexIVF *index)
{
    return reinterpret_cast<FaissIndex *>(reinterpret_cast<const faiss::IndexIVF *>(index)->quantizer);
}

} // extern "C"

#endif
