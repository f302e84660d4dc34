# Puts files into a program.  As a module it defines ragd_embed; run with -P it writes the C file.
#
#   ragd_embed(target FILES …)   adds a generated source to target: daemon/assets.h

if(CMAKE_SCRIPT_MODE_FILE)
  set(code "#include \"daemon/assets.h\"\n\n")
  set(table "const asset assets[] = {\n")
  set(n 0)
  foreach(file ${FILES})
    get_filename_component(name ${file} NAME)
    file(READ ${file} hex HEX)
    string(REGEX REPLACE "([0-9a-f][0-9a-f])" "0x\\1," bytes "${hex}")
    string(APPEND code "static const unsigned char bytes_${n}[] = { ${bytes}0 };\n")
    string(APPEND table "    { \"${name}\", bytes_${n}, sizeof bytes_${n} - 1 },\n")
    math(EXPR n "${n} + 1")
  endforeach()
  file(WRITE ${OUTPUT} "${code}\n${table}    { 0 },\n};\n")
  return()
endif()

set(ragd_embed_script ${CMAKE_CURRENT_LIST_FILE})

function(ragd_embed target)
  cmake_parse_arguments(ARG "" "" "FILES" ${ARGN})
  list(TRANSFORM ARG_FILES PREPEND ${PROJECT_SOURCE_DIR}/)
  set(output ${PROJECT_BINARY_DIR}/generated/${target}_assets.c)
  add_custom_command(OUTPUT ${output}
    COMMAND ${CMAKE_COMMAND} "-DFILES=${ARG_FILES}" -DOUTPUT=${output} -P ${ragd_embed_script}
    DEPENDS ${ARG_FILES} ${ragd_embed_script} VERBATIM)
  target_sources(${target} PRIVATE ${output})
endfunction()
