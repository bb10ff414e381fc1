coffer_test(shim_bootstrap_test
  SRCS options_test.cc sha256_test.cc socket_test.cc start_test.cc delete_test.cc
  DEPS coffer_shim_bootstrap coffer_protos_containerd)
