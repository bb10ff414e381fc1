#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "tee/tdx/verify_parts.h"

namespace coffer::tdx {
namespace {

using Json = nlohmann::json;

// Bit numbers that are set.
Json bits(const std::array<std::uint8_t, 8>& bytes) {
  Json out = Json::array();
  for (std::size_t i = 0; i < 64; ++i) {
    if ((bytes[i / 8] >> (i % 8) & 1U) != 0) out.push_back(i);
  }
  return out;
}

Json status_or_null(const LevelInfo* info) {
  return info == nullptr ? Json(nullptr) : Json(tcb_status_name(info->status));
}

Json date_or_null(const std::optional<tee::UnixTime>& time) {
  return time ? Json(tee::format_rfc3339(*time)) : Json(nullptr);
}

}  // namespace

void add_claims(const Quote& quote, tee::Verdict& verdict) {
  Json& claims = verdict.claims();
  const TdBody& td = quote.td;
  claims["quote_version"] = quote.header.version;
  claims["tee_type"] = fmt::format("{:#x}", quote.header.tee_type);
  claims["attestation_key_type"] = quote.header.attestation_key_type;
  claims["qe_vendor_id"] = to_hex(quote.header.vendor_id);
  claims["user_data"] = to_hex(quote.header.user_data);
  claims["body_type"] = quote.body_type == 3 ? "td15" : "td10";
  claims["tee_tcb_svn"] = to_hex(td.tee_tcb_svn);
  claims["mr_seam"] = to_hex(td.mr_seam);
  claims["mr_signer_seam"] = to_hex(td.mr_signer_seam);
  claims["seam_attributes"] = to_hex(td.seam_attributes);
  claims["td_attributes"] = to_hex(td.td_attributes);
  claims["td_attribute_bits"] = bits(td.td_attributes);
  claims["xfam"] = to_hex(td.xfam);
  claims["xfam_bits"] = bits(td.xfam);
  claims["mr_td"] = to_hex(td.mr_td);
  claims["mr_config_id"] = to_hex(td.mr_config_id);
  claims["mr_owner"] = to_hex(td.mr_owner);
  claims["mr_owner_config"] = to_hex(td.mr_owner_config);
  for (std::size_t i = 0; i < td.rtmr.size(); ++i) {
    claims[fmt::format("rtmr_{}", i)] = to_hex(td.rtmr[i]);
  }
  claims["report_data"] = to_hex(td.report_data);
  if (td.tee_tcb_svn_2) claims["tee_tcb_svn_2"] = to_hex(*td.tee_tcb_svn_2);
  if (td.mr_service_td) claims["mr_service_td"] = to_hex(*td.mr_service_td);
  claims["qe_mr_enclave"] = to_hex(quote.qe.mr_enclave);
  claims["qe_mr_signer"] = to_hex(quote.qe.mr_signer);
  claims["qe_isv_prod_id"] = quote.qe.isv_prod_id;
  claims["qe_isv_svn"] = quote.qe.isv_svn;
  claims["qe_auth_data_size"] = quote.qe_auth_data.size();
  claims["signed_size"] = quote.signed_bytes.size();
  claims["trailing_bytes"] = quote.trailing;
}

void add_claims(const PckExtension& pck, tee::Verdict& verdict) {
  Json& claims = verdict.claims();
  claims["fmspc"] = to_hex(pck.fmspc);
  claims["pce_id"] = to_hex(pck.pce_id);
  claims["pce_svn"] = pck.pce_svn;
  claims["cpu_svn"] = to_hex(pck.cpu_svn);
  claims["ppid"] = to_hex(pck.ppid);
  claims["sgx_tcb_components"] = pck.components;
  claims["sgx_type"] = pck.sgx_type;
  if (pck.platform_instance_id) {
    claims["platform_instance_id"] = to_hex(*pck.platform_instance_id);
  }
  if (!pck.configuration) return;
  const auto flag = [](const std::optional<bool>& b) { return b ? Json(*b) : Json(nullptr); };
  claims["dynamic_platform"] = flag(pck.configuration->dynamic_platform);
  claims["cached_keys"] = flag(pck.configuration->cached_keys);
  claims["smt_enabled"] = flag(pck.configuration->smt_enabled);
}

void add_claims(const TcbEvaluation& tcb, tee::Verdict& verdict) {
  Json& claims = verdict.claims();
  claims["tcb_status"] = tcb.status ? Json(tcb_status_name(*tcb.status)) : Json(nullptr);
  claims["advisory_ids"] = tcb.advisory_ids;
  claims["tcb_date"] = date_or_null(tcb.tcb_date);
  claims["platform_tcb_status"] =
      status_or_null(tcb.tdx_level == nullptr ? nullptr : &tcb.tdx_level->info);
  claims["platform_tcb_date"] =
      tcb.tdx_level == nullptr ? Json(nullptr) : date_or_null(tcb.tdx_level->info.tcb_date);
  claims["module_tcb_status"] =
      status_or_null(tcb.module_level == nullptr ? nullptr : &tcb.module_level->info);
  claims["qe_tcb_status"] = status_or_null(tcb.qe_level == nullptr ? nullptr : &tcb.qe_level->info);
}

void add_claims(const CollateralSet& collateral, tee::Verdict& verdict) {
  Json& claims = verdict.claims();
  std::optional<tee::UnixTime> expires;
  const auto sooner = [&](tee::UnixTime time) {
    expires = expires ? std::min(*expires, time) : time;
  };
  if (const TcbInfo* info = collateral.tcb_info()) {
    claims["tcb_evaluation_data_number"] = info->evaluation_number;
    sooner(info->next_update);
  }
  if (const QeIdentity* identity = collateral.qe_identity()) sooner(identity->next_update);
  for (const tee::Crl* crl : {collateral.root_crl(), collateral.pck_crl()}) {
    if (crl != nullptr && crl->next_update()) sooner(*crl->next_update());
  }
  claims["collateral_expires"] = date_or_null(expires);
}

}  // namespace coffer::tdx
