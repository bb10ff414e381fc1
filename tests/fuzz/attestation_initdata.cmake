coffer_fuzz(initdata SRC initdata_fuzz.cc DEPS coffer_initdata)
