// A throwaway Intel: root, PCK CA, PCK and TCB signing certificates, revocation lists, TCB info, QE
// identity, and quotes that all of these vouch for. Bit-exact as Intel's, but for the organisation
// in every name, which says "Coffer Emulator": no verifier trusts it unless its root is configured
// by file, and every verdict that rests on it says "emulated".
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/error.h"
#include "tee/emulator/certificate_maker.h"
#include "tee/emulator/ec_key.h"
#include "tee/tdx/collateral_set.h"
#include "tee/tdx/quote.h"

namespace coffer::emulator {

// The machine that the PKI vouches for.
struct TdxPlatform {
  std::array<std::uint8_t, 6> fmspc = {0xc0, 0xff, 0xee, 0x00, 0x00, 0x00};
  std::array<std::uint8_t, 2> pce_id = {};
  std::array<std::uint8_t, 16> ppid = {0xe1};
  std::array<std::uint8_t, 16> components = {3, 3, 2, 2, 4, 1, 0, 5};
  std::uint16_t pce_svn = 13;
  std::array<std::uint8_t, 16> tee_tcb_svn = {6, 1, 3};
  std::array<std::uint8_t, 32> qe_mr_signer = {0x9e};
  std::uint16_t qe_isv_svn = 7;
};

struct FakeIntelSpec {
  tee::UnixTime not_before = 0, not_after = 0;  // of certificates and collateral alike
  TdxPlatform platform;
  std::string organization = "Coffer Emulator";
};

// What a quote is made of; the defaults are those of a production Linux TD.
struct QuoteSpec {
  std::uint16_t version = 4;
  bool td15 = false;  // a TD 1.5 body: version 5 only
  tdx::TdBody td;
  // Fields of the QE report; its report data is computed unless given.
  tdx::QeReport qe;
  std::optional<std::array<std::uint8_t, 64>> qe_report_data;
  Bytes auth_data = Bytes(32, 0xa5);
  std::string pck_chain;  // PEM
};

class FakeIntel {
 public:
  // Fresh keys each time.
  [[nodiscard]] static Result<FakeIntel> make(FakeIntelSpec spec);
  // The whole of it, private keys included, as JSON; and back.
  [[nodiscard]] Result<std::string> save() const;
  [[nodiscard]] static Result<FakeIntel> load(std::string_view json);

  [[nodiscard]] std::string root_pem() const { return certificate_pem(root_); }
  [[nodiscard]] std::string pck_chain_pem() const;
  // The collateral of an up-to-date platform.
  [[nodiscard]] Result<tdx::CollateralInput> collateral() const;
  // A quote specification that verifies, to be changed.
  [[nodiscard]] QuoteSpec quote_spec() const;
  [[nodiscard]] Result<Bytes> quote(const QuoteSpec& spec) const;

  // Pieces, for tests that change one of them. Values are the JSON text of the signed member.
  [[nodiscard]] std::string tcb_info_value() const;
  [[nodiscard]] std::string qe_identity_value() const;
  [[nodiscard]] Result<std::string> sign_document(std::string_view name,
                                                  std::string_view value) const;
  [[nodiscard]] Result<Bytes> root_crl(const std::vector<std::uint64_t>& revoked) const;
  [[nodiscard]] Result<Bytes> pck_crl(const std::vector<std::uint64_t>& revoked) const;
  // A PCK certificate by the PCK CA for the platform's key, with these changes.
  [[nodiscard]] Result<Bytes> issue_pck(const CertificateSpec& spec) const;
  [[nodiscard]] CertificateSpec pck_spec() const;
  [[nodiscard]] CertificateSpec ca_spec() const;
  [[nodiscard]] CertificateSpec root_spec() const;
  [[nodiscard]] CertificateSpec tcb_signing_spec() const;
  [[nodiscard]] const FakeIntelSpec& spec() const { return spec_; }
  [[nodiscard]] const EcKey& attestation_key() const { return attestation_key_; }

  // The DER SGX extension that describes this platform.
  [[nodiscard]] static Bytes sgx_extension(const TdxPlatform& platform);

 private:
  FakeIntel(FakeIntelSpec spec, std::array<EcKey, 5> keys);
  [[nodiscard]] Status issue();

  FakeIntelSpec spec_;
  EcKey root_key_, ca_key_, tcb_key_, pck_key_, attestation_key_;
  Bytes root_, ca_, tcb_signing_, pck_;  // DER
};

}  // namespace coffer::emulator
