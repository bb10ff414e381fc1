#include "attestation/endorsements/pcs.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/json.h"
#include "base/percent.h"

namespace coffer::endorsements {
namespace {

using Json = nlohmann::json;
using store::UnixTime;

constexpr UnixTime kFresh = 86400;
constexpr std::size_t kMaxReady = 32;
constexpr std::size_t kMaxDocument = std::size_t{8} << 20U;

Result<Bytes> issuer_chain(const http::Response& response,
                           std::initializer_list<std::string_view> names) {
  for (const auto name : names) {
    const auto value = response.header(name);
    if (!value) continue;
    const auto chain = percent_decoded(*value, Plus::kIsItself);
    if (chain) return to_bytes(*chain);
    return fail(Code::kFailedPrecondition,
                fmt::format("the answer's header '{}': {}", name, chain.error().message()));
  }
  return fail(Code::kFailedPrecondition,
              fmt::format("the answer has no header '{}'", *names.begin()));
}

// A PCCS answers in hexadecimal, maybe with the end of a line; Intel in DER, whose last byte may be
// one like that.
Bytes der_of(std::string_view body) {
  std::string_view text = body;
  while (!text.empty() && (text.back() == '\n' || text.back() == '\r')) text.remove_suffix(1);
  auto decoded = from_hex(text);
  if (decoded && !decoded->empty()) return *std::move(decoded);
  return to_bytes(body);
}

std::string save(const tdx::CollateralInput& input) {
  return Json{{"tcb_info", input.tcb_info},
              {"qe_identity", input.qe_identity},
              {"tcb_signing_chain", to_base64(input.tcb_signing_chain)},
              {"root_ca_crl", to_base64(input.root_ca_crl)},
              {"pck_crl", to_base64(input.pck_crl)},
              {"pck_crl_issuer_chain", to_base64(input.pck_crl_issuer_chain)}}
      .dump(-1, ' ', false, Json::error_handler_t::replace);
}

Result<tdx::CollateralInput> load(BytesView bytes) {
  COFFER_TRY(const Json json,
             parse_json(as_text(bytes), "kept collateral", {.max_bytes = kMaxDocument}));
  const auto text = [&](const char* name) {
    const Json value = json.is_object() ? json.value(name, Json()) : Json();
    return value.is_string() ? value.get<std::string>() : std::string();
  };
  tdx::CollateralInput out;
  out.tcb_info = text("tcb_info");
  out.qe_identity = text("qe_identity");
  COFFER_TRY(out.tcb_signing_chain, from_base64(text("tcb_signing_chain")));
  COFFER_TRY(out.root_ca_crl, from_base64(text("root_ca_crl")));
  COFFER_TRY(out.pck_crl, from_base64(text("pck_crl")));
  COFFER_TRY(out.pck_crl_issuer_chain, from_base64(text("pck_crl_issuer_chain")));
  return out;
}

Status check_all(const tdx::Checks& checks) {
  for (const auto& check : checks) {
    if (check.ok) continue;
    return fail(Code::kFailedPrecondition,
                fmt::format("{}: want {}, got {}", check.name, check.expected, check.found));
  }
  return {};
}

Result<UnixTime> good_until(const tdx::CollateralSet& set) {
  if (set.tcb_info() == nullptr || set.qe_identity() == nullptr || set.root_crl() == nullptr ||
      set.pck_crl() == nullptr) {
    return fail(Code::kFailedPrecondition, "a part cannot be read");
  }
  return std::min({set.tcb_info()->next_update, set.qe_identity()->next_update,
                   set.root_crl()->next_update().value_or(0),
                   set.pck_crl()->next_update().value_or(0)});
}

}  // namespace

Result<Document> Pcs::make(const Get& get, const std::string& fmspc, const std::string& ca,
                           tee::UnixTime time) const {
  tdx::CollateralInput input;
  COFFER_TRY(const auto tcb, get_document(get, base_ + "/tdx/certification/v4/tcb?fmspc=" + fmspc));
  input.tcb_info = tcb.body;
  COFFER_TRY(input.tcb_signing_chain,
             issuer_chain(tcb, {"tcb-info-issuer-chain", "sgx-tcb-info-issuer-chain"}));
  COFFER_TRY(const auto qe, get_document(get, base_ + "/tdx/certification/v4/qe/identity"));
  input.qe_identity = qe.body;
  COFFER_TRY(const auto crl, get_document(get, fmt::format("{}/sgx/certification/v4/pckcrl?ca={}"
                                                           "&encoding=der",
                                                           base_, ca)));
  input.pck_crl = der_of(crl.body);
  COFFER_TRY(input.pck_crl_issuer_chain, issuer_chain(crl, {"sgx-pck-crl-issuer-chain"}));
  auto root = get_document(get, base_ + "/sgx/certification/v4/rootcacrl");
  if (!root && root.error().code() == Code::kNotFound) root = get_document(get, root_crl_);
  if (!root) return fail(std::move(root).error());
  input.root_ca_crl = der_of(root->body);
  Document out{.bytes = to_bytes(save(input)), .good_until = 0};
  const auto set = tdx::CollateralSet::prepare(std::move(input), anchors_);
  const auto whole = [&]() -> Status {
    COFFER_TRY_VOID(check_all(set.static_checks()));
    COFFER_TRY_VOID(check_all(set.checks_at(time)));
    COFFER_TRY(out.good_until, good_until(set));
    const std::string got = to_hex(set.tcb_info()->fmspc);
    if (got == fmspc) return {};
    return fail(Code::kFailedPrecondition, fmt::format("fmspc: want {}, got {}", fmspc, got));
  };
  if (auto status = whole(); !status) {
    return fail(std::move(status).error().with_context(
        fmt::format("use the collateral of '{}' for FMSPC {}", base_, fmspc)));
  }
  return out;
}

Result<std::shared_ptr<const tdx::CollateralSet>> Pcs::collateral(const std::string& fmspc,
                                                                  const std::string& ca,
                                                                  tee::UnixTime time) {
  const std::string key = fmt::format("pcs/{}/{}", fmspc, ca);
  COFFER_TRY(Bytes bytes, fetcher_.get(base_, key, kFresh,
                                       [&](const Get& get) { return make(get, fmspc, ca, time); }));
  {
    const std::lock_guard lock(mutex_);
    for (const auto& ready : ready_) {
      if (ready.key == key && ready.bytes == bytes) return ready.set;
    }
  }
  COFFER_TRY(auto input, load(bytes));
  auto set = std::make_shared<const tdx::CollateralSet>(
      tdx::CollateralSet::prepare(std::move(input), anchors_));
  const std::lock_guard lock(mutex_);
  std::erase_if(ready_, [&](const Ready& ready) { return ready.key == key; });
  ready_.push_front({.key = key, .bytes = std::move(bytes), .set = set});
  if (ready_.size() > kMaxReady) ready_.pop_back();
  return set;
}

}  // namespace coffer::endorsements
