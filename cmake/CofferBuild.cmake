# Build rules shared by every folder: flags on one interface target, and the functions that declare
# a library, a program, a test, a fuzz target and a benchmark.

set(CMAKE_CXX_STANDARD 23)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)
set(CMAKE_RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/bin)
set(CMAKE_CXX_SCAN_FOR_MODULES OFF)
if(CMAKE_INSTALL_PREFIX_INITIALIZED_TO_DEFAULT)
  set(CMAKE_INSTALL_PREFIX /opt/kata CACHE PATH "install prefix, laid out as Kata's" FORCE)
endif()

option(COFFER_SANITIZE "build with AddressSanitizer and UBSan" OFF)
option(COFFER_FUZZ "build the libFuzzer targets (clang)" OFF)
set(COFFER_VECTORS "${CMAKE_SOURCE_DIR}/../shared/vectors" CACHE PATH
    "folder of the real test vectors; tests that need an absent one are skipped by name")

find_program(CCACHE ccache)
if(CCACHE AND NOT CMAKE_CXX_COMPILER_LAUNCHER)
  # base_dir and no hash of the folder: a clone elsewhere hits the same cache.
  set(CMAKE_CXX_COMPILER_LAUNCHER ${CMAKE_COMMAND} -E env CCACHE_BASEDIR=${CMAKE_SOURCE_DIR}
      CCACHE_NOHASHDIR=1 CCACHE_SLOPPINESS=pch_defines,time_macros ${CCACHE})
endif()
find_program(MOLD mold)

set(THREADS_PREFER_PTHREAD_FLAG ON)
find_package(Threads REQUIRED)
find_package(PkgConfig REQUIRED)
include(CheckIPOSupported)

add_library(coffer_flags INTERFACE)
target_include_directories(coffer_flags INTERFACE ${CMAKE_SOURCE_DIR})
target_compile_options(coffer_flags INTERFACE
  -Wall -Wextra -Wpedantic -Werror -Wshadow -Wconversion -Wsign-conversion -Wold-style-cast
  -Wnon-virtual-dtor -Woverloaded-virtual -Wformat=2 -Wimplicit-fallthrough
  -fstack-protector-strong -fno-omit-frame-pointer -ffunction-sections -fdata-sections
  -ffile-prefix-map=${CMAKE_SOURCE_DIR}/=
  $<$<CXX_COMPILER_ID:GNU>:-Wsuggest-override>
  # gcc 12 reports members of std::expected and coroutine frames as maybe uninitialised under -O2.
  $<$<CXX_COMPILER_ID:GNU>:-Wno-maybe-uninitialized>
  # ... and a coroutine frame's own operator delete as a mismatch when it inlines one of the pair.
  $<$<CXX_COMPILER_ID:GNU>:-Wno-mismatched-new-delete>
  $<$<CXX_COMPILER_ID:Clang>:-Wthread-safety>
  $<$<CONFIG:Release>:-fcf-protection=full>)
target_compile_definitions(coffer_flags INTERFACE
  _GLIBCXX_ASSERTIONS
  FMT_SHARED  # as fmt::fmt has it: base/fmt_impl.cc
  $<$<AND:$<CONFIG:Release>,$<NOT:$<BOOL:${COFFER_SANITIZE}>>>:_FORTIFY_SOURCE=3>
  COFFER_VERSION="${PROJECT_VERSION}")
target_link_options(coffer_flags INTERFACE
  -pie -Wl,-z,relro,-z,now -Wl,--gc-sections)
if(MOLD)
  # Target property COFFER_LINKER names another.
  target_link_options(coffer_flags INTERFACE
    $<$<STREQUAL:$<TARGET_PROPERTY:COFFER_LINKER>,>:-fuse-ld=mold>)
endif()
target_link_libraries(coffer_flags INTERFACE Threads::Threads)
set(CMAKE_CXX_FLAGS_RELEASE "-O2")
set(CMAKE_C_FLAGS_RELEASE "-O2")
set(CMAKE_CXX_FLAGS_RELWITHDEBINFO "-O1 -g1")

