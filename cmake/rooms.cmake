# ragd_room(name HEADERS … SOURCES … USES …): one folder, one static library.
# Headers are included as "room/header.h"; a room sees only what it USES.

add_library(ragd_flags INTERFACE)
target_compile_options(ragd_flags INTERFACE
  -Wall -Wextra -Wshadow -Wpointer-arith -Wvla
  $<$<COMPILE_LANGUAGE:C>:-Wstrict-prototypes -Wmissing-prototypes>
  -fstack-protector-strong -fno-omit-frame-pointer
  $<$<BOOL:${RAGD_WERROR}>:-Werror>)
target_compile_definitions(ragd_flags INTERFACE
  _GNU_SOURCE $<$<NOT:$<CONFIG:Debug>>:_FORTIFY_SOURCE=2>)
target_include_directories(ragd_flags INTERFACE ${PROJECT_SOURCE_DIR} ${PROJECT_BINARY_DIR}/generated)

function(ragd_room name)
  cmake_parse_arguments(ARG "" "" "HEADERS;SOURCES;USES" ${ARGN})
  list(TRANSFORM ARG_HEADERS PREPEND ${name}/)
  list(TRANSFORM ARG_SOURCES PREPEND ${name}/)
  add_library(${name} STATIC ${ARG_HEADERS} ${ARG_SOURCES})
  target_link_libraries(${name} PUBLIC ragd_flags ${ARG_USES})
endfunction()

# ragd_program(name SOURCES … USES …): one binary in build/bin.
function(ragd_program name)
  cmake_parse_arguments(ARG "" "" "SOURCES;USES" ${ARGN})
  add_executable(${name} ${ARG_SOURCES})
  target_link_libraries(${name} PRIVATE ragd_flags ${ARG_USES})
endfunction()
