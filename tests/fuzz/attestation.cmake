include(${CMAKE_CURRENT_LIST_DIR}/attestation_initdata.cmake OPTIONAL)
include(${CMAKE_CURRENT_LIST_DIR}/attestation_kbs.cmake OPTIONAL)