if(COFFER_SANITIZE)
  target_compile_options(coffer_flags INTERFACE -fsanitize=address,undefined
    -fno-sanitize-recover=undefined)
  target_link_options(coffer_flags INTERFACE -fsanitize=address,undefined)
endif()
if(COFFER_FUZZ)
  target_compile_options(coffer_flags INTERFACE -fsanitize=fuzzer-no-link)
endif()

# Most of a file's compile time are the headers that nearly all share: they are read once. A file
# includes what it uses all the same: the fuzz preset builds without this. Clang reads of them what a
# file needs; gcc reads all, which pays for the tests only.
set(coffer_common_headers
  <algorithm> <array> <chrono> <cstdint> <expected> <filesystem> <functional> <map> <memory>
  <optional> <set> <span> <string> <string_view> <variant> <vector> <fmt/format.h> <nlohmann/json.hpp>)
# coffer_precompiled(TARGET header...): of `target`, and of those that reuse it.
function(coffer_precompiled target)
  # No time stamps: a header that ccache kept is as good as new.
  target_compile_options(${target} PRIVATE
    $<$<CXX_COMPILER_ID:Clang>:SHELL:-Xclang -fno-pch-timestamp>)
  target_precompile_headers(${target} PRIVATE ${coffer_common_headers} ${ARGN})
endfunction()
if(NOT COFFER_FUZZ)
  if(CMAKE_CXX_COMPILER_ID STREQUAL "Clang")
    add_library(coffer_pch OBJECT ${CMAKE_SOURCE_DIR}/cmake/empty.cc)
    target_link_libraries(coffer_pch PRIVATE coffer_flags)
    coffer_precompiled(coffer_pch)
  endif()
  # The tests'. A program, since its code is compiled in another way (-fPIE) than a library's.
  find_package(GTest REQUIRED)
  add_executable(coffer_test_pch EXCLUDE_FROM_ALL ${CMAKE_SOURCE_DIR}/cmake/empty.cc)
  target_link_libraries(coffer_test_pch PRIVATE coffer_flags GTest::gmock GTest::gtest)
  coffer_precompiled(coffer_test_pch <gmock/gmock.h> <gtest/gtest.h>)
  set_target_properties(coffer_test_pch PROPERTIES
                        RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/tests)
  # What replays a fuzz corpus.
  add_library(coffer_fuzz_replay STATIC ${CMAKE_SOURCE_DIR}/tests/fuzz/replay_main.cc)
  target_link_libraries(coffer_fuzz_replay PRIVATE coffer_flags)
endif()

# coffer_library(NAME SRCS file... [DEPS public...] [PRIVATE private...] [OWN_PCH])
# OWN_PCH: the folder precompiles headers of its own (coffer_precompiled).
function(coffer_library name)
  cmake_parse_arguments(A "OWN_PCH" "" "SRCS;DEPS;PRIVATE" ${ARGN})
  add_library(${name} STATIC ${A_SRCS})
  target_link_libraries(${name} PUBLIC coffer_flags ${A_DEPS} PRIVATE ${A_PRIVATE})
  if(TARGET coffer_pch AND NOT A_OWN_PCH)
    target_precompile_headers(${name} REUSE_FROM coffer_pch)
  endif()
endfunction()

# Everything that is installed, and nothing else: what a user builds.
add_custom_target(coffer_programs)

# coffer_program(NAME SRCS file... DEPS lib...): lands in build/bin/NAME and is installed to bin/.
function(coffer_program name)
  cmake_parse_arguments(A "NO_INSTALL" "" "SRCS;DEPS" ${ARGN})
  if(COFFER_FUZZ)
    return()
  endif()
  add_executable(${name} ${A_SRCS})
  target_link_libraries(${name} PRIVATE coffer_flags ${A_DEPS})
  if(NOT COFFER_SANITIZE)
    # Stripped in Release: the agent's symbols would be a third of what every pod's guest unpacks.
    target_link_options(${name} PRIVATE -static-libstdc++ -static-libgcc
                        $<$<CONFIG:Release>:-s>)
  endif()
  if(NOT A_NO_INSTALL)
    install(TARGETS ${name} RUNTIME DESTINATION bin)
    add_dependencies(coffer_programs ${name})
  endif()
