# phial_isa(<name> ARCH <processor> FLAGS ... NEEDS ...), weakest first, then phial_isa_list(<room>).
#
# Compiles isa/<name>.cc with exactly these flags, as an object of its own, when the target processor is ARCH. The list
# of them, isa_list.inc, tells dispatch.cc each set's symbol (avx512_vnni: kAvx512Vnni) and the CPU features it NEEDS.
# The test `isa_objects` reads the objects: each exports that one symbol and no weak ones.

# g++ 12 moves the sums of a loop's integer products behind the loop and keeps every product in memory until then: its
# two passes that do so are off. With AVX2, 4-bit matrices are multiplied up to 1.6 times as fast without them.
# (The preset lint leaves the flags away: clang-tidy, which reads the commands of g++, knows neither.)
set(PHIAL_ISA_IN_ORDER -fno-tree-ter -fno-tree-reassoc CACHE STRING "g++: sums stay where the kernels have them")
set(PHIAL_ISA_LINES "")
set(PHIAL_ISA_TARGETS "")

function(phial_pascal_case name out)
  string(REPLACE "_" ";" words ${name})
  set(result "k")
  foreach(word ${words})
    string(SUBSTRING ${word} 0 1 first)
    string(SUBSTRING ${word} 1 -1 rest)
    string(TOUPPER ${first} first)
    string(APPEND result ${first}${rest})
  endforeach()
  set(${out} ${result} PARENT_SCOPE)
endfunction()

function(phial_isa name)
  cmake_parse_arguments(ARG "" "ARCH" "FLAGS;NEEDS" ${ARGN})
  string(REPLACE "AMD64" "x86_64" processor ${CMAKE_SYSTEM_PROCESSOR})
  if(NOT processor STREQUAL ARG_ARCH)
    return()
  endif()
  add_library(phial_isa_${name} OBJECT isa/${name}.cc)
  set_target_properties(phial_isa_${name} PROPERTIES UNITY_BUILD OFF)
  target_compile_features(phial_isa_${name} PRIVATE cxx_std_20)
  target_include_directories(phial_isa_${name} PRIVATE ${PROJECT_SOURCE_DIR})
  target_compile_options(phial_isa_${name} PRIVATE -ffp-contract=off ${ARG_FLAGS}
                         $<$<CXX_COMPILER_ID:GNU>:${PHIAL_ISA_IN_ORDER}>)

  phial_pascal_case(${name} symbol)
  set(line ${symbol})
  foreach(need ${ARG_NEEDS})
    phial_pascal_case(${need} feature)
    string(APPEND line ", Feature::${feature}")
  endforeach()
  set(PHIAL_ISA_LINES "${PHIAL_ISA_LINES}PHIAL_ISA(${line})\n" PARENT_SCOPE)
  set(PHIAL_ISA_TARGETS ${PHIAL_ISA_TARGETS} phial_isa_${name} PARENT_SCOPE)
endfunction()

function(phial_isa_list room)
  set(folder ${CMAKE_CURRENT_BINARY_DIR}/include)
  file(CONFIGURE OUTPUT ${folder}/phial/${room}/isa_list.inc CONTENT "${PHIAL_ISA_LINES}" @ONLY)
  target_include_directories(phial_${room} PRIVATE ${folder})
  set_property(GLOBAL PROPERTY PHIAL_ISA_TARGETS ${PHIAL_ISA_TARGETS})
  set(expected "")
  foreach(target ${PHIAL_ISA_TARGETS})
    target_sources(phial_${room} PRIVATE $<TARGET_OBJECTS:${target}>)
    string(REPLACE "phial_isa_" "" name ${target})
    phial_pascal_case(${name} symbol)
    list(APPEND expected ${symbol}=$<TARGET_OBJECTS:${target}>)
  endforeach()
  find_package(Python3 COMPONENTS Interpreter)
  if(expected AND BUILD_TESTING AND Python3_FOUND)
    add_test(NAME isa_objects COMMAND ${Python3_EXECUTABLE} ${PROJECT_SOURCE_DIR}/tools/check_isa_objects.py
             --nm ${CMAKE_NM} ${expected})
  endif()
endfunction()
