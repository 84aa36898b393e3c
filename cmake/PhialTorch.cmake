# libtorch as the target `torch`, out of the Python package of that name (scripts/setup-train); sets Torch_DIR, as
# find_package(Torch) does, and torch_package. Builds of the package with CUDA do as well as those without: a package
# index may have no other. libtorch's own configuration would want a whole CUDA toolkit for them.
include_guard(GLOBAL)
find_path(Torch_DIR TorchConfig.cmake PATHS ${torch_of_setup}/Torch NO_DEFAULT_PATH DOC "Where TorchConfig.cmake of a torch is")
if(NOT Torch_DIR)
  message(FATAL_ERROR "phial-train: no torch found: run scripts/setup-train, or name one by -DTorch_DIR=.../torch/share/cmake/Torch")
endif()
cmake_path(SET torch_package NORMALIZE "${Torch_DIR}/../../..")
cmake_path(SET nvidia_packages NORMALIZE "${torch_package}/../nvidia")

add_library(torch INTERFACE IMPORTED)
target_include_directories(torch SYSTEM INTERFACE ${torch_package}/include ${torch_package}/include/torch/csrc/api/include)
target_compile_definitions(torch INTERFACE USE_DISTRIBUTED USE_C10D_GLOO)
# Some of libtorch's libraries export parts of an older libstdc++ (std::filesystem::remove_all, which ends in a call of
# nothing): the real one comes first.
target_link_libraries(torch INTERFACE -Wl,--no-as-needed -lstdc++ -Wl,--as-needed ${torch_package}/lib/libtorch_cpu.so ${torch_package}/lib/libc10.so)
file(GLOB libraries_of_packages LIST_DIRECTORIES true ${nvidia_packages}/*/lib)
if(libraries_of_packages)
  list(JOIN libraries_of_packages ":" libraries_of_packages)
  target_link_options(torch INTERFACE -Wl,-rpath-link,${libraries_of_packages} -Wl,--allow-shlib-undefined)
endif()
