/* What ragd needs beyond FAISS's C API: what later releases have, and what none has (fx_…). */
#include "index/faiss_guard.hpp"

#include <faiss/IndexFlat.h>
#include <faiss/IndexHNSW.h>
#include <faiss/IndexIVF.h>
#include <faiss/IndexScalarQuantizer.h>
#include <faiss/impl/AuxIndexStructures.h>
#include <faiss/impl/IDSelector.h>

#include <memory>
#include <string>

using faiss_guard::guarded;
using faiss_guard::real;

namespace {

const faiss::ScalarQuantizer *quantizer_of(const FaissIndex *index)
{
    const faiss::Index *any = real(index);
    if (auto *hnsw = dynamic_cast<const faiss::IndexHNSW *>(any))
        any = hnsw->storage;
    if (auto *flat = dynamic_cast<const faiss::IndexScalarQuantizer *>(any))
        return &flat->sq;
    if (auto *ivf = dynamic_cast<const faiss::IndexIVFScalarQuantizer *>(any))
        return ivf->by_residual ? nullptr : &ivf->sq;
    return nullptr;
}

bool has_8_bits(const faiss::ScalarQuantizer *sq)
{
    return sq && sq->qtype == faiss::ScalarQuantizer::QT_8bit && sq->trained.size() == 2 * sq->d;
}

std::unique_ptr<faiss::SearchParameters> make_parameters(const faiss::Index *index, size_t effort)
{
    if (dynamic_cast<const faiss::IndexIVF *>(index)) {
        auto ivf = std::make_unique<faiss::SearchParametersIVF>();
        ivf->nprobe = effort;
        return ivf;
    }
    if (dynamic_cast<const faiss::IndexHNSW *>(index)) {
        auto hnsw = std::make_unique<faiss::SearchParametersHNSW>();
        hnsw->efSearch = static_cast<int>(effort);
        return hnsw;
    }
    return std::make_unique<faiss::SearchParameters>();
}

struct interrupt : faiss::InterruptCallback {
    bool (*is_wanted)(const void *);
    const void *context;
    interrupt(bool (*wanted)(const void *), const void *c) : is_wanted(wanted), context(c) {}
    bool want_interrupt() override
    {
        return is_wanted(context);
    }
};

} // namespace

extern "C" {

const char *fx_version(void)
{
#ifdef RAGD_NATIVE_FAISS
    static const char how[] = " (native)";
#else
    static const char how[] = "";
#endif
    static const std::string version = std::to_string(FAISS_VERSION_MAJOR) + "." +
                                       std::to_string(FAISS_VERSION_MINOR) + "." +
                                       std::to_string(FAISS_VERSION_PATCH) + how;
    return version.c_str();
}

#ifndef RAGD_HAVE_FAISS_C_PARAMS

void faiss_SearchParameters_free(FaissSearchParameters *params)
{
    delete reinterpret_cast<faiss::SearchParameters *>(params);
}

int faiss_Index_search_with_params(const FaissIndex *index, idx_t n, const float *x, idx_t k,
                                   const FaissSearchParameters *params, float *distances, idx_t *labels)
{
    return guarded([=] {
        real(index)->search(n, x, k, distances, labels, reinterpret_cast<const faiss::SearchParameters *>(params));
    });
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

#endif

void fx_set_interrupt(bool (*is_wanted)(const void *), const void *context)
{
    if (is_wanted)
        faiss::InterruptCallback::instance = std::make_unique<interrupt>(is_wanted, context);
    else
        faiss::InterruptCallback::clear_instance();
}

int fx_SearchParameters_new(FaissSearchParameters **p_sp, const FaissIndex *index, FaissIDSelector *sel, size_t effort)
{
    return guarded([=] {
        auto made = make_parameters(real(index), effort);
        made->sel = reinterpret_cast<faiss::IDSelector *>(sel);
        *p_sp = reinterpret_cast<FaissSearchParameters *>(made.release());
    });
}

fx_kind fx_Index_kind(const FaissIndex *index)
{
    if (dynamic_cast<const faiss::IndexFlat *>(real(index)))
        return FX_FLAT;
    if (!has_8_bits(quantizer_of(index)))
        return FX_OTHER;
    if (dynamic_cast<const faiss::IndexHNSW *>(real(index)))
        return FX_HNSW_SQ8;
    return dynamic_cast<const faiss::IndexIVF *>(real(index)) ? FX_IVF_SQ8 : FX_SQ8;
}

void fx_Index_ranges(const FaissIndex *index, const float **low, const float **span)
{
    const faiss::ScalarQuantizer *sq = quantizer_of(index);
    *low = sq->trained.data();
    *span = sq->trained.data() + sq->d;
}

const uint8_t *fx_Index_codes(const FaissIndex *index)
{
    const faiss::Index *any = real(index);
    if (auto *hnsw = dynamic_cast<const faiss::IndexHNSW *>(any))
        any = hnsw->storage;
    return dynamic_cast<const faiss::IndexScalarQuantizer &>(*any).codes.data();
}

const idx_t *fx_IndexIVF_list_ids(const FaissIndex *index, size_t list)
{
    return dynamic_cast<const faiss::IndexIVF &>(*real(index)).invlists->get_ids(list);
}

const uint8_t *fx_IndexIVF_list_codes(const FaissIndex *index, size_t list)
{
    return dynamic_cast<const faiss::IndexIVF &>(*real(index)).invlists->get_codes(list);
}

} // extern "C"
