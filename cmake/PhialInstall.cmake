# libphial.so and libphial.a, and how other projects find them: find_package(phial), pkg-config.
#
# Components: programs, shared, static; headers come with either library.
include(GNUInstallDirs)
include(CMakePackageConfigHelpers)
include(CMakeFindDependencyMacro)
include(phial-dependencies)

file(STRINGS phial.h abi REGEX "^#define PHIAL_ABI_VERSION [0-9]+$")
string(REGEX MATCH "[0-9]+$" abi "${abi}")

set(rooms base tensor spec formats kernels model tokenizer generate rag)
get_property(isa_targets GLOBAL PROPERTY PHIAL_ISA_TARGETS)
set(objects $<TARGET_OBJECTS:phial_capi>)
foreach(target ${isa_targets})
  list(APPEND objects $<TARGET_OBJECTS:${target}>)
endforeach()
foreach(room ${rooms})
  list(APPEND objects $<TARGET_OBJECTS:phial_${room}>)
endforeach()

add_library(phial_shared SHARED $<TARGET_OBJECTS:phial_capi>)
target_link_libraries(phial_shared PRIVATE phial::rag phial::generate phial::model phial::formats phial::kernels
                      phial::base ${CMAKE_DL_LIBS})
target_link_options(phial_shared PRIVATE -Wl,--version-script=${CMAKE_CURRENT_SOURCE_DIR}/exports.map -Wl,--no-undefined)
set_target_properties(phial_shared PROPERTIES OUTPUT_NAME phial EXPORT_NAME phial LINKER_LANGUAGE CXX SOVERSION ${abi}
                      VERSION ${abi}.${PROJECT_VERSION} LINK_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/exports.map)

add_library(phial_static STATIC ${objects})
target_compile_features(phial_static INTERFACE cxx_std_20)
target_link_libraries(phial_static INTERFACE nlohmann_json::nlohmann_json Threads::Threads SQLite::SQLite3 ICU::uc
                      PNG::PNG JPEG::JPEG GIF::GIF PkgConfig::phial_packages ${CMAKE_DL_LIBS})
set_target_properties(phial_static PROPERTIES OUTPUT_NAME phial LINKER_LANGUAGE CXX)

install(TARGETS phial_shared EXPORT phial-shared COMPONENT shared LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR}
        INCLUDES DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})
install(TARGETS phial_static EXPORT phial-static COMPONENT static ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR}
        INCLUDES DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})

set(package ${CMAKE_INSTALL_LIBDIR}/cmake/phial)
configure_package_config_file(${PROJECT_SOURCE_DIR}/cmake/phial-config.cmake.in phial-config.cmake
                              INSTALL_DESTINATION ${package})
write_basic_package_version_file(phial-config-version.cmake COMPATIBILITY SameMajorVersion)
file(RELATIVE_PATH pc_prefix /prefix/${CMAKE_INSTALL_LIBDIR}/pkgconfig /prefix)
set(pc_libdir ${CMAKE_INSTALL_LIBDIR})
set(pc_includedir ${CMAKE_INSTALL_INCLUDEDIR})
configure_file(${PROJECT_SOURCE_DIR}/cmake/phial.pc.in phial.pc @ONLY)
foreach(component shared static)
  install(EXPORT phial-${component} COMPONENT ${component} NAMESPACE phial:: DESTINATION ${package})
  install(FILES ${CMAKE_CURRENT_BINARY_DIR}/phial-config.cmake ${CMAKE_CURRENT_BINARY_DIR}/phial-config-version.cmake
          COMPONENT ${component} DESTINATION ${package})
  install(FILES ${CMAKE_CURRENT_BINARY_DIR}/phial.pc COMPONENT ${component} DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
  install(FILES phial.h COMPONENT ${component} DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/phial)
endforeach()
install(FILES ${PROJECT_SOURCE_DIR}/cmake/phial-dependencies.cmake COMPONENT static DESTINATION ${package})
foreach(room ${rooms})
  install(DIRECTORY ${PROJECT_SOURCE_DIR}/phial/${room} COMPONENT static DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/phial
          FILES_MATCHING PATTERN "*.h" PATTERN "*_for_test.h" EXCLUDE PATTERN "testing.h" EXCLUDE PATTERN "fake_*" EXCLUDE
          PATTERN "golden_files.h" EXCLUDE PATTERN "random_text*" EXCLUDE PATTERN "fuzz_input.h" EXCLUDE
          PATTERN "generic" EXCLUDE PATTERN "isa" EXCLUDE PATTERN "jinja" EXCLUDE PATTERN "images" EXCLUDE)
endforeach()
