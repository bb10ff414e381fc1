coffer_fuzz(json SRC json_fuzz.cc DEPS coffer_base)
