coffer_fuzz(snp_report SRC snp_report_fuzz.cc DEPS coffer_snp)
coffer_fuzz(snp_cert_table SRC snp_cert_table_fuzz.cc DEPS coffer_snp)
coffer_fuzz(ovmf_metadata SRC ovmf_metadata_fuzz.cc DEPS coffer_snp)
coffer_fuzz(x509_extensions SRC x509_extensions_fuzz.cc DEPS coffer_snp coffer_snp_emulator)
