coffer_fuzz(tdx_quote SRC tdx_quote_fuzz.cc DEPS coffer_tdx)
coffer_fuzz(tdx_collateral SRC tdx_collateral_fuzz.cc DEPS coffer_tdx)
coffer_fuzz(ccel SRC ccel_fuzz.cc DEPS coffer_eventlog)
coffer_fuzz(tdvf_metadata SRC tdvf_metadata_fuzz.cc DEPS coffer_tdx)
