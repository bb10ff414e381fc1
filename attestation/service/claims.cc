#include "attestation/service/claims.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

namespace coffer::appraisal {
namespace {

using Json = nlohmann::json;

// A verifier's claims are empty where the evidence could not be read.
Json at(const Json& object, const char* key) {
  if (!object.is_object()) return nullptr;
  const auto found = object.find(key);
  return found == object.end() ? Json() : *found;
}

std::string slice(BytesView bytes, std::size_t offset, std::size_t size) {
  if (bytes.size() < offset + size) return {};
  return to_hex(bytes.subspan(offset, size));
}

Json quote_header(BytesView quote) {
  return {{"version", slice(quote, 0, 2)},     {"att_key_type", slice(quote, 2, 2)},
          {"tee_type", slice(quote, 4, 4)},    {"reserved", slice(quote, 8, 4)},
          {"vendor_id", slice(quote, 12, 16)}, {"user_data", slice(quote, 28, 20)}};
}

Json quote_body(const Json& vendor) {
  static constexpr std::pair<const char*, const char*> kNames[] = {
      {"tcb_svn", "tee_tcb_svn"},
      {"mr_seam", "mr_seam"},
      {"mrsigner_seam", "mr_signer_seam"},
      {"seam_attributes", "seam_attributes"},
      {"td_attributes", "td_attributes"},
      {"xfam", "xfam"},
      {"mr_td", "mr_td"},
      {"mr_config_id", "mr_config_id"},
      {"mr_owner", "mr_owner"},
      {"mr_owner_config", "mr_owner_config"},
      {"rtmr_0", "rtmr_0"},
      {"rtmr_1", "rtmr_1"},
      {"rtmr_2", "rtmr_2"},
      {"rtmr_3", "rtmr_3"},
      {"report_data", "report_data"},
      {"tee_tcb_svn2", "tee_tcb_svn_2"},
      {"mr_servicetd", "mr_service_td"}};
  Json out = Json::object();
  for (const auto& [theirs, ours] : kNames) {
    Json value = at(vendor, ours);
    if (!value.is_null()) out[theirs] = std::move(value);
  }
  return out;
}

Json td_attributes(const Json& vendor) {
  static constexpr std::pair<const char*, unsigned> kBits[] = {{"debug", 0},
                                                               {"septve_disable", 28},
                                                               {"protection_keys", 30},
                                                               {"key_locker", 31},
                                                               {"perfmon", 63}};
  const Json bits = at(vendor, "td_attribute_bits");
  Json out = Json::object();
  for (const auto& [name, bit] : kBits) {
    bool set = false;
    for (const auto& item : bits) set = set || item == bit;
    out[name] = set;
  }
  return out;
}

}  // namespace

Json snp_claims(const Json& vendor) {
  const Json policy = at(vendor, "policy_flags");
  const Json platform = at(vendor, "platform_info_flags");
  const Json tcb = at(vendor, "reported_tcb");
  return {{"policy_abi_major", at(policy, "abi_major")},
          {"policy_abi_minor", at(policy, "abi_minor")},
          {"policy_smt_allowed", at(policy, "smt_allowed")},
          {"policy_migrate_ma", at(policy, "migrate_ma_allowed")},
          {"policy_debug_allowed", at(policy, "debug_allowed")},
          {"policy_single_socket", at(policy, "single_socket_required")},
          {"reported_tcb_bootloader", at(tcb, "bl")},
          {"reported_tcb_tee", at(tcb, "tee")},
          {"reported_tcb_snp", at(tcb, "snp")},
          {"reported_tcb_microcode", at(tcb, "ucode")},
          {"platform_tsme_enabled", at(platform, "tsme_enabled")},
          {"platform_smt_enabled", at(platform, "smt_enabled")},
          {"measurement", at(vendor, "measurement")},
          {"chip_id", at(vendor, "chip_id")},
          // Ours.
          {"vmpl", at(vendor, "vmpl")},
          {"guest_svn", at(vendor, "guest_svn")},
          {"product", at(vendor, "product")},
          {"id_key_digest", at(vendor, "id_key_digest")},
          {"author_key_digest", at(vendor, "author_key_digest")}};
}

Json azure_snp_claims(const Json& vendor) {
  Json out = snp_claims(vendor);
  out.erase("chip_id");
  for (auto& value : out) {
    if (!value.is_string()) value = value.dump();
  }
  if (const Json measurement = at(vendor, "measurement"); measurement.is_string()) {
    const auto bytes = from_hex(measurement.get<std::string>());
    if (bytes) out["measurement"] = to_base64(*bytes);
  }
  return out;
}

Json tdx_claims(const Json& vendor, BytesView quote, bool collateral_current) {
  Json out = {{"quote", {{"header", quote_header(quote)}, {"body", quote_body(vendor)}}},
              {"td_attributes", td_attributes(vendor)},
              {"tcb_status", at(vendor, "tcb_status")},
              {"advisory_ids", at(vendor, "advisory_ids")},
              {"tcb_date", at(vendor, "tcb_date")},
              {"tcb_eval_num", at(vendor, "tcb_evaluation_data_number")},
              {"collateral_expiration_status", collateral_current ? "0" : "1"},
              {"platform_instance_id", at(vendor, "platform_instance_id")},
              {"is_dynamic_platform", at(vendor, "dynamic_platform")},
              {"is_cached_keys", at(vendor, "cached_keys")},
              {"is_smt_enabled", at(vendor, "smt_enabled")},
              {"fmspc", at(vendor, "fmspc")}};
  return out;
}

Json tpm_claims(const Json& vendor) {
  Json out = Json::object();
  const Json pcrs = at(at(vendor, "pcrs"), "sha256");
  if (!pcrs.is_object()) return out;
  for (unsigned i = 0; i < 24; ++i) {
    const auto value = pcrs.find(std::to_string(i));
    if (value != pcrs.end()) out[fmt::format("pcr{:02}", i)] = *value;
  }
  return out;
}

}  // namespace coffer::appraisal
