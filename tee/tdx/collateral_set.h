// What a TDX verification needs besides the quote, parsed and authenticated once, for any number of
// quotes and times.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "tee/tdx/chain.h"
#include "tee/tdx/collateral.h"
#include "tee/tdx/pck_chains.h"
#include "tee/tdx/trust.h"
#include "tee/x509.h"

namespace coffer::tdx {

// As received from Intel's provisioning certification service or a cache of it; every byte of it is
// untrusted. Empty means absent.
struct CollateralInput {
  std::string tcb_info;        // JSON {"tcbInfo", "signature"}
  std::string qe_identity;     // JSON {"enclaveIdentity", "signature"}
  Bytes tcb_signing_chain;     // PEM or DER: TCB signer, root
  Bytes root_ca_crl;           // DER or PEM
  Bytes pck_crl;               // DER or PEM, of the CA that issued the quote's PCK certificate
  Bytes pck_crl_issuer_chain;  // optional: PCK CA, root
};

class CollateralSet {
 public:
  // Never fails: what cannot be read or believed becomes a failed check of every verdict.
  [[nodiscard]] static CollateralSet prepare(CollateralInput input, TrustAnchors anchors);

  CollateralSet(CollateralSet&&) = default;
  CollateralSet& operator=(CollateralSet&&) = default;
  CollateralSet(const CollateralSet&) = delete;
  CollateralSet& operator=(const CollateralSet&) = delete;
  ~CollateralSet() = default;

  [[nodiscard]] const TrustAnchors& anchors() const { return anchors_; }
  // What was found without a quote and without the time.
  [[nodiscard]] const Checks& static_checks() const { return static_checks_; }
  // The checks that depend on the time: validity of the chains, freshness of the documents.
  [[nodiscard]] Checks checks_at(tee::UnixTime time) const;

  // Null when absent or unreadable. What they say may be believed only if all checks held.
  [[nodiscard]] const TcbInfo* tcb_info() const { return tcb_info_ ? &tcb_info_->value : nullptr; }
  [[nodiscard]] const QeIdentity* qe_identity() const {
    return qe_identity_ ? &qe_identity_->value : nullptr;
  }
  [[nodiscard]] const tee::Crl* root_crl() const { return root_crl_ ? &*root_crl_ : nullptr; }
  [[nodiscard]] const tee::Crl* pck_crl() const { return pck_crl_ ? &*pck_crl_ : nullptr; }
  // The PCK CA of the issuer chain, when that chain and the list's signature by it held: a quote
  // with the same CA need not have them verified again.
  [[nodiscard]] const tee::Certificate* known_pck_ca() const {
    return known_pck_ca_ ? &*known_pck_ca_ : nullptr;
  }
  // Of the issuer chain what could be read, believed or not: the quote usually has the same.
  [[nodiscard]] const std::vector<tee::Certificate>& crl_issuer_chain() const {
    return crl_issuer_chain_;
  }
  // The chain that a quote carries (pck_chains.h); of platforms seen before it is at hand.
  // Thread-safe.
  [[nodiscard]] Result<std::shared_ptr<const PckChain>> read_pck_chain(BytesView pem) const {
    return pck_chains_->read(pem, crl_issuer_chain_);
  }

 private:
  CollateralSet() = default;
  void read_documents();
  void read_tcb_chain();
  void read_crls();
  void check_document_signatures();
  void check_root_crl();
  void learn_pck_ca();

  // On the heap, so that views into its texts survive a move.
  std::unique_ptr<const CollateralInput> input_;
  TrustAnchors anchors_;
  Checks static_checks_;
  std::optional<Signed<TcbInfo>> tcb_info_;
  std::optional<Signed<QeIdentity>> qe_identity_;
  std::vector<tee::Certificate> tcb_chain_, crl_issuer_chain_;
  std::optional<tee::Crl> root_crl_, pck_crl_;
  std::optional<tee::Certificate> known_pck_ca_;
  // On the heap: its lock does not move.
  std::unique_ptr<PckChains> pck_chains_ = std::make_unique<PckChains>();
};

}  // namespace coffer::tdx
