/* index/faiss_c.h: the FAISS C API, as far as this room calls it.
 *
 * Debian 12 installs these headers without their code; index/faiss_c.cpp supplies it there, and what newer
 * releases have added since, with their signatures. */
#ifndef RAG_INDEX_FAISS_C_H
#define RAG_INDEX_FAISS_C_H

#include <faiss/c_api/IndexFlat_c.h>
#include <faiss/c_api/Index_c.h>
#include <faiss/c_api/error_c.h>
#include <faiss/c_api/impl/AuxIndexStructures_c.h>
#include <faiss/c_api/index_io_c.h>

#ifndef RAGD_HAVE_FAISS_C
#ifdef __cplusplus
extern "C" {
#endif

FAISS_DECLARE_CLASS(SearchParameters)
FAISS_DECLARE_DESTRUCTOR(SearchParameters)
int faiss_SearchParameters_new(FaissSearchParameters **p_sp, FaissIDSelector *sel);

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
const char *faiss_get_version(void);
#ifdef __cplusplus
}
#endif

#endif
