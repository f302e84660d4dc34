# Every library that is not ours, under one name each: lib::<name>.

find_package(PkgConfig REQUIRED)
find_package(Threads REQUIRED)

option(RAGD_SYSTEM_LLAMA "use an installed libllama instead of the one that ./setup built" OFF)
set(RAGD_LLAMA_DIR "" CACHE PATH "prefix (include/, lib/) of static llama.cpp libraries; empty: the one that ./setup built")

function(ragd_pkg name)
  pkg_check_modules(${name} REQUIRED IMPORTED_TARGET ${ARGN})
  add_library(lib::${name} ALIAS PkgConfig::${name})
endfunction()

# A library without a .pc file: LIBRARIES by name, found through HEADER.
function(ragd_find name)
  cmake_parse_arguments(ARG "" "HEADER" "LIBRARIES" ${ARGN})
  find_path(${name}_include ${ARG_HEADER} REQUIRED)
  set(found "")
  foreach(library ${ARG_LIBRARIES})
    find_library(${name}_${library} ${library} REQUIRED)
    list(APPEND found ${${name}_${library}})
  endforeach()
  add_library(lib::${name} INTERFACE IMPORTED)
  target_include_directories(lib::${name} INTERFACE ${${name}_include})
  target_link_libraries(lib::${name} INTERFACE ${found})
endfunction()

# A static C++ library, so that a C program over it is linked by the C++ compiler.
function(ragd_static_cxx name path)
  add_library(${name} STATIC IMPORTED)
  set_target_properties(${name} PROPERTIES
    IMPORTED_LOCATION ${path} IMPORTED_LINK_INTERFACE_LANGUAGES CXX)
endfunction()

add_library(lib::threads ALIAS Threads::Threads)
ragd_pkg(icu icu-uc icu-i18n)
ragd_pkg(crypto libcrypto)
ragd_pkg(xxhash libxxhash)
ragd_pkg(inih inih)
ragd_pkg(sqlite sqlite3)
ragd_pkg(zstd libzstd)
ragd_pkg(gumbo gumbo)
ragd_pkg(cjson libcjson)
ragd_pkg(curl libcurl)
ragd_pkg(event libevent libevent_pthreads)
ragd_find(stemmer HEADER libstemmer.h LIBRARIES stemmer)
ragd_find(cmark HEADER cmark-gfm-core-extensions.h LIBRARIES cmark-gfm-extensions cmark-gfm)

# OpenMP's runtime, for FAISS and llama.cpp.  Linked in statically its start-up code runs after
# llm/llama_runtime.c has chosen the wait policy; a shared one would have read the environment before.
add_library(lib::openmp INTERFACE IMPORTED)
execute_process(COMMAND ${CMAKE_C_COMPILER} -print-file-name=libgomp.a
  OUTPUT_VARIABLE gomp OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET)
if(EXISTS "${gomp}" AND NOT RAGD_SYSTEM_LLAMA)
  set(RAGD_STATIC_OPENMP 1)
  target_link_libraries(lib::openmp INTERFACE ${gomp} Threads::Threads ${CMAKE_DL_LIBS})
else()
  set(RAGD_STATIC_OPENMP 0)
  find_package(OpenMP REQUIRED COMPONENTS CXX)
  target_link_libraries(lib::openmp INTERFACE OpenMP::OpenMP_CXX)
endif()

# FAISS: Debian ships the static C++ library and the C API's headers without its code, which
# index/faiss_c.cpp then supplies; RAGD_HAVE_FAISS_C says that an installed libfaiss_c does.
find_path(faiss_include faiss/c_api/faiss_c.h REQUIRED)
find_library(faiss_library NAMES libfaiss.a faiss REQUIRED)
find_library(faiss_c_library faiss_c)
find_package(BLAS REQUIRED)
find_package(LAPACK REQUIRED)
ragd_static_cxx(lib::faiss ${faiss_library})
target_include_directories(lib::faiss INTERFACE ${faiss_include} ${faiss_include}/faiss/c_api)
target_link_libraries(lib::faiss INTERFACE LAPACK::LAPACK BLAS::BLAS lib::openmp)
if(faiss_c_library)
  target_compile_definitions(lib::faiss INTERFACE RAGD_HAVE_FAISS_C)
  target_link_libraries(lib::faiss INTERFACE ${faiss_c_library})
endif()

# llama.cpp.  ./setup leaves the prefix's path in .cache/llama_dir of the checkout.
if(RAGD_SYSTEM_LLAMA)
  find_package(llama CONFIG REQUIRED)
  add_library(lib::llama INTERFACE IMPORTED)
  target_link_libraries(lib::llama INTERFACE llama lib::openmp m)
else()
  set(llama_dir "${RAGD_LLAMA_DIR}")
  if(NOT llama_dir AND EXISTS ${PROJECT_SOURCE_DIR}/.cache/llama_dir)
    file(STRINGS ${PROJECT_SOURCE_DIR}/.cache/llama_dir llama_dir LIMIT_COUNT 1)
  endif()
  if(NOT EXISTS "${llama_dir}/lib/libllama.a")
    message(FATAL_ERROR "no llama.cpp libraries in '${llama_dir}': run ./setup first, "
      "or pass -DRAGD_LLAMA_DIR=PREFIX or -DRAGD_SYSTEM_LLAMA=ON")
  endif()
  foreach(part ggml-base ggml-cpu ggml)
    ragd_static_cxx(lib::${part} ${llama_dir}/lib/lib${part}.a)
  endforeach()
  target_include_directories(lib::ggml-base INTERFACE ${llama_dir}/include)
  target_link_libraries(lib::ggml-base INTERFACE lib::openmp Threads::Threads m ${CMAKE_DL_LIBS})
  target_link_libraries(lib::ggml-cpu INTERFACE lib::ggml-base)
  target_link_libraries(lib::ggml INTERFACE lib::ggml-cpu lib::ggml-base)
  ragd_static_cxx(lib::llama ${llama_dir}/lib/libllama.a)
  target_link_libraries(lib::llama INTERFACE lib::ggml)
endif()
