// A throwaway AMD: ARK, ASK, ASVK, VCEK and VLEK certificates, revocation lists, and signed
// reports. Bit-exact as AMD's, but for the organization in every name, which says "Coffer
// Emulator": no verifier trusts it unless its root is configured by file, and every verdict that
// rests on it says "emulated".
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "base/error.h"
#include "tee/emulated_root.h"
#include "tee/private_key.h"
#include "tee/sev-snp/certificates.h"
#include "tee/sev-snp/report.h"
#include "tee/x509.h"

namespace coffer::emulator {

// A certificate to be made: names are AMD's attributes with this common name and organization.
struct SnpCertificateSpec {
  std::string common_name;
  std::string organization{tee::kEmulatorOrganization};
  std::uint64_t serial = 1;
  tee::UnixTime not_before = 0, not_after = 0;
  std::vector<tee::Extension> extensions = {};
  tee::SignatureScheme scheme = tee::SignatureScheme::kRsaPssSha384;
};

// Signs a certificate for `key`; its issuer's name is made of `issuer`.
[[nodiscard]] Result<Bytes> make_snp_certificate(const SnpCertificateSpec& spec,
                                                 const tee::PublicKey& key,
                                                 const SnpCertificateSpec& issuer,
                                                 const tee::PrivateKey& issuer_key);
[[nodiscard]] std::string pem_certificate(BytesView der);

// The chip and firmware that the PKI vouches for.
struct SnpPlatform {
  snp::Product product = snp::Product::kMilan;
  snp::Tcb tcb{.fmc = {}, .boot_loader = 4, .tee = 0, .snp = 24, .microcode = 219};
  Bytes chip_id = Bytes(64, 0xC1);  // 64 octets; for Turin 8
  std::string csp_id = "CN=csp.invalid";
};

struct FakeAmdSpec {
  tee::UnixTime not_before = 0, not_after = 0;  // of every certificate
  SnpPlatform platform = {};
  std::string organization{tee::kEmulatorOrganization};
};

struct SnpCrlSpec {
  tee::UnixTime this_update = 0, next_update = 0;
  std::vector<std::uint64_t> revoked = {};
};

class FakeAmd {
 public:
  // Fresh keys: RSA-4096 takes a second or so each.
  [[nodiscard]] static Result<FakeAmd> make(const FakeAmdSpec& spec);
  // The whole of it, private keys included, as JSON; and back.
  [[nodiscard]] Result<std::string> save() const;
  [[nodiscard]] static Result<FakeAmd> load(std::string_view json);

  [[nodiscard]] const FakeAmdSpec& spec() const { return spec_; }
  [[nodiscard]] const Bytes& ark() const { return ark_; }
  [[nodiscard]] const Bytes& ask() const { return ask_; }
  [[nodiscard]] const Bytes& asvk() const { return asvk_; }
  [[nodiscard]] const Bytes& vcek() const { return vcek_; }
  [[nodiscard]] const Bytes& vlek() const { return vlek_; }
  [[nodiscard]] std::string root_pem() const { return pem_certificate(ark_); }
  // The certificate table that a host would put beside a report: VCEK, ASK, ARK.
  [[nodiscard]] Bytes certificate_table() const;
  [[nodiscard]] Result<Bytes> crl(const SnpCrlSpec& spec) const;

  // A report that this platform would give for a plain guest; change it, then sign it.
  [[nodiscard]] snp::Report report(std::uint32_t version = 3) const;
  // With the leaf's key, which is one for VCEK and VLEK; R and S of `report` are not looked at.
  [[nodiscard]] Result<Bytes> sign(const snp::Report& report) const;

  // Pieces, for tests that change one of them.
  [[nodiscard]] SnpCertificateSpec ark_spec() const;
  [[nodiscard]] SnpCertificateSpec ask_spec() const;
  [[nodiscard]] SnpCertificateSpec asvk_spec() const;
  [[nodiscard]] SnpCertificateSpec leaf_spec(snp::LeafKind kind) const;
  [[nodiscard]] const tee::PrivateKey& ark_key() const { return ark_key_; }
  [[nodiscard]] const tee::PrivateKey& intermediate_key() const { return intermediate_key_; }
  [[nodiscard]] const tee::PrivateKey& leaf_key() const { return leaf_key_; }

 private:
  FakeAmd(FakeAmdSpec spec, tee::PrivateKey ark, tee::PrivateKey intermediate, tee::PrivateKey leaf)
      : spec_(std::move(spec)),
        ark_key_(std::move(ark)),
        intermediate_key_(std::move(intermediate)),
        leaf_key_(std::move(leaf)) {}
  [[nodiscard]] Status issue();

  FakeAmdSpec spec_;
  tee::PrivateKey ark_key_, intermediate_key_, leaf_key_;
  Bytes ark_, ask_, asvk_, vcek_, vlek_;  // DER
};

}  // namespace coffer::emulator
