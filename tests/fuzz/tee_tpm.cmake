coffer_fuzz(tpm_attest SRC tpm_attest_fuzz.cc DEPS coffer_tpm)
