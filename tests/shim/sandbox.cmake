coffer_test(shim_sandbox_test
  SRCS cgroup_test.cc guest_spec_test.cc mounts_test.cc oci_json_test.cc process_identity_test.cc
       role_test.cc shares_test.cc state_test.cc
  DEPS coffer_shim_sandbox)
