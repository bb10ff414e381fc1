coffer_fuzz(kata_config SRC kata_config_fuzz.cc DEPS coffer_shim_config)
coffer_fuzz(netlink SRC netlink_fuzz.cc DEPS coffer_netlink)
coffer_fuzz(qmp_replies SRC qmp_replies_fuzz.cc DEPS coffer_shim_qemu)
