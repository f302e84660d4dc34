/* index/faiss_guard.hpp: how a C function runs FAISS: no exception leaves it; what was thrown is kept as the C API keeps
 * it, for faiss_get_last_error. */
#ifndef RAG_INDEX_FAISS_GUARD_HPP
#define RAG_INDEX_FAISS_GUARD_HPP

#include "index/faiss_c.h"

#include <faiss/Index.h>
#include <faiss/c_api/error_impl.h>
#include <faiss/impl/FaissException.h>

#include <exception>

namespace faiss_guard {

template <typename Work>
int guarded(Work work)
{
    try {
        work();
        return OK;
    } catch (const faiss::FaissException &) {
        faiss_last_exception = std::current_exception();
        return FAISS_EXCEPT;
    } catch (const std::exception &) {
        faiss_last_exception = std::current_exception();
        return STD_EXCEPT;
    } catch (...) {
        faiss_last_exception = std::current_exception();
        return UNKNOWN_EXCEPT;
    }
}

inline faiss::Index *real(FaissIndex *index)
{
    return reinterpret_cast<faiss::Index *>(index);
}

inline const faiss::Index *real(const FaissIndex *index)
{
    return reinterpret_cast<const faiss::Index *>(index);
}

} // namespace faiss_guard

#endif