endfunction()

# coffer_test(NAME SRCS file... DEPS lib... [LABEL unit|e2e] [TIMEOUT seconds] [ENV VAR=value...])
function(coffer_test name)
  cmake_parse_arguments(A "" "LABEL;TIMEOUT" "SRCS;DEPS;ENV" ${ARGN})
  if(COFFER_FUZZ)
    return()
  endif()
  add_executable(${name} ${A_SRCS})
  target_link_libraries(${name} PRIVATE coffer_flags ${A_DEPS} GTest::gmock GTest::gtest
                        GTest::gtest_main)
  target_precompile_headers(${name} REUSE_FROM coffer_test_pch)
  # What gcc 12's optimiser says of std::string and containers (it takes the two places a string may
  # keep its text in for one) is held back in system headers; read precompiled they are none.
  target_compile_options(${name} PRIVATE $<$<CXX_COMPILER_ID:GNU>:
    -Wno-array-bounds -Wno-stringop-overflow -Wno-stringop-overread -Wno-restrict
    -Wno-free-nonheap-object -Wno-use-after-free -Wno-dangling-pointer -Wno-nonnull>)
  target_compile_definitions(${name} PRIVATE COFFER_VECTORS="${COFFER_VECTORS}"
                             COFFER_SOURCE_DIR="${CMAKE_SOURCE_DIR}"
                             COFFER_BIN_DIR="${CMAKE_RUNTIME_OUTPUT_DIRECTORY}")
  set_target_properties(${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/tests)
  add_test(NAME ${name} COMMAND ${name})
  if(NOT A_LABEL)
    set(A_LABEL unit)
  endif()
  if(NOT A_TIMEOUT)
    set(A_TIMEOUT 600)
  endif()
  set_tests_properties(${name} PROPERTIES LABELS ${A_LABEL} TIMEOUT ${A_TIMEOUT}
                       SKIP_RETURN_CODE 77 ENVIRONMENT "${A_ENV}")
endfunction()

# coffer_fuzz(NAME SRC file DEPS lib... [CORPUS dir]): a libFuzzer target in the fuzz preset; in the
# others the same entry point replays its corpus (tests/fuzz/corpus/NAME) as a unit test.
function(coffer_fuzz name)
  cmake_parse_arguments(A "" "SRC" "DEPS" ${ARGN})
  set(corpus ${CMAKE_SOURCE_DIR}/tests/fuzz/corpus/${name})
  if(COFFER_FUZZ)
    add_executable(fuzz_${name} ${A_SRC})
    target_link_libraries(fuzz_${name} PRIVATE coffer_flags ${A_DEPS})
    target_link_options(fuzz_${name} PRIVATE -fsanitize=fuzzer)
  else()
    add_executable(fuzz_${name} ${A_SRC})
    target_link_libraries(fuzz_${name} PRIVATE coffer_flags coffer_fuzz_replay ${A_DEPS})
    set_target_properties(fuzz_${name} PROPERTIES
                          RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/tests)
    add_test(NAME fuzz_replay_${name} COMMAND fuzz_${name} ${corpus})
    set_tests_properties(fuzz_replay_${name} PROPERTIES LABELS unit TIMEOUT 600)
  endif()
endfunction()

# coffer_bench(NAME SRCS file... DEPS lib...): Google Benchmark; never run by ctest.
function(coffer_bench name)
  cmake_parse_arguments(A "" "" "SRCS;DEPS" ${ARGN})
  if(COFFER_FUZZ OR COFFER_SANITIZE)
    return()
  endif()
  find_package(benchmark REQUIRED)
  add_executable(${name} ${A_SRCS})
  target_link_libraries(${name} PRIVATE coffer_flags ${A_DEPS} benchmark::benchmark)
  target_compile_definitions(${name} PRIVATE COFFER_VECTORS="${COFFER_VECTORS}")
  set_target_properties(${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/bench)
endfunction()
