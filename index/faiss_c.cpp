/* The part of FAISS's C API that ragd calls, for installations that have only the C++ library.  No exception
 * leaves these functions. */
#ifndef RAGD_HAVE_FAISS_C

#include "index/faiss_c.h"

#include <faiss/IndexFlat.h>
#include <faiss/impl/FaissException.h>
#include <faiss/impl/IDSelector.h>
#include <faiss/index_io.h>

#include <exception>
#include <memory>
#include <string>

namespace {

thread_local std::string last_error;

template <typename Work>
int guarded(Work work)
{
    try {
        work();
        return OK;
    } catch (const faiss::FaissException &e) {
        last_error = e.what();
        return FAISS_EXCEPT;
    } catch (const std::exception &e) {
        last_error = e.what();
        return STD_EXCEPT;
    } catch (...) {
        last_error = "unknown exception";
        return UNKNOWN_EXCEPT;
    }
}

faiss::Index *real(FaissIndex *index)
{
    return reinterpret_cast<faiss::Index *>(index);
}

const faiss::Index *real(const FaissIndex *index)
{
    return reinterpret_cast<const faiss::Index *>(index);
}

} // namespace

extern "C" {

const char *faiss_get_last_error(void)
{
    return last_error.c_str();
}

const char *faiss_get_version(void)
{
    static const std::string version = std::to_string(FAISS_VERSION_MAJOR) + "." +
                                       std::to_string(FAISS_VERSION_MINOR) + "." +
                                       std::to_string(FAISS_VERSION_PATCH);
    return version.c_str();
}

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

int faiss_Index_add(FaissIndex *index, idx_t n, const float *x)
{
    return guarded([=] { real(index)->add(n, x); });
}

int faiss_Index_search(const FaissIndex *index, idx_t n, const float *x, idx_t k, float *distances, idx_t *labels)
{
    return guarded([=] { real(index)->search(n, x, k, distances, labels); });
}

int faiss_Index_search_with_params(const FaissIndex *index, idx_t n, const float *x, idx_t k,
                                   const FaissSearchParameters *params, float *distances, idx_t *labels)
{
    return guarded([=] {
        real(index)->search(n, x, k, distances, labels, reinterpret_cast<const faiss::SearchParameters *>(params));
    });
}

int faiss_SearchParameters_new(FaissSearchParameters **p_sp, FaissIDSelector *sel)
{
    return guarded([=] {
        auto made = std::make_unique<faiss::SearchParameters>();
        made->sel = reinterpret_cast<faiss::IDSelector *>(sel);
        *p_sp = reinterpret_cast<FaissSearchParameters *>(made.release());
    });
}

void faiss_SearchParameters_free(FaissSearchParameters *params)
{
    delete reinterpret_cast<faiss::SearchParameters *>(params);
}

int faiss_IDSelectorBitmap_new(FaissIDSelectorBitmap **p_sel, size_t n, const uint8_t *bitmap)
{
    return guarded([=] {
        *p_sel = reinterpret_cast<FaissIDSelectorBitmap *>(new faiss::IDSelectorBitmap(n, bitmap));
    });
}

void faiss_IDSelectorBitmap_free(FaissIDSelectorBitmap *sel)
{
    delete reinterpret_cast<faiss::IDSelectorBitmap *>(sel);
}

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
    auto *flat = static_cast<faiss::IndexFlat *>(real(index));
    *p_xb = flat->get_xb();
    *p_size = flat->codes.size() / sizeof(float);
}

int faiss_write_index_fname(const FaissIndex *index, const char *fname)
{
    return guarded([=] { faiss::write_index(real(index), fname); });
}

int faiss_read_index_fname(const char *fname, int io_flags, FaissIndex **p_out)
{
    return guarded([=] { *p_out = reinterpret_cast<FaissIndex *>(faiss::read_index(fname, io_flags)); });
}

} // extern "C"

#endif
