coffer_fuzz(guest_ttrpc SRC guest_ttrpc_fuzz.cc DEPS coffer_guest_ttrpc)
include(${CMAKE_CURRENT_LIST_DIR}/attestation_initdata.cmake OPTIONAL)
include(${CMAKE_CURRENT_LIST_DIR}/attestation_kbs.cmake OPTIONAL)
