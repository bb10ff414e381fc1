// A TPM that is here: attestation keys, quotes, PCR values, through tpm2-tss (ESAPI).
#pragma once

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/error.h"
#include "base/secret.h"
#include "tee/attester.h"
#include "tee/tpm/attest.h"
#include "tee/tpm/credential.h"
#include "tee/tpm/verify.h"

namespace coffer::tpm {

// The kernel's resource manager.
inline constexpr std::string_view kDefaultTcti = "device:/dev/tpmrm0";

struct SignedQuote {
  Bytes attest;     // TPMS_ATTEST
  Bytes signature;  // TPMT_SIGNATURE
};

// One connection to a TPM and, once made, one attestation key in it. Calls block.
class Tpm {
 public:
  // `tcti`: "device:/dev/tpmrm0", "swtpm:host=127.0.0.1,port=2321", ... (tss2-tctildr(3)).
  // kFailedPrecondition when there is no TPM behind it.
  [[nodiscard]] static Result<Tpm> open(const std::string& tcti);
  Tpm(Tpm&&) noexcept;
  Tpm& operator=(Tpm&&) noexcept;
  ~Tpm();

  // A primary key of the endorsement hierarchy: RSA 2048, RSASSA with SHA-256, restricted, fixed to
  // this TPM. The same each time, until the TPM is cleared. Gives its TPM2B_PUBLIC.
  [[nodiscard]] Result<Bytes> create_ak();
  // The endorsement key of the TCG's default template (EK Credential Profile 2.5, L-1: RSA 2048),
  // made and flushed again: its TPM2B_PUBLIC, which the maker's EK certificate vouches for.
  [[nodiscard]] Result<Bytes> endorsement_key();
  // The secret of a credential that was made for our endorsement key and attestation key.
  // kFailedPrecondition before create_ak(); kPermissionDenied when it was made for other keys.
  [[nodiscard]] Result<SecretBytes> activate(const Credential& credential);
  // kFailedPrecondition before create_ak(). `nonce`: at most 64 bytes.
  [[nodiscard]] Result<SignedQuote> quote(BytesView nonce,
                                          const std::vector<PcrSelection>& selections);
  // The values now; a PCR or bank that the TPM lacks is left out.
  [[nodiscard]] Result<PcrBanks> read_pcrs(const std::vector<PcrSelection>& selections);
  [[nodiscard]] Status extend(unsigned pcr, eventlog::Alg bank, BytesView digest);

  // Of a TPM that is being made, by its platform: from its next start on it has this bank alone.
  // Firmware hashes everything once for each.
  [[nodiscard]] Status allocate_bank(eventlog::Alg bank);
  // Orderly, before whoever runs a software TPM ends it.
  [[nodiscard]] Status shut_down();

 private:
  struct State;
  // A TSS2_RC.
  static std::uint32_t open_device(const std::string& path, State& state);
  explicit Tpm(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

struct DeviceSettings {
  std::string tcti = std::string(kDefaultTcti);
  // Linux' binary_bios_measurements.
  std::filesystem::path event_log = "/sys/kernel/security/tpm0/binary_bios_measurements";
  std::vector<PcrSelection> selections;  // empty: every PCR of SHA-256
  // What vouches for the attestation key (DER or PEM, the key's own first), where a platform gives
  // it as a file. Empty, or not there: nothing does.
  std::filesystem::path ak_certificate = {};
};

// Evidence::report is the TPMS_ATTEST with the report data as nonce, Evidence::auxiliary JSON
// {"ak_public": base64 of TPM2B_PUBLIC, "signature": base64 of TPMT_SIGNATURE, "pcrs": {bank: {N:
// hex}}, and "ak_certificate": base64, when there is one}, Evidence::manifest the event log, when
// there is one.
[[nodiscard]] std::unique_ptr<tee::Attester> make_attester(DeviceSettings settings);

}  // namespace coffer::tpm
