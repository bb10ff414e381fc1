include(${CMAKE_CURRENT_LIST_DIR}/tee_tdx.cmake OPTIONAL)
include(${CMAKE_CURRENT_LIST_DIR}/tee_snp.cmake OPTIONAL)
include(${CMAKE_CURRENT_LIST_DIR}/tee_tpm.cmake OPTIONAL)
