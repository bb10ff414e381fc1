coffer_fuzz(rego_parse SRC rego_parse_fuzz.cc DEPS coffer_policy_syntax)
coffer_fuzz(rego_eval SRC rego_eval_fuzz.cc DEPS coffer_policy_engine)
coffer_fuzz(rego_json SRC rego_json_fuzz.cc DEPS coffer_policy_builtins)
