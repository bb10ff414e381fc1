coffer_fuzz(ttrpc_frames SRC ttrpc_frames_fuzz.cc DEPS coffer_rpc)
