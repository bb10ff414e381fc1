include(${CMAKE_CURRENT_LIST_DIR}/attestation_initdata.cmake OPTIONAL)
