coffer_fuzz(agent_requests SRC agent_requests_fuzz.cc DEPS coffer_guest_agent)
coffer_fuzz(cdh_config SRC cdh_config_fuzz.cc DEPS coffer_attester_config)
