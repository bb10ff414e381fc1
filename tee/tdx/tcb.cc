#include "tee/tdx/tcb.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>

namespace coffer::tdx {
namespace {

using Components = std::array<std::uint8_t, 16>;

// Each component at least as high, from index `from` on: a TCB is no single number.
bool reaches(const Components& have, const Components& want, std::size_t from = 0) {
  for (std::size_t i = from; i < have.size(); ++i) {
    if (have[i] < want[i]) return false;
  }
  return true;
}

bool sgx_reaches(const PckExtension& pck, const TcbLevel& level) {
  return reaches(pck.components, level.sgx_components) && pck.pce_svn >= level.pce_svn;
}

// With a module major version of 1 or more, components 0 and 1 are judged by the module's identity.
bool tdx_reaches(const Components& tee_tcb_svn, const TcbLevel& level) {
  return reaches(tee_tcb_svn, level.tdx_components, tee_tcb_svn[1] > 0 ? 2 : 0);
}

const IsvLevel* isv_level(const std::vector<IsvLevel>& levels, unsigned isv_svn) {
  const auto it =
      std::ranges::find_if(levels, [&](const IsvLevel& level) { return level.isv_svn <= isv_svn; });
  return it == levels.end() ? nullptr : &*it;
}

std::string module_id(std::uint8_t major) { return fmt::format("TDX_{:02X}", major); }

const TdxModule* find_identity(const TcbInfo& info, std::uint8_t major) {
  const auto it = std::ranges::find(info.identities, module_id(major), &TdxModule::id);
  return it == info.identities.end() ? nullptr : &*it;
}

void find_levels(TcbEvaluation& out, const TcbInfo& info, const PckExtension& pck,
                 const Components& tee_tcb_svn) {
  for (const TcbLevel& level : info.levels) {
    if (!sgx_reaches(pck, level)) continue;
    if (out.sgx_level == nullptr) out.sgx_level = &level;
    if (!tdx_reaches(tee_tcb_svn, level)) continue;
    out.tdx_level = &level;
    return;
  }
}

void find_module(TcbEvaluation& out, const TcbInfo& info, const Components& tee_tcb_svn) {
  if (tee_tcb_svn[1] == 0) {
    out.module = &info.module;
    return;
  }
  out.module_by_identity = true;
  out.module_id = module_id(tee_tcb_svn[1]);
  out.module = find_identity(info, tee_tcb_svn[1]);
  if (out.module != nullptr) out.module_level = isv_level(out.module->levels, tee_tcb_svn[0]);
}

// Modules and enclaves are only ever up to date, out of date or revoked; anything else is a
// document that we do not understand.
bool is_part_status(TcbStatus status) {
  return status == TcbStatus::kUpToDate || status == TcbStatus::kOutOfDate ||
         status == TcbStatus::kRevoked;
}

bool supported(const TcbEvaluation& out) {
  if (out.tdx_level == nullptr || out.module == nullptr || out.qe_level == nullptr) return false;
  if (!is_part_status(out.qe_level->info.status)) return false;
  if (!out.module_by_identity) return true;
  return out.module_level != nullptr && is_part_status(out.module_level->info.status);
}

bool needs_configuration(TcbStatus status) {
  return status == TcbStatus::kConfigurationNeeded ||
         status == TcbStatus::kConfigurationAndSwHardeningNeeded ||
         status == TcbStatus::kOutOfDateConfigurationNeeded;
}

// The module that is loaded now (TEE_TCB_SVN_2) stands at the newest levels.
bool current_module_is_newest(const TcbInfo& info, const Components& svn) {
  const Components& newest = info.levels.front().tdx_components;
  if (svn[1] == 0) return svn[0] >= newest[0] && svn[2] >= newest[2];
  const TdxModule* identity = find_identity(info, svn[1]);
  return identity != nullptr && !identity->levels.empty() &&
         svn[0] >= identity->levels.front().isv_svn && svn[2] >= newest[2];
}

// A TD that was launched on an old module, on a platform that has been updated since: relaunching
// the TD is enough.
std::optional<TcbStatus> relaunch(const TcbEvaluation& out, const TcbInfo& info, TcbStatus status,
                                  const TdBody& td) {
  if (!td.tee_tcb_svn_2 || out.module_level == nullptr) return std::nullopt;
  const TcbStatus sgx = out.sgx_level->info.status;
  const bool sgx_current = sgx == TcbStatus::kUpToDate || sgx == TcbStatus::kSwHardeningNeeded ||
                           sgx == TcbStatus::kConfigurationNeeded ||
                           sgx == TcbStatus::kConfigurationAndSwHardeningNeeded;
  const bool out_of_date =
      status == TcbStatus::kOutOfDate || status == TcbStatus::kOutOfDateConfigurationNeeded;
  if (out.qe_level->info.status != TcbStatus::kUpToDate || !sgx_current || !out_of_date ||
      out.module_level->info.status != TcbStatus::kOutOfDate ||
      !current_module_is_newest(info, *td.tee_tcb_svn_2)) {
    return std::nullopt;
  }
  return needs_configuration(sgx) || needs_configuration(status)
             ? TcbStatus::kTdRelaunchAdvisedConfigurationNeeded
             : TcbStatus::kTdRelaunchAdvised;
}

void collect(TcbEvaluation& out) {
  std::set<std::string> ids;
  const auto add = [&](const LevelInfo& info) {
    ids.insert(info.advisory_ids.begin(), info.advisory_ids.end());
    out.tcb_date = out.tcb_date ? std::min(*out.tcb_date, info.tcb_date) : info.tcb_date;
  };
  if (out.tdx_level != nullptr) add(out.tdx_level->info);
  if (out.module_level != nullptr) add(out.module_level->info);
  if (out.qe_level != nullptr) add(out.qe_level->info);
  out.advisory_ids.assign(ids.begin(), ids.end());
}

}  // namespace

TcbStatus converge(TcbStatus whole, TcbStatus part) {
  if (part == TcbStatus::kRevoked) return TcbStatus::kRevoked;
  if (part != TcbStatus::kOutOfDate) return whole;
  switch (whole) {
    case TcbStatus::kUpToDate:
    case TcbStatus::kSwHardeningNeeded:
      return TcbStatus::kOutOfDate;
    case TcbStatus::kConfigurationNeeded:
    case TcbStatus::kConfigurationAndSwHardeningNeeded:
      return TcbStatus::kOutOfDateConfigurationNeeded;
    default:
      return whole;
  }
}

TcbEvaluation evaluate_tcb(const TcbInfo& info, const QeIdentity& qe_identity,
                           const PckExtension& pck, const Quote& quote) {
  TcbEvaluation out;
  find_levels(out, info, pck, quote.td.tee_tcb_svn);
  find_module(out, info, quote.td.tee_tcb_svn);
  out.qe_level = isv_level(qe_identity.levels, quote.qe.isv_svn);
  collect(out);
  if (!supported(out)) return out;
  TcbStatus status = out.tdx_level->info.status;
  if (out.module_level != nullptr) status = converge(status, out.module_level->info.status);
  status = relaunch(out, info, status, quote.td).value_or(status);
  out.status = converge(status, out.qe_level->info.status);
  return out;
}

}  // namespace coffer::tdx
