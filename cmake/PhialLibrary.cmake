# phial_library(<room> SOURCES ... [NATIVE ...] [HOSTED ...] [WASM ...] [USES ...] [PRIVATE ...])
#
# Makes the library phial_<room> with the alias phial::<room>. From the files that lie beside its sources it also makes
# phial_<room>_test (every x_test.cc), phial_<room>_bench (every x_bench.cc) and one fuzzer an x_fuzz.cc, so that a test
# cannot be forgotten. USES are other rooms, PRIVATE third-party targets that only this room's sources see. NATIVE are
# sources, or tests alone, that a cross build without a sysroot leaves out (sources with their tests), because Debian does
# not unpack the libraries that they need for a second architecture by default. HOSTED are sources, or tests alone, that
# need what WebAssembly lacks (threads, mapped files, streams of files, std::filesystem beside paths) or another HOSTED
# source; WASM are the sources that stand in for them there.
#
# Presets compile several sources of a room at a time (CMAKE_UNITY_BUILD), because the headers that they share cost more
# than they do: so a name is used once in a room, in unnamed namespaces too. The arm64 preset compiles them one by
# one and sees a header that is missing.
#
# Rooms are compiled once, for the programs and for libphial: so position-independent, and with their symbols hidden,
# which lets the compiler inline and call within a source as it does without (docs/decisions/0010-the-library.md).
set(CMAKE_POSITION_INDEPENDENT_CODE ON)
set(CMAKE_C_VISIBILITY_PRESET hidden)
set(CMAKE_CXX_VISIBILITY_PRESET hidden)
set(CMAKE_VISIBILITY_INLINES_HIDDEN ON)

# A cross build without a sysroot (the presets arm64 and wasm) holds the rooms whose results depend on the processor;
# the others need libraries that Debian does not unpack for a second architecture by default.
set(PHIAL_ALL_ROOMS ON)
if(CMAKE_CROSSCOMPILING AND NOT CMAKE_SYSROOT)
  set(PHIAL_ALL_ROOMS OFF)
endif()

option(PHIAL_FUZZ "Build the libFuzzer targets (needs clang)" OFF)

# For another processor there is no GoogleTest to link: it is built from the sources of Debian's package googletest. For
# WebAssembly without threads, exceptions and the redirection of streams.
function(phial_find_googletest)
  if(NOT CMAKE_CROSSCOMPILING)
    find_package(GTest REQUIRED GLOBAL)
  elseif(NOT TARGET GTest::gtest_main)
    set(INSTALL_GTEST OFF)
    if(PHIAL_WASM)
      set(gtest_disable_pthreads ON CACHE BOOL "" FORCE)
    endif()
    add_subdirectory(/usr/src/googletest ${PROJECT_BINARY_DIR}/googletest EXCLUDE_FROM_ALL)
    foreach(target gtest gtest_main gmock gmock_main)
      target_compile_options(${target} PRIVATE -w)
      if(PHIAL_WASM)
        target_compile_options(${target} PRIVATE -fno-exceptions -UGTEST_HAS_EXCEPTIONS)
        target_compile_definitions(${target} PUBLIC GTEST_HAS_STREAM_REDIRECTION=0)
      endif()
    endforeach()
  endif()
endfunction()

function(phial_library room)
  cmake_parse_arguments(ARG "" "" "SOURCES;NATIVE;HOSTED;WASM;USES;PRIVATE;TEST_USES" ${ARGN})
  set(left_out "")
  set(optional ${ARG_NATIVE} ${ARG_HOSTED})
  if(PHIAL_WASM)
    set(left_out ${optional})
    list(APPEND ARG_SOURCES ${ARG_WASM})
  elseif(NOT PHIAL_ALL_ROOMS)
    set(left_out ${ARG_NATIVE})
  endif()
  if(optional)
    list(REMOVE_ITEM optional ${left_out} "")
    list(FILTER optional EXCLUDE REGEX "_test[.]cc$")
    list(APPEND ARG_SOURCES ${optional})
  endif()
  list(TRANSFORM left_out REPLACE "(_test)?[.]cc" "_test.cc")
  list(TRANSFORM left_out PREPEND "${CMAKE_CURRENT_SOURCE_DIR}/")
  add_library(phial_${room} STATIC ${ARG_SOURCES})
  add_library(phial::${room} ALIAS phial_${room})
  target_compile_features(phial_${room} PUBLIC cxx_std_20)
  target_include_directories(phial_${room} PUBLIC ${PROJECT_SOURCE_DIR})
  target_link_libraries(phial_${room} PUBLIC ${ARG_USES} PRIVATE ${ARG_PRIVATE})

  file(GLOB_RECURSE tests CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/*_test.cc)
  list(REMOVE_ITEM tests ${left_out} "")
  if(tests AND BUILD_TESTING)
    phial_find_googletest()
    include(GoogleTest)
    add_executable(phial_${room}_test ${tests})
    target_link_libraries(phial_${room}_test PRIVATE phial::${room} ${ARG_TEST_USES} ${ARG_PRIVATE}
                          GTest::gmock GTest::gtest_main)
    # Half the compiler's time of what ships; nobody waits for what the tests themselves compute.
    target_compile_options(phial_${room}_test PRIVATE -O1)
    target_compile_definitions(phial_${room}_test PRIVATE PHIAL_TESTDATA="${PROJECT_SOURCE_DIR}/testdata")
    if(PHIAL_WASM)  # the engine takes longer to start than most tests to run
      add_test(NAME ${room} COMMAND phial_${room}_test)
    else()
      gtest_discover_tests(phial_${room}_test TEST_PREFIX ${room}. DISCOVERY_TIMEOUT 120 PROPERTIES TIMEOUT 600)
    endif()
  endif()

  file(GLOB_RECURSE benches CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/*_bench.cc)
  find_package(benchmark QUIET)
  if(benches AND benchmark_FOUND)
    add_executable(phial_${room}_bench EXCLUDE_FROM_ALL ${benches})
    target_link_libraries(phial_${room}_bench PRIVATE phial::${room} ${ARG_PRIVATE} benchmark::benchmark_main)
    set_target_properties(phial_${room}_bench PROPERTIES UNITY_BUILD OFF)
  endif()

  if(PHIAL_FUZZ)
    file(GLOB_RECURSE fuzzers CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/*_fuzz.cc)
    foreach(fuzzer ${fuzzers})
      get_filename_component(name ${fuzzer} NAME_WE)
      add_executable(${room}_${name} ${fuzzer})
      target_link_libraries(${room}_${name} PRIVATE phial::${room} ${ARG_TEST_USES} ${ARG_PRIVATE} -fsanitize=fuzzer)
      set_property(GLOBAL APPEND PROPERTY PHIAL_FUZZERS ${room}_${name})
    endforeach()
  endif()
endfunction()
