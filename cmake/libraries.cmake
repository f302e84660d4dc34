# Every library that is not ours, under one name each: lib::<name>.

find_package(PkgConfig REQUIRED)
find_package(Threads REQUIRED)

function(ragd_pkg name)
  pkg_check_modules(${name} REQUIRED IMPORTED_TARGET ${ARGN})
  add_library(lib::${name} ALIAS PkgConfig::${name})
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
