// An emulated guest as a file: which TEE, the whole throwaway PKI (private keys too, so that a
// guest keeps its vendor over restarts), and what its launch measured.
//
//   {"tee": "snp", "pki": {...}, "launch": {"measurement": "aabb..", "host_data": "..", ...}}
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "base/error.h"
#include "tee/emulator/guest.h"
#include "tee/utc_time.h"

namespace coffer::emulator {

// kInvalidArgument names what is wrong with the text.
[[nodiscard]] Result<std::unique_ptr<Guest>> load_guest(std::string_view json);

struct MadeFile {
  std::string name;
  Bytes content;
  bool secret = false;
};

// A new guest of a new vendor, "snp", "tdx" or "tpm": guest.json, and what its verifier needs:
// root.pem, and for snp crl.der, for tdx the folder of collateral. An SNP guest brings its chain
// itself. Of "tpm" there is only the vendor: what load_guest() gives plays no TPM, and refuses it.
[[nodiscard]] Result<std::vector<MadeFile>> make_guest(std::string_view tee,
                                                       tee::UnixTime not_before,
                                                       tee::UnixTime not_after);

}  // namespace coffer::emulator
