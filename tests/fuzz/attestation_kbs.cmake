coffer_fuzz(kbs_config SRC kbs_config_fuzz.cc DEPS coffer_kbs_broker)
coffer_fuzz(kbs_reference_values SRC kbs_reference_values_fuzz.cc DEPS coffer_reference_values)
coffer_fuzz(kbs_requests SRC kbs_requests_fuzz.cc DEPS coffer_kbs_broker)
coffer_fuzz(corim SRC corim_fuzz.cc DEPS coffer_reference_values)
