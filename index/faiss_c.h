/* index/faiss_c.h: the FAISS C API, as far as this room calls it.
 *
 * Debian 12 installs these headers without their code; index/faiss_c.cpp supplies it there (RAGD_HAVE_FAISS_C: a
 * libfaiss_c is linked instead), and what newer releases have added since, with their signatures
 * (RAGD_HAVE_FAISS_C_PARAMS: it has them).  What no release has begins with fx_. */
#ifndef RAG_INDEX_FAISS_C_H
#define RAG_INDEX_FAISS_C_H

#include <stdbool.h>

#include <faiss/c_api/IndexFlat_c.h>
#include <faiss/c_api/IndexIVF_c.h>
#include <faiss/c_api/IndexScalarQuantizer_c.h>
#include <faiss/c_api/Index_c.h>
#include <faiss/c_api/error_c.h>
#include <faiss/c_api/impl/AuxIndexStructures_c.h>
#include <faiss/c_api/index_factory_c.h>
#include <faiss/c_api/index_io_c.h>

#ifndef RAGD_HAVE_FAISS_C_PARAMS
#ifdef __cplusplus
extern "C" {
#endif

FAISS_DECLARE_CLASS(SearchParameters)
FAISS_DECLARE_DESTRUCTOR(SearchParameters)

FAISS_DECLARE_CLASS(IDSelectorBitmap)
FAISS_DECLARE_DESTRUCTOR(IDSelectorBitmap)
int faiss_IDSelectorBitmap_new(FaissIDSelectorBitmap **p_sel, size_t n, const uint8_t *bitmap);

int faiss_Index_search_with_params(const FaissIndex *index, idx_t n, const float *x, idx_t k,
                                   const FaissSearchParameters *params, float *distances, idx_t *labels);

#ifdef __cplusplus
}
#endif
#endif

#ifdef __cplusplus
extern "C" {
#endif

/* "1.7.3", and " (native)" when it was built for this CPU. */
const char *fx_version(void);

/* What takes long (training, adding) fails once is_wanted says so, until NULL is set.  One for the process: not while other
 * threads are in FAISS. */
void fx_set_interrupt(bool (*is_wanted)(const void *context), const void *context);

/* Search parameters of the kind that the index takes: `effort` is nprobe for IVF, efSearch for HNSW, else ignored. */
int fx_SearchParameters_new(FaissSearchParameters **p_sp, const FaissIndex *index, FaissIDSelector *sel, size_t effort);

/* Where the codes of a scalar quantiser with 8 bits a dimension lie, until rows are added.  A dimension's value is
 * low[i] + (code[i] + ½) / 255 · span[i]. */
typedef enum fx_kind { FX_OTHER, FX_FLAT, FX_SQ8, FX_HNSW_SQ8, FX_IVF_SQ8 } fx_kind;
fx_kind fx_Index_kind(const FaissIndex *index);
void fx_Index_ranges(const FaissIndex *index, const float **low, const float **span); /* FX_…SQ8 */
const uint8_t *fx_Index_codes(const FaissIndex *index); /* FX_SQ8, FX_HNSW_SQ8: one row after the other */
const idx_t *fx_IndexIVF_list_ids(const FaissIndex *index, size_t list);
const uint8_t *fx_IndexIVF_list_codes(const FaissIndex *index, size_t list);

#ifdef __cplusplus
}
#endif

#endif
