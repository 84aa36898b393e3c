# Training with CUDA (PHIAL_CUDA), from Python packages alone: libtorch out of `torch`, the compiler out of
# `nvidia-cuda-nvcc` beside it (scripts/setup-train with PHIAL_TORCH=cuda installs both). No CUDA of the system is needed,
# and no GPU: machine code is made for sm_80 and sm_90, and PTX from which drivers make that of later devices.
#
# Adds to the target `torch` (PhialTorch) what of it is CUDA's, and makes phial_cuda_objects().
include(PhialTorch)
if(NOT EXISTS ${torch_package}/lib/libtorch_cuda.so)
  message(FATAL_ERROR "PHIAL_CUDA: ${torch_package} is a torch without CUDA: run PHIAL_TORCH=cuda scripts/setup-train, or set Torch_DIR")
endif()
file(GLOB toolkit_of_packages ${nvidia_packages}/cu[0-9]*)
find_program(PHIAL_NVCC nvcc HINTS ${toolkit_of_packages} PATH_SUFFIXES bin REQUIRED DOC "The compiler of CUDA")
file(GLOB cudart ${nvidia_packages}/cu[0-9]*/lib/libcudart.so.[0-9]*)
if(cudart)
  list(GET cudart 0 PHIAL_CUDART)
else()
  find_file(PHIAL_CUDART libcudart.so HINTS /usr/local/cuda PATH_SUFFIXES lib64 REQUIRED DOC "The CUDA runtime, where torch's packages have none")
endif()

# nvcc's own headers go with it, whatever else the machine has.
cmake_path(GET PHIAL_NVCC PARENT_PATH toolkit)
cmake_path(GET toolkit PARENT_PATH toolkit)

target_include_directories(torch SYSTEM INTERFACE ${toolkit}/include)
target_compile_definitions(torch INTERFACE USE_C10D_NCCL)
# libtorch_cuda registers itself when it is loaded: nothing else names it.
target_link_libraries(torch INTERFACE -Wl,--no-as-needed ${torch_package}/lib/libtorch_cuda.so ${torch_package}/lib/libc10_cuda.so -Wl,--as-needed
                                      ${PHIAL_CUDART})

set(PHIAL_CUDA_CODE --generate-code=arch=compute_80,code=sm_80 --generate-code=arch=compute_90,code=[sm_90,compute_90])

# phial_cuda_objects(VARIABLE x.cu ...): their object files for the devices of PHIAL_CUDA_CODE, compiled by nvcc with the C++
# compiler of the build for the host's part.
function(phial_cuda_objects variable)
  set(objects "")
  foreach(source ${ARGN})
    set(object ${CMAKE_CURRENT_BINARY_DIR}/${source}.o)
    add_custom_command(
      OUTPUT ${object}
      COMMAND ${PHIAL_NVCC} -ccbin ${CMAKE_CXX_COMPILER} -std=c++20 -O3 -Xcompiler -fPIC,-fvisibility=hidden,-Wall,-Wextra
              ${PHIAL_CUDA_CODE}
              -Werror all-warnings -I ${PROJECT_SOURCE_DIR} -MD -MF ${object}.d -c ${CMAKE_CURRENT_SOURCE_DIR}/${source} -o ${object}
      DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/${source}
      DEPFILE ${object}.d
      COMMENT "Building CUDA object ${source}.o"
      VERBATIM COMMAND_EXPAND_LISTS)
    list(APPEND objects ${object})
  endforeach()
  set(${variable} ${objects} PARENT_SCOPE)
endfunction()
