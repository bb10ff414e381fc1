#include "tee/tdx/collateral_set.h"

#include <fmt/format.h>

#include <utility>

#include "tee/x509_bundle.h"

namespace coffer::tdx {
namespace {

constexpr std::string_view kPcs = "Intel PCS API v4";
constexpr std::size_t kMaxChain = 4;
constexpr std::size_t kCoordinate = 32;

tee::Check check(std::string_view name, bool ok, std::string expected, std::string found,
                 std::string_view source) {
  return {.name = std::string(name),
          .ok = ok,
          .expected = std::move(expected),
          .found = std::move(found),
          .source = std::string(source)};
}

tee::Check unreadable(std::string_view name, std::string why) {
  return check(name, false, "present and well-formed", std::move(why), kPcs);
}

Result<std::vector<tee::Certificate>> read_chain(BytesView bytes, std::string_view name) {
  if (bytes.empty()) return fail(Code::kNotFound, "absent");
  COFFER_TRY(auto bundle, tee::parse_x509_bundle(bytes, name, {.max_objects = kMaxChain}));
  if (!bundle.crls.empty()) return fail(Code::kInvalidArgument, "holds a CRL");
  return std::move(bundle.certificates);
}

Result<tee::Crl> read_crl(BytesView bytes, std::string_view name) {
  if (bytes.empty()) return fail(Code::kNotFound, "absent");
  COFFER_TRY(auto bundle, tee::parse_x509_bundle(bytes, name, {.max_objects = 1}));
  if (bundle.crls.size() != 1) return fail(Code::kInvalidArgument, "holds no CRL");
  return std::move(bundle.crls.front());
}

template <typename T>
tee::Check signature_check(std::string_view name, const Signed<T>& document,
                           const std::vector<tee::Certificate>& chain) {
  const BytesView signature(document.signature);
  const bool ok = !chain.empty() && chain.front().public_key().curve() == tee::Curve::kP256 &&
                  chain.front().public_key().verify_ecdsa(
                      tee::HashAlgorithm::kSha256, as_bytes(document.signed_text),
                      signature.first(kCoordinate), signature.last(kCoordinate));
  return check(name, ok, "by the TCB signing certificate, over the bytes received",
               ok ? "verifies" : "does not verify", kPcs);
}

template <typename T>
tee::Check fresh_check(std::string_view name, const T& document, tee::UnixTime time) {
  return check(name, document.issue_date <= time && time < document.next_update,
               fmt::format("in force at {}", tee::format_rfc3339(time)),
               fmt::format("from {} to {}", tee::format_rfc3339(document.issue_date),
                           tee::format_rfc3339(document.next_update)),
               "Intel PCS API v4: issueDate, nextUpdate");
}

template <typename T>
tee::Check kind_check(std::string_view name, const T& document, std::string_view id,
                      std::uint32_t version) {
  return check(name, document.id == id && document.version == version,
               fmt::format("{} version {}", id, version),
               fmt::format("{} version {}", document.id, document.version), kPcs);
}

void append(Checks& to, Checks from) {
  for (auto& item : from) to.push_back(std::move(item));
}

}  // namespace

CollateralSet CollateralSet::prepare(CollateralInput input, TrustAnchors anchors) {
  CollateralSet set;
  set.input_ = std::make_unique<const CollateralInput>(std::move(input));
  set.anchors_ = std::move(anchors);
  set.read_documents();
  set.read_tcb_chain();
  set.read_crls();
  set.check_document_signatures();
  set.check_root_crl();
  set.learn_pck_ca();
  return set;
}

void CollateralSet::read_documents() {
  if (auto info = parse_tcb_info(input_->tcb_info)) {
    tcb_info_ = *std::move(info);
    static_checks_.push_back(kind_check("tcb_info.kind", tcb_info_->value, "TDX", 3));
  } else {
    static_checks_.push_back(unreadable("tcb_info.format", info.error().to_string()));
  }
  if (auto identity = parse_qe_identity(input_->qe_identity)) {
    qe_identity_ = *std::move(identity);
    static_checks_.push_back(kind_check("qe_identity.kind", qe_identity_->value, "TD_QE", 2));
  } else {
    static_checks_.push_back(unreadable("qe_identity.format", identity.error().to_string()));
  }
}

void CollateralSet::read_tcb_chain() {
  auto chain = read_chain(input_->tcb_signing_chain, "TCB signing chain");
  if (!chain) {
    static_checks_.push_back(unreadable("tcb_signing_chain.format", chain.error().to_string()));
    return;
  }
  tcb_chain_ = *std::move(chain);
  append(static_checks_, chain_checks(tcb_signing_chain_spec(), tcb_chain_, anchors_));
}

void CollateralSet::read_crls() {
  const auto read = [&](BytesView bytes, std::string_view name, std::optional<tee::Crl>& out) {
    auto crl = read_crl(bytes, name);
    if (crl) {
      out = *std::move(crl);
    } else if (!bytes.empty()) {
      // Absence is judged in verify(), where it may be waived; garbage may not.
      static_checks_.push_back(unreadable(fmt::format("{}.format", name), crl.error().to_string()));
    }
  };
  read(input_->root_ca_crl, "root_crl", root_crl_);
  read(input_->pck_crl, "pck_crl", pck_crl_);
}

void CollateralSet::check_document_signatures() {
  if (tcb_info_) {
    static_checks_.push_back(signature_check("tcb_info.signature", *tcb_info_, tcb_chain_));
  }
  if (qe_identity_) {
    static_checks_.push_back(signature_check("qe_identity.signature", *qe_identity_, tcb_chain_));
  }
}

void CollateralSet::check_root_crl() {
  if (!root_crl_ || tcb_chain_.size() != tcb_signing_chain_spec().common_names.size()) return;
  append(static_checks_, crl_checks("root_crl", *root_crl_, tcb_chain_.back()));
  static_checks_.push_back(
      not_revoked_check("tcb_signing_chain.not_revoked", *root_crl_, tcb_chain_.front()));
}

void CollateralSet::learn_pck_ca() {
  if (input_->pck_crl_issuer_chain.empty()) return;
  auto chain = read_chain(input_->pck_crl_issuer_chain, "PCK CRL issuer chain");
  if (!chain) {
    static_checks_.push_back(unreadable("pck_crl_issuer_chain.format", chain.error().to_string()));
    return;
  }
  crl_issuer_chain_ = *std::move(chain);
  Checks checks = chain_checks(crl_issuer_chain_spec(), crl_issuer_chain_, anchors_);
  const bool trusted = all_ok(checks);
  append(static_checks_, std::move(checks));
  if (trusted && pck_crl_ && all_ok(crl_checks("pck_crl", *pck_crl_, crl_issuer_chain_.front()))) {
    known_pck_ca_ = crl_issuer_chain_.front();
  }
}

Checks CollateralSet::checks_at(tee::UnixTime time) const {
  Checks checks;
  if (tcb_info_) checks.push_back(fresh_check("tcb_info.fresh", tcb_info_->value, time));
  if (qe_identity_) checks.push_back(fresh_check("qe_identity.fresh", qe_identity_->value, time));
  if (!tcb_chain_.empty()) {
    checks.push_back(validity_check(tcb_signing_chain_spec(), tcb_chain_, time));
  }
  if (!crl_issuer_chain_.empty()) {
    checks.push_back(validity_check(crl_issuer_chain_spec(), crl_issuer_chain_, time));
  }
  if (root_crl_) checks.push_back(crl_fresh_check("root_crl", *root_crl_, time));
  if (pck_crl_) checks.push_back(crl_fresh_check("pck_crl", *pck_crl_, time));
  return checks;
}

}  // namespace coffer::tdx
