#include <fmt/format.h>

#include <algorithm>

#include "tee/tdx/verify_parts.h"

namespace coffer::tdx {
namespace {

constexpr std::string_view kTcbInfo = "Intel PCS API v4: TDX TCB info";
constexpr std::string_view kQeIdentity = "Intel PCS API v4: TDX QE identity";
constexpr tee::UnixTime kDay = 86400;

template <typename T>
bool contains(const std::vector<T>& list, const T& item) {
  return std::ranges::find(list, item) != list.end();
}

template <std::size_t N>
bool masked_equal(const std::array<std::uint8_t, N>& value, const std::array<std::uint8_t, N>& mask,
                  const std::array<std::uint8_t, N>& want) {
  for (std::size_t i = 0; i < N; ++i) {
    if ((value[i] & mask[i]) != want[i]) return false;
  }
  return true;
}

template <std::size_t N>
void check_masked(std::string_view name, const std::array<std::uint8_t, N>& value,
                  const std::array<std::uint8_t, N>& mask, const std::array<std::uint8_t, N>& want,
                  std::string_view source, tee::Verdict& verdict) {
  verdict.add(name, masked_equal(value, mask, want),
              fmt::format("{} under mask {}", to_hex(want), to_hex(mask)), to_hex(value), source);
}

void check_number(std::string_view name, std::uint32_t number, const Expectations& want,
                  tee::Verdict& verdict) {
  verdict.add(name, number >= want.min_tcb_evaluation_data_number,
              fmt::format(">= {}", want.min_tcb_evaluation_data_number), fmt::format("{}", number),
              kExpectation);
}

std::string level_text(const LevelInfo* info) {
  if (info == nullptr) return "no level reached";
  return fmt::format("{} of {}", tcb_status_name(info->status),
                     tee::format_rfc3339(info->tcb_date));
}

void check_module(const Quote& quote, const TcbEvaluation& tcb, tee::Verdict& verdict) {
  const auto& td = quote.td;
  if (tcb.module_by_identity) {
    verdict.add("tcb.module_identity", tcb.module != nullptr, tcb.module_id,
                tcb.module != nullptr ? tcb.module_id : "no such identity", kTcbInfo);
  }
  if (tcb.module == nullptr) return;
  verdict.add_equal("tcb.module_mr_signer", to_hex(tcb.module->mr_signer),
                    to_hex(td.mr_signer_seam), kTcbInfo);
  // Bits outside the mask are nobody's to set either.
  const bool attributes =
      masked_equal(td.seam_attributes, tcb.module->attributes_mask, tcb.module->attributes) &&
      masked_equal(td.seam_attributes, tcb.module->attributes_mask, td.seam_attributes);
  verdict.add("tcb.module_attributes", attributes,
              fmt::format("{} under mask {}", to_hex(tcb.module->attributes),
                          to_hex(tcb.module->attributes_mask)),
              to_hex(td.seam_attributes), kTcbInfo);
  if (tcb.module_by_identity) {
    verdict.add("tcb.module_level", tcb.module_level != nullptr, "a level that ISVSVN reaches",
                level_text(tcb.module_level != nullptr ? &tcb.module_level->info : nullptr),
                kTcbInfo);
  }
}

void check_age(const TcbEvaluation& tcb, const Expectations& want, tee::UnixTime time,
               tee::Verdict& verdict) {
  if (!want.max_tcb_age_days || tcb.status == TcbStatus::kUpToDate) return;
  const bool ok =
      tcb.tcb_date && time - *tcb.tcb_date <= kDay * tee::UnixTime{*want.max_tcb_age_days};
  verdict.add("tcb.age", ok, fmt::format("at most {} days", *want.max_tcb_age_days),
              tcb.tcb_date ? "TCB of " + tee::format_rfc3339(*tcb.tcb_date) : "no TCB level",
              kExpectation);
}

void check_advisories(const TcbEvaluation& tcb, const Expectations& want, tee::Verdict& verdict) {
  if (!want.allowed_advisory_ids) return;
  std::vector<std::string> others;
  std::ranges::copy_if(tcb.advisory_ids, std::back_inserter(others), [&](const std::string& id) {
    return !contains(*want.allowed_advisory_ids, id);
  });
  verdict.add("tcb.advisories", others.empty(), "only those of allowed_advisory_ids",
              others.empty() ? "only those" : fmt::format("{}", fmt::join(others, ", ")),
              kExpectation);
}

void check_status(const TcbEvaluation& tcb, const Expectations& want, tee::Verdict& verdict) {
  std::vector<std::string_view> names;
  std::ranges::transform(want.accepted_statuses, std::back_inserter(names), tcb_status_name);
  const bool ok = tcb.status && *tcb.status != TcbStatus::kRevoked &&
                  contains(want.accepted_statuses, *tcb.status);
  verdict.add("tcb.status", ok, fmt::format("{}", fmt::join(names, ", ")),
              tcb.status ? std::string(tcb_status_name(*tcb.status)) : "not supported",
              "Intel PCS API v4: TCB status; expectation accept_tcb_status");
}

}  // namespace

void check_qe_identity(const Quote& quote, const QeIdentity& identity, tee::Verdict& verdict) {
  const QeReport& qe = quote.qe;
  check_masked("qe.misc_select", qe.misc_select, identity.misc_select_mask, identity.misc_select,
               kQeIdentity, verdict);
  check_masked("qe.attributes", qe.attributes, identity.attributes_mask, identity.attributes,
               kQeIdentity, verdict);
  verdict.add_equal("qe.mr_signer", to_hex(identity.mr_signer), to_hex(qe.mr_signer), kQeIdentity);
  verdict.add_equal("qe.isv_prod_id", fmt::format("{}", identity.isv_prod_id),
                    fmt::format("{}", qe.isv_prod_id), kQeIdentity);
}

void check_tcb_info(const PckExtension& pck, const CollateralSet& collateral,
                    const Expectations& want, tee::Verdict& verdict) {
  if (const TcbInfo* info = collateral.tcb_info()) {
    verdict.add_equal("tcb_info.fmspc", to_hex(pck.fmspc), to_hex(info->fmspc), kTcbInfo);
    verdict.add_equal("tcb_info.pce_id", to_hex(pck.pce_id), to_hex(info->pce_id), kTcbInfo);
    verdict.add_equal("tcb_info.tcb_type", "0", fmt::format("{}", info->tcb_type), kTcbInfo);
    check_number("tcb_info.evaluation_number", info->evaluation_number, want, verdict);
  }
  if (const QeIdentity* identity = collateral.qe_identity()) {
    check_number("qe_identity.evaluation_number", identity->evaluation_number, want, verdict);
  }
}

void check_tcb(const Quote& quote, const PckExtension& pck, const CollateralSet& collateral,
               const Expectations& want, tee::UnixTime time, tee::Verdict& verdict) {
  const TcbInfo* info = collateral.tcb_info();
  const QeIdentity* identity = collateral.qe_identity();
  if (info == nullptr || identity == nullptr) return;
  TcbEvaluation tcb = evaluate_tcb(*info, *identity, pck, quote);
  // Another platform's document says nothing about this one.
  if (info->fmspc != pck.fmspc || info->pce_id != pck.pce_id) tcb = {};
  add_claims(tcb, verdict);
  verdict.add("tcb.platform_level", tcb.tdx_level != nullptr,
              "a level that every component of the PCK certificate and of TEE_TCB_SVN reaches",
              level_text(tcb.tdx_level != nullptr ? &tcb.tdx_level->info : nullptr), kTcbInfo);
  check_module(quote, tcb, verdict);
  verdict.add("tcb.qe_level", tcb.qe_level != nullptr, "a level that ISVSVN reaches",
              level_text(tcb.qe_level != nullptr ? &tcb.qe_level->info : nullptr), kQeIdentity);
  check_status(tcb, want, verdict);
  check_age(tcb, want, time, verdict);
  check_advisories(tcb, want, verdict);
}

}  // namespace coffer::tdx
